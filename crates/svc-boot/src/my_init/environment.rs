//! /etc/container_environment: where startup files leave variables for all that comes after them.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use svc_prepare::{Variable, dumps, variables};
use svc_sys::{environment, say, user};

const DIRECTORY: &str = "/etc/container_environment";
const FOR_SHELL: &str = "/etc/container_environment.sh";
const JSON: &str = "/etc/container_environment.json";
/// Who may read the two files.
const GROUP: &str = "docker_env";
/// What belongs to whoever runs, and not to the container.
const OF_A_USER: [&str; 6] = ["HOME", "USER", "GROUP", "UID", "GID", "SHELL"];

pub(super) struct Environment {
    /// Which of our variables are in the directory: there is nothing else to compare it with when it is read again.
    kept: BTreeSet<String>,
    /// Whether the two files can be written; what is lost is said once.
    dumped: bool,
    /// The directory is there, and we may not look into it.
    closed: bool,
}

impl Environment {
    /// Takes what the image says and the container does not, and writes everything down.
    pub(super) fn begin() -> Result<Environment, String> {
        if let Err(error) = fs::read_dir(DIRECTORY)
            && error.kind() == ErrorKind::PermissionDenied
        {
            let uid = user::effective_uid();
            say!(
                "my_init: {DIRECTORY} may not be read by {uid}: variables that the image has there are not set, startup files cannot \
                 set any, and {FOR_SHELL} and {JSON} are not written: RUN chown -R {uid} {DIRECTORY} {FOR_SHELL} {JSON} in the image, \
                 or give variables with docker run -e"
            );
            return Ok(Environment { kept: BTreeSet::new(), dumped: false, closed: true });
        }
        for (name, value) in of_directory()? {
            if std::env::var_os(&name).is_none() {
                set(&name, Some(&value));
            }
        }
        let mut environment = Environment { kept: BTreeSet::new(), dumped: true, closed: false };
        let shared: Vec<Variable> = shared();
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(DIRECTORY);
        let made = made.map_err(|error| format!("{DIRECTORY}: {error}"));
        match made.and_then(|()| dumps::to_directory(Path::new(DIRECTORY), &shared)) {
            Ok(()) => environment.kept = shared.into_iter().map(|(name, _)| name).collect(),
            Err(error) => {
                say!("my_init: {error}: startup files cannot set variables (docker run --volume {DIRECTORY} helps)")
            }
        }
        environment.dumped = dump();
        Ok(environment)
    }

    /// A startup file has run: what it wrote is set, what it removed is not.
    pub(super) fn read_again(&mut self) -> Result<(), String> {
        if self.closed {
            return Ok(());
        }
        let now = of_directory()?;
        let names: BTreeSet<String> = now.iter().map(|(name, _)| name.clone()).collect();
        self.kept.difference(&names).for_each(|name| set(name, None));
        now.iter().for_each(|(name, value)| set(name, Some(value)));
        self.kept = names;
        if self.dumped {
            dump();
        }
        Ok(())
    }
}

/// In a directory of phusion's an empty file is an empty variable.
fn of_directory() -> Result<Vec<Variable>, String> {
    if !Path::new(DIRECTORY).is_dir() {
        return Ok(Vec::new());
    }
    let all = variables::of_directory(Path::new(DIRECTORY))?;
    Ok(all.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect())
}

fn shared() -> Vec<Variable> {
    variables::all().into_iter().filter(|(name, _)| !OF_A_USER.contains(&name.as_str())).collect()
}

/// What a shell or a program that was not started by us reads. It is worth a line, and not an end, where that cannot be.
fn dump() -> bool {
    let group = group();
    let files = [(FOR_SHELL, dumps::for_shell(&shared())), (JSON, dumps::json(&variables::all()))];
    let written = files.iter().try_for_each(|(path, text)| dumps::write(Path::new(path), text, group));
    written.inspect_err(|error| say!("my_init: {error}")).is_ok()
}

fn group() -> Option<u32> {
    let text = fs::read_to_string("/etc/group").ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(GROUP))?;
    line.split(':').nth(2)?.parse().ok()
}

fn set(name: &str, value: Option<&str>) {
    environment::change(value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}")).into());
}
