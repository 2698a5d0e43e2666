//! The small files of a classic service directory, in one table: the reader, the supervisor that reads them again, `svc-ctl
//! check` and the manual all go by it.

use crate::definition::{Forking, Settings};
use crate::signal::Signal;
use crate::time::Millis;

/// What a file's content means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number on the first line, at most `max`.
    Number { max: u32 },
    /// Milliseconds on the first line.
    Milliseconds,
    /// A signal on the first line, by name or number.
    Signal,
    /// Being there is all it says.
    Flag,
    /// Being there says it; there may be a path on the first line.
    FlagWithPath,
}

/// One file: its name, its kind, and where it goes.
pub struct File {
    pub name: &'static str,
    pub kind: Kind,
    /// One sentence for the manual.
    pub about: &'static str,
    set: fn(&mut Settings, Value<'_>),
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value<'a> {
    Absent,
    Number(u32),
    Signal(Signal),
    Flag,
    /// Empty where there is none.
    Path(&'a [u8]),
}

/// The longest path in a file; a file is read into a small buffer.
pub const MAX_PATH: usize = 255;
/// The largest descriptor that a file may ask for. The kernel's own ceiling for RLIMIT_NOFILE is 1048576 (fs.nr_open).
const MAX_FD: u32 = 1_048_575;
/// s6 caps the death tally here.
const MAX_TALLY: u32 = 4096;

/// Every small file that sets something. `run`, `finish`, `down` and `log/` are not among them: they are looked at, not read.
pub const FILES: [File; 11] = [
    File {
        name: "notification-fd",
        kind: Kind::Number { max: MAX_FD },
        about: "the descriptor on which the service writes a newline once it is ready",
        set: |settings, value| settings.notification_fd = number(value),
    },
    File {
        name: "lock-fd",
        kind: Kind::Number { max: MAX_FD },
        about: "the descriptor that holds a lock as long as any process of the service has it open; the next start waits for it",
        set: |settings, value| settings.lock_fd = number(value),
    },
    File {
        name: "timeout-finish",
        kind: Kind::Milliseconds,
        about: "finish is killed after this many milliseconds (default 5000; 0: never)",
        set: |settings, value| settings.timeout_finish = millis(value, Settings::default().timeout_finish),
    },
    File {
        name: "timeout-kill",
        kind: Kind::Milliseconds,
        about: "a service that is told to stop is killed after this many milliseconds (default and 0: never)",
        set: |settings, value| settings.timeout_kill = millis(value, Settings::default().timeout_kill),
    },
    File {
        name: "flag-timeout-killpg",
        kind: Kind::Flag,
        about: "the kill of timeout-kill goes to the whole process group",
        set: |settings, value| settings.kill_group = value == Value::Flag,
    },
    File {
        name: "max-death-tally",
        kind: Kind::Number { max: u32::MAX },
        about: "how many deaths are remembered (default 100, at most 4096; 0: none)",
        set: |settings, value| {
            let default = u32::from(Settings::default().max_death_tally);
            settings.max_death_tally = number(value).unwrap_or(default).min(MAX_TALLY) as u16;
        },
    },
    File {
        name: "down-signal",
        kind: Kind::Signal,
        about: "the signal that stops the service (default SIGTERM)",
        set: |settings, value| settings.down_signal = signal(value, Settings::default().down_signal),
    },
    File {
        name: "reload-signal",
        kind: Kind::Signal,
        about: "the signal that makes the service read its configuration again (default SIGHUP)",
        set: |settings, value| settings.reload_signal = signal(value, Settings::default().reload_signal),
    },
    File {
        name: "flag-newpidns",
        kind: Kind::Flag,
        about: "run is process 1 of a PID namespace of its own (needs CAP_SYS_ADMIN)",
        set: |settings, value| settings.new_pid_namespace = value == Value::Flag,
    },
    File {
        name: "keep-descendants",
        kind: Kind::Flag,
        about: "processes that the service leaves behind are not stopped with it",
        set: |settings, value| settings.keep_descendants = value == Value::Flag,
    },
    File {
        name: "forking",
        kind: Kind::FlagWithPath,
        about: "run ends when it has put a daemon into the background, which is the service; the pid file of the daemon may be named",
        set: |settings, value| settings.forking = forking(value),
    },
];

fn forking(value: Value<'_>) -> Option<Forking> {
    match value {
        Value::Path(path) => Some(Forking { pid_file: (!path.is_empty()).then(|| path.to_vec()) }),
        Value::Absent | Value::Number(_) | Value::Signal(_) | Value::Flag => None,
    }
}

fn number(value: Value<'_>) -> Option<u32> {
    match value {
        Value::Number(number) => Some(number),
        Value::Absent | Value::Signal(_) | Value::Flag | Value::Path(_) => None,
    }
}

fn millis(value: Value<'_>, default: Millis) -> Millis {
    number(value).map_or(default, |ms| Millis(u64::from(ms)))
}

fn signal(value: Value<'_>, default: Signal) -> Signal {
    match value {
        Value::Signal(signal) => signal,
        Value::Absent | Value::Number(_) | Value::Flag | Value::Path(_) => default,
    }
}

/// Why a file's content cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// Not a plain decimal number.
    Number,
    /// A number above the file's limit.
    TooLarge { max: u32 },
    /// Not the name or number of a signal.
    Signal,
    /// Longer than [`MAX_PATH`], or with a NUL byte in it.
    Path,
}

impl core::fmt::Display for Invalid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Invalid::Number => f.write_str("the first line must be a plain decimal number"),
            Invalid::TooLarge { max } => write!(f, "the number is above {max}"),
            Invalid::Signal => f.write_str("the first line must be a signal, such as TERM, SIGTERM or 15"),
            Invalid::Path => write!(f, "the first line must be a path of at most {MAX_PATH} bytes, or empty"),
        }
    }
}

