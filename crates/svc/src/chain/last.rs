//! What is done when everything else has been, in an order in which each step still has what it needs: after the last ones
//! nothing can be changed any more.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use svc_compat::settle::{self, Limit, User};
use svc_core::priority::{IoClass, Policy};
use svc_sys::seccomp::Profile;
use svc_sys::{Errno, priority, privileges, process};

use super::capabilities::Capabilities;
use super::cgroup::Cgroup;
use super::paths::Paths;
use crate::computed::Computed;
use crate::prepare::Preparations;
use crate::said::say;

#[derive(Default)]
pub(super) struct Last {
    pub(super) limits: Vec<Limit>,
    pub(super) user: Option<User>,
    pub(super) groups: Option<OsString>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) computed: Vec<Computed>,
    pub(super) preparations: Preparations,
    pub(super) nice: Option<i32>,
    pub(super) io: Option<(IoClass, u8)>,
    pub(super) policy: Option<(Policy, i32)>,
    pub(super) cpus: Option<Vec<usize>>,
    pub(super) oom_score: Option<i32>,
    pub(super) root: Option<PathBuf>,
    pub(super) directory: Option<PathBuf>,
    pub(super) cgroup: Cgroup,
    pub(super) capabilities: Capabilities,
    pub(super) no_new_privileges: bool,
    pub(super) paths: Paths,
    pub(super) profile: Option<&'static Profile>,
    /// Names of steps without which the program is executed all the same.
    pub(super) optional: Vec<&'static str>,
}

impl Last {
    pub(super) fn user(&self) -> Result<Option<User>, String> {
        let mut user = self.user.clone();
        if self.uid.is_some() || self.gid.is_some() {
            user.as_mut().ok_or("--uid and --gid need --user")?.renumber(self.uid, self.gid);
        }
        Ok(user)
    }

    pub(super) fn carry_out(mut self) -> Result<(), String> {
        // Accounts are those of the files outside of the new root.
        let user = self.user()?;
        let groups = self.groups.as_deref().map(settle::groups).transpose()?;
        let made = std::mem::take(&mut self.preparations).carry_out(user.as_ref())?;
        self.attempt("cgroup", self.cgroup.enter(user.as_ref().map(User::ids)))?;
        self.schedule()?;
        for limit in &self.limits {
            self.attempt("limits", limit.set())?;
        }
        self.change_root()?;
        self.attempt("capabilities", self.capabilities.bound())?;
        let paths = self.attempt("landlock", self.paths.ruleset())?.flatten();
        if let Some(paths) = &paths {
            self.paths.open(paths)?;
        }
        self.become_user(user, groups)?;
        made.iter().try_for_each(|file| self.reach(file))?;
        if self.no_new_privileges || paths.is_some() || self.profile.is_some() {
            privileges::set_no_new().map_err(|errno| format!("cannot give up new privileges: {errno}"))?;
        }
        if let Some(paths) = paths {
            let closed = paths.enforce().map_err(|errno| format!("cannot close all other paths (landlock): {errno}"));
            self.attempt("landlock", closed)?;
        }
        if let Some(profile) = self.profile {
            self.attempt("seccomp", profile.install().map_err(|errno| seccomp_refused(profile, errno)))?;
        }
        // Commands may no more than the program itself.
        self.computed.into_iter().try_for_each(Computed::set)
    }

    /// What came of a step. That an optional one was refused is said, and no more.
    fn attempt<T>(&self, name: &str, result: Result<T, String>) -> Result<Option<T>, String> {
        match result {
            Ok(done) => Ok(Some(done)),
            Err(why) if self.optional.contains(&name) => {
                say(format_args!("goes on without {name}, which is optional: {why}"));
                Ok(None)
            }
            Err(why) => Err(format!("{why}, or make {name} optional")),
        }
    }

