//! Where the files are that s6's tools look for: in the run directory, with symbolic links to them in the service directory.
//!
//! `RUN/servicedirs/ID/{supervise,event}`, where ID is the service directory's device and inode: it keeps its files under
//! whatever name. A directory that has a `supervise/` or `event/` of its own (s6 ran there, or s6-svlink waits there) keeps that.
//! Where no link can be made, `RUN/services/NAME` is one, so that the tools find a service of a read-only image too.

use std::cell::Cell;
use std::ffi::{CStr, CString, OsStr};
use std::fmt::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use svc_core::Pid;
use svc_proto::place::{FILES, STAND_INS};
use svc_sys::at::{self, At, Holder, Open};
use svc_sys::listen::{self, Address};
use svc_sys::process::PidFd;
use svc_sys::{Errno, say, user};

const SUPERVISE: &CStr = c"supervise";
const EVENT: &CStr = c"event";
/// Private to a group, and everybody in it may listen, but not take away what others listen on.
const EVENT_MODE: u32 = 0o3730;

/// The two directories of one service, and the lock that says that somebody supervises it.
pub(crate) struct Place {
    pub(crate) supervise: OwnedFd,
    pub(crate) event: OwnedFd,
    /// Held as long as this is open; nothing else may open that file here.
    _lock: OwnedFd,
    /// The directory in the run directory.
    folder: Option<CString>,
}

/// Why there is none.
pub(crate) enum Obstacle {
    /// Another process holds the lock; its handle tells when it has ended.
    Supervised(Option<PidFd>),
    System(Errno),
}

impl From<Errno> for Obstacle {
    fn from(errno: Errno) -> Obstacle {
        Obstacle::System(errno)
    }
}

/// Where a directory was found or made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// In the service directory, or where a link leads that somebody else made there.
    There,
    /// In the run directory, with a link to it.
    Linked,
    /// In the run directory, and the service directory takes no link.
    Apart,
}

impl Place {
    /// Finds or makes them for the service whose directory is the working directory.
    pub(crate) fn find(run_dir: Option<&Path>, name: &str) -> Result<Place, Obstacle> {
        let before = user::set_umask(0);
        let place = Place::make(run_dir, name);
        user::set_umask(before);
        place
    }

    fn make(run_dir: Option<&Path>, name: &str) -> Result<Place, Obstacle> {
        let own = match run_dir {
            Some(run_dir) => Some(Own::of(run_dir, c".", name)?),
            None => None,
        };
        let (mut supervise, mut found) = settle(SUPERVISE, own.as_ref())?;
        let lock = match (lock(&supervise), &own) {
            (Err(Obstacle::System(_)), Some(own)) if found == Found::There => {
                // Left in an image that is read-only now, or on a volume that another container has too.
                (supervise, found) = (own.open(SUPERVISE)?, Found::Apart);
                lock(&supervise)?
            }
            (lock, _) => lock?,
        };
        let event = match &own {
            Some(own) if found == Found::Apart => {
                own.stand_in();
                own.open(EVENT)?
            }
            own => settle(EVENT, own.as_ref())?.0,
        };
        Ok(Place { supervise, event, _lock: lock, folder: own.map(|own| own.folder) })
    }

    /// Whether the FIFO of commands is found where it is looked for: below the service directory, or below the run directory.
    pub(crate) fn is_there(&self, control: Option<&OwnedFd>) -> bool {
        let Some(Ok(ours)) = control.map(|control| at::data_of(control.as_fd())) else { return true };
        let apart = self.folder.as_ref().map(|folder| below(folder, SUPERVISE));
        [Some(SUPERVISE), apart.as_deref()].into_iter().flatten().any(|dir| {
            let found = at::data(At::Here, &below(dir, c"control"));
            found.is_ok_and(|found| (found.device, found.inode) == (ours.device, ours.inode))
        })
    }

