//! The part of the loop that a service has which is looked at while it runs, or says itself how it is: looks are started and
//! ended here, and what comes on its socket is heard.
//!
//! A service without checks has nothing of it but an empty pointer.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use svc_core::health::{Action, Actions, Checks, Event, Health, Life, Phase, Remedy, Senders};
use svc_core::service::{self, Command, State, Stop};
use svc_core::{Exit, Millis, Pid, Signal};
use svc_proto::checks::HealthReport;
use svc_proto::ledger::{MAX_TEXT, Text};
use svc_proto::notify::{self, Word};
use svc_sys::{Errno, clock, fd, message, process, procfs, say};

use super::Driver;
use crate::words::c_string;

/// In the run directory: the sockets of services, by slot.
const SOCKETS: &str = "notify";
/// So many messages a turn: who says something all the time does not keep others waiting.
const TURN: usize = 64;

/// What is known beside the machine.
pub(super) struct Watch {
    health: Health,
    /// Where the service says how it is.
    socket: Option<OwnedFd>,
    /// Where that is in the file system.
    path: Option<PathBuf>,
    /// What the look that runs says.
    output: Option<OwnedFd>,
    status: Vec<u8>,
    said: Vec<u8>,
    /// The start, or stop, may take until then, it said.
    extended: Millis,
    /// What was said already, which is once a start.
    complained: [bool; 5],
}

/// What is not heard as it was meant.
#[derive(Clone, Copy)]
pub(super) enum Complaint {
    Sender,
    Length,
    Store,
    Main,
    /// It has failed, it says. What it says now is its status.
    Failure,
}

/// What the checks are where there are none.
static NONE: Checks = Checks { notify: None, says_ready: false, watchdog: Millis::ZERO, health: None, memory: None };

impl Driver {
    fn checks(&self) -> &Checks {
        self.settings.checks.as_deref().unwrap_or(&NONE)
    }

    /// Goes on with what a predecessor knew. `kept`: the descriptor that svc-init kept, if it is the service's socket.
    pub(super) fn inherit_checks(&mut self, kept: Option<OwnedFd>) {
        if self.settings.checks.is_none() {
            return;
        }
        let mut watch = Watch::new(clock::now());
        if let Some(mut health) = self.row.saved_health().and_then(|words| Health::from_words(&words)) {
            health.resume(clock::now());
            watch.health = health;
        }
        watch.status = self.row.saved_text(Text::Status);
        watch.said = self.row.saved_text(Text::Said);
        watch.socket = kept;
        self.watch = Some(Box::new(watch));
    }

    pub(super) fn socket(&self) -> i32 {
        self.watch.as_ref().and_then(|watch| watch.socket.as_ref()).map_or(-1, AsRawFd::as_raw_fd)
    }

    /// When something is due in the checks.
    pub(super) fn checks_deadline(&self) -> Option<Millis> {
        self.watch.as_ref().and_then(|watch| watch.health.deadline())
    }

    /// The time of what is due in the checks may have come.
    pub(super) fn check_time(&mut self) {
        let due = self.watch.as_ref().and_then(|watch| watch.health.deadline());
        if due.is_some_and(|at| at <= clock::now()) {
            self.check(Event::Deadline);
        }
    }

    /// Lets the checks know what has become of the service.
    pub(super) fn follow(&mut self) {
        if self.watch.is_none() {
            if self.settings.checks.is_none() {
                return;
            }
            self.watch = Some(Box::new(Watch::new(clock::now())));
        }
        let says = self.settings.says_ready();
        let life = match self.machine.state() {
            State::Up { ready, paused, stop: Stop::No, .. } => {
                Life::Up { start: self.machine.starts(), ready: ready.is_some() || !says, paused }
            }
            State::Up { .. }
            | State::Down { .. }
            | State::Armed
            | State::Starting { .. }
            | State::Finish { .. }
            | State::Sweep { .. }
            | State::Gone => Life::Off,
        };
        self.check(Event::Life(life));
    }

