//! The small files of a classic service directory, in one table: the reader, the supervisor that reads them again, `svc-ctl
//! check` and the manual all go by it.

use crate::definition::{Forking, Settings};
use crate::restart::{ONE, Restart, When};
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
    /// One of these words.
    Word(&'static [&'static str]),
    /// A number from 1 to `max`; behind it may stand milliseconds.
    Count { max: u8 },
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
    /// Its place in the list.
    Word(usize),
    Count(u8, Option<u32>),
}

/// In a directory that `/init` has laid out: a link to the one of the image, where something is wrong that is no link itself.
pub const ORIGIN: &str = ".origin";

/// The longest path in a file; a file is read into a small buffer.
pub const MAX_PATH: usize = 255;
/// The largest descriptor that a file may ask for. The kernel's own ceiling for RLIMIT_NOFILE is 1048576 (fs.nr_open).
const MAX_FD: u32 = 1_048_575;
/// s6 caps the death tally here.
const MAX_TALLY: u32 = 4096;

/// Every small file that sets something. `run`, `finish`, `down` and `log/` are not among them: they are looked at, not read.
pub const FILES: [File; 15] = [
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
    File {
        name: "restart",
        kind: Kind::Word(&WHEN),
        about: "after which ends it is started again: always (default), on-failure, never",
        set: |settings, value| {
            let when = match value {
                Value::Word(place) => [When::Always, When::OnFailure, When::Never].get(place).copied().unwrap_or_default(),
                Value::Absent | Value::Number(_) | Value::Signal(_) | Value::Flag | Value::Path(_) | Value::Count(..) => {
                    When::Unsaid
                }
            };
            change(settings, value, |restart| restart.when = when);
        },
    },
    File {
        name: "restart-delay",
        kind: Kind::Milliseconds,
        about: "its starts are this many milliseconds apart, from start to start (default 1000)",
        set: |settings, value| {
            change(settings, value, |restart| restart.delay = millis(value, Restart::default().delay));
        },
    },
    File {
        name: "restart-max-delay",
        kind: Kind::Milliseconds,
        about: "each end in a row doubles the delay, up to this many milliseconds (default: it stays the same)",
        set: |settings, value| {
            change(settings, value, |restart| {
                restart.factor = if value == Value::Absent { ONE } else { 2 * ONE };
                restart.max_delay = millis(value, Restart::default().max_delay);
            });
        },
    },
    File {
        name: "restart-limit",
        kind: Kind::Count { max: crate::service::HISTORY as u8 },
        about: "after so many ends within 10 s, or within the milliseconds behind the number, it stays down as failed (default: no limit)",
        set: |settings, value| {
            let (limit, window) = match value {
                Value::Count(limit, window) => (limit, window),
                Value::Absent | Value::Number(_) | Value::Signal(_) | Value::Flag | Value::Path(_) | Value::Word(_) => {
                    (0, None)
                }
            };
            change(settings, value, |restart| {
                restart.limit = limit;
                restart.window = window.map_or(Restart::default().window, |ms| Millis(u64::from(ms)));
            });
        },
    },
];

/// What may stand in `restart`.
const WHEN: [&str; 3] = ["always", "on-failure", "never"];

/// Changes when it is started again. Who says nothing of that pays nothing for it.
fn change(settings: &mut Settings, value: Value<'_>, change: impl FnOnce(&mut Restart)) {
    if value != Value::Absent || settings.policy.is_some() {
        change(&mut settings.policy_mut().restart);
    }
}

fn forking(value: Value<'_>) -> Option<Forking> {
    match value {
        Value::Path(path) => Some(Forking { pid_file: (!path.is_empty()).then(|| path.to_vec()) }),
        Value::Absent | Value::Number(_) | Value::Signal(_) | Value::Flag | Value::Word(_) | Value::Count(..) => None,
    }
}

fn number(value: Value<'_>) -> Option<u32> {
    match value {
        Value::Number(number) => Some(number),
        Value::Absent | Value::Signal(_) | Value::Flag | Value::Path(_) | Value::Word(_) | Value::Count(..) => None,
    }
}

fn millis(value: Value<'_>, default: Millis) -> Millis {
    number(value).map_or(default, |ms| Millis(u64::from(ms)))
}

