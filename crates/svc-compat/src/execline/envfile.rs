//! envfile: sets variables that a file defines.

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStringExt;

use svc_sys::exit;

use super::program::{Changes, become_program};
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub const ENVFILE: Command = Command {
    name: "envfile",
    about: "set the variables that a file defines, then execute a program",
    operands: "FILE PROG...",
    options: &[Opt::flag('i', "fail if there is no FILE: the default"), Opt::flag('I', "set nothing if there is no FILE")],
    notes: "FILE has lines of the form NAME = VALUE. What stands in double quotes is taken as it is, with the escapes of C. A \
            backslash at the end of a line joins the next one to it. Lines that begin with # are comments. The file - is \
            standard input.",
    codes: &[(1, "FILE cannot be understood, and the message says in which line")],
    run: envfile,
};

fn envfile(call: &Call) -> Outcome {
    let name = call.operand(0, "FILE")?;
    let words = call.program(1)?;
    let mut changes = Changes::default();
    if let Some(text) = read(name, call.last(&['i', 'I']) == Some('I'))? {
        let variables = parse(&text).map_err(|trouble| {
            let message = format!("{}: line {}: {}", name.display(), trouble.line, trouble.what);
            Failure::with_code(exit::FAILED, message)
        })?;
        for (name, value) in variables {
            changes.set(&OsString::from_vec(name), &OsString::from_vec(value));
        }
    }
    become_program(words, changes)
}

/// What is in the file; none if there is no file and need not be one.
fn read(name: &OsStr, optional: bool) -> Result<Option<Vec<u8>>, Failure> {
    let mut text = Vec::new();
    let result = if name == "-" {
        std::io::stdin().lock().read_to_end(&mut text).map(drop)
    } else {
        std::fs::read(name).map(|read| text = read)
    };
    match result {
        Ok(()) => Ok(Some(text)),
        Err(error) if optional && error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::system(format!("unable to read {}: {error}", name.display()))),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Trouble {
    line: usize,
    what: &'static str,
}

/// A text that is read character by character.
struct Text<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 12)
}

impl Text<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        self.line += usize::from(byte == b'\n');
        Some(byte)
    }

    fn skip(&mut self, unwanted: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&unwanted) {
            self.next();
        }
    }

    fn trouble(&self, what: &'static str) -> Trouble {
        // What was just read may be the newline at which it was found.
        let line = if self.at > 0 && self.bytes.get(self.at - 1) == Some(&b'\n') { self.line - 1 } else { self.line };
        Trouble { line, what }
    }
}

type Variable = (Vec<u8>, Vec<u8>);

/// The variables that a text defines. It ends at its first NUL character.
fn parse(text: &[u8]) -> Result<Vec<Variable>, Trouble> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut text = Text { bytes: text, at: 0, line: 1 };
    let mut variables = Vec::new();
    loop {
        text.skip(|byte| is_blank(byte) || byte == b'\n');
        match text.peek() {
            None => return Ok(variables),
            Some(b'#') => text.skip(|byte| byte != b'\n'),
            Some(_) => {
                let name = name(&mut text)?;
                variables.push((name, value(&mut text)?));
            }
        }
    }
}

/// A name, and the `=` behind it.
fn name(text: &mut Text) -> Result<Vec<u8>, Trouble> {
    const BAD: &str = "a name has no quotes, backslashes and question marks, and = stands behind it";
    let mut name = Vec::new();
    while let Some(byte) = text.peek().filter(|&byte| !is_blank(byte) && byte != b'=' && byte != b'\n') {
        text.next();
        if matches!(byte, b'\\' | b'"' | b'\'' | b'?') {
            return Err(text.trouble(BAD));
        }
        name.push(byte);
    }
    text.skip(is_blank);
    match text.next() {
        Some(b'=') if !name.is_empty() => Ok(name),
        Some(_) | None => Err(text.trouble(BAD)),
    }
}

