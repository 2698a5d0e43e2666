//! Programs that a command becomes, or starts and waits for.

use std::ffi::{OsStr, OsString};

use svc_core::{Exit, Pid};
use svc_sys::process::{Reap, Reaped};
use svc_sys::{Errno, environment, exit, process, signals};

use crate::chain;
use crate::command::{Failure, Opt, Outcome};

/// A failure with the code of wrong usage, where the usage line says nothing on it.
pub fn refused(message: impl std::fmt::Display) -> Failure {
    Failure::with_code(exit::USAGE, message)
}

/// What a command changes in the environment of a program.
#[derive(Debug, Default)]
pub struct Changes(Vec<OsString>);

impl Changes {
    pub fn set(&mut self, name: &OsStr, value: &OsStr) {
        self.0.push([name, OsStr::new("="), value].into_iter().collect());
    }

    pub fn unset(&mut self, name: &OsStr) {
        self.0.push(name.to_owned());
    }

    pub fn one(name: &OsStr, value: &OsStr) -> Changes {
        let mut changes = Changes::default();
        changes.set(name, value);
        changes
    }

    /// The other changes, after these.
    pub fn extend(&mut self, other: Changes) {
        self.0.extend(other.0);
    }

    fn apply(self) {
        self.0.into_iter().for_each(environment::change);
    }

    #[cfg(test)]
    pub fn assignments(&self) -> &[OsString] {
        &self.0
    }
}

/// The name of a variable as an operand.
pub fn variable_name(word: &OsStr) -> Result<&OsStr, Failure> {
    if word.is_empty() || word.as_encoded_bytes().contains(&b'=') {
        return Err(refused(format!("'{}' cannot be the name of a variable", word.display())));
    }
    Ok(word)
}

/// Executes a program in place of this one, with some variables changed. Where there is none there is nothing to do.
pub fn become_program(words: &[OsString], changes: Changes) -> Outcome {
    if words.is_empty() {
        return Ok(exit::DONE);
    }
    changes.apply();
    chain::execute(words)
}

/// The same in a child that is returned once it executes it. `prepare` is called in the child before.
pub fn spawn(words: &[OsString], changes: Changes, prepare: impl FnOnce() -> Result<(), Errno>) -> Result<Pid, Errno> {
    process::spawn(|| {
        if let Err(errno) = prepare() {
            return errno;
        }
        // What runs in a block must be reachable by signals, whatever this command was started with.
        signals::unblock_all();
        let Some(program) = words.first() else { process::exit_now(exit::DONE) };
        changes.apply();
        chain::replace(program, environment::first_path().as_deref(), words)
    })
}

/// The same with the failure that most commands make of it.
pub fn start(words: &[OsString], changes: Changes) -> Result<Pid, Failure> {
    spawn(words, changes, || Ok(())).map_err(|errno| cannot_start(words, errno))
}

pub fn cannot_start(words: &[OsString], errno: Errno) -> Failure {
    let program = words.first().map(OsString::as_os_str).unwrap_or_default();
    let is_block = errno == Errno::NOT_FOUND && program.as_encoded_bytes().starts_with(b" ");
    let cure = if is_block { " (its name begins with a space: no block can stand here)" } else { "" };
    Failure::system(format!("unable to spawn {}: {errno}{cure}", program.display()))
}

/// Waits for a child's end.
pub fn wait(pid: Pid) -> Result<Exit, Failure> {
    match process::wait_for(pid) {
        Reap::One(Reaped { exit, .. }) => Ok(exit),
        Reap::AllLive | Reap::NoChildren => {
            Err(Failure::system(format!("unable to wait for process {}: it is not ours (is SIGCHLD ignored?)", pid.raw())))
        }
    }
}

/// Runs a program to its end.
pub fn run(words: &[OsString]) -> Result<Exit, Failure> {
    wait(start(words, Changes::default())?)
}

/// An end as an exit code that can be handed on: 128 and the signal, 128 for what is more itself, the code otherwise.
pub fn approximation(exit: Exit) -> u8 {
    match exit {
        Exit::Signal(signal) => 128 + signal.number(),
        Exit::Code(code) => code.min(128),
    }
}

/// An end as the variable `?` has it: the code, or 256 and the signal.
pub fn exact(exit: Exit) -> u16 {
    match exit {
        Exit::Signal(signal) => 256 + u16::from(signal.number()),
        Exit::Code(code) => u16::from(code),
    }
}

pub const AUTOIMPORT: Opt = Opt::flag('E', "substitute the variable in PROG instead of exporting it");
pub const NO_AUTOIMPORT: Opt = Opt::flag('e', "undo -E");

/// The words of a program that finds `variable` in the environment: with autoimport importas comes first, and takes it out.
pub fn importing(autoimport: bool, variable: &OsStr, words: &[OsString]) -> Vec<OsString> {
    let mut all: Vec<OsString> = Vec::new();
    if autoimport && !words.is_empty() {
        all.extend(["importas", "-ui", "--"].map(OsString::from));
        all.extend([variable.to_owned(), variable.to_owned()]);
    }
    all.extend_from_slice(words);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use svc_core::Signal;

    #[test]
    fn ends_as_numbers() {
        for (exit, code, number) in [
            (Exit::Code(0), 0, 0),
            (Exit::Code(127), 127, 127),
            (Exit::Code(200), 128, 200),
            (Exit::Signal(Signal::KILL), 137, 265),
        ] {
            assert_eq!((approximation(exit), exact(exit)), (code, number), "{exit}");
        }
    }

    #[test]
    fn names_of_variables() {
        assert!(variable_name(OsStr::new("a b")).is_ok());
        for bad in ["", "=", "a=b"] {
            assert!(variable_name(OsStr::new(bad)).is_err(), "{bad}");
        }
    }
}
