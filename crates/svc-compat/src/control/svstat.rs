//! s6-svstat: what a service is doing.

use std::ffi::OsStr;
use std::fmt::Write;
use std::path::Path;

use svc_core::{Exit, Signal};
use svc_proto::s6::{Stamp, Status};
use svc_sys::exit;

use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::servicedir::{stamp_now, supervise};

pub(super) const OPTIONS: &[Opt] = &[
    Opt::with('o', "FIELDS", "print these fields in this order, a space between them"),
    Opt::flag('u', "the field up"),
    Opt::flag('w', "the field wantedup"),
    Opt::flag('N', "the field normallyup"),
    Opt::flag('r', "the field ready"),
    Opt::flag('p', "the field pid"),
    Opt::flag('g', "the field pgid"),
    Opt::flag('e', "the field exitcode"),
    Opt::flag('s', "the field signal"),
    Opt::flag('t', "the field updownfor"),
    Opt::flag('n', "in the line for people: a signal as a number"),
];

pub(super) const NOTES: &str = "\
Without fields, prints a line for people.

Fields, separated by commas: up, wantedup, normallyup, ready, paused: true or false. pid, pgid, exitcode, signum: a number, \
-1 where there is none. signal: a name such as SIGTERM, or NA. updownsince, readysince: a TAI64N stamp. updownfor, readyfor: \
seconds. As in s6 2.11 the beginning of a name will do; a whole name comes first.";

pub(super) const CODES: &[(u8, &str)] = &[(1, "there is no supervisor")];

pub(super) const COMMAND: Command = Command {
    name: "s6-svstat",
    about: "print what a service is doing",
    operands: "SERVICEDIR",
    options: OPTIONS,
    notes: NOTES,
    codes: CODES,
    run,
};

fn run(call: &Call) -> Outcome {
    show(call, call.operand(0, "the service directory")?)
}

/// Prints what the options of `call` ask for, of this directory.
pub(super) fn show(call: &Call, dir: &OsStr) -> Outcome {
    let fields = fields(call)?;
    let dir = Path::new(dir);
    let cannot = |error: std::io::Error| Failure::system(format!("unable to read the status of {}: {error}", dir.display()));
    if !supervise::is_supervised(dir).map_err(cannot)? {
        let text = format!("unable to read the status of {}: no supervisor is running there", dir.display());
        return Err(Failure::with_code(exit::FAILED, text));
    }
    let status = supervise::status(dir).map_err(cannot)?;
    let down = dir.join("down").try_exists().map_err(cannot)?;
    let view = View { status, normally_up: !down, now: stamp_now() };
    if fields.is_empty() {
        println!("{}", view.line(call.has('n')));
    } else {
        println!("{}", fields.iter().map(|field| view.field(*field)).collect::<Vec<_>>().join(" "));
    }
    Ok(exit::DONE)
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Up,
    WantedUp,
    NormallyUp,
    Ready,
    Paused,
    Pid,
    Group,
    ExitCode,
    Signal,
    SignalNumber,
    UpDownSince,
    ReadySince,
    UpDownFor,
    ReadyFor,
}

/// The names, in the order in which a beginning of one is looked for.
const NAMES: [(&str, Field); 14] = [
    ("up", Field::Up),
    ("wantedup", Field::WantedUp),
    ("normallyup", Field::NormallyUp),
    ("ready", Field::Ready),
    ("paused", Field::Paused),
    ("pid", Field::Pid),
    ("pgid", Field::Group),
    ("exitcode", Field::ExitCode),
    ("signal", Field::Signal),
    ("signum", Field::SignalNumber),
    ("updownsince", Field::UpDownSince),
    ("readysince", Field::ReadySince),
    ("updownfor", Field::UpDownFor),
    ("readyfor", Field::ReadyFor),
];

