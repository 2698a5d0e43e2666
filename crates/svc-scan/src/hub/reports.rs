//! What supervisors say, and who is told of it.

use super::{COMMAND, Hub, Member};
use crate::held::{Held, Runs};
use crate::matching;
use crate::status::{self, Now};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;
use svc_core::definition::Script;
use svc_core::graph::{Event, Progress, Reason};
use svc_core::policy::{Ends, Essential};
use svc_core::restart::AtLimit;
use svc_core::roster::Happened;
use svc_core::service::{Note, Past, Rest, State, Trouble};
use svc_core::{Command, Exit, Millis, Pid, Program, Service};
use svc_proto::checks::HealthReport;
use svc_proto::link::{FilesReport, Report, ToInit};
use svc_proto::{api, json};
use svc_sys::{Errno, clock, message, say};

/// So often a start may fail, once a second, because somebody writes `run`, before that is said.
const BUSY_FAILURES: u32 = 5;

/// After so many short lives in a row a service is told of, once: scripts of s6 end and are started again at times, and that is
/// their way to wait.
const MANY_DEATHS: usize = 5;

/// Who ends within this time has hardly begun.
const START: Millis = Millis::from_secs(1);

/// How long a new svc-scan waits for what the supervisors have to say; they take a millisecond or two.
const ANSWER_TIME: Duration = Duration::from_millis(200);

impl Hub {
    /// Waits for the answers of the supervisors that an earlier svc-scan had launched: no client may be told anything, or have
    /// an order given, on what is not known. Not for ever, because somebody may have stopped one.
    pub(super) async fn hear_everybody(&mut self) {
        let everybody = async {
            while self.members.values().any(|member| member.link.is_some() && member.machine.is_none()) {
                if let Ok(mut ready) = self.supervisors.ready.readable().await {
                    ready.clear_ready();
                }
                self.read_supervisors();
            }
        };
        // Who has not answered by then is taken in when it does.
        let _ = tokio::time::timeout(ANSWER_TIME, everybody).await;
    }

    /// Takes in what each has said, and returns whether that was all: who goes on speaking meanwhile is heard in another turn.
    pub(super) fn read_supervisors(&mut self) -> bool {
        let mut heard = BTreeSet::new();
        loop {
            let ready = self.supervisors.ready();
            let before = heard.len();
            for slot in &ready {
                if heard.insert(*slot) {
                    self.read_link(*slot);
                    self.tell_waiting(*slot);
                }
            }
            if heard.len() == before {
                return ready.is_empty();
            }
        }
    }

    pub(super) fn read_link(&mut self, slot: u32) {
        loop {
            let Some(link) = self.members.get(&slot).and_then(|member| member.link.as_ref()) else { return };
            match message::try_receive(link.as_fd(), &mut self.buffer) {
                Ok(Some((0, _))) | Err(_) => {
                    // The supervisor is gone; svc-init will say so in its own time.
                    self.supervisors.remove(link);
                    return;
                }
                Ok(None) => return,
                Ok(Some((length, _))) if HealthReport::is(&self.buffer[..length]) => {
                    match HealthReport::decode(&self.buffer[..length]) {
                        Ok(report) => self.health_reported(slot, report),
                        Err(_) => say!("svc-scan: refused what slot {slot} says of its health"),
                    }
                }
                Ok(Some((length, _))) if FilesReport::is(&self.buffer[..length]) => {
                    match FilesReport::decode(&self.buffer[..length]) {
                        Ok(report) => self.files_reported(slot, &report),
                        Err(_) => say!("svc-scan: refused what slot {slot} says of its files"),
                    }
                }
                Ok(Some((length, _))) => match Report::decode(&self.buffer[..length]) {
                    Ok(report) => self.reported(slot, report),
                    Err(_) => say!("svc-scan: refused a report of slot {slot} that it does not know"),
                },
            }
        }
    }

    fn files_reported(&mut self, slot: u32, FilesReport(text): &FilesReport) {
        let Some(member) = self.members.get_mut(&slot) else { return };
        member.set_files((!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned()));
    }

