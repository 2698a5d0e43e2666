//! The messages of the system log: one datagram of /dev/log as one line. Bytes in, bytes out, and no input is refused.

/// The names of syslog.conf(5), in the order of their numbers; 13 to 15 have none there.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit",
    "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// What RFC 3164 gives to a message without a priority: user.notice.
const UNKNOWN: usize = 13;

/// Longer words before a colon are no program names (RFC 3164 says 32; paths of programs are longer).
const MAX_TAG: usize = 64;

/// What a message says besides its time, which whoever keeps the line adds.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub facility: &'static str,
    pub severity: &'static str,
    pub tag: &'a [u8],
    pub pid: &'a [u8],
    /// Message id and structured data of RFC 5424, as they came.
    pub extra: &'a [u8],
    pub text: &'a [u8],
}

/// Reads both forms: RFC 5424 (`<34>1 TIME HOST APP PID ID DATA TEXT`) and what libc's syslog(3) writes, which is nearly
/// RFC 3164 (`<34>Oct 11 22:14:15 tag[pid]: text`, no host). What fits neither is all text.
pub fn parse(datagram: &[u8]) -> Message<'_> {
    let (priority, rest) = number(trim_end(datagram)).unwrap_or((UNKNOWN, trim_end(datagram)));
    let message = Message {
        facility: FACILITIES[priority / 8],
        severity: SEVERITIES[priority % 8],
        tag: b"",
        pid: b"",
        extra: b"",
        text: rest,
    };
    if let Some((tag, pid, extra, text)) = rfc5424(rest) {
        return Message { tag, pid, extra, text, ..message };
    }
    let text = without_time(rest);
    match tag_and_pid(text) {
        Some((tag, pid, text)) => Message { tag, pid, text, ..message },
        None => Message { text, ..message },
    }
}

impl Message<'_> {
    /// Appends `facility.severity tag[pid]: text` and a newline; `facility.severity: text` where nobody signed.
    pub fn write_line(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(self.facility.as_bytes());
        line.push(b'.');
        line.extend_from_slice(self.severity.as_bytes());
        if !self.tag.is_empty() {
            line.push(b' ');
            escape(self.tag, line);
        }
        if !self.pid.is_empty() {
            line.push(b'[');
            escape(self.pid, line);
            line.push(b']');
        }
        line.push(b':');
        for part in [self.extra, self.text] {
            if !part.is_empty() {
                line.push(b' ');
                escape(part, line);
            }
        }
        line.push(b'\n');
    }
}

/// Some libcs send the NUL or the newline that ended the text.
fn trim_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !matches!(byte, 0 | b'\n' | b'\r'));
    &bytes[..end.map_or(0, |last| last + 1)]
}

/// Facility and severity of a message that begins with `<0>` to `<191>`, and what follows.
pub fn priority(message: &[u8]) -> Option<(&'static str, &'static str, &[u8])> {
    let (priority, rest) = number(message)?;
    Some((FACILITIES[priority / 8], SEVERITIES[priority % 8], rest))
}

/// `<0>` to `<191>`, and what follows.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let bytes = bytes.strip_prefix(b"<")?;
    let end = bytes.iter().take(4).position(|&byte| byte == b'>')?;
    let digits = &bytes[..end];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    (value < FACILITIES.len() * SEVERITIES.len()).then_some((value, &bytes[end + 1..]))
}

type Rfc5424<'a> = (&'a [u8], &'a [u8], &'a [u8], &'a [u8]);

/// App name, process id, message id with structured data, text: all after `1 TIME HOST `; `-` stands for none.
fn rfc5424(bytes: &[u8]) -> Option<Rfc5424<'_>> {
    let rest = bytes.strip_prefix(b"1 ")?;
    let (time, rest) = word(rest)?;
    if time != b"-" && !time.first()?.is_ascii_digit() {
        return None;
    }
    let (_host, rest) = word(rest)?;
    let (app, rest) = word(rest)?;
    let (pid, from_id) = word(rest)?;
    let (id, from_data) = word(from_id)?;
    let length = structured_data(from_data)?;
    let extra = match (id, &from_data[..length]) {
        (b"-", b"-") => &b""[..],
        (b"-", data) => data,
        (id, b"-") => id,
        (id, data) => &from_id[..id.len() + 1 + data.len()],
    };
    let text = &from_data[length..];
    let text = match text.strip_prefix(b" ") {
        Some(text) => text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text),
        None if text.is_empty() => text,
        None => return None,
    };
    Some((some(app), some(pid), extra, text))
}

fn some(word: &[u8]) -> &[u8] {
    if word == b"-" { b"" } else { word }
}

/// A word that is not empty, and what follows the one space behind it.
fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b' ')?;
    (end > 0).then(|| (&bytes[..end], &bytes[end + 1..]))
}

/// The length of `-` or `[id name="value"]...`; a value may hold a bracket, and a quote behind a backslash.
fn structured_data(bytes: &[u8]) -> Option<usize> {
    if bytes.first() == Some(&b'-') {
        return Some(1);
    }
    let (mut inside, mut quoted, mut escaped) = (false, false, false);
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if inside => quoted = !quoted,
            b']' if inside && !quoted => inside = false,
            b'[' if !inside => inside = true,
            _ if inside => {}
            _ => return (at > 0).then_some(at),
        }
    }
    (!inside && !bytes.is_empty()).then_some(bytes.len())
}

/// Cuts off `Oct 11 22:14:15 `.
fn without_time(bytes: &[u8]) -> &[u8] {
    const FORM: &[u8] = b"Aaa 99 99:99:99 ";
    let fits = bytes.len() >= FORM.len()
        && FORM.iter().zip(bytes).all(|(form, byte)| match form {
            b'A' | b'a' => byte.is_ascii_alphabetic(),
            // The day may have a space for its first digit.
            b'9' => byte.is_ascii_digit() || *byte == b' ',
            other => byte == other,
        });
    if fits { &bytes[FORM.len()..] } else { bytes }
}

