//! The first process: it forks the others, reaps whoever ends, holds what must not be lost, and passes on what it hears.
//!
//! It parses nothing that a user wrote, and allocates nothing on behalf of a client. Its decisions are
//! `svc_core::init::Init`'s; what it holds stands in the ledger, so that after a panic it goes on where it was. It may not
//! wait for anybody: every socket is written to without blocking, and the one place where it sleeps is `poll`.
#![forbid(unsafe_code)]

mod alone;
mod codes;
mod daemons;
mod ending;
mod hooks;
mod outbox;
mod place;
mod rescue;
mod table;

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use svc_core::init::{Action, Daemon, Event, Init, Order};
use svc_core::{Exit, Millis, Pid, Signal};
use svc_proto::handover::{KeepNotification, ToKeep, ToSupervise};
use svc_proto::ledger::{Kept, Ledger, Own};
use svc_proto::link::{MAX_PACKET, ToInit, ToScan};
use svc_sys::process::{self, Reap, Reaped};
use svc_sys::signals::Signals;
use svc_sys::{Errno, clock, fd, message, poll, procfs, say};

pub use alone::supervise_alone;
use daemons::Daemons;
pub use place::{Asked, run_dir_beside, try_run_dir};
use table::{Launch, Table};

/// Five for each of more than a thousand services. Each supervisor shares the table until it has one of its own.
const DESCRIPTORS: u64 = 8192;
/// Room for the table of children and for messages that a daemon has not taken yet.
const HEAP: usize = 64 * 1024 * 1024;

/// When nothing has happened for so long, nothing is soon to happen: the code that is in memory is given back.
const QUIET: Millis = Millis::from_secs(1);
/// So many ended processes are taken before requests have their turn again.
const REAP_TURN: usize = 1024;

/// What the whole program is started with.
pub struct Config {
    /// Absolute, in the order given.
    pub scan_dirs: Vec<PathBuf>,
    /// A main program, whose end is the end.
    pub command: Vec<OsString>,
    /// How long a stop may take in all.
    pub stop_timeout: Millis,
    /// How much of it what is left may have when all services have ended.
    pub rest: Option<Millis>,
    /// As in s6-overlay, SIGTERM is a message: a second one is no impatience, and the code of a main program that ends by the stop is
    /// not the container's.
    pub overlay: bool,
    /// Bytes of each service's last lines.
    pub ring_bytes: usize,
    /// What `ps` shows for a supervisor.
    pub supervisor_title: &'static str,
    /// The descriptor of the ledger, when a predecessor re-executed itself.
    pub recover: Option<i32>,
    /// Those of the locks that it held.
    pub guards: Vec<i32>,
    /// Look at all directories again so often, if not only when something happens there.
    pub rescan: Option<Millis>,
    /// A descriptor that gets a newline once the control FIFOs are served.
    pub notify: Option<i32>,
    /// What else svc-scan is told; nothing of it concerns svc-init.
    pub scan_options: Vec<String>,
    /// Where scripts write the exit code that svc is to have in the end.
    pub exit_code_file: Option<PathBuf>,
    /// The arguments of this process, to be given to itself.
    pub arguments: Vec<CString>,
    pub supervise: fn(ToSupervise) -> u8,
    pub keep_log: fn(ToKeep) -> u8,
}

/// Becomes svc-init. Returns an exit code for what goes wrong at the start; after that, never.
pub fn run(config: Config) -> u8 {
    match Tree::start(config) {
        // From here on nothing may end this process but `Action::Exit` and `Action::Abort`.
        Ok(mut tree) => tree.watch(),
        Err(refusal) => {
            say!("svc-init: {}", refusal.message);
            refusal.code
        }
    }
}

/// Why svc does not start.
pub(crate) struct Refusal {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn system(what: &str, errno: Errno) -> Refusal {
        Refusal { code: svc_sys::exit::SYSTEM, message: format!("{what}: {errno}{}", daemons::hint(errno)) }
    }
}

/// Everything this process holds.
struct Tree {
    machine: Init,
    config: Config,
    ledger: Ledger,
    signals: Signals,
    inbox: std::os::fd::OwnedFd,
    table: Table,
    daemons: Daemons,
    /// Locks on the run directory and the scan directories, for as long as we live.
    _guards: Vec<std::os::fd::OwnedFd>,
    /// Packets come in here; children do not get it.
    buffer: &'static mut [u8],
}

