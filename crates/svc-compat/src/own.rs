//! Commands of this program that execute others of this program, which need no link for that.

use std::ffi::{CStr, CString, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

use svc_sys::{Errno, exit};

use crate::command::{Failure, Outcome};

/// How a chain of programs names a command of this program, so that it is found whether it has a link or not.
pub fn words(name: &str) -> [OsString; 2] {
    ["/proc/self/exe".into(), name.into()]
}

/// Executes another command of this program in place of this one.
pub fn execute(name: &str, words: impl IntoIterator<Item = OsString>) -> Outcome {
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
