//! The times in front of lines, and in the names of files.

use std::time::{SystemTime, UNIX_EPOCH};

use svc_sys::calendar::{self, Moment};

const SECOND: u64 = 1_000_000_000;

/// How many seconds after 2^62 a family of programs sees 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// s6 counts the leap seconds: what its labels say is TAI.
    S6,
    /// daemontools and runit count the first ten only.
    Daemontools,
}

impl Scale {
    const fn label_of_1970(self) -> u64 {
        match self {
            Scale::S6 => (1 << 62) + 37,
            Scale::Daemontools => (1 << 62) + 10,
        }
    }
}

/// How a time for people looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `2001-09-09 01:46:40.123456789  ` by the local clock, as s6-log's `T` writes it.
    Local,
    /// `2001-09-09_01:46:40.12345 ` by universal time, as svlogd's `-tt` writes it; the byte stands between day and hour.
    Universal(u8),
}

/// Times that only go up: each line has its own, so that sorting by them keeps the order of the lines.
///
/// The lines of one read came at the same time, as far as we can know: they get stamps a nanosecond apart.
pub(super) struct Stamps {
    scale: Scale,
    style: Style,
    nanos: u64,
    tai: [u8; TAI],
    human: Vec<u8>,
    /// Of which second `human` speaks.
    second: Option<u64>,
}

/// `@`, 24 digits, a space.
pub(super) const TAI: usize = 26;

impl Stamps {
    pub(super) fn new(scale: Scale, style: Style) -> Stamps {
        let mut tai = [b' '; TAI];
        tai[0] = b'@';
        Stamps { scale, style, nanos: 0, tai, human: Vec::new(), second: None }
    }

    /// A new read: now.
    pub(super) fn begin(&mut self, humans: bool) {
        self.nanos = now().max(self.nanos + 1);
        self.render(humans);
    }

    /// The next line of the same read.
    pub(super) fn next(&mut self, humans: bool) {
        self.nanos += 1;
        let low = (self.nanos % SECOND) as u8;
        if humans || low == 0 || self.nanos.is_multiple_of(SECOND) {
            self.render(humans);
        } else {
            self.tai[TAI - 3..TAI - 1].copy_from_slice(&HEX[usize::from(low)]);
        }
    }

    fn render(&mut self, humans: bool) {
        self.tai[1..TAI - 1].copy_from_slice(&hex(self.nanos, self.scale));
        if humans {
            self.render_human();
        }
    }

    fn render_human(&mut self) {
        let (second, fraction) = (self.nanos / SECOND, self.nanos % SECOND);
        if self.second != Some(second) {
            self.second = Some(second);
            self.human.clear();
            match self.style {
                Style::Local => write_date(calendar::local(second as i64).ok(), b' ', &mut self.human),
                Style::Universal(between) => write_date(calendar::universal(second as i64).ok(), between, &mut self.human),
            }
        }
        self.human.truncate(DATE);
        self.human.push(b'.');
        match self.style {
            Style::Local => {
                digits(fraction, 9, &mut self.human);
                self.human.extend_from_slice(b"  ");
            }
            Style::Universal(_) => {
                digits(fraction / 10_000, 5, &mut self.human);
                self.human.push(b' ');
            }
        }
    }

    /// `@4000...` and a space.
    pub(super) fn tai(&self) -> &[u8] {
        &self.tai
    }

    /// The time for people, with the spaces behind it. Only after a call with `humans`.
    pub(super) fn human(&self) -> &[u8] {
        &self.human
    }
}

/// The length of `2001-09-09 01:46:40`.
const DATE: usize = 19;

/// Two hexadecimal digits for each byte.
static HEX: [[u8; 2]; 256] = {
    let digits = *b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};

/// Nanoseconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// The 24 digits of a stamp.
pub(super) fn hex(nanos: u64, scale: Scale) -> [u8; 24] {
    let label = (scale.label_of_1970() + nanos / SECOND).to_be_bytes();
    let fraction = ((nanos % SECOND) as u32).to_be_bytes();
    let mut text = [0; 24];
    for (pair, byte) in text.chunks_exact_mut(2).zip(label.iter().chain(&fraction)) {
        pair.copy_from_slice(&HEX[usize::from(*byte)]);
    }
    text
}

/// Appends `2001-09-09 01:46:40` with `between` in the middle.
pub(super) fn write_date(moment: Option<Moment>, between: u8, text: &mut Vec<u8>) {
    let moment = moment.unwrap_or(Moment { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 });
    digits(moment.year.unsigned_abs(), 4, text);
    for (before, part) in
        [(b'-', moment.month), (b'-', moment.day), (between, moment.hour), (b':', moment.minute), (b':', moment.second)]
    {
        text.push(before);
        digits(u64::from(part), 2, text);
    }
}

/// Appends a number with zeros in front.
pub(super) fn digits(number: u64, width: usize, text: &mut Vec<u8>) {
    let begin = text.len();
    text.resize(begin + width, b'0');
    let mut rest = number;
    for place in text[begin..].iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_only_go_up_and_carry() {
        let mut stamps = Stamps::new(Scale::S6, Style::Universal(b'_'));
        stamps.nanos = 1_000_000_000_999_999_700;
        stamps.render(true);
        let mut before = stamps.tai().to_vec();
        for _ in 0..1000 {
            stamps.next(false);
            assert!(stamps.tai() > before.as_slice());
            assert_eq!(stamps.tai()[1..25], hex(stamps.nanos, Scale::S6));
            before = stamps.tai().to_vec();
        }
        stamps.next(true);
        assert_eq!(stamps.human(), b"2001-09-09_01:46:41.00000 ");
    }

    #[test]
    fn the_two_scales() {
        assert_eq!(&hex(1_000_000_000_123_456_789, Scale::S6), b"400000003b9aca25075bcd15");
        assert_eq!(&hex(1_000_000_000_123_456_789, Scale::Daemontools), b"400000003b9aca0a075bcd15");
    }
}
