//! `svc exec --here`: which of all this can be done in this container.
//!
//! Each thing is tried by a process of its own that does it and executes nothing (`svc exec --try`), so what is said is what a service
//! would meet, with the same cure. Only what cannot be tried without disturbing somebody is looked up.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use svc_sys::cgroup;
use svc_sys::{Errno, landlock, process, procfs};

/// One thing that can be asked for.
struct Ability {
    what: &'static str,
    /// The keys of service.toml, or the small files, that ask for it.
    keys: &'static str,
    how: How,
}

enum How {
    /// By these words of `svc exec`.
    Try(&'static [&'static str]),
    /// What there is, or why not and the cure.
    Look(fn() -> Result<String, String>),
}

/// Nobody's number, where accounts are looked up in no file.
const OTHER: &str = "65534:65534";

const ABILITIES: [Ability; 21] = [
    Ability { what: "another user", keys: "user, groups", how: How::Try(&["--user", OTHER, "--groups", "65533"]) },
    Ability { what: "take capabilities away", keys: "capabilities.bounding", how: How::Try(&["--bounding", ""]) },
    Ability {
        what: "capabilities for another user",
        keys: "capabilities.ambient",
        how: How::Try(&["--user", OTHER, "--ambient", "NET_BIND_SERVICE"]),
    },
    Ability { what: "no new privileges", keys: "no-new-privileges", how: How::Try(&["--no-new-privileges"]) },
    Ability { what: "raise limits", keys: "limits", how: How::Try(&["--limit", "rtprio=99:99"]) },
    Ability { what: "be less nice", keys: "nice", how: How::Try(&["--nice", "-1"]) },
    Ability { what: "nearly idle disk", keys: "ionice", how: How::Try(&["--ionice", "idle"]) },
    Ability { what: "real-time disk", keys: "ionice", how: How::Try(&["--ionice", "realtime:4"]) },
    Ability { what: "real-time processor", keys: "scheduler", how: How::Try(&["--scheduler", "fifo:1"]) },
    Ability {
        what: "be killed later when memory is out",
        keys: "oom-score-adjust",
        how: How::Try(&["--oom-score-adjust", "-1000"]),
    },
    Ability { what: "another root", keys: "chroot", how: How::Try(&["--chroot", "/"]) },
    Ability { what: "a cgroup for each service", keys: "cgroup.own", how: How::Look(own_cgroup) },
    Ability {
        what: "limit memory",
        keys: "cgroup.memory-max, cgroup.memory-high, cgroup.swap-max",
        how: How::Look(|| controller("memory")),
    },
    Ability {
        what: "limit processor time",
        keys: "cgroup.cpu-max, cgroup.cpu-weight",
        how: How::Look(|| controller("cpu")),
    },
    Ability { what: "limit processes", keys: "cgroup.pids-max", how: How::Look(|| controller("pids")) },
    Ability { what: "kill a service at once", keys: "cgroup.own", how: How::Look(cgroup_kill) },
    Ability {
        what: "leave only some paths open",
        keys: "landlock.read, landlock.write, landlock.exec",
        how: How::Try(&["--landlock", "read:/"]),
    },
    Ability { what: "filter system calls", keys: "seccomp", how: How::Try(&["--seccomp", "default"]) },
    Ability {
        what: "stop what a service leaves behind",
        keys: "keep-descendants, forking",
        how: How::Look(|| process::become_subreaper().map(|()| String::new()).map_err(no_subreaper)),
    },
    Ability { what: "PID namespaces", keys: "flag-newpidns", how: How::Look(pid_namespace) },
    Ability { what: "a place for the control socket", keys: "SVC_RUN_DIR", how: How::Look(run_dir) },
];

/// A line each: yes or no, what it is, who asks for it, and what there is or why not; with tabs between them.
pub(super) fn table() -> String {
    let line = |ability: &Ability| {
        let found = match ability.how {
            How::Try(words) => attempt(words).map(|()| detail(words)),
            How::Look(look) => look(),
        };
        let (word, detail) = match found {
            Ok(detail) => ("yes", detail),
            Err(why) => ("no", why),
        };
        format!("{word}\t{}\t{}\t{}\n", ability.what, ability.keys, detail.replace(['\n', '\t'], " "))
    };
    ABILITIES.iter().map(line).collect()
}

/// What else there is to say of what can be done.
fn detail(words: &[&str]) -> String {
    match words.first() {
        Some(&"--landlock") => landlock::version().map_or_else(|_| String::new(), |version| format!("version {version}")),
        Some(_) | None => String::new(),
    }
}

fn attempt(words: &[&str]) -> Result<(), String> {
    let mut command = Command::new("/proc/self/exe");
    command.args(["exec", "--try"]).args(words).stdin(Stdio::null()).stdout(Stdio::null());
    let output = command.output().map_err(|error| format!("cannot execute svc again: {error}: /proc must be mounted"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().next().unwrap_or("it was killed: a sandbox does not let it try");
    Err(line.strip_prefix("svc exec: ").unwrap_or(line).to_owned())
}

fn own_cgroup() -> Result<String, String> {
    let base = base()?;
    with_probe(|_| Ok(format!("in {}", base.display())))
}

/// Where svc was started, in whatever cgroup of it we are; ours, where we are not below one of its processes and it is not the first.
fn base() -> Result<PathBuf, String> {
    let init = procfs::ancestor("svc-init").map_or(1, |init| init.raw());
    cgroup::Tree::of(init).map(|tree| tree.base().to_owned()).ok_or_else(|| super::cgroup::ABSENT.to_owned())
}

/// What is to be said of a cgroup that is made below ours for this moment.
fn with_probe(look: impl Fn(&std::path::Path) -> Result<String, String>) -> Result<String, String> {
    let probe = base()?.join(format!("svc-probe-{}", process::id()));
    let failed = |error: &std::io::Error| {
        let errno = Errno::from(error);
        format!("{}: {errno}{}", probe.display(), super::cgroup::refused(errno))
    };
    std::fs::create_dir(&probe).map_err(|error| failed(&error))?;
    let found = look(&probe);
    std::fs::remove_dir(&probe).map_err(|error| failed(&error))?;
    found
}

fn controller(name: &str) -> Result<String, String> {
    let file = base()?.join("cgroup.controllers");
    let there = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    if !there.split_whitespace().any(|known| known == name) {
        return Err(super::cgroup::missing(&base()?, name));
    }
    own_cgroup().map(|_| String::new())
}

fn cgroup_kill() -> Result<String, String> {
    with_probe(|probe| match probe.join("cgroup.kill").exists() {
        true => Ok(String::new()),
        false => Err("the kernel has no cgroup.kill (Linux 5.14 has): processes are killed one by one instead".into()),
    })
}

fn no_subreaper(errno: Errno) -> String {
    format!("cannot become a subreaper: {errno}: a sandbox or an emulator hides it: svc must be process 1 for this")
}

fn pid_namespace() -> Result<String, String> {
    let made = svc_sys::spawn::try_pid_namespace();
    made.map(|()| String::new()).map_err(|errno| {
        format!("cannot make a PID namespace: {errno}: only root with CAP_SYS_ADMIN may (docker run --cap-add SYS_ADMIN)")
    })
}

fn run_dir() -> Result<String, String> {
    match svc_init::try_run_dir()? {
        Some(dir) => Ok(format!("in {}", dir.display())),
        None => Err(format!(
            "nothing can be written: the socket gets an abstract name, and files for s6's tools have no place; {}",
            svc_prepare::place::cure()
        )),
    }
}