    pub(super) fn reported(&mut self, slot: u32, report: Report) {
        let Some(member) = self.members.get_mut(&slot) else { return };
        let Some(machine) = Service::from_words(&report.words) else {
            say!("svc-scan: {}: refused a report that makes no sense", member.name);
            return;
        };
        let known = member.machine.as_ref().map_or(0, Service::deaths);
        let new = machine.deaths().saturating_sub(known);
        let mut fresh: Vec<Past> = machine.past().take(new as usize).collect();
        fresh.reverse();
        let before = member.deaths.last().copied();
        if let Some(past) = fresh.last().filter(|past| member.machine.is_some() && is_crash(past)) {
            // Once, and not for each try: the next one ends the same way as a rule.
            let is_told = machine.trouble().is_some() || member.definition.runs() != Runs::Chain;
            if !is_told && !before.as_ref().is_some_and(is_crash) {
                let (name, ms) = (&member.name, past.ran.0);
                say!("svc-scan: {name}: ended at its start ({} after {ms} ms): see `svc-ctl why {name}`", past.exit);
            }
        }
        let heard = member.machine.is_some();
        let streak = |deaths: &[Past]| deaths.iter().rev().take_while(|past| is_short(past)).count();
        let many = streak(&member.deaths) >= MANY_DEATHS;
        member.deaths.extend(fresh);
        if let Some(last) = member.deaths.last().filter(|_| heard && !many && streak(&member.deaths) >= MANY_DEATHS) {
            let (name, exit, ms) = (&member.name, last.exit, last.ran.0);
            say!(
                "svc-scan: {name}: keeps ending at its start ({MANY_DEATHS} times in a row, the last with {exit} after {ms} ms): see \
                 `svc-ctl why {name}`"
            );
        }
        let before = member.machine.as_ref().and_then(Service::trouble);
        let trouble = machine.trouble();
        let notes = [report.before, report.note];
        if notes != [None, None] {
            member.unsaid = None;
        }
        // One that an earlier svc-scan had told things begins with that.
        // Whatever else it says first, nobody can have heard more than was told.
        let ahead = report.heard.wrapping_sub(member.told);
        if ahead > 0 && ahead < u32::MAX / 2 {
            member.told = report.heard;
        }
        member.heard = report.heard;
        // The one before us may have been killed before it could say so to the main program.
        let never_told = member.name.as_str() == COMMAND
            && machine.starts() == 0
            && matches!(machine.state(), State::Down { .. })
            && !machine.leaving()
            && trouble.is_none();
        let (says_ready, oneshot) = (member.definition.says_ready(), member.definition.is_oneshot());
        member.first.see(&machine, says_ready, oneshot);
        member.machine = Some(machine);
        if never_told && report.note.is_none() {
            self.tell(slot, Command::Once);
        }
        if trouble != before || report.note == Some(Note::Trouble) {
            self.trouble(slot, trouble, before);
        }
        for note in notes.into_iter().flatten() {
            self.note(slot, note);
        }
        // How many count may have been read just now.
        if let Some(member) = self.members.get_mut(&slot) {
            let surplus = member.deaths.len().saturating_sub(usize::from(member.definition.max_death_tally()));
            member.deaths.drain(..surplus);
        }
        self.recover_late(slot);
        self.fit_slot(slot);
        if notes.iter().flatten().any(|note| matches!(note, Note::Down | Note::Trouble)) {
            self.missed(slot);
        }
        self.check_waiters(slot);
        if report.before.is_some() {
            self.end_with(slot, report.before);
        }
        self.end_with(slot, report.note);
    }

    /// A start that came to nothing is told to those who wait for it, though its supervisor tries again.
    fn missed(&mut self, slot: u32) {
        let Some(member) = self.members.get(&slot).filter(|member| member.definition.is_managed()) else { return };
        let Some(machine) = member.machine.as_ref().filter(|machine| matching::is_delayed(machine)) else { return };
        let is_own = machine.trouble().is_some() || machine.last().is_some_and(|past| past.counts);
        let Some(id) = self.node_of(member.name.as_str()).filter(|_| is_own && member.has_heard_start()) else { return };
        let reason = match matching::ended(machine) {
            Reason::Exit(exit) => Reason::Unready(exit),
            other => other,
        };
        self.step_engine(Event::Missed(id, reason));
    }

