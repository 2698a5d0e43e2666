//! Scripts that are run by what they are written for, whether or not they are executable.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use svc_core::definition::Language;
use svc_sys::{Errno, exit};

use crate::said::say;

/// Becomes the interpreter of the script at `path`.
pub fn run(language: Language, path: OsString, arguments: Vec<OsString>) -> u8 {
    match language {
        Language::Execline => become_command("execlineb", [["-P".into(), path].to_vec(), arguments].concat()),
        Language::FirstLine => run_by_first_line(path, arguments),
    }
}

/// As the program that a link in a service directory stands for: `run` runs the script `.run` beside it. That works where nothing can
/// be executed, and the script need not be executable.
pub fn beside(arguments: Vec<OsString>) -> u8 {
    let mut words = arguments.into_iter();
    let called = words.next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default();
    let script = Path::new(&called).with_file_name([OsStr::new("."), name].join(OsStr::new("")));
    run_by_first_line(script.into(), words.collect())
}

fn run_by_first_line(path: OsString, arguments: Vec<OsString>) -> u8 {
    let failed = |code, what: &str| {
        say(format_args!("{}: {what}", path.display()));
        code
    };
    let head = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => return failed(exit::CANNOT_EXECUTE, &error.to_string()),
    };
    let Some(words) = first_line(&head) else {
        return failed(
            exit::CANNOT_EXECUTE,
            "is not executable, and its first line names no interpreter: begin it with #!/bin/sh",
        );
    };
    let interpreter = words[0].clone();
    let name = Path::new(&interpreter).file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
    let words = [words, vec![path], arguments].concat();
    let errno = svc_sys::exe::replace(&words);
    // Images have /command/with-contenv and its like only where somebody has made the links.
    if errno == Errno::NOT_FOUND && svc_compat::find(&name).is_some() {
        return become_command(&name, words[1..].to_vec());
    }
    say(format_args!("{}: {errno}", interpreter.display()));
    if errno == Errno::NOT_FOUND { exit::NOT_FOUND } else { exit::CANNOT_EXECUTE }
}

/// The interpreter, and the rest of the line as one word, as the kernel takes them.
fn first_line(head: &[u8]) -> Option<Vec<OsString>> {
    let line = head.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?.trim_ascii();
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let (interpreter, rest) = line.split_at(end);
    let words = [interpreter, rest.trim_ascii()].into_iter().filter(|word| !word.is_empty());
    let words: Vec<OsString> = words.map(|word| OsString::from_vec(word.to_vec())).collect();
    words.first().is_some_and(|word| !word.as_bytes().is_empty()).then_some(words)
}

/// Acts as one of our own commands, without looking for a link to it.
fn become_command(name: &str, arguments: Vec<OsString>) -> u8 {
    match svc_compat::find(name) {
        Some(command) => command.main([vec![name.into()], arguments].concat()),
        None => {
            say(format_args!("{name}: this build has no such command"));
            exit::NOT_FOUND
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_an_interpreter_and_one_word() {
        let words = |head: &str| {
            first_line(head.as_bytes()).map(|words| words.iter().map(|word| word.display().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(words("#!/bin/sh\necho"), Some(vec!["/bin/sh".to_owned()]));
        assert_eq!(
            words("#! /usr/bin/with-contenv bash -e\r\n"),
            Some(vec!["/usr/bin/with-contenv".into(), "bash -e".into()])
        );
        assert_eq!(words("echo"), None);
        assert_eq!(words("#!\n"), None);
    }
}
