//! `s6-fdholderd`: holds descriptors for its clients.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use svc_core::{Millis, Signal};
use svc_sys::signals::Signals;
use svc_sys::{Errno, clock, poll, process};

use super::session::{Rights, Session};
use super::store::Store;
use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::sockets::rules::{Rules, Verdict};
use crate::sockets::{announce, local};

/// The most clients at a time.
const MOST_CLIENTS: usize = 256;

/// What we need for ourselves: the standard descriptors, the socket, the signals, one to spare.
const OWN_DESCRIPTORS: u64 = 6;

pub(super) const FDHOLDERD: Command = Command {
    name: "s6-fdholderd",
    about: "accept connections on standard input, and hold descriptors for clients",
    operands: "",
    options: &[
        Opt::flag('1', "print a newline on standard output, and close it, when ready"),
        Opt::with('v', "N", "how much to report: 0 nothing, 1 what goes wrong (default)"),
        Opt::with('c', "N", "serve so many clients at a time, at most 256; default: 16"),
        Opt::with('n', "N", "hold so many descriptors; default: 1000, or as many as we may have"),
        Opt::with('t', "MS", "send a client away that says nothing and takes no answer for so long"),
        Opt::with('T', "MS", "after SIGTERM, give clients so long; default: as long as they take"),
        Opt::with('i', "RULESDIR", "the rules are in this directory"),
        Opt::with('x', "RULESFILE", "the rules are in this file, made by s6-accessrules-cdb-from-fs"),
    ],
    notes: "Without a rule that lets it in, nobody gets in, not even root: `s6-ipcserver-access --help` tells what rules look like. What a client \
            may do is in the `env` of its rule: S6_FDHOLDER_LIST, S6_FDHOLDER_GETDUMP and S6_FDHOLDER_SETDUMP, with any value; \
            S6_FDHOLDER_STORE_REGEX and S6_FDHOLDER_RETRIEVE_REGEX, expressions for the names that it may store and delete, and \
            retrieve.\n\n\
            SIGTERM ends it when its clients have what they asked for. SIGHUP reads RULESFILE again.",
    codes: &[(1, "It ended and held descriptors."), (2, "It ended and had clients; 3: both.")],
    run: fdholderd,
};

struct Server<'a> {
    call: &'a Call,
    verbosity: u32,
    file: Option<PathBuf>,
    rules: Rules,
    most: usize,
    patience: Option<Millis>,
    grace: Option<Millis>,
    store: Store,
    clients: Vec<(OwnedFd, Session)>,
    /// After SIGTERM: until when clients have time, if there is an end to it.
    ending: Option<Option<Millis>>,
}

fn fdholderd(call: &Call) -> Outcome {
    let place = call.last_given(&['i', 'x']);
    let place = place.ok_or_else(|| Failure::usage("without rules (-i or -x) nobody could do anything"))?;
    let path = Path::new(&place.value).to_owned();
    let (rules, file) = if place.letter == 'i' {
        (Rules::Directory(path), None)
    } else {
        let failed = |error| Failure::system(format!("unable to read the rules in {}: {error}", path.display()));
        (Rules::open(&path).map_err(failed)?, Some(path))
    };
    let limit = |letter| call.number(letter).map(|limit: Option<u64>| limit.filter(|limit| *limit > 0).map(Millis));
    let wanted: usize = call.number('n')?.unwrap_or(1000);
    let allowed =
        svc_sys::fd::limit_of_descriptors().map_err(|errno| Failure::system(format!("unable to see the limit: {errno}")))?;
    let most = wanted.min(usize::try_from(allowed.soft.saturating_sub(OWN_DESCRIPTORS)).unwrap_or(usize::MAX)).max(1);
    let most_clients = call.number('c')?.unwrap_or(16).clamp(1, MOST_CLIENTS);
    let listener = svc_sys::fd::adopt(0).filter(|socket| local::is_socket(socket.as_fd()));
    let listener = listener.ok_or_else(|| Failure::usage("standard input is not a socket"))?;
    let mut server = Server {
        call,
        verbosity: call.number('v')?.unwrap_or(1),
        file,
        rules,
        most,
        patience: limit('t')?,
        grace: limit('T')?,
        store: Store::default(),
        clients: Vec::new(),
        ending: None,
    };
    let signals = Signals::take_all().map_err(|errno| Failure::system(format!("unable to take signals: {errno}")))?;
    announce(call.has('1'))?;
    while server.turn(&signals, &listener, most_clients)? {}
    Ok(u8::from(server.store.len() > 0) | u8::from(!server.clients.is_empty()) << 1)
}