    pub(super) fn trouble(&mut self, slot: u32, trouble: Option<Trouble>, before: Option<Trouble>) {
        let Some(member) = self.members.get_mut(&slot) else { return };
        let explained = trouble.map(|trouble| {
            let program = match &member.definition.whole().program {
                Program::Directory => member.dir.join("run"),
                Program::Oneshot { up: Some(Script::File { path, .. }), .. } => {
                    PathBuf::from(OsString::from(std::ffi::OsStr::from_bytes(path)))
                }
                Program::Oneshot { up: Some(Script::Chain(_)), .. } | Program::Chain(_) if member.dir.is_dir() => {
                    member.dir.join("service.toml")
                }
                Program::Oneshot { up: Some(Script::Chain(_)), .. } | Program::Chain(_) => member.dir.to_path_buf(),
                Program::Oneshot { up: None, .. } => member.dir.join("up"),
                Program::Command(words) => {
                    PathBuf::from(OsString::from(std::ffi::OsStr::from_bytes(words.first().map_or(&[][..], Vec::as_slice))))
                }
            };
            status::explain(trouble, &member.dir, &program)
        });
        member.set_trouble(explained);
        member.failures = if trouble.is_some() { member.failures + 1 } else { 0 };
        // A file that is being written is no news until it has been for some seconds.
        let busy = trouble.is_some_and(|trouble| trouble.errno == Errno::TEXT_BUSY.0);
        let moved = trouble.is_some_and(status::has_moved);
        let news = if busy { member.failures == BUSY_FAILURES } else { trouble != before && !moved };
        // What was seen on disk and not believed before the kernel said so, too, has been told.
        let is_told = |problem: &&String| member.warning().is_some_and(|warning| warning.contains(problem.as_str()));
        if let Some(problem) = member.trouble().filter(|problem| news && !is_told(problem)) {
            say!("svc-scan: {}: cannot be started: {problem}", member.name);
        }
        match trouble {
            Some(_) if member.definition.runs() == Runs::Directory => self.directories.expect_repair(slot, &member.dir),
            Some(_) | None => self.directories.expect_no_repair(slot),
        }
        self.replace_outside(slot);
    }

    /// Tells those who listen to events.
    pub(super) fn note(&mut self, slot: u32, note: Note) {
        let Some(member) = self.members.get(&slot) else { return };
        let kind = match note {
            Note::Starting => {
                // An edit counts from the next start on, and so does what is wrong with it.
                if member.machine.as_ref().is_some_and(|machine| machine.starts() > 1) {
                    self.refresh(slot);
                }
                self.has_read_files(slot);
                api::EventKind::Starting
            }
            Note::Up => api::EventKind::Up,
            Note::Ready => api::EventKind::Ready,
            Note::Stopping => api::EventKind::Stopping,
            Note::Exited => api::EventKind::Exited,
            Note::Finishing => api::EventKind::Finishing,
            Note::Draining => api::EventKind::Draining,
            Note::Down => {
                self.say_failed(slot);
                api::EventKind::Down
            }
            Note::Armed => api::EventKind::Armed,
            Note::Failed => api::EventKind::Failed,
            Note::Trouble => api::EventKind::Problem,
            Note::Changed | Note::Killed => return,
        };
        let Some(member) = self.members.get(&slot) else { return };
        let machine = member.machine.as_ref();
        // Then there was none, though there is one now.
        let is_between = matches!(note, Note::Starting | Note::Exited);
        let pid = machine.and_then(Service::pid).filter(|_| !is_between).map(Pid::raw);
        let exit =
            machine.and_then(Service::last).filter(|_| note == Note::Exited).map(|past| status::death(past, Now::read()));
        let message = member.trouble().cloned().filter(|_| note == Note::Trouble);
        let name = member.name.to_string();
        self.publish(&name, kind, pid, exit, message);
    }

    pub(super) fn publish(
        &mut self,
        service: &str,
        event: api::EventKind,
        pid: Option<i32>,
        exit: Option<api::Death>,
        message: Option<String>,
    ) {
        if self.events.is_empty() {
            return;
        }
        let change = api::Change { at_ms: clock::wall_ms(), service: service.to_owned(), event, pid, exit, message };
        let line = json::line(&change);
        self.events.retain_mut(|subscriber| {
            subscriber.send(line.clone(), |lost| {
                json::line(&api::Change {
                    at_ms: change.at_ms,
                    service: String::new(),
                    event: api::EventKind::Lagged,
                    pid: None,
                    exit: None,
                    message: Some(format!("{lost} changes were left out: the reader is too slow")),
                })
            })
        });
    }

