//! A full `current` becomes a finished file, in steps that may each be the last one of this process.
//!
//! Without a processor it is safe on disk, then marked as complete, then renamed: at every moment each line is in exactly one
//! file. With a processor it is `previous` until what the processor made of it is safe on disk and marked as complete.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

use svc_core::{Exit, Millis, Pid};

use super::logdir::{CURRENT, Family, Logdir};
use super::processor::{Files, NEW_STATE, STATE};
use super::recovery;

/// What a processor does, for a sentence.
const PROCESS: &str = "process a finished file of";

/// What is done next. Where a processor is at work, lines go to the new `current` meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Writing,
    Sync,
    Complete,
    Rename,
    Reopen,
    Start,
    Running(Pid),
    SyncProcessed,
    SyncState,
    DropPrevious,
    KeepState,
    Finish,
    Trim,
}

impl Step {
    /// Whether lines may be written to `current`.
    pub(super) fn can_write(self) -> bool {
        match self {
            Step::Sync | Step::Complete | Step::Rename | Step::Reopen | Step::Trim => false,
            Step::Writing
            | Step::Start
            | Step::Running(_)
            | Step::SyncProcessed
            | Step::SyncState
            | Step::DropPrevious
            | Step::KeepState
            | Step::Finish => true,
        }
    }
}

/// The names of a file and of what becomes of it, while the processor runs; `name` is that of the finished file.
pub(super) fn work_names(family: Family, name: &str) -> (String, String) {
    match family {
        Family::S6 | Family::Multilog => ("previous".into(), "processed".into()),
        Family::Svlogd => (format!("{name}.u"), format!("{name}.t")),
    }
}

impl Logdir {
    /// Finishes `current`, if there is anything in it, now or as soon as the processor of the one before has ended.
    pub(super) fn rotate(&mut self, now: Millis) {
        self.wanted = true;
        if self.step != Step::Writing {
            return;
        }
        self.wanted = false;
        if self.size > 0 {
            self.step = Step::Sync;
            self.advance(now);
        }
    }

    /// Goes on as far as that goes.
    pub(super) fn advance(&mut self, now: Millis) {
        if self.step_again.is_some_and(|at| now < at) {
            return;
        }
        self.step_again = None;
        while !matches!(self.step, Step::Writing | Step::Running(_)) {
            let what = self.what();
            match self.take_step() {
                Ok(next) => {
                    self.works(what);
                    self.step = next;
                }
                Err(error) => {
                    self.complain(what, &error);
                    self.step_again = Some(now + self.settings.retry);
                    return;
                }
            }
        }
    }

    /// What the step does, for a sentence.
    fn what(&self) -> &'static str {
        match self.step {
            Step::Writing | Step::Running(_) => "write to",
            Step::Sync => "sync the current file of",
            Step::Complete => "change the mode of the current file of",
            Step::Rename => "rename the current file of",
            Step::Reopen => "open a new current file in",
            Step::Start => "start the processor of",
            Step::SyncProcessed | Step::SyncState => "sync what the processor wrote in",
            Step::DropPrevious => "remove the processed file of",
            Step::KeepState => "rename the new state of",
            Step::Finish => "rename what the processor wrote in",
            Step::Trim => "remove the oldest file of",
        }
    }

    fn take_step(&mut self) -> io::Result<Step> {
        let path = self.settings.path.clone();
        match self.step {
            Step::Writing | Step::Running(_) => Ok(self.step),
            Step::Sync => self.current.sync_all().map(|()| Step::Complete),
            Step::Complete => complete(&self.current).map(|()| Step::Rename),
            Step::Rename => {
                self.name = self.archives.next_name();
                match &self.settings.processor {
                    Some(_) => fs::rename(path.join(CURRENT), path.join(self.work().0))?,
                    None => {
                        let name = format!("{}.s", self.name);
                        fs::rename(path.join(CURRENT), path.join(&name))?;
                        self.archives.add(name, self.size);
                    }
                }
                Ok(Step::Reopen)
            }
            Step::Reopen => {
                self.current = recovery::open_current(&path)?;
                self.size = 0;
                Ok(if self.settings.processor.is_some() { Step::Start } else { Step::Trim })
            }
            Step::Start => match &self.settings.processor {
                Some(_) if self.ending => Ok(Step::Writing),
                Some(processor) => {
                    let (input, output) = self.work();
                    processor.start(&path, &Files { input: &input, output: &output }).map(Step::Running)
                }
                None => Ok(Step::Trim),
            },
            Step::SyncProcessed => {
                let file = File::open(path.join(self.work().1))?;
                file.sync_all()?;
                complete(&file)?;
                Ok(Step::SyncState)
            }
            Step::SyncState => File::open(path.join(NEW_STATE))?.sync_all().map(|()| Step::DropPrevious),
            Step::DropPrevious => {
                recovery::remove(&path.join(self.work().0))?;
                Ok(Step::KeepState)
            }
            Step::KeepState => fs::rename(path.join(NEW_STATE), path.join(STATE)).map(|()| Step::Finish),
            Step::Finish => {
                let from = path.join(self.work().1);
                let size = fs::metadata(&from)?.len();
                if size == 0 {
                    fs::remove_file(&from)?;
                } else {
                    let name = format!("{}.s", self.name);
                    fs::rename(&from, path.join(&name))?;
                    self.archives.add(name, size);
                }
                Ok(Step::Trim)
            }
            Step::Trim => {
                if let Err(error) = self.archives.trim(&path, self.settings.most) {
                    self.complain("remove the oldest file of", &error);
                }
                Ok(Step::Writing)
            }
        }
    }

    fn work(&self) -> (String, String) {
        work_names(self.settings.family, &self.name)
    }

    /// What the processor said by its end. One that failed is started again, later; at the end of all, by who comes next.
    pub(super) fn processor_ended(&mut self, end: Exit, now: Millis) {
        match end {
            Exit::Code(0) => {
                self.works(PROCESS);
                self.step = Step::SyncProcessed;
            }
            Exit::Code(_) | Exit::Signal(_) => {
                self.step = Step::Start;
                self.complain(PROCESS, &format_args!("the processor {end}"));
                self.step_again = (!self.ending).then(|| now + self.settings.retry);
            }
        }
        self.advance(now);
    }

    /// svlogd's way: a file that a predecessor has not processed is processed now.
    pub(super) fn process_left_over(&mut self, now: Millis) {
        if self.settings.family != Family::Svlogd || self.settings.processor.is_none() {
            return;
        }
        if let Some(file) = self.archives.oldest_with(".u").map(str::to_owned) {
            self.archives.forget(&file);
            self.name = file[..25].to_owned();
            self.step = Step::Start;
            self.advance(now);
        }
    }

    /// All is written: waits for nothing but the processor, then leaves `current` as one that is complete.
    pub(super) fn close(&mut self, now: Millis) -> bool {
        self.ending = true;
        self.rotate_at = None;
        self.wanted = false;
        if self.step == Step::Start {
            self.step_again = None;
        }
        self.advance(now);
        if self.step != Step::Writing {
            return false;
        }
        if self.step_again.is_some_and(|at| now < at) {
            return false;
        }
        match self.current.sync_all().and_then(|()| complete(&self.current)) {
            Ok(()) => true,
            Err(error) => {
                self.complain("finish the current file of", &error);
                self.step_again = Some(now + self.settings.retry);
                false
            }
        }
    }
}

/// Marks a file as one to which nothing will be added.
fn complete(file: &File) -> io::Result<()> {
    let mode = file.metadata()?.permissions().mode();
    file.set_permissions(Permissions::from_mode(mode & 0o777 | 0o100))
}
