//! The loop: wait, take in, act.

mod checks;
mod errand;
mod follow;
mod visitors;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use svc_core::definition::{Definition, Settings};
use svc_core::letters::{self, DownFile};
use svc_core::restart::AtLimit;
use svc_core::service::{
    Action, Actions, Command, Daemon, Event, NOTHING_TO_DO, Note, Rest, Role, Service, Stage, State, Target, Trouble, Want,
};
use svc_core::{Exit, Millis, Output, Pid, Program, Signal};
use svc_proto::handover::ToSupervise;
use svc_proto::ledger::Row;
use svc_proto::link::{Report, ToSupervisor};
use svc_sys::process::{self, PidFd, Reap};
use svc_sys::signals::Signals;
use svc_sys::{Errno, clock, fd, message, poll, say};

use crate::daemon;
use crate::leaf;
use crate::ondisk::OnDisk;
use crate::program::Programs;
use crate::remains::Remains;
use crate::settings::SmallFiles;

/// Trying again soon may help when something is short.
const RETRY_SHORTAGE: Millis = Millis::from_secs(1);
/// A program that cannot be executed will hardly change by itself; s6 waits 10 s here too. A `start` does not wait.
const RETRY_EXEC: Millis = Millis::from_secs(10);
/// So many ended children a turn: where they end faster than they can be taken, commands and deadlines have their turn too.
const REAP_TURN: usize = 256;
/// Where the FIFO of letters stands among what is waited for.
const CONTROL: usize = 3;
/// Where so many are launched at once, what runs comes before what can be looked at.
const MANY: u64 = 64;
/// So long after its start a service gets its files, or after that again; but not later than the last.
const LATER: Millis = Millis(200);
const LATEST: Millis = Millis::from_secs(1);

pub(crate) struct Driver {
    machine: Service,
    definition: Definition,
    settings: Settings,
    row: Row,
    /// None once svc-init is gone.
    link: Option<OwnedFd>,
    signals: Signals,
    programs: Programs,
    /// What the service listens on, in the order in which it gets them.
    sockets: Vec<OwnedFd>,
    /// Since when nobody has come to them, where that is to be known.
    span: Option<visitors::Span>,
    remains: Remains,
    /// The pipe on which the running service says that it is ready.
    readiness: Option<OwnedFd>,
    /// The main process, if it is not our child because a predecessor of ours started it.
    adopted: Option<Adopted>,
    /// svc-init has told whom a main process that was not our child has left behind.
    knows_orphans: bool,
    /// The group of the last `run`, for `finish`.
    last_group: Option<Pid>,
    /// What is left is being killed, and whoever it makes meanwhile.
    killing: bool,
    /// A report that svc-scan had no room for.
    unsent: bool,
    /// Commands that came from svc-scan, and how many of them the last report knew of.
    heard: u32,
    reported: u32,
    /// svc-scan has been told that nothing of the service is left.
    told_gone: bool,
    small_files: SmallFiles,
    /// What is looked at while it runs; none where nothing is.
    watch: Option<Box<checks::Watch>>,
    /// What the stop waits for, while it runs.
    errand: Option<errand::Errand>,
    /// What s6's tools find.
    files: OnDisk,
    /// Our own copy: what svc-init handed over is gone when the late files are made.
    run_dir: Option<Box<std::path::Path>>,
    /// The files are made when the others have been started, and when to look whether they have.
    files_at: Option<Millis>,
    /// What is to be run from the next start on.
    coming: Option<Program>,
    /// The settings were read just now, by svc-scan.
    fresh: bool,
    init_pid: i32,
}

struct Adopted {
    pid: Pid,
    /// It has a parent that is neither svc-init nor we, and only its handle tells when it ends.
    apart: bool,
    handle: Option<PidFd>,
    /// The session it is in: its own, or that of somebody who has ended.
    session: i32,
}

