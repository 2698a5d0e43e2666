//! execlineb: reads a script, makes one command line of it, and executes that.

use std::ffi::{OsStr, OsString};

use svc_sys::exit;

use super::block::Strictness;
use super::defining::{positional_keys, too_few};
use super::frame;
use super::program::{Changes, become_program, refused};
use super::substitute::substitute;
use crate::command::{Call, Command, Failure, Opt, Outcome, number};
use svc_def::execline;

pub const EXECLINEB: Command = Command {
    name: "execlineb",
    about: "execute an execline script",
    operands: "SCRIPT ARGUMENT...",
    options: &[
        Opt::with('c', "TEXT", "the script itself, instead of a file"),
        Opt::flag('P', "leave arguments alone"),
        Opt::flag('p', "make arguments variables, and overwrite those of an outer script"),
        Opt::with('S', "N", "replace $1, $2, $@ and so on in the script, at least up to $N"),
        Opt::with('s', "N", "the same, and $@ begins behind $N"),
        Opt::flag('q', "do not care about words of blocks without a space (EXECLINE_STRICT unset)"),
        Opt::flag('w', "warn of them (EXECLINE_STRICT=1)"),
        Opt::flag('W', "refuse them (EXECLINE_STRICT=2)"),
        Opt::flag('e', "nothing: for scripts of other versions"),
    ],
    notes: "Without -P, -p, -S and -s the arguments become the variables #, 0, 1 and so on, and those of an outer script are \
            kept as #:1, 0:1 and so on.\n\nA script is words. Quotes keep blanks in a word, # begins a comment, { and } that \
            stand alone make blocks for commands that read them. Commands of execline need no links in PATH.",
    codes: &[(100, "the script cannot be read as execline, and the message says in which line")],
    run: execute,
};

/// What to do with arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arguments {
    Ignored,
    Substituted,
    SubstitutedAndShifted,
    /// Variables, in place of those of an outer script.
    Overwriting,
    /// Variables, those of an outer script are kept.
    Pushed,
}

impl Arguments {
    fn of(call: &Call) -> Arguments {
        match call.last(&['P', 'p', 'S', 's']) {
            Some('P') => Arguments::Ignored,
            Some('p') => Arguments::Overwriting,
            Some('S') => Arguments::Substituted,
            Some('s') => Arguments::SubstitutedAndShifted,
            Some(_) | None => Arguments::Pushed,
        }
    }
}

fn execute(call: &Call) -> Outcome {
    if let Some(text) = call.value('c') {
        let words = parse(text.as_encoded_bytes(), "the script of -c")?;
        return execute_words(call, &words, &own_name(), &call.operands);
    }
    let name = call.operand(0, "the script")?;
    let script = std::fs::read(name);
    let script = script.map_err(|error| Failure::system(format!("unable to read {}: {error}", name.display())))?;
    // Where /init has laid out links, whoever is to correct it looks for the one of the image.
    let shown = std::fs::read_link(name).ok().filter(|target| target.is_absolute()).unwrap_or_else(|| name.into());
    let words = parse(&script, &shown.display().to_string())?;
    execute_words(call, &words, name, &call.operands[1..]).map_err(|failure| match failure {
        Failure::Fatal { code, message } => Failure::Fatal { code, message: format!("{}: {message}", shown.display()) },
        Failure::Usage(message) => Failure::Usage(message),
    })
}

fn execute_words(call: &Call, words: &[OsString], zero: &OsStr, arguments: &[OsString]) -> Outcome {
    let least = least(call)?;
    if words.is_empty() {
        return Ok(exit::DONE);
    }
    let mut changes = Changes::default();
    let strictness = strictness(call, &mut changes);
    match Arguments::of(call) {
        Arguments::Ignored => become_program(words, changes),
        mode @ (Arguments::Substituted | Arguments::SubstitutedAndShifted) => {
            if arguments.len() < least as usize {
                // That arguments are missing is worth a word even where nobody asked for strictness.
                strictness.unwrap_or(Strictness::Warns).complain(call, too_few(least, arguments.len() as u32))?;
            }
            let skipped = if mode == Arguments::Substituted { 0 } else { least as usize };
            become_program(&substitute(words, &positional_keys(zero, arguments, least, skipped)), changes)
        }
        mode @ (Arguments::Overwriting | Arguments::Pushed) => {
            let mut all = Changes::default();
            if mode == Arguments::Pushed {
                all = frame::push(std::env::vars_os(), frame::POSITIONAL);
            }
            all.extend(changes);
            all.set(OsStr::new("#"), OsStr::new(&arguments.len().to_string()));
            for (index, value) in std::iter::once(zero).chain(arguments.iter().map(OsString::as_os_str)).enumerate() {
                all.set(OsStr::new(&index.to_string()), value);
            }
            become_program(words, all)
        }
    }
}

/// The number that -S or -s was given last.
fn least(call: &Call) -> Result<u32, Failure> {
    let mut least = 0;
    for given in call.given.iter().filter(|given| matches!(given.letter, 'S' | 's')) {
        least = number(&given.value, &format!("the value of -{}", given.letter))?;
    }
    Ok(least)
}

fn own_name() -> OsString {
    std::env::args_os().next().unwrap_or_default()
}

fn parse(script: &[u8], name: &str) -> Result<Vec<OsString>, Failure> {
    execline::words(script).map_err(|trouble| refused(format!("{name}: {trouble}")))
}

/// What holds for the script, which also finds it in its environment; none: nobody said anything.
fn strictness(call: &Call, changes: &mut Changes) -> Option<Strictness> {
    let name = OsStr::new("EXECLINE_STRICT");
    let asked = match call.last(&['q', 'w', 'W']) {
        Some('q') => Some(0),
        Some('w') => Some(1),
        Some('W') => Some(2),
        Some(_) | None => None,
    };
    let number = match asked {
        Some(0) => {
            changes.unset(name);
            0
        }
        Some(number) => {
            changes.set(name, OsStr::new(&number.to_string()));
            number
        }
        None => {
            let value = std::env::var_os(name)?;
            let number = frame::decimal(&value);
            if number.is_none() {
                call.warn(format_args!("EXECLINE_STRICT must be a number, not '{}': it is unset", value.display()));
                changes.unset(name);
            }
            number?
        }
    };
    Some(Strictness::of(number))
}