    /// Takes in an event of the checks.
    fn check(&mut self, event: Event) {
        let mut actions = Actions::default();
        let checks = self.settings.checks.as_deref().unwrap_or(&NONE);
        let Some(watch) = &mut self.watch else { return };
        watch.health.step(clock::now(), event, checks, &mut actions);
        self.row.save_health(&watch.health.to_words());
        for action in actions.drain() {
            match action {
                Action::Look => self.look_at_it(),
                Action::Kill(pid) => end_look(pid),
                Action::Publish => self.report_health(),
                Action::Remedy(remedy) => self.remedy(remedy),
                Action::Weigh => {
                    let bytes = self.weigh();
                    self.check(Event::Weighed(bytes));
                }
                Action::Relieve(remedy) => self.relieve(remedy),
                Action::Abort => {
                    say!("svc-supervise: {}: did not feed its watchdog: aborted (SIGABRT)", self.definition.name);
                    self.machine.unfeed();
                    self.signal(self.machine.pid(), service::Target::Main, Signal::ABRT);
                    self.signal(self.machine.pid(), service::Target::Main, Signal::CONT);
                }
                Action::KillMain => {
                    say!("svc-supervise: {}: did not end when it was aborted: killed (SIGKILL)", self.definition.name);
                    self.signal(self.machine.pid(), service::Target::Main, Signal::KILL);
                }
            }
        }
    }

    fn remedy(&mut self, remedy: Remedy) {
        let said = self.watch.as_ref().map_or(String::new(), |watch| String::from_utf8_lossy(&watch.said).into_owned());
        self.cure(remedy, "unhealthy", &said);
    }

    /// It uses more memory than it may.
    fn relieve(&mut self, remedy: Remedy) {
        let Some(excess) = self.watch.as_ref().and_then(|watch| watch.health.guard().last()) else { return };
        let kib = |bytes: u64| bytes.div_ceil(1024);
        let said = format!("its processes use {} KiB, and memory.limit is {} KiB", kib(excess.bytes), kib(excess.limit));
        self.cure(remedy, "too much memory", &said);
    }

    fn cure(&mut self, remedy: Remedy, what: &str, said: &str) {
        let (done, event) = match remedy {
            // svc-scan, which hears of it, ends everything.
            Remedy::Report => ("", None),
            Remedy::StopContainer => (": everything is to end", None),
            Remedy::Restart => (": restarting it", Some(service::Event::Unfit)),
            Remedy::Reload => (": reloading it", Some(service::Event::Command(Command::Reload))),
        };
        say!("svc-supervise: {}: {what}{done}: {said}", self.definition.name);
        if let Some(event) = event {
            self.reread();
            self.feed(event);
        }
    }

    /// The resident memory of all its processes, but not of those that look at it.
    fn weigh(&self) -> u64 {
        let main = self.machine.pid();
        let roots = [Pid::new(process::id()), main].into_iter().flatten().chain(self.remains.others());
        let mut all: Vec<Pid> = roots.flat_map(|root| procfs::descendants(root.raw())).collect();
        all.extend(main.into_iter().chain(self.remains.others()));
        all.sort_unstable();
        all.dedup();
        all.into_iter().filter(|&pid| !self.is_probe(pid)).map(procfs::resident).sum()
    }

    /// Starts a look.
    fn look_at_it(&mut self) {
        let made = match (&self.checks().health, self.machine.pid()) {
            (Some(probe), Some(main)) => self.programs.look(&self.definition.name, &probe.words, main),
            // Neither is asked for by the machine.
            (None, _) | (_, None) => Err(Errno::INVALID),
        };
        match made {
            Ok((pid, output)) => {
                if let Some(watch) = &mut self.watch {
                    watch.output = Some(output);
                }
                self.check(Event::Begun(pid));
            }
            Err(errno) => {
                say!("svc-supervise: {}: cannot look at its health: {errno}", self.definition.name);
                self.check(Event::NotBegun);
            }
        }
    }

