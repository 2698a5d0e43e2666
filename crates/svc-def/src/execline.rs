//! execlineb's lexer: a script becomes words, its blocks become the form that commands read.
//!
//! In a command line a block is a row of words that each have one space in front, and an empty word behind. A block within a
//! block has two spaces, and so on.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;

/// What is wrong with a script, and in which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub line: usize,
    pub what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A `}` without a `{`.
    UnmatchedClose,
    /// A `{` without a `}`.
    UnmatchedOpen,
    /// A string without its second quote.
    OpenString,
    /// A backslash in a word, with nothing behind it.
    LastBackslash,
    /// `\0`, `\0x` or `\1` with digits that are missing, or that are no byte between 1 and 255.
    BadNumber,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::UnmatchedClose => "unmatched }: there is no { before it",
            What::UnmatchedOpen => "unmatched {: its } is missing (it must stand alone, between blanks)",
            What::OpenString => "syntax error: the string that begins here has no second \"",
            What::LastBackslash => "syntax error: there is nothing behind the backslash",
            What::BadNumber => {
                "syntax error: a character by number is \\0x1 to \\0xff, \\01 to \\0377 or \\1 to \\255 (a backslash is \\\\)"
            }
        };
        write!(f, "line {}: {what}", self.line)
    }
}

/// The words of a script, which ends at its first NUL byte if it has one.
pub fn words(script: &[u8]) -> Result<Vec<OsString>, Trouble> {
    let mut lexer = Lexer::new(script);
    let mut words = Vec::new();
    // The line of each block that is open.
    let mut blocks: Vec<usize> = Vec::new();
    loop {
        lexer.skip_blanks();
        let line = lexer.line;
        let Some(word) = lexer.word()? else { break };
        let mut bytes = vec![b' '; blocks.len()];
        match word {
            Word::Open => {
                blocks.push(line);
                continue;
            }
            Word::Close => {
                blocks.pop().ok_or(Trouble { line, what: What::UnmatchedClose })?;
                bytes.pop();
            }
            Word::Text(text) => bytes.extend(text),
        }
        words.push(OsString::from_vec(bytes));
    }
    match blocks.last() {
        Some(&line) => Err(Trouble { line, what: What::UnmatchedOpen }),
        None => Ok(words),
    }
}

/// The words of each line as they stand there, quotes and all, as far as the script can be read. A line goes on where a backslash
/// stands at its end, and in a string.
pub(crate) fn lines(script: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut lexer = Lexer::new(script);
    let (mut lines, mut end): (Vec<Vec<&[u8]>>, usize) = (Vec::new(), 0);
    loop {
        lexer.skip_blanks();
        let begin = lexer.at;
        let Ok(Some(_)) = lexer.word() else { return lines };
        let mut between = lexer.script[end..begin].split(|&byte| byte == b'\n').rev();
        let is_same = between.next().is_some() && between.all(|part| part.ends_with(b"\\"));
        end = lexer.at;
        let word = &lexer.script[begin..end];
        match lines.last_mut().filter(|_| is_same) {
            Some(line) => line.push(word),
            None => lines.push(vec![word]),
        }
    }
}

enum Word {
    Open,
    Close,
    Text(Vec<u8>),
}

struct Lexer<'a> {
    script: &'a [u8],
    at: usize,
    line: usize,
}

/// All control characters separate words.
fn is_blank(byte: u8) -> bool {
    byte <= b' '
}

impl<'a> Lexer<'a> {
    fn new(script: &'a [u8]) -> Lexer<'a> {
        Lexer { script: script.split(|&byte| byte == 0).next().unwrap_or_default(), at: 0, line: 1 }
    }
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.script.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        self.line += usize::from(byte == b'\n');
        Some(byte)
    }

    fn next_if(&mut self, wanted: impl Fn(u8) -> bool) -> Option<u8> {
        let byte = self.peek().filter(|&byte| wanted(byte))?;
        self.at += 1;
        Some(byte)
    }