impl Tree {
    fn start(config: Config) -> Result<Tree, Refusal> {
        let began = clock::now();
        // First of all: whatever comes from now on waits until we listen.
        let signals = Signals::take_all().map_err(|errno| Refusal::system("cannot take signals", errno))?;
        if let Err(errno) = process::become_subreaper() {
            // So it is under qemu-user. Orphans then go to process 1, which may be us.
            say!(
                "svc-init: cannot become a subreaper (prctl): {errno}: what a service leaves behind is not stopped with it"
            );
        }
        process::refuse_huge_pages();
        svc_sys::title::prepare();
        // The environment stands in the heap of before, and is never written again: all our children share it.
        svc_sys::alloc::use_small_heap(HEAP);
        // `svc-scan DIR >log 2>&1`: lines of services and ours come into one file by several ways.
        (1..=2).for_each(fd::append_to_file);
        if let Ok(console) = fd::reopen_for_writing(2) {
            svc_sys::say::use_console(fd::release(console));
        }
        let descriptors = fd::raise_limit_of_descriptors().ok();
        let recovered = config.recover.is_some();
        // Where it is a link each path of ours would go by it.
        let run_dir = place::run_dir(recovered)?;
        if let Some(run_dir) = run_dir.as_deref().filter(|_| !recovered) {
            place::tell_of_memory(run_dir, config.exit_code_file.as_deref());
        }
        let run_dir = run_dir.map(|dir| dir.canonicalize().unwrap_or(dir));
        let guards = match config.recover {
            Some(_) => rescue::guards(&config.guards),
            None => place::guards(&config.scan_dirs, run_dir.as_deref())?,
        };
        let exe = svc_sys::exe::open()
            .map_err(|errno| Refusal::system("cannot open /proc/self/exe (/proc must be mounted)", errno))?;
        let exe = fd::raise(exe, daemons::ABOVE_SCAN);
        fd::make_room(exe.as_fd(), DESCRIPTORS);
        let rescue::Memory { ledger, tail, bell, inbox_read, inbox_write } =
            rescue::memory(config.recover, config.ring_bytes)?;
        rescue::arm(ledger, exe, &guards, &config.arguments);
        if !recovered {
            ledger.set_own(Own::Began, began.0);
        }
        let machine = if recovered { rescue::machine(ledger, config.stop_timeout) } else { Init::new(config.stop_timeout) };
        let machine = machine.with_rest(config.rest);
        let files = place::files_of_s6(run_dir.as_deref());
        let (title, supervise) = (config.supervisor_title, config.supervise);
        let table = Table::new(ledger, fd::release(inbox_write), descriptors, title, files, config.stop_timeout, supervise)
            .map_err(|errno| Refusal::system("cannot make a stack for supervisors", errno))?;
        let daemons = Daemons::new(ledger, &config, run_dir, tail, bell);
        svc_sys::title::set(&[b"svc-init"], b"svc-init");
        svc_sys::private::keep();
        let buffer = svc_sys::alloc::private_buffer(MAX_PACKET).ok_or(Errno::NO_MEMORY);
        let buffer = buffer.map_err(|errno| Refusal::system("cannot make a buffer", errno))?;
        let mut tree = Tree { machine, config, ledger, signals, inbox: inbox_read, table, daemons, _guards: guards, buffer };
        if recovered {
            say!("svc-init: re-executed after a fault: services go on");
            tree.table.recover();
            // The signal that told of a death may have been read before the fault.
            tree.reap();
        }
        Ok(tree)
    }

    fn watch(&mut self) -> ! {
        self.step(Event::Deadline);
        let mut quiet_at = Some(clock::now() + QUIET);
        loop {
            if quiet_at.is_some_and(|at| at <= clock::now()) {
                quiet_at = None;
                svc_sys::exe::forget_code();
            }
            let mut interests = [
                poll::readable(self.signals.as_raw_fd()),
                poll::readable(self.inbox.as_raw_fd()),
                self.daemons.scan.interest(),
                self.daemons.log.interest(),
            ];
            let deadline = self.machine.deadline().into_iter().chain(quiet_at).min();
            poll::wait(&mut interests, clock::now(), deadline);
            if interests.iter().any(|interest| interest.revents != 0) {
                quiet_at = Some(clock::now() + QUIET);
            }
            if poll::is_hung_up(&interests[3]) {
                self.daemons.lose_log();
            }
            self.table.close_given();
            // Descriptors to keep come first: whoever sent one may have died since.
            self.read_inbox();
            self.read_signals();
            self.read_scan();
            self.daemons.scan.flush();
            self.daemons.log.flush();
            self.step(Event::Deadline);
        }
    }

