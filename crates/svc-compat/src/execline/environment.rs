//! Commands that set and remove variables.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::block::Blocks;
use super::frame::{self, OPTIONS, POSITIONAL};
use super::program::{Changes, become_program, variable_name};
use super::transform::netstring;
use crate::command::{Call, Command, Opt, Outcome};

pub const EXPORT: Command = Command {
    name: "export",
    about: "set a variable, then execute a program",
    operands: "VARIABLE VALUE PROG...",
    options: &[Opt::NONE],
    notes: "PROG is looked for in PATH as it was before.",
    codes: &[],
    run: export,
};

pub const EXPORT_ARRAY: Command = Command {
    name: "export-array",
    about: "set a variable to several values, then execute a program",
    operands: "VARIABLE { VALUE... } PROG...",
    options: &[Opt::with('d', "CHAR", "CHAR stands behind each value; without it the values are netstrings")],
    notes: "importas -Ssd \"\" VARIABLE takes them apart again.",
    codes: &[],
    run: export_array,
};

pub const UNEXPORT: Command = Command {
    name: "unexport",
    about: "remove a variable, then execute a program",
    operands: "VARIABLE PROG...",
    options: &[Opt::NONE],
    notes: "",
    codes: &[],
    run: unexport,
};

pub const EMPTYENV: Command = Command {
    name: "emptyenv",
    about: "remove all variables, or those of execline, then execute a program",
    operands: "PROG...",
    options: &[
        Opt::flag('p', "keep PATH").long("keep-path"),
        Opt::flag('l', "keep LD_LIBRARY_PATH").long("keep-ld-library-path"),
        Opt::flag('c', "remove only the variables that execline's commands set").long("cleanup"),
        Opt::flag('o', "remove only those of elgetopt, and bring back those of before").long("pop-elgetopt"),
        Opt::flag('P', "remove only the positional parameters, and bring back those of before").long("pop-execline"),
    ],
    notes: "PROG is looked for in PATH as it was before.",
    codes: &[],
    run: emptyenv,
};

fn export(call: &Call) -> Outcome {
    let variable = variable_name(call.operand(0, "VARIABLE")?)?;
    let value = call.operand(1, "VALUE")?;
    become_program(call.program(2)?, Changes::one(variable, value))
}

fn export_array(call: &Call) -> Outcome {
    let variable = variable_name(call.operand(0, "VARIABLE")?)?;
    let mut blocks = Blocks::of(call, 1);
    let values = blocks.block("the block of values")?;
    let words = call.program(call.operands.len() - blocks.rest().len())?;
    let values = values.iter().map(|value| value.as_bytes());
    let value: Vec<u8> = match call.value('d').and_then(|delimiter| delimiter.as_bytes().first()) {
        Some(&delimiter) => values.flat_map(|value| [value, &[delimiter]].concat()).collect(),
        None => values.flat_map(netstring).collect(),
    };
    become_program(words, Changes::one(variable, &OsString::from_vec(value)))
}

fn unexport(call: &Call) -> Outcome {
    let variable = variable_name(call.operand(0, "VARIABLE")?)?;
    let mut changes = Changes::default();
    changes.unset(variable);
    become_program(call.program(1)?, changes)
}

fn emptyenv(call: &Call) -> Outcome {
    let words = call.program(0)?;
    let mut changes = Changes::default();
    let unset = |changes: &mut Changes, goes: &dyn Fn(&OsStr) -> bool| {
        std::env::vars_os().filter(|(name, _)| goes(name)).for_each(|(name, _)| changes.unset(&name));
    };
    if call.has('c') {
        unset(&mut changes, &is_ours);
    } else if call.has('o') || call.has('P') {
        for (letter, prefixes) in [('o', OPTIONS), ('P', POSITIONAL)] {
            if call.has(letter) {
                changes.extend(frame::pop(std::env::vars_os(), prefixes));
            }
        }
    } else {
        let stays = |name: &OsStr| call.has('p') && name == "PATH" || call.has('l') && name == "LD_LIBRARY_PATH";
        unset(&mut changes, &|name| !stays(name));
    }
    become_program(words, changes)
}

/// Whether a command of execline may have set a variable of this name.
fn is_ours(name: &OsStr) -> bool {
    let number = |digits: &[u8]| frame::decimal(OsStr::from_bytes(digits)).is_some();
    match name.as_bytes() {
        b"!" | b"?" | b"#" | b"0" | b"EXECLINE_STRICT" => true,
        [b'1'..=b'9', ..] => number(name.as_bytes()),
        [b'F', b'D', rest @ ..] => number(rest),
        other => other.starts_with(b"ELGETOPT_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_variables_are_ours() {
        for name in ["!", "?", "#", "0", "1", "12", "FD0", "FD12", "ELGETOPT_a", "EXECLINE_STRICT"] {
            assert!(is_ours(OsStr::new(name)), "{name}");
        }
        for name in ["1a", "FD", "FDX", "EXECLINE_X", "01", "##", "PATH", ""] {
            assert!(!is_ours(OsStr::new(name)), "{name}");
        }
    }
}