impl Field {
    fn from_name(name: &str) -> Option<Field> {
        let whole = NAMES.iter().find(|(known, _)| *known == name);
        let begun = || NAMES.iter().find(|(known, _)| !name.is_empty() && known.starts_with(name));
        whole.or_else(begun).map(|&(_, field)| field)
    }

    fn from_letter(letter: char) -> Option<Field> {
        match letter {
            'u' => Some(Field::Up),
            'w' => Some(Field::WantedUp),
            'N' => Some(Field::NormallyUp),
            'r' => Some(Field::Ready),
            'p' => Some(Field::Pid),
            'g' => Some(Field::Group),
            'e' => Some(Field::ExitCode),
            's' => Some(Field::Signal),
            't' => Some(Field::UpDownFor),
            _ => None,
        }
    }
}

/// All that were asked for, in their order.
fn fields(call: &Call) -> Result<Vec<Field>, Failure> {
    let mut fields = Vec::new();
    for given in &call.given {
        if given.letter == 'o' {
            let text = given.value.to_string_lossy();
            for name in text.split(',').filter(|name| !name.is_empty()) {
                let field = Field::from_name(name);
                fields.push(field.ok_or_else(|| Failure::usage(format!("there is no field '{name}': see --help")))?);
            }
        }
        fields.extend(Field::from_letter(given.letter));
    }
    Ok(fields)
}

/// A status as it is seen now.
struct View {
    status: Status,
    normally_up: bool,
    now: Stamp,
}

impl View {
    fn seconds_since(&self, stamp: Stamp) -> u64 {
        self.now.nanos_since(stamp) / 1_000_000_000
    }

    /// How `run` ended; none while it lives, or if it never did.
    fn exit(&self) -> Option<Exit> {
        let over = !self.status.is_up() && !self.status.is_new();
        over.then(|| Exit::from_wait_status(u32::from(self.status.wait_status)))
    }

    fn signal(&self) -> Option<Signal> {
        match self.exit()? {
            Exit::Signal(signal) => Some(signal),
            Exit::Code(_) => None,
        }
    }

    fn field(&self, field: Field) -> String {
        let status = &self.status;
        let or_minus_one = |number: Option<u64>| number.map_or_else(|| "-1".into(), |number| number.to_string());
        match field {
            Field::Up => status.is_up().to_string(),
            Field::WantedUp => status.wanted_up.to_string(),
            Field::NormallyUp => self.normally_up.to_string(),
            Field::Ready => (status.pid != 0 && status.ready).to_string(),
            Field::Paused => (status.pid != 0 && status.paused).to_string(),
            // Each service leads a group of its own.
            Field::Pid | Field::Group => or_minus_one(status.is_up().then_some(status.pid)),
            Field::ExitCode => or_minus_one(match self.exit() {
                Some(Exit::Code(code)) => Some(u64::from(code)),
                Some(Exit::Signal(_)) | None => None,
            }),
            Field::Signal => self.signal().map_or_else(|| "NA".into(), signal_name),
            Field::SignalNumber => or_minus_one(self.signal().map(|signal| u64::from(signal.number()))),
            Field::UpDownSince => stamp_text(status.changed),
            Field::ReadySince => stamp_text(status.ready_changed),
            Field::UpDownFor => self.seconds_since(status.changed).to_string(),
            Field::ReadyFor => self.seconds_since(status.ready_changed).to_string(),
        }
    }

    /// The line for people, as s6 has it.
    fn line(&self, numbers: bool) -> String {
        let status = &self.status;
        let (up, new) = (status.is_up(), status.is_new());
        let mut text = match self.exit() {
            _ if up => format!("up (pid {0} pgid {0}) ", status.pid),
            None => "down (not started yet) ".into(),
            Some(Exit::Signal(signal)) if numbers => format!("down (signal {}) ", signal.number()),
            Some(Exit::Signal(signal)) => format!("down (signal {}) ", signal_name(signal)),
            Some(Exit::Code(code)) => format!("down (exitcode {code}) "),
        };
        if !new {
            let _ = write!(text, "{} seconds", self.seconds_since(status.changed));
        }
        let remarks = [
            (up && !self.normally_up, ", normally down"),
            (!up && self.normally_up, ", normally up"),
            (up && status.paused, ", paused"),
            (!up && status.wanted_up, ", want up"),
            (up && !status.wanted_up, ", want down"),
        ];
        text.extend(remarks.iter().filter(|(holds, _)| *holds).map(|(_, remark)| *remark));
        if status.ready && !new {
            let _ = write!(text, ", ready {} seconds", self.seconds_since(status.ready_changed));
        }
        text
    }
}

