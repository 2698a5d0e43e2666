//! The end of every chain-loader: another program in place of this one.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use svc_sys::{Errno, exit};

use crate::command::{Failure, Outcome};

/// Executes a program in place of this one, with signals and descriptors as they are. Unless it has a slash it is looked for in
/// PATH as it was when this program began, as execline, s6, runit and daemontools do: a variable is for the program, and not for
/// finding it. Returns only to say why not.
pub fn execute(words: &[OsString]) -> Outcome {
    execute_in(svc_sys::environment::first_path().as_deref(), words)
}

/// The same where there may be no program: then there is nothing to do, and that is success, as in execline.
pub fn execute_if_any(words: &[OsString]) -> Outcome {
    if words.is_empty() { Ok(exit::DONE) } else { execute(words) }
}

/// The same with another PATH.
pub fn execute_in(path: Option<&OsStr>, words: &[OsString]) -> Outcome {
    let Some(program) = words.first() else {
        return Err(Failure::usage("the program to execute is missing"));
    };
    Err(failure(program, replace(program, path, words)))
}

/// Replaces this process by `program`, which is told `words`, its name first. Where `path` has none of this name and we have a
/// command that is called so, it is that one: scripts find `if` and `s6-svc` where no links were made. Returns only to say why
/// not.
pub fn replace(program: &OsStr, path: Option<&OsStr>, words: &[OsString]) -> Errno {
    let errno = svc_sys::exe::find_and_replace(program, path, words);
    let is_missing = errno == Errno::NOT_FOUND || errno == Errno::NOT_ALLOWED;
    let command = program.to_str().and_then(crate::find);
    let (true, Some(command)) = (is_missing, command) else { return errno };
    // Its own name, whatever it is to be told: by that it knows what it is.
    let mut own = vec![OsString::from(command.name)];
    own.extend(words.iter().skip(1).cloned());
    match svc_sys::exe::replace_by_own(&own) {
        // There is no /proc: what PATH said is what can be mended.
        Errno::NOT_FOUND => errno,
        other => other,
    }
}

/// Executes another command of this program in place of this one, whatever else has its name in PATH.
pub fn execute_own(name: &str, words: impl IntoIterator<Item = OsString>) -> Outcome {
    let words: Vec<OsString> = [OsString::from(name)].into_iter().chain(words).collect();
    let errno = svc_sys::exe::replace_by_own(&words);
    Err(Failure::with_code(exit::CANNOT_EXECUTE, format!("unable to exec {name}: {errno}")))
}

/// How a chain of programs names a command of this program, so that it is found whether it has a link or not.
pub fn own_words(name: &str) -> [OsString; 2] {
    ["/proc/self/exe".into(), name.into()]
}

/// Why `program` was not executed, with the exit code that says it.
pub fn failure(program: &OsStr, errno: Errno) -> Failure {
    let code = if errno == Errno::NOT_FOUND { exit::NOT_FOUND } else { exit::CANNOT_EXECUTE };
    Failure::Fatal { code, message: format!("unable to exec {}", svc_def::explain_exec(Path::new(program), errno.0)) }
}