    /// Where the files are, in words.
    pub(crate) fn path(&self) -> String {
        let path = std::fs::read_link(format!("/proc/self/fd/{}", self.supervise.as_raw_fd()));
        let path = path.map_or_else(|_| "supervise/".into(), |path| path.display().to_string());
        path.strip_suffix(" (deleted)").map_or(path.clone(), str::to_owned)
    }

    /// The service directory was removed: nobody will ask for these files any more.
    pub(crate) fn remove(&self) {
        let Some(folder) = &self.folder else { return };
        let supervise = At::Dir(self.supervise.as_fd());
        for name in [c"control", c"status", c"status.new", c"death_tally", c"death_tally.new", c"lock"] {
            let _ = at::remove(supervise, name);
        }
        let event = At::Dir(self.event.as_fd());
        let _ = at::list(self.event.as_fd(), |name| {
            let _ = at::remove(event, name);
        });
        for name in [SUPERVISE, EVENT] {
            let _ = at::remove_directory(At::Here, &below(folder, name));
        }
        let _ = at::remove(At::Here, &below(folder, c"log"));
        let _ = at::remove_directory(At::Here, folder);
    }
}

/// A service's directory in the run directory.
struct Own<'a> {
    service: &'a str,
    folder: CString,
    id: String,
    run_dir: &'a Path,
    /// The folder is known to be there.
    made: Cell<bool>,
}

impl<'a> Own<'a> {
    /// That of the service directory `dir`.
    fn of(run_dir: &'a Path, dir: &CStr, service: &'a str) -> Result<Own<'a>, Errno> {
        let data = at::data(At::Here, dir)?;
        let id = format!("{:x}-{:x}", data.device, data.inode);
        let path = run_dir.join(FILES).join(&id);
        Ok(Own { service, folder: c_string(&path), id, run_dir, made: Cell::new(false) })
    }

    /// Opens a directory in it, and makes what is missing: as a rule everything is.
    fn open(&self, name: &CStr) -> Result<OwnedFd, Errno> {
        let path = below(&self.folder, name);
        if !self.made.replace(true) {
            there_already(at::make_directory(At::Here, &self.folder, 0o755))?;
        }
        make(&path, name)
    }

    /// Makes a link by name, for a service directory that takes none. A logger's stands in the folder of its service.
    #[inline(never)]
    fn stand_in(&self) {
        let made = match self.service.strip_suffix("/log") {
            None => {
                let link = c_string(&self.run_dir.join(STAND_INS).join(self.service));
                replace_link(&link, &c_text(&format!("../{FILES}/{}", self.id)))
            }
            Some(_) => Own::of(self.run_dir, c"..", self.service).and_then(|producer| {
                there_already(at::make_directory(At::Here, &producer.folder, 0o755))?;
                replace_link(&below(&producer.folder, c"log"), &c_text(&format!("../{}", self.id)))
            }),
        };
        if let Err(errno) = made {
            self.complain(&format!("cannot make a link for s6's tools in {}: {errno}", self.run_dir.display()));
        }
    }

    #[inline(never)]
    fn complain(&self, what: &str) {
        say!("svc-supervise: {}: {what}", self.service);
    }
}

/// Takes the name of the service in the working directory, which is a lock as long as this is open: it needs nothing that can be
/// written, so that nobody can take it away, and ends with us. `service` tells apart those that may have one directory.
#[inline(never)]
pub(crate) fn take_name(service: Option<&str>) -> Result<OwnedFd, Obstacle> {
    let data = at::data(At::Here, c".")?;
    let mut name = format!("svc/run/{:x}:{:x}", data.device, data.inode);
    if let Some(service) = service {
        // There is little room in it (FNV-1a).
        let hash = service
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
        let _ = write!(name, ":{hash:x}");
    }
    let name = Address::Abstract(name.into_bytes());
    match listen::hold(&name) {
        Err(Errno::IN_USE) => {}
        // Or there are no Unix sockets here (a very strict sandbox): then nobody else has it either.
        held => return Ok(held?),
    }
    let peer = match listen::who_listens(&name) {
        Err(Errno::AGAIN) => return Err(Obstacle::Supervised(None)),
        peer => peer.ok(),
    };
    // Anybody may take a name; whom we do not trust must not keep a service from running.
    let peer = peer.filter(|peer| [0, user::effective_uid()].contains(&peer.uid));
    let holder = peer.and_then(|peer| Pid::new(peer.pid)).and_then(|pid| PidFd::open(pid).ok());
    // It may have ended before the handle was opened, and its number be somebody else's.
    match (listen::hold(&name), holder) {
        (Err(_), Some(holder)) => Err(Obstacle::Supervised(Some(holder))),
        (held, _) => Ok(held?),
    }
}

