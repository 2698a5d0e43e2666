//! `s6-ipcserverd`: a child for each connection.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use svc_core::{Pid, Signal};
use svc_sys::process::{Fork, Peer, Reap};
use svc_sys::{Errno, clock, exit, poll, process};

use super::local;
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub(super) const IPCSERVERD: Command = Command {
    name: "s6-ipcserverd",
    about: "accept connections on standard input, and execute a program for each",
    operands: "PROG...",
    options: &[
        Opt::with('v', "N", "how much to report: 0 nothing, 1 what goes wrong (default), 2 every connection"),
        Opt::flag('1', "print a newline on standard output, and close it, when ready"),
        Opt::flag('P', "do not look who connects"),
        Opt::flag('p', "look who connects (default)"),
        Opt::with('c', "N", "serve so many connections at a time; default: 40"),
        Opt::with('C', "N", "serve so many of one user at a time; default: 40"),
    ],
    notes: "The program has the connection as standard input and output. It finds PROTO=IPC, IPCREMOTEEUID, IPCREMOTEEGID, IPCREMOTEPATH and \
            IPCCONNNUM (the how manieth of this user) in its environment.\n\n\
            SIGTERM ends the server and no connection. SIGHUP ends all connections (SIGTERM, SIGCONT) and not the server. SIGQUIT ends \
            both, SIGABRT kills both.",
    codes: &[],
    run: ipcserverd,
};

/// Who is served.
struct Server<'a> {
    call: &'a Call,
    program: &'a [OsString],
    verbosity: u32,
    looks: bool,
    most: usize,
    most_of_one: usize,
    /// The children, and whose connections they serve.
    children: BTreeMap<i32, u32>,
}

fn ipcserverd(call: &Call) -> Outcome {
    let program = call.program(0)?;
    let listener = svc_sys::fd::adopt(0).filter(|socket| local::is_socket(socket.as_fd()));
    let listener = listener.ok_or_else(|| Failure::usage("standard input is not a socket"))?;
    let looks = call.last(&['p', 'P']) != Some('P');
    let most = call.number('c')?.unwrap_or(40).max(1);
    let most_of_one = if looks { call.number('C')?.unwrap_or(40).clamp(1, most) } else { most };
    let verbosity = call.number('v')?.unwrap_or(1);
    svc_sys::fd::set_close_on_exec(0, true);
    let failed = |errno| Failure::system(format!("unable to take signals: {errno}"));
    let signals = svc_sys::signals::Signals::take_all().map_err(failed)?;
    let mut server = Server { call, program, verbosity, looks, most, most_of_one, children: BTreeMap::new() };
    announce(call.has('1'))?;
    server.say("starting");
    server.say_count();
    loop {
        let mut interests = [poll::readable(signals.as_raw_fd()), poll::readable(listener.as_raw_fd())];
        let count = if server.children.len() < server.most { 2 } else { 1 };
        poll::wait(&mut interests[..count], clock::now(), None);
        if poll::is_ready(&interests[0]) {
            while let Some(signal) = signals.next() {
                if !server.obey(signal) {
                    server.say("exiting");
                    return Ok(exit::DONE);
                }
            }
            continue;
        }
        if count == 2 && poll::is_ready(&interests[1]) {
            match local::accept(listener.as_raw_fd()) {
                Ok(Some(connection)) => server.serve(connection),
                Ok(None) => {}
                Err(errno) if errno.is_shortage() => server.complain(&format!("unable to accept a connection: {errno}")),
                Err(errno) => return Err(Failure::system(format!("unable to accept connections: {errno}"))),
            }
        }
    }
}

/// Tells whoever waits for it that we are ready, if it is asked for, and closes standard output in any case: what is written
/// there by accident would go to a client.
pub(crate) fn announce(ready: bool) -> Result<(), Failure> {
    let output = svc_sys::fd::adopt(1);
    if ready {
        let output = output.ok_or_else(|| Failure::usage("-1 was given, and standard output is closed"))?;
        let failed = |errno| Failure::system(format!("unable to tell that we are ready: {errno}"));
        svc_sys::fd::write(output.as_fd(), b"\n").map_err(failed)?;
    }
    Ok(())
}

