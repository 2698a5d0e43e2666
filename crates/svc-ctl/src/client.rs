//! Requests to svc: HTTP/1.1 over the control socket, one connection for all requests of a run.

use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use svc_proto::api::{ErrorBody, Services};
use tokio::task::JoinHandle;

use crate::exit::{Code, Failure};
use crate::places;

/// How long a question may take that svc answers from memory. More means that it hangs, and whoever asked should know.
pub const QUESTION: Duration = Duration::from_secs(10);
/// What a request with a timeout of its own gets on top, so that svc's answer ("timed out") comes before our giving up.
pub const GRACE: Duration = Duration::from_secs(2);
/// The largest answer taken: 10,000 services need about 5 MB.
const ANSWER_LIMIT: usize = 64 << 20;
/// The longest line of a stream taken. svc cuts lines far earlier.
const LINE_LIMIT: usize = 16 << 20;

/// A connection that is made at the first request.
pub struct Client {
    socket: Option<PathBuf>,
    connection: Option<Connection>,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Moves the bytes; ends with the connection.
    driver: JoinHandle<hyper::Result<()>>,
    /// Where it leads.
    peer: Option<SocketAddr>,
}

impl Client {
    pub fn new(socket: Option<PathBuf>) -> Client {
        Client { socket, connection: None }
    }

    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Failure> {
        let answer = self.request(Method::GET, path, Bytes::new());
        patient(Some(QUESTION), path, answer).await.and_then(|bytes| parse(path, &bytes))
    }

    pub async fn services(&mut self) -> Result<Services, Failure> {
        self.get("/v1/services").await
    }

    /// Sends a request that changes something. `patience` is for the whole answer; none: as long as it takes.
    pub async fn post<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
        patience: Option<Duration>,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::system(format!("cannot write a request: {error}")))?;
        let answer = self.request(Method::POST, path, Bytes::from(body));
        patient(patience, path, answer).await.and_then(|bytes| parse(path, &bytes))
    }

    /// Opens a stream of JSON lines.
    pub async fn stream(&mut self, path: &str) -> Result<Lines, Failure> {
        let response = patient(Some(QUESTION), path, self.send(Method::GET, path, Bytes::new())).await?;
        match response.status().is_success() {
            true => Ok(Lines { body: response.into_body(), pending: Vec::new() }),
            false => Err(refusal(response.status(), &whole(response).await?)),
        }
    }

    /// Waits until nobody has the socket open any more. Nothing may be sent after it.
    pub async fn gone(&mut self) {
        while let Some(connection) = self.connection.take() {
            // How it ends does not matter here; the sender is kept until then, since dropping it would close the connection.
            let _ = connection.driver.await;
            drop(connection.sender);
            // svc-scan is gone. svc-init, which ends last, holds the socket: who connects now is held until its end.
            let again = connection.peer.and_then(|peer| UnixStream::connect_addr(&peer).ok());
            self.connection = match again {
                Some(stream) => talk(stream).await.ok(),
                None => None,
            };
        }
    }

    async fn request(&mut self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Failure> {
        let response = self.send(method, path, body).await?;
        let status = response.status();
        let bytes = whole(response).await?;
        if status.is_success() { Ok(bytes) } else { Err(refusal(status, &bytes)) }
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|error| Failure::usage(format!("cannot ask svc for {path}: {error}")))?;
        let headers = request.headers_mut();
        headers.insert(hyper::header::HOST, hyper::header::HeaderValue::from_static("svc"));
        if request.method() == Method::POST {
            let json = hyper::header::HeaderValue::from_static("application/json");
            request.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
        }
        self.ready().await?.send_request(request).await.map_err(|error| lost(&error))
    }

    /// The connection, made anew if svc has closed it since the last answer.
    async fn ready(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Failure> {
        let alive = match &mut self.connection {
            Some(connection) => connection.sender.ready().await.is_ok(),
            None => false,
        };
        if !alive {
            self.connection = Some(connect(self.socket.as_deref()).await?);
        }
        Ok(&mut self.connection.as_mut().expect("made above").sender)
    }
}

