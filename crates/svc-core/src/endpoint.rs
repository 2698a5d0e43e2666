//! What a probe is told to look for, as people write it: places, URLs, lists of statuses, regular expressions. What is wrong with a
//! text is said as what stands behind it.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The statuses of HTTP that are right where nothing else is said.
pub const STATUSES: (u16, u16) = (200, 399);

/// `HOST:PORT`; `:PORT` is on this machine.
pub fn place(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok_and(|port| port > 0) && !host.contains(char::is_whitespace) => {
            Ok(format!("{}:{port}", if host.is_empty() { "localhost" } else { host }))
        }
        Some(_) | None => Err("must be HOST:PORT, such as localhost:8080".to_owned()),
    }
}

/// `http://HOST:PORT/PATH`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Url {
    /// As it is written, for the header.
    pub host: String,
    /// With its port, for the connection.
    pub place: String,
    pub path: String,
}

impl Url {
    pub fn parse(url: &str) -> Result<Url, String> {
        if url.starts_with("https://") {
            return Err("svc speaks no TLS: name a plain port, or use exec with curl".to_owned());
        }
        let rest = url.strip_prefix("http://").ok_or("must begin with http://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let path = path.split('#').next().unwrap_or_default();
        if host.is_empty() || path.contains(|c: char| c.is_ascii_whitespace() || c.is_control()) {
            return Err("must be http://HOST:PORT/PATH".to_owned());
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && !port.ends_with(']'));
        let place = place(&if has_port { host.to_owned() } else { format!("{host}:80") })?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Url { host: host.to_owned(), place, path })
    }
}

/// `200,204,300-399`.
pub fn statuses(list: &str) -> Result<Vec<(u16, u16)>, String> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse().ok().filter(|number| (100..=599).contains(number));
        number(from).zip(number(to)).filter(|(from, to)| from <= to)
    };
    let ranges: Option<Vec<(u16, u16)>> = list.split(',').map(range).collect();
    ranges.ok_or_else(|| "must be statuses, such as 200,204,300-399".to_owned())
}

/// A header as `NAME: VALUE`.
pub fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() && !text.contains(['\r', '\n']) && !name.contains(' ') => {
            Ok((name.to_owned(), value.trim().to_owned()))
        }
        Some(_) | None => Err("must be NAME: VALUE".to_owned()),
    }
}

/// What the C library would refuse in an extended regular expression, as far as that can be told without it: what is opened and
/// not closed, and a backslash at the end.
pub fn check_regex(pattern: &str) -> Result<(), String> {
    let (mut open, mut letters) = (0_usize, pattern.chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.next().is_none() => return Err("ends with a backslash".to_string()),
            '(' => open += 1,
            ')' => open = open.saturating_sub(1),
            '[' => {
                letters.next_if_eq(&'^');
                // A bracket that comes first stands for itself.
                letters.next_if_eq(&']');
                loop {
                    match letters.next() {
                        None => return Err("has a [ without its ]".to_string()),
                        Some(']') => break,
                        Some('[') => {
                            // [:alpha:] and its like.
                            if let Some(kind) = letters.next_if(|&next| matches!(next, ':' | '.' | '=')) {
                                let mut before = ' ';
                                while let Some(next) = letters.next_if(|&next| !(before == kind && next == ']')) {
                                    before = next;
                                }
                                letters.next();
                            }
                        }
                        Some(_) => {}
                    }
                }
            }
            _ => {}
        }
    }
    if open > 0 { Err("has a ( without its )".to_string()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let is = |text: &str, place: &str, path: &str| {
            let url = Url::parse(text).expect("good");
            assert_eq!((url.place.as_str(), url.path.as_str()), (place, path));
        };
        is("http://localhost:8080/health?full=1#x", "localhost:8080", "/health?full=1");
        is("http://db", "db:80", "/");
        is("http://[::1]/x", "[::1]:80", "/x");
        is("http://[::1]:81?y", "[::1]:81", "/?y");
        is("http://me:secret@:81", "localhost:81", "/");
        for bad in ["https://x", "x", "http://", "http:///x", "http://x:y/", "http://x/a b", "http://x:0/"] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists_of_statuses_are_ranges() {
        assert_eq!(statuses("204, 401-403"), Ok([(204, 204), (401, 403)].into()));
        for bad in ["", "20", "300-200", "x", "200,"] {
            assert!(statuses(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn expressions_that_are_not_closed_are_found() {
        for good in ["", "a(b|c)*", "[]a]", "[^]x]", "[[:alpha:](]", r"\(", "[a[b]", "x{2}", "a)"] {
            assert_eq!(check_regex(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("(a", "has a ( without its )"),
            ("a[b", "has a [ without its ]"),
            ("[]", "has a [ without its ]"),
            ("a\\", "ends with a backslash"),
            ("[[:alpha:]", "has a [ without its ]"),
        ] {
            assert_eq!(check_regex(bad), Err(why.into()), "{bad}");
        }
    }
}
