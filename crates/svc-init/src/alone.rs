//! One service and nothing else, as s6-supervise has it: a supervisor, and this process above it.
//!
//! Signals go on to the supervisor. If that is killed, another goes on where it was, as in a whole tree; and if this process is
//! killed, the supervisor stops the service, so that whoever starts the next one gets no second copy.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use svc_core::service::Command;
use svc_core::{Definition, Exit, Millis, Output, Service, Signal};
use svc_proto::handover::{KeepNotification, ToSupervise};
use svc_proto::label::{Label, NO_SCAN_DIR};
use svc_proto::ledger::{Kept, Ledger, Own};
use svc_proto::link::{MAX_PACKET, Report, ToSupervisor};
use svc_proto::{definition, tail};
use svc_sys::process::{self, Reap};
use svc_sys::signals::Signals;
use svc_sys::{Errno, clock, exit, fd, message, poll, say};

use crate::outbox::Outbox;
use crate::table::{Launch, Table};
use crate::{Refusal, rescue};

/// The only slot.
const SLOT: u32 = 0;
/// More than its one supervisor needs.
const DESCRIPTORS: u64 = 512;
/// Supervisors start so far apart, where they do not live.
const AGAIN: Millis = Millis::from_secs(1);

/// Supervises the service until it is told to leave; returns the exit code.
pub fn supervise_alone(definition: &Definition, supervise: fn(ToSupervise) -> u8) -> u8 {
    match Alone::new(definition, supervise) {
        Ok(mut alone) => alone.watch(),
        Err(refusal) => {
            say!("svc-supervise: {}: {}", definition.name, refusal.message);
            refusal.code
        }
    }
}

struct Alone {
    definition: Vec<u8>,
    label: Vec<u8>,
    ledger: Ledger,
    signals: Signals,
    inbox: OwnedFd,
    table: Table,
    /// Nobody reads it: there is no svc-log.
    log: Outbox,
    /// Not before then is there another supervisor.
    start_at: Option<Millis>,
    /// It was told to leave the service alone.
    abandoned: bool,
}

impl Alone {
    fn new(service: &Definition, supervise: fn(ToSupervise) -> u8) -> Result<Alone, Refusal> {
        let signals = Signals::take_all().map_err(|errno| Refusal::system("cannot take signals", errno))?;
        if let Err(errno) = process::become_subreaper() {
            say!("svc-supervise: {}: cannot become a subreaper (prctl): {errno}", service.name);
        }
        svc_sys::title::prepare();
        let descriptors = fd::raise_limit_of_descriptors().ok();
        let exe = svc_sys::exe::open()
            .map_err(|errno| Refusal::system("cannot open /proc/self/exe (/proc must be mounted)", errno))?;
        fd::make_room(exe.as_fd(), DESCRIPTORS);
        let memory = rescue::memory(None, tail::LEAST_BYTES)?;
        let rescue::Memory { ledger, inbox_read, inbox_write, tail: _, bell: _ } = memory;
        ledger.set_own(Own::Exe, fd::release(exe) as u64 + 1);
        let table =
            Table::new(ledger, fd::release(inbox_write), descriptors, "svc-supervise", None, Millis::ZERO, supervise)
                .map_err(|errno| Refusal::system("cannot make a stack for the supervisor", errno))?;
        let (name, added_ms) = (String::new(), clock::wall_ms());
        let label = Label { name, device: 0, inode: 0, scan_dir: NO_SCAN_DIR, added_ms, kind: 0 };
        Ok(Alone {
            definition: definition::encode(service),
            label: label.encode(),
            ledger,
            signals,
            inbox: inbox_read,
            table,
            log: Outbox::default(),
            start_at: Some(Millis::ZERO),
            abandoned: false,
        })
    }

    fn watch(&mut self) -> u8 {
        loop {
            let now = clock::now();
            if self.start_at.is_some_and(|at| at <= now) {
                self.start(now);
            }
            let link = self.link().unwrap_or(-1);
            let mut interests = [self.signals.as_raw_fd(), self.inbox.as_raw_fd(), link].map(poll::readable);
            poll::wait(&mut interests, clock::now(), self.start_at);
            self.table.close_given();
            // A descriptor to keep comes first: whoever sent it may have died since.
            self.read_inbox();
            self.read_reports();
            if let Some(code) = self.read_signals() {
                return code;
            }
        }
    }

