//! Services that come and go while a scanner runs: linked into its directory, and unlinked.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::unistd::getegid;
use svc_core::Millis;
use svc_sys::process::PidFd;
use svc_sys::{clock, exit, poll};

use super::fifodir::{self, Listener};
use super::supervise::{self, SCANNER, SUPERVISE};
use super::watch::{has_ended, supervisor};
use crate::command::{Call, Failure, Opt};

/// How a service is to be linked.
pub(crate) struct How {
    /// It is not to be started, only supervised.
    down: bool,
    /// And whether the file that says so goes once it is supervised.
    down_until_then: bool,
    /// `event/` gets its mode even if it is there already.
    force: bool,
    /// Everybody may listen to its events.
    public: bool,
    deadline: Option<Millis>,
}

impl How {
    /// The options of those commands that link.
    pub(crate) const OPTIONS: &[Opt] = &[
        Opt::flag('d', "do not start it now, only its supervisor"),
        Opt::flag('D', "the same, and leave a file `down`, so that its next supervisor does not start it either"),
        Opt::flag('f', "give event/ its mode even if it exists"),
        Opt::flag('P', "let everybody listen to its events"),
        Opt::with('t', "MS", "give up after so many milliseconds"),
    ];

    pub(crate) fn from(call: &Call) -> Result<How, Failure> {
        let last = call.last(&['d', 'D']);
        Ok(How {
            down: last.is_some(),
            down_until_then: last == Some('d'),
            force: call.has('f'),
            public: call.has('P'),
            deadline: super::deadline(call, 't')?,
        })
    }
}

/// Makes the scanner of `scan_dir` supervise `dir` under this name. `target` is what the link says.
pub(crate) fn link(scan_dir: &Path, dir: &Path, target: &Path, name: &Path, how: &How) -> Result<(), Failure> {
    let link = scan_dir.join(name);
    let places = places(dir)?;
    let supervised = all_or_none_supervised(&places)?;
    let mut sources = Vec::new();
    if !supervised {
        for place in &places {
            sources.push(expect_supervisor(place, how)?);
        }
    }
    let linked = match symlink(target, &link) {
        Ok(()) => true,
        Err(error) if supervised && error.kind() == ErrorKind::AlreadyExists => false,
        Err(error) => {
            forget_down(&places, how);
            return Err(Failure::system(format!("unable to make the link {}: {error}", link.display())));
        }
    };
    let answer = supervise::send(scan_dir, SCANNER, b"a")
        .map_err(|refusal| Failure::system(format!("unable to control {}: {refusal}", scan_dir.display())))
        .and_then(|()| wait(sources, b's', how.deadline));
    match answer {
        Ok(()) if !how.down_until_then => {}
        Ok(()) => forget_down(&places, how),
        Err(failure) => {
            if linked {
                let _ = fs::remove_file(&link);
            }
            forget_down(&places, how);
            // One of the two may be there already, and would stay for as long as the scanner does.
            for place in places.iter().filter(|_| !supervised) {
                let _ = supervise::send(place, SUPERVISE, b"xd");
            }
            return Err(failure);
        }
    }
    Ok(())
}

/// Takes the link away, and if `wait_for` waits until the supervisors behind it have gone.
pub(crate) fn unlink(scan_dir: &Path, name: &Path, wait_for: bool, deadline: Option<Millis>) -> Result<(), Failure> {
    let link = scan_dir.join(name);
    let mut sources = Vec::new();
    for place in places(&link)? {
        if wait_for && is_supervised(&place)? {
            let real = fs::canonicalize(&place).map_err(|error| cannot("find", &place, &error))?;
            sources.push(Source::new(&real)?);
        }
    }
    match fs::remove_file(&link) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(cannot("remove the link", &link, &error)),
    }
    supervise::send(scan_dir, SCANNER, b"an")
        .map_err(|refusal| Failure::system(format!("unable to control {}: {refusal}", scan_dir.display())))?;
    wait(sources, b'x', deadline)
}

/// A service, and its logger if it has one.
fn places(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let log = dir.join("log");
    match fs::metadata(&log) {
        Ok(data) if data.is_dir() => Ok(vec![dir.to_owned(), log]),
        Ok(_) => Err(Failure::with_code(exit::USAGE, format!("{} is not a directory", log.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(vec![dir.to_owned()]),
        Err(error) => Err(cannot("look at", &log, &error)),
    }
}

fn is_supervised(dir: &Path) -> Result<bool, Failure> {
    supervise::is_supervised(dir).map_err(|error| cannot("see whether there is a supervisor of", dir, &error))
}

fn all_or_none_supervised(places: &[PathBuf]) -> Result<bool, Failure> {
    let answers: Vec<bool> = places.iter().map(|place| is_supervised(place)).collect::<Result<_, _>>()?;
    if answers.iter().any(|&answer| answer != answers[0]) {
        let text = format!("of {} and its logger one has a supervisor, and the other has none", places[0].display());
        return Err(Failure::system(text));
    }
    Ok(answers[0])
}

/// Prepares a directory for a supervisor, and listens for it.
fn expect_supervisor(dir: &Path, how: &How) -> Result<Source, Failure> {
    if how.down {
        let path = dir.join("down");
        File::create(&path).map_err(|error| cannot("make", &path, &error))?;
    }
    let event = dir.join("event");
    let group = (!how.public).then(getegid);
    fifodir::make(&event, group, how.force).map_err(|error| cannot("make", &event, &error))?;
    Source::new(dir)
}

fn forget_down(places: &[PathBuf], how: &How) {
    for place in places.iter().filter(|_| how.down) {
        let _ = fs::remove_file(place.join("down"));
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::system(format!("unable to {what} {}: {error}", path.display()))
}

/// Where a letter is to come from.
struct Source {
    listener: Listener,
    /// Its end is what `x` announces: until then it has its lock, and counts as there.
    supervisor: Option<PidFd>,
}

impl Source {
    fn new(dir: &Path) -> Result<Source, Failure> {
        let listener = Listener::new(&dir.join("event")).map_err(|error| cannot("listen to the events of", dir, &error))?;
        Ok(Source { listener, supervisor: supervisor(dir) })
    }

    /// Whether the letter has come.
    fn has(&mut self, letter: u8) -> Result<bool, Failure> {
        let events = self.listener.read().map_err(|error| Failure::system(format!("unable to read events: {error}")))?;
        Ok(match &self.supervisor {
            Some(supervisor) if letter == b'x' => has_ended(supervisor),
            Some(_) | None => events.contains(&letter),
        })
    }
}

/// Waits until the letter has come from all of them.
fn wait(mut sources: Vec<Source>, letter: u8, deadline: Option<Millis>) -> Result<(), Failure> {
    loop {
        let mut open = Vec::new();
        for mut source in sources {
            if !source.has(letter)? {
                open.push(source);
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        let now = clock::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Failure::with_code(exit::TIMED_OUT, "timed out waiting for the supervisor"));
        }
        let interests = open.iter().flat_map(|source| {
            let supervisor = source.supervisor.as_ref().map_or(-1, PidFd::as_raw_fd);
            [poll::readable(source.listener.as_raw_fd()), poll::readable(supervisor)]
        });
        poll::wait(&mut interests.collect::<Vec<_>>(), now, deadline);
        sources = open;
    }
}