    fn step(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.machine.step(clock::now(), event, &mut |action| actions.push(action));
        self.ledger.set_own(Own::Ending, self.machine.ending().map_or(0, rescue::ending_word));
        for action in actions {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Start(daemon) => {
                let started = match daemon {
                    Daemon::Scan => self.daemons.start_scan(&self.config),
                    Daemon::Log => self.daemons.start_log(&self.config),
                };
                match started {
                    Ok(()) => {
                        match daemon {
                            Daemon::Scan => self.table.introduce(&mut self.daemons.scan),
                            Daemon::Log => self.table.hand_out(&mut self.daemons.log),
                        }
                        self.daemons.failed(daemon, None);
                        self.step(Event::Started(daemon));
                    }
                    Err(errno) => {
                        if self.daemons.failed(daemon, Some(errno)) {
                            let (name, hint) = (daemons::name_of(daemon), daemons::hint(errno));
                            say!("svc-init: cannot start {name}: {errno}{hint} (trying again every second)");
                        }
                        self.step(Event::StartFailed(daemon));
                        self.look_whether_all_is_read(daemon);
                    }
                }
            }
            Action::Tell(order) => {
                if let Order::Shutdown { .. } = order {
                    self.wake_up();
                }
                self.daemons.scan.send(None, ToScan::Order(order).encode(), Vec::new());
            }
            Action::StopOrphans => self.stop_orphans(),
            Action::KillEverybody => self.kill_everybody(),
            Action::FinishLog => self.daemons.finish_log(),
            Action::Kill(daemon) => {
                self.daemons.kill(daemon);
                self.tell_lost(daemon);
            }
            Action::Exit { code } => {
                // What svc-scan has run beside services, such as the command of a condition, is nobody else's.
                self.kill_living();
                let file = self.config.exit_code_file.as_deref();
                let code = file.and_then(codes::read).unwrap_or(code);
                hooks::leave(&self.config.scan_dirs, code, || place::clear_memory(self.daemons.run_dir(), file))
            }
            // Services go on, and need what is there.
            Action::Abort => hooks::leave(&self.config.scan_dirs, 0, || {}),
        }
    }

    /// The code with which svc is to end, unless scripts say another one on the way. Once everything ends it is theirs alone.
    fn wish_for_code(&self, code: u8, named: bool) -> u8 {
        let is_first = named || self.machine.ending().is_none();
        if let Some(file) = self.config.exit_code_file.as_deref().filter(|_| is_first) {
            codes::write(file, code);
        }
        // Where there is no such file, too.
        if self.config.overlay && !is_first { svc_sys::exit::DONE } else { code }
    }

    fn read_signals(&mut self) {
        let mut reap = false;
        while let Some(signal) = self.signals.next() {
            if signal == Signal::CHLD {
                reap = true;
            } else if signal.number() == rescue::FAULT_SIGNAL {
                rescue::provoke();
            } else if !hooks::stands_in(&self.config.scan_dirs, signal) && !self.is_known_already(signal) {
                // The machine must know who is there when it hears that everything is to end.
                self.count_others();
                self.step(Event::Signal(signal));
            }
        }
        if reap {
            self.reap();
        }
    }

    /// One more message that everything is to end, which it does.
    fn is_known_already(&self, signal: Signal) -> bool {
        self.config.overlay && signal == Signal::TERM && self.machine.ending().is_some()
    }

    /// Takes everybody who has ended: one SIGCHLD may stand for many.
    fn reap(&mut self) {
        // A bounded number a turn: they may end faster than they can be taken.
        let mut taken = 0;
        while taken < REAP_TURN
            && let Reap::One(ended) = process::peek()
        {
            if !self.daemons.is_one(ended.pid) && !self.table.is_supervisor(ended.pid) {
                self.table.relay(ended);
            }
            process::reap_one(ended.pid);
            self.reaped(ended);
            taken += 1;
        }
        if taken == REAP_TURN {
            process::look_at_children_again();
        }
        if self.machine.ending().is_some() {
            self.count_others();
        }
    }

    fn reaped(&mut self, reaped: Reaped) {
        if let Some(daemon) = self.daemons.ended(reaped) {
            let done = reaped.exit == Exit::Code(svc_sys::exit::DONE);
            self.step(if done { Event::Exited(daemon) } else { Event::Crashed(daemon) });
            self.look_whether_all_is_read(daemon);
        } else if let Some(slot) = self.table.supervisor_ended(reaped) {
            // svc-scan says so too, if it lives and is quick enough.
            if let Some(code) = self.table.code_of_command(slot) {
                let code = self.wish_for_code(code, false);
                self.step(Event::Shutdown { code, named: false, force: false });
            }
            self.daemons.scan.send(None, ToScan::Died { slot }.encode(), Vec::new());
        } else {
            self.table.orphan_ended(reaped);
        }
    }

