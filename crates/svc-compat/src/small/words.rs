//! Programs that print words: s6-echo, s6-basename, s6-dirname, s6-quote, s6-unquote, s6-seq; s6-true and s6-false.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use svc_sys::exit;

use super::output::put;
use crate::command::{Call, Command, Failure, Opt, Outcome, number};

pub(super) const TRUE: Command = Command {
    name: "s6-true",
    about: "succeed",
    operands: "",
    options: &[Opt::NONE],
    notes: "",
    codes: &[],
    run: |_| Ok(exit::DONE),
};

pub(super) const FALSE: Command = Command {
    name: "s6-false",
    about: "fail",
    operands: "",
    options: &[Opt::NONE],
    notes: "",
    codes: &[(1, "always")],
    run: |_| Ok(exit::FAILED),
};

const NO_NEWLINE: Opt = Opt::flag('n', "no newline at the end");

pub(super) const ECHO: Command = Command {
    name: "s6-echo",
    about: "print words",
    operands: "WORD...",
    options: &[NO_NEWLINE, Opt::with('s', "CHAR", "what to put between words (default: a blank)")],
    notes: "",
    codes: &[],
    run: |call| {
        let between = call.value('s').map_or(b' ', |text| text.as_bytes().first().copied().unwrap_or(0));
        let words: Vec<&[u8]> = call.operands.iter().map(|word| word.as_bytes()).collect();
        print(call, words.join(&between))
    },
};

/// Prints, with a newline at the end unless -n was given.
fn print(call: &Call, mut text: Vec<u8>) -> Outcome {
    if !call.has('n') {
        text.push(b'\n');
    }
    put(&text)?;
    Ok(exit::DONE)
}

/// What follows the last slash; slashes at the end do not count.
pub(super) fn base(path: &[u8]) -> &[u8] {
    let path = without_slashes(path);
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) if path.len() > 1 => &path[at + 1..],
        Some(_) | None => path,
    }
}

/// What comes before the last slash.
fn folder(path: &[u8]) -> &[u8] {
    let path = without_slashes(path);
    match path.iter().rposition(|&byte| byte == b'/') {
        None => b".",
        Some(at) => without_slashes(&path[..=at]),
    }
}

/// Without those at the end, unless there is nothing else.
fn without_slashes(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte != b'/') {
        Some(at) => &path[..=at],
        None => &path[..path.len().min(1)],
    }
}

pub(super) const BASENAME: Command = Command {
    name: "s6-basename",
    about: "print the last part of a path",
    operands: "PATH [SUFFIX]",
    options: &[NO_NEWLINE],
    notes: "SUFFIX is cut from the end, unless it is all there is.",
    codes: &[],
    run: |call| {
        let path = call.operand(0, "the path")?.as_bytes();
        let name = if path.is_empty() { b"." } else { base(path) };
        let suffix = call.operands.get(1).map_or(&[][..], |suffix| suffix.as_bytes());
        let cut = name.strip_suffix(suffix).filter(|rest| !rest.is_empty()).unwrap_or(name);
        print(call, cut.to_vec())
    },
};

pub(super) const DIRNAME: Command = Command {
    name: "s6-dirname",
    about: "print all but the last part of a path",
    operands: "PATH",
    options: &[NO_NEWLINE],
    notes: "",
    codes: &[],
    run: |call| print(call, folder(call.operand(0, "the path")?.as_bytes()).to_vec()),
};

pub(super) const SEQ: Command = Command {
    name: "s6-seq",
    about: "print numbers",
    operands: "[FIRST [STEP]] LAST",
    options: &[
        Opt::flag('w', "as wide as the widest, with zeros in front"),
        Opt::with('s', "TEXT", "what to put after each (default: a newline; if empty, a NUL byte)"),
    ],
    notes: "",
    codes: &[],
    run: seq,
};

fn seq(call: &Call) -> Outcome {
    let numbers: Vec<u32> = call.operands.iter().map(|word| number(word, "a limit")).collect::<Result<_, Failure>>()?;
    let (first, step, last) = match numbers[..] {
        [last] => (1, 1, last),
        [first, last] => (first, 1, last),
        [first, step, last] => (first, step, last),
        _ => return Err(Failure::usage("one, two or three numbers are needed")),
    };
    if step == 0 {
        return Err(Failure::usage("a step of 0 never ends"));
    }
    let after = call.value('s').map_or(&b"\n"[..], OsStr::as_bytes);
    let after = if after.is_empty() { b"\0" } else { after };
    let highest = if last < first { first } else { last - (last - first) % step };
    let width = if call.has('w') { highest.to_string().len() } else { 0 };
    let mut text = Vec::new();
    for number in (first..=last).step_by(step as usize) {
        text.extend_from_slice(format!("{number:0width$}").as_bytes());
        text.extend_from_slice(after);
        if text.len() > 65536 {
            put(&text)?;
            text.clear();
        }
    }
    put(&text)?;
    Ok(exit::DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_paths() {
        for (path, dir, name) in
            [("/a/b", "/a", "b"), ("a", ".", "a"), ("/", "/", "/"), ("//", "/", "/"), ("a//b//", "a", "b"), ("/a", "/", "a")]
        {
            assert_eq!((folder(path.as_bytes()), base(path.as_bytes())), (dir.as_bytes(), name.as_bytes()), "{path}");
        }
    }
}