impl Driver {
    pub(crate) fn new(handover: ToSupervise, definition: Definition) -> Result<Box<Driver>, Errno> {
        let signals = Signals::take_all()?;
        // Without it svc goes on, and svc-init has said what that means.
        let _ = process::become_subreaper();
        let link = Some(fd::adopt(handover.link).ok_or(Errno::INVALID)?);
        let now = clock::now();
        let saved = handover.row.saved().and_then(|words| Service::from_words(&words));
        let heir = saved.is_some();
        let machine = saved.unwrap_or_else(|| match definition.managed {
            Some(wish) => Service::new(now, false).with_wish(wish),
            None => Service::new(now, !definition.down),
        });
        // Any number will do, as long as not all services have the same.
        let machine = if heir { machine } else { machine.with_chance(process::id() as u32 ^ (now.0 as u32) << 16) };
        let settings = definition.settings.clone();
        let mut driver = Box::new(Driver {
            machine,
            settings,
            row: handover.row,
            link,
            signals,
            sockets: handover.sockets.iter().filter_map(|&number| fd::adopt(number)).collect(),
            span: None,
            remains: Remains::new(&handover.orphans),
            readiness: None,
            adopted: None,
            knows_orphans: false,
            last_group: None,
            killing: false,
            unsent: false,
            heard: 0,
            reported: 0,
            told_gone: false,
            small_files: SmallFiles::default(),
            watch: None,
            errand: None,
            coming: None,
            fresh: true,
            init_pid: handover.init_pid,
            files: OnDisk::None,
            run_dir: handover.run_dir.map(Box::from),
            files_at: None,
            programs: Programs::new(&handover, &definition),
            definition,
        });
        driver.open_files(heir);
        if driver.is_alone() && !heir && !matches!(driver.files, OnDisk::Files(_)) {
            return Err(if driver.files.is_taken() { Errno::IN_USE } else { Errno::NOT_ALLOWED });
        }
        if heir {
            let kept = handover.notification.and_then(fd::adopt);
            if driver.settings.checks.as_ref().is_some_and(|checks| checks.notify.is_some()) {
                driver.inherit_checks(kept);
            } else {
                driver.readiness = kept;
                driver.inherit_checks(None);
            }
            driver.inherit();
        } else if let Some(stale) = handover.notification {
            fd::close(stale);
        }
        Ok(driver)
    }

    /// Makes the files of s6's tools, or finds them. A main program has no service directory, and no files.
    fn open_files(&mut self, heir: bool) {
        if self.definition.program != svc_core::Program::Directory || !self.programs.has_entered() {
            return;
        }
        let now = clock::now();
        if !heir && self.may_make_files_later() && self.row.launches(now) >= MANY {
            self.files_at = Some(now + LATER);
            return;
        }
        self.files = OnDisk::open(self.run_dir.as_deref(), &self.definition.name);
        if heir {
            self.files.inherit(&self.machine);
        } else {
            self.files.begin(&self.machine);
        }
    }

    /// Whether nobody can miss them at the moment of the start: nobody else supervises the directory, and the service is not
    /// one that tells when it is ready, which looks for `event/` where s6-notifyoncheck does it.
    fn may_make_files_later(&self) -> bool {
        let starts = self.machine.want() == Want::Up;
        starts && !self.is_alone() && self.settings.notification_fd.is_none() && !OnDisk::is_there()
    }

    /// Makes the files that were put off.
    #[inline(never)]
    fn make_late_files(&mut self) {
        if self.files_at.take().is_none() {
            return;
        }
        self.files = OnDisk::open(self.run_dir.as_deref(), &self.definition.name);
        if self.files.is_taken() {
            say!("svc-supervise: {}: somebody else supervises it since it was started: stop one", self.definition.name);
        }
        self.files.begin_late(&self.machine);
    }

    /// Makes them if those that start now have been started.
    fn look_at_late_files(&mut self, now: Millis) {
        let Some(at) = self.files_at.filter(|&at| at <= now) else { return };
        let since = now - self.machine.since();
        if self.row.launches(now) > 0 && since < LATEST { self.files_at = Some(at + LATER) } else { self.make_late_files() }
    }

