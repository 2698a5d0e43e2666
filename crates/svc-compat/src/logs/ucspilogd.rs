//! ucspilogd: the numbers in front of syslog messages as words, in a stream of them.

use svc_proto::syslog;

use crate::command::{Call, Command, Opt, Outcome};

use super::filter;

pub(super) const COMMAND: Command = Command {
    name: "ucspilogd",
    about: "write the numbers in front of syslog messages as words",
    operands: "[VARIABLE...]",
    options: &[Opt::with('D', "TEXT", "stands for a variable that is not set (default <undefined>)")],
    notes: "Messages end with a newline or a NUL byte. The value of each variable is written in front of each.",
    codes: &[],
    run,
};

fn run(call: &Call) -> Outcome {
    let unset = call.value('D').unwrap_or("<undefined>".as_ref());
    let mut before = Vec::new();
    for name in &call.operands {
        let value = std::env::var_os(name);
        before.extend_from_slice(value.as_deref().unwrap_or(unset).as_encoded_bytes());
        before.extend_from_slice(b": ");
    }
    filter::run(b"\n\0", |line, out| {
        let mut text = line.text;
        // A stamp stays in front.
        if text.first() == Some(&b'@') && text.len() > 25 && text[25] == b' ' && !text[..25].contains(&b' ') {
            out.extend_from_slice(&text[..26]);
            text = &text[26..];
        }
        out.extend_from_slice(&before);
        write_in_words(text, out);
        out.push(b'\n');
    })
}

/// Appends a message, `<13>text` as `user.notice: text`.
pub(super) fn write_in_words(message: &[u8], out: &mut Vec<u8>) {
    match syslog::priority(message) {
        Some((facility, severity, text)) => {
            out.extend_from_slice(facility.as_bytes());
            out.push(b'.');
            out.extend_from_slice(severity.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(text);
        }
        None => out.extend_from_slice(message),
    }
}
