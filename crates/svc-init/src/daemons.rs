//! svc-scan and svc-log: how they are started, and the sockets to them.

use std::ffi::{CStr, CString};
use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use svc_core::init::Daemon;
use svc_core::{Millis, Pid, Signal};
use svc_proto::handover::ToKeep;
use svc_proto::ledger::{Ledger, Own};
use svc_proto::link::ToLog;
use svc_sys::process::{self, Fork, Reaped};
use svc_sys::{Errno, clock, fd, poll, say};

use crate::outbox::Outbox;
use crate::{Config, c_path};

/// Where svc-scan finds the descriptors that it is started with.
const SCAN_LINK: RawFd = 3;
const SCAN_TAIL: RawFd = 4;
const SCAN_BELL: RawFd = 5;
const SCAN_NOTIFY: RawFd = 6;
/// What its child still needs when they are put there must be above them.
pub(crate) const ABOVE_SCAN: RawFd = SCAN_NOTIFY + 1;

/// How long a daemon may take to leave, and then to be gone once it is killed.
const REAP_TIME: Millis = Millis(100);

pub(crate) struct Daemons {
    ledger: Ledger,
    pub(crate) scan: Outbox,
    pub(crate) log: Outbox,
    tail: RawFd,
    bell: RawFd,
    run_dir: Option<PathBuf>,
    notify: Option<OwnedFd>,
    keep_log: fn(ToKeep) -> u8,
    /// Why they could not be started the last time.
    failures: [Option<Errno>; 2],
}

impl Daemons {
    pub(crate) fn run_dir(&self) -> Option<&Path> {
        self.run_dir.as_deref()
    }

    pub(crate) fn new(ledger: Ledger, config: &Config, run_dir: Option<PathBuf>, tail: RawFd, bell: RawFd) -> Daemons {
        let mut daemons = Daemons {
            ledger,
            scan: Outbox::default(),
            log: Outbox::default(),
            tail,
            bell,
            run_dir,
            notify: config.notify.and_then(fd::adopt),
            keep_log: config.keep_log,
            failures: [None; 2],
        };
        if let Some(notify) = &daemons.notify {
            fd::set_close_on_exec(notify.as_raw_fd(), true);
        }
        // After a re-execution both may live, and their sockets were kept for us.
        for (own, outbox) in [(Own::ScanLink, &mut daemons.scan), (Own::LogLink, &mut daemons.log)] {
            if let Some(link) = ledger.own(own).checked_sub(1).and_then(|number| fd::adopt(number as RawFd)) {
                fd::set_close_on_exec(link.as_raw_fd(), true);
                outbox.connect(link);
            }
        }
        daemons
    }

    /// Whether that is another failure than the last one, and so is to be said.
    pub(crate) fn failed(&mut self, daemon: Daemon, why: Option<Errno>) -> bool {
        std::mem::replace(&mut self.failures[daemon as usize], why) != why
    }

    fn pid(&self, daemon: Daemon) -> Option<Pid> {
        Pid::new(self.ledger.own(pid_of(daemon)) as i32)
    }

    fn pids(&self) -> impl Iterator<Item = Pid> {
        [Daemon::Scan, Daemon::Log].into_iter().filter_map(|daemon| self.pid(daemon))
    }

    pub(crate) fn is_one(&self, pid: Pid) -> bool {
        self.pids().any(|daemon| daemon == pid)
    }

    /// Which daemon this was, if it was one.
    pub(crate) fn ended(&mut self, reaped: Reaped) -> Option<Daemon> {
        let daemon = [Daemon::Scan, Daemon::Log].into_iter().find(|&daemon| self.pid(daemon) == Some(reaped.pid))?;
        self.ledger.set_own(pid_of(daemon), 0);
        self.ledger.set_own(link_of(daemon), 0);
        let outbox = match daemon {
            Daemon::Scan => &mut self.scan,
            Daemon::Log => &mut self.log,
        };
        outbox.disconnect();
        if reaped.exit != svc_core::Exit::Code(0) {
            let name = name_of(daemon);
            say!("svc-init: {name} ended ({}): starting it again; services go on", reaped.exit);
        }
        Some(daemon)
    }