    fn deadline(&self) -> Option<Millis> {
        [self.machine.deadline(), self.files_at, self.checks_deadline(), self.span_deadline()].into_iter().flatten().min()
    }

    /// Started for this one service, as s6-supervise is: nobody above us starts it again elsewhere.
    fn is_alone(&self) -> bool {
        self.definition.output == Output::Starter
    }

    fn most_deaths(&self) -> usize {
        usize::from(self.settings.max_death_tally)
    }

    /// Goes on where a predecessor was killed.
    fn inherit(&mut self) {
        let mut actions = Actions::default();
        if let State::Starting { role } = self.machine.state() {
            // It was killed while it made a process. If that process got as far as being written down, it runs.
            match self.row.spawned_for(start_mark(&self.machine, role)) {
                Some(pid) => self.feed(Event::Spawned(pid)),
                None => self.spawn(role),
            }
        }
        if self.machine.daemon() == Daemon::Found
            && let State::Up { pid, .. } = self.machine.state()
            && self.row.spawned() != Some(pid)
        {
            // Killed between the two that say so.
            self.row.set_spawned(pid, start_mark(&self.machine, Role::Run));
        }
        if let Some(pid) = self.machine.pid().filter(|_| self.adopted.is_none())
            && self.row.spawned() == Some(pid)
            && !self.is_own_child(pid)
        {
            self.adopt(pid);
            self.remains.remember_descendants(pid);
        }
        // What has ended meanwhile gets no signal any more.
        self.look();
        self.machine.resume(&mut actions, &self.settings);
        self.perform_all(&mut actions, self.machine.pid());
        self.report(Some(Note::Changed));
        self.follow();
        self.report_health();
    }

    /// The main process is svc-init's child.
    fn adopt(&mut self, pid: Pid) {
        let session = svc_sys::procfs::session(pid).unwrap_or(pid.raw());
        // The handle is opened first and looked at after: if it was svc-init's child then, it is ours to signal.
        let handle = PidFd::open(pid).ok().filter(|_| self.is_ours(pid));
        self.adopted = Some(Adopted { pid, apart: !self.is_with_init(pid), handle, session });
        // One that had ended before we came left those whom we were started with.
        self.knows_orphans = self.row.relayed(pid).is_some();
    }

    /// Whether a process that a predecessor started lives, or waits for svc-init to reap it: its number is its own until then.
    fn is_with_init(&self, pid: Pid) -> bool {
        svc_sys::procfs::parent(pid) == Some(self.init_pid)
    }

    fn is_own_child(&self, pid: Pid) -> bool {
        svc_sys::procfs::parent(pid) == Some(process::id())
    }

    pub(crate) fn watch(&mut self) -> u8 {
        self.feed(Event::Deadline);
        if let State::Down { .. } = self.machine.state() {
            // Nothing happened yet that svc-scan would have heard of.
            self.report(Some(Note::Changed));
        }
        while self.machine.state() != State::Gone {
            if self.deadline().is_none() {
                // Who sleeps without end gives back what it needs only while it works.
                process::forget_deeper_stack();
            }
            let is_armed = self.machine.state() == State::Armed;
            let asked = if is_armed || self.remains.is_watched() || self.link.is_none() || self.is_apart() {
                self.wait_with_remains()
            } else {
                let mut interests = self.interests();
                poll::wait(&mut interests, clock::now(), self.deadline());
                poll::is_ready(&interests[CONTROL])
            };
            // Ready before dead: who says that it is ready and dies was ready. Told before dead: a logger that ends because
            // it was to end is not started again.
            self.read_readiness();
            self.read_link();
            self.read_signals();
            if asked {
                self.read_control();
            }
            if self.files_at.is_some() {
                self.look_at_late_files(clock::now());
            }
            if self.unsent {
                self.report(None);
            }
            if let State::Up { .. } = self.machine.state()
                && self.machine.deadline().is_some_and(|at| at <= clock::now())
            {
                // Whom the kill goes to is read when it goes.
                self.reread();
            }
            self.feed(Event::Deadline);
            self.look_for_visitors();
            self.watch_visitors();
            self.check_time();
        }
        let done = self.machine.leaving() || self.is_alone();
        if done {
            self.leave_socket();
            self.files.leave();
        }
        // Somebody who leaves a service alone must not look like somebody who has none any more.
        if done { svc_sys::exit::DONE } else { svc_sys::exit::FAILED }
    }

