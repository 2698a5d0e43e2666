//! The end of every chain-loader: another program in place of this one.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use svc_sys::{Errno, exit};

use crate::command::{Failure, Outcome};

/// Executes a program in place of this one: looked up in PATH (of the environment as it is now) unless it has a slash, with
/// signals and descriptors as they are. Returns only to say why not.
pub fn execute(words: &[OsString]) -> Outcome {
    let Some(program) = words.first() else {
        return Err(Failure::usage("the program to execute is missing"));
    };
    let errno = svc_sys::exe::replace(words);
    let code = if errno == Errno::NOT_FOUND { exit::NOT_FOUND } else { exit::CANNOT_EXECUTE };
    let message = format!("unable to exec {}: {errno}", String::from_utf8_lossy(program.as_bytes()));
    Err(Failure::Fatal { code, message })
}

/// The same where there may be no program: then there is nothing to do, and that is success, as in execline.
pub fn execute_if_any(words: &[OsString]) -> Outcome {
    if words.is_empty() { Ok(exit::DONE) } else { execute(words) }
}
