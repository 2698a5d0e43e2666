//! Programs that run for each line that is read.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, Read};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use svc_sys::{Errno, exit, fd};

use super::block::Blocks;
use super::loops::{BOUNDED, BREAK_CODES, Codes, OK_CODES, PARALLEL, Runner};
use super::program::{AUTOIMPORT, Changes, NO_AUTOIMPORT, become_program, refused, variable_name};
use crate::command::{Call, Command, Failure, Opt, Outcome};

const OPTIONS: &[Opt] = &[
    PARALLEL,
    BOUNDED,
    OK_CODES,
    BREAK_CODES,
    AUTOIMPORT,
    NO_AUTOIMPORT,
    Opt::flag('N', "keep the delimiter at the end of a line, and run for a last line without one"),
    Opt::flag('n', "undo -N"),
    Opt::flag('C', "do not run for empty lines"),
    Opt::flag('c', "undo -C"),
    Opt::flag('0', "lines end with a NUL character"),
    Opt::with('d', "CHARS", "lines end with one of these; empty: what is read is a row of netstrings"),
];

pub const FORSTDIN: Command = Command {
    name: "forstdin",
    about: "run a program for each line of standard input",
    operands: "VARIABLE PROG...",
    options: OPTIONS,
    notes: "PROG finds the line in VARIABLE. It has the same standard input.",
    codes: &[(1, "there was no line")],
    run: forstdin,
};

pub const FORBACKTICKX: Command = Command {
    name: "forbacktickx",
    about: "run a program for each line that another one writes",
    operands: "VARIABLE { GENERATOR... } PROG...",
    options: OPTIONS,
    notes: "PROG finds the line in VARIABLE. Its standard input is that of forbacktickx.",
    codes: &[(1, "there was no line")],
    run: forbacktickx,
};

/// How input is taken apart.
enum Format {
    Lines { delimiters: Vec<u8>, chomp: bool, crunch: bool },
    Netstrings,
}

impl Format {
    fn of(call: &Call) -> Format {
        let delimiters = match call.last(&['0', 'd']) {
            Some('0') => vec![0],
            Some(_) => call.value('d').unwrap_or_default().as_bytes().to_vec(),
            None => vec![b'\n'],
        };
        if delimiters.is_empty() {
            return Format::Netstrings;
        }
        let crunch = call.last(&['C', 'c']) == Some('C');
        Format::Lines { delimiters, chomp: call.last(&['N', 'n']) != Some('N'), crunch }
    }
}

/// Standard input without a second buffer.
struct Input(BorrowedFd<'static>);

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match fd::read(self.0, buffer) {
                Err(Errno::INTERRUPTED) => {}
                other => return other.map_err(io::Error::from),
            }
        }
    }
}

/// The next value that there is to run for.
fn next(input: &mut impl BufRead, format: &Format) -> io::Result<Option<Vec<u8>>> {
    let Format::Lines { delimiters, chomp, crunch } = format else { return netstring(input) };
    loop {
        let mut line = line(input, delimiters)?;
        let ends = line.last().is_some_and(|last| delimiters.contains(last));
        if line.is_empty() || !ends && *chomp {
            return Ok(None);
        }
        if *crunch && ends && line.len() == 1 {
            continue;
        }
        if *chomp {
            line.pop();
        }
        return Ok(Some(line));
    }
}

/// Up to a delimiter, which is part of it, or up to the end.
fn line(input: &mut impl BufRead, delimiters: &[u8]) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let buffer = input.fill_buf()?;
        let end = buffer.iter().position(|byte| delimiters.contains(byte)).map(|place| place + 1);
        let length = end.unwrap_or(buffer.len());
        line.extend_from_slice(&buffer[..length]);
        input.consume(length);
        if end.is_some() || length == 0 {
            return Ok(line);
        }
    }
}

fn netstring(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "this is no row of netstrings (3:abc,0:,)");
    let mut digits = Vec::new();
    // As many digits as a length has at most, and the colon.
    input.by_ref().take(21).read_until(b':', &mut digits)?;
    if digits.is_empty() {
        return Ok(None);
    }
    let length = digits.strip_suffix(b":").map(OsStr::from_bytes).and_then(super::frame::decimal).ok_or_else(wrong)?;
    let mut value = Vec::new();
    input.by_ref().take(u64::from(length) + 1).read_to_end(&mut value)?;
    if value.pop() != Some(b',') || value.len() as u64 != u64::from(length) {
        return Err(wrong());
    }
    Ok(Some(value))
}

