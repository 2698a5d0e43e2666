//! The end of every chain-loader: another program in place of this one.

use std::ffi::{CStr, CString, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

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

/// How a chain of programs names a command of this program, so that it is found whether it has a link or not.
pub fn own(name: &str) -> [OsString; 2] {
    ["/proc/self/exe".into(), name.into()]
}

/// Executes another command of this program in place of this one, whether it has a link or not.
pub fn execute_own(name: &str, words: impl IntoIterator<Item = OsString>) -> Outcome {
    let failed = |errno: Errno| Failure::with_code(exit::CANNOT_EXECUTE, format!("unable to exec {name}: {errno}"));
    let c_string = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| failed(Errno::INVALID));
    let mut arguments = vec![c_string(name.into())?];
    for word in words {
        arguments.push(c_string(word.into_vec())?);
    }
    let arguments: Vec<&CStr> = arguments.iter().map(CString::as_c_str).collect();
    let exe = svc_sys::exe::open().map_err(failed)?;
    Err(failed(svc_sys::exe::execute(exe.as_fd(), &arguments)))
}
