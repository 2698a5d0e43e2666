//! A command as a table: what it is called, which options it knows, what follows them. Parser and texts come from here.

use std::ffi::{OsStr, OsString};
use std::fmt::{Display, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::str::FromStr;

use svc_sys::exit;

/// One program of those that scripts call.
pub struct Command {
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// The words after the options, as in a synopsis: `"ACCOUNT PROG..."`.
    pub operands: &'static str,
    pub options: &'static [Opt],
    /// What else a reader of `--help` and of the man page is to know: paragraphs, an empty line between them. May be empty.
    pub notes: &'static str,
    /// What exit codes mean that are not the usual ones (0; 100 usage; 111 system; 126 and 127 of what is executed).
    pub codes: &'static [(u8, &'static str)],
    pub run: fn(&Call) -> Outcome,
}

/// An option.
pub struct Opt {
    pub letter: char,
    /// Its long name, without the dashes; empty if it has none.
    pub long: &'static str,
    /// What its value is called; none if it takes none.
    pub value: Option<&'static str>,
    pub about: &'static str,
}

impl Opt {
    /// An option without a value.
    pub const fn flag(letter: char, about: &'static str) -> Opt {
        Opt { letter, long: "", value: None, about }
    }

    /// An option with a value.
    pub const fn with(letter: char, value: &'static str, about: &'static str) -> Opt {
        Opt { letter, long: "", value: Some(value), about }
    }

    /// Stands alone in the table of a command that has no options at all, and takes every word as it is, also one that begins
    /// with a dash: `export A -1 prog`.
    pub const NONE: Opt = Opt::flag(' ', "");

    /// The same with a long name beside its letter.
    pub const fn long(self, long: &'static str) -> Opt {
        Opt { long, ..self }
    }
}

/// The exit code, or why there is nothing else to say.
pub type Outcome = Result<u8, Failure>;

/// Why a command could not do what it is for.
#[derive(Debug)]
pub enum Failure {
    /// It was called wrongly: exit code 100, and the usage line.
    Usage(String),
    /// Anything else: an exit code, and a message.
    Fatal { code: u8, message: String },
}

impl Failure {
    pub fn usage(message: impl Display) -> Failure {
        Failure::Usage(message.to_string())
    }

    /// Exit code 111: the system would not.
    pub fn system(message: impl Display) -> Failure {
        Failure::Fatal { code: exit::SYSTEM, message: message.to_string() }
    }

    pub fn with_code(code: u8, message: impl Display) -> Failure {
        Failure::Fatal { code, message: message.to_string() }
    }

    /// What there is to say, for those who go on or end with a code of their own.
    pub fn message(self) -> String {
        match self {
            Failure::Usage(message) | Failure::Fatal { message, .. } => message,
        }
    }
}

/// How a command was called, its options taken apart.
pub struct Call {
    pub command: &'static Command,
    /// The options in the order in which they were given.
    pub given: Vec<Given>,
    /// What follows the options.
    pub operands: Vec<OsString>,
}

/// An option that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub letter: char,
    pub value: OsString,
}

impl Call {
    pub fn has(&self, letter: char) -> bool {
        self.given.iter().any(|given| given.letter == letter)
    }

    /// How often a flag was given: `-vv`.
    pub fn count(&self, letter: char) -> usize {
        self.given.iter().filter(|given| given.letter == letter).count()
    }

    /// The value that counts: the last one.
    pub fn value(&self, letter: char) -> Option<&OsStr> {
        self.last_given(&[letter]).map(|given| given.value.as_os_str())
    }

    /// The one of these that was given last: of options that exclude each other, it counts.
    pub fn last(&self, letters: &[char]) -> Option<char> {
        self.last_given(letters).map(|given| given.letter)
    }

    /// The same, with its value.
    pub fn last_given(&self, letters: &[char]) -> Option<&Given> {
        self.given.iter().rfind(|given| letters.contains(&given.letter))
    }

    /// The value of an option as a number.
    pub fn number<T: FromStr>(&self, letter: char) -> Result<Option<T>, Failure> {
        self.value(letter).map(|text| number(text, &format!("the value of -{letter}"))).transpose()
    }

    /// The operand at `index`, which must be there.
    pub fn operand(&self, index: usize, what: &str) -> Result<&OsStr, Failure> {
        let word = self.operands.get(index).map(OsString::as_os_str);
        word.ok_or_else(|| Failure::Usage(format!("{what} is missing")))
    }

    /// The program to execute and its arguments, which begin at `index`.
    pub fn program(&self, index: usize) -> Result<&[OsString], Failure> {
        match self.operands.get(index..) {
            Some(words @ [_, ..]) => Ok(words),
            Some([]) | None => Err(Failure::usage("the program to execute is missing")),
        }
    }

    /// A message of this command on standard error, that does not end it.
    pub fn warn(&self, message: impl Display) {
        eprintln!("{}: warning: {message}", self.command.name);
    }
}