    fn interests(&self) -> [poll::Interest; 4] {
        let mut link = poll::readable(self.link.as_ref().map_or(-1, AsRawFd::as_raw_fd));
        if self.unsent {
            link.events |= poll::writable(-1).events;
        }
        // A service has one of the two.
        let readiness = self.readiness.as_ref().map_or(self.socket(), AsRawFd::as_raw_fd);
        let control = self.files.control();
        [poll::readable(self.signals.as_raw_fd()), link, poll::readable(readiness), poll::readable(control)]
    }

    /// Processes that are not our children end without a SIGCHLD for us; their handles are waited for, and so are those who knock.
    /// Whether letters came.
    fn wait_with_remains(&mut self) -> bool {
        let mut interests = self.interests().to_vec();
        interests.extend(self.remains.handles().map(poll::readable));
        // Without svc-init nobody tells how an adopted process ended; that it ended its handle does.
        let adopted = self.adopted.as_ref().filter(|adopted| adopted.apart || self.link.is_none());
        interests
            .extend(adopted.and_then(|adopted| adopted.handle.as_ref()).map(|handle| poll::readable(handle.as_raw_fd())));
        let handles = interests.len();
        if self.machine.state() == State::Armed {
            interests.extend(self.sockets.iter().map(|socket| poll::readable(socket.as_raw_fd())));
        }
        poll::wait(&mut interests, clock::now(), self.deadline());
        if interests[CONTROL + 1..handles].iter().any(poll::is_ready) {
            if self.link.is_none() {
                self.look_alone();
            }
            self.look_apart();
            self.remains.forget_ended();
            self.count_remains();
            self.tidy();
        }
        poll::is_ready(&interests[CONTROL])
    }

    /// What [`Driver::look`] does when svc-init is gone, and with it every exit that it would have relayed.
    fn look_alone(&mut self) {
        let Some(pid) = self.adopted.as_ref().map(|adopted| adopted.pid) else { return };
        if svc_sys::procfs::start_time(pid).is_none() || svc_sys::procfs::is_zombie(pid) {
            self.adopted = None;
            self.ended(pid, Exit::Signal(Signal::KILL), || {});
        }
    }

    fn feed(&mut self, event: Event) {
        self.feed_then(event, || {});
    }

    /// Takes in an event. `between` is done when the state is written down, and before anything is done about it.
    fn feed_then(&mut self, event: Event, between: impl FnOnce()) {
        let mut actions = Actions::default();
        let mut event = event;
        let mut between = Some(between);
        // A turn may leave a deadline that has come already: a restart that need not wait.
        loop {
            let now = clock::now();
            let before = self.machine.pid();
            self.machine.step(now, event, &self.settings, &mut actions);
            if self.machine.state() != State::Gone || self.machine.leaving() {
                self.row.save(&self.machine.to_words());
            }
            if let Some(between) = between.take() {
                between();
                if let Event::Exited(_) = event {
                    // If nobody else is in it; until it is reaped, this one is.
                    leaf::remove(&self.definition, self.init_pid);
                }
            }
            // Who leaves at once may signal before: then the machine speaks of no process any more.
            self.perform_all(&mut actions, self.machine.pid().or(before));
            match (self.machine.state(), self.machine.deadline()) {
                (State::Down { .. }, Some(at)) if at <= now && event != Event::Deadline => event = Event::Deadline,
                _ => {
                    self.settle_errand();
                    return self.follow();
                }
            }
        }
    }

