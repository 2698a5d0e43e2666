//! The places that scripts know by their paths: made at each start, whatever was there before.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use svc_sys::{say, user};

use super::settings::Settings;

/// Names another place than /run, for steps and for with-contenv and halt.
const RUN: &str = "SVC_OVERLAY_RUN";
const CONTAINER_ENVIRONMENT: &str = "SVC_CONTAINER_ENVIRONMENT";
const EXIT_CODE: &str = "SVC_CONTAINER_EXIT_CODE";

/// Signals that go to the main program where S6_CMD_RECEIVE_SIGNALS asks for that.
const FORWARDED: [&str; 7] = ["SIGTERM", "SIGQUIT", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGPWR", "SIGWINCH"];

/// What `forward` is called, so that a link to a link to svc is known by it.
pub const FORWARD: &str = "s6-overlay-forward";

pub(super) struct Places {
    run: PathBuf,
}

impl Places {
    /// Where `/init` has made them.
    pub(super) fn find() -> Places {
        Places { run: std::env::var_os(RUN).map_or_else(|| "/run".into(), PathBuf::from) }
    }

    /// Makes them, in /run or where else something can be written.
    pub(super) fn make(settings: &Settings) -> Result<Places, String> {
        let (run, trouble) = writable()?;
        let places = Places { run };
        let failed = |(path, error): (PathBuf, std::io::Error)| format!("{}: {error}", path.display());
        places.make_all(settings).map_err(failed)?;
        if let Some(trouble) = trouble {
            say!(
                "init: {trouble}: using {}: scripts that name paths in /run or /var/run find nothing there: {}",
                places.run.display(),
                cure()
            );
            for (name, path) in
                [(RUN, places.run.clone()), (CONTAINER_ENVIRONMENT, places.environment()), (EXIT_CODE, places.exit_code())]
            {
                let mut setting = std::ffi::OsString::from(format!("{name}="));
                setting.push(path);
                svc_sys::environment::change(setting);
            }
        }
        places.link_var_run();
        Ok(places)
    }

    /// The scan directory of longruns and of services.d.
    pub(super) fn services(&self) -> PathBuf {
        self.run.join("service")
    }

    /// The scan directory of oneshots and bundles.
    pub(super) fn units(&self) -> PathBuf {
        self.run.join("s6-rc/units")
    }

    /// The directories of all of them.
    pub(super) fn servicedirs(&self) -> PathBuf {
        self.run.join("s6-rc/servicedirs")
    }

    pub(super) fn legacy(&self) -> PathBuf {
        self.run.join("s6/legacy-services")
    }

    pub(super) fn exit_code(&self) -> PathBuf {
        self.run.join("s6-linux-init-container-results/exitcode")
    }

    fn environment(&self) -> PathBuf {
        self.run.join("s6/container_environment")
    }

    fn make_all(&self, settings: &Settings) -> Result<(), (PathBuf, std::io::Error)> {
        // What an earlier start of the same container left must not be taken for news.
        for stale in ["s6", "s6-rc", "service", "s6-linux-init-container-results"] {
            remove(&self.run.join(stale))?;
        }
        for dir in [self.services(), self.units(), self.servicedirs(), self.legacy(), self.environment()] {
            make_dir(&dir)?;
        }
        for dir in ["s6/basedir/bin", "s6/basedir/scripts", "s6/env-stage3", "s6-linux-init-container-results"] {
            make_dir(&self.run.join(dir))?;
        }
        write(&self.exit_code(), b"0\n")?;
        self.write_environment()?;
        let program = std::env::current_exe().unwrap_or_else(|_| "/usr/bin/svc".into());
        let bin = self.run.join("s6/basedir/bin");
        for name in ["halt", "poweroff", "reboot", "shutdown", FORWARD] {
            link(&program, &bin.join(name))?;
        }
        link(Path::new("../container_environment"), &self.run.join("s6/basedir/env"))?;
        // s6-overlay 2: its scan directory, and where its scripts write the exit code.
        link(Path::new("../service"), &self.run.join("s6/services"))?;
        link(&self.exit_code(), &self.run.join("s6/env-stage3/S6_STAGE2_EXITED"))?;
        if settings.receive_signals {
            let hooks = self.services().join(".s6-svscan");
            make_dir(&hooks)?;
            for signal in FORWARDED {
                link(&bin.join(FORWARD), &hooks.join(signal))?;
            }
        }
        Ok(())
    }

    /// A file for each variable, as with-contenv reads them.
    fn write_environment(&self) -> Result<(), (PathBuf, std::io::Error)> {
        for (name, value) in std::env::vars_os() {
            let bytes = name.as_bytes();
            if bytes.is_empty() || bytes.contains(&b'/') || bytes == b"." || bytes == b".." {
                continue;
            }
            write(&self.environment().join(&name), &[value.as_bytes(), b"\n"].concat())?;
        }
        Ok(())
    }

    /// Scripts for s6-overlay 2 say /var/run. Where that is a directory of its own, what they look for is linked into it.
    fn link_var_run(&self) {
        let var_run = Path::new("/var/run");
        let is_same = |a: &Path, b: &Path| fs::canonicalize(a).ok().is_some_and(|a| Some(a) == fs::canonicalize(b).ok());
        if is_same(var_run, &self.run) {
            return;
        }
        if fs::symlink_metadata(var_run).is_err() && symlink("/run", var_run).is_ok() && is_same(var_run, &self.run) {
            return;
        }
        for name in ["s6", "s6-rc", "service", "s6-linux-init-container-results"] {
            // A read-only root: scripts that say /run work all the same.
            let linked = symlink(self.run.join(name), var_run.join(name)).is_ok();
            // Of another place than /run it was said already.
            if !linked && self.run == Path::new("/run") && !is_same(&var_run.join(name), &self.run.join(name)) {
                say!("init: /var/run/{name}: cannot be linked to {}: scripts that say /var/run fail", self.run.display());
            }
        }
    }
}

/// The first place that can be written to, and what is wrong with /run if it is another. Nothing is ever executed from it.
fn writable() -> Result<(PathBuf, Option<String>), String> {
    let uid = user::effective_uid();
    let Err(error) = try_to_write(Path::new("/run")) else { return Ok(("/run".into(), None)) };
    let error = std::io::Error::from(error.kind());
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty());
    // Where the root is read-only an engine leaves this one writable. Containers may share it (--ipc host): each has its own there.
    let shared = || {
        let namespace = fs::metadata("/proc/self/ns/mnt").map(|data| data.ino()).unwrap_or_default();
        PathBuf::from(format!("/dev/shm/s6-run-{uid}-{namespace:x}"))
    };
    let mut candidates =
        [runtime.map(PathBuf::from), Some(format!("/tmp/s6-run-{uid}").into()), Some(shared())].into_iter().flatten();
    match candidates.find(|dir| try_to_write(dir).is_ok()) {
        Some(dir) => Ok((dir, Some(format!("/run cannot be written to by {uid} ({error})")))),
        None => Err(format!(
            "nothing can be written by {uid}, neither in /run ({error}) nor in /tmp nor in /dev/shm: {}",
            cure()
        )),
    }
}