impl Server<'_> {
    fn complain(&self, what: &str) {
        if self.verbosity >= 1 {
            self.call.warn(what);
        }
    }

    /// Waits until something happens, and acts on it. False: it is over.
    fn turn(&mut self, signals: &Signals, listener: &OwnedFd, most_clients: usize) -> Result<bool, Failure> {
        let expiry = self.store.expire();
        let now = clock::now();
        let is_over = |deadline: Option<Millis>| deadline.is_some_and(|deadline| now >= deadline);
        self.clients.retain(|(_, session)| !is_over(session.deadline));
        if let Some(end) = self.ending {
            // Nobody is in the middle of something any more: what a client has asked for is answered.
            if self.clients.iter().all(|(_, session)| session.outgoing.is_empty() && session.incoming.is_empty())
                || is_over(end)
            {
                return Ok(false);
            }
        }
        let deadlines = self.clients.iter().filter_map(|(_, session)| session.deadline);
        let deadline = deadlines.chain(self.ending.flatten()).chain(expiry.map(|left| now + left)).min();
        let mut interests = vec![poll::readable(signals.as_raw_fd()), poll::readable(listener.as_raw_fd())];
        if self.ending.is_some() || self.clients.len() >= most_clients {
            interests[1].fd = -1;
        }
        interests.extend(self.clients.iter().map(|(socket, session)| {
            let mut interest = poll::readable(socket.as_raw_fd());
            if !session.outgoing.is_empty() {
                interest.events |= poll::writable(0).events;
            }
            interest
        }));
        poll::wait(&mut interests, now, deadline);
        if poll::is_ready(&interests[0]) {
            while let Some(signal) = signals.next() {
                self.obey(signal);
            }
        }
        let mut ready = interests[2..].iter().map(poll::is_ready);
        let (store, most) = (&mut self.store, self.most);
        self.clients
            .retain_mut(|(socket, session)| ready.next() != Some(true) || serve(store, most, socket, session).is_ok());
        if poll::is_ready(&interests[1]) {
            match local::accept(listener.as_raw_fd()) {
                Ok(Some(socket)) => self.welcome(socket),
                Ok(None) => {}
                Err(errno) if errno.is_shortage() => self.complain(&format!("unable to accept a connection: {errno}")),
                Err(errno) => return Err(Failure::system(format!("unable to accept connections: {errno}"))),
            }
        }
        Ok(true)
    }

    fn obey(&mut self, signal: Signal) {
        match signal {
            Signal::TERM | Signal::INT | Signal::QUIT if self.ending.is_none() => {
                self.ending = Some(self.grace.map(|grace| clock::now() + grace));
            }
            Signal::HUP => {
                if let Some(file) = &self.file {
                    match Rules::open(file) {
                        Ok(rules) => self.rules = rules,
                        Err(error) => self.complain(&format!("unable to read {}: {error}: the rules stay", file.display())),
                    }
                }
            }
            _ => {}
        }
    }

    fn welcome(&mut self, socket: OwnedFd) {
        let peer = match process::peer(socket.as_fd()) {
            Ok(peer) => peer,
            Err(errno) => return self.complain(&format!("unable to see who connected: {errno}")),
        };
        let rights = match self.rules.of(peer.uid, peer.gid) {
            Ok(Verdict::Allow { variables, exec: _ }) => Rights::of(variables.iter().map(|variable| variable.as_bytes())),
            Ok(Verdict::Deny | Verdict::Silence) => return,
            Err(error) => Err(error.to_string()),
        };
        match rights {
            Ok(rights) => self.clients.push((socket, Session::new(rights, self.patience))),
            Err(error) => self.complain(&format!("the rule for the user {} and the group {}: {error}", peer.uid, peer.gid)),
        }
    }
}

/// Reads and writes what can be. An error: the client is to go, or has gone.
fn serve(store: &mut Store, most: usize, socket: &OwnedFd, session: &mut Session) -> Result<(), Errno> {
    match session.incoming.fill(socket.as_raw_fd()) {
        Ok(true) | Err(Errno::AGAIN | Errno::INTERRUPTED) => {}
        Ok(false) => return Err(Errno::BROKEN_PIPE),
        Err(errno) => return Err(errno),
    }
    while let Some(message) = session.incoming.take()? {
        session.obey(store, most, message)?;
    }
    let waited = !session.outgoing.is_empty();
    session.outgoing.flush(socket.as_raw_fd())?;
    if waited && session.outgoing.is_empty() {
        session.deadline = None;
    }
    Ok(())
}
