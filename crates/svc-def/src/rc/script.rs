//! `up` and `down`: command lines in execline, as s6-rc has them, or a script of some other kind that says so in its first line.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use svc_core::definition::{Language, Script};

use super::lists;
use crate::look::Folder;
use crate::problem::{Problem, quoted};
use crate::shebang::{self, Shebang};

/// Reads a script; none if there is nothing to do in it.
pub(super) fn read(dir: &Folder, name: &str, problems: &mut Vec<Problem>) -> Option<Script> {
    let bytes = lists::content(dir, name, problems)?;
    let path = &dir.join(name);
    let script = |language| Some(Script::File { path: path.as_os_str().as_bytes().to_vec(), language });
    if let Shebang::Interpreter { path: interpreter, .. } = shebang::parse(&bytes) {
        // s6-rc takes this line for a comment; who wrote it meant it.
        let own = Path::new(OsStr::from_bytes(interpreter)).file_name().is_some_and(|name| name == "execlineb");
        return script(if own { Language::Execline } else { Language::FirstLine });
    }
    let lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    let first = lines.next()?;
    let mut lines = lines.peekable();
    if let Some(word) = last_words(first).filter(|_| lines.peek().is_some()) {
        let message = format!(
            "is execline, where the end of a line ends no command, so the next lines are arguments of {word}: begin the file with \
             #!/bin/sh if this is a shell script"
        );
        problems.push(Problem::warning(path, message));
    } else if let Some(syntax) = std::iter::once(first).chain(lines).find_map(shell_syntax) {
        let message = format!(
            "is execline, where {} is no syntax but words: begin the file with #!/bin/sh if this is a shell script",
            quoted(syntax.as_bytes())
        );
        problems.push(Problem::warning(path, message));
    } else if let Some(variable) = variable(&bytes) {
        let message = format!(
            "is execline, where {} stays as it is without importas: begin the file with #!/bin/sh if this is a shell script",
            quoted(variable.as_bytes())
        );
        problems.push(Problem::warning(path, message));
    }
    script(Language::Execline)
}

/// The program that a line begins with, if it executes no other: everything behind it is its arguments.
fn last_words(line: &[u8]) -> Option<&'static str> {
    const PROGRAMS: [&str; 20] = [
        "cat", "chgrp", "chmod", "chown", "cp", "date", "echo", "find", "install", "ln", "ls", "mkdir", "mv", "printf",
        "rm", "sed", "set", "sleep", "source", "touch",
    ];
    let first = line.split(u8::is_ascii_whitespace).next()?;
    let name = first.rsplit(|&byte| byte == b'/').next()?;
    PROGRAMS.into_iter().find(|program| program.as_bytes() == name)
}

/// What only a shell understands.
fn shell_syntax(line: &[u8]) -> Option<&'static str> {
    const WORDS: [&str; 11] = ["&&", "||", "|", ";", "then", "fi", "[[", "done", ">", ">>", "<"];
    /// Where a line begins with one of these, nothing of this name is in PATH.
    const FIRST: [&str; 7] = ["set", "source", ".", "for", "while", "until", "local"];
    let text = String::from_utf8_lossy(line);
    let word =
        WORDS.into_iter().find(|word| text.split_ascii_whitespace().any(|part| part == *word || part == format!("{word};")));
    let first = text.split_ascii_whitespace().next().unwrap_or_default();
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let sets = || first.split_once('=').is_some_and(|(name, _)| is_name(name));
    let assigns = || text.starts_with("export ") && text.contains('=');
    word.or_else(|| ["$(", "`", "2>&1", ">/", "2>/"].into_iter().find(|part| text.contains(part)))
        .or_else(|| assigns().then_some("export NAME=VALUE"))
        .or_else(|| FIRST.into_iter().find(|word| *word == first))
        .or_else(|| sets().then_some("NAME=VALUE"))
}

/// A variable that nothing in the script puts in.
fn variable(text: &[u8]) -> Option<String> {
    const SUBSTITUTES: [&str; 12] = [
        "importas",
        "import",
        "define",
        "multisubstitute",
        "multidefine",
        "backtick",
        "forx",
        "forstdin",
        "forbacktickx",
        "elglob",
        "for",
        "with-contenv",
    ];
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut words = lines.flat_map(str::split_ascii_whitespace);
    let begins = |word: &str| word.strip_prefix('$').and_then(|rest| rest.trim_start_matches('{').bytes().next());
    if words.clone().any(|word| SUBSTITUTES.contains(&word.rsplit('/').next().unwrap_or(word))) {
        return None;
    }
    words.find(|word| begins(word).is_some_and(|byte| byte.is_ascii_alphabetic())).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_executes_no_other_is_the_last_one() {
        for (line, found) in
            [("echo hello", Some("echo")), ("/bin/mkdir -p /x", Some("mkdir")), ("cd /x", None), ("if { x }", None)]
        {
            assert_eq!(last_words(line.as_bytes()), found, "{line}");
        }
    }

    #[test]
    fn a_variable_that_nothing_puts_in_is_seen() {
        for (text, found) in [
            ("/etc/it $HOME", Some("$HOME")),
            ("/etc/it ${HOME}/x", Some("${HOME}/x")),
            ("importas HOME HOME\n/etc/it $HOME", None),
            ("/etc/it $@ $1", None),
        ] {
            assert_eq!(variable(text.as_bytes()).as_deref(), found, "{text}");
        }
    }

    #[test]
    fn what_only_a_shell_understands_is_seen() {
        for (line, found) in [
            ("test -e /x && exit 0", Some("&&")),
            ("if [ -e x ]; then", Some("then")),
            ("echo $(date)", Some("$(")),
            ("export X=1", Some("export NAME=VALUE")),
            ("export X 1", None),
            ("echo x > /tmp/x", Some(">")),
            ("X=1 /etc/it", Some("NAME=VALUE")),
            ("source /etc/profile", Some("source")),
            ("/etc/it --level=<3", None),
            ("redirfd -w 1 /tmp/x", None),
            ("foreground { echo \"a b\" } /etc/x/run", None),
            ("/etc/s6-overlay/scripts/it -a --b=c", None),
        ] {
            assert_eq!(shell_syntax(line.as_bytes()), found, "{line}");
        }
    }
}
