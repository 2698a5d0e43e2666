//! Commands that substitute: define, importas, elglob, elgetpositionals, multidefine, and several of them at once.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use svc_sys::pattern::{self, Glob};

use super::block::{Blocks, Strictness};
use super::frame;
use super::program::{Changes, become_program, refused};
use super::substitute::{Key, substitute};
use super::transform::{CHOMP, CRUNCH, DELIMITERS, NO_CHOMP, NO_CRUNCH, SPLIT, Transform, netstring};
use crate::command::{Call, Command, Failure, Opt, Outcome, number};

pub const DEFINE: Command = Command {
    name: "define",
    about: "replace a literal by a value in the words of a program",
    operands: "KEY VALUE PROG...",
    options: &[NO_CHOMP, CHOMP, SPLIT, CRUNCH, NO_CRUNCH, DELIMITERS],
    notes: "Each $KEY and ${KEY} in PROG... becomes VALUE. A split value makes several words of one.",
    codes: &[],
    run: |call| alone(call, define),
};

pub const IMPORTAS: Command = Command {
    name: "importas",
    about: "replace a literal by the value of a variable in the words of a program",
    operands: "KEY VARIABLE PROG...",
    options: &[
        Opt::flag('i', "fail if VARIABLE is not set"),
        Opt::flag('u', "remove VARIABLE from the environment"),
        Opt::flag('S', "VARIABLE has the name of KEY, and is not written"),
        Opt::with('D', "VALUE", "what to substitute if VARIABLE is not set"),
        NO_CHOMP,
        CHOMP,
        SPLIT,
        CRUNCH,
        NO_CRUNCH,
        DELIMITERS,
    ],
    notes: "A word with a KEY whose VARIABLE is not set disappears, unless -i or -D is given.",
    codes: &[(100, "VARIABLE is not set, and -i was given")],
    run: |call| alone(call, importas),
};

pub const ELGLOB: Command = Command {
    name: "elglob",
    about: "replace a literal by the names of files in the words of a program",
    operands: "KEY PATTERN PROG...",
    options: &[
        Opt::flag('v', "warn if PATTERN can match nothing because of an error"),
        Opt::flag('w', "fail if a directory cannot be read"),
        Opt::flag('s', "sort the names"),
        Opt::flag('m', "append a slash to directories"),
        Opt::flag('e', "take backslashes literally"),
        Opt::flag('0', "no word at all if nothing matches, instead of PATTERN itself"),
        Opt::flag('n', "with -d: no delimiter at the end"),
        Opt::with('d', "CHAR", "one word, CHAR behind each name; empty: a row of netstrings"),
    ],
    notes: "",
    codes: &[],
    run: |call| alone(call, elglob),
};

pub const ELGETPOSITIONALS: Command = Command {
    name: "elgetpositionals",
    about: "replace $1, $2, $@, $# and $0 in the words of a program",
    operands: "PROG...",
    options: &[Opt::with('P', "N", "replace at least $0 to $N, by nothing where there is no such parameter")],
    notes: "",
    codes: &[],
    run: |call| alone(call, elgetpositionals),
};

pub const MULTIDEFINE: Command = Command {
    name: "multidefine",
    about: "split a value, and replace several literals in the words of a program",
    operands: "VALUE { KEY... } PROG...",
    options: &[
        Opt::flag('0', "a KEY without a word is replaced by no word, instead of the empty one"),
        Opt::flag('r', "the last KEY has all words that are left, as with a shell's read"),
        NO_CHOMP,
        CHOMP,
        CRUNCH,
        NO_CRUNCH,
        DELIMITERS,
    ],
    notes: "An empty KEY skips a word.",
    codes: &[],
    run: |call| alone(call, multidefine),
};

pub const MULTISUBSTITUTE: Command = Command {
    name: "multisubstitute",
    about: "replace several literals at once in the words of a program",
    operands: "{ DIRECTIVE... } PROG...",
    options: &[Opt::NONE],
    notes: "A DIRECTIVE is one of define, importas, elglob, elgetpositionals and multidefine, with its options and operands, \
            without a PROG. No value is looked at again for the keys of another directive.",
    codes: &[],
    run: multisubstitute,
};

/// What is to be replaced, and which variables are to go.
#[derive(Default)]
struct Plan {
    keys: Vec<Key>,
    unset: Vec<OsString>,
}