/// A decimal number without a sign.
pub fn number<T: FromStr>(text: &OsStr, what: &str) -> Result<T, Failure> {
    let digits = text.to_str().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let parsed = digits.and_then(|digits| digits.parse().ok());
    parsed.ok_or_else(|| Failure::Usage(format!("{what} must be a number, not '{}'", text.display())))
}

impl Command {
    /// Acts on the words of a command line, its own name first, and returns the exit code.
    pub fn main(&'static self, arguments: Vec<OsString>) -> u8 {
        svc_sys::signals::restore_pipe();
        svc_sys::fd::restore_closed();
        let outcome = match self.parse(arguments.into_iter().skip(1).collect()) {
            Ok(Some(call)) => (self.run)(&call),
            Ok(None) => {
                print!("{}", self.help());
                Ok(exit::DONE)
            }
            Err(failure) => Err(failure),
        };
        outcome.unwrap_or_else(|failure| match failure {
            Failure::Usage(message) => {
                eprintln!("{}: fatal: {message}\n{0}: usage: {}", self.name, self.synopsis());
                exit::USAGE
            }
            Failure::Fatal { code, message } => {
                eprintln!("{}: fatal: {message}", self.name);
                code
            }
        })
    }

    /// Takes options from the front, as POSIX says: letters may stand together, a value may stand beside its letter or be the
    /// next word, `--` or the first other word ends them. None: the help was asked for.
    pub(crate) fn parse(&'static self, words: Vec<OsString>) -> Result<Option<Call>, Failure> {
        if self.takes_all_words() {
            let help = words.first().is_some_and(|word| word == "--help");
            return Ok((!help).then(|| Call { command: self, given: Vec::new(), operands: words }));
        }
        let (mut given, mut words) = (Vec::new(), words.into_iter().peekable());
        while let Some(word) = words.next_if(|word| word.len() > 1 && word.as_bytes()[0] == b'-') {
            let bytes = word.as_bytes();
            if bytes == b"--" {
                break;
            }
            if let Some(long) = bytes.strip_prefix(b"--") {
                match self.parse_long(long, &mut words)? {
                    Some(option) => given.push(option),
                    None => return Ok(None),
                }
                continue;
            }
            let mut rest = &bytes[1..];
            while let [letter, after @ ..] = rest {
                let option = self.options.iter().find(|option| option.letter == char::from(*letter));
                let option = option.ok_or_else(|| self.unknown(&format!("-{}", char::from(*letter))))?;
                rest = after;
                let value = match option.value {
                    None => OsString::new(),
                    Some(_) if !after.is_empty() => {
                        rest = &[];
                        OsString::from_vec(after.to_vec())
                    }
                    Some(what) => words.next().ok_or_else(|| missing(what, &format!("-{}", option.letter)))?,
                };
                given.push(Given { letter: option.letter, value });
            }
        }
        Ok(Some(Call { command: self, given, operands: words.collect() }))
    }

    fn parse_long(&self, text: &[u8], words: &mut dyn Iterator<Item = OsString>) -> Result<Option<Given>, Failure> {
        let end = text.iter().position(|&byte| byte == b'=');
        let name = String::from_utf8_lossy(&text[..end.unwrap_or(text.len())]);
        if name == "help" {
            return Ok(None);
        }
        let option = self.options.iter().find(|option| !option.long.is_empty() && option.long == name);
        let option = option.ok_or_else(|| self.unknown(&format!("--{name}")))?;
        let value = match (option.value, end) {
            (None, None) => OsString::new(),
            (None, Some(_)) => return Err(Failure::Usage(format!("--{name} takes no value"))),
            (Some(_), Some(end)) => OsString::from_vec(text[end + 1..].to_vec()),
            (Some(what), None) => words.next().ok_or_else(|| missing(what, &format!("--{name}")))?,
        };
        Ok(Some(Given { letter: option.letter, value }))
    }

    fn takes_all_words(&self) -> bool {
        matches!(self.options, [Opt { letter: ' ', .. }])
    }