    /// Tells the machine whether a svc-log that did not come, or did not stay, is needed at the end.
    fn look_whether_all_is_read(&mut self, gone: Daemon) {
        match gone {
            Daemon::Log if self.machine.ending().is_some() && self.table.unread().is_empty() => self.step(Event::AllRead),
            Daemon::Log | Daemon::Scan => {}
        }
    }

    /// Tells the machine who is left; only the end wants to know.
    fn count_others(&mut self) {
        let supervisors = self.table.supervisors();
        let orphans = if supervisors > 0 { 0 } else { self.others().len() };
        self.step(Event::Others { supervisors, orphans });
    }

    /// Our children that are neither daemons nor supervisors.
    fn others(&self) -> Vec<Pid> {
        let mut others = procfs::children(process::id());
        others.retain(|&pid| !self.daemons.is_one(pid) && !self.table.is_supervisor(pid));
        others
    }

    /// Whom of ours somebody has stopped (SIGSTOP) is needed for the end.
    fn wake_up(&self) {
        while let Some(pid) = process::stopped() {
            if self.daemons.is_one(pid) || self.table.is_supervisor(pid) {
                let _ = process::signal_child(pid, Signal::CONT);
            }
        }
    }

    fn read_inbox(&mut self) {
        while let Ok(Some((length, mut fds))) = message::try_receive(self.inbox.as_fd(), self.buffer) {
            let Some(keep) = KeepNotification::decode(&self.buffer[..length]) else { continue };
            let row = self.ledger.row(keep.slot).filter(|row| row.in_use());
            match (row, fds.pop()) {
                (Some(row), Some(pipe)) => self.table.keep(row, Kept::Notification, pipe),
                (Some(row), None) => self.table.drop_kept(row, Kept::Notification),
                // The service was over before we came to read this.
                (None, _) => {}
            }
        }
    }

    fn read_scan(&mut self) {
        // A bounded number a turn, so that signals are never far behind.
        for _ in 0..64 {
            let Some((length, fds)) = self.daemons.scan.receive(self.buffer) else { break };
            match ToInit::decode(&self.buffer[..length]) {
                Ok(request) => self.serve(request, fds),
                Err(_) => say!("svc-init: refused a message from svc-scan that it does not know"),
            }
        }
    }

    fn serve(&mut self, request: ToInit, mut fds: Vec<std::os::fd::OwnedFd>) {
        match request {
            ToInit::Launch { slot, output, stdin_of, stdout_of, stopped, label, definition } => {
                let is_new = self.ledger.row(slot).is_some_and(|row| !row.in_use());
                let launched = if self.machine.takes_launch(is_new) {
                    let service =
                        Launch { slot, output, stdin_of, stdout_of, stopped, label: &label, definition: &definition };
                    self.table.launch(service, &mut self.daemons.log)
                } else {
                    // Asked for before svc-scan heard of the end.
                    Err(Errno::CANCELED)
                };
                match launched {
                    Ok(row) => self.table.introduce_row(row, &mut self.daemons.scan),
                    Err(errno) => {
                        let failed = ToScan::LaunchFailed { slot, errno: errno.0 };
                        self.daemons.scan.send(None, failed.encode(), Vec::new());
                    }
                }
            }
            ToInit::Retire { slot } => {
                self.daemons.scan.forget(slot);
                self.daemons.log.forget(slot);
                self.table.retire(slot, &mut self.daemons.log);
            }
            ToInit::Sockets { slot, prints } => self.table.keep_sockets(slot, &prints, fds),
            ToInit::KeepListener => {
                if let Some(listener) = fds.pop() {
                    self.daemons.keep_listener(listener);
                }
            }
            ToInit::Shutdown { code, named, force } => {
                let code = self.wish_for_code(code, named);
                self.count_others();
                self.step(Event::Shutdown { code, named, force });
            }
            ToInit::Stop { quick } => {
                self.count_others();
                self.step(Event::Stop { quick });
            }
            ToInit::Abort => self.step(Event::Signal(Signal::ABRT)),
        }
    }
}

/// A path as the kernel takes it. Paths of ours contain no NUL: they come from arguments and directory entries.
pub(crate) fn c_path(path: &std::path::Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}
