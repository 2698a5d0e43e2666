//! The socket that listens for clients. svc-init keeps it, so clients who come while no svc-scan lives wait in its queue.

use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use svc_proto::api::place;
use svc_sys::say;

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
