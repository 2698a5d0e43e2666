//! What is looked for, and one look.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lexopt::ValueExt;
use svc_core::endpoint;
use svc_sys::regex::Regex;

use super::command;
use super::http::Question;

pub(super) enum Target {
    Nothing,
    Tcp(String),
    Http(Question),
    Unix(PathBuf),
    /// None of before this time.
    File(PathBuf, Option<u64>),
    Name(String),
    Command(Vec<OsString>),
    Log(Regex),
}

/// What options say of it.
#[derive(Default)]
pub(super) struct Details {
    pub(super) question: Question,
    pub(super) fresh: bool,
    pub(super) words: Option<usize>,
}

impl Details {
    /// The target of this kind, and the program that is to be executed beside the probe.
    pub(super) fn target(
        mut self,
        kind: &str,
        mut rest: Vec<OsString>,
        beside: bool,
    ) -> Result<(Target, Vec<OsString>), lexopt::Error> {
        let words = match (kind, self.words) {
            ("exec", Some(words)) => words.min(rest.len()),
            ("exec", None) if beside => rest.iter().position(|word| word == "--").unwrap_or(rest.len()),
            ("exec", None) => rest.len(),
            _ => 1.min(rest.len()),
        };
        let program = rest.split_off(words);
        let mut program = program.into_iter().peekable();
        program.next_if(|word| word == "--");
        let program: Vec<OsString> = program.collect();
        let Some(first) = rest.first().cloned() else { return Err(format!("{kind}: what to look for is missing").into()) };
        match (beside, program.first()) {
            (true, None) => return Err("--notify needs a program to execute: -- PROGRAM".into()),
            (false, Some(word)) if word.as_encoded_bytes().starts_with(b"-") => {
                return Err(format!("{}: options stand before the kind", word.display()).into());
            }
            (false, Some(word)) => return Err(format!("{}: is one word too many", word.display()).into()),
            (true, Some(_)) | (false, None) => {}
        }
        let target = match kind {
            "tcp" => {
                let place = first.string()?;
                Target::Tcp(endpoint::place(&place).map_err(|what| format!("{place}: {what}"))?)
            }
            "http" => {
                self.question.set_url(&first.string()?)?;
                Target::Http(self.question)
            }
            "unix" => Target::Unix(first.into()),
            "file" => Target::File(first.into(), self.fresh.then(svc_sys::clock::file_ms)),
            "dns" => Target::Name(first.string()?),
            "exec" => Target::Command(rest),
            "log" if beside => Target::Log(Regex::new(first.as_encoded_bytes()).map_err(|what| format!("log: {what}"))?),
            "log" => return Err("log: needs --notify, and a program whose output it reads".into()),
            other => return Err(format!("{other}: no such kind: tcp, http, unix, file, dns, exec or log").into()),
        };
        Ok((target, program))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Nothing => f.write_str("nothing"),
            Target::Tcp(place) => write!(f, "tcp {place}"),
            Target::Http(question) => write!(f, "{question}"),
            Target::Unix(path) => write!(f, "unix {}", path.display()),
            Target::File(path, _) => write!(f, "file {}", path.display()),
            Target::Name(name) => write!(f, "dns {name}"),
            Target::Command(words) => write!(f, "exec {}", words.first().map_or(OsStr::new(""), |word| word).display()),
            Target::Log(_) => f.write_str("log"),
        }
    }
}

impl Target {
    /// Looks once, for no longer than this. What is there, or what is not.
    pub(super) fn attempt(&self, span: Duration) -> Result<String, String> {
        let result = match self {
            Target::Nothing | Target::Log(_) => Err("cannot be asked".into()),
            Target::Tcp(place) => connect(place, Instant::now() + span).map(|_| "takes connections".to_owned()),
            Target::Http(question) => question.ask(Instant::now() + span),
            Target::Unix(path) => unix(path),
            Target::File(path, since) => file(path, *since),
            Target::Name(name) => addresses(&format!("{name}:0")).map(|found| match found.first() {
                Some(address) => address.ip().to_string(),
                None => String::new(),
            }),
            Target::Command(words) => return command::run(words, span),
        };
        match result {
            Ok(said) => Ok(format!("{self}: {said}")),
            Err(why) => Err(format!("{self}: {why}")),
        }
    }

    /// The directory in which something must happen before another look is of use; none where nobody can tell.
    pub(super) fn watched(&self) -> Option<PathBuf> {
        match self {
            Target::Unix(path) | Target::File(path, _) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                Some(parent.map_or_else(|| PathBuf::from("."), PathBuf::from))
            }
            Target::Nothing | Target::Tcp(_) | Target::Http(_) | Target::Name(_) | Target::Command(_) | Target::Log(_) => {
                None
            }
        }
    }

    /// Whether it would have to change before another look finds something else: what is there and refuses may think again.
    pub(super) fn is_absent(&self) -> bool {
        match self {
            Target::Unix(path) => !path.exists(),
            Target::File(..) => true,
            Target::Nothing | Target::Tcp(_) | Target::Http(_) | Target::Name(_) | Target::Command(_) | Target::Log(_) => {
                false
            }
        }
    }
}

fn addresses(place: &str) -> Result<Vec<SocketAddr>, String> {
    let found: Vec<SocketAddr> = place.to_socket_addrs().map_err(|error| plain(&error))?.collect();
    if found.is_empty() { Err("has no address".into()) } else { Ok(found) }
}

/// A connection to the first of its addresses that takes one.
pub(super) fn connect(place: &str, until: Instant) -> Result<TcpStream, String> {
    let mut last = String::from("has no address");
    for address in addresses(place)? {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("no answer in time".into());
        }
        match TcpStream::connect_timeout(&address, left) {
            // Of two ends with one number nobody listens: the kernel has connected us with ourselves.
            Ok(stream) if stream.local_addr().is_ok_and(|own| own == address) => last = "connection refused".into(),
            Ok(stream) => return Ok(stream),
            Err(error) => last = plain(&error),
        }
    }
    Err(last)
}

fn unix(path: &std::path::Path) -> Result<String, String> {
    match UnixStream::connect(path) {
        Ok(_) => Ok("takes connections".into()),
        // A socket for packets, which is bound and so read by somebody, or will be.
        Err(error) if error.raw_os_error() == Some(svc_sys::Errno::WRONG_TYPE.0) => Ok("is there".into()),
        Err(error) => match path.symlink_metadata() {
            Ok(found) if !found.file_type().is_socket() && path.metadata().is_ok_and(|end| !end.file_type().is_socket()) => {
                Err("is no socket".into())
            }
            Ok(_) | Err(_) => Err(plain(&error)),
        },
    }
}

fn file(path: &std::path::Path, since: Option<u64>) -> Result<String, String> {
    let found = path.metadata().map_err(|error| plain(&error))?;
    let newest = found.mtime().max(found.ctime()).max(0) as u64 * 1000
        + if found.mtime() > found.ctime() { found.mtime_nsec() } else { found.ctime_nsec() } as u64 / 1_000_000;
    match since {
        Some(since) if newest < since => Err("is from before the start".into()),
        Some(_) | None => Ok("exists".into()),
    }
}

/// An error without its number, in lower case as all our sentences.
pub(super) fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => "no answer in time".into(),
        _ => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            let mut letters = text.chars();
            letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
        }
    }
}
