//! Stamps in front of lines, and stamps made readable: programs of s6 and of daemontools, which count seconds differently.

use svc_proto::s6::Stamp;
use svc_sys::calendar;

use crate::command::{Call, Command, Opt, Outcome};

use super::filter;
use super::stamp::{Scale, Stamps, Style, digits, write_date};

pub(super) const S6_TAI64N: Command = Command {
    name: "s6-tai64n",
    about: "put a TAI64N stamp in front of each line",
    operands: "",
    options: &[],
    notes: "A last line without an end gets one.",
    codes: &[],
    run: |_| stamp(Scale::S6),
};

pub(super) const TAI64N: Command = Command {
    name: "tai64n",
    about: "put a TAI64N stamp in front of each line (the program of daemontools)",
    operands: "",
    options: &[],
    notes: "Its stamps do not count the leap seconds after 1972: they are 27 less than those of s6-tai64n.",
    codes: &[],
    run: |_| stamp(Scale::Daemontools),
};

pub(super) const S6_TAI64NLOCAL: Command = Command {
    name: "s6-tai64nlocal",
    about: "make the TAI64N stamps in front of lines readable, as local time",
    operands: "",
    options: &[Opt::flag('g', "as universal time")],
    notes: "",
    codes: &[],
    run: |call: &Call| read(Scale::S6, call.has('g')),
};

pub(super) const TAI64NLOCAL: Command = Command {
    name: "tai64nlocal",
    about: "make the TAI64N stamps in front of lines readable, as local time (the program of daemontools)",
    operands: "",
    options: &[],
    notes: "Reads the stamps of tai64n and multilog, which do not count the leap seconds after 1972.",
    codes: &[],
    run: |_| read(Scale::Daemontools, false),
};

fn stamp(scale: Scale) -> Outcome {
    let mut stamps = Stamps::new(scale, Style::Local);
    filter::run(b"\n", |line, out| {
        stamps.begin(false);
        out.extend_from_slice(stamps.tai());
        out.extend_from_slice(line.text);
        if line.is_whole || scale == Scale::S6 {
            out.push(b'\n');
        }
    })
}

fn read(scale: Scale, universal: bool) -> Outcome {
    filter::run(b"\n", |line, out| {
        let stamp = line.text.strip_prefix(b"@").and_then(|rest| Some((Stamp::from_hex(rest.get(..24)?)?, &rest[24..])));
        match stamp.and_then(|(stamp, rest)| Some((readable(stamp, scale, universal)?, rest))) {
            Some((date, rest)) => {
                out.extend_from_slice(&date);
                out.extend_from_slice(rest);
            }
            None => out.extend_from_slice(line.text),
        }
        if line.is_whole {
            out.push(b'\n');
        }
    })
}

/// `2001-09-09 01:46:40.123456789`.
fn readable(stamp: Stamp, scale: Scale, universal: bool) -> Option<Vec<u8>> {
    let tai = i64::try_from(stamp.label.checked_sub(1 << 62)?).ok()?;
    let (seconds, is_leap) = match scale {
        Scale::S6 => (tai - leap_seconds(tai), LEAPS.iter().zip(10..).any(|(leap, ahead)| tai == leap + ahead)),
        Scale::Daemontools => (tai - 10, false),
    };
    if seconds < 0 {
        // s6 says nothing about times before 1970 either.
        return None;
    }
    // A leap second is the 61st of its minute.
    let shown = seconds - i64::from(is_leap);
    let mut moment = if universal { calendar::universal(shown) } else { calendar::local(shown) }.ok()?;
    moment.second += u8::from(is_leap);
    let mut text = Vec::new();
    write_date(Some(moment), b' ', &mut text);
    text.push(b'.');
    digits(u64::from(stamp.nanos), 9, &mut text);
    Some(text)
}

/// The seconds since 1970 at which a leap second had just passed, all there have been.
const LEAPS: [i64; 27] = [
    78796800, 94694400, 126230400, 157766400, 189302400, 220924800, 252460800, 283996800, 315532800, 362793600, 394329600,
    425865600, 489024000, 567993600, 631152000, 662688000, 709948800, 741484800, 773020800, 820454400, 867715200, 915148800,
    1136073600, 1230768000, 1341100800, 1435708800, 1483228800,
];

/// By how much TAI, in seconds since 1970, was ahead of universal time.
fn leap_seconds(tai: i64) -> i64 {
    let passed = LEAPS.iter().zip(11..).take_while(|(leap, ahead)| tai >= *leap + ahead).count();
    10 + passed as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(hex: &str, scale: Scale) -> String {
        let stamp = Stamp::from_hex(hex.as_bytes()).expect("24 digits");
        String::from_utf8(readable(stamp, scale, true).expect("a date")).expect("ASCII")
    }

    #[test]
    fn old_stamps_know_the_leap_seconds_of_their_time() {
        assert_eq!(date("4000000037c219bf2ef02e94", Scale::Daemontools), "1999-08-24 04:04:05.787492500");
        assert_eq!(date("4000000037c219bf2ef02e94", Scale::S6), "1999-08-24 04:03:43.787492500");
        assert_eq!(date("400000006b00514a385fa6ca", Scale::S6), "2026-11-20 13:54:45.945792714");
        assert_eq!(date("40000000586846a400000000", Scale::S6), "2016-12-31 23:59:60.000000000");
        assert_eq!((leap_seconds(0), leap_seconds(1_483_228_836), leap_seconds(1_483_228_837)), (10, 36, 37));
    }
}