fn forstdin(call: &Call) -> Outcome {
    let variable = variable_name(call.operand(0, "VARIABLE")?)?;
    let mut runner = Runner::of(call, variable, call.program(1)?)?;
    let format = Format::of(call);
    let stdin = fd::borrow(0).ok_or_else(|| Failure::system("there is no standard input"))?;
    let mut input = io::BufReader::new(Input(stdin));
    let mut code = exit::FAILED;
    let failed = |error| Failure::system(format!("unable to read standard input: {error}"));
    while let Some(mut value) = next(&mut input, &format).map_err(failed)? {
        code = exit::DONE;
        // A variable ends at its first NUL character.
        if let Some(end) = value.iter().position(|&byte| byte == 0) {
            value.truncate(end);
        }
        if let Some(code) = runner.once(&OsString::from_vec(value))? {
            return Ok(code);
        }
    }
    runner.finish()?;
    Ok(code)
}

/// Becomes a pipeline that ends with forstdin, each of whose programs gets our standard input back.
fn forbacktickx(call: &Call) -> Outcome {
    let variable = call.operand(0, "VARIABLE")?;
    variable_name(variable)?;
    let body = &call.operands[1..];
    let mut blocks = Blocks::of(call, 1);
    blocks.full_block("the block of the generator")?;
    if blocks.rest().is_empty() {
        return Err(refused("the program behind the block is missing"));
    }
    // What is wrong with the options of forstdin is to be said here, under the right name.
    Runner::of(call, variable, blocks.rest())?;
    Codes::of(call)?;
    let generator = &body[..body.len() - blocks.rest().len()];
    let kept = fd::duplicate(0, 0).map(|kept| {
        fd::set_close_on_exec(kept.as_raw_fd(), false);
        fd::release(kept).to_string()
    });
    let mut words: Vec<OsString> = ["pipeline", "--"].map(OsString::from).to_vec();
    words.extend_from_slice(generator);
    words.extend(["unexport", "!", "forstdin"].map(OsString::from));
    for given in &call.given {
        words.push(format!("-{}", given.letter).into());
        if call.command.options.iter().any(|option| option.letter == given.letter && option.value.is_some()) {
            words.push(given.value.clone());
        }
    }
    words.extend([OsString::from("--"), variable.to_owned()]);
    match kept {
        Ok(kept) => words.extend(["fdmove", "0", &kept].map(OsString::from)),
        // It was closed.
        Err(_) => words.extend(["fdclose", "0"].map(OsString::from)),
    }
    words.extend_from_slice(blocks.rest());
    become_program(&words, Changes::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(format: &Format, text: &[u8]) -> Vec<String> {
        let mut input = io::BufReader::with_capacity(2, text);
        let values = std::iter::from_fn(|| next(&mut input, format).expect("good"));
        values.map(|value| String::from_utf8(value).expect("text")).collect()
    }

    #[test]
    fn lines_end_with_a_delimiter() {
        let lines = |chomp, crunch| Format::Lines { delimiters: b"\n,".to_vec(), chomp, crunch };
        assert_eq!(all(&lines(true, false), b"abc,,d\ne"), ["abc", "", "d"]);
        assert_eq!(all(&lines(false, false), b"abc,,d\ne"), ["abc,", ",", "d\n", "e"]);
        assert_eq!(all(&lines(true, true), b",,abc,\nd\n"), ["abc", "d"]);
        assert_eq!(all(&lines(true, false), b""), [""; 0]);
    }

    #[test]
    fn netstrings_are_read_one_by_one() {
        assert_eq!(all(&Format::Netstrings, b"3:a:b,0:,"), ["a:b", ""]);
        for bad in ["3", "3:ab", "3:abcd,", ":,", "x:,"] {
            let mut input = io::BufReader::new(bad.as_bytes());
            assert!(next(&mut input, &Format::Netstrings).is_err(), "{bad}");
        }
    }
}
