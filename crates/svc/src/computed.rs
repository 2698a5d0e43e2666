//! A variable that is what a command prints, for `svc exec`: the command runs with everything that the service will have, and for
//! a limited time.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use svc_core::{Millis, Pid, Signal};
use svc_sys::process::{self, PidFd};
use svc_sys::{clock, fd, poll};

/// More in a variable is a mistake: the kernel takes no longer one.
const MOST: usize = 128 * 1024;

pub struct Computed {
    name: OsString,
    timeout: Millis,
    command: Vec<OsString>,
}

impl Computed {
    /// The words behind the option: the name, milliseconds, how many words the command has, and these.
    pub fn parse(parser: &mut lexopt::Parser) -> Result<Computed, lexopt::Error> {
        use lexopt::ValueExt;
        let name = parser.value()?;
        let timeout = Millis(parser.value()?.parse()?);
        let count: usize = parser.value()?.parse()?;
        let command = (0..count.max(1)).map(|_| parser.value()).collect::<Result<Vec<OsString>, _>>()?;
        Ok(Computed { name, timeout, command })
    }

    /// Runs the command, and sets the variable to what it prints, without the newlines at its end.
    pub fn set(self) -> Result<(), String> {
        let shown = format!("{}: {}", self.name.to_string_lossy(), self.command[0].to_string_lossy());
        let mut value = self.run().map_err(|what| format!("{shown} {what}"))?;
        while value.last() == Some(&b'\n') {
            value.pop();
        }
        if value.contains(&0) {
            return Err(format!("{shown} prints a NUL byte, which no variable can have"));
        }
        let mut assignment = self.name;
        assignment.push("=");
        assignment.push(OsStr::from_bytes(&value));
        svc_sys::environment::change(assignment);
        Ok(())
    }

    fn run(&self) -> Result<Vec<u8>, String> {
        let deadline = clock::now() + self.timeout;
        svc_sys::signals::reset();
        let mut child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot be started: {error}: give a program that is there"))?;
        let pid = Pid::new(child.id() as i32).ok_or("has no process")?;
        let handle = PidFd::open(pid).map_err(|errno| format!("cannot be waited for: {errno}"))?;
        let output = child.stdout.take().ok_or("has no output")?;
        let mut value = Vec::new();
        let mut buffer = [0; 4096];
        let mut is_open = true;
        let outcome = loop {
            let ends = if is_open { output.as_fd().as_raw_fd() } else { handle.as_raw_fd() };
            let mut interests = [poll::readable(ends)];
            let now = clock::now();
            if now >= deadline {
                break Err(format!("has not ended after {} ms: give it a longer timeout", self.timeout.0));
            }
            poll::wait(&mut interests, now, Some(deadline));
            if !poll::is_ready(&interests[0]) {
                continue;
            }
            if !is_open {
                break Ok(value);
            }
            match fd::read(output.as_fd(), &mut buffer) {
                Ok(0) => is_open = false,
                Ok(length) => value.extend_from_slice(&buffer[..length]),
                Err(errno) => break Err(format!("cannot be read: {errno}")),
            }
            if value.len() > MOST {
                break Err(format!("prints more than {MOST} bytes"));
            }
        };
        if outcome.is_err() {
            let _ = process::signal_group(pid, Signal::KILL);
        }
        let status = child.wait().map_err(|error| format!("cannot be waited for: {error}"))?;
        let value = outcome?;
        if status.success() { Ok(value) } else { Err(format!("has failed: {status}")) }
    }
}
