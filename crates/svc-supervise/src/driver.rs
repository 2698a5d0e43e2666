//! The loop: wait, take in, act.

mod acts;
mod checks;
mod ends;
mod errand;
mod files;
mod follow;
mod heir;
mod link;
mod visitors;

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use svc_core::definition::{Definition, Settings};
use svc_core::service::{Actions, Command, Event, Note, Service, State};
use svc_core::{Millis, Output, Pid, Program, Signal};
use svc_proto::handover::ToSupervise;
use svc_proto::ledger::Row;
use svc_sys::signals::Signals;
use svc_sys::{Errno, clock, fd, poll, process};

use crate::credentials;
use crate::leaf;
use crate::ondisk::OnDisk;
use crate::program::Programs;
use crate::remains::Remains;
use crate::settings::SmallFiles;
use heir::Adopted;

/// Where what a supervisor has stands among what is waited for.
const SIGNALS: usize = 0;
const LINK: usize = 1;
const CONTROL: usize = 3;
const LAUNCH: usize = 4;

/// What there is to read.
struct Woken {
    signals: bool,
    link: bool,
    control: bool,
}

impl Woken {
    fn by(interests: &[poll::Interest]) -> Woken {
        let is_ready = |place: usize| interests.get(place).is_some_and(poll::is_ready);
        Woken { signals: is_ready(SIGNALS), link: is_ready(LINK), control: is_ready(CONTROL) }
    }
}

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
    /// Who waited when it was started by a knock.
    knock: Option<visitors::Knock>,
    remains: Remains,
    /// So many processes in its cgroup had been killed for want of memory when it was started.
    starved_before: u64,
    /// The pipe on which the running service says that it is ready.
    readiness: Option<OwnedFd>,
    /// The pipe on which `svc exec` says whether it has executed the program.
    launch: Option<OwnedFd>,
    /// The main process, if it is not our child because a predecessor of ours started it.
    adopted: Option<Adopted>,
    /// svc-init has told whom a main process that was not our child has left behind.
    knows_orphans: bool,
    /// The group of the last `run`, for `finish`.
    last_group: Option<Pid>,
    /// What is left is being killed, and whoever it makes meanwhile.
    killing: bool,
    /// What has happened and is told with what comes of it.
    held: Option<Note>,
    /// A report that svc-scan had no room for.
    unsent: bool,
    /// Commands that came from svc-scan, and how many of them the last report knew of.
    heard: u32,
    reported: u32,
    /// svc-scan has been told that nothing of the service is left.
    told_gone: bool,
    small_files: SmallFiles,
    /// Why `finish` could not be run the last time, as it was told.
    told_finish: Option<Errno>,
    /// Why nobody went on as the service when its command had ended the last time, as it was told.
    told_missing: Option<&'static str>,
    /// What is looked at while it runs; none where nothing is.
    watch: Option<Box<checks::Watch>>,
    /// What the stop waits for, while it runs.
    errand: Option<errand::Errand>,
    /// The name that says that we supervise it, whoever removes what files.
    name: Option<OwnedFd>,
    /// What s6's tools find.
    files: OnDisk,
    /// Our own copy: what svc-init handed over is gone when the late files are made.
    run_dir: Option<Box<std::path::Path>>,
    /// svc-scan has been told that they are not as they should be.
    told_behind: bool,
    /// The files are made when the others have been started, and when to look whether they have.
    files_at: Option<Millis>,
    /// How long a stop may take once svc-init is gone, and when what lives is killed then.
    budget: Millis,
    kill_at: Option<Millis>,
    /// What is to be run from the next start on.
    coming: Option<Program>,
    /// The settings were read just now, by svc-scan.
    fresh: bool,
    init_pid: i32,
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
        let machine = if handover.stopped { machine.stopped(now) } else { machine };
        let settings = definition.settings.clone();
        let mut driver = Box::new(Driver {
            machine,
            settings,
            row: handover.row,
            link,
            signals,
            sockets: handover.sockets.iter().filter_map(|&number| fd::adopt(number)).collect(),
            span: None,
            knock: None,
            remains: Remains::new(handover.orphans),
            starved_before: 0,
            readiness: None,
            launch: None,
            adopted: None,
            knows_orphans: handover.knows_orphans,
            last_group: None,
            killing: false,
            held: None,
            unsent: false,
            heard: 0,
            reported: 0,
            told_gone: false,
            small_files: SmallFiles::new(),
            told_finish: None,
            told_missing: None,
            watch: None,
            errand: None,
            coming: None,
            fresh: true,
            init_pid: handover.init_pid,
            name: None,
            files: OnDisk::None,
            told_behind: false,
            run_dir: handover.run_dir.map(Box::from),
            files_at: None,
            budget: handover.budget,
            kill_at: None,
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

    fn deadline(&self) -> Option<Millis> {
        let files = self.files_at.or(self.files.deadline());
        let others = [files, self.kill_at, self.checks_deadline(), self.span_deadline()];
        others.into_iter().chain([self.machine.deadline()]).flatten().min()
    }

    /// Started for this one service, as s6-supervise is: nobody above us starts it again elsewhere.
    fn is_alone(&self) -> bool {
        self.definition.output == Output::Starter
    }

    fn most_deaths(&self) -> usize {
        usize::from(self.settings.max_death_tally)
    }

    pub(crate) fn watch(&mut self) -> u8 {
        self.feed(Event::Deadline);
        if let State::Down { .. } = self.machine.state() {
            // Nothing happened yet that svc-scan would have heard of.
            self.report(Some(Note::Changed));
        }
        while self.machine.state() != State::Gone {
            self.tell_held();
            if self.files.behind().is_some() != self.told_behind {
                self.report_files();
            }
            self.files.prepare();
            if self.deadline().is_none() && !self.machine.leaving() {
                // Who sleeps without end gives back what it needs only while it works.
                process::forget_deeper_stack();
            }
            let is_armed = self.machine.state() == State::Armed;
            let woken = if is_armed || self.remains.is_watched() || self.link.is_none() || self.is_apart() {
                self.wait_with_remains()
            } else {
                let mut interests = self.interests();
                poll::wait(&mut interests, clock::now(), self.deadline());
                Woken::by(&interests)
            };
            self.read_launch(poll::ended);
            // Ready before dead: who says that it is ready and dies was ready.
            self.read_readiness();
            if woken.link {
                self.read_link();
            }
            if woken.signals {
                self.read_signal();
            }
            if woken.control {
                self.read_control();
            }
            if self.files_at.or(self.files.deadline()).is_some() {
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
            self.kill_in_time();
            self.look_for_visitors();
            self.watch_visitors();
            self.check_time();
        }
        self.tell_held();
        let done = self.machine.leaving() || self.is_alone();
        if done {
            self.leave_socket();
            self.files.leave();
        }
        // Somebody who leaves a service alone must not look like somebody who has none any more.
        if done { svc_sys::exit::DONE } else { svc_sys::exit::FAILED }
    }

    fn interests(&self) -> [poll::Interest; 5] {
        let mut link = poll::readable(self.link.as_ref().map_or(-1, AsRawFd::as_raw_fd));
        if self.unsent {
            link.events |= poll::writable(-1).events;
        }
        // A service has one of the two.
        let readiness = self.readiness.as_ref().map_or(self.socket(), AsRawFd::as_raw_fd);
        let control = self.files.control();
        let launch = poll::ended(self.launch.as_ref().map_or(-1, AsRawFd::as_raw_fd));
        [poll::readable(self.signals.as_raw_fd()), link, poll::readable(readiness), poll::readable(control), launch]
    }

    /// Processes that are not our children end without a SIGCHLD for us; their handles are waited for, and so are those who knock.
    fn wait_with_remains(&mut self) -> Woken {
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
        if interests[LAUNCH + 1..handles].iter().any(poll::is_ready) {
            if self.link.is_none() {
                self.look_alone();
            }
            self.look_apart();
            self.remains.forget_ended();
            self.count_remains();
            self.tidy();
        }
        Woken::by(&interests)
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
            let (before, rested) = (self.machine.pid(), self.machine.is_at_rest());
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
            if self.machine.is_at_rest() && !rested {
                credentials::remove(&self.definition, self.run_dir.as_deref());
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

    /// `svc exec` writes a byte before it executes the program, which closes the pipe, and another one where that has failed. A check
    /// that it has left behind may have the pipe open a moment longer: whatever the dead one wrote is there, `until` that or not.
    fn read_launch(&mut self, until: fn(RawFd) -> poll::Interest) {
        let Some(pipe) = &self.launch else { return };
        let mut interest = [until(pipe.as_raw_fd())];
        poll::wait(&mut interest, Millis::ZERO, Some(Millis::ZERO));
        if !poll::is_ready(&interest[0]) {
            return;
        }
        let executed = fd::read(pipe.as_fd(), &mut [0; 4]) == Ok(1);
        self.launch = None;
        if executed {
            self.feed(Event::Executed);
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

    /// Takes one; where there are more the next turn comes at once.
    fn read_signal(&mut self) {
        let Some(signal) = self.signals.next() else { return };
        match signal {
            Signal::CHLD => {
                // Told before dead: a logger that ends because it was to end is not started again.
                self.read_link();
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
            Signal::TERM => self.command(Command::Terminate),
            Signal::HUP => self.command(Command::Drain),
            Signal::QUIT => self.command(Command::Abandon),
            Signal::INT => self.command(Command::Interrupt),
            Signal::IO => self.somebody_came(),
            // Nothing else is a request to a supervisor.
            _ => {}
        }
    }
}
