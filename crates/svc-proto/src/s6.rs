//! The bytes of s6's files: stamps, `supervise/status`, `supervise/death_tally`. Ours and s6's own programs read what the other
//! wrote.

/// Seconds between the zero of TAI64 labels and 1970: 2^62, the ten seconds of 1972, and the leap seconds until 2017.
const LABEL_OF_1970: u64 = (1 << 62) + 37;

/// A TAI64N stamp: what clocks say, in a form that sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The TAI64 label.
    pub label: u64,
    pub nanos: u32,
}

impl Stamp {
    /// The stamp of so many nanoseconds since 1970.
    pub const fn from_unix_nanos(nanos: u64) -> Stamp {
        Stamp { label: LABEL_OF_1970 + nanos / 1_000_000_000, nanos: (nanos % 1_000_000_000) as u32 }
    }

    /// Seconds since 1970; negative before.
    pub const fn unix_secs(self) -> i64 {
        self.label.wrapping_sub(LABEL_OF_1970) as i64
    }

    /// Nanoseconds from `earlier` to this one; zero if that is not earlier.
    pub fn nanos_since(self, earlier: Stamp) -> u64 {
        let nanos = |stamp: Stamp| i128::from(stamp.label) * 1_000_000_000 + i128::from(stamp.nanos);
        u64::try_from((nanos(self) - nanos(earlier)).max(0)).unwrap_or(u64::MAX)
    }

    pub const fn to_bytes(self) -> [u8; 12] {
        let (label, nanos) = (self.label.to_be_bytes(), self.nanos.to_be_bytes());
        [
            label[0], label[1], label[2], label[3], label[4], label[5], label[6], label[7], nanos[0], nanos[1], nanos[2],
            nanos[3],
        ]
    }

    pub const fn from_bytes(bytes: [u8; 12]) -> Stamp {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Stamp { label: u64::from_be_bytes([a, b, c, d, e, f, g, h]), nanos: u32::from_be_bytes([i, j, k, l]) }
    }

    /// The 24 hexadecimal digits, without the `@` in front that lines have.
    pub fn hex(self) -> [u8; 24] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 24];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.to_bytes()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        text
    }

    /// Reads 24 hexadecimal digits.
    pub fn from_hex(text: &[u8]) -> Option<Stamp> {
        let mut bytes = [0; 12];
        if text.len() != 24 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Some(Stamp::from_bytes(bytes))
    }
}

/// What `supervise/status` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// When it last went up or came down.
    pub changed: Stamp,
    /// When it last became ready, or, while down, when its finish was done.
    pub ready_changed: Stamp,
    /// That of `run`, or of `finish` while that runs, or 0.
    pub pid: u64,
    /// The last end of `run`, as wait(2) says it.
    pub wait_status: u16,
    pub paused: bool,
    pub finishing: bool,
    pub wanted_up: bool,
    pub ready: bool,
}

impl Status {
    /// The size of the file.
    pub const BYTES: usize = 35;

    pub fn to_bytes(&self) -> [u8; Status::BYTES] {
        let mut bytes = [0; Status::BYTES];
        bytes[..12].copy_from_slice(&self.changed.to_bytes());
        bytes[12..24].copy_from_slice(&self.ready_changed.to_bytes());
        bytes[24..32].copy_from_slice(&self.pid.to_be_bytes());
        bytes[32..34].copy_from_slice(&self.wait_status.to_be_bytes());
        let flags = [self.paused, self.finishing, self.wanted_up, self.ready];
        bytes[34] = flags.iter().enumerate().map(|(bit, &set)| u8::from(set) << bit).sum();
        bytes
    }

    /// None unless these are all the bytes of one status.
    pub fn from_bytes(bytes: &[u8]) -> Option<Status> {
        let bytes: &[u8; Status::BYTES] = bytes.try_into().ok()?;
        let stamp = |at: usize| bytes[at..at + 12].try_into().ok().map(Stamp::from_bytes);
        let flag = |bit: u8| bytes[34] & 1 << bit != 0;
        Some(Status {
            changed: stamp(0)?,
            ready_changed: stamp(12)?,
            pid: u64::from_be_bytes(bytes[24..32].try_into().ok()?),
            wait_status: u16::from_be_bytes(bytes[32..34].try_into().ok()?),
            paused: flag(0),
            finishing: flag(1),
            wanted_up: flag(2),
            ready: flag(3),
        })
    }

    /// Whether `run` lives.
    pub fn is_up(&self) -> bool {
        self.pid != 0 && !self.finishing
    }

    /// Whether it was never started by this supervisor. What says so has another meaning as long as it runs.
    pub fn is_new(&self) -> bool {
        self.pid == 0 && !self.finishing && self.paused
    }
}

/// The letters of what has changed from one status to the next, in their order: d (run ended), O (finish said 125), D (finish
/// is done), u (run was started), U (it is ready).
///
/// They come from the difference alone, so that whoever takes over from a killed supervisor says what that one could not.
pub fn letters(told: &Status, new: &Status, failed: bool) -> Letters {
    let (was_up, is_up) = (told.is_up(), new.is_up());
    let goes_on = was_up && is_up && told.pid == new.pid;
    let was_done = !was_up && told.ready;
    let is_done = is_up || new.ready;
    let done = !goes_on && !was_done && is_done;
    let mut letters = Letters { bytes: [0; 5], length: 0 };
    letters.push(b'd', was_up && !goes_on);
    letters.push(b'O', done && failed);
    letters.push(b'D', done);
    letters.push(b'u', is_up && !goes_on);
    letters.push(b'U', is_up && new.ready && !(goes_on && told.ready));
    letters
}

