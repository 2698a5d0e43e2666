//! The commands of runit's sv: what each sends, and what it waits for.

/// What a service is to become before sv is satisfied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// It runs, and its check agrees.
    Up,
    /// Nothing of it runs.
    Down,
    /// It was started since, and its check agrees; or it is down and shall be.
    Renewed,
    /// It came down since, or runs for the last time.
    Once,
    /// Its supervisor has gone.
    Gone,
    /// What runs agrees with its check.
    Checked,
    /// Nothing more than that it was told.
    Told,
}

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verb {
    /// What goes to the supervisor: the letters of s6.
    pub(super) letters: &'static [u8],
    pub(super) goal: Goal,
    /// Whether it waits without being asked to.
    pub(super) waits: bool,
    /// Whether SIGKILL comes when the time is over.
    pub(super) kills: bool,
    /// Whether it asks, and nothing else.
    pub(super) is_status: bool,
}

impl Verb {
    /// A command by its name, or by its first letter, as sv has it.
    pub(super) fn parse(word: &str) -> Option<Verb> {
        let verb = |letters: &'static [u8], goal| Verb { letters, goal, waits: false, kills: false, is_status: false };
        let waiting = |letters, goal| Verb { waits: true, ..verb(letters, goal) };
        let forced = |letters, goal| Verb { kills: true, ..waiting(letters, goal) };
        Some(match word {
            "start" => waiting(b"u", Goal::Up),
            "stop" => waiting(b"d", Goal::Down),
            "restart" => waiting(b"rcu", Goal::Renewed),
            "try-restart" => waiting(b"rc", Goal::Renewed),
            "reload" => waiting(b"h", Goal::Told),
            "shutdown" => waiting(b"dx", Goal::Gone),
            "check" => waiting(b"", Goal::Checked),
            "force-stop" => forced(b"d", Goal::Down),
            "force-reload" => forced(b"rc", Goal::Renewed),
            "force-restart" => forced(b"rcu", Goal::Renewed),
            "force-shutdown" => forced(b"dx", Goal::Gone),
            _ => match word.as_bytes().first()? {
                b's' => Verb { is_status: true, ..verb(b"", Goal::Told) },
                b'u' => verb(b"u", Goal::Up),
                b'd' => verb(b"d", Goal::Down),
                b'o' => verb(b"o", Goal::Once),
                b't' => verb(b"t", Goal::Renewed),
                b'k' => verb(b"k", Goal::Renewed),
                b'p' => verb(b"p", Goal::Told),
                b'c' => verb(b"c", Goal::Told),
                b'h' => verb(b"h", Goal::Told),
                b'a' => verb(b"a", Goal::Told),
                b'i' => verb(b"i", Goal::Told),
                b'q' => verb(b"q", Goal::Told),
                b'1' => verb(b"1", Goal::Told),
                b'2' => verb(b"2", Goal::Told),
                b'e' | b'x' => verb(b"dx", Goal::Gone),
                b'D' => forced(b"d", Goal::Down),
                b'T' => forced(b"rc", Goal::Renewed),
                b'E' | b'X' => forced(b"dx", Goal::Gone),
                _ => return None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_first_letters() {
        let letters = |word: &str| Verb::parse(word).map(|verb| std::str::from_utf8(verb.letters).expect("letters"));
        for (word, expected) in [
            ("start", "u"),
            ("up", "u"),
            ("stop", "d"),
            ("down", "d"),
            ("restart", "rcu"),
            ("term", "t"),
            ("hup", "h"),
            ("cont", "c"),
            ("check", ""),
            ("exit", "dx"),
            ("1", "1"),
        ] {
            assert_eq!(letters(word), Some(expected), "{word}");
        }
        assert!(Verb::parse("st").is_some_and(|verb| verb.is_status));
        for bad in ["foo", "rest", "", "force", "version"] {
            assert_eq!(Verb::parse(bad), None, "{bad}");
        }
        assert!(Verb::parse("force-stop").is_some_and(|verb| verb.kills && verb.waits));
        assert!(Verb::parse("up").is_some_and(|verb| !verb.waits));
    }
}
