//! One GET, and whether the answer is right. Only what a health check needs of HTTP/1.1.

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use svc_core::endpoint::{self, Url};
use svc_sys::regex::Regex;

use super::target::{connect, plain};

/// So much of an answer is read.
const MOST: usize = 1024 * 1024;

#[derive(Default)]
pub(super) struct Question {
    url: Url,
    /// From and to; none: the usual ones.
    statuses: Vec<(u16, u16)>,
    headers: Vec<(String, String)>,
    body: Option<(String, Regex)>,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.url.host, self.url.path)
    }
}

impl Question {
    pub(super) fn set_url(&mut self, url: &str) -> Result<(), String> {
        self.url = Url::parse(url).map_err(|what| format!("{url}: {what}"))?;
        Ok(())
    }

    pub(super) fn set_status(&mut self, list: &str) -> Result<(), String> {
        self.statuses.extend(endpoint::statuses(list).map_err(|what| format!("{list}: {what}"))?);
        Ok(())
    }

    pub(super) fn add_header(&mut self, text: &str) -> Result<(), String> {
        self.headers.push(endpoint::header(text).map_err(|what| format!("{text}: {what}"))?);
        Ok(())
    }

    pub(super) fn set_body(&mut self, pattern: &str) -> Result<(), String> {
        let regex = Regex::new(pattern.as_bytes()).map_err(|what| format!("{pattern}: {what}"))?;
        self.body = Some((pattern.to_owned(), regex));
        Ok(())
    }

    fn is_right(&self, status: u16) -> bool {
        let right = |&(from, to): &(u16, u16)| (from..=to).contains(&status);
        if self.statuses.is_empty() { right(&endpoint::STATUSES) } else { self.statuses.iter().any(right) }
    }

    pub(super) fn ask(&self, until: Instant) -> Result<String, String> {
        let mut stream = connect(&self.url.place, until)?;
        let failed = |error: std::io::Error| plain(&error);
        let given = |name: &str| self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut head = format!("GET {} HTTP/1.1\r\n", self.url.path);
        for (name, value) in [("Host", self.url.host.as_str()), ("User-Agent", "svc-probe"), ("Accept", "*/*")] {
            if !given(name) {
                head += &format!("{name}: {value}\r\n");
            }
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "Connection: close\r\n\r\n";
        stream.set_write_timeout(Some(left(until))).map_err(failed)?;
        stream.write_all(head.as_bytes()).map_err(failed)?;
        self.judge(&mut stream, until)
    }

    fn judge(&self, stream: &mut TcpStream, until: Instant) -> Result<String, String> {
        let mut answer = Vec::new();
        let head = read_until(stream, until, &mut answer, |answer| {
            answer.windows(4).position(|window| window == b"\r\n\r\n").map(|end| end + 4)
        })?;
        let head = head.ok_or("answers with something that is not HTTP")?;
        let text = String::from_utf8_lossy(&answer[..head]).into_owned();
        let line = text.lines().next().unwrap_or_default();
        let mut words = line.split(' ');
        let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/"));
        let status: u16 = words
            .next()
            .and_then(|word| word.parse().ok())
            .filter(|_| is_http)
            .ok_or("answers with something that is not HTTP")?;
        let said = line.split_once(' ').map_or("", |(_, said)| said).trim().to_owned();
        if !self.is_right(status) {
            return Err(format!("answers with {said}"));
        }
        if let Some((pattern, regex)) = &self.body {
            let lower = text.to_ascii_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            let chunked = lower.lines().any(|line| line.starts_with("transfer-encoding:") && line.contains("chunked"));
            read_until(stream, until, &mut answer, |answer| {
                length.filter(|_| !chunked).map(|length| head + length).filter(|&end| answer.len() >= end)
            })?;
            let body = if chunked { without_chunks(&answer[head..]) } else { answer[head..].to_vec() };
            // A regular expression of the C library ends at a NUL byte.
            if !body.split(|&byte| byte == 0).any(|part| regex.is_match(part)) {
                return Err(format!("answers with {said}, and its body does not match {pattern}"));
            }
        }
        Ok(format!("answers with {said}"))
    }
}

fn left(until: Instant) -> Duration {
    // Zero would mean for ever.
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// Reads until `enough` finds where that is, or the end: then that is none.
fn read_until(
    stream: &mut TcpStream,
    until: Instant,
    answer: &mut Vec<u8>,
    enough: impl Fn(&[u8]) -> Option<usize>,
) -> Result<Option<usize>, String> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = enough(answer) {
            return Ok(Some(end));
        }
        if answer.len() > MOST || Instant::now() >= until {
            return if answer.len() > MOST { Ok(None) } else { Err("no answer in time".into()) };
        }
        stream.set_read_timeout(Some(left(until))).map_err(|error| plain(&error))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(plain(&error)),
        }
    }
}

/// The body behind the lengths of its chunks; as far as it is well-formed.
fn without_chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else { return body };
        let line = String::from_utf8_lossy(&rest[..end]);
        let digits = line.split(';').next().unwrap_or_default().trim();
        let Some(length) = usize::from_str_radix(digits, 16).ok().filter(|&length| length > 0) else { return body };
        let chunk = &rest[end + 2..];
        body.extend_from_slice(&chunk[..length.min(chunk.len())]);
        let Some(next) = chunk.get(length..).and_then(|next| next.strip_prefix(b"\r\n")) else { return body };
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_lists_of_ranges() {
        let mut question = Question::default();
        assert!(question.is_right(200) && question.is_right(302) && !question.is_right(404) && !question.is_right(101));
        question.set_status("204, 401-403").expect("good");
        assert!(question.is_right(204) && question.is_right(402) && !question.is_right(200));
    }

    #[test]
    fn chunks_are_put_together() {
        assert_eq!(without_chunks(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"), b"abcde");
        assert_eq!(without_chunks(b"5\r\nab"), b"ab");
        assert_eq!(without_chunks(b"nonsense"), b"");
    }
}
