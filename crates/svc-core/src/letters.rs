//! The letters that s6's tools write into `supervise/control` and `.s6-svscan/control`, and what they ask for.

use crate::service::{Command, State};
use crate::signal::Signal;

/// What one letter asks of a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub command: Command,
    pub down_file: DownFile,
}

/// What becomes of the file `down`, which says what holds after a reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownFile {
    Keep,
    Make,
    Remove,
}

/// What a letter means to a service in this state; none if it means nothing, which is no error.
pub fn asked(letter: u8, state: State) -> Option<Asked> {
    let command = match letter {
        b'a' => Command::Kill(Signal::ALRM),
        b'b' => Command::Kill(Signal::ABRT),
        b'q' => Command::Kill(Signal::QUIT),
        b'h' => Command::Kill(Signal::HUP),
        b'k' => Command::Kill(Signal::KILL),
        b't' => Command::Kill(Signal::TERM),
        b'i' => Command::Kill(Signal::INT),
        b'1' => Command::Kill(Signal::USR1),
        b'2' => Command::Kill(Signal::USR2),
        b'y' => Command::Kill(Signal::WINCH),
        b'p' => Command::Pause,
        b'c' => Command::Continue,
        b'P' => Command::KillGroup(Signal::STOP),
        b'C' => Command::KillGroup(Signal::CONT),
        b'K' => Command::KillGroup(Signal::KILL),
        b'r' => Command::DownSignal,
        b'l' => Command::Reload,
        b'u' | b'U' => Command::Start,
        b'd' | b'D' => Command::Stop,
        b'o' => match state {
            State::Down { .. } | State::Armed | State::Starting { .. } => Command::Once,
            // One that runs, or ends, has had its once.
            State::Up { .. } | State::Finish { .. } | State::Sweep { .. } | State::Gone => Command::AtMostOnce,
        },
        b'O' | b'Q' => Command::AtMostOnce,
        b'x' => Command::Drain,
        _ => return None,
    };
    let down_file = match letter {
        b'D' | b'Q' => DownFile::Make,
        b'U' => DownFile::Remove,
        _ => DownFile::Keep,
    };
    Some(Asked { command, down_file })
}

/// What one letter asks of a scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// Look at the directories: start what came, and stop what went.
    Look,
    /// Everybody is reaped as soon as it ends, and everything that went is stopped as soon as it goes.
    Done,
    /// Stop everything. `quick`: loggers are not waited for.
    Stop {
        quick: bool,
    },
    /// Leave at once, and wait for nobody.
    Abort,
    /// A letter of s6 before 2.10, and what to write instead.
    Old(&'static str),
    Unknown,
}

/// What a letter means to a scanner.
pub fn scan(letter: u8) -> Scan {
    match letter {
        b'a' | b'h' | b'n' | b'N' => Scan::Look,
        // What echo ends with is no letter.
        b'z' | b'\n' => Scan::Done,
        b't' | b'i' => Scan::Stop { quick: false },
        b'q' => Scan::Stop { quick: true },
        b'b' => Scan::Abort,
        b's' | b'0' | b'6' | b'7' | b'8' | b'I' => Scan::Old("s6-svscanctl -t"),
        b'p' | b'r' => Scan::Old("s6-svscanctl -h"),
        _ => Scan::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Stop;
    use crate::{Millis, Pid};

    #[test]
    fn once_is_a_start_only_when_nothing_runs() {
        let pid = Pid::new(7).expect("positive");
        let command = |state| asked(b'o', state).map(|asked| asked.command);
        assert_eq!(command(State::Down { not_before: Millis(0) }), Some(Command::Once));
        for state in [
            State::Up { pid, ready: None, paused: false, stop: Stop::No },
            State::Finish { pid, kill_at: None },
            State::Sweep { kill_at: Millis(0), announced: false },
        ] {
            assert_eq!(command(state), Some(Command::AtMostOnce), "{state:?}");
        }
    }

    #[test]
    fn every_letter_of_s6_is_known_and_no_other() {
        let down = State::Down { not_before: Millis(0) };
        let known: std::vec::Vec<u8> = (0..=255).filter(|&letter| asked(letter, down).is_some()).collect();
        let mut letters = b"abqhkti12pcPCKrlyoduDUxOQ".to_vec();
        letters.sort_unstable();
        assert_eq!(known, letters);
        assert_eq!(letters.len(), 25);
        for (letter, file) in
            [(b'U', DownFile::Remove), (b'D', DownFile::Make), (b'Q', DownFile::Make), (b'd', DownFile::Keep)]
        {
            assert_eq!(asked(letter, down).map(|asked| asked.down_file), Some(file));
        }
        for letter in *b"zabhitqnN\n" {
            assert!(!matches!(scan(letter), Scan::Old(_) | Scan::Unknown), "{}", char::from(letter));
        }
        assert_eq!(scan(b'x'), Scan::Unknown);
    }
}