    /// A child has ended; whether it was the look.
    pub(super) fn ends_look(&mut self, pid: Pid, exit: Exit) -> bool {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.health.looking() == Some(pid)) else { return false };
        let said = watch.output.take().map_or(Vec::new(), |output| last_line(&output));
        let said = if !said.is_empty() {
            said
        } else if watch.health.is_asked() {
            match exit {
                Exit::Code(_) => format!("the probe said nothing: {exit}").into_bytes(),
                Exit::Signal(_) => format!("the probe was {exit}").into_bytes(),
            }
        } else {
            // It was ended because the service is stopped, or paused.
            watch.said.clone()
        };
        let is_news = watch.said != said;
        watch.said = said;
        if is_news {
            self.row.save_text(Text::Said, &watch.said);
        }
        let before = watch.health.verdict();
        self.check(Event::Ended { well: exit == Exit::Code(0) });
        // A verdict is published with it.
        if is_news && self.watch.as_ref().is_some_and(|watch| watch.health.verdict() == before) {
            self.report_health();
        }
        true
    }

    pub(super) fn report_health(&mut self) {
        let (Some(watch), Some(link)) = (&self.watch, &self.link) else { return };
        let report = HealthReport {
            health: watch.health.clone(),
            status: watch.status.clone(),
            said: watch.said.clone(),
            extended: watch.extended,
        };
        // It goes out with the next report of the service then.
        let sent = message::try_send(link.as_fd(), &report.encode(), &[]);
        self.unsent |= matches!(sent, Err(errno) if errno.is_shortage());
    }

    /// What `run` finds in its environment of all this.
    pub(super) fn surroundings(&mut self) -> Vec<CString> {
        let checks = self.checks();
        let (wanted, watchdog) = (checks.notify.is_some(), checks.watchdog);
        let path = if wanted { self.socket_path() } else { None };
        // What an earlier run has said is nobody's word any more.
        self.read_socket();
        let Some(watch) = &mut self.watch else { return Vec::new() };
        watch.complained = [false; 5];
        watch.extended = Millis::ZERO;
        if !watch.status.is_empty() {
            watch.status.clear();
            self.row.save_text(Text::Status, b"");
            self.report_health();
        }
        let Some(watch) = &mut self.watch else { return Vec::new() };
        if !wanted {
            watch.socket = None;
            return Vec::new();
        }
        let has_path = |socket: &OwnedFd| svc_sys::notify::has_path(socket.as_fd());
        // One that a definition before this one had may be where nobody of this one comes to.
        if watch.socket.as_ref().is_none_or(|socket| path.is_none() && has_path(socket)) {
            match svc_sys::notify::listen(path.as_deref()) {
                Ok(socket) => {
                    // It is kept for our successor, with what has been said meanwhile.
                    let kept = self.programs.keep_socket(self.row, &socket);
                    if let Err(errno) = kept {
                        say!("svc-supervise: {}: its socket is not kept: {errno}", self.definition.name);
                    }
                    watch.path = path.filter(|path| path.exists());
                    watch.socket = Some(socket);
                }
                Err(errno) => {
                    say!("svc-supervise: {}: no socket for it to say how it is: {errno}", self.definition.name);
                    return Vec::new();
                }
            }
        }
        let name = watch.socket.as_ref().and_then(|socket| svc_sys::notify::name(socket.as_fd())).unwrap_or_default();
        let mut words = vec![c"--env".to_owned(), c_string(&[b"NOTIFY_SOCKET=", name.as_bytes()].concat())];
        if watchdog != Millis::ZERO {
            let micros = c_string(format!("WATCHDOG_USEC={}", watchdog.0.saturating_mul(1000)).as_bytes());
            words.extend([c"--env".to_owned(), micros, c"--env-pid".to_owned(), c"WATCHDOG_PID".to_owned()]);
        }
        words
    }

    /// Where its socket is to be; none: in no place of the file system, because the service would not come there.
    fn socket_path(&self) -> Option<PathBuf> {
        let dir = self.run_dir.as_ref()?.join(SOCKETS);
        // Where that cannot be, there is no place either.
        let _ = std::fs::create_dir(&dir);
        let is_open = |dir: &Path| dir.metadata().is_ok_and(|data| data.mode() & 0o001 != 0);
        // Root's service may be anybody, whoever it begins as.
        let is_reachable = svc_sys::user::effective_uid() != 0 || dir.ancestors().all(is_open);
        let is_seen = is_reachable && !self.definition.program.has_other_root();
        is_seen.then(|| dir.join(self.row.slot().to_string()))
    }

    /// Nothing of the service is left, and it does not come back.
    pub(super) fn leave_socket(&mut self) {
        if let Some(path) = self.watch.as_mut().and_then(|watch| watch.path.take()) {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Hears what has been said on the socket.
    pub(super) fn read_socket(&mut self) {
        if self.socket() >= 0 {
            self.hear_socket();
        }
    }

    /// A function of its own: the room for a message is a page of the stack, which nobody touches who has no socket.
    #[inline(never)]
    fn hear_socket(&mut self) {
        let mut buffer = [0; notify::MOST];
        for _ in 0..TURN {
            let packet = match self.watch.as_ref().and_then(|watch| watch.socket.as_ref()) {
                Some(socket) => svc_sys::notify::try_receive(socket.as_fd(), &mut buffer),
                None => return,
            };
            let Some(packet) = packet else { return };
            if !packet.sender.is_some_and(|sender| self.may_speak(sender)) {
                let sender = packet.sender.map_or(0, Pid::raw);
                self.complain(
                    Complaint::Sender,
                    &format!(
                        "refused a message of process {sender}, which may not speak for it (ready.notify; \"all\" lets all its \
                         processes speak)"
                    ),
                );
                continue;
            }
            if packet.cut {
                self.complain(Complaint::Length, &format!("refused a message of more than {} bytes", notify::MOST));
                continue;
            }
            for word in notify::words(&buffer[..packet.length]) {
                self.hear(word);
            }
        }
    }

    /// Whether this process may say something of the service.
    fn may_speak(&self, sender: Pid) -> bool {
        let State::Up { pid: main, .. } = self.machine.state() else { return false };
        match self.checks().notify {
            None => false,
            Some(_) if sender == main => true,
            Some(Senders::Main) => false,
            Some(Senders::All) => {
                procfs::descends(sender, main.raw()) || procfs::descends(sender, process::id()) && !self.is_look(sender)
            }
        }
    }

    /// Whether it looks at the service, beside it or as our child.
    pub(super) fn is_probe(&self, pid: Pid) -> bool {
        self.is_look(pid) || procfs::name(pid) == "svc-probe"
    }

    fn is_look(&self, sender: Pid) -> bool {
        let look = self.watch.as_ref().and_then(|watch| watch.health.looking());
        look.is_some_and(|look| look == sender || procfs::descends(sender, look.raw()))
    }

    pub(super) fn complain(&mut self, of: Complaint, what: &str) {
        let Some(watch) = &mut self.watch else { return };
        if !std::mem::replace(&mut watch.complained[of as usize], true) {
            say!("svc-supervise: {}: {what}", self.definition.name);
        }
    }

    fn hear(&mut self, word: Word<'_>) {
        match word {
            Word::Ready => {
                self.check(Event::Said(Phase::Running));
                if self.checks().says_ready {
                    self.feed(service::Event::Ready);
                }
            }
            Word::Reloading => self.check(Event::Said(Phase::Reloading)),
            Word::Stopping => self.check(Event::Said(Phase::Stopping)),
            Word::Status(text) => self.set_status(text),
            Word::Errno(0) => {}
            Word::Errno(number) => {
                let text = format!("error {number}: {}", Errno(number));
                self.complain(Complaint::Failure, &format!("says that it has failed: {text}"));
                self.set_status(text.as_bytes());
            }
            Word::Fed => self.check(Event::Fed),
            Word::Starved => self.check(Event::Starved),
            Word::WatchdogSpan(span) => self.check(Event::Span(span)),
            Word::MainPid(pid) => self.hear_main(pid),
            Word::Extend(span) => {
                self.feed(service::Event::Extend(span));
                if let Some(watch) = &mut self.watch {
                    watch.extended = clock::now() + span;
                }
                self.report_health();
            }
            // Its descriptor is closed with the message.
            Word::Barrier => {}
            Word::Store => {
                self.complain(Complaint::Store, "svc keeps no descriptors for services (FDSTORE): these are closed")
            }
        }
    }

    fn set_status(&mut self, text: &[u8]) {
        let Some(watch) = &mut self.watch else { return };
        let text = &text[..text.len().min(MAX_TEXT)];
        if watch.status != text {
            watch.status = text.to_vec();
            self.row.save_text(Text::Status, text);
            self.report_health();
        }
    }
}

impl Watch {
    fn new(now: Millis) -> Watch {
        Watch {
            health: Health::new(now),
            socket: None,
            path: None,
            output: None,
            status: Vec::new(),
            said: Vec::new(),
            extended: Millis::ZERO,
            complained: [false; 5],
        }
    }
}

/// Ends a look, which is our child and not reaped, with all that it has started.
pub(super) fn end_look(pid: Pid) {
    for below in procfs::descendants(pid.raw()) {
        let _ = procfs::signal_descendant(below, pid.raw(), Signal::KILL);
    }
    let _ = process::signal_child(pid, Signal::KILL);
}

/// The last line of what is in a pipe that says something. `svc probe` writes one line, and it fits.
fn last_line(pipe: &OwnedFd) -> Vec<u8> {
    let mut buffer = [0; 1024];
    let length = fd::read(pipe.as_fd(), &mut buffer).unwrap_or(0);
    let mut lines = buffer[..length].split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.rfind(|line| !line.is_empty()).unwrap_or_default();
    line[..line.len().min(MAX_TEXT)].to_vec()
}