    fn start(&mut self, now: Millis) {
        self.start_at = None;
        let service = Launch {
            slot: SLOT,
            output: Output::Starter,
            stdin_of: None,
            stdout_of: None,
            stopped: false,
            label: &self.label,
            definition: &self.definition,
        };
        if let Err(errno) = self.table.launch(service, &mut self.log) {
            say!("svc-supervise: cannot start a supervisor: {errno}{} (retry in 1 s)", crate::daemons::hint(errno));
            self.start_at = Some(now + AGAIN);
        }
    }

    /// The socket on which svc-scan would be.
    fn link(&self) -> Option<RawFd> {
        self.ledger.row(SLOT).filter(|row| row.in_use())?.kept(Kept::ScanEnd)
    }

    fn read_inbox(&mut self) {
        let mut packet = [0; 64];
        while let Ok(Some((length, mut fds))) = message::try_receive(self.inbox.as_fd(), &mut packet) {
            let Some(keep) = KeepNotification::decode(&packet[..length]) else { continue };
            match (self.ledger.row(keep.slot).filter(|row| row.in_use()), fds.pop()) {
                (Some(row), Some(pipe)) => self.table.keep(row, Kept::Notification, pipe),
                (Some(row), None) => self.table.drop_kept(row, Kept::Notification),
                (None, _) => {}
            }
        }
    }

    /// Makes room for more of them. Who leaves gives up what the service reads from and writes to, and so do we.
    fn read_reports(&mut self) {
        let mut packet = [0; MAX_REPORT];
        while let Some(link) = self.link().and_then(fd::borrow) {
            match message::try_receive(link, &mut packet) {
                Ok(Some((length @ 1.., _))) => {
                    let report = Report::decode(&packet[..length]).ok();
                    let machine = report.and_then(|report| Service::from_words(&report.words));
                    if machine.is_some_and(|machine| machine.leaving()) {
                        fd::take_nothing();
                    }
                }
                Ok(None) => return,
                Ok(Some((0, _))) | Err(_) => {
                    // The supervisor has ended; the next one has a socket of its own.
                    if let Some(row) = self.ledger.row(SLOT) {
                        self.table.drop_kept(row, Kept::ScanEnd);
                    }
                    return;
                }
            }
        }
    }

    /// The exit code, when it is over.
    fn read_signals(&mut self) -> Option<u8> {
        while let Some(signal) = self.signals.next() {
            match signal {
                Signal::CHLD => {
                    while let Reap::One(reaped) = process::peek() {
                        if !self.table.is_supervisor(reaped.pid) {
                            self.table.relay(reaped);
                        }
                        process::reap_one(reaped.pid);
                        match self.table.supervisor_ended(reaped) {
                            Some(_) => {
                                let code = self.after(reaped.exit);
                                if code.is_some() {
                                    return code;
                                }
                            }
                            None => self.table.orphan_ended(reaped),
                        }
                    }
                }
                Signal::TERM => self.tell(Command::Terminate),
                Signal::HUP => self.tell(Command::Drain),
                Signal::QUIT => self.tell(Command::Abandon),
                Signal::INT => self.tell(Command::Interrupt),
                _ => {}
            }
        }
        None
    }

    /// What follows when the supervisor has ended.
    fn after(&mut self, ended: Exit) -> Option<u8> {
        match ended {
            Exit::Code(exit::DONE) => Some(exit::DONE),
            // It has said why.
            Exit::Code(code @ (exit::USAGE | exit::SYSTEM)) => Some(code),
            _ if self.abandoned => Some(exit::DONE),
            ended => {
                say!("svc-supervise: the supervisor ended ({ended}): another goes on; the service runs");
                self.start_at = Some(clock::now() + AGAIN);
                None
            }
        }
    }

    fn tell(&mut self, command: Command) {
        self.abandoned |= matches!(command, Command::Abandon | Command::Interrupt);
        let Some(link) = self.link().and_then(fd::borrow) else { return };
        if let Err(errno) = message::try_send(link, &ToSupervisor::Command(command).encode(), &[])
            && errno != Errno::BROKEN_PIPE
        {
            say!("svc-supervise: cannot pass a signal on: {errno}");
        }
    }
}

/// More than any report has.
const MAX_REPORT: usize = if MAX_PACKET < 1024 { MAX_PACKET } else { 1024 };
