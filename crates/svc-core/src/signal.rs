//! Signals by name and number, and how a process ended.

use core::fmt;

/// A signal number that the kernel accepts (1 to 64).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(u8);

/// Names by number, as Linux has them on x86-64 and arm64 (signal(7)).
const NAMES: [(&str, u8); 32] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
    // An alias last, so that looking up 29 finds IO.
    ("POLL", 29),
];

/// The real-time signals, as `kill -l` of a shell and Docker count them; the C library keeps 32 and 33 to itself.
const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

impl Signal {
    pub const HUP: Signal = Signal(1);
    pub const INT: Signal = Signal(2);
    pub const QUIT: Signal = Signal(3);
    pub const ABRT: Signal = Signal(6);
    pub const KILL: Signal = Signal(9);
    pub const USR1: Signal = Signal(10);
    pub const USR2: Signal = Signal(12);
    pub const PIPE: Signal = Signal(13);
    pub const ALRM: Signal = Signal(14);
    pub const TERM: Signal = Signal(15);
    pub const CHLD: Signal = Signal(17);
    pub const IO: Signal = Signal(29);
    pub const CONT: Signal = Signal(18);
    pub const STOP: Signal = Signal(19);
    pub const WINCH: Signal = Signal(28);
    pub const PWR: Signal = Signal(30);
    /// SIGRTMIN+3, which ends systemd, and so containers of images made for it.
    pub const HALT: Signal = Signal(RTMIN + 3);

    pub fn new(number: u8) -> Option<Signal> {
        (1..=64).contains(&number).then_some(Signal(number))
    }

    pub fn number(self) -> u8 {
        self.0
    }

    /// Reads `TERM`, `SIGTERM`, `RTMIN+3` or `15`, in any case.
    pub fn parse(text: &str) -> Option<Signal> {
        if let Ok(number) = text.parse::<u8>() {
            return Signal::new(number);
        }
        let name = match text.get(..3) {
            Some(prefix) if prefix.eq_ignore_ascii_case("SIG") => &text[3..],
            Some(_) | None => text,
        };
        let named = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, number)| Signal(number));
        named.or_else(|| Signal::real_time(name))
    }

    /// `RTMIN`, `RTMIN+3` or `RTMAX-2`.
    fn real_time(name: &str) -> Option<Signal> {
        let (end, rest) = name.split_at_checked("RTMIN".len())?;
        let steps = |sign: char| match rest.strip_prefix(sign) {
            Some(digits) if digits.starts_with(|digit: char| digit.is_ascii_digit()) => digits.parse().ok(),
            Some(_) => None,
            None => rest.is_empty().then_some(0),
        };
        let number = if end.eq_ignore_ascii_case("RTMIN") {
            RTMIN.checked_add(steps('+')?)?
        } else if end.eq_ignore_ascii_case("RTMAX") {
            RTMAX.checked_sub(steps('-')?)?
        } else {
            return None;
        };
        (RTMIN..=RTMAX).contains(&number).then_some(Signal(number))
    }

    /// The name without `SIG`; `None` for real-time signals, which have numbers only.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|&&(_, number)| number == self.0).map(|&(name, _)| name)
    }

    /// All names that [`Signal::parse`] takes, those that are counted aside, for completion and help.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|&(name, _)| name)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "SIG{name}"),
            None => write!(f, "signal {}", self.0),
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    Code(u8),
    Signal(Signal),
}

impl Exit {
    /// Reads the status word of wait(2).
    pub fn from_wait_status(status: u32) -> Exit {
        let low = (status & 0x7f) as u8;
        match Signal::new(low) {
            None => Exit::Code((status >> 8) as u8),
            Some(signal) => Exit::Signal(signal),
        }
    }

    /// The status word of wait(2) that says the same (without the core dump bit).
    pub fn wait_status(self) -> u32 {
        match self {
            Exit::Code(code) => u32::from(code) << 8,
            Exit::Signal(signal) => u32::from(signal.number()),
        }
    }

    /// The shell's way to put it into one number: the code, or 128 + the signal.
    pub fn shell_code(self) -> u8 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal.number(),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit {code}"),
            Exit::Signal(signal) => write!(f, "killed by {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_read_by_name_or_number() {
        for text in ["TERM", "term", "SIGTERM", "sigterm", "15"] {
            assert_eq!(Signal::parse(text), Some(Signal::TERM), "{text}");
        }
        assert_eq!(Signal::parse("POLL"), Signal::new(29));
        assert_eq!(Signal::new(29).and_then(Signal::name), Some("IO"));
        for (text, number) in [("RTMIN", 34), ("SIGRTMIN+3", 37), ("rtmin+30", 64), ("RTMAX", 64), ("RTMAX-14", 50)] {
            assert_eq!(Signal::parse(text), Signal::new(number), "{text}");
        }
        for text in ["", "0", "65", "SIG", "NOPE", "-1", "15 ", "é", "RTMIN-1", "RTMIN+31", "RTMIN++1", "RTMIN3", "RTMAX-31"]
        {
            assert_eq!(Signal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_wait_status_survives_the_round_trip() {
        for exit in [Exit::Code(0), Exit::Code(3), Exit::Code(255), Exit::Signal(Signal::KILL), Exit::Signal(Signal(64))] {
            assert_eq!(Exit::from_wait_status(exit.wait_status()), exit);
        }
        // A core dump sets bit 7, which is no part of the signal.
        assert_eq!(Exit::from_wait_status(0x80 | 11), Exit::Signal(Signal(11)));
    }
}