fn cure() -> String {
    let uid = user::effective_uid();
    // An engine gives a tmpfs the mode of the directory below it, and its owner only if told.
    let owner = if uid == 0 { String::new() } else { format!(":uid={uid}") };
    format!("mount a tmpfs at /run (docker run --tmpfs /run{owner})")
}

fn try_to_write(dir: &Path) -> std::io::Result<()> {
    make_dir(dir).map_err(|(_, error)| error)?;
    let data = fs::symlink_metadata(dir)?;
    // Somebody else's directory in a place where everybody may write is not ours to trust.
    if is_open_to_all(dir) && !(data.is_dir() && data.uid() == user::effective_uid()) {
        return Err(ErrorKind::PermissionDenied.into());
    }
    let probe = dir.join(".svc-init-probe");
    fs::write(&probe, b"")?;
    fs::remove_file(&probe)
}

fn is_open_to_all(dir: &Path) -> bool {
    dir.starts_with("/tmp") || dir.starts_with("/dev/shm")
}

pub(super) fn make_dir(dir: &Path) -> Result<(), (PathBuf, std::io::Error)> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(|error| (dir.to_owned(), error))
}

pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), (PathBuf, std::io::Error)> {
    fs::write(path, content).map_err(|error| (path.to_owned(), error))
}

pub(super) fn link(target: &Path, path: &Path) -> Result<(), (PathBuf, std::io::Error)> {
    symlink(target, path).map_err(|error| (path.to_owned(), error))
}

/// Removes whatever is there, and nothing behind a link.
fn remove(path: &Path) -> Result<(), (PathBuf, std::io::Error)> {
    let removed = match fs::symlink_metadata(path) {
        Ok(data) if data.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err((path.to_owned(), error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
