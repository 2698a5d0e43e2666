//! case: executes the program whose pattern a value matches.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;

use svc_sys::pattern::{self, Shell};
use svc_sys::regex::{self, Dialect};

use super::block::Blocks;
use super::program::{Changes, become_program, refused};
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub const CASE: Command = Command {
    name: "case",
    about: "execute the program whose pattern a value matches",
    operands: "VALUE { PATTERN { PROG... } ... } DEFAULT...",
    options: &[
        Opt::flag('s', "patterns are those of a shell"),
        Opt::flag('S', "patterns are regular expressions: the default"),
        Opt::flag('e', "basic regular expressions; with -s: backslashes have no meaning"),
        Opt::flag('E', "extended regular expressions: the default; with -s: backslashes quote"),
        Opt::flag('i', "upper and lower case are the same; with -s: a dot at the beginning needs a dot"),
        Opt::flag('N', "PROG finds what parts of the pattern matched in #, 0, 1 and so on; with -s: slashes need a slash"),
        Opt::flag('n', "undo -N"),
    ],
    notes: "A pattern must match the whole value; a regular expression with | at its top needs brackets for that: (a|b).",
    codes: &[(100, "a pattern is no regular expression")],
    run: case,
};

fn case(call: &Call) -> Outcome {
    let value = call.operand(0, "VALUE")?;
    let mut blocks = Blocks::of(call, 1);
    let directives = blocks.block("the block of patterns")?;
    let mut inner = Blocks::within(call, &directives);
    while let Some(pattern) = inner.word() {
        let words = inner.block(&format!("the block behind the pattern {}", pattern.display()))?;
        let changes = if call.last(&['s', 'S']) == Some('s') {
            shell(call, pattern, value).then(Changes::default)
        } else {
            regular(call, pattern, value)?.map(|parts| parts_as_variables(call, pattern, value, &parts))
        };
        if let Some(changes) = changes {
            return become_program(&words, changes);
        }
    }
    become_program(blocks.rest(), Changes::default())
}

fn shell(call: &Call, pattern: &OsStr, value: &OsStr) -> bool {
    let how = Shell {
        escapes: call.last(&['e', 'E']) != Some('e'),
        dots: call.has('i'),
        paths: call.last(&['N', 'n']) == Some('N'),
    };
    pattern::shell(pattern, how, value).unwrap_or_else(|_| {
        call.warn(format_args!("this is no shell pattern: {}", pattern.display()));
        false
    })
}

fn regular(call: &Call, pattern: &OsStr, value: &OsStr) -> Result<Option<Vec<Range<usize>>>, Failure> {
    let dialect = Dialect { extended: call.last(&['e', 'E']) != Some('e'), ignore_case: call.has('i') };
    let whole: OsString = [OsStr::new("^"), pattern, OsStr::new("$")].into_iter().collect();
    regex::parts(whole.as_bytes(), dialect, value.as_bytes())
        .map_err(|message| refused(format!("unable to use the regular expression {}: {message}", pattern.display())))
}

fn parts_as_variables(call: &Call, pattern: &OsStr, value: &OsStr, parts: &[Range<usize>]) -> Changes {
    let mut changes = Changes::default();
    if call.last(&['N', 'n']) == Some('N') {
        changes.set(OsStr::new("#"), OsStr::new(&(parts.len() - 1).to_string()));
        changes.set(OsStr::new("0"), pattern);
        for (index, part) in parts.iter().enumerate().skip(1) {
            changes.set(OsStr::new(&index.to_string()), OsStr::from_bytes(&value.as_bytes()[part.clone()]));
        }
    }
    changes
}
