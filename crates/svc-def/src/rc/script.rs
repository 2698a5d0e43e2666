//! `up` and `down`: command lines in execline, as s6-rc has them, or a script of some other kind that says so in its first line.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use svc_core::definition::{Language, Script};

use super::lists;
use crate::problem::{Problem, quoted};
use crate::shebang::{self, Shebang};

/// Reads a script; none if there is nothing to do in it.
pub(super) fn read(path: &Path, problems: &mut Vec<Problem>) -> Option<Script> {
    let bytes = lists::content(path, problems)?;
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
    const WORDS: [&str; 8] = ["&&", "||", "|", ";", "then", "fi", "[[", "done"];
    let text = String::from_utf8_lossy(line);
    let word =
        WORDS.into_iter().find(|word| text.split_ascii_whitespace().any(|part| part == *word || part == format!("{word};")));
    let assigns = || text.starts_with("export ") && text.contains('=');
    word.or_else(|| ["$(", "`", "2>&1"].into_iter().find(|part| text.contains(part)))
        .or_else(|| assigns().then_some("export NAME=VALUE"))
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
    fn what_only_a_shell_understands_is_seen() {
        for (line, found) in [
            ("test -e /x && exit 0", Some("&&")),
            ("if [ -e x ]; then", Some("then")),
            ("echo $(date)", Some("$(")),
            ("export X=1", Some("export NAME=VALUE")),
            ("export X 1", None),
            ("foreground { echo \"a b\" } /etc/x/run", None),
            ("/etc/s6-overlay/scripts/it -a --b=c", None),
        ] {
            assert_eq!(shell_syntax(line.as_bytes()), found, "{line}");
        }
    }
}
