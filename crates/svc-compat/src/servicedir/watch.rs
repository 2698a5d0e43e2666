//! Waits until services are what somebody wants them to be. Listen, read the status, wait: in this order nothing is missed.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::unistd::getegid;
use svc_core::Millis;
use svc_ctl::ask;
use svc_proto::api::{Detail, Version};
use svc_sys::process::PidFd;
use svc_sys::signals::told_by_an_error;
use svc_sys::{clock, exit, poll};

use super::fifodir::{self, Listener};
use super::supervise::{self, Holder, SUPERVISE};
use super::wish::{Lost, Progress, Wish};
use crate::command::Failure;

/// Services that somebody waits for.
pub(crate) struct Watch(Vec<Watched>);

struct Watched {
    dir: PathBuf,
    listener: Listener,
    progress: Progress,
    /// Its supervisor: one that is killed says nothing in `event/`.
    supervisor: Option<PidFd>,
}

/// How many of them must be as wished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quorum {
    All,
    Any,
}

impl Watch {
    /// Begins to listen to all of them.
    pub(crate) fn begin(dirs: &[OsString], wish: impl Fn(&Path) -> Wish) -> Result<Watch, Failure> {
        dirs.iter().map(|dir| Watched::begin(PathBuf::from(dir), &wish)).collect::<Result<_, _>>().map(Watch)
    }

    /// Returns once they are as wished; otherwise says why they will not be.
    pub(crate) fn wait(&mut self, quorum: Quorum, deadline: Option<Millis>) -> Result<u8, Failure> {
        loop {
            if let Some(answer) = self.answer(quorum) {
                return answer;
            }
            let now = clock::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Err(Failure::with_code(exit::TIMED_OUT, format!("timed out waiting for {}", self.missing())));
            }
            let mut interests: Vec<poll::Interest> = self.0.iter().flat_map(Watched::interests).collect();
            poll::wait(&mut interests, now, deadline);
            self.0.iter_mut().try_for_each(Watched::look)?;
        }
    }

    fn answer(&self, quorum: Quorum) -> Option<Result<u8, Failure>> {
        let (mut reached, mut open, mut failed, mut left) = (0, 0, 0_usize, false);
        for watched in &self.0 {
            match watched.progress.lost {
                None if watched.progress.is_reached() => reached += 1,
                None => open += 1,
                Some(Lost::FailedForGood) => failed += 1,
                Some(Lost::Unsupervised) => left = true,
            }
        }
        match quorum {
            Quorum::Any if reached > 0 => return Some(Ok(exit::DONE)),
            Quorum::Any | Quorum::All if open > 0 => return None,
            Quorum::Any | Quorum::All if failed == 0 && !left => return Some(Ok(exit::DONE)),
            Quorum::Any | Quorum::All => {}
        }
        let code = if left { exit::NO_SUCH_SERVICE } else { u8::try_from(failed.min(98)).unwrap_or(98) };
        Some(Err(Failure::with_code(code, self.losses())))
    }

    /// The directories that are not as wished.
    fn missing(&self) -> String {
        let names = self.0.iter().filter(|watched| !watched.progress.is_reached());
        names.map(|watched| watched.dir.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    /// Which of them are lost, and why.
    fn losses(&self) -> String {
        let losses = self.0.iter().filter_map(|watched| {
            let why = match watched.progress.lost? {
                Lost::FailedForGood => "has failed for good: its finish said so",
                Lost::Unsupervised => "has lost its supervisor",
            };
            Some(format!("{} {why}", watched.dir.display()))
        });
        losses.collect::<Vec<_>>().join(", ")
    }
}

impl Watched {
    fn begin(dir: PathBuf, wish: &impl Fn(&Path) -> Wish) -> Result<Watched, Failure> {
        let event = supervise::place(&dir).join("event");
        // Where a supervisor was never started there may be none yet; if it cannot be made, listening will say why.
        let _ = fifodir::make(&event, Some(getegid()), false);
        let listener = Listener::new(&event)
            .map_err(|error| Failure::system(format!("unable to listen to the events of {}: {error}", dir.display())))?;
        let supervisor = supervisor(&dir);
        let progress = match supervise::status(&dir) {
            Ok(status) => Progress::new(wish(&dir), &status),
            Err(error) if error.kind() == ErrorKind::NotFound && (supervisor.is_some() || is_coming(&dir)) => {
                Progress::at_begin(wish(&dir))
            }
            Err(error) => {
                let text = format!("unable to read the status of {}: {error}", dir.display());
                return Err(Failure::system(text));
            }
        };
        Ok(Watched { dir, listener, progress, supervisor })
    }

    fn interests(&self) -> [poll::Interest; 2] {
        let supervisor = self.supervisor.as_ref().map_or(-1, PidFd::as_raw_fd);
        [poll::readable(self.listener.as_raw_fd()), poll::readable(supervisor)]
    }

    /// Takes in what has happened.
    fn look(&mut self) -> Result<(), Failure> {
        // First: once it is known to be dead, nothing of it is missing in what is read then.
        let mut dead = self.supervisor.as_ref().is_some_and(has_ended);
        let events = self.listener.read();
        let events = events
            .map_err(|error| Failure::system(format!("unable to read the events of {}: {error}", self.dir.display())))?;
        for event in events {
            self.progress.step(event);
            if event == b's' {
                // Another one has come.
                self.supervisor = supervisor(&self.dir);
                dead = false;
            }
        }
        if dead {
            self.supervisor = None;
            self.progress.lose(Lost::Unsupervised);
        }
        Ok(())
    }
}

/// Whether it is a service of the svc that runs here, whose supervisor is only about to begin: that one says so in `event/`. As long as
/// svc still reads what there is, it answers when it has.
fn is_coming(dir: &Path) -> bool {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name().and_then(OsStr::to_str)) else { return false };
    let Ok(parent) = fs::canonicalize(parent) else { return false };
    let is_there = |version: Version| {
        version.scan_dirs.iter().any(|scan_dir| fs::canonicalize(scan_dir).is_ok_and(|scan_dir| scan_dir == parent))
    };
    told_by_an_error(|| ask::get("/v1/version")).is_ok_and(is_there)
        && told_by_an_error(|| ask::get::<Detail>(&format!("/v1/services/{name}"))).is_ok()
}

pub(super) fn has_ended(process: &PidFd) -> bool {
    let mut interest = [poll::readable(process.as_raw_fd())];
    poll::wait(&mut interest, Millis::ZERO, Some(Millis::ZERO));
    poll::is_ready(&interest[0])
}

/// A handle to the supervisor of `dir`, if it can be seen from here.
pub(super) fn supervisor(dir: &Path) -> Option<PidFd> {
    let Ok(Holder::Process(pid)) = supervise::holder(dir, SUPERVISE) else { return None };
    let handle = PidFd::open(pid).ok()?;
    // It still holds the lock, so the handle is not that of another process with its number.
    let same = supervise::holder(dir, SUPERVISE).is_ok_and(|holder| holder == Holder::Process(pid));
    same.then_some(handle)
}