    fn perform_all(&mut self, actions: &mut Actions, main: Option<Pid>) {
        for action in actions.drain() {
            match action {
                Action::Spawn(role) => self.spawn(role),
                Action::Signal { target, signal } => self.signal(main, target, signal),
                Action::Sweep(signal) => self.sweep(signal),
                Action::Errand => self.run_errand(),
                Action::Publish(note) => {
                    if note == Note::Killed {
                        self.say_killed();
                    }
                    self.report(Some(note));
                }
                // Said already where the last of the service went in the same step.
                Action::Quit if self.told_gone => {}
                Action::Quit => self.report(None),
            }
        }
    }

    fn spawn(&mut self, role: Role) {
        if role == Role::Finish
            && last_words(&self.machine, &self.settings).is_none()
            && !self.programs.has_finish(&self.definition, self.machine.undoing())
        {
            let trouble = Trouble { stage: Stage::Exec, errno: NOTHING_TO_DO };
            self.feed(Event::SpawnFailed { retry: Millis::ZERO, trouble });
            return;
        }
        if role == Role::Run && self.files.is_taken() {
            self.open_files(false);
            if self.files.is_taken() {
                let trouble = Trouble { stage: Stage::Supervised, errno: Errno::AGAIN.0 };
                self.feed(Event::SpawnFailed { retry: RETRY_EXEC, trouble });
                return;
            }
        }
        if !std::mem::take(&mut self.fresh) {
            self.reread();
        }
        let note = self.row.begin_spawn(start_mark(&self.machine, role));
        let made = match role {
            Role::Run => {
                if let Some(program) = self.coming.take() {
                    self.definition.program = program;
                }
                self.readiness = None;
                self.adopted = None;
                let surroundings = self.surroundings();
                self.programs.run(&self.definition, &self.settings, surroundings, &self.sockets, self.row, note)
            }
            Role::Finish => {
                let last = self.machine.last().map_or(Exit::Code(0), |past| past.exit);
                // The settings may have been read again since.
                let last_words = last_words(&self.machine, &self.settings);
                let made = self.programs.finish(&self.definition, last_words, last, self.last_group, note);
                made.map(|pid| (pid, None))
            }
        };
        match made {
            Ok((pid, readiness)) => {
                if role == Role::Run {
                    self.readiness = readiness;
                }
                self.feed(Event::Spawned(pid));
            }
            Err(trouble) => {
                let shortage = Errno(trouble.errno).is_shortage();
                let retry = if shortage { RETRY_SHORTAGE } else { RETRY_EXEC };
                if role == Role::Finish {
                    let errno = Errno(trouble.errno);
                    say!("svc-supervise: {}: cannot run finish: {errno}: going on without it", self.definition.name);
                }
                self.feed(Event::SpawnFailed { retry, trouble });
            }
        }
    }

    /// The small files count at the moment they matter. What cannot be read leaves the setting as it was.
    fn reread(&mut self) {
        if self.definition.program == svc_core::Program::Directory {
            self.small_files.reread(&mut self.settings, &self.definition.name);
        }
    }

    fn signal(&mut self, main: Option<Pid>, target: Target, signal: Signal) {
        let Some(pid) = main else { return };
        if self.adopted.is_some() {
            // Its children go to svc-init when it ends, where nobody knows whose they were.
            self.remains.remember_descendants(pid);
        }
        let sent = match (target, &self.adopted) {
            (Target::Main, Some(Adopted { handle: Some(handle), .. })) => handle.signal(signal),
            // Reaped by svc-init: the number may be somebody else's.
            (Target::Main | Target::Group, Some(_)) if !self.is_ours(pid) => Err(Errno::NO_SUCH_PROCESS),
            (Target::Main, _) => process::signal_child(pid, signal),
            (Target::Group, _) if self.machine.daemon() == Daemon::Found => process::signal_group_of(pid, signal),
            (Target::Group, _) => process::signal_group(pid, signal),
        };
        if let Err(errno) = sent
            && errno != Errno::NO_SUCH_PROCESS
        {
            say!("svc-supervise: {}: cannot send {signal} to {pid}: {errno}", self.definition.name);
        }
    }

