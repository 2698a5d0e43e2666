//! Commands that put something into a variable: what a program writes, standard input, where and who we are.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;

use svc_core::Exit;
use svc_sys::{exit, fd, process};

use super::block::Blocks;
use super::program::{
    AUTOIMPORT, Changes, NO_AUTOIMPORT, approximation, become_program, cannot_start, exact, importing, spawn, variable_name,
    wait,
};
use crate::command::{Call, Command, Failure, Opt, Outcome};

const KEEP_NEWLINE: Opt = Opt::flag('N', "keep a newline at the end");
const DROP_NEWLINE: Opt = Opt::flag('n', "drop a newline at the end: the default");
const NUL: u8 = 124;

pub const BACKTICK: Command = Command {
    name: "backtick",
    about: "put what a program writes into a variable, then execute another one",
    operands: "VARIABLE { PROG1... } PROG2...",
    options: &[
        Opt::flag('i', "fail if PROG1 fails, or writes a NUL character: the default"),
        Opt::flag('I', "take what it has written, up to a NUL character"),
        Opt::flag('x', "then remove the variable"),
        Opt::with('D', "VALUE", "then take VALUE"),
        KEEP_NEWLINE,
        DROP_NEWLINE,
        AUTOIMPORT,
        NO_AUTOIMPORT,
    ],
    notes: "With -I, -x and -D PROG2 finds in the variable ? how PROG1 ended.",
    codes: &[(NUL, "PROG1 wrote a NUL character"), (128, "and above: PROG1 was killed, or ended with such a code")],
    run: backtick,
};

pub const WITHSTDINAS: Command = Command {
    name: "withstdinas",
    about: "put standard input into a variable, then execute a program",
    operands: "VARIABLE PROG...",
    options: &[
        Opt::flag('i', "fail if it has a NUL character"),
        Opt::flag('I', "remove the variable then"),
        Opt::with('D', "VALUE", "take VALUE then"),
        KEEP_NEWLINE,
        DROP_NEWLINE,
        AUTOIMPORT,
        NO_AUTOIMPORT,
    ],
    notes: "Without -i, -I and -D what stands before the NUL character is taken.",
    codes: &[(1, "standard input has a NUL character, and -i was given")],
    run: withstdinas,
};

pub const GETCWD: Command = Command {
    name: "getcwd",
    about: "put the working directory into a variable, then execute a program",
    operands: "VARIABLE PROG...",
    options: &[AUTOIMPORT, NO_AUTOIMPORT],
    notes: "",
    codes: &[],
    run: getcwd,
};

pub const GETPID: Command = Command {
    name: "getpid",
    about: "put the process id into a variable, then execute a program",
    operands: "VARIABLE PROG...",
    options: &[AUTOIMPORT, NO_AUTOIMPORT, Opt::flag('P', "that of the parent instead"), Opt::flag('p', "undo -P")],
    notes: "",
    codes: &[],
    run: getpid,
};

/// Executes PROG, which finds `value` in `variable`, or substituted in its words; none removes the variable.
fn hand_on(call: &Call, variable: &OsStr, value: Option<Vec<u8>>, words: &[OsString], mut changes: Changes) -> Outcome {
    match value {
        Some(value) => changes.set(variable, &OsString::from_vec(value)),
        None => changes.unset(variable),
    }
    let autoimport = call.last(&['E', 'e']) == Some('E');
    become_program(&importing(autoimport, variable, words), changes)
}

/// What to do with a value that cannot be one as it is.
fn up_to_nul(value: &mut Vec<u8>) -> bool {
    match value.iter().position(|&byte| byte == 0) {
        Some(end) => {
            value.truncate(end);
            true
        }
        None => false,
    }
}

fn chomp(call: &Call, value: &mut Vec<u8>) {
    if call.last(&['N', 'n']) != Some('N') {
        value.pop_if(|last| *last == b'\n');
    }
}

