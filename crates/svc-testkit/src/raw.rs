//! Bytes to the control socket, and what comes back: for tests that send what no client of ours would.

use std::io::{Read, Result, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::PATIENCE;

/// An answer of the server. `status` is 0 where there was none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Takes apart what came until the connection ended.
    pub fn read(bytes: &[u8]) -> Answer {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let body = String::from_utf8_lossy(bytes.get(end + 4..).unwrap_or_default()).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head, body }
    }

    /// The `error` of a refusal.
    #[track_caller]
    pub fn error(&self) -> String {
        let value: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        value["error"].as_str().unwrap_or_else(|| panic!("no error: {self:?}")).to_owned()
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A connection on which reading does not last longer than a test may.
pub fn connect(socket: &Path) -> Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The head and body of a request after which the server closes.
pub fn request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Sends one request and reads the answer.
pub fn ask(socket: &Path, method: &str, path: &str, body: &str) -> Answer {
    send(socket, request(method, path, body).as_bytes())
}

/// Sends these bytes, as many of them as the server takes, and reads until it closes.
pub fn send(socket: &Path, bytes: &[u8]) -> Answer {
    let mut stream = connect(socket).expect("svc listens");
    let mut reader = stream.try_clone().expect("a descriptor");
    let reading = std::thread::spawn(move || {
        let mut answer = Vec::new();
        // A connection that is reset ends too.
        let _ = reader.read_to_end(&mut answer);
        answer
    });
    // A server that has heard enough does not read the rest.
    let _ = stream.write_all(bytes);
    let answer = reading.join().expect("no panic there");
    let _ = stream.shutdown(Shutdown::Both);
    Answer::read(&answer)
}