    fn sweep(&mut self, signal: Signal) {
        let main = self.machine.pid();
        self.killing = signal == Signal::KILL;
        if let Some(adopted) = &self.adopted {
            // Its children never come to us; find them while they can be found.
            self.remains.remember_descendants(adopted.pid);
            self.remains.remember_session(adopted.pid, adopted.session, self.init_pid);
        }
        if self.killing && main.is_none() {
            leaf::kill(&self.definition, self.init_pid);
        }
        // A command that has stopped the service may have more to do; what is killed is killed with everything.
        let spared = self.stop_command().filter(|_| !self.killing);
        self.remains.signal(signal, main, spared, self.init_pid);
        self.count_remains();
    }

    fn count_remains(&mut self) {
        if let State::Sweep { .. } = self.machine.state() {
            self.reap();
            let left = self.remains.left();
            if left == 0 {
                leaf::clear(&self.definition, self.init_pid);
            }
            self.feed(Event::Swept { left });
        }
    }

    fn say_killed(&self) {
        let name = &self.definition.name;
        match self.machine.state() {
            State::Up { .. } => say!("svc-supervise: {name}: did not stop in time: killed (SIGKILL)"),
            State::Finish { .. } => say!("svc-supervise: {name}: finish took too long: killed (SIGKILL)"),
            State::Sweep { .. } => say!("svc-supervise: {name}: what it left behind did not stop in time: killed (SIGKILL)"),
            State::Down { .. } | State::Armed | State::Starting { .. } | State::Gone => {}
        }
    }

    fn read_readiness(&mut self) {
        self.read_socket();
        let Some(pipe) = &self.readiness else { return };
        let mut interest = [poll::readable(pipe.as_raw_fd())];
        poll::wait(&mut interest, Millis::ZERO, Some(Millis::ZERO));
        if !poll::is_ready(&interest[0]) {
            return;
        }
        let mut bytes = [0; 256];
        match fd::read(pipe.as_fd(), &mut bytes) {
            Ok(0) | Err(_) => self.close_readiness(),
            Ok(length) if bytes[..length].contains(&b'\n') => {
                self.feed(Event::Ready);
                self.close_readiness();
            }
            Ok(_) => {}
        }
    }

    /// Nobody reads any more: whoever goes on writing is to hear of it, and not to wait for ever when the pipe is full.
    fn close_readiness(&mut self) {
        self.readiness = None;
        self.programs.forget_notification(self.row);
    }

    fn read_signals(&mut self) {
        let mut reap = false;
        while let Some(signal) = self.signals.next() {
            match signal {
                Signal::CHLD => reap = true,
                Signal::TERM => self.command(Command::Terminate),
                Signal::HUP => self.command(Command::Drain),
                Signal::QUIT => self.command(Command::Abandon),
                Signal::INT => self.command(Command::Interrupt),
                Signal::IO => self.somebody_came(),
                // Nothing else is a request to a supervisor.
                _ => {}
            }
        }
        if reap {
            self.reap();
            if let State::Sweep { .. } = self.machine.state()
                && self.killing
            {
                // Processes that make others all the time are not all in any one list.
                self.remains.signal(Signal::KILL, None, None, self.init_pid);
            }
            self.count_remains();
            self.tidy();
        }
    }

    /// The last one whom a service was allowed to leave behind may have ended.
    fn tidy(&self) {
        if self.settings.keep_descendants && matches!(self.machine.state(), State::Down { .. } | State::Armed) {
            leaf::remove(&self.definition, self.init_pid);
        }
    }

    /// Takes every child that has ended. The main process is taken only after its end is written down: until then it stays
    /// for whoever comes after us.
    fn reap(&mut self) {
        for _ in 0..REAP_TURN {
            let Reap::One(ended) = process::peek() else { return };
            if Some(ended.pid) == self.machine.pid() {
                self.ended(ended.pid, ended.exit, || {
                    process::reap_one(ended.pid);
                });
            } else {
                self.ends_look(ended.pid, ended.exit);
                process::reap_one(ended.pid);
                self.ends_errand(ended.pid, ended.exit);
            }
        }
        process::look_at_children_again();
    }