fn signal(value: Value<'_>, default: Signal) -> Signal {
    match value {
        Value::Signal(signal) => signal,
        Value::Absent | Value::Number(_) | Value::Flag | Value::Path(_) | Value::Word(_) | Value::Count(..) => default,
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
    /// None of the words.
    Word(&'static [&'static str]),
    /// Not a number from 1 to `max`, or more than milliseconds behind it.
    Count { max: u8 },
}

impl core::fmt::Display for Invalid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Invalid::Number => f.write_str("the first line must be a plain decimal number"),
            Invalid::TooLarge { max } => write!(f, "the number is above {max}"),
            Invalid::Signal => f.write_str("the first line must be a signal, such as TERM, SIGTERM or 15"),
            Invalid::Word(known) => {
                f.write_str("the first line must be one of ")?;
                for (place, word) in known.iter().enumerate() {
                    write!(f, "{}{word}", if place == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Invalid::Count { max } => {
                write!(f, "the first line must be a number from 1 to {max}, and may have milliseconds behind it")
            }
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
            Kind::Word(known) => {
                let place = known.iter().position(|word| word.as_bytes() == line);
                place.map(Value::Word).ok_or(Invalid::Word(known))
            }
            Kind::Count { max } => read_count(line, max).ok_or(Invalid::Count { max }),
            Kind::Milliseconds => read_number(line, u32::MAX),
            Kind::Number { max } => read_number(line, max),
        }
    }
}

fn read_count(line: &[u8], max: u8) -> Option<Value<'static>> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let count = number(read_number(words.next()?, u32::from(max)).ok()?)? as u8;
    let window = match words.next() {
        Some(word) => Some(number(read_number(word, u32::MAX).ok()?)?),
        None => None,
    };
    (count > 0 && window != Some(0) && words.next().is_none()).then_some(Value::Count(count, window))
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
    fn when_it_is_started_again_is_four_files() {
        let restart =
            |name, content: &[u8]| read(name, content).map(|settings| settings.policy.expect("it says so").restart);
        let base = Restart::default();
        assert_eq!(restart("restart", b"never\r\n"), Ok(Restart { when: When::Never, ..base.clone() }));
        assert_eq!(restart("restart", b"sometimes"), Err(Invalid::Word(&WHEN)));
        assert_eq!(restart("restart-delay", b"250"), Ok(Restart { delay: Millis(250), ..base.clone() }));
        let growing = Restart { factor: 2 * ONE, max_delay: Millis(8000), ..base.clone() };
        assert_eq!(restart("restart-max-delay", b"8000"), Ok(growing));
        assert_eq!(restart("restart-limit", b"5"), Ok(Restart { limit: 5, ..base.clone() }));
        let windowed = Restart { limit: 16, window: Millis(60_000), ..base };
        assert_eq!(restart("restart-limit", b" 16  60000 "), Ok(windowed));
        for wrong in [&b""[..], b"0", b"17", b"3 0", b"3 x", b"3 4 5", b"-1"] {
            assert_eq!(restart("restart-limit", wrong), Err(Invalid::Count { max: 16 }));
        }
    }

    #[test]
    fn nobody_pays_for_files_that_are_not_there_and_those_that_go_away_mean_nothing_more() {
        let mut settings = Settings::default();
        let all = |settings: &mut Settings, content: Option<&[u8]>| {
            for name in ["restart", "restart-delay", "restart-max-delay", "restart-limit"] {
                let content = content.map(|number| if name == "restart" { &b"never"[..] } else { number });
                file(name).apply(content, settings).expect("good");
            }
        };
        all(&mut settings, None);
        assert_eq!(settings, Settings::default());
        all(&mut settings, Some(b"7"));
        assert_ne!(settings.restart(), Some(&Restart::default()));
        all(&mut settings, None);
        assert_eq!(settings.restart(), Some(&Restart::default()));
    }

    #[test]
    fn a_file_that_went_away_means_the_default_again() {
        let mut settings = read("timeout-finish", b"1").expect("a number");
        file("timeout-finish").apply(None, &mut settings).expect("absent is fine");
        assert_eq!(settings, Settings::default());
    }
}
