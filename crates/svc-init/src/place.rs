//! Where things are: the run directory, and the locks that keep a second svc away.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use svc_core::memory::{self as memory_of, MEMORY};
use svc_proto::place::{self, s6_svscan};
use svc_sys::at::{self, At, Holder, Open};
use svc_sys::listen::{self, Address};
use svc_sys::{Errno, memory, say, user};

use crate::{Refusal, c_path};

/// Our run directory in a place that stands in for /run.
const OF_SVC: &str = "svc";

/// The first directory that can be written to: SVC_RUN_DIR and nothing else where it is set, /run/svc, $XDG_RUNTIME_DIR/svc,
/// /tmp/svc-UID, and one in memory. `None`: nothing can be written at all, and the control socket gets an abstract name.
///
/// `recovered`: it was found before, and whatever has become of it since is no reason to end.
pub(crate) fn run_dir(recovered: bool) -> Result<Option<PathBuf>, Refusal> {
    Asked::default().run_dir(recovered)
}

/// What the environment of this moment says of where things are to be.
pub struct Asked {
    dir: Option<OsString>,
    runtime: Option<OsString>,
}

impl Default for Asked {
    fn default() -> Asked {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Asked { dir: variable(place::ENV), runtime: variable("XDG_RUNTIME_DIR") }
    }
}

impl Asked {
    /// The run directory of the svc that has this environment, for programs that it runs; none if nothing can be written.
    pub fn own_run_dir(&self) -> Option<PathBuf> {
        self.run_dir(true).ok()?
    }

    fn run_dir(&self, recovered: bool) -> Result<Option<PathBuf>, Refusal> {
        if let Some(asked) = &self.dir {
            let asked = std::path::absolute(PathBuf::from(asked)).unwrap_or_default();
            return match usable(&asked) {
                Ok(()) => Ok(Some(asked)),
                Err(_) if recovered => Ok(Some(asked)),
                Err(error) => Err(Refusal {
                    code: svc_sys::exit::SYSTEM,
                    message: format!(
                        "{}={}: cannot be written: {error}: name a directory that can be written to",
                        place::ENV,
                        asked.display()
                    ),
                }),
            };
        }
        let was_used = |dir: &Path| recovered && dir.join(place::SOCKET).exists();
        let found = self.candidates().find(|dir| was_used(dir) || usable(dir).is_ok());
        Ok(found.or_else(|| in_memory(recovered).filter(|dir| was_used(dir) || usable(dir).is_ok())))
    }

    fn candidates(&self) -> impl Iterator<Item = PathBuf> {
        let all = [
            Some(PathBuf::from(place::DEFAULT)),
            self.runtime.as_ref().map(|dir| Path::new(dir).join("svc")),
            Some(PathBuf::from(format!("/tmp/svc-{}", user::effective_uid()))),
        ];
        all.into_iter().flatten()
    }
}

/// The one in memory, where nothing else can be written to. All that is ours there goes at the end.
fn in_memory(recovered: bool) -> Option<PathBuf> {
    let run = if recovered { memory::find() } else { memory::make() };
    run.ok().map(|run| run.join(OF_SVC))
}

/// Says where the files are if that is memory, unless who laid out more there has said it.
pub(crate) fn tell_of_memory(run_dir: &Path, laid_out: Option<&Path>) {
    let place = memory::place();
    if !run_dir.starts_with(&place) || laid_out.is_some_and(|file| file.starts_with(&place)) {
        return;
    }
    let uid = user::effective_uid();
    let lost = match memory::is_own() {
        true => String::new(),
        false => format!("{MEMORY} is shared, so that only {uid} may look there: "),
    };
    say!(
        "svc-init: no place but memory can be written to by {uid}: using {}, which is gone at the end: {lost}mount a tmpfs at \
         /run (docker run --tmpfs /run{}), or set {} to a directory that can be",
        run_dir.display(),
        owner(uid),
        place::ENV
    );
}

/// Takes away what is in memory, if it is ours: a second svc of a container has its place below that of the first.
pub(crate) fn clear_memory(run_dir: Option<&Path>, laid_out: Option<&Path>) {
    let place = memory::place();
    let own = place.join(memory_of::RUN).join(OF_SVC);
    if run_dir == Some(&*own) || laid_out.is_some_and(|file| file.starts_with(&place)) {
        memory::remove();
    }
}

/// An engine gives a tmpfs to root, unless told.
fn owner(uid: u32) -> String {
    if uid == 0 { String::new() } else { format!(":uid={uid}") }
}

/// The same for who only wants to know: what was made for that is gone again.
pub fn try_run_dir() -> Result<Option<PathBuf>, String> {
    let in_memory = memory::place().join(memory_of::RUN).join(OF_SVC);
    let before: Vec<PathBuf> = Asked::default().candidates().chain([in_memory]).filter(|dir| dir.exists()).collect();
    let found = run_dir(false).map_err(|refusal| refusal.message)?;
    if let Some(made) = found.as_ref().filter(|dir| !before.contains(dir)) {
        // Somebody may have come to it meanwhile.
        let _ = fs::remove_dir(made);
        if made.starts_with(memory::place()) {
            let _ = made.ancestors().skip(1).take(2).try_for_each(fs::remove_dir);
        }
    }
    Ok(found)
}