    fn schedule(&self) -> Result<(), String> {
        if let Some(score) = self.oom_score {
            self.attempt("oom-score-adjust", adjust_oom_score(score))?;
        }
        if let Some(increment) = self.nice {
            let failed = |errno| format!("cannot be nicer by {increment}: {errno}{}", nice_cure(errno, "be less nice"));
            self.attempt("nice", process::renice(increment).map_err(failed))?;
        }
        if let Some((class, level)) = self.io {
            let failed =
                |errno| format!("cannot set the class of input and output: {errno}{}", nice_cure(errno, "have realtime"));
            self.attempt("ionice", priority::set_io(class, level).map_err(failed))?;
        }
        if let Some((policy, level)) = self.policy {
            let failed = |errno| format!("cannot set the scheduler: {errno}{}", nice_cure(errno, "have fifo or rr"));
            self.attempt("scheduler", priority::set_policy(policy, level).map_err(failed))?;
        }
        if let Some(cpus) = &self.cpus {
            let failed = |errno| format!("cannot run on these processors only: {errno}{}", cpus_cure(errno));
            self.attempt("cpu-affinity", priority::set_cpus(cpus).map_err(failed))?;
        }
        Ok(())
    }

    fn change_root(&self) -> Result<(), String> {
        let Some(root) = &self.root else { return Ok(()) };
        std::os::unix::fs::chroot(root).map_err(|error| {
            let errno = Errno::from(&error);
            let cure = match errno {
                Errno::NOT_PERMITTED => ": only root with CAP_SYS_CHROOT may (docker run --cap-add SYS_CHROOT)",
                _ => "",
            };
            format!("cannot make {} the root: {errno}{cure}", root.display())
        })?;
        // Nothing of what is outside stays open.
        let dir = std::path::Path::new("/").join(self.directory.as_deref().unwrap_or_else(|| "".as_ref()));
        std::env::set_current_dir(&dir).map_err(|error| format!("{} in {}: {error}", dir.display(), root.display()))
    }

    /// A file that was made for the program is of no use to it where it does not come to it.
    fn reach(&self, file: &Path) -> Result<(), String> {
        let Err(error) = File::open(file) else { return Ok(()) };
        let closed = || file.ancestors().skip(1).filter(|dir| dir.join(".").metadata().is_err()).last();
        let cure = match &self.root {
            Some(root) => {
                format!("what svc makes is not in {}, its root: put it there, or go without chroot", root.display())
            }
            None => match closed() {
                Some(dir) => format!("its user must come through {}: chmod a+x {0}", dir.display()),
                None => "see what keeps its user from it".into(),
            },
        };
        let (file, errno) = (file.display(), Errno::from(&error));
        Err(format!("{file}: was made for the program, which cannot read it: {errno}: {cure}"))
    }

    fn become_user(&self, user: Option<User>, groups: Option<Vec<u32>>) -> Result<(), String> {
        let changes = user.is_some() || groups.is_some();
        let given = self.attempt("capabilities", self.capabilities.prepare())?.is_some();
        if changes {
            settle::become_user(user, groups)?;
        }
        if given {
            self.attempt("capabilities", self.capabilities.give())?;
        }
        Ok(())
    }
}

fn adjust_oom_score(score: i32) -> Result<(), String> {
    std::fs::write("/proc/self/oom_score_adj", score.to_string()).map_err(|error| {
        let errno = Errno::from(&error);
        let cure = match errno {
            Errno::NOT_ALLOWED => {
                ": only root with CAP_SYS_RESOURCE may be killed later than before (docker run --cap-add SYS_RESOURCE)"
            }
            _ => ": /proc must be mounted and writable",
        };
        format!("cannot adjust the oom score to {score}: {errno}{cure}")
    })
}

fn nice_cure(errno: Errno, what: &str) -> String {
    match errno {
        Errno::NOT_ALLOWED | Errno::NOT_PERMITTED => {
            format!(": only root with CAP_SYS_NICE may {what} (docker run --cap-add SYS_NICE)")
        }
        _ => String::new(),
    }
}

fn cpus_cure(errno: Errno) -> String {
    let here = std::thread::available_parallelism().map_or(0, usize::from);
    match errno {
        Errno::INVALID => format!(": none of them is among the {here} that this container may use"),
        _ => String::new(),
    }
}

fn seccomp_refused(profile: &Profile, errno: Errno) -> String {
    let cure = match errno {
        Errno::INVALID => ": this kernel has no filters (CONFIG_SECCOMP_FILTER)",
        _ => "",
    };
    format!("cannot filter system calls by {}: {errno}{cure}", profile.name)
}