impl File {
    /// Puts the file's content into `settings`; `None` for a file that is not there. On an error `settings` stay as they
    /// were.
    ///
    /// The first line counts. Blanks around it and a carriage return (a checkout from Windows) do no harm.
    pub fn apply(&self, content: Option<&[u8]>, settings: &mut Settings) -> Result<(), Invalid> {
        let value = match content {
            None => Value::Absent,
            Some(bytes) => self.kind.read(bytes)?,
        };
        (self.set)(settings, value);
        Ok(())
    }
}

impl Kind {
    fn read(self, content: &[u8]) -> Result<Value<'_>, Invalid> {
        let line = content.split(|&byte| byte == b'\n').next().unwrap_or(content).trim_ascii();
        match self {
            Kind::Flag => Ok(Value::Flag),
            Kind::FlagWithPath if line.len() > MAX_PATH || line.contains(&0) => Err(Invalid::Path),
            Kind::FlagWithPath => Ok(Value::Path(line)),
            Kind::Signal => {
                core::str::from_utf8(line).ok().and_then(Signal::parse).map(Value::Signal).ok_or(Invalid::Signal)
            }
            Kind::Milliseconds => read_number(line, u32::MAX),
            Kind::Number { max } => read_number(line, max),
        }
    }
}

fn read_number(line: &[u8], max: u32) -> Result<Value<'static>, Invalid> {
    if line.is_empty() || !line.iter().all(u8::is_ascii_digit) {
        return Err(Invalid::Number);
    }
    let number = core::str::from_utf8(line).ok().and_then(|text| text.parse::<u32>().ok());
    match number {
        Some(number) if number <= max => Ok(Value::Number(number)),
        Some(_) | None => Err(Invalid::TooLarge { max }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> &'static File {
        FILES.iter().find(|file| file.name == name).expect("a file of the table")
    }

    fn read(name: &str, content: &[u8]) -> Result<Settings, Invalid> {
        let mut settings = Settings::default();
        file(name).apply(Some(content), &mut settings).map(|()| settings)
    }

    #[test]
    fn the_first_line_counts_and_carriage_returns_do_not() {
        for content in [&b"3000"[..], b"3000\n", b"3000\r\n", b" 3000 \njunk"] {
            assert_eq!(read("timeout-kill", content).map(|s| s.timeout_kill), Ok(Millis(3000)));
        }
        assert_eq!(read("forking", b"").map(|s| s.forking), Ok(Some(Forking { pid_file: None })));
        let named = Some(Forking { pid_file: Some(b"/run/web.pid".to_vec()) });
        assert_eq!(read("forking", b" /run/web.pid\r\n").map(|s| s.forking), Ok(named));
        assert_eq!(read("forking", &[b'/'; MAX_PATH + 1]), Err(Invalid::Path));
        assert_eq!(read("down-signal", b"SIGINT\r\n").map(|s| s.down_signal), Ok(Signal::INT));
    }

    #[test]
    fn what_is_no_number_is_refused_and_changes_nothing() {
        let mut settings = Settings { timeout_kill: Millis(7), ..Settings::default() };
        for content in [&b""[..], b"\n5", b"-1", b"+1", b"0x10", b"1s", b"1 2"] {
            assert_eq!(file("timeout-kill").apply(Some(content), &mut settings), Err(Invalid::Number));
        }
        assert_eq!(
            file("timeout-kill").apply(Some(b"99999999999"), &mut settings),
            Err(Invalid::TooLarge { max: u32::MAX })
        );
        assert_eq!(settings.timeout_kill, Millis(7));
        assert_eq!(read("notification-fd", b"1048576"), Err(Invalid::TooLarge { max: MAX_FD }));
        assert_eq!(read("max-death-tally", b"5000").map(|s| s.max_death_tally), Ok(4096), "capped, as s6 does");
    }

    #[test]
    fn a_file_that_went_away_means_the_default_again() {
        let mut settings = read("timeout-finish", b"1").expect("a number");
        file("timeout-finish").apply(None, &mut settings).expect("absent is fine");
        assert_eq!(settings, Settings::default());
    }
}