    pub(crate) fn start_scan(&mut self, config: &Config) -> Result<(), Errno> {
        let (ours, theirs) = fd::packet_pair()?;
        let exe = fd::borrow(self.ledger.own(Own::Exe).saturating_sub(1) as RawFd).ok_or(Errno::INVALID)?;
        // Once: a svc-scan that comes after one that was killed has nobody to tell.
        let notify = self.notify.take();
        let arguments = scan_arguments(config, self.run_dir.as_deref(), notify.is_some());
        let arguments: Vec<&CStr> = arguments.iter().map(CString::as_c_str).collect();
        match process::fork()? {
            Fork::Child => {
                process::new_session();
                svc_sys::say::use_standard_error();
                let places = [(theirs.as_raw_fd(), SCAN_LINK), (self.tail, SCAN_TAIL), (self.bell, SCAN_BELL)];
                let notify = notify.as_ref().map(|notify| (notify.as_raw_fd(), SCAN_NOTIFY));
                // All others are ours alone, and there may be no room for these beside them.
                let mut kept: Vec<RawFd> = places.iter().chain(&notify).map(|&(own, _)| own).collect();
                kept.push(exe.as_raw_fd());
                fd::close_all_but(3, &mut kept);
                // Its own number may be one of those that are given away.
                let exe = fd::duplicate(exe.as_raw_fd(), SCAN_NOTIFY + 1);
                let placed = exe.and_then(|exe| place_all(places.into_iter().chain(notify)).map(|()| exe));
                svc_sys::signals::reset();
                let errno = match placed {
                    Ok(exe) => svc_sys::exe::execute(exe.as_fd(), &arguments),
                    Err(errno) => errno,
                };
                say!("svc-init: cannot execute svc-scan: {errno}{}", hint(errno));
                process::exit_now(svc_sys::exit::SYSTEM)
            }
            Fork::Parent(pid) => {
                self.started(Daemon::Scan, pid, ours);
                Ok(())
            }
        }
    }

    pub(crate) fn start_log(&mut self, config: &Config) -> Result<(), Errno> {
        let (ours, theirs) = fd::packet_pair()?;
        match process::fork()? {
            Fork::Child => {
                process::new_session();
                let link = theirs.as_raw_fd();
                fd::close_all_but(3, &mut [link, self.tail, self.bell]);
                let handover = ToKeep { link, tail: self.tail, ring_bytes: config.ring_bytes, bell: self.bell };
                process::exit_now((self.keep_log)(handover))
            }
            Fork::Parent(pid) => {
                self.started(Daemon::Log, pid, ours);
                Ok(())
            }
        }
    }

    fn started(&mut self, daemon: Daemon, pid: Pid, link: OwnedFd) {
        self.ledger.set_own(pid_of(daemon), pid.raw() as u64);
        self.ledger.set_own(link_of(daemon), link.as_fd().as_raw_fd() as u64 + 1);
        match daemon {
            Daemon::Scan => self.scan.connect(link),
            Daemon::Log => self.log.connect(link),
        }
    }

    /// svc-log has closed its side. Its SIGCHLD comes in its own time; until then there is nothing to wait for here.
    pub(crate) fn lose_log(&mut self) {
        self.ledger.set_own(link_of(Daemon::Log), 0);
        self.log.disconnect();
    }

    /// Nothing more will come: read to the end, and leave. A reader that has paused finds it later: a line that was moved alone has
    /// taken a page of the sixteen that a pipe has, and what has waited behind them needs few.
    pub(crate) fn finish_log(&mut self) {
        for number in 1..=2 {
            // It is no pipe, or all pipes of its user have too much room: then this one keeps what it has.
            let _ = fd::widen_pipe(number);
        }
        self.log.send(None, ToLog::Finish.encode(), Vec::new());
    }

    /// Ends a daemon. svc-scan may first tell its clients the last that happened: it leaves when its socket to us closes.
    pub(crate) fn kill(&mut self, daemon: Daemon) {
        let Some(pid) = self.pid(daemon) else { return };
        match daemon {
            Daemon::Scan => self.scan.disconnect(),
            Daemon::Log => drop(process::signal_child(pid, Signal::KILL)),
        }
        // Where we are not process 1 nobody else should have to reap it. A process that the kernel cannot end does not keep us.
        let Ok(handle) = process::PidFd::open(pid) else { return };
        for last in [false, true] {
            let now = clock::now();
            poll::wait(&mut [poll::readable(handle.as_raw_fd())], now, Some(now + REAP_TIME));
            if last || process::reap_one(pid) != process::Reap::AllLive {
                return;
            }
            let _ = handle.signal(Signal::KILL);
        }
    }

