//! `up` and `down`: command lines in execline, as s6-rc has them, or a script of some other kind that says so in its first line.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use svc_core::definition::{Language, Script};

use super::lists;
use crate::execline;
use crate::look::Folder;
use crate::problem::{Problem, quoted};
use crate::shebang::{self, Shebang};

/// Reads a script; none if there is nothing to do in it.
pub(super) fn read(dir: &Folder, name: &str, problems: &mut Vec<Problem>) -> Option<Script> {
    let bytes = lists::content(dir, name, problems)?;
    let path = &dir.join(name);
    let script = |language, problems: &mut Vec<Problem>| {
        // s6-rc finds that when it compiles.
        if let (Language::Execline, Err(trouble)) = (language, execline::words(&bytes)) {
            problems.push(Problem::fatal(path, format!("{trouble}: correct it, or begin the file with #!/bin/sh")));
        }
        Some(Script::File { path: path.as_os_str().as_bytes().to_vec(), language })
    };
    if let Shebang::Interpreter { path: interpreter, .. } = shebang::parse(&bytes) {
        // s6-rc takes this line for a comment; who wrote it meant it.
        let own = Path::new(OsStr::from_bytes(interpreter)).file_name().is_some_and(|name| name == "execlineb");
        return script(if own { Language::Execline } else { Language::FirstLine }, problems);
    }
    let lines = execline::lines(&bytes);
    if lines.is_empty() && execline::words(&bytes).is_ok() {
        return None;
    }
    if let Some(word) = lines.first().filter(|_| lines.len() > 1).and_then(|line| last_words(line)) {
        let message = format!(
            "is execline, where the end of a line ends no command, so the next lines are arguments of {word}: begin the file with \
             #!/bin/sh if this is a shell script"
        );
        problems.push(Problem::warning(path, message));
    } else if let Some(syntax) = lines.iter().find_map(|line| shell_syntax(line)) {
        let message = format!(
            "is execline, where {} is no syntax but words: begin the file with #!/bin/sh if this is a shell script",
            quoted(syntax.as_bytes())
        );
        problems.push(Problem::warning(path, message));
    } else if let Some(variable) = variable(&lines) {
        let message = format!(
            "is execline, where {} stays as it is without importas: begin the file with #!/bin/sh if this is a shell script",
            quoted(variable.as_bytes())
        );
        problems.push(Problem::warning(path, message));
    }
    script(Language::Execline, problems)
}

/// The program that a line begins with, if it executes no other: everything behind it is its arguments.
fn last_words(line: &[&[u8]]) -> Option<&'static str> {
    const PROGRAMS: [&str; 20] = [
        "cat", "chgrp", "chmod", "chown", "cp", "date", "echo", "find", "install", "ln", "ls", "mkdir", "mv", "printf",
        "rm", "sed", "set", "sleep", "source", "touch",
    ];
    let name = line.first()?.rsplit(|&byte| byte == b'/').next()?;
    PROGRAMS.into_iter().find(|program| program.as_bytes() == name)
}

/// Those of the words that are no texts for somebody else: a shell may be the one that is run.
fn bare<'a>(line: &[&'a [u8]]) -> impl Iterator<Item = Cow<'a, str>> + Clone {
    let is_bare = |word: &&&[u8]| !word.iter().any(|byte| matches!(byte, b'"' | b'\\'));
    line.iter().filter(is_bare).map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().into_iter()
}

/// What only a shell understands.
fn shell_syntax(line: &[&[u8]]) -> Option<&'static str> {
    const WORDS: [&str; 12] = ["&&", "||", "&", "|", ";", "then", "fi", "[[", "done", ">", ">>", "<"];
    /// Where a line begins with one of these, nothing of this name is in PATH.
    const FIRST: [&str; 7] = ["set", "source", ".", "for", "while", "until", "local"];
    let words = bare(line);
    let word = WORDS.into_iter().find(|word| words.clone().any(|part| part == *word || part == format!("{word};")));
    let first = String::from_utf8_lossy(line.first()?);
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let sets = || first.split_once('=').is_some_and(|(name, _)| is_name(name));
    let assigns = || first == "export" && line.iter().any(|word| word.contains(&b'='));
    let has = |part: &&str| words.clone().any(|word| word.contains(part));
    word.or_else(|| ["$(", "`", "2>&1", ">/", "2>/"].into_iter().find(has))
        .or_else(|| assigns().then_some("export NAME=VALUE"))
        .or_else(|| FIRST.into_iter().find(|word| *word == first))
        .or_else(|| sets().then_some("NAME=VALUE"))
}

/// A variable that nothing in the script puts in.
fn variable(lines: &[Vec<&[u8]>]) -> Option<String> {
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
    let mut words = lines.iter().flat_map(|line| bare(line));
    let begins = |word: &str| word.strip_prefix('$').and_then(|rest| rest.trim_start_matches('{').bytes().next());
    if words.clone().any(|word| SUBSTITUTES.contains(&word.rsplit('/').next().unwrap_or(&word))) {
        return None;
    }
    words.find(|word| begins(word).is_some_and(|byte| byte.is_ascii_alphabetic())).map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_executes_no_other_is_the_last_one() {
        for (line, found) in
            [("echo hello", Some("echo")), ("/bin/mkdir -p /x", Some("mkdir")), ("cd /x", None), ("if { x }", None)]
        {
            assert_eq!(last_words(&execline::lines(line.as_bytes())[0]), found, "{line}");
        }
    }

    #[test]
    fn a_variable_that_nothing_puts_in_is_seen() {
        for (text, found) in [
            ("/etc/it $HOME", Some("$HOME")),
            ("/etc/it ${HOME}/x", Some("${HOME}/x")),
            ("importas HOME HOME\n/etc/it $HOME", None),
            ("/etc/it $@ $1", None),
            ("sh -c \"$HOME/it\"", None),
        ] {
            assert_eq!(variable(&execline::lines(text.as_bytes())).as_deref(), found, "{text}");
        }
    }

    #[test]
    fn what_only_a_shell_understands_is_seen() {
        for (line, found) in [
            ("test -e /x && exit 0", Some("&&")),
            ("if [ -e x ]; then", Some("then")),
            ("sleep 1 &", Some("&")),
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
            ("/bin/sh -c \"env | grep RC_\"", None),
            ("if { test -d /tmp } /bin/sh -c \"a && b 2>&1\"", None),
            ("echo \"a > b\"", None),
            ("grep \">\" /etc/it", None),
            ("sh -c \"for i in 1 2; do echo $i; done\"", None),
            ("sh -c \"set -e\n[ -e x ] || exit $(id -u)\"", None),
            ("echo \"a\" | cat", Some("|")),
            ("X=\"a b\" /etc/it", Some("NAME=VALUE")),
        ] {
            assert_eq!(shell_syntax(&execline::lines(line.as_bytes())[0]), found, "{line}");
        }
    }
}