    /// The options to be listed in texts.
    pub fn listed(&self) -> &'static [Opt] {
        if self.takes_all_words() { &[] } else { self.options }
    }

    fn unknown(&self, option: &str) -> Failure {
        Failure::Usage(format!("there is no option {option}: `{} --help` lists them", self.name))
    }

    /// The usage line: `s6-svok [-x] [-t MS] DIR`.
    pub fn synopsis(&self) -> String {
        let mut text = self.name.to_owned();
        let flags: String =
            self.listed().iter().filter(|option| option.value.is_none()).map(|option| option.letter).collect();
        if !flags.is_empty() {
            let _ = write!(text, " [-{flags}]");
        }
        for option in self.listed() {
            if let Some(value) = option.value {
                let _ = write!(text, " [-{} {value}]", option.letter);
            }
        }
        if !self.operands.is_empty() {
            let _ = write!(text, " {}", self.operands);
        }
        text
    }

    /// What `--help` prints.
    pub fn help(&self) -> String {
        let mut text = format!("{}: {}\n\nUsage: {}\n", self.name, self.about, self.synopsis());
        if !self.listed().is_empty() {
            text += "\nOptions:\n";
        }
        for option in self.listed() {
            let long = if option.long.is_empty() { String::new() } else { format!(", --{}", option.long) };
            let value = option.value.map_or(String::new(), |value| format!(" {value}"));
            let _ = writeln!(text, "  {:24} {}", format!("-{}{long}{value}", option.letter), option.about);
        }
        if !self.notes.is_empty() {
            let _ = write!(text, "\n{}\n", self.notes);
        }
        if !self.codes.is_empty() {
            text += "\nExit codes:\n";
        }
        for (code, meaning) in self.codes {
            let _ = writeln!(text, "  {code:3}  {meaning}");
        }
        text
    }
}

fn missing(what: &str, option: &str) -> Failure {
    Failure::Usage(format!("{option} needs a value: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    static SAMPLE: Command = Command {
        name: "sample",
        about: "try the parser",
        operands: "DIR PROG...",
        options: &[Opt::flag('u', "up"), Opt::flag('v', "more words"), Opt::with('t', "MS", "wait so long").long("timeout")],
        notes: "",
        codes: &[],
        run: |_| Ok(0),
    };

    fn parse(words: &[&str]) -> Result<Option<Call>, Failure> {
        SAMPLE.parse(words.iter().map(OsString::from).collect())
    }

    fn call(words: &[&str]) -> Call {
        parse(words).expect("good").expect("no help")
    }

    #[test]
    fn options_end_at_the_first_other_word() {
        let call = call(&["-vut5", "-v", "-t", "7", "--timeout=9", "dir", "-u"]);
        let given: Vec<(char, &str)> =
            call.given.iter().map(|given| (given.letter, given.value.to_str().unwrap_or(""))).collect();
        assert_eq!(given, [('v', ""), ('u', ""), ('t', "5"), ('v', ""), ('t', "7"), ('t', "9")]);
        assert_eq!(call.operands, ["dir", "-u"]);
        assert_eq!((call.count('v'), call.has('u'), call.number::<u32>('t').ok()), (2, true, Some(Some(9))));
    }

    #[test]
    fn two_dashes_and_one_are_words_of_their_own() {
        assert_eq!(call(&["-u", "--", "-v", "--"]).operands, ["-v", "--"]);
        assert_eq!(call(&["-", "-v"]).operands, ["-", "-v"]);
        assert_eq!(call(&["", "-v"]).operands, ["", "-v"]);
    }

    #[test]
    fn a_command_without_options_takes_every_word() {
        static PLAIN: Command = Command { name: "plain", options: &[Opt::NONE], ..SAMPLE };
        let words = |words: &[&str]| PLAIN.parse(words.iter().map(OsString::from).collect()).expect("good");
        assert_eq!(words(&["-1", "--", "-x"]).expect("no help").operands, ["-1", "--", "-x"]);
        assert!(words(&["--help"]).is_none() && words(&["a", "--help"]).is_some());
        assert_eq!(PLAIN.synopsis(), "plain DIR PROG...");
    }

    #[test]
    fn of_options_that_exclude_each_other_the_last_counts() {
        let call = call(&["-u", "-v", "-t1"]);
        assert_eq!((call.last(&['u', 'v']), call.last(&['u']), call.last(&['x'])), (Some('v'), Some('u'), None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |words: &[&str]| match parse(words) {
            Err(Failure::Usage(message)) => message,
            _ => panic!("{words:?} was taken"),
        };
        assert_eq!(said(&["-ux"]), "there is no option -x: `sample --help` lists them");
        assert_eq!(said(&["--tiemout=1"]), "there is no option --tiemout: `sample --help` lists them");
        assert_eq!(said(&["-t"]), "-t needs a value: MS");
        let Err(Failure::Usage(message)) = call(&["-t", "-5"]).number::<u32>('t') else { panic!("a sign was taken") };
        assert_eq!(message, "the value of -t must be a number, not '-5'");
        assert!(parse(&["--help"]).is_ok_and(|call| call.is_none()));
    }

    #[test]
    fn every_name_is_there_once_and_every_table_is_whole() {
        let mut names: Vec<&str> = crate::commands().map(|command| command.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name stands twice");
        for command in crate::commands() {
            assert!(!command.about.is_empty() && !command.about.ends_with('.'), "{}", command.name);
            let mut letters: Vec<char> = command.options.iter().map(|option| option.letter).collect();
            letters.sort_unstable();
            assert!(letters.windows(2).all(|pair| pair[0] != pair[1]), "{}: an option stands twice", command.name);
        }
    }
}