/// `tag: text` and `tag[pid]: text`. The colon must end the text or have a space behind it: `http://...` has no tag.
fn tag_and_pid(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let in_tag = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b':' | b'[' | b']');
    let end = bytes.iter().position(|byte| !in_tag(byte))?;
    if end == 0 || end > MAX_TAG {
        return None;
    }
    let (tag, mut rest) = bytes.split_at(end);
    let mut pid = &b""[..];
    if let Some(inside) = rest.strip_prefix(b"[") {
        let end = inside.iter().take(MAX_TAG).position(|&byte| byte == b']')?;
        (pid, rest) = (&inside[..end], &inside[end + 1..]);
    }
    let text = rest.strip_prefix(b":")?;
    match text.strip_prefix(b" ") {
        Some(text) => Some((tag, pid, text)),
        None => text.is_empty().then_some((tag, pid, text)),
    }
}

/// Appends `bytes` as printable UTF-8: control characters as `\n`, `\t`, `\x1b`, so does what is no UTF-8. A backslash stays
/// as it is, because texts are full of them.
fn escape(bytes: &[u8], line: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' => line.extend_from_slice(b"\\n"),
                '\r' => line.extend_from_slice(b"\\r"),
                '\t' => line.extend_from_slice(b"\\t"),
                control if control.is_control() => {
                    control.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| hex(byte, line));
                }
                other => line.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        chunk.invalid().iter().for_each(|&byte| hex(byte, line));
    }
}

fn hex(byte: u8, line: &mut Vec<u8>) {
    line.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(datagram: &[u8]) -> String {
        let mut line = Vec::new();
        parse(datagram).write_line(&mut line);
        String::from_utf8(line).expect("what is no UTF-8 was escaped")
    }

    #[test]
    fn what_libc_writes() {
        assert_eq!(line(b"<13>Nov 20 10:40:14 greeting: hello"), "user.notice greeting: hello\n");
        assert_eq!(line(b"<78>Nov  2 10:40:14 CRON[123]: (root) CMD (true)"), "cron.info CRON[123]: (root) CMD (true)\n");
        assert_eq!(line(b"<22>Nov 20 10:40:14 postfix/smtpd[7]: a: b"), "mail.info postfix/smtpd[7]: a: b\n");
        assert_eq!(line(b"<0>kernel: oops\n\0"), "kern.emerg kernel: oops\n");
        assert_eq!(line(b"<191>tag:"), "local7.debug tag:\n");
    }

    #[test]
    fn rfc_5424() {
        let full = b"<165>1 2003-10-11T22:14:15.003Z host app 123 ID47 [a@1 x=\"]\\\"\"][b] \xef\xbb\xbfAn event";
        assert_eq!(line(full), "local4.notice app[123]: ID47 [a@1 x=\"]\\\"\"][b] An event\n");
        assert_eq!(line(b"<34>1 - - su - - - text"), "auth.crit su: text\n");
        assert_eq!(line(b"<34>1 - - su 5 ID - text"), "auth.crit su[5]: ID text\n");
        assert_eq!(line(b"<34>1 - - su - - -"), "auth.crit su:\n");
    }

    #[test]
    fn half_an_rfc_5424_is_text() {
        for text in
            ["1 ", "1 - -", "1 - - su - - [a", "1 - - su - - x text", "1 - - su - - -x", "1 apple a day", "1  - - - - -"]
        {
            assert_eq!(line(format!("<34>{text}").as_bytes()), format!("auth.crit: {text}\n"));
        }
    }

    #[test]
    fn malformed_priorities_are_text() {
        for text in ["<", "<>", "<13", "<192>x", "<9999>x", "<-1>x", "<1a>x", "13>x", "no priority"] {
            assert_eq!(line(text.as_bytes()), format!("user.notice: {text}\n"));
        }
    }

    #[test]
    fn text_without_a_tag() {
        for text in ["two words: text", "http://example.org", "tag[7 text", "tag[7]text", ": text", "[7]: text"] {
            assert_eq!(line(format!("<13>{text}").as_bytes()), format!("user.notice: {text}\n"));
        }
    }

    #[test]
    fn empty_and_huge() {
        assert_eq!(line(b""), "user.notice:\n");
        assert_eq!(line(b"\n\0\r"), "user.notice:\n");
        assert_eq!(line(b"<14>"), "user.info:\n");
        let huge = [b"<14>tag: ".as_slice(), &[b'x'; 65_000]].concat();
        assert_eq!(line(&huge).len(), "user.info tag: \n".len() + 65_000);
        let tagless = [b"<14>".as_slice(), &[b'x'; 65_000], b": y"].concat();
        assert!(line(&tagless).starts_with("user.info: xxx"));
    }

    #[test]
    fn one_line_whatever_is_in_it() {
        assert_eq!(line(b"<13>t: a\nb\tc\x1b[31m\x7f\0d"), "user.notice t: a\\nb\\tc\\x1b[31m\\x7f\\x00d\n");
        assert_eq!(line(b"<13>t: \xff\xfe \xc3\xa9 \xc2\x85"), "user.notice t: \\xff\\xfe é \\xc2\\x85\n");
        assert_eq!(line(b"<13>t: C:\\new"), "user.notice t: C:\\new\n");
    }

    #[test]
    fn every_two_bytes_after_a_bracket() {
        for byte in 0..=u8::MAX {
            for other in 0..=u8::MAX {
                let text = line(&[b'<', byte, other]);
                assert!(text.ends_with('\n') && text.matches('\n').count() == 1);
            }
        }
    }
}