/// Some letters, at most one of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letters {
    bytes: [u8; 5],
    length: usize,
}

impl Letters {
    fn push(&mut self, letter: u8, holds: bool) {
        if holds {
            self.bytes[self.length] = letter;
            self.length += 1;
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Whether a file in `event/` is the FIFO of somebody who listens: `ftrig1:@`, a stamp, `:`, six characters.
pub fn is_listener(name: &[u8]) -> bool {
    const FRONT: &[u8] = b"ftrig1:@";
    name.len() == FRONT.len() + 24 + 1 + 6 && name.starts_with(FRONT)
}

/// An entry of `supervise/death_tally`: one end of `run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    pub at: Stamp,
    /// The exit code, or 128 and the signal.
    pub code: u8,
    /// The signal that killed it, or 0.
    pub signal: u8,
}

impl Death {
    /// The size of an entry; the oldest stands first.
    pub const BYTES: usize = 14;

    pub fn to_bytes(&self) -> [u8; Death::BYTES] {
        let mut bytes = [0; Death::BYTES];
        bytes[..12].copy_from_slice(&self.at.to_bytes());
        bytes[12] = self.code;
        bytes[13] = self.signal;
        bytes
    }

    /// All entries of a file; none if its size is not that of a row of entries.
    pub fn all_from_bytes(bytes: &[u8]) -> Option<Vec<Death>> {
        if !bytes.len().is_multiple_of(Death::BYTES) {
            return None;
        }
        let entry = |entry: &[u8]| {
            let at = Stamp::from_bytes(entry[..12].try_into().ok()?);
            Some(Death { at, code: entry[12], signal: entry[13] })
        };
        bytes.chunks_exact(Death::BYTES).map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_s6_wrote() {
        let hex = "400000006b000f0f20349acc400000006b000f0f1f7e9de6000000000000141a000004";
        let bytes: Vec<u8> = (0..35).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex")).collect();
        let status = Status::from_bytes(&bytes).expect("35 bytes");
        assert_eq!((status.pid, status.wait_status), (0x141a, 0));
        assert!(status.is_up() && status.wanted_up && !status.ready && !status.paused && !status.finishing);
        assert_eq!(status.to_bytes().as_slice(), bytes);
        assert_eq!(Status::from_bytes(&bytes[1..]), None);
    }

    #[test]
    fn letters_tell_the_difference() {
        let at = Stamp::from_unix_nanos(0);
        let down = Status {
            changed: at,
            ready_changed: at,
            pid: 0,
            wait_status: 0,
            paused: false,
            finishing: false,
            wanted_up: true,
            ready: true,
        };
        let up = Status { pid: 7, ready: false, ..down };
        let ready = Status { ready: true, ..up };
        let finishing = Status { pid: 8, finishing: true, ready: false, ..down };
        let ended = Status { ready: false, ..down };
        let other = Status { pid: 9, ..up };
        let cases: [(Status, Status, bool, &[u8]); 14] = [
            (down, down, false, b""),
            (down, up, false, b"u"),
            (up, ready, false, b"U"),
            (ready, ready, false, b""),
            (ready, finishing, false, b"d"),
            (finishing, down, false, b"D"),
            (finishing, down, true, b"OD"),
            (up, down, false, b"dD"),
            (up, down, true, b"dOD"),
            (up, ended, false, b"d"),
            (ended, down, false, b"D"),
            // What a supervisor that was killed had no time to tell.
            (ready, other, false, b"dDu"),
            (finishing, ready, false, b"DuU"),
            (down, ready, false, b"uU"),
        ];
        for (told, new, failed, expected) in cases {
            assert_eq!(letters(&told, &new, failed).as_bytes(), expected, "{told:?} {new:?}");
        }
    }

    #[test]
    fn listeners_are_known_by_their_names() {
        assert!(is_listener(b"ftrig1:@400000006b000f0f20349acc:AbCdEf"));
        for name in [&b"ftrig1:@400000006b000f0f20349acc:AbCdE"[..], b"ftrig2:@400000006b000f0f20349acc:AbCdEf", b"x"] {
            assert!(!is_listener(name));
        }
    }

    #[test]
    fn stamps_are_those_of_s6() {
        let stamp = Stamp::from_unix_nanos(1_000_000_000_123_456_789);
        assert_eq!(std::str::from_utf8(&stamp.hex()), Ok("400000003b9aca25075bcd15"));
        assert_eq!(Stamp::from_hex(&stamp.hex()), Some(stamp));
        assert_eq!(Stamp::from_bytes(stamp.to_bytes()), stamp);
        assert_eq!(stamp.unix_secs(), 1_000_000_000);
        assert_eq!(Stamp::from_hex(b"400000003b9aca25075bcd1"), None);
        assert_eq!(Stamp::from_hex(b"400000003b9aca25075bcd1g"), None);
        let later = Stamp::from_unix_nanos(1_000_000_001_000_000_000);
        assert_eq!((later.nanos_since(stamp), stamp.nanos_since(later)), (876_543_211, 0));
    }

    #[test]
    fn a_tally_is_a_row_of_whole_entries() {
        let death = Death { at: Stamp::from_unix_nanos(5), code: 143, signal: 15 };
        let bytes = [death.to_bytes(), death.to_bytes()].concat();
        assert_eq!(Death::all_from_bytes(&bytes), Some(vec![death, death]));
        assert_eq!(Death::all_from_bytes(&bytes[1..]), None);
    }
}