    /// Blanks, comments, and a backslash that stands alone at the end of a line, as in a shell's scripts.
    fn skip_blanks(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.next();
                    }
                }
                b'\\' if matches!(self.script.get(self.at + 1), None | Some(b'\n')) => {
                    self.next();
                    self.next();
                }
                _ if is_blank(byte) => {
                    self.next();
                }
                _ => break,
            }
        }
    }

    /// The word that begins here; none at the end.
    fn word(&mut self) -> Result<Option<Word>, Trouble> {
        let begin = self.at;
        let mut text = Vec::new();
        while let Some(byte) = self.peek().filter(|&byte| !is_blank(byte)) {
            let line = self.line;
            self.next();
            match byte {
                b'"' => self.string(line, &mut text)?,
                b'\\' => text.push(self.next().ok_or(Trouble { line, what: What::LastBackslash })?),
                byte => text.push(byte),
            }
        }
        // Only braces that stand in the script as they are make blocks.
        Ok(match &self.script[begin..self.at] {
            b"" => None,
            b"{" => Some(Word::Open),
            b"}" => Some(Word::Close),
            _ => Some(Word::Text(text)),
        })
    }

    /// What stands between quotes, the first of which has been read in `line`.
    fn string(&mut self, line: usize, text: &mut Vec<u8>) -> Result<(), Trouble> {
        let open = Trouble { line, what: What::OpenString };
        loop {
            match self.next() {
                None => return Err(open),
                Some(b'"') => return Ok(()),
                Some(b'\\') => self.escape(&open, text)?,
                Some(byte) => text.push(byte),
            }
        }
    }

    /// What stands behind a backslash in a string.
    fn escape(&mut self, open: &Trouble, text: &mut Vec<u8>) -> Result<(), Trouble> {
        let line = self.line;
        let byte = self.next().ok_or_else(|| open.clone())?;
        let number = match byte {
            b'0' if self.next_if(|byte| byte == b'x').is_some() => self.number(16, 2, 0),
            b'0' => self.number(8, 3, 0),
            b'1'..=b'9' => self.number(10, 2, u32::from(byte - b'0')),
            b'\n' => return Ok(()),
            _ => Some(match byte {
                b'a' => 7,
                b'b' => 8,
                b't' => b'\t',
                b'n' => b'\n',
                b'v' => 11,
                b'f' => 12,
                b'r' => b'\r',
                other => other,
            }),
        };
        text.push(number.ok_or(Trouble { line, what: What::BadNumber })?);
        Ok(())
    }

    /// A byte as a number of at most `most` digits more, which is not 0.
    fn number(&mut self, base: u32, most: usize, first: u32) -> Option<u8> {
        let mut number = first;
        for _ in 0..most {
            let Some(byte) = self.next_if(|byte| char::from(byte).is_digit(base)) else { break };
            number = number * base + char::from(byte).to_digit(base)?;
        }
        u8::try_from(number).ok().filter(|&number| number != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(script: &str) -> Vec<String> {
        words(script.as_bytes()).expect("good").iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    fn trouble(script: &str) -> (usize, What) {
        let trouble = words(script.as_bytes()).expect_err("bad");
        (trouble.line, trouble.what)
    }

    #[test]
    fn words_are_separated_by_blanks_and_comments() {
        assert_eq!(lex("a  b\tc\nd\re # f\n#g\n h#i"), ["a", "b", "c", "d", "e", "h#i"]);
        assert_eq!(lex(""), [""; 0]);
        assert_eq!(lex("#!/bin/execlineb -P\n\n"), [""; 0]);
        assert_eq!(lex("a\0b"), ["a"]);
    }

    #[test]
    fn quotes_keep_together_and_backslashes_take_meaning_away() {
        assert_eq!(lex(r#""" "a b"c"d" "{" \{ \} a\ b \# \"x"#), ["", "a bcd", "{", "{", "}", "a b", "#", "\"x"]);
        assert_eq!(lex("a \\\n b \\"), ["a", "b"]);
        assert_eq!(lex("a\\\nb"), ["a\nb"]);
        assert_eq!(lex("\"a\\\nb\nc\""), ["ab\nc"]);
        assert_eq!(lex(r"\n\$x \\$x"), ["n$x", r"\$x"]);
    }

    #[test]
    fn characters_have_numbers_in_strings() {
        assert_eq!(lex(r#""\a\b\t\n\v\f\r\e\x\"\\""#), ["\u{7}\u{8}\t\n\u{b}\u{c}\rex\"\\"]);
        assert_eq!(lex(r#""\0x41\0x9z\0101\07z\65\9z\1001""#), ["AA\tzA\u{7}zA\tzd1".replacen("AA", "A", 1)]);
        assert_eq!(words(b"\"\\0xff\\255\"").expect("good")[0].as_encoded_bytes(), [255, 255]);
        for bad in [r#""\0""#, r#""\0x""#, r#""\0x0""#, r#""\256""#, r#""\0777""#, r#""\08""#] {
            assert_eq!(trouble(bad), (1, What::BadNumber), "{bad}");
        }
    }

    #[test]
    fn blocks_become_words_with_spaces() {
        assert_eq!(lex("a { b { c } \"\" } d"), ["a", " b", "  c", " ", " ", "", "d"]);
        assert_eq!(lex("a { } b"), ["a", "", "b"]);
        assert_eq!(lex("{a} {} }a \"}\""), ["{a}", "{}", "}a", "}"]);
    }

    #[test]
    fn a_line_goes_on_behind_a_backslash_and_in_a_string() {
        let lines = |script: &str| {
            let lines = lines(script.as_bytes()).into_iter();
            let lines =
                lines.map(|line| line.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>());
            lines.collect::<Vec<_>>()
        };
        assert_eq!(lines("# x\na \"b\nc\" \\\n d # e\n\n f\n"), [vec!["a", "\"b\nc\"", "d"], vec!["f"]]);
        assert_eq!(lines("a { b }\nc \"d"), [vec!["a", "{", "b", "}"], vec!["c"]]);
        assert_eq!(lines("# x\n"), [[""; 0]; 0]);
    }

    #[test]
    fn what_is_open_is_named_with_its_line() {
        assert_eq!(trouble("a\n{ b\n{ c }\n"), (2, What::UnmatchedOpen));
        assert_eq!(trouble("a\n}\n"), (2, What::UnmatchedClose));
        assert_eq!(trouble("a\n\n\"b\nc"), (3, What::OpenString));
        assert_eq!(trouble("a b\\"), (1, What::LastBackslash));
        assert_eq!(trouble("a\n\"b\n\\0\"").0, 3);
    }
}