/// A value up to the end of its line, or of the last one that is joined to it.
fn value(text: &mut Text) -> Result<Vec<u8>, Trouble> {
    text.skip(is_blank);
    let mut value = Vec::new();
    // Blanks behind this length go if nothing follows them.
    let mut kept = 0;
    loop {
        match text.next() {
            None | Some(b'\n') => {
                value.truncate(kept);
                return Ok(value);
            }
            Some(b'"') => quoted(text, &mut value)?,
            Some(b'\\') => match text.next() {
                Some(b'\n') => {}
                Some(byte) if is_blank(byte) || byte == b'\\' || byte == b'"' => value.push(byte),
                Some(_) | None => {
                    return Err(
                        text.trouble("outside quotes, a backslash stands before a blank, a quote, a backslash, or last")
                    );
                }
            },
            Some(byte) => {
                value.push(byte);
                if is_blank(byte) {
                    continue;
                }
            }
        }
        kept = value.len();
    }
}

/// What stands in quotes, the first of which has been read.
fn quoted(text: &mut Text, value: &mut Vec<u8>) -> Result<(), Trouble> {
    const OPEN: &str = "a string has no second quote in its line";
    loop {
        match text.next() {
            None | Some(b'\n') => return Err(text.trouble(OPEN)),
            Some(b'"') => return Ok(()),
            Some(b'\\') => match text.next() {
                None => return Err(text.trouble(OPEN)),
                Some(b'\n') => {}
                Some(byte) => value.push(escaped(text, byte)?),
            },
            Some(byte) => value.push(byte),
        }
    }
}

/// The character that `\` and `byte` stand for in a string.
fn escaped(text: &mut Text, byte: u8) -> Result<u8, Trouble> {
    const BAD: &str = "a character by number is \\x and two hexadecimal digits, or up to three octal ones, and not 0";
    let number = match byte {
        b'x' => {
            let digits = [text.next(), text.next()].map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
            let [Some(first), Some(second)] = digits else { return Err(text.trouble(BAD)) };
            first * 16 + second
        }
        b'0'..=b'7' => {
            let mut number = u32::from(byte - b'0');
            for _ in 0..2 {
                let Some(digit) = text.peek().and_then(|digit| char::from(digit).to_digit(8)) else { break };
                text.next();
                number = number * 8 + digit;
            }
            number
        }
        b'a' => 7,
        b'b' => 8,
        b't' => 9,
        b'n' => 10,
        b'v' => 11,
        b'f' => 12,
        b'r' => 13,
        other => u32::from(other),
    };
    u8::try_from(number).ok().filter(|&number| number != 0).ok_or_else(|| text.trouble(BAD))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let string = |bytes| String::from_utf8(bytes).expect("text");
        parse(text.as_bytes()).expect("good").into_iter().map(|(name, value)| (string(name), string(value))).collect()
    }

    fn one(text: &str) -> String {
        let variables = read(text);
        assert_eq!(variables.len(), 1, "{text}");
        variables[0].1.clone()
    }

    #[test]
    fn lines_define_variables() {
        let text = "A=1\n\n # note\n  B\t= x # y=\"z\"  \nC=\nD = a b \t\r\nE=e";
        let expected = [("A", "1"), ("B", "x # y=z"), ("C", ""), ("D", "a b"), ("E", "e")];
        assert_eq!(read(text), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn quotes_and_backslashes() {
        assert_eq!(one("A=\" a \"b\" c \""), " a b c ");
        assert_eq!(one("A=a\\\n  b\\ \n"), "a  b ");
        assert_eq!(one("A= \\\n b"), " b");
        assert_eq!(one(r#"A="\n\x41\101\7z\"\\\q""#), "\nAA\u{7}z\"\\q");
        assert_eq!(one("A=\"a\\\nb\""), "ab");
    }

    #[test]
    fn trouble_has_a_line() {
        for (text, line) in [
            ("A=1\nB", 2),
            ("A=1\n=b", 2),
            ("A=1\n\nB C=1", 3),
            ("A=\"b\n", 1),
            ("A=\\x", 1),
            ("A=\"\\x4\"", 1),
            ("A=\"\\0\"", 1),
            ("A=\\\nb\n\nB?=c", 4),
            ("A=1\nB\nC=2", 2),
        ] {
            assert_eq!(parse(text.as_bytes()).expect_err("bad").line, line, "{text}");
        }
    }
}
