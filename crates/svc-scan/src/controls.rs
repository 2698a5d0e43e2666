//! `.s6-svscan/control` of each scan directory: what s6-svscanctl writes into. Where the scan directory cannot be written to, it is in
//! the run directory, below a name made of the scan directory's device and inode, as those of services are.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use svc_proto::place::FILES;
use svc_proto::place::s6_svscan::{CONTROL, FOLDER, LOCK};
use svc_sys::at::{self, At, Holder, Open};
use svc_sys::poll::{Epoll, Trigger};
use svc_sys::{Errno, fd, say};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::links::watch;

pub(crate) struct Controls {
    pub(crate) ready: AsyncFd<Epoll>,
    /// There may be something to read.
    pub(crate) behind: bool,
    dirs: Vec<Control>,
    run_dir: Option<PathBuf>,
}

struct Control {
    scan_dir: PathBuf,
    state: State,
}

enum State {
    /// The scan directory is not there yet.
    Missing,
    Open(Served),
    /// Nothing can be written there, nor in the run directory.
    Refused,
}

/// The FIFO, and the lock where svc-init came too early to have it.
struct Served {
    fifo: OwnedFd,
    _lock: Option<OwnedFd>,
}

impl Controls {
    pub(crate) fn new(scan_dirs: &[PathBuf], run_dir: Option<&Path>) -> Result<Controls, Errno> {
        let dirs = scan_dirs.iter().map(|dir| Control { scan_dir: dir.clone(), state: State::Missing }).collect();
        let ready = watch(Epoll::new()?, Interest::READABLE)?;
        let mut controls = Controls { ready, behind: false, dirs, run_dir: run_dir.map(Path::to_owned) };
        controls.open();
        Ok(controls)
    }

    /// Opens those whose scan directory is there by now.
    pub(crate) fn open(&mut self) {
        for control in self.dirs.iter_mut().filter(|control| matches!(control.state, State::Missing)) {
            if !control.scan_dir.is_dir() {
                continue;
            }
            let opened = serve(&control.scan_dir).or_else(|errno| match &self.run_dir {
                // What another container has, or what is no FIFO, s6-svscanctl finds there.
                Some(run_dir) if ![Errno::IN_USE, Errno::EXISTS].contains(&errno) => {
                    serve(&apart(run_dir, &control.scan_dir)?)
                }
                Some(_) | None => Err(errno),
            });
            let opened = opened.and_then(|served| {
                self.ready.get_ref().add(served.fifo.as_fd(), 0, Trigger::Level)?;
                Ok(served)
            });
            control.state = match opened {
                Ok(served) => State::Open(served),
                // No error: svc-ctl steers what is in it.
                Err(_) => State::Refused,
            };
        }
    }

    /// Letters that came, with the directory they were meant for; none when there are no more. A turn takes so much of each FIFO and no
    /// more, and the same letter twice asks for nothing else.
    pub(crate) fn read(&self) -> Vec<(PathBuf, u8)> {
        let mut letters = Vec::new();
        for control in &self.dirs {
            let State::Open(served) = &control.state else { continue };
            let mut buffer = [0; 512];
            let length = fd::read(served.fifo.as_fd(), &mut buffer).unwrap_or(0);
            for letter in buffer[..length].iter().map(|&letter| (control.scan_dir.clone(), letter)) {
                if !letters.contains(&letter) {
                    letters.push(letter);
                }
            }
        }
        letters
    }
}

/// The directory in the run directory that stands for a scan directory.
fn apart(run_dir: &Path, scan_dir: &Path) -> Result<PathBuf, Errno> {
    let data = std::fs::metadata(scan_dir)?;
    let path = run_dir.join(FILES).join(format!("{:x}-{:x}", data.dev(), data.ino()));
    match at::make_directory(At::Here, &c_path(&path), 0o755) {
        Ok(()) | Err(Errno::EXISTS) => Ok(path),
        Err(errno) => Err(errno),
    }
}

fn serve(scan_dir: &Path) -> Result<Served, Errno> {
    let path = scan_dir.join(FOLDER);
    let open = || at::open(At::Here, &c_path(&path), Open::Directory);
    let folder = match open() {
        Err(Errno::NOT_FOUND) => {
            std::fs::DirBuilder::new().mode(0o700).create(&path)?;
            open()?
        }
        opened => opened?,
    };
    let at = At::Dir(folder.as_fd());
    let name = c_path(Path::new(CONTROL));
    match at::make_fifo(at, &name, 0o600) {
        Ok(()) | Err(Errno::EXISTS) => {}
        Err(errno) => return Err(errno),
    }
    // svc-init has it, as a rule.
    let lock = at::open(at, &c_path(Path::new(LOCK)), Open::Lock(0o600))?;
    let lock = Some(lock).filter(|lock| at::lock_record(lock.as_fd()) == Ok(true));
    if lock.is_none() && is_held_elsewhere(at) {
        // On a volume that another container has too: the letters are for that one.
        return Err(Errno::IN_USE);
    }
    let fifo = at::open(at, &name, Open::FifoBoth)?;
    if !at::data_of(fifo.as_fd())?.is_fifo {
        say!(
            "svc-scan: {}/{FOLDER}/{CONTROL} is no FIFO: remove it, or s6-svscanctl does not reach svc",
            scan_dir.display()
        );
        return Err(Errno::EXISTS);
    }
    Ok(Served { fifo, _lock: lock })
}

fn is_held_elsewhere(folder: At) -> bool {
    let lock = at::open(folder, &c_path(Path::new(LOCK)), Open::Read);
    lock.is_ok_and(|lock| at::record_holder(lock.as_fd()) == Ok(Holder::Elsewhere))
}

/// Paths of ours contain no NUL: they come from arguments.
fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}
