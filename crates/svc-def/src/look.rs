//! What is at a path: the questions about links, loops and permissions that every file of a service directory raises, answered
//! in one place and in the same words. Opens nothing but plain files.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::ops::Deref;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::errno;
use crate::problem::shown;
use crate::user;

/// A file that something is wrong with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What the kernel says to whoever tries.
    pub(crate) errno: i32,
    /// A phrase to be put behind the path.
    pub(crate) what: String,
    pub(crate) cure: String,
}

impl Trouble {
    pub(crate) fn message(&self) -> String {
        format!("{}: {}", self.what, self.cure)
    }
}

/// What there is, links followed.
pub(crate) enum Look {
    Absent,
    Here(Metadata),
    Trouble(Trouble),
}

/// A directory whose names are listed once. Of thirty files that may stand in a service directory two or three do, and each look
/// costs a system call.
pub(crate) struct Folder<'a> {
    path: &'a Path,
    /// In order. None where they cannot be listed, or are many: then each is looked for.
    names: Option<Vec<OsString>>,
}

impl<'a> Folder<'a> {
    pub(crate) fn list(path: &'a Path) -> Folder<'a> {
        /// Whoever keeps data beside `run` has more.
        const MOST: usize = 200;
        let list = || -> std::io::Result<Vec<OsString>> {
            std::fs::read_dir(path)?.take(MOST + 1).map(|entry| Ok(entry?.file_name())).collect()
        };
        let mut names = list().ok().filter(|names| names.len() <= MOST);
        names.iter_mut().for_each(|names| names.sort_unstable());
        Folder { path, names }
    }

    /// False: there is nothing of this name.
    pub(crate) fn may_have(&self, name: &str) -> bool {
        self.names
            .as_ref()
            .is_none_or(|names| names.binary_search_by(|listed| listed.as_os_str().cmp(OsStr::new(name))).is_ok())
    }

    pub(crate) fn look(&self, name: &str) -> Look {
        if self.may_have(name) { look(&self.path.join(name)) } else { Look::Absent }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        !matches!(self.look(name), Look::Absent)
    }
}

impl Deref for Folder<'_> {
    type Target = Path;

    fn deref(&self) -> &Path {
        self.path
    }
}

pub(crate) fn look(path: &Path) -> Look {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_symlink() => return Look::Here(metadata),
        Ok(_link) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Look::Absent,
        Err(error) => return Look::Trouble(denied(path, errno::of(&error), "reached")),
    }
    let errno = match std::fs::metadata(path) {
        Ok(metadata) => return Look::Here(metadata),
        Err(error) => errno::of(&error),
    };
    let Ok(target) = std::fs::read_link(path) else {
        // It was a link a moment ago. Whoever replaces it will make us look again.
        return Look::Absent;
    };
    let target = shown(&target);
    match errno {
        errno::ENOENT => Look::Trouble(Trouble {
            errno,
            what: format!("is a link to {target}, which does not exist"),
            cure: "create that, or remove the link".into(),
        }),
        errno::ELOOP => Look::Trouble(Trouble {
            errno,
            what: format!("is a link to {target}, which is part of a loop of links"),
            cure: "point one of them to something real".into(),
        }),
        _ => Look::Trouble(denied(path, errno, "reached")),
    }
}

/// The first bytes of a file, at most `most`, and the file for whoever needs others. Ask [`look`] first: only plain files may
/// be opened, because opening a device can do something.
pub(crate) fn head(path: &Path, most: usize) -> Result<(File, Vec<u8>), Trouble> {
    /// O_NONBLOCK, the same on every architecture we build for: somebody may put a FIFO there between look and open.
    const NONBLOCK: i32 = 0o4000;
    const ROOM: usize = 4096;
    let read = || {
        let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path)?;
        // Most files are read at once.
        let mut bytes = Vec::with_capacity(most.min(ROOM));
        (&file).take(most as u64).read_to_end(&mut bytes)?;
        Ok((file, bytes))
    };
    read().map_err(|error: std::io::Error| denied(path, errno::of(&error), "read"))
}

/// The words for what is neither a file nor a directory.
pub(crate) fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_file() {
        "a file"
    } else {
        "a device"
    }
}

/// The first directory on the way to `path`, links followed, that does not let us through.
pub(crate) fn closed_directory(path: &Path) -> Option<PathBuf> {
    let closed = |path: &Path| {
        let mut ancestors: Vec<&Path> =
            path.ancestors().skip(1).filter(|ancestor| !ancestor.as_os_str().is_empty()).collect();
        ancestors.reverse();
        let closed = ancestors.into_iter().find(|ancestor| {
            // Naming the directory's own dot needs the right to search it.
            std::fs::metadata(ancestor.join(".")).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        });
        closed.map(Path::to_path_buf)
    };
    /// The kernel's own limit on links in one path.
    const MAX_LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        if let Some(directory) = closed(&path) {
            return Some(directory);
        }
        let target = std::fs::read_link(&path).ok()?;
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    None
}

/// Words for a failed system call on `path`: it cannot be reached, or it cannot be read.
fn denied(path: &Path, errno: i32, done: &str) -> Trouble {
    let (what, cure) = match (errno, closed_directory(path)) {
        (errno::EACCES, Some(directory)) => closed_door(&user::who(), &directory, done),
        (errno::EACCES, None) => (format!("cannot be {done} by {}", user::who()), format!("chmod a+r {}", shown(path))),
        (errno, _) => {
            let (why, cure) = match shortage(errno) {
                Some((why, cure)) => (why.to_owned(), cure),
                None => (errno::text(errno), "see whether the path and its file system are sound"),
            };
            (format!("cannot be {done}, {why}"), cure.to_owned())
        }
    };
    Trouble { errno, what, cure }
}

/// What is short where no descriptor can be had, whatever path it was for, and the cure.
pub fn shortage(errno: i32) -> Option<(&'static str, &'static str)> {
    match errno {
        errno::EMFILE => Some((
            "too many descriptors are open in this process (RLIMIT_NOFILE)",
            "raise the limit with docker run --ulimit nofile=65536",
        )),
        errno::ENFILE => Some(("too many files are open on this machine (fs.file-max)", "raise it on the host with sysctl")),
        _ => None,
    }
}

/// What is wrong with a directory that does not let somebody through, and the cure.
pub(crate) fn closed_door(who: &str, directory: &Path, done: &str) -> (String, String) {
    let directory = shown(directory);
    (format!("cannot be {done}, because {who} may not search {directory}"), format!("chmod a+x {directory}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_knows_what_is_not_there_and_looks_where_it_cannot_know() {
        let root = std::env::temp_dir().join(format!("svc-def-look-{}", std::process::id()));
        std::fs::create_dir_all(&root).expect("room");
        let has = |name: &str| Folder::list(&root).has(name);
        for name in ["type", "run", "a\u{fc}"] {
            std::fs::write(root.join(name), "").expect("room");
        }
        std::os::unix::fs::symlink("nowhere", root.join("up")).expect("room");
        assert!(has("type") && has("run") && has("a\u{fc}") && has("up") && !has("down"));
        let listed = Folder::list(&root);
        std::fs::remove_file(root.join("type")).expect("it was there");
        assert!(listed.may_have("type") && !listed.has("type") && !listed.may_have("down"));
        (0..300).for_each(|number| std::fs::write(root.join(format!("data-{number}")), "").expect("room"));
        let many = Folder::list(&root);
        assert!(many.may_have("down") && !many.has("down") && many.has("run"));
        std::fs::remove_dir_all(&root).expect("ours");
        assert!(Folder::list(&root).may_have("run") && !has("run"));
    }
}
