//! Why a start failed: an error number and a look at the file become a sentence with a cure. Changes nothing and tries nothing.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::errno;
use crate::look;
use crate::mount;
use crate::problem::{Problem, shown, source};
use crate::program::{Fault, Inspection, inspect};
use crate::user;

/// Explains why executing `path` failed with this errno, by looking at the file: used when a start fails in a supervisor.
pub fn explain_exec(path: &Path, errno: i32) -> String {
    let path_shown = if path.as_os_str().as_bytes().contains(&b'/') { source(path.to_owned()) } else { path.to_owned() };
    Problem { path: path_shown, place: None, fatal: true, message: reason(path, errno) }.to_string()
}

/// What to say of a program that is not there.
pub fn explain_missing(path: &Path) -> String {
    explain_exec(path, errno::ENOENT)
}

fn reason(path: &Path, errno: i32) -> String {
    match errno {
        errno::ENOENT | errno::EACCES | errno::ENOEXEC | errno::ELOOP | errno::EISDIR | errno::ENOTDIR => file(path, errno),
        errno::EPERM => not_permitted(path),
        errno::ENOSPC => no_space(path),
        errno::ETXTBSY => "somebody has it open for writing: let the copy end, or copy to another name and rename".into(),
        errno::E2BIG => {
            "its arguments and environment are too large for the kernel (one string above 128 KiB, or all together): \
             shorten the environment"
                .into()
        }
        errno::ENOMEM => "no memory for a new process: stop something, or raise the limit with docker run --memory".into(),
        errno::EAGAIN => {
            "no process could be made: the limit on processes is reached (RLIMIT_NPROC, or the container's pids \
             limit): raise it with docker run --pids-limit"
                .into()
        }
        other => match look::shortage(other) {
            Some((what, cure)) => format!("{what}: {cure}"),
            None => format!("cannot be executed: {}", errno::text(other)),
        },
    }
}

/// Errors that a look at the file explains.
fn file(path: &Path, errno: i32) -> String {
    if errno == errno::ENOENT && path.as_os_str().as_bytes().ends_with(b"\r") {
        return "ends with a carriage return: save the script that names it with Unix line ends (sed -i 's/\\r$//')".into();
    }
    if !path.as_os_str().as_bytes().contains(&b'/') {
        return match errno {
            errno::ENOENT => "no program of this name is in PATH: install it, or give its whole path".into(),
            errno::EACCES => closed_path(path).unwrap_or_else(|| {
                "no program of this name in PATH may be executed: see the mode of the one that is meant \
                 (chmod a+x), and of every directory in PATH"
                    .into()
            }),
            other => format!("the program of this name in PATH cannot be executed: {}", errno::text(other)),
        };
    }
    match inspect(path) {
        Inspection::Absent => absent(path),
        Inspection::Present(faults) => match fault_for(errno, faults) {
            Some(fault) => fault.message,
            None => faultless(path, errno),
        },
    }
}

/// Where PATH has directories that may not be searched, and nothing of this name in the others.
fn closed_path(program: &Path) -> Option<String> {
    let dirs = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&dirs).map(|dir| dir.join(program)).collect::<Vec<_>>();
    places.retain(|place| place.symlink_metadata().is_ok() || look::closed_directory(place).is_some());
    let closed: Option<Vec<_>> = places.iter().map(|place| look::closed_directory(place)).collect();
    let closed = closed.filter(|closed| !closed.is_empty())?.iter().map(|dir| shown(dir).to_string()).collect::<Vec<_>>();
    let who = user::who();
    Some(format!(
        "no program of this name is in PATH, as far as {who} may search it (not {}): install it, or give its whole path",
        closed.join(", ")
    ))
}

/// What is to be said of a classic directory that another service names.
pub fn has_no_place(name: &str) -> String {
    format!("names {name}, a classic directory, which has no place in the order: give it a service.toml")
}

/// The fault that leads to this error, or else the one that would stop the next start.
fn fault_for(errno: i32, faults: Vec<Fault>) -> Option<Fault> {
    let exact = faults.iter().position(|fault| fault.errno == errno);
    let index = exact.or_else(|| faults.iter().position(|fault| fault.certain))?;
    faults.into_iter().nth(index)
}

fn absent(path: &Path) -> String {
    match path.parent() {
        Some(directory) if !directory.exists() => {
            format!("does not exist, nor does its directory: create {} with a program in it", shown(directory))
        }
        Some(_) | None => "does not exist: put a program or a script there, and make it executable (chmod +x)".into(),
    }
}

/// The file itself looks right, now.
fn faultless(path: &Path, errno: i32) -> String {
    match errno {
        errno::ENOENT => "was not there, or its interpreter was not, and is there now: start it again".into(),
        errno::ENOEXEC => "was not complete and is now: start it again".into(),
        errno::EACCES => refused(path),
        other => format!("cannot be executed: {}: look at the directories above it", errno::text(other)),
    }
}

fn refused(path: &Path) -> String {
    if let Some(directory) = look::closed_directory(path) {
        let (what, cure) = look::closed_door(&user::who(), &directory, "reached");
        return format!("{what}: {cure}");
    }
    if let Some(mount) = mount::noexec(path) {
        let mount = shown(&mount);
        return format!("is on {mount}, which is mounted noexec: mount it with exec, or keep the service elsewhere");
    }
    "its mode allows it, and the kernel refuses: see whether AppArmor, SELinux or a noexec mount of its interpreter forbids it".into()
}

fn not_permitted(path: &Path) -> String {
    match new_pid_namespace(path) {
        Some(flag) => {
            format!("a PID namespace of its own needs CAP_SYS_ADMIN: docker run --cap-add SYS_ADMIN, or remove {flag}")
        }
        None => format!(
            "the kernel does not permit it: if it has file capabilities (getcap {0}), this container lacks them: \
             docker run --cap-add, or setcap -r {0}; otherwise look at the seccomp profile",
            shown(path)
        ),
    }
}

fn no_space(path: &Path) -> String {
    match new_pid_namespace(path) {
        Some(flag) => format!(
            "no PID namespace could be made: they are nested too deeply or too many (user.max_pid_namespaces): \
             raise that on the host, or remove {flag}"
        ),
        None => "no space is left on the device: free some (df shows where)".into(),
    }
}

/// The flag beside `run` that makes a start need more than execve.
fn new_pid_namespace(path: &Path) -> Option<String> {
    let flag = path.parent()?.join("flag-newpidns");
    flag.exists().then(|| shown(&flag))
}
