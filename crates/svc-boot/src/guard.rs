//! Who sees to it that a child of a layout does not outlive it. Process 1 takes everybody along when it is killed; another one does not,
//! and so a guard is there before the child, which comes into its process group: the guard ends that group when the other end of its
//! pipe is closed without a word.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};

use svc_core::{Millis, Pid, Signal};
use svc_sys::{clock, exit, poll, process};

use crate::scripts::own;

/// Between SIGTERM and SIGKILL.
const GRACE: Millis = Millis::from_secs(2);

pub(crate) struct Guard {
    child: Child,
    pipe: ChildStdin,
}

impl Guard {
    /// `None` where the kernel does the same, or where there can be none.
    pub(crate) fn new() -> Option<Guard> {
        use std::os::unix::process::CommandExt;
        if std::process::id() == 1 {
            return None;
        }
        let mut command = own(&["s6-overlay", "guard"]);
        let mut child = command.stdin(Stdio::piped()).process_group(0).spawn().ok()?;
        let pipe = child.stdin.take()?;
        Some(Guard { child, pipe })
    }

    /// The process group that it ends.
    pub(crate) fn group(&self) -> i32 {
        self.child.id() as i32
    }

    /// Nothing is left to be guarded.
    pub(crate) fn release(mut self) {
        let _ = self.pipe.write_all(b".");
        drop(self.pipe);
        let _ = self.child.wait();
    }
}

/// The guard itself. It holds all signals back, as who started it does, and so what its group is sent ends the others; SIGKILL ends
/// it with them.
pub(crate) fn main() -> u8 {
    let Some(group) = Pid::new(std::process::id() as i32) else { return exit::USAGE };
    if std::io::stdin().read(&mut [0]).is_ok_and(|length| length > 0) {
        return exit::DONE;
    }
    let _ = process::signal_group(group, Signal::TERM);
    let deadline = clock::now() + GRACE;
    while clock::now() < deadline {
        poll::wait(&mut [], clock::now(), Some(deadline));
    }
    let _ = process::signal_group(group, Signal::KILL);
    exit::DONE
}
