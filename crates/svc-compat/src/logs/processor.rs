//! What a finished file goes through before it is kept: a program of the user's.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use svc_core::Pid;
use svc_sys::process::{self, Fork};
use svc_sys::{exe, exit, fd, signals};

/// A program, as a line of one of two languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Processor {
    /// For our own execlineb, which needs no file of its own on this system.
    Execline(OsString),
    Shell(OsString),
}

/// Which files it reads and writes, in the log directory.
pub(super) struct Files<'a> {
    pub(super) input: &'a str,
    pub(super) output: &'a str,
}

/// What the last run left, for the next one, and what this one leaves.
pub(super) const STATE: &str = "state";
pub(super) const NEW_STATE: &str = "newstate";

/// Above everything that is put at its place.
const ASIDE: i32 = 10;

impl Processor {
    /// Starts it in the log directory: 0 the finished file, 1 what becomes of it, 4 the state, 5 the new state.
    pub(super) fn start(&self, directory: &Path, files: &Files) -> io::Result<Pid> {
        match process::fork()? {
            Fork::Parent(pid) => Ok(pid),
            Fork::Child => {
                let error = self.run(directory, files);
                eprintln!("unable to run the processor of {}: {error}", directory.display());
                process::exit_now(exit::SYSTEM)
            }
        }
    }

    /// The child. Returns only if it cannot.
    fn run(&self, directory: &Path, files: &Files) -> io::Error {
        let prepare = || -> io::Result<()> {
            std::env::set_current_dir(directory)?;
            let input = aside(&File::open(files.input)?)?;
            let output = aside(&File::create(files.output)?)?;
            let state = aside(&File::open(STATE)?)?;
            let new_state = aside(&File::create(NEW_STATE)?)?;
            for (file, place) in [(input, 0), (output, 1), (state, 4), (new_state, 5)] {
                fd::place(file.as_raw_fd(), place)?;
            }
            Ok(())
        };
        if let Err(error) = prepare() {
            return error;
        }
        signals::reset();
        let words = |program: &str, options: &str, script: &OsString| {
            [program.into(), options.into(), script.clone()].map(|word: OsString| word)
        };
        match self {
            Processor::Shell(script) => exe::replace(&words("/bin/sh", "-c", script)).into(),
            Processor::Execline(script) => exe::replace_by_own(&words("execlineb", "-Pc", script)).into(),
        }
    }
}

fn aside(file: &impl AsRawFd) -> io::Result<OwnedFd> {
    Ok(fd::duplicate(file.as_raw_fd(), ASIDE)?)
}