impl Plan {
    fn add(&mut self, key: Key) -> Result<(), Wrong> {
        if key.name.is_empty() || self.keys.iter().any(|known| known.name == key.name) {
            let name = OsStr::from_bytes(&key.name).display();
            return Err(Wrong::Key(format!("'{name}' cannot be a key: it is empty, or there is one of this name")));
        }
        self.keys.push(key);
        Ok(())
    }

    fn execute(self, words: &[OsString]) -> Outcome {
        let mut changes = Changes::default();
        self.unset.iter().for_each(|name| changes.unset(name));
        become_program(&substitute(words, &self.keys), changes)
    }
}

/// Why a directive cannot be followed.
enum Wrong {
    Key(String),
    Other(Failure),
}

impl From<Failure> for Wrong {
    fn from(failure: Failure) -> Wrong {
        Wrong::Other(failure)
    }
}

/// Adds to the plan, and says how many operands it has read.
type Directive = fn(&Call, &mut Plan) -> Result<usize, Wrong>;

/// A directive as a command.
fn alone(call: &Call, directive: Directive) -> Outcome {
    let mut plan = Plan::default();
    let read = directive(call, &mut plan).map_err(|wrong| match wrong {
        Wrong::Key(message) => Failure::system(message),
        Wrong::Other(failure) => failure,
    })?;
    plan.execute(&call.operands[read..])
}

fn multisubstitute(call: &Call) -> Outcome {
    let mut blocks = Blocks::of(call, 0);
    let block = blocks.block("the block of directives")?;
    if blocks.rest().is_empty() {
        return Err(Failure::usage("the program to execute is missing"));
    }
    let mut plan = Plan::default();
    let mut words = &block[..];
    while let Some((name, rest)) = words.split_first() {
        let (command, directive) = directive(name)?;
        let inner =
            command.parse(rest.to_vec()).and_then(|inner| inner.ok_or_else(|| Failure::usage("there is no --help here")));
        let read = inner.map_err(Wrong::Other).and_then(|inner| {
            let left = inner.operands.len() - directive(&inner, &mut plan)?;
            Ok(rest.len() - left)
        });
        let read = read.map_err(|wrong| match wrong {
            Wrong::Key(message) | Wrong::Other(Failure::Usage(message)) => {
                refused(format!("in the directive {}: {message}", name.display()))
            }
            Wrong::Other(failure) => failure,
        })?;
        words = &rest[read..];
    }
    plan.execute(blocks.rest())
}

/// The directive of this name, and the table that its options are in.
fn directive(name: &OsStr) -> Result<(&'static Command, Directive), Failure> {
    match name.to_str() {
        Some("define") => Ok((&DEFINE, define)),
        Some("importas") => Ok((&IMPORTAS, importas)),
        Some("elglob") => Ok((&ELGLOB, elglob)),
        Some("elgetpositionals") => Ok((&ELGETPOSITIONALS, elgetpositionals)),
        Some("multidefine") => Ok((&MULTIDEFINE, multidefine)),
        Some(_) | None => {
            let known = "define, importas, elglob, elgetpositionals, multidefine";
            Err(refused(format!("there is no directive '{}'; there are: {known}", name.display())))
        }
    }
}

fn transformed(call: &Call, value: &OsStr) -> Result<Vec<Vec<u8>>, Failure> {
    Transform::of(call)
        .apply(value.as_bytes())
        .map_err(|_| Failure::system(format!("'{}' is no row of netstrings (3:abc,0:,)", value.display())))
}

fn define(call: &Call, plan: &mut Plan) -> Result<usize, Wrong> {
    let (key, value) = (call.operand(0, "KEY")?, call.operand(1, "VALUE")?);
    plan.add(Key::new(key.as_bytes(), transformed(call, value)?))?;
    Ok(2)
}

fn importas(call: &Call, plan: &mut Plan) -> Result<usize, Wrong> {
    let key = call.operand(0, "KEY")?;
    let variable = if call.has('S') { key } else { call.operand(1, "VARIABLE")? };
    let value = std::env::var_os(variable);
    if value.is_none() && call.has('i') {
        return Err(refused(format!("{} is not set", variable.display())).into());
    }
    if value.is_some() && call.has('u') {
        plan.unset.push(variable.to_owned());
    }
    let values = match value.as_deref().or(call.value('D')) {
        Some(value) => transformed(call, value)?,
        None => Vec::new(),
    };
    plan.add(Key::new(key.as_bytes(), values))?;
    Ok(if call.has('S') { 1 } else { 2 })
}

