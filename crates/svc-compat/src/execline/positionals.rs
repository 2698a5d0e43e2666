//! Commands on positional parameters that are variables: print them, take options from them, shift them, run blocks of them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use svc_sys::{Errno, exit, fd};

use super::block::{Strictness, unquote};
use super::frame::{self, OPTIONS, POSITIONAL, variable};
use super::program::{Changes, become_program, refused};
use super::transform::netstring;
use crate::command::{Call, Command, Failure, Opt, Outcome, number};

pub const DOLLARAT: Command = Command {
    name: "dollarat",
    about: "print the positional parameters",
    operands: "",
    options: &[
        Opt::flag('n', "no delimiter behind the last one"),
        Opt::flag('0', "a NUL character behind each"),
        Opt::with('d', "CHAR", "CHAR behind each, instead of a newline; empty: print netstrings"),
    ],
    notes: "",
    codes: &[(100, "there are no positional parameters")],
    run: dollarat,
};

pub const ELGETOPT: Command = Command {
    name: "elgetopt",
    about: "take options from the positional parameters, then execute a program",
    operands: "LETTERS PROG...",
    options: &[Opt::with('D', "VALUE", "the value of options that take none, instead of 1")],
    notes: "LETTERS are the known options; one with a colon behind it takes a value. PROG finds the value of -c in the variable \
            ELGETOPT_c, and what is left in #, 1 and so on.",
    codes: &[(1, "there is an option that LETTERS do not have, or one without its value")],
    run: elgetopt,
};

pub const SHIFT: Command = Command {
    name: "shift",
    about: "drop the first positional parameters, then execute a program",
    operands: "PROG...",
    options: &[
        Opt::with('n', "N", "drop N of them: 1 if neither option is given, 0 if only -b is"),
        Opt::with('b', "N", "then drop N blocks of them"),
    ],
    notes: "",
    codes: &[],
    run: shift,
};

pub const RUNBLOCK: Command = Command {
    name: "runblock",
    about: "execute a block of the positional parameters",
    operands: "N PREFIX...",
    options: &[
        Opt::flag('P', "leave the positional parameters in the environment"),
        Opt::with('n', "COUNT", "leave out COUNT parameters first"),
        Opt::flag('r', "execute what follows the first N blocks instead of block N"),
    ],
    notes: "What is executed begins with PREFIX..., if there is any.",
    codes: &[],
    run: runblock,
};

fn dollarat(call: &Call) -> Outcome {
    let parameters = frame::positional()?;
    let delimiter = match call.last(&['0', 'd']) {
        Some('0') => Some(0),
        Some(_) => call.value('d').and_then(|value| value.as_bytes().first().copied()),
        None => Some(b'\n'),
    };
    let parameters = parameters[1..].iter().map(|parameter| parameter.as_bytes());
    let mut text: Vec<u8> = match delimiter {
        Some(delimiter) => parameters.flat_map(|parameter| [parameter, &[delimiter]].concat()).collect(),
        None => parameters.flat_map(netstring).collect(),
    };
    if call.has('n') && delimiter.is_some() {
        text.pop();
    }
    let mut rest = &text[..];
    let Some(stdout) = fd::borrow(1) else { return Ok(exit::DONE) };
    while !rest.is_empty() {
        match fd::write(stdout, rest) {
            Ok(count) => rest = &rest[count..],
            Err(Errno::INTERRUPTED) => {}
            Err(errno) => return Err(Failure::system(format!("unable to write to standard output: {errno}"))),
        }
    }
    Ok(exit::DONE)
}

/// An option that a script was given, and its value if it takes one.
type Given = (u8, Option<OsString>);

/// Options taken from arguments, and how many arguments they were.
fn options(letters: &[u8], arguments: &[OsString]) -> Result<(Vec<Given>, usize), String> {
    let mut found = Vec::new();
    let mut taken = 0;
    while let Some([b'-', first, rest @ ..]) = arguments.get(taken).map(|word| word.as_bytes()) {
        taken += 1;
        if (*first, rest) == (b'-', b"") {
            break;
        }
        let mut word = &arguments[taken - 1].as_bytes()[1..];
        while let [letter, after @ ..] = word {
            let known = letters.iter().position(|known| known == letter && *letter != b':');
            let place = known.ok_or_else(|| format!("there is no option -{}", char::from(*letter)))?;
            word = after;
            if letters.get(place + 1) != Some(&b':') {
                found.push((*letter, None));
                continue;
            }
            let value = if after.is_empty() {
                taken += 1;
                arguments.get(taken - 1).cloned().ok_or_else(|| format!("-{} needs a value", char::from(*letter)))?
            } else {
                OsString::from_vec(after.to_vec())
            };
            found.push((*letter, Some(value)));
            word = &[];
        }
    }
    Ok((found, taken))
}

