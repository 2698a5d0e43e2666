//! HTTP over the control socket: turns requests into [`Ask`]s, and answers into responses.
//!
//! Everything a client can do is bounded: how many there are, how long a head and a body may take and be, how far behind the
//! reader of a stream may fall. Who may do what is decided by who connects (SO_PEERCRED).

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use svc_proto::api;
use svc_proto::json::line;
use svc_proto::ledger::MAX_SLOTS;
use svc_sys::process::{self, Peer};
use svc_sys::{fd, listen, say, user};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::clients::{Ask, NotScaled, STREAM_ROOM};

/// Clients at a time. Those above it are told so.
const MOST_CLIENTS: usize = 512;
/// Clients of one who may only look: they leave room for those who steer.
const MOST_CLIENTS_OF_ONE: usize = 128;
/// Clients at a time who are being told that there is no room; more wait in the queue of the socket.
const MOST_REFUSED: usize = 64;
/// Of the limit of descriptors, clients leave this part free for directories and supervisors: those who steer, and those who
/// may only look.
const LEFT_BY_STEERERS: u64 = 16;
const LEFT_BY_LOOKERS: u64 = 4;
const RAISE: &str = "end some clients, or raise the limit with docker run --ulimit nofile=65536";
/// A client that has not sent its head, or its next request, by then is hung up on.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The same for one who is to be refused: as a rule the head has been sent before its turn came, and others wait.
const REFUSAL_TIME: Duration = Duration::from_millis(100);
const BODY_TIME: Duration = Duration::from_secs(10);
const MOST_HEAD: usize = 16 * 1024;
const MOST_BODY: usize = 1024 * 1024;
/// Names in a request: twice as many as there can be processes.
const MOST_NAMES: usize = 2 * MAX_SLOTS as usize;

/// What goes back: a whole answer, or a stream of lines.
enum Answer {
    Whole(Full<Bytes>),
    Lines { first: Option<Bytes>, rest: Option<mpsc::Receiver<Vec<u8>>> },
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Answer::Whole(body) => Pin::new(body).poll_frame(context),
            Answer::Lines { first, rest } => {
                if let Some(first) = first.take() {
                    return Poll::Ready(Some(Ok(Frame::data(first))));
                }
                match rest {
                    Some(rest) => rest.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line.into())))),
                    None => Poll::Ready(None),
                }
            }
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Answer::Whole(body) => body.size_hint(),
            Answer::Lines { .. } => hyper::body::SizeHint::default(),
        }
    }
}

/// A request that cannot be served as it is.
struct Refusal(StatusCode, String);

type Served = Result<Response<Answer>, Refusal>;

/// Takes clients for ever. `others`: sockets to take them from instead.
pub(crate) async fn serve(
    mut listener: UnixListener,
    mut others: mpsc::UnboundedReceiver<UnixListener>,
    asks: mpsc::Sender<Ask>,
) {
    let mut rooms = Rooms::new(fd::limit_of_descriptors().map_or(u64::MAX, |limit| limit.soft));
    let mut said = false;
    loop {
        let Ok(doorway) = rooms.doorway.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(other) = others.recv() => {
                listener = other;
                continue;
            }
            () = asks.closed() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                said = false;
                let asks = asks.clone();
                let peer = process::peer(stream.as_fd()).ok();
                let place = rooms.place(peer, stream.as_raw_fd());
                tokio::task::spawn_local(async move {
                    match place {
                        Ok(place) => {
                            drop(doorway);
                            talk(stream, peer, asks, None).await;
                            drop(place);
                        }
                        Err(full) => {
                            talk(stream, peer, asks, Some(full)).await;
                            drop(doorway);
                        }
                    }
                });
            }
            Err(error) => {
                // Once: it may go on for long.
                if !std::mem::replace(&mut said, true) {
                    say!("svc-scan: {}", listen::not_accepted(&error));
                }
                tokio::time::sleep(listen::ACCEPT_PAUSE).await;
            }
        }
    }
}

/// How much room is taken, and by whom.
struct Rooms {
    all: Arc<Semaphore>,
    doorway: Arc<Semaphore>,
    /// The places that are left of each uid that may only look.
    lookers: HashMap<u32, Arc<Semaphore>>,
    /// Of descriptors.
    limit: u64,
}

