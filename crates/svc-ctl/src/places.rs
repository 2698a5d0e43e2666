//! Where svc listens, from here: looks through the places of `svc_proto::place` and connects to the first that answers.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};

use svc_core::memory;
use svc_proto::place;

use crate::exit::Failure;

/// One place to look at.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Path(PathBuf),
    /// A name in the abstract namespace, without its NUL byte.
    Abstract(Vec<u8>),
}

impl Place {
    fn connect(&self) -> io::Result<UnixStream> {
        match self {
            Place::Path(path) => UnixStream::connect(path),
            Place::Abstract(name) => UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?),
        }
    }

    fn name(&self) -> String {
        match self {
            Place::Path(path) => path.display().to_string(),
            Place::Abstract(name) => format!("@{}", String::from_utf8_lossy(name)),
        }
    }
}

/// Connects to svc, or says where it was looked for and what is missing.
pub fn connect(chosen: Option<&Path>) -> Result<UnixStream, Failure> {
    let mut misses = Vec::new();
    for place in chosen_places(chosen).unwrap_or_else(default_places) {
        match place.connect() {
            Ok(stream) => return Ok(stream),
            Err(error) => misses.push((place, error)),
        }
    }
    Err(Failure::system(explain(&misses)))
}

/// The one place that `--socket` or the environment names. Looking further would steer another svc than the one meant.
fn chosen_places(chosen: Option<&Path>) -> Option<Vec<Place>> {
    if let Some(path) = chosen {
        return Some(vec![match path.as_os_str().as_bytes() {
            [b'@', name @ ..] => Place::Abstract(name.to_vec()),
            _ if path.is_dir() => Place::Path(path.join(place::SOCKET)),
            _ => Place::Path(path.to_path_buf()),
        }]);
    }
    let directory = std::env::var_os(place::ENV).filter(|directory| !directory.is_empty())?;
    Some(vec![Place::Path(Path::new(&directory).join(place::SOCKET))])
}

fn default_places() -> Vec<Place> {
    let mut places: Vec<Place> =
        default_directories().iter().map(|directory| Place::Path(directory.join(place::SOCKET))).collect();
    places.push(Place::Abstract(place::abstract_name().into()));
    places
}

/// The run directories that svc may have here, the likeliest first.
pub fn run_directories() -> Vec<PathBuf> {
    match std::env::var_os(place::ENV).filter(|directory| !directory.is_empty()) {
        Some(directory) => vec![directory.into()],
        None => default_directories(),
    }
}

fn default_directories() -> Vec<PathBuf> {
    let mut directories = vec![PathBuf::from(place::DEFAULT)];
    if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR").filter(|directory| !directory.is_empty()) {
        directories.push(Path::new(&runtime).join("svc"));
    }
    let own = own_uid().map(|uid| PathBuf::from(format!("/tmp/svc-{uid}")));
    let others = directories_in_tmp().into_iter().filter(|directory| Some(directory) != own.as_ref());
    let temporary = own.clone().into_iter().chain(others).filter(|directory| belongs_to_its_name(directory));
    directories.extend(temporary);
    directories.extend(directories_in_memory());
    directories
}

/// Those of this container that are there. Containers may share the memory; each has a number of its own.
fn directories_in_memory() -> Vec<PathBuf> {
    let Ok(namespace) = fs::metadata("/proc/self/ns/mnt").map(|data| data.ino()) else { return Vec::new() };
    let Ok(entries) = fs::read_dir(memory::MEMORY) else { return Vec::new() };
    let is_ours = |entry: &fs::DirEntry| {
        let owner = entry.metadata().ok().filter(fs::Metadata::is_dir)?.uid();
        Some(entry.path() == Path::new(&memory::directory(owner, namespace)))
    };
    let ours = entries.flatten().filter(|entry| is_ours(entry).unwrap_or(false)).map(|entry| entry.path());
    let mut ours: Vec<PathBuf> = ours.collect();
    // Another user's must not answer in the place of one's own.
    let own = own_uid().map(|uid| PathBuf::from(memory::directory(uid, namespace)));
    ours.sort_by_key(|dir| (Some(dir) != own.as_ref(), dir.clone()));
    ours.iter().map(|dir| dir.join(memory::RUN).join("svc")).collect()
}