/// Makes the directory if need be, and tries to write there.
fn usable(dir: &Path) -> std::io::Result<()> {
    // By a link, each look would go by it.
    let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    if !real.is_dir() {
        DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    }
    user::may_trust(dir)?;
    let probe = real.join(format!(".probe-{}", std::process::id()));
    File::create(&probe)?;
    fs::remove_file(&probe)
}

/// Makes room for the files of s6's tools. `None`, and one warning: they can only be made in the service directories.
pub(crate) fn files_of_s6(run_dir: Option<&Path>) -> Option<&'static Path> {
    let make = |dir: &Path| {
        for name in [place::FILES, place::STAND_INS] {
            match DirBuilder::new().mode(0o755).create(dir.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    };
    let why = match run_dir.map(make) {
        Some(Ok(())) => return run_dir.map(|dir| &*Box::leak(dir.to_owned().into_boxed_path())),
        Some(Err(error)) => error.to_string(),
        None => "no directory can be written to".into(),
    };
    let owner = owner(user::effective_uid());
    say!(
        "svc-init: no place for the files of s6's tools: {why}: services run all the same, but s6-svc and s6-svstat find only \
         those whose own directory can be written to: mount a tmpfs at /run (docker run --tmpfs /run{owner}), or set {} to a \
         directory that can be",
        place::ENV
    );
    None
}

/// The locks of all directories that we use.
pub(crate) fn guards(scan_dirs: &[PathBuf], run_dir: Option<&Path>) -> Result<Vec<OwnedFd>, Refusal> {
    let mut guards = guard_scan_dirs(scan_dirs)?;
    guards.extend(guard_run_dir(run_dir)?);
    Ok(guards)
}

/// One svc a run directory. The lock ends with this process, so nothing stale is ever in the way.
pub(crate) fn guard_run_dir(run_dir: Option<&Path>) -> Result<Option<OwnedFd>, Refusal> {
    let Some(run_dir) = run_dir else { return Ok(None) };
    let path = run_dir.join("lock");
    let lock =
        File::create(&path).map_err(|error| Refusal::system(&format!("cannot open {}", path.display()), error.into()))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock.into())),
        Err(TryLockError::WouldBlock) => Err(Refusal {
            code: svc_sys::exit::USAGE,
            message: format!(
                "another svc runs with {}: set {} to a directory of its own to start a second one",
                run_dir.display(),
                place::ENV
            ),
        }),
        Err(TryLockError::Error(error)) => Err(Refusal::system(&format!("cannot lock {}", path.display()), error.into())),
    }
}

/// One svc a scan directory: two would start everything twice.
///
/// The lock is a name in the abstract namespace made of device and inode: it needs nothing writable, leaves nothing behind,
/// and two containers that share the directory as a volume do not meet there.
pub(crate) fn guard_scan_dirs(scan_dirs: &[PathBuf]) -> Result<Vec<OwnedFd>, Refusal> {
    let mut guards = Vec::new();
    for dir in scan_dirs {
        // A directory that is not there yet is watched for; svc-scan says so.
        let Ok(data) = fs::metadata(dir) else { continue };
        let name = Address::Abstract(format!("svc/scan/{}:{}", data.dev(), data.ino()).into_bytes());
        match listen::hold(&name) {
            Ok(guard) => guards.push(guard),
            Err(Errno::IN_USE) => {
                return Err(Refusal {
                    code: svc_sys::exit::USAGE,
                    message: format!("another svc runs on {}: stop it first (svc-ctl shutdown)", dir.display()),
                });
            }
            // No Unix sockets here (a very strict sandbox): then nobody else has them either.
            Err(_) => {}
        }
        guards.extend(lock_of_s6(dir)?);
    }
    Ok(guards)
}

/// The lock that s6-svscan holds: its tools look at it, and no s6-svscan starts beside us. None where nothing can be written.
fn lock_of_s6(dir: &Path) -> Result<Option<OwnedFd>, Refusal> {
    let folder = dir.join(s6_svscan::FOLDER);
    let open = || at::open(At::Here, &c_path(&folder.join(s6_svscan::LOCK)), Open::Lock(0o600));
    let make = || DirBuilder::new().mode(0o700).create(&folder);
    let Some(lock) = open().ok().or_else(|| make().ok().and_then(|()| open().ok())) else { return Ok(None) };
    // A file system without locks: then s6's tools find no scanner, and that is all.
    if at::lock_record(lock.as_fd()).unwrap_or(true) {
        return Ok(Some(lock));
    }
    match at::record_holder(lock.as_fd()) {
        Ok(Holder::Process(pid)) => Err(Refusal {
            code: svc_sys::exit::USAGE,
            message: format!(
                "an s6-svscan or another svc (pid {pid}) runs on {}: stop it first (s6-svscanctl -t {0})",
                dir.display()
            ),
        }),
        // A volume that another container has too: that one has the letters of s6-svscanctl.
        Ok(Holder::Elsewhere | Holder::Nobody) | Err(_) => Ok(None),
    }
}

/// A run directory for a scanner on this directory, if the one that it would have is another svc's: one below that.
pub fn run_dir_beside(scan_dir: &Path) -> Option<PathBuf> {
    let run_dir = run_dir(false).ok()??;
    if guard_run_dir(Some(&run_dir)).is_ok() {
        return None;
    }
    let data = fs::metadata(scan_dir).ok()?;
    let own = run_dir.join(place::TREES).join(format!("{:x}-{:x}", data.dev(), data.ino()));
    DirBuilder::new().recursive(true).mode(0o755).create(&own).ok()?;
    Some(own)
}