    /// Keeps the socket that listens for clients: the next svc-scan answers those who wait in its queue.
    pub(crate) fn keep_listener(&mut self, listener: OwnedFd) {
        let before = self.ledger.own(Own::Listener);
        self.ledger.set_own(Own::Listener, fd::release(listener) as u64 + 1);
        if let Some(before) = before.checked_sub(1) {
            fd::close(before as RawFd);
        }
    }
}

pub(crate) fn name_of(daemon: Daemon) -> &'static str {
    match daemon {
        Daemon::Scan => "svc-scan",
        Daemon::Log => "svc-log",
    }
}

/// The cure for an error that a limit of the container gives.
pub(crate) fn hint(errno: Errno) -> &'static str {
    match errno {
        Errno::AGAIN => ": the limit on processes is reached (hint: docker run --pids-limit)",
        Errno::TOO_MANY_FILES => ": the limit on open files is too low (hint: docker run --ulimit nofile=1024)",
        Errno::FILE_TOO_LARGE => {
            ": the limit on the size of files holds for memory that processes share, too (hint: docker run --ulimit fsize=-1, \
             ulimit -f unlimited)"
        }
        Errno::NO_MEMORY => ": the limit on memory or on address space is too low (hint: docker run --memory, ulimit -v)",
        _ => "",
    }
}

/// Whether it is no reader whom lines have waited for: there is a file among the two, and nobody who has no room.
pub(crate) fn fails_to_store() -> bool {
    let mut interests = [poll::writable(1), poll::writable(2)];
    poll::wait(&mut interests, Millis::ZERO, Some(Millis::ZERO));
    let is_file = |number: RawFd| {
        let kind = std::fs::metadata(format!("/proc/self/fd/{number}")).map(|data| data.file_type());
        let is_device = kind.as_ref().is_ok_and(|kind| kind.is_char_device());
        kind.is_ok_and(|kind| kind.is_file()) || is_device && fd::borrow(number).is_some_and(|fd| !fd.is_terminal())
    };
    interests.iter().all(poll::is_ready) && (1..=2).any(is_file)
}

fn pid_of(daemon: Daemon) -> Own {
    match daemon {
        Daemon::Scan => Own::ScanPid,
        Daemon::Log => Own::LogPid,
    }
}

fn link_of(daemon: Daemon) -> Own {
    match daemon {
        Daemon::Scan => Own::ScanLink,
        Daemon::Log => Own::LogLink,
    }
}

fn scan_arguments(config: &Config, run_dir: Option<&Path>, notify: bool) -> Vec<CString> {
    let mut arguments = vec![c"svc-scan".to_owned(), c"--worker".to_owned()];
    arguments.push(CString::new(format!("--tail-bytes={}", config.ring_bytes)).unwrap_or_default());
    if let Some(run_dir) = run_dir {
        arguments.push(c"--run-dir".to_owned());
        arguments.push(c_path(run_dir));
    }
    arguments.extend(config.scan_dirs.iter().map(|dir| c_path(dir)));
    if let Some(rescan) = config.rescan {
        arguments.push(CString::new(format!("--rescan={}", rescan.0)).unwrap_or_default());
    }
    arguments.extend(config.scan_options.iter().filter_map(|word| CString::new(word.as_str()).ok()));
    if notify {
        arguments.push(CString::new(format!("--notify={SCAN_NOTIFY}")).unwrap_or_default());
    }
    if !config.command.is_empty() {
        arguments.push(c"--".to_owned());
        arguments.extend(config.command.iter().map(|word| c_path(Path::new(word))));
    }
    arguments
}

/// Puts descriptors where the program expects them, in a child that is about to exec.
fn place_all(places: impl Iterator<Item = (RawFd, RawFd)>) -> Result<(), Errno> {
    let mut sources = Vec::new();
    for (source, target) in places {
        sources.push((fd::duplicate(source, ABOVE_SCAN)?, target));
    }
    for (source, target) in &sources {
        fd::place(source.as_raw_fd(), *target)?;
    }
    Ok(())
}