    /// The main process, or finish, has ended; `reap` takes it, where that is ours to do.
    fn ended(&mut self, pid: Pid, exit: Exit, reap: impl FnOnce()) {
        self.read_readiness();
        self.adopted.take_if(|adopted| adopted.pid == pid);
        if let Some(main) = self.successor(pid, exit) {
            let (row, mark) = (self.row, start_mark(&self.machine, Role::Run));
            self.feed_then(Event::Forked(main), || {
                row.set_spawned(main, mark);
                reap();
            });
            self.remains.forget(main);
            if !self.is_own_child(main) {
                self.adopt(main);
            }
            return;
        }
        if let State::Up { .. } = self.machine.state() {
            self.last_group = Some(pid);
            // How many deaths are remembered is read when there is one.
            self.reread();
            if self.definition.output == Output::Inherit {
                // From here on `^C` is for svc-init again.
                process::pass_terminal(pid.raw(), self.init_pid);
            }
        }
        self.feed_then(Event::Exited(exit), reap);
    }

    /// Who goes on as the service where the main process has put it into the background.
    fn successor(&self, ended: Pid, exit: Exit) -> Option<Pid> {
        let forking = self.settings.forking.as_ref().filter(|_| self.machine.may_have_forked(exit, &self.settings))?;
        let left = svc_sys::procfs::children(process::id()).into_iter().chain(self.remains.others());
        // A probe is none of the service, though it is left behind like one.
        let left = left.filter(|&pid| !self.is_probe(pid));
        let found = daemon::successor(ended, forking, left);
        if found.is_none() && self.machine.daemon() == Daemon::Launching {
            let name = &self.definition.name;
            say!(
                "svc-supervise: {name}: forking, and its command ended with 0 and left no process behind: does it stay in the foreground?"
            );
        }
        found
    }

    /// Looks whether svc-init has reaped what a predecessor of ours had started.
    fn look(&mut self) {
        let Some((pid, session)) = self.adopted.as_ref().map(|adopted| (adopted.pid, adopted.session)) else { return };
        let exit = match self.row.relayed(pid) {
            // Who is left behind is about to be told.
            Some(_) if self.row.relayed_left() && !self.knows_orphans => return,
            Some(exit) => exit,
            // Not svc-init's child and not reaped by it: it ended before it came there, and nobody knows how.
            None if !self.is_ours(pid) && std::path::Path::new("/proc/self").exists() => {
                self.row.relayed(pid).unwrap_or(Exit::Signal(Signal::KILL))
            }
            None => return,
        };
        self.remains.remember_session(pid, session, self.init_pid);
        self.adopted = None;
        self.ended(pid, exit, || {});
    }

    fn read_link(&mut self) {
        /// Commands are this long at most. Only a definition is longer, and gets room of its own for a moment.
        const COMMAND: usize = 64;
        let mut room = [0; COMMAND];
        loop {
            let Some(link) = &self.link else { return };
            let mut long = match message::next_length(link.as_fd()) {
                Some(length) if length > COMMAND => vec![0; length],
                Some(_) | None => Vec::new(),
            };
            let packet = if long.is_empty() { &mut room[..] } else { &mut long };
            match message::try_receive(link.as_fd(), packet) {
                Ok(Some((0, _))) | Err(_) => {
                    // svc-init is gone, and with it everybody who could steer us: stop what runs rather than leave it alone.
                    self.link = None;
                    self.command(Command::Terminate);
                    self.look_alone();
                    return;
                }
                Ok(None) => return,
                Ok(Some((length, descriptors))) => match ToSupervisor::decode(&packet[..length]) {
                    Ok(ToSupervisor::Command(command)) => {
                        self.heard = self.heard.wrapping_add(1);
                        self.command(command);
                        // svc-scan learns from every answer what has been heard.
                        if self.reported != self.heard {
                            self.report(None);
                        }
                    }
                    Ok(ToSupervisor::Define(definition)) => self.define(&definition, descriptors),
                    Ok(ToSupervisor::Orphans(pids)) => {
                        let pids = pids.into_iter().filter_map(|pid| Pid::new(pid as i32));
                        for pid in pids.filter(|&pid| self.is_with_init(pid)).collect::<Vec<Pid>>() {
                            self.remains.remember(pid);
                        }
                        // How it ended is told next.
                        self.knows_orphans = true;
                    }
                    Ok(ToSupervisor::Query) => self.report(None),
                    Ok(ToSupervisor::Look) => {
                        self.look();
                        self.remains.forget_ended();
                        self.count_remains();
                    }
                    Err(_) => say!("svc-supervise: {}: refused a message that it does not know", self.definition.name),
                },
            }
        }
    }