/// Takes the lock that says that somebody supervises the service.
fn lock(supervise: &OwnedFd) -> Result<OwnedFd, Obstacle> {
    let lock = at::open(At::Dir(supervise.as_fd()), c"lock", Open::Lock(0o644))?;
    if at::lock_record(lock.as_fd())? {
        return Ok(lock);
    }
    let Some(holder) = holder(&lock) else { return Err(Obstacle::System(Errno::AGAIN)) };
    // It may have ended before the handle was opened, and its number be somebody else's.
    if at::lock_record(lock.as_fd())? { Ok(lock) } else { Err(Obstacle::Supervised(holder)) }
}

/// Who holds the lock, if that is somebody who can be seen from here.
fn holder(lock: &OwnedFd) -> Option<Option<PidFd>> {
    match at::record_holder(lock.as_fd()) {
        Ok(Holder::Process(pid)) => Some(Pid::new(pid).and_then(|pid| PidFd::open(pid).ok())),
        Ok(Holder::Elsewhere | Holder::Nobody) | Err(_) => None,
    }
}

/// Opens a directory of this name in the service directory, or the one in the run directory with a link to it.
fn settle(name: &CStr, own: Option<&Own>) -> Result<(OwnedFd, Found), Obstacle> {
    let Some(own) = own else {
        return match at::open(At::Here, name, Open::Directory) {
            Err(Errno::NOT_FOUND) => Ok((make_in_place(name)?, Found::There)),
            opened => Ok((opened?, Found::There)),
        };
    };
    let content = below(&own.folder, name);
    // Before the link to it: who comes to listen takes a link that leads nowhere for what a reboot has left, and removes it.
    let opened = own.open(name);
    let found = match at::make_link(At::Here, name, &content) {
        Ok(()) => Found::Linked,
        Err(Errno::EXISTS) => match existing(name, own, &content)? {
            Existing::Opened(opened) => return Ok((opened, Found::There)),
            Existing::Link => Found::Linked,
            Existing::Useless => Found::Apart,
        },
        Err(_) => Found::Apart,
    };
    Ok((opened?, found))
}

/// Makes the directory in the service directory. A link of ours that leads nowhere, as after a reboot, gives way; behind
/// anybody else's the directory is made, as s6 does.
#[inline(never)]
fn make_in_place(name: &CStr) -> Result<OwnedFd, Errno> {
    let mut buffer = [0; 512];
    match at::read_link(At::Here, name, &mut buffer) {
        Ok(link) if id_in(link, name).is_some() => {
            at::remove(At::Here, name)?;
            make(name, name)
        }
        Ok(link) => make_behind(link, name),
        Err(_) => make(name, name),
    }
}

/// Makes the directory that a link of somebody else names, and those above it: after a reboot nothing is left of what was in /run.
fn make_behind(link: &[u8], name: &CStr) -> Result<OwnedFd, Errno> {
    let target = CString::new(link).unwrap_or_default();
    match make(&target, name) {
        Err(Errno::NOT_FOUND) => {
            let above = Path::new(OsStr::from_bytes(link)).parent().ok_or(Errno::NOT_FOUND)?;
            std::fs::DirBuilder::new().recursive(true).mode(0o755).create(above)?;
            make(&target, name)
        }
        made => made,
    }
}

/// What stands where a link is to be.
enum Existing {
    /// A directory of its own.
    Opened(OwnedFd),
    /// The link, by now.
    Link,
    Useless,
}