fn own_uid() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|metadata| metadata.uid())
}

fn directories_in_tmp() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/tmp") else { return Vec::new() };
    let named_so = |entry: &fs::DirEntry| entry.file_name().as_bytes().starts_with(b"svc-");
    let mut paths: Vec<PathBuf> = entries.flatten().filter(named_so).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Whether `/tmp/svc-1000` is a directory of uid 1000. Anybody can make one in somebody else's name and answer for svc there.
/// One that is not there counts as well: the message then says that it was looked for.
fn belongs_to_its_name(directory: &Path) -> bool {
    let Some(uid) = directory.file_name().and_then(|name| name.to_str()?.strip_prefix("svc-")?.parse::<u32>().ok()) else {
        return false;
    };
    match fs::symlink_metadata(directory) {
        Ok(metadata) => metadata.is_dir() && metadata.uid() == uid,
        Err(_) => true,
    }
}

/// One line: what is missing, where it was looked for, and the cure. A socket that may not be used is the likelier reason
/// than those that do not exist.
fn explain(misses: &[(Place, io::Error)]) -> String {
    if let Some((place, _)) = misses.iter().find(|(_, error)| error.kind() == ErrorKind::PermissionDenied) {
        return format!(
            "no permission to use {}{}; whoever can reach the socket may read, steering needs that uid or root",
            place.name(),
            owner(place)
        );
    }
    let places: Vec<String> = misses.iter().map(|(place, error)| format!("{} ({})", place.name(), reason(error))).collect();
    format!(
        "no svc is running here: looked for {}; start one with svc-scan DIR, or name its socket with --socket PATH or {}=DIR",
        places.join(", "),
        place::ENV
    )
}

/// Who has the socket, or the nearest directory above it that can be seen.
fn owner(place: &Place) -> String {
    let Place::Path(path) = place else { return String::new() };
    let seen = path.ancestors().find_map(|path| Some((path, fs::metadata(path).ok()?)));
    match seen {
        Some((seen, metadata)) if seen == path => format!(": it belongs to uid {}", metadata.uid()),
        Some((seen, metadata)) => format!(": {} belongs to uid {}", seen.display(), metadata.uid()),
        None => String::new(),
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "not there".into(),
        ErrorKind::ConnectionRefused => "nobody listens".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_socket_is_the_only_one() {
        assert_eq!(chosen_places(Some(Path::new("/x/y.sock"))), Some(vec![Place::Path("/x/y.sock".into())]));
        assert_eq!(chosen_places(Some(Path::new("@a/b"))), Some(vec![Place::Abstract(b"a/b".to_vec())]));
        assert_eq!(chosen_places(Some(Path::new("/proc"))), Some(vec![Place::Path("/proc/control.sock".into())]));
    }

    #[test]
    fn a_directory_in_somebody_elses_name_is_not_trusted() {
        let parent = std::env::temp_dir().join(format!("svc-ctl-places-{}", std::process::id()));
        let uid = own_uid().expect("/proc is there");
        let (own, foreign) = (parent.join(format!("svc-{uid}")), parent.join(format!("svc-{}", uid + 1)));
        fs::create_dir_all(&own)
            .and_then(|()| fs::create_dir_all(&foreign))
            .expect("the temporary directory can be written");
        assert!(belongs_to_its_name(&own));
        assert!(!belongs_to_its_name(&foreign));
        assert!(!belongs_to_its_name(&parent.join("svc-x")));
        let _ = fs::remove_dir_all(parent);
    }

    #[test]
    fn the_message_says_where_and_how() {
        let missing = (Place::Path("/a/control.sock".into()), io::Error::from(ErrorKind::NotFound));
        let dead = (Place::Abstract(b"svc/control".to_vec()), io::Error::from(ErrorKind::ConnectionRefused));
        let text = explain(&[missing, dead]);
        assert!(text.contains("/a/control.sock (not there), @svc/control (nobody listens)"), "{text}");
        let denied = (Place::Path("/proc/self/nothing/control.sock".into()), io::Error::from(ErrorKind::PermissionDenied));
        let text = explain(&[denied]);
        assert!(
            text.starts_with("no permission to use /proc/self/nothing/control.sock: /proc/self belongs to uid"),
            "{text}"
        );
    }
}
