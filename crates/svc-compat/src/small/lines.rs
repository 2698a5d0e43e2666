//! Programs that read standard input: s6-cat, s6-sort, s6-format-filter, s6-head, s6-tail.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;

use svc_sys::exit;

use super::output::{each_line, put, unreadable, unwritable};
use crate::command::{Call, Command, Failure, Opt, Outcome, number};

pub(super) const CAT: Command = Command {
    name: "s6-cat",
    about: "copy standard input to standard output",
    operands: "",
    options: &[Opt::NONE],
    notes: "",
    codes: &[],
    run: |_| {
        let mut buffer = [0; 65536];
        let mut input = io::stdin().lock();
        loop {
            match input.read(&mut buffer) {
                Ok(0) => return Ok(exit::DONE),
                Ok(count) => put(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&error)),
            }
        }
    },
};

pub(super) const SORT: Command = Command {
    name: "s6-sort",
    about: "sort the lines of standard input",
    operands: "",
    options: &[
        Opt::flag('b', "blanks at the beginning of a line do not count"),
        Opt::flag('c', "only say by the exit code whether they are sorted"),
        Opt::flag('f', "the case of letters does not count"),
        Opt::flag('r', "the other way round"),
        Opt::flag('u', "of lines that are equal only one"),
        Opt::flag('0', "a NUL byte ends a line, and no newline"),
    ],
    notes: "Compares bytes.",
    codes: &[(1, "with -c: they are not sorted")],
    run: sort,
};

fn sort(call: &Call) -> Outcome {
    let end = if call.has('0') { 0 } else { b'\n' };
    let mut lines: Vec<Vec<u8>> = Vec::new();
    each_line(end, |line, _| {
        lines.push(line.to_vec());
        Ok(())
    })?;
    let order = |left: &Vec<u8>, right: &Vec<u8>| compare(call, left, right);
    if call.has('c') {
        let sorted = |pair: &[Vec<u8>]| match order(&pair[0], &pair[1]) {
            Ordering::Less => true,
            Ordering::Equal => !call.has('u'),
            Ordering::Greater => false,
        };
        return Ok(if lines.windows(2).all(sorted) { exit::DONE } else { exit::FAILED });
    }
    lines.sort_by(order);
    if call.has('u') {
        // The last of equal ones stays: that is what it shows where case or blanks do not count.
        lines.reverse();
        lines.dedup_by(|left, right| order(left, right) == Ordering::Equal);
        lines.reverse();
    }
    put(&lines.iter().flat_map(|line| [line.as_slice(), &[end][..]].concat()).collect::<Vec<u8>>())?;
    Ok(exit::DONE)
}

fn compare(call: &Call, left: &[u8], right: &[u8]) -> Ordering {
    let key = |line: &[u8]| {
        let blanks = if call.has('b') { line.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count() } else { 0 };
        let line = &line[blanks..];
        if call.has('f') { line.to_ascii_lowercase() } else { line.to_vec() }
    };
    let order = key(left).cmp(&key(right));
    if call.has('r') { order.reverse() } else { order }
}

pub(super) const FORMAT_FILTER: Command = Command {
    name: "s6-format-filter",
    about: "write each line of standard input in another form",
    operands: "FORMAT [WORD...]",
    options: &[Opt::NONE],
    notes: "In FORMAT, %s stands for the line, %1 to %9 for the words, %0 for the name of this program, %% for a percent sign.",
    codes: &[],
    run: |call| {
        let format = parse_format(call.operand(0, "the format")?.as_bytes(), call)?;
        each_line(b'\n', |line, ended| {
            let mut text: Vec<u8> = Vec::new();
            for part in &format {
                text.extend_from_slice(match part {
                    Part::Text(text) => text,
                    Part::Line => line,
                });
            }
            if ended {
                text.push(b'\n');
            }
            put(&text)
        })?;
        Ok(exit::DONE)
    },
};

/// A part of a format.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a [u8]),
    Line,
}