impl Rooms {
    fn new(limit: u64) -> Rooms {
        // Who is refused has a descriptor too, of those that are left.
        let refused = (limit / LEFT_BY_STEERERS / 2).clamp(1, MOST_REFUSED as u64);
        Rooms {
            all: Arc::new(Semaphore::new(MOST_CLIENTS)),
            doorway: Arc::new(Semaphore::new(refused as usize)),
            lookers: HashMap::new(),
            limit,
        }
    }

    /// A place for a client with this descriptor, held until it is dropped; or why there is none.
    fn place(&mut self, peer: Option<Peer>, number: RawFd) -> Result<[Option<OwnedSemaphorePermit>; 2], String> {
        let may_steer = steers(peer).is_ok();
        let part = if may_steer { LEFT_BY_STEERERS } else { LEFT_BY_LOOKERS };
        // The lowest number that is free is given, so it tells how many are open.
        if number as u64 >= self.limit - self.limit / part {
            return Err(format!("nearly all of the {} descriptors that svc-scan may have are open: {RAISE}", self.limit));
        }
        let mut own = None;
        if !may_steer {
            let uid = peer.map_or(u32::MAX, |peer| peer.uid);
            self.lookers.retain(|_, left| left.available_permits() < MOST_CLIENTS_OF_ONE);
            let left = self.lookers.entry(uid).or_insert_with(|| Arc::new(Semaphore::new(MOST_CLIENTS_OF_ONE)));
            let Ok(place) = left.clone().try_acquire_owned() else {
                return Err(format!("uid {uid} has {MOST_CLIENTS_OF_ONE} connections open, which is the most: close some"));
            };
            // The last quarter is for those who steer.
            if self.all.available_permits() <= MOST_CLIENTS / 4 {
                return Err(format!("too many clients are connected (of {MOST_CLIENTS}): try again in a second"));
            }
            own = Some(place);
        }
        match self.all.clone().try_acquire_owned() {
            Ok(place) => Ok([Some(place), own]),
            Err(_) => Err(format!("{MOST_CLIENTS} clients are connected, which is the most: try again in a second")),
        }
    }
}