fn backtick(call: &Call) -> Outcome {
    let variable = variable_name(call.operand(0, "VARIABLE")?)?;
    let mut blocks = Blocks::of(call, 1);
    let first = blocks.full_block("the block")?;
    let (mut value, end) = output(&first)?;
    let had_nul = up_to_nul(&mut value);
    let insists = matches!(call.last(&['i', 'I', 'x', 'D']), None | Some('i'));
    if insists && end != Exit::Code(0) {
        return Err(Failure::with_code(approximation(end), format!("{}: {end}", first[0].display())));
    }
    if insists && had_nul {
        return Err(Failure::with_code(NUL, format!("{} wrote a NUL character", first[0].display())));
    }
    let is_good = end == Exit::Code(0) && !had_nul;
    let value = match call.last(&['i', 'I', 'x', 'D']) {
        Some('x') if !is_good => None,
        Some('D') if !is_good => call.value('D').map(|value| value.as_encoded_bytes().to_vec()),
        Some(_) | None => {
            chomp(call, &mut value);
            Some(value)
        }
    };
    if had_nul && matches!(call.last(&['i', 'I', 'x', 'D']), Some('x' | 'D')) {
        call.warn(format_args!("{} wrote a NUL character", first[0].display()));
    }
    let mut changes = Changes::default();
    if !insists {
        changes.set(OsStr::new("?"), OsStr::new(&exact(end).to_string()));
    }
    hand_on(call, variable, value, blocks.rest(), changes)
}

/// Runs a program: what it wrote, and how it ended.
fn output(words: &[OsString]) -> Result<(Vec<u8>, Exit), Failure> {
    let failed = |errno| Failure::system(format!("unable to make a pipe: {errno}"));
    let (reading, writing) = fd::pipe().map_err(failed)?;
    let place = || fd::place(writing.as_raw_fd(), 1);
    let pid = spawn(words, Changes::default(), place).map_err(|errno| cannot_start(words, errno))?;
    drop(writing);
    let mut value = Vec::new();
    std::fs::File::from(reading)
        .read_to_end(&mut value)
        .map_err(|error| Failure::system(format!("unable to read what {} writes: {error}", words[0].display())))?;
    Ok((value, wait(pid)?))
}

fn withstdinas(call: &Call) -> Outcome {
    let variable = variable_name(call.operand(0, "VARIABLE")?)?;
    let mut value = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut value);
    read.map_err(|error| Failure::system(format!("unable to read standard input: {error}")))?;
    let value = match (up_to_nul(&mut value), call.last(&['i', 'I']), call.value('D')) {
        (false, _, _) => {
            chomp(call, &mut value);
            Some(value)
        }
        (true, Some('i'), _) => {
            return Err(Failure::with_code(exit::FAILED, "standard input has a NUL character"));
        }
        (true, Some(_), _) => None,
        (true, None, Some(default)) => {
            call.warn("standard input has a NUL character: the value of -D is taken instead");
            Some(default.as_encoded_bytes().to_vec())
        }
        (true, None, None) => Some(value),
    };
    hand_on(call, variable, value, &call.operands[1..], Changes::default())
}

fn getcwd(call: &Call) -> Outcome {
    let variable = variable_name(call.operand(0, "VARIABLE")?)?;
    let words = call.program(1)?;
    let dir = std::env::current_dir();
    let dir = dir.map_err(|error| Failure::system(format!("unable to get the working directory: {error}")))?;
    hand_on(call, variable, Some(dir.into_os_string().into_vec()), words, Changes::default())
}

fn getpid(call: &Call) -> Outcome {
    let variable = variable_name(call.operand(0, "VARIABLE")?)?;
    let words = call.program(1)?;
    let id = if call.last(&['P', 'p']) == Some('P') { process::parent_id() } else { process::id() };
    hand_on(call, variable, Some(id.to_string().into_bytes()), words, Changes::default())
}