#[inline(never)]
fn existing(name: &CStr, own: &Own, content: &CStr) -> Result<Existing, Obstacle> {
    let mut buffer = [0; 512];
    let link = match at::read_link(At::Here, name, &mut buffer) {
        Ok(link) => link,
        // No link: a directory that somebody made, who may have opened it already.
        Err(Errno::INVALID) => {
            return Ok(match at::open(At::Here, name, Open::Directory) {
                Ok(opened) => Existing::Opened(opened),
                Err(errno) => {
                    let name = name.to_string_lossy();
                    own.complain(&format!("{name}: {errno}: remove it, or s6's tools do not find the service here"));
                    Existing::Useless
                }
            });
        }
        Err(_) => return Ok(Existing::Useless),
    };
    if link == content.to_bytes() {
        return Ok(Existing::Link);
    }
    match id_in(link, name) {
        // From another svc, of another time as a rule; or from a directory of which this one is a copy.
        Some(id) => {
            if id == own.id.as_bytes()
                && let Ok(lock) = at::open(At::Here, &below(name, c"lock"), Open::Read)
                && let Some(holder) = holder(&lock)
            {
                return Err(Obstacle::Supervised(holder));
            }
            Ok(if replace_link(name, content).is_ok() { Existing::Link } else { Existing::Useless })
        }
        // Somebody wants the files to be there: the directory is made if need be, as s6 does.
        None => {
            let opened = match at::open(At::Here, name, Open::Directory) {
                Err(Errno::NOT_FOUND) => make_behind(link, name),
                opened => opened,
            };
            Ok(match opened {
                Ok(opened) => Existing::Opened(opened),
                Err(errno) => {
                    let (name, link) = (name.to_string_lossy(), String::from_utf8_lossy(link));
                    own.complain(&format!(
                        "{name} is a link to {link}: {errno}: its files are in {}",
                        own.run_dir.display()
                    ));
                    Existing::Useless
                }
            })
        }
    }
}

/// The ID in a link of ours, wherever its run directory is.
fn id_in<'l>(link: &'l [u8], name: &CStr) -> Option<&'l [u8]> {
    let mut parts = link.rsplit(|&byte| byte == b'/');
    let (last, id, files) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    (last == name.to_bytes() && files == FILES.as_bytes() && id.iter().all(hex)).then_some(id)
}

fn leads_to(name: &CStr, content: &CStr) -> bool {
    at::read_link(At::Here, name, &mut [0; 512]) == Ok(content.to_bytes())
}

fn replace_link(name: &CStr, content: &CStr) -> Result<(), Errno> {
    match at::make_link(At::Here, name, content) {
        Err(Errno::EXISTS) if leads_to(name, content) => Ok(()),
        Err(Errno::EXISTS) => {
            at::remove(At::Here, name)?;
            at::make_link(At::Here, name, content)
        }
        made => made,
    }
}

/// Makes one of the two directories and opens it.
fn make(path: &CStr, name: &CStr) -> Result<OwnedFd, Errno> {
    let made = at::make_directory(At::Here, path, 0o700);
    let dir = at::open(At::Here, path, Open::Directory)?;
    if name == EVENT && made.is_ok() {
        let group = user::effective_gid();
        if at::data_of(dir.as_fd())?.group != group {
            at::set_group(dir.as_fd(), group)?;
        }
        at::set_mode(dir.as_fd(), EVENT_MODE)?;
    }
    Ok(dir)
}

fn there_already(made: Result<(), Errno>) -> Result<(), Errno> {
    match made {
        Err(Errno::EXISTS) => Ok(()),
        made => made,
    }
}

fn below(dir: &CStr, name: &CStr) -> CString {
    let mut path = Vec::with_capacity(dir.count_bytes() + name.count_bytes() + 2);
    path.extend_from_slice(dir.to_bytes());
    path.push(b'/');
    path.extend_from_slice(name.to_bytes());
    // No NUL: both are C strings.
    CString::new(path).unwrap_or_default()
}

fn c_string(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

/// Names of services and of our own directories contain no NUL.
fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}
