//! Messages of sd_notify(3): what a service says of itself, `NAME=VALUE` a line. Any bytes may come; what is not understood is
//! passed over, as that protocol wants it.

use svc_core::{Millis, Pid};

/// The longest message that is read; what is longer is refused whole.
pub const MOST: usize = 4096;

/// One line that means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word<'a> {
    Ready,
    Reloading,
    Stopping,
    Status(&'a [u8]),
    Errno(i32),
    /// It lives.
    Fed,
    /// It is to be treated as if it had not fed the watchdog.
    Starved,
    WatchdogSpan(Millis),
    MainPid(Pid),
    Extend(Millis),
    /// Whoever sent this waits until its descriptor is closed.
    Barrier,
    /// Descriptors to keep, which is not done.
    Store,
}

/// The lines of a message.
pub fn words(message: &[u8]) -> impl Iterator<Item = Word<'_>> {
    message.split(|&byte| byte == b'\n').filter_map(word)
}

fn word(line: &[u8]) -> Option<Word<'_>> {
    let at = line.iter().position(|&byte| byte == b'=')?;
    let (name, value) = (&line[..at], &line[at + 1..]);
    let number = || std::str::from_utf8(value).ok()?.trim().parse::<u64>().ok();
    let micros = || number().map(|micros| Millis(micros.div_ceil(1000)));
    match (name, value) {
        (b"READY", b"1") => Some(Word::Ready),
        (b"RELOADING", b"1") => Some(Word::Reloading),
        (b"STOPPING", b"1") => Some(Word::Stopping),
        (b"STATUS", text) => Some(Word::Status(text)),
        (b"ERRNO", _) => number().and_then(|number| i32::try_from(number).ok()).map(Word::Errno),
        (b"WATCHDOG", b"1") => Some(Word::Fed),
        (b"WATCHDOG", b"trigger") => Some(Word::Starved),
        (b"WATCHDOG_USEC", _) => micros().map(Word::WatchdogSpan),
        (b"MAINPID", _) => number().and_then(|number| i32::try_from(number).ok()).and_then(Pid::new).map(Word::MainPid),
        (b"EXTEND_TIMEOUT_USEC", _) => micros().map(Word::Extend),
        (b"BARRIER", b"1") => Some(Word::Barrier),
        (b"FDSTORE", b"1") => Some(Word::Store),
        // Of another time, or for others: MONOTONIC_USEC, NOTIFYACCESS, BUSERROR, FDNAME ...
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(message: &[u8]) -> Vec<Word<'_>> {
        words(message).collect()
    }

    #[test]
    fn lines_are_words() {
        assert_eq!(
            all(b"READY=1\nSTATUS=at work = hard\nMAINPID=12\nERRNO=2\n"),
            [Word::Ready, Word::Status(b"at work = hard"), Word::MainPid(Pid::new(12).expect("positive")), Word::Errno(2)]
        );
        assert_eq!(all(b"RELOADING=1\nMONOTONIC_USEC=99\n"), [Word::Reloading]);
        assert_eq!(all(b"WATCHDOG=1\nWATCHDOG=trigger"), [Word::Fed, Word::Starved]);
        assert_eq!(
            all(b"WATCHDOG_USEC=1500\nEXTEND_TIMEOUT_USEC=2000000"),
            [Word::WatchdogSpan(Millis(2)), Word::Extend(Millis(2000))]
        );
        assert_eq!(all(b"STOPPING=1\nBARRIER=1\nFDSTORE=1"), [Word::Stopping, Word::Barrier, Word::Store]);
    }

    #[test]
    fn what_means_nothing_is_passed_over() {
        for message in [
            &b""[..],
            b"\n\n",
            b"READY",
            b"READY=0",
            b"READY=11",
            b"=1",
            b"MAINPID=0",
            b"MAINPID=-4",
            b"MAINPID=99999999999",
            b"ERRNO=x",
            b"WATCHDOG_USEC=",
            b"\xff\xfe=\x00",
            b"ready=1",
            b" READY=1",
        ] {
            assert_eq!(all(message), [], "{message:?}");
        }
    }
}
