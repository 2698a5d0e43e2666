//! What is seen, written so that two runs can be compared: without pids, stamps and paths of one run.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use svc_proto::s6::{Stamp, Status};
use svc_testkit::is_alive;

/// The bytes of `supervise/status`, in words.
pub fn status(file: &Path) -> String {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => return format!("no status: {}", error.kind()),
    };
    let Some(status) = Status::from_bytes(&bytes) else { return format!("{} bytes that are no status", bytes.len()) };
    let pid = match i32::try_from(status.pid) {
        Ok(0) => "no-pid",
        Ok(pid) if is_alive(pid) => "alive",
        Ok(_) | Err(_) => "dead",
    };
    let mut words = vec![pid.to_owned()];
    let flags =
        [(status.paused, "paused"), (status.finishing, "finishing"), (status.wanted_up, "wanted"), (status.ready, "ready")];
    words.extend(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| (*name).to_owned()));
    words.push(format!("{:04x}", status.wait_status));
    for stamp in stamps(&bytes) {
        if !is_recent(stamp) {
            words.push(format!("not a stamp of now: {}", String::from_utf8_lossy(&stamp.hex())));
        }
    }
    words.join(" ")
}

/// Both stamps stand at the front.
fn stamps(bytes: &[u8]) -> Vec<Stamp> {
    bytes[..24].chunks_exact(12).filter_map(|bytes| Some(Stamp::from_bytes(bytes.try_into().ok()?))).collect()
}

fn is_recent(stamp: Stamp) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
    (now - 300..=now + 1).contains(&stamp.unix_secs())
}

/// The output of a program without what is different in every run.
pub fn normal(text: &str, root: &Path) -> String {
    let text = text.replace(&root.display().to_string(), "$T");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let (taken, written) = pattern(rest, out.chars().last()).unwrap_or((first.len_utf8(), &rest[..first.len_utf8()]));
        out.push_str(written);
        rest = &rest[taken..];
    }
    out.trim_end_matches('\n').to_owned()
}

/// What stands at the front of a text and is never the same: how long it is, and what to write in its place.
fn pattern(text: &str, before: Option<char>) -> Option<(usize, &'static str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    if let Some(rest) = text.strip_prefix('@') {
        let hex = rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
        return (hex == 24).then_some((25, "@STAMP"));
    }
    for (word, written) in [("pid ", "pid PID"), ("pgid ", "pgid PID")] {
        if let Some(rest) = text.strip_prefix(word)
            && digits(rest) > 0
            && !before.is_some_and(char::is_alphanumeric)
        {
            return Some((word.len() + digits(rest), written));
        }
    }
    let count = digits(text);
    let is_word = !before.is_some_and(char::is_alphanumeric);
    (count > 0 && is_word && text[count..].starts_with(" seconds")).then_some((count, "N"))
}