    /// Says in the log that nothing starts a service again. Of those in the graph it says that itself; the end of an essential one
    /// is the end of all.
    fn say_failed(&self, slot: u32) {
        let Some(member) = self.members.get(&slot) else { return };
        let name = member.name.as_str();
        let Some(machine) = member.machine.as_ref().filter(|machine| machine.failed()) else { return };
        let is_told = name == COMMAND || self.units.get(name).is_some() || verdict(machine, &member.definition).is_some();
        if let Some(why) = status::verdict(machine, &member.definition).filter(|_| !is_told && !self.is_ending()) {
            say!("svc-scan: {name}: failed for good: {why}: svc-ctl start {name} starts it again");
        }
    }

    /// The end of the main program, or of an essential service that will not come back, is the end of everything.
    pub(super) fn end_with(&mut self, slot: u32, note: Option<Note>) {
        let Some(member) = self.members.get(&slot) else { return };
        let Some(machine) = &member.machine else { return };
        let is_command = member.name.as_str() == COMMAND;
        let code = match note {
            // No note is the answer to a question: it may have happened before there was a svc-scan to be told.
            Some(Note::Exited) | None if is_command && machine.last().is_some() => machine.last().map(|past| past.exit),
            Some(Note::Trouble) | None if is_command && machine.trouble().is_some() => {
                let missing = machine.trouble().is_some_and(|trouble| trouble.errno == Errno::NOT_FOUND.0);
                Some(Exit::Code(if missing { svc_sys::exit::NOT_FOUND } else { svc_sys::exit::CANNOT_EXECUTE }))
            }
            Some(Note::Down) | None if is_nothing_left(machine) => {
                verdict(machine, &member.definition).or_else(|| self.late_verdict(member, machine))
            }
            _ => None,
        };
        if let Some(exit) = code {
            if !self.is_ending() && !std::mem::replace(&mut self.said_whose_end, true) {
                // Its definition may have another code for the container.
                let own = machine.last().map(|past| past.exit).filter(|own| *own != exit);
                let with = own.map_or_else(String::new, |_| format!(", with code {}", exit.shell_code()));
                let own = own.unwrap_or(exit);
                say!("svc-scan: {} is over ({own}): stopping everything{with}", member.name);
            }
            self.init.send(ToInit::Shutdown { code: exit.shell_code(), named: false, force: false }.encode(), None);
        }
    }

    /// What everything ends with because an essential service was not ready in time. Its end was ours, and is no success.
    fn late_verdict(&self, member: &Member, machine: &Service) -> Option<Exit> {
        let Essential { code, .. } = member.definition.whole().essential?;
        let id = self.node_of(member.name.as_str())?;
        if self.engine.progress(id) != Progress::Failed(Reason::StartTimeout) {
            return None;
        }
        let own = machine.last().map(|past| past.exit).filter(|exit| *exit != Exit::Code(0));
        Some(code.map(Exit::Code).or(own).unwrap_or(Exit::Code(svc_sys::exit::FAILED)))
    }

    pub(super) fn supervisor_died(&mut self, slot: u32) {
        // What it said before it died comes first.
        self.read_link(slot);
        // When everything ends svc-init kills supervisors as well, and then nobody comes.
        let is_ending = self.is_ending();
        let Some(member) = self.members.get_mut(&slot) else { return };
        let over = member.machine.as_ref().is_some_and(|machine| machine.state() == State::Gone && machine.leaving());
        if let Some(link) = member.link.take() {
            self.supervisors.remove(&link);
        }
        member.supervisor = None;
        if !over && !is_ending {
            say!("svc-scan: {}: its supervisor died: a new one takes over the running service", member.name);
        }
        self.happened(Happened::Died { id: slot, over });
    }
}

/// Whether it has ended by itself, and as soon as that.
fn is_crash(past: &Past) -> bool {
    is_short(past) && past.exit != Exit::Code(0)
}

fn is_short(past: &Past) -> bool {
    past.counts && past.ran < START
}

fn is_nothing_left(machine: &Service) -> bool {
    matches!(machine.state(), State::Down { .. } | State::Armed | State::Gone)
}

/// What everything ends with, now that a service has ended for good; none if it goes on without it.
fn verdict(machine: &Service, definition: &Held) -> Option<Exit> {
    let own = machine.last().map(|past| past.exit);
    if machine.rest() == Rest::Limit
        && let Some(AtLimit::StopContainer { code }) = definition.settings().restart().map(|restart| &restart.at_limit)
    {
        return code.map(Exit::Code).or(own);
    }
    let Essential { code, ends } = definition.whole().essential?;
    let is_over = machine.failed() || machine.rest() != Rest::No && ends == Ends::All;
    if is_over { code.map(Exit::Code).or(own) } else { None }
}
