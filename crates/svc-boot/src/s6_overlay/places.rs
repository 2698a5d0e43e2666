//! The places that scripts know by their paths: made at each start, whatever was there before.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use svc_sys::say;

use super::settings::Settings;
use crate::files::{Failed, cure, link, make_dir, remove, writable, write};

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
        let failed = |(path, error): Failed| format!("{}: {error}", path.display());
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

    fn make_all(&self, settings: &Settings) -> Result<(), Failed> {
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
    fn write_environment(&self) -> Result<(), Failed> {
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