/// `SIGTERM`; `SIG35` for those without a name.
pub(super) fn signal_name(signal: Signal) -> String {
    signal.name().map_or_else(|| format!("SIG{}", signal.number()), |name| format!("SIG{name}"))
}

/// A stamp as lines have it.
pub(super) fn stamp_text(stamp: Stamp) -> String {
    format!("@{}", String::from_utf8_lossy(&stamp.hex()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(pid: u64, wait_status: u16, flags: [bool; 4]) -> View {
        let [paused, finishing, wanted_up, ready] = flags;
        let (changed, ready_changed) = (Stamp::from_unix_nanos(1_500_000_000), Stamp::from_unix_nanos(3_000_000_000));
        let status = Status { changed, ready_changed, pid, wait_status, paused, finishing, wanted_up, ready };
        View { status, normally_up: true, now: Stamp::from_unix_nanos(11_000_000_000) }
    }

    #[test]
    fn lines_are_those_of_s6() {
        let line = |pid, wait_status, flags| view(pid, wait_status, flags).line(false);
        assert_eq!(line(7, 0, [false, false, true, true]), "up (pid 7 pgid 7) 9 seconds, ready 8 seconds");
        assert_eq!(line(7, 0, [true, false, false, false]), "up (pid 7 pgid 7) 9 seconds, paused, want down");
        assert_eq!(line(0, 0, [true, false, true, true]), "down (not started yet) , normally up, want up");
        assert_eq!(
            line(0, 15, [false, false, false, true]),
            "down (signal SIGTERM) 9 seconds, normally up, ready 8 seconds"
        );
        assert_eq!(line(8, 0x300, [false, true, true, false]), "down (exitcode 3) 9 seconds, normally up, want up");
        assert_eq!(view(0, 15, [false; 4]).line(true), "down (signal 15) 9 seconds, normally up");
        let down_file = View { normally_up: false, ..view(7, 0, [false, false, true, false]) };
        assert_eq!(down_file.line(false), "up (pid 7 pgid 7) 9 seconds, normally down");
    }

    #[test]
    fn fields_of_a_service_that_is_up_and_of_one_that_is_not() {
        let all = |view: &View| NAMES.map(|(_, field)| view.field(field)).join(" ");
        assert_eq!(
            all(&view(7, 0x300, [false, false, true, true])),
            "true true true true false 7 7 -1 NA -1 @40000000000000261dcd6500 @400000000000002800000000 9 8"
        );
        let down = all(&view(0, 9, [false, false, false, true]));
        assert!(down.starts_with("false false true false false -1 -1 -1 SIGKILL 9 @"), "{down}");
        assert!(all(&view(0, 0x300, [false; 4])).starts_with("false false true false false -1 -1 3 NA -1 @"));
        assert!(all(&view(0, 0x300, [true, false, true, true])).starts_with("false true true false false -1 -1 -1 NA -1 @"));
    }

    #[test]
    fn beginnings_of_names_will_do() {
        for (name, field) in [
            ("up", Field::Up),
            ("u", Field::Up),
            ("updown", Field::UpDownSince),
            ("sig", Field::Signal),
            ("p", Field::Paused),
        ] {
            assert_eq!(Field::from_name(name), Some(field), "{name}");
        }
        assert_eq!(Field::from_name("upp"), None);
        assert_eq!(Field::from_name(""), None);
    }
}