async fn connect(socket: Option<&Path>) -> Result<Connection, Failure> {
    // Connected before it is made non-blocking: a non-blocking connect fails at once while svc's queue is full.
    talk(places::connect(socket)?).await
}

async fn talk(stream: UnixStream) -> Result<Connection, Failure> {
    let peer = stream.peer_addr().ok();
    let unusable = |error| Failure::system(format!("cannot use the control socket: {error}"));
    stream.set_nonblocking(true).map_err(unusable)?;
    let stream = tokio::net::UnixStream::from_std(stream).map_err(unusable)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| lost(&error))?;
    Ok(Connection { sender, driver: tokio::spawn(connection), peer })
}

/// Lines of JSON as they come.
pub struct Lines {
    body: Incoming,
    pending: Vec<u8>,
}

impl Lines {
    /// The next complete lines, at least one, each with its newline; none at the orderly end of the stream.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            match self.body.frame().await {
                Some(Ok(frame)) => self.pending.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
                Some(Err(error)) => return Err(lost(&error)),
                None if self.pending.is_empty() => return Ok(None),
                None => {
                    // Only a server that was interrupted leaves half a line.
                    return Err(Failure::system("the stream ended in the middle of a line: ask again".into()));
                }
            }
            if let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') {
                let rest = self.pending.split_off(end + 1);
                return Ok(Some(std::mem::replace(&mut self.pending, rest)));
            }
            if self.pending.len() > LINE_LIMIT {
                return Err(Failure::system(format!("svc sent a line of more than {LINE_LIMIT} bytes")));
            }
        }
    }
}

/// Gives up after `patience`.
async fn patient<T>(
    patience: Option<Duration>,
    path: &str,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let Some(patience) = patience else { return answer.await };
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::timed_out(format!(
            "svc took the request for {path} but has not answered in {}: svc-scan is stopped, or has thousands of directories to read",
            crate::span::human(patience.as_secs_f64())
        ))),
    }
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, Failure> {
    match Limited::new(response.into_body(), ANSWER_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(match error.downcast_ref::<hyper::Error>() {
            Some(error) => lost(error),
            None => Failure::system(format!("svc's answer has more than {ANSWER_LIMIT} bytes")),
        }),
    }
}

/// Reads an answer, or a line of a stream.
pub fn parse<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Failure> {
    // Checked as a whole: then its many texts need not be, each by itself.
    let text = std::str::from_utf8(bytes).map_err(serde::de::Error::custom);
    text.and_then(serde_json::from_str).map_err(|error: serde_json::Error| {
        Failure::system(format!(
            "cannot understand svc's answer to {what} ({error}): svc-ctl is version {}, and curl --unix-socket SOCKET \
             http://svc/v1/version tells what svc is",
            env!("CARGO_PKG_VERSION")
        ))
    })
}

/// An answer that says no. Its text names what, where and the cure.
fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    let message = match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) => body.error,
        Err(_) => format!("svc refused: {status}"),
    };
    let code = match status {
        StatusCode::BAD_REQUEST => Code::Usage,
        StatusCode::NOT_FOUND => Code::NoSuchService,
        _ => Code::System,
    };
    Failure::Told { code, message }
}

fn lost(error: &hyper::Error) -> Failure {
    let mut cause = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        cause.push_str(&format!(": {source}"));
    }
    Failure::Lost(cause)
}

/// A name as one segment of a path, or one value of a query.
pub fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte as char),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_path() {
        assert_eq!(encode("web/log"), "web%2Flog");
        assert_eq!(encode("café au lait"), "caf%C3%A9%20au%20lait");
    }

    #[test]
    fn a_refusal_keeps_its_words() {
        let code = |status| match refusal(status, br#"{"error":"no"}"#) {
            Failure::Told { code, message } => (code.number(), message),
            Failure::ReaderGone | Failure::Lost(_) => unreachable!("a refusal is told"),
        };
        assert_eq!(code(StatusCode::FORBIDDEN), (111, "no".into()));
        assert_eq!(code(StatusCode::BAD_REQUEST), (100, "no".into()));
        assert_eq!(code(StatusCode::NOT_FOUND), (102, "no".into()));
        assert_eq!(code(StatusCode::SERVICE_UNAVAILABLE), (111, "no".into()));
    }
}