    /// Takes the letters that s6-svc wrote.
    fn read_control(&mut self) {
        let mut buffer = [0; 64];
        for &letter in self.files.read_control(&mut buffer) {
            // Others mean nothing, and are no error.
            if let Some(asked) = letters::asked(letter, self.machine.state()) {
                self.keep_down(asked.down_file);
                self.command(asked.command);
            }
        }
    }

    /// Makes or removes the file that says what holds after a reboot.
    fn keep_down(&self, file: DownFile) {
        let result = match file {
            DownFile::Keep => Ok(()),
            DownFile::Make => std::fs::OpenOptions::new().write(true).create(true).truncate(true).open("down").map(drop),
            DownFile::Remove => std::fs::remove_file("down"),
        };
        if let Err(error) = result
            && error.kind() != std::io::ErrorKind::NotFound
        {
            say!("svc-supervise: {}: cannot change the file 'down': {error}", self.definition.name);
        }
    }

    /// `sockets`: what it listens on from its next start on.
    fn define(&mut self, bytes: &[u8], sockets: Vec<OwnedFd>) {
        let Ok(definition) = svc_proto::definition::decode(bytes) else {
            say!("svc-supervise: {}: refused a definition that it does not understand", self.definition.name);
            return;
        };
        self.sockets = sockets;
        self.settings = definition.settings.clone();
        // What is running, and what takes it down, are as they were when it was started.
        let program = std::mem::replace(&mut self.definition, definition).program;
        self.coming = Some(std::mem::replace(&mut self.definition.program, program));
        self.follow();
    }

    fn command(&mut self, command: Command) {
        self.reread();
        self.feed(Event::Command(command));
        if self.is_alone() && self.machine.leaving() {
            // Whoever reads what the service writes finds the end, and so does finish.
            fd::take_nothing();
        }
    }

    #[inline(never)]
    fn report(&mut self, note: Option<Note>) {
        if let Some(note) = note {
            if !matches!(note, Note::Starting | Note::Up) {
                // Whatever else happens is told as it happens.
                self.make_late_files();
            }
            let listens = self.settings.notification_fd.is_some();
            self.files.publish(note, &self.machine, self.most_deaths(), listens);
        }
        self.reported = self.heard;
        let report = Report { note, heard: self.heard, words: self.machine.to_words() };
        let Some(link) = &self.link else {
            self.unsent = false;
            return;
        };
        let sent = message::try_send(link.as_fd(), &report.encode(), &[]);
        self.unsent = matches!(sent, Err(errno) if errno.is_shortage());
        self.told_gone = sent.is_ok() && self.machine.state() == State::Gone;
        if note.is_none() && !self.unsent {
            // Who asks, asks for all of it.
            self.report_health();
        }
    }
}

/// What is run in the place of a `finish` when a service has ended too often.
fn last_words<'a>(machine: &Service, settings: &'a Settings) -> Option<&'a [Vec<u8>]> {
    match settings.restart().map(|restart| &restart.at_limit) {
        Some(AtLimit::Run(words)) if machine.rest() == Rest::Limit => Some(words),
        Some(AtLimit::Run(_) | AtLimit::Fail | AtLimit::StopContainer { .. }) | None => None,
    }
}

/// Which start of which program, as the ledger notes it beside the pid.
fn start_mark(machine: &Service, role: Role) -> u32 {
    let role = match role {
        Role::Run => 0,
        Role::Finish => 1,
    };
    (machine.starts() as u32) << 1 | role
}