/// Answers one client; with the same words always, if it is to be refused.
async fn talk(stream: UnixStream, peer: Option<Peer>, asks: mpsc::Sender<Ask>, full: Option<String>) {
    let full = &full;
    let hub = asks.clone();
    let service = service_fn(|request: Request<Incoming>| {
        let asks = asks.clone();
        async move {
            let answer = match full {
                None => answer(request, peer, &asks).await,
                Some(full) => Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, full.clone())),
            };
            let response = match answer {
                Ok(response) => response,
                Err(Refusal(status, error)) => json(status, &api::ErrorBody { error }),
            };
            Ok::<_, Infallible>(response)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(if full.is_some() { REFUSAL_TIME } else { HEAD_TIME })
        .keep_alive(full.is_none())
        .max_buf_size(MOST_HEAD)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // A client that breaks off, or talks nonsense, has had its answer from hyper; there is nobody to tell.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = hub.closed() => {}
    }
    // The end: what is under way is answered, and nothing new is taken.
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>, peer: Option<Peer>, asks: &mpsc::Sender<Ask>) -> Served {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let Some(rest) = path.strip_prefix("/v1/") else {
        return Err(Refusal(StatusCode::NOT_FOUND, format!("{path}: no such path: this is version 1, under /v1/")));
    };
    let method = request.method().clone();
    let get = method == Method::GET;
    let known = POSTS.contains(&rest) || GETS.contains(&rest) || rest.starts_with("services/");
    if known && method != if POSTS.contains(&rest) { Method::POST } else { Method::GET } {
        let needed = if POSTS.contains(&rest) { "POST" } else { "GET" };
        return Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, format!("{path} takes {needed}, not {method}")));
    }
    match (rest, get) {
        ("version", true) => ask(asks, Ask::Version).await.map(|version| json(StatusCode::OK, &version)),
        ("services", true) => ask(asks, Ask::Services).await.map(|services| json(StatusCode::OK, &services)),
        ("graph", true) => ask(asks, Ask::Graph).await.map(|graph| json(StatusCode::OK, &graph)),
        ("boot", true) => ask(asks, Ask::Boot).await.map(|boot| json(StatusCode::OK, &boot)),
        ("events", true) => {
            let (lines, rest) = mpsc::channel(STREAM_ROOM);
            send(asks, Ask::Events { lines }).await?;
            Ok(stream(None, Some(rest)))
        }
        ("logs", true) => {
            let (mut services, lines, follow) = log_query(&query)?;
            once(&mut services)?;
            let logs = ask(asks, |answer| Ask::Logs { services, lines, follow, answer }).await?;
            let logs = logs.map_err(|error| Refusal(StatusCode::NOT_FOUND, error))?;
            let first: Vec<u8> = logs.first.iter().flat_map(line).collect();
            Ok(stream((!first.is_empty()).then(|| first.into()), logs.rest))
        }
        (service, true) if service.starts_with("services/") => {
            // In a path `+` is itself.
            let service = decode(&service.strip_prefix("services/").unwrap_or_default().replace('+', "%2B"));
            let name = service.clone();
            match ask(asks, |answer| Ask::Detail { service, answer }).await? {
                Some(detail) => Ok(json(StatusCode::OK, &detail)),
                None => Err(Refusal(StatusCode::NOT_FOUND, format!("{name}: no such service"))),
            }
        }
        ("wait", false) => {
            let mut wait: api::Wait = body(request).await?;
            once(&mut wait.services)?;
            ask(asks, |answer| Ask::Wait { wait, answer }).await.map(|outcomes| json(StatusCode::OK, &outcomes))
        }
        ("control", false) => {
            steers(peer)?;
            let mut control: api::Control = body(request).await?;
            once(&mut control.services)?;
            match ask(asks, |answer| Ask::Control { control, answer }).await? {
                Ok(outcomes) => Ok(json(StatusCode::OK, &outcomes)),
                Err(error) => Err(Refusal(StatusCode::BAD_REQUEST, error)),
            }
        }
        ("plan", true) => ask(asks, Ask::Plan).await.map(|plan| json(StatusCode::OK, &plan)),
        ("apply", false) => {
            steers(peer)?;
            let mut apply: api::Apply = body(request).await?;
            once(&mut apply.services)?;
            match ask(asks, |answer| Ask::Apply { apply, answer }).await? {
                Ok(outcomes) => Ok(json(StatusCode::OK, &outcomes)),
                Err(error) => Err(Refusal(StatusCode::BAD_REQUEST, error)),
            }
        }
        ("scale", false) => {
            steers(peer)?;
            let scale = body(request).await?;
            match ask(asks, |answer| Ask::Scale { scale, answer }).await? {
                Ok(scaled) => Ok(json(StatusCode::OK, &scaled)),
                Err(NotScaled::NoSuchService(error)) => Err(Refusal(StatusCode::NOT_FOUND, error)),
                Err(NotScaled::Refused(error)) => Err(Refusal(StatusCode::BAD_REQUEST, error)),
            }
        }
        ("rescan", false) => {
            steers(peer)?;
            ask(asks, Ask::Rescan).await.map(|done| json(StatusCode::OK, &done))
        }
        ("shutdown", false) => {
            steers(peer)?;
            let shutdown = body(request).await?;
            let done = ask(asks, |answer| Ask::Shutdown { shutdown, answer }).await?;
            Ok(json(StatusCode::OK, &done))
        }
        (_, true | false) => {
            Err(Refusal(StatusCode::NOT_FOUND, format!("{path}: no such path: docs/openapi.yaml lists them")))
        }
    }
}

const GETS: [&str; 7] = ["plan", "version", "services", "graph", "boot", "events", "logs"];
const POSTS: [&str; 6] = ["apply", "wait", "control", "rescan", "scale", "shutdown"];

