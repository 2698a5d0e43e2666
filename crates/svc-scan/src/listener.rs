//! The socket that listens for clients. svc-init keeps it, so clients who come while no svc-scan lives wait in its queue.

use std::fs::{DirBuilder, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use svc_proto::place;
use svc_sys::listen::{self, Address};
use svc_sys::{process, say, user};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::links::watch;

/// Makes it: a socket in the run directory that everybody may connect to (who may do what is decided by who connects), or
/// an abstract name where nothing can be written, or no socket made.
pub(crate) fn bind(run_dir: Option<&Path>) -> std::io::Result<UnixListener> {
    let name = place::abstract_name();
    if let Some(path) = run_dir.map(|run_dir| run_dir.join(place::SOCKET)) {
        match bind_path(&path) {
            Ok(listener) => return Ok(listener),
            Err(error) => say!("svc-scan: cannot make {}: {error}: taking the abstract name {name} instead", path.display()),
        }
    }
    UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)
}

fn bind_path(path: &Path) -> std::io::Result<UnixListener> {
    // What lies there is from an earlier boot: the lock of the run directory says that nobody else is alive.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

pub(crate) fn into_tokio(listener: UnixListener) -> std::io::Result<tokio::net::UnixListener> {
    listener.set_nonblocking(true)?;
    tokio::net::UnixListener::from_std(listener)
}

pub(crate) fn from_init(descriptor: OwnedFd) -> UnixListener {
    UnixListener::from(descriptor)
}

/// Tells of each mount: one may cover the run directory, or uncover it. None where the kernel does not.
pub(crate) fn mounts() -> Option<AsyncFd<File>> {
    watch(File::open("/proc/self/mountinfo").ok()?, Interest::PRIORITY).ok()
}

/// Waits for the next mount, or for ever.
pub(crate) async fn mounted(mounts: Option<&AsyncFd<File>>) {
    match mounts {
        Some(mounts) => match mounts.ready(Interest::PRIORITY).await {
            Ok(mut ready) => ready.clear_ready(),
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// The run directory as clients see it: whether what they look for is there, and ours.
pub(crate) struct Door {
    run_dir: PathBuf,
    /// Who has made the socket; the kernel tells it to who connects.
    maker: Option<i32>,
    /// Clients are served at the abstract name.
    apart: bool,
    /// Of a run directory that we had to make again.
    lock: Option<File>,
    /// What is wrong, as it was said.
    said: Option<String>,
}

impl Door {
    pub(crate) fn new(run_dir: &Path, listener: &UnixListener) -> Door {
        let apart = listener.local_addr().is_ok_and(|address| address.as_pathname().is_none());
        let maker = process::peer(listener.as_fd()).ok().map(|peer| peer.pid);
        Door { run_dir: run_dir.to_owned(), maker, apart, lock: None, said: None }
    }

    /// Whether something of ours has this path.
    pub(crate) fn is_of_it(run_dir: &Path, path: &Path) -> bool {
        let names = [place::SOCKET, place::FILES, place::STAND_INS];
        path == run_dir || path.parent() == Some(run_dir) && names.iter().any(|name| path.file_name() == Some(name.as_ref()))
    }

    /// Makes again what is not there. Returns the new socket, where clients did not find the one before.
    pub(crate) fn restore(&mut self) -> Option<UnixListener> {
        let socket = self.run_dir.join(place::SOCKET);
        let problem = match listen::who_listens(&Address::Path(socket.clone())) {
            Ok(peer) if !self.apart && self.maker.is_none_or(|maker| maker == peer.pid) => {
                let error = self.make_places().err()?;
                format!("the directories beside it cannot be made again: {error}: s6's tools do not find services")
            }
            Ok(peer) => format!("another svc (pid {}) answers there: stop one of the two", peer.pid),
            // Its queue is full: somebody is there. Or there is no descriptor left to ask with, and nothing is known.
            Err(errno) if errno.is_shortage() => return None,
            Err(_) => match self.make_places().and_then(|()| bind_path(&socket)) {
                Ok(listener) => {
                    say!("svc-scan: {} was gone: made again; services went on", socket.display());
                    return Some(self.takes(listener));
                }
                // As before.
                Err(_) if self.apart => return None,
                Err(error) => match bind(None) {
                    Ok(listener) => {
                        let name = place::abstract_name();
                        say!(
                            "svc-scan: {} is gone, and cannot be made again: {error}: svc-ctl finds svc by the abstract name \
                             {name} until that works, and svc is told to rescan (SIGHUP)",
                            socket.display()
                        );
                        return Some(self.takes(listener));
                    }
                    Err(other) => format!("is gone, and cannot be made again: {error} (nor an abstract name: {other})"),
                },
            },
        };
        if self.said.as_ref() != Some(&problem) {
            say!("svc-scan: {}: {problem}", socket.display());
            self.said = Some(problem);
        }
        None
    }

    fn takes(&mut self, listener: UnixListener) -> UnixListener {
        *self = Door { lock: self.lock.take(), ..Door::new(&self.run_dir, &listener) };
        listener
    }

    /// The run directory, its lock, and the places of the files of s6's tools.
    fn make_places(&mut self) -> std::io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.mode(0o755).recursive(true).create(&self.run_dir)?;
        user::may_trust(&self.run_dir)?;
        let lock = File::create(self.run_dir.join("lock"))?;
        // svc-init has it, as a rule; the next svc-scan takes it again.
        if lock.try_lock().is_ok() {
            self.lock = Some(lock);
        }
        [place::FILES, place::STAND_INS].iter().try_for_each(|name| builder.create(self.run_dir.join(name)))
    }
}
