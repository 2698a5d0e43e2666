//! The places that scripts know by their paths: made at each start, whatever was there before.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use svc_sys::say;

use super::memory;
use super::settings::Settings;
use crate::files::{Failed, anew, link, make_dir, remove, told, write};
use crate::mistakes;

/// Names another place than /run, for steps and for with-contenv and halt.
const RUN: &str = "SVC_OVERLAY_RUN";
const CONTAINER_ENVIRONMENT: &str = "SVC_CONTAINER_ENVIRONMENT";
const EXIT_CODE: &str = "SVC_CONTAINER_EXIT_CODE";

/// Signals that go to the main program where S6_CMD_RECEIVE_SIGNALS asks for that.
const FORWARDED: [&str; 7] = ["SIGTERM", "SIGQUIT", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGPWR", "SIGWINCH"];

/// So much of a name that is no name is shown.
const MOST_SHOWN: usize = 40;

/// Signals that end a container of s6-overlay, and nothing else here.
const ENDING: [&str; 3] = ["SIGUSR1", "SIGUSR2", "SIGPWR"];

/// What `forward` is called, so that a link to a link to svc is known by it.
pub const FORWARD: &str = "s6-overlay-forward";

/// The scan directory of longruns. It stays in /run: scripts do things to it that they could not do to a link (chown -R).
const SERVICE: &str = "service";
/// What else is ours in /run.
const OURS: [&str; 3] = ["s6", "s6-rc", "s6-linux-init-container-results"];
/// svc's own run directory, and what says that it is elsewhere.
const OF_SVC: &str = "svc";
const RUN_OF_SVC: &str = "SVC_RUN_DIR";
/// What svc-scan has in `service`.
const HOOKS: &str = ".s6-svscan";

/// Makes the scan directory anew, whatever was there before: whether that can be made tells whether anything can be written.
pub(super) fn begin(run: &Path) -> std::io::Result<()> {
    if memory::is_tiny(run) {
        return Err(ErrorKind::StorageFull.into());
    }
    let dir = run.join(SERVICE);
    anew(&dir, || DirBuilder::new().mode(0o755).create(&dir)).map_err(|(_, error)| error)
}

pub(super) struct Places {
    run: PathBuf,
    /// Where what is ours really is: there too, unless that would be slow.
    store: PathBuf,
}

impl Places {
    /// Where `/init` has made them.
    pub(super) fn find() -> Places {
        let run = std::env::var_os(RUN).map_or_else(|| "/run".into(), PathBuf::from);
        Places { store: run.clone(), run }
    }

    /// Makes them in /run, or in another place because of some trouble there; `begin` was there.
    pub(super) fn make(run: PathBuf, trouble: Option<String>, settings: &Settings) -> Result<Places, String> {
        let store = memory::in_place_of(&run);
        let places = Places { store: store.unwrap_or_else(|| run.clone()), run };
        places.make_all(settings).map_err(told)?;
        if let Some(trouble) = trouble {
            say!(
                "init: {trouble}: using {}: scripts that name paths in /run or /var/run find nothing there: {}",
                places.used(),
                memory::cure()
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
        link_interpreters(Path::new("/bin"));
        Ok(places)
    }

    /// Where what is ours is, for who looks for it.
    fn used(&self) -> String {
        let run = self.run.display();
        if self.store == self.run {
            run.to_string()
        } else {
            format!("{run}, with what is ours in {}", self.store.display())
        }
    }

    /// The scan directory of longruns and of services.d.
    pub(super) fn services(&self) -> PathBuf {
        self.run.join(SERVICE)
    }

    /// The scan directory of oneshots and bundles.
    pub(super) fn units(&self) -> PathBuf {
        self.store.join("s6-rc/units")
    }

    /// The directories of all of them.
    pub(super) fn servicedirs(&self) -> PathBuf {
        self.store.join("s6-rc/servicedirs")
    }

    pub(super) fn legacy(&self) -> PathBuf {
        self.store.join("s6/legacy-services")
    }

    pub(super) fn exit_code(&self) -> PathBuf {
        self.store.join("s6-linux-init-container-results/exitcode")
    }

    fn environment(&self) -> PathBuf {
        self.store.join("s6/container_environment")
    }

    fn make_all(&self, settings: &Settings) -> Result<(), Failed> {
        self.link_store()?;
        for dir in [self.units(), self.servicedirs(), self.legacy(), self.environment()] {
            make_dir(&dir)?;
        }
        for dir in ["s6/basedir/bin", "s6/basedir/scripts", "s6/env-stage3", "s6-linux-init-container-results"] {
            make_dir(&self.store.join(dir))?;
        }
        write(&self.exit_code(), b"0\n")?;
        self.write_environment()?;
        let program = std::env::current_exe().unwrap_or_else(|_| "/usr/bin/svc".into());
        let bin = self.store.join("s6/basedir/bin");
        for name in ["halt", "poweroff", "reboot", "shutdown", FORWARD] {
            link(&program, &bin.join(name))?;
        }
        link(Path::new("../container_environment"), &self.store.join("s6/basedir/env"))?;
        // s6-overlay 2: its scan directory, and where its scripts write the exit code.
        link(&self.services(), &self.store.join("s6/services"))?;
        link(&self.exit_code(), &self.store.join("s6/env-stage3/S6_STAGE2_EXITED"))?;
        let (signals, program): (&[&str], _) =
            if settings.receive_signals { (&FORWARDED, bin.join(FORWARD)) } else { (&ENDING, bin.join("halt")) };
        let hooks = self.store.join(SERVICE).join(HOOKS);
        make_dir(&hooks)?;
        if self.store != self.run {
            link(&hooks, &self.services().join(HOOKS))?;
        }
        signals.iter().try_for_each(|signal| link(&program, &hooks.join(signal)))
    }

    /// Links what is elsewhere to where scripts, and svc, look for it. What an earlier start of the same container left must not be
    /// taken for news.
    fn link_store(&self) -> Result<(), Failed> {
        let of_svc = self.run.join(OF_SVC);
        let is_elsewhere = self.store != self.run;
        let is_told = std::env::var_os(RUN_OF_SVC).is_some_and(|value| !value.is_empty());
        for name in OURS {
            match is_elsewhere {
                true => self.link_to_store(name)?,
                false => remove(&self.run.join(name))?,
            }
        }
        if is_elsewhere && !is_told {
            return self.link_to_store(OF_SVC);
        }
        match fs::symlink_metadata(&of_svc).is_ok_and(|data| data.is_symlink()) {
            true => remove(&of_svc),
            false => Ok(()),
        }
    }

    fn link_to_store(&self, name: &str) -> Result<(), Failed> {
        let (there, here) = (self.store.join(name), self.run.join(name));
        make_dir(&there)?;
        anew(&here, || symlink(&there, &here))
    }

    /// A file for each variable, as with-contenv reads them.
    fn write_environment(&self) -> Result<(), Failed> {
        for (name, value) in std::env::vars_os() {
            let bytes = name.as_bytes();
            if bytes.is_empty() || bytes.contains(&b'/') || bytes == b"." || bytes == b".." {
                continue;
            }
            match write(&self.environment().join(&name), &[value.as_bytes(), b"\n"].concat()) {
                Err((_, error)) if error.kind() == ErrorKind::InvalidFilename => {
                    let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(MOST_SHOWN)]);
                    say!("init: a variable {begin}... has a name too long for a file: with-contenv takes it away");
                }
                written => written?,
            }
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
        for name in OURS.into_iter().chain([SERVICE]) {
            // A read-only root: scripts that say /run work all the same.
            let linked = symlink(self.run.join(name), var_run.join(name)).is_ok();
            // Of another place than /run it was said already.
            if !linked && self.run == Path::new("/run") && !is_same(&var_run.join(name), &self.run.join(name)) {
                say!("init: /var/run/{name}: cannot be linked to {}: scripts that say /var/run fail", self.run.display());
            }
        }
    }
}

/// Scripts for s6-overlay 2 say /bin/execlineb. Where that is another directory than /usr/bin, nothing that is copied into an image for
/// all of them may have a link there; and where it cannot be made here, scripts of the layout run all the same.
fn link_interpreters(bin: &Path) {
    if !bin.is_symlink()
        && bin.is_dir()
        && let Ok(program) = std::env::current_exe()
    {
        // What is there already stays.
        mistakes::OURS.iter().for_each(|name| drop(symlink(&program, bin.join(name))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_for_run_is_told_with_where_its_files_are() {
        let used = |store: &str| Places { run: "/tmp/s6-run-1000/run".into(), store: store.into() }.used();
        assert_eq!(used("/tmp/s6-run-1000/run"), "/tmp/s6-run-1000/run");
        let memory = "/dev/shm/svc-1000-4026/run";
        assert_eq!(used(memory), format!("/tmp/s6-run-1000/run, with what is ours in {memory}"));
    }
}