fn elglob(call: &Call, plan: &mut Plan) -> Result<usize, Wrong> {
    let (key, text) = (call.operand(0, "KEY")?, call.operand(1, "PATTERN")?);
    let how = Glob {
        sorted: call.has('s'),
        mark: call.has('m'),
        escapes: !call.has('e'),
        strict: call.has('w'),
        warns: call.has('v').then_some(call.command.name),
    };
    let mut names = pattern::files(text, how)
        .map_err(|errno| Failure::system(format!("unable to look for files that match {}: {errno}", text.display())))?;
    if names.is_empty() && !call.has('0') {
        names.push(text.to_owned());
    }
    let names = names.iter().map(|name| name.as_bytes());
    let values = match call.value('d').map(|delimiter| delimiter.as_bytes()) {
        None => names.map(<[u8]>::to_vec).collect(),
        Some([]) => vec![names.flat_map(netstring).collect()],
        Some([delimiter, ..]) => {
            let mut value: Vec<u8> = names.flat_map(|name| [name, &[*delimiter]].concat()).collect();
            if call.has('n') {
                value.pop();
            }
            vec![value]
        }
    };
    plan.add(Key::new(key.as_bytes(), values))?;
    Ok(2)
}

fn elgetpositionals(call: &Call, plan: &mut Plan) -> Result<usize, Wrong> {
    let least: u32 = match call.value('P') {
        Some(text) => number(text, "the value of -P")?,
        None => 0,
    };
    let count = frame::count().map_err(key_of)?;
    if count < least {
        Strictness::inherited().complain(call, too_few(least, count))?;
    }
    let parameters = frame::positional().map_err(key_of)?;
    for key in positional_keys(&parameters[0], &parameters[1..], least, 0) {
        plan.add(key)?;
    }
    Ok(0)
}

/// A parameter that is missing makes no good key.
fn key_of(failure: Failure) -> Wrong {
    Wrong::Key(failure.message())
}

pub fn too_few(least: u32, count: u32) -> String {
    format!("there must be at least {least} arguments, and there are {count}")
}

/// The keys `#`, `0`, `@`, and `1` to at least `least`. `@` leaves out the first `skipped`.
pub fn positional_keys(zero: &OsStr, arguments: &[OsString], least: u32, skipped: usize) -> Vec<Key> {
    let all: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect();
    let mut keys = vec![
        Key::one(b"#", all.len().to_string().as_bytes()),
        Key::one(b"0", zero.as_bytes()),
        Key::new(b"@", all.get(skipped..).unwrap_or_default().to_vec()),
    ];
    for index in 0..all.len().max(least as usize) {
        let value = all.get(index).map(Vec::as_slice).unwrap_or_default();
        keys.push(Key::one((index + 1).to_string().as_bytes(), value));
    }
    keys
}

fn multidefine(call: &Call, plan: &mut Plan) -> Result<usize, Wrong> {
    let value = call.operand(0, "VALUE")?;
    let mut blocks = Blocks::of(call, 1);
    let names = blocks.full_block("the block of keys")?;
    let transform = Transform { split: true, ..Transform::of(call) };
    let no_netstrings = |_| Failure::system(format!("'{}' is no row of netstrings (3:abc,0:,)", value.display()));
    let words = transform.apply(value.as_bytes()).map_err(no_netstrings)?;
    let last = names.iter().rposition(|name| !name.is_empty());
    for (index, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        let takes_rest = call.has('r') && Some(index) == last && words.len() > names.len();
        let values = match words.get(index) {
            // As many as are left over, beginning with its own.
            Some(_) if takes_rest => words[index..index + words.len() - names.len() + 1].to_vec(),
            Some(word) => vec![word.clone()],
            None if call.has('0') => Vec::new(),
            None => vec![Vec::new()],
        };
        plan.add(Key::new(name.as_bytes(), values))?;
    }
    Ok(call.operands.len() - blocks.rest().len())
}