/// Who may do more than look: root, and whoever svc runs as.
fn steers(peer: Option<Peer>) -> Result<(), Refusal> {
    let owner = user::effective_uid();
    match peer {
        Some(peer) if peer.uid == 0 || peer.uid == owner => Ok(()),
        Some(peer) => {
            let who = if owner == 0 { "root".to_owned() } else { format!("root or uid {owner}") };
            Err(Refusal(
                StatusCode::FORBIDDEN,
                format!("uid {} may look, but not steer: that takes {who}, who runs svc", peer.uid),
            ))
        }
        None => {
            Err(Refusal(StatusCode::FORBIDDEN, "cannot tell who you are (SO_PEERCRED): you may look, but not steer".into()))
        }
    }
}

async fn send(asks: &mpsc::Sender<Ask>, ask: Ask) -> Result<(), Refusal> {
    asks.send(ask).await.map_err(|_| ending())
}

async fn ask<T>(asks: &mpsc::Sender<Ask>, make: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Refusal> {
    let (answer, answered) = oneshot::channel();
    send(asks, make(answer)).await?;
    answered.await.map_err(|_| ending())
}

fn ending() -> Refusal {
    Refusal(StatusCode::SERVICE_UNAVAILABLE, "svc-scan is ending".into())
}

async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    let collected = tokio::time::timeout(BODY_TIME, Limited::new(request.into_body(), MOST_BODY).collect()).await;
    let bytes = match collected {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) => {
            let (status, cure) = if error.is::<http_body_util::LengthLimitError>() {
                (StatusCode::PAYLOAD_TOO_LARGE, format!("at most {MOST_BODY} bytes"))
            } else {
                (StatusCode::BAD_REQUEST, "send all that its head announces".to_owned())
            };
            return Err(Refusal(status, format!("the body cannot be read: {error}: {cure}")));
        }
        Err(_) => return Err(Refusal(StatusCode::REQUEST_TIMEOUT, "the body did not come within 10 s".into())),
    };
    let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
    serde_json::from_slice(&bytes)
        .map_err(|error| Refusal(StatusCode::BAD_REQUEST, format!("the body is not what this takes: {error}")))
}

/// Leaves each name once, so that an answer is no longer than there are names, however often they stand in the request.
fn once(names: &mut Vec<String>) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    if names.len() <= MOST_NAMES {
        return Ok(());
    }
    Err(Refusal(StatusCode::BAD_REQUEST, format!("{} names of services: at most {MOST_NAMES} at once", names.len())))
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Answer> {
    respond(status, "application/json", Answer::Whole(Full::new(line(value).into())))
}

fn stream(first: Option<Bytes>, rest: Option<mpsc::Receiver<Vec<u8>>>) -> Response<Answer> {
    respond(StatusCode::OK, "application/x-ndjson", Answer::Lines { first, rest })
}

fn respond(status: StatusCode, kind: &'static str, answer: Answer) -> Response<Answer> {
    let mut response = Response::new(answer);
    *response.status_mut() = status;
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

/// The words behind the question mark of /v1/logs.
fn log_query(query: &str) -> Result<(Vec<String>, Option<usize>, bool), Refusal> {
    let (mut services, mut lines, mut follow) = (Vec::new(), None, false);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value);
        match key {
            "service" => services.push(value),
            "lines" => match value.parse() {
                Ok(number) => lines = Some(number),
                Err(_) => return Err(Refusal(StatusCode::BAD_REQUEST, format!("lines={value}: must be a number"))),
            },
            "follow" => match value.as_str() {
                "" | "0" => follow = false,
                "1" => follow = true,
                _ => return Err(Refusal(StatusCode::BAD_REQUEST, format!("follow={value}: must be 0 or 1"))),
            },
            other => {
                return Err(Refusal(
                    StatusCode::BAD_REQUEST,
                    format!("{other}: unknown; known are service, lines and follow"),
                ));
            }
        }
    }
    Ok((services, lines, follow))
}

/// Percent-decoding, and `+` for a blank as forms write it. What is no valid escape stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = match bytes.get(at + 1..at + 3) {
            Some(digits) if byte == b'%' => {
                std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok())
            }
            Some(_) | None => None,
        };
        match escaped {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_nonsense_stays() {
        assert_eq!(decode("web%2Flog"), "web/log");
        assert_eq!(decode("a+b%20c"), "a b c");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%e4%f"), "%zz\u{fffd}%f");
    }
}