fn elgetopt(call: &Call) -> Outcome {
    let letters = call.operand(0, "LETTERS")?;
    let words = call.program(1)?;
    let parameters = frame::positional()?;
    let (found, taken) = options(letters.as_bytes(), &parameters[1..])
        .map_err(|message| Failure::with_code(exit::FAILED, format!("{}: {message}", parameters[0].display())))?;
    let mut changes = frame::push(std::env::vars_os(), OPTIONS);
    for (letter, value) in found {
        let name = OsString::from_vec([b"ELGETOPT_", &[letter][..]].concat());
        changes.set(&name, value.as_deref().or(call.value('D')).unwrap_or(OsStr::new("1")));
    }
    drop_first(&mut changes, &parameters[1..], taken);
    become_program(words, changes)
}

/// Makes the parameters behind the first `count` the positional ones.
fn drop_first(changes: &mut Changes, parameters: &[OsString], count: usize) {
    let left = parameters.get(count..).unwrap_or_default();
    changes.set(OsStr::new("#"), OsStr::new(&left.len().to_string()));
    for index in 0..parameters.len() {
        let name = (index + 1).to_string();
        match left.get(index) {
            Some(value) => changes.set(OsStr::new(&name), value),
            None => changes.unset(OsStr::new(&name)),
        }
    }
}

/// The words of the block that begins behind the first `at` parameters, and where the next one begins.
fn block(call: &Call, at: u32, count: u32, index: u32) -> Result<(Vec<OsString>, u32), Failure> {
    let mut words = Vec::new();
    for position in at + 1..=count {
        let word = variable(&position.to_string())?;
        if word.is_empty() {
            return Ok((words, position));
        }
        let (inside, quoted) = unquote(&word);
        if !quoted {
            let place = position - at - 1;
            let what = format!("parameter {place} of block {index} has no space in front: {}", word.display());
            Strictness::inherited().complain(call, what)?;
        }
        words.push(inside.to_owned());
    }
    Err(refused(format!("block {index} of the positional parameters has no end, or there is none")))
}

fn shift(call: &Call) -> Outcome {
    let words = call.program(0)?;
    let blocks: u32 = call.number('b')?.unwrap_or(0);
    let first = if call.has('b') { 0 } else { 1 };
    let mut dropped: u32 = call.number('n')?.unwrap_or(first);
    let count = frame::count()?;
    if dropped > count {
        let what = format!("there are only {count} parameters: {dropped} cannot be dropped");
        Strictness::inherited().complain(call, what)?;
        dropped = count;
    }
    for index in 1..=blocks {
        dropped = block(call, dropped, count, index)?.1;
    }
    let parameters = (1..=count).map(|position| variable(&position.to_string()));
    let parameters: Vec<OsString> = parameters.collect::<Result<_, _>>()?;
    let mut changes = Changes::default();
    drop_first(&mut changes, &parameters, dropped as usize);
    become_program(words, changes)
}

fn runblock(call: &Call) -> Outcome {
    let wanted: u32 = number(call.operand(0, "N")?, "N")?;
    if wanted == 0 && !call.has('r') {
        return Err(Failure::usage("N is at least 1: the first block"));
    }
    let mut at = call.number('n')?.unwrap_or(0);
    let count = frame::count()?;
    let skipped = if call.has('r') { wanted } else { wanted - 1 };
    for index in 1..=skipped {
        at = block(call, at, count, index)?.1;
    }
    let chosen = if call.has('r') {
        if at >= count {
            return Ok(exit::DONE);
        }
        (at + 1..=count).map(|position| variable(&position.to_string())).collect::<Result<Vec<_>, _>>()?
    } else {
        block(call, at, count, wanted)?.0
    };
    let words = [&call.operands[1..], &chosen].concat();
    let changes = if call.has('P') { Changes::default() } else { frame::pop(std::env::vars_os(), POSITIONAL) };
    become_program(&words, changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(letters: &str, arguments: &[&str]) -> Result<(String, usize), String> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let (found, taken) = options(letters.as_bytes(), &arguments)?;
        let text = found.iter().map(|(letter, value)| {
            format!("{}={} ", char::from(*letter), value.as_deref().unwrap_or(OsStr::new("yes")).display())
        });
        Ok((text.collect(), taken))
    }

    #[test]
    fn options_end_at_the_first_other_argument() {
        assert_eq!(found("ab:c", &["-ca", "-b", "x", "-by", "z", "-a"]), Ok(("c=yes a=yes b=x b=y ".into(), 4)));
        assert_eq!(found("a", &["-a", "--", "-a"]), Ok(("a=yes ".into(), 2)));
        assert_eq!(found("a", &["-", "-a"]), Ok((String::new(), 0)));
        assert_eq!(found("a:", &["-a", ""]), Ok(("a= ".into(), 2)));
    }

    #[test]
    fn what_is_not_known_is_named() {
        assert_eq!(found("a", &["-b"]), Err("there is no option -b".into()));
        assert_eq!(found("a:", &["-a"]), Err("-a needs a value".into()));
        assert_eq!(found("a:", &["-:"]), Err("there is no option -:".into()));
    }
}