fn parse_format<'a>(format: &'a [u8], call: &'a Call) -> Result<Vec<Part<'a>>, Failure> {
    let (mut parts, mut rest) = (Vec::new(), format);
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        parts.push(Part::Text(&rest[..at]));
        let wrong =
            || Failure::system(format!("the format '{}' asks for what there is not", String::from_utf8_lossy(format)));
        parts.push(match rest.get(at + 1) {
            Some(b's') => Part::Line,
            Some(b'%') => Part::Text(b"%"),
            Some(b'0') => Part::Text(call.command.name.as_bytes()),
            Some(digit @ b'1'..=b'9') => {
                Part::Text(call.operands.get(usize::from(digit - b'0')).ok_or_else(wrong)?.as_bytes())
            }
            _ => return Err(wrong()),
        });
        rest = &rest[at + 2..];
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

/// `-1` to `-9`, as many lines.
const DIGITS: [Opt; 9] = {
    const fn lines(letter: char) -> Opt {
        Opt::flag(letter, "as many lines")
    }
    [lines('1'), lines('2'), lines('3'), lines('4'), lines('5'), lines('6'), lines('7'), lines('8'), lines('9')]
};

const HEAD_OPTIONS: [Opt; 12] = {
    let [a, b, c, d, e, f, g, h, i] = DIGITS;
    let safe = Opt::flag('S', "read no more of standard input than is printed");
    [
        safe,
        Opt::with('n', "N", "as many lines (default: 10)"),
        Opt::with('c', "N", "as many bytes"),
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
    ]
};

const TAIL_OPTIONS: [Opt; 11] = {
    let [a, b, c, d, e, f, g, h, i] = DIGITS;
    let lines = Opt::with('n', "N", "as many lines (default: 10); +N: from the Nth on");
    [lines, Opt::with('c', "N", "as many bytes; +N: from the Nth on"), a, b, c, d, e, f, g, h, i]
};

/// How much, and of what.
#[derive(Clone, Copy)]
struct Amount {
    count: usize,
    bytes: bool,
    /// Counted from the beginning.
    from: bool,
}

fn amount(call: &Call) -> Result<Amount, Failure> {
    let mut amounts = call.given.iter().filter(|given| given.letter != 'S');
    let Some(given) = amounts.next() else { return Ok(Amount { count: 10, bytes: false, from: false }) };
    if amounts.next().is_some() {
        return Err(Failure::usage("how much is said twice"));
    }
    if let Some(digit) = given.letter.to_digit(10) {
        return Ok(Amount { count: digit as usize, bytes: false, from: false });
    }
    let text = given.value.as_bytes();
    let digits = text.strip_prefix(b"+").or_else(|| text.strip_prefix(b"-")).unwrap_or(text);
    let count = number(OsStr::from_bytes(digits), &format!("the value of -{}", given.letter))?;
    Ok(Amount { count, bytes: given.letter == 'c', from: text.starts_with(b"+") })
}

fn open(path: &OsStr) -> Result<Box<dyn BufRead>, Failure> {
    if path == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|error| Failure::system(format!("unable to open {}: {error}", path.display())))?;
    Ok(Box::new(BufReader::new(file)))
}

pub(super) const HEAD: Command = Command {
    name: "s6-head",
    about: "print the beginning of files",
    operands: "[FILE...]",
    options: &HEAD_OPTIONS,
    notes: "",
    codes: &[],
    run: |call| {
        let amount = amount(call)?;
        if amount.from {
            return Err(Failure::usage("the beginning has no '+'"));
        }
        if call.operands.is_empty() {
            // Unbuffered, where somebody else is to read on.
            let limit = if call.has('S') || amount.bytes { 1 } else { 65536 };
            let input = svc_sys::fd::duplicate(0, 3).map_err(|errno| unreadable(&errno.into()))?;
            head(&mut BufReader::with_capacity(limit, File::from(input)), amount)?;
        }
        for (index, path) in call.operands.iter().enumerate() {
            if call.operands.len() > 1 {
                let before: &[u8] = if index > 0 { b"\n" } else { b"" };
                put(&[before, b"==> ", path.as_bytes(), b" <==\n"].concat())?;
            }
            head(&mut open(path)?, amount)?;
        }
        Ok(exit::DONE)
    },
};

fn head(input: &mut dyn BufRead, amount: Amount) -> Result<(), Failure> {
    if amount.bytes {
        let mut out = io::stdout().lock();
        return io::copy(&mut input.take(amount.count as u64), &mut out)
            .and_then(|_| out.flush())
            .map_err(|error| unwritable(&error));
    }
    let mut line = Vec::new();
    for _ in 0..amount.count {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(|error| unreadable(&error))? == 0 {
            break;
        }
        put(&line)?;
    }
    Ok(())
}

pub(super) const TAIL: Command = Command {
    name: "s6-tail",
    about: "print the end of a file",
    operands: "[FILE]",
    options: &TAIL_OPTIONS,
    notes: "",
    codes: &[],
    run: |call| {
        let amount = amount(call)?;
        let mut input = open(call.operands.first().map_or(OsStr::new("-"), |path| path))?;
        tail(&mut input, amount).map_err(|error| unreadable(&error)).and_then(|text| put(&text))?;
        Ok(exit::DONE)
    },
};

fn tail(input: &mut dyn BufRead, amount: Amount) -> io::Result<Vec<u8>> {
    if amount.bytes {
        let mut all = Vec::new();
        input.read_to_end(&mut all)?;
        let begin = if amount.from { amount.count.saturating_sub(1) } else { all.len().saturating_sub(amount.count) };
        return Ok(all.split_off(begin.min(all.len())));
    }
    let mut lines: VecDeque<Vec<u8>> = VecDeque::new();
    let mut skip = if amount.from { amount.count.saturating_sub(1) } else { 0 };
    loop {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(Vec::from(lines).concat());
        }
        if skip > 0 {
            skip -= 1;
            continue;
        }
        lines.push_back(line);
        if !amount.from && lines.len() > amount.count {
            lines.pop_front();
        }
    }
}