impl Server<'_> {
    /// What only somebody wants to know who asked for every detail.
    fn say(&self, what: &str) {
        if self.verbosity >= 2 {
            eprintln!("{}: info: {what}", self.call.command.name);
        }
    }

    fn say_count(&self) {
        self.say(&format!("status: {}/{}", self.children.len(), self.most));
    }

    fn complain(&self, what: &str) {
        if self.verbosity >= 1 {
            self.call.warn(what);
        }
    }

    /// False: it is time to end.
    fn obey(&mut self, signal: Signal) -> bool {
        match signal {
            Signal::CHLD => self.reap(),
            Signal::TERM => return false,
            Signal::HUP => self.signal(&[Signal::TERM, Signal::CONT]),
            Signal::QUIT => {
                self.signal(&[Signal::TERM, Signal::CONT]);
                return false;
            }
            Signal::ABRT => {
                self.signal(&[Signal::KILL]);
                return false;
            }
            // As if we had not taken it away.
            Signal::INT => return false,
            _ => {}
        }
        true
    }

    fn signal(&self, signals: &[Signal]) {
        for pid in self.children.keys().filter_map(|&pid| Pid::new(pid)) {
            for &signal in signals {
                // One that has just ended needs no signal.
                let _ = process::signal_child(pid, signal);
            }
        }
    }

    fn reap(&mut self) {
        while let Reap::One(reaped) = process::reap() {
            let Some(uid) = self.children.remove(&reaped.pid.raw()) else { continue };
            let uid = if self.looks { uid.to_string() } else { "?".to_owned() };
            self.say(&format!("end pid {} uid {uid}: {}", reaped.pid.raw(), reaped.exit));
            self.say_count();
        }
    }

    fn serve(&mut self, connection: OwnedFd) {
        let peer = match self.looks.then(|| process::peer(connection.as_fd())).transpose() {
            Ok(peer) => peer,
            Err(errno) => return self.complain(&format!("unable to see who connected: {errno}")),
        };
        let uid = peer.map_or(0, |peer| peer.uid);
        let number = self.children.values().filter(|&&other| other == uid).count() + 1;
        let who = peer.map_or("?:?".to_owned(), |peer| format!("{}:{}", peer.uid, peer.gid));
        if number > self.most_of_one {
            return self.complain(&format!("deny {who}: {} connections of this user are open already", number - 1));
        }
        match process::fork() {
            Ok(Fork::Child) => process::exit_now(self.execute(&connection, peer, number)),
            Ok(Fork::Parent(pid)) => {
                self.children.insert(pid.raw(), uid);
                self.say(&format!("allow {who} pid {} count {number}/{}", pid.raw(), self.most_of_one));
                self.say_count();
            }
            Err(errno) => self.complain(&format!("unable to fork: {errno}")),
        }
    }

    /// What a child does; returns only if that fails.
    fn execute(&self, connection: &OwnedFd, peer: Option<Peer>, number: usize) -> u8 {
        let mut assignments: Vec<OsString> = vec!["PROTO=IPC".into()];
        match peer {
            Some(peer) => assignments.extend([
                format!("IPCREMOTEEUID={}", peer.uid).into(),
                format!("IPCREMOTEEGID={}", peer.gid).into(),
                format!("IPCCONNNUM={number}").into(),
            ]),
            None => assignments.extend(["IPCREMOTEEUID".into(), "IPCREMOTEEGID".into(), "IPCCONNNUM=".into()]),
        }
        let mut path = OsString::from("IPCREMOTEPATH=");
        path.push(local::remote_path(connection.as_raw_fd()));
        assignments.push(path);
        assignments.into_iter().for_each(svc_sys::environment::change);
        let placed = [0, 1].into_iter().try_for_each(|number| svc_sys::fd::place(connection.as_raw_fd(), number));
        svc_sys::signals::reset();
        let failure = match placed {
            Ok(()) => chain::execute(self.program).err(),
            Err(errno) => Some(Failure::system(format!("unable to make the connection standard input: {errno}"))),
        };
        let (code, message) = match failure {
            Some(Failure::Fatal { code, message }) => (code, message),
            Some(Failure::Usage(message)) => (exit::USAGE, message),
            None => (exit::SYSTEM, Errno::INVALID.to_string()),
        };
        eprintln!("{} (child): fatal: {message}", self.call.command.name);
        code
    }
}
