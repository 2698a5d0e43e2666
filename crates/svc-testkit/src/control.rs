//! The control socket, without svc-ctl in between: tests of the server should not depend on the client.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use svc_proto::api::{Change, EventKind};

use crate::PATIENCE;

/// One request whose answer is a JSON value.
pub fn get<T: serde::de::DeserializeOwned>(socket: &Path, path: &str) -> Result<T> {
    request(socket, "GET", path, "")
}

/// One request with a JSON body.
pub fn post<T: serde::de::DeserializeOwned>(socket: &Path, path: &str, body: &impl serde::Serialize) -> Result<T> {
    request(socket, "POST", path, &serde_json::to_string(body)?)
}

fn request<T: serde::de::DeserializeOwned>(socket: &Path, method: &str, path: &str, body: &str) -> Result<T> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: {length}\r\n");
    let typed = "Content-Type: application/json\r\n\r\n";
    stream.write_all(format!("{head}{typed}{body}").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    serde_json::from_slice(&answer[end + 4..]).map_err(Error::from)
}

/// The stream of events.
pub struct Events {
    reader: BufReader<UnixStream>,
    /// Events that somebody looked past.
    waiting: Vec<Change>,
}

impl Events {
    /// Returns when the server has said that everything from now on is told.
    pub fn subscribe(socket: &Path) -> Result<Events> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET /v1/events HTTP/1.1\r\nHost: svc\r\n\r\n")?;
        let mut events = Events { reader: BufReader::new(stream), waiting: Vec::new() };
        let first = events.read()?;
        if first.event == EventKind::Subscribed { Ok(events) } else { Err(ErrorKind::InvalidData.into()) }
    }

    /// The next event of one service; those of others wait.
    #[track_caller]
    pub fn next_of(&mut self, service: &str) -> Change {
        if let Some(index) = self.waiting.iter().position(|change| change.service == service) {
            return self.waiting.remove(index);
        }
        loop {
            match self.read() {
                Ok(change) if change.service == service => return change,
                Ok(change) => self.waiting.push(change),
                Err(error) => panic!("{service}: no event: {error}"),
            }
        }
    }

    /// Lines of JSON in chunks; heads and chunk sizes are passed over, since no JSON object looks like them.
    fn read(&mut self) -> Result<Change> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if line.starts_with('{') {
                return serde_json::from_str(&line).map_err(Error::from);
            }
        }
    }
}
