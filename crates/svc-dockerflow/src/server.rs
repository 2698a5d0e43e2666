//! HTTP for whoever asks from outside: everything a client can do is bounded.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use svc_proto::api::Services;
use svc_sys::listen;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::answers::{self, Answer};

/// Clients at a time; more wait in the queue of the socket.
const MOST_CLIENTS: usize = 64;
const MOST_HEAD: usize = 8 * 1024;
/// A client that has not sent a request by then is hung up on.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// svc answers within milliseconds; if not, it is not well.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes clients for ever.
pub(crate) async fn serve(listener: TcpListener, version_file: PathBuf) -> Result<Infallible, String> {
    let rooms = Arc::new(Semaphore::new(MOST_CLIENTS));
    let version_file: Rc<Path> = version_file.into();
    loop {
        let Ok(room) = rooms.clone().acquire_owned().await else { return Err("no room for clients".into()) };
        match listener.accept().await {
            Ok((stream, _)) => {
                let version_file = version_file.clone();
                tokio::task::spawn_local(async move {
                    talk(stream, version_file).await;
                    drop(room);
                });
            }
            Err(error) => {
                eprintln!("svc dockerflow: {}", listen::not_accepted(&error));
                tokio::time::sleep(listen::ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn talk(stream: TcpStream, version_file: Rc<Path>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let version_file = version_file.clone();
        async move { Ok::<_, Infallible>(answer(&request, &version_file).await) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(MOST_HEAD);
    // Whatever a client does wrong is its own affair.
    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
}

async fn answer(request: &Request<Incoming>, version_file: &Path) -> Response<Full<Bytes>> {
    let is_question = request.method() == Method::GET || request.method() == Method::HEAD;
    let answer = match request.uri().path() {
        _ if !is_question => Answer::new(405, serde_json::json!({ "error": "only GET and HEAD are answered" })),
        "/__lbheartbeat__" => answers::lbheartbeat(),
        "/__version__" => answers::version(&version_file.display().to_string(), std::fs::read_to_string(version_file)),
        "/__heartbeat__" => heartbeat().await,
        path => answers::not_found(path),
    };
    let body = if request.method() == Method::HEAD { Bytes::new() } else { answer.body.into() };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    headers.insert("cache-control", hyper::header::HeaderValue::from_static("no-store"));
    response
}

async fn heartbeat() -> Answer {
    match tokio::time::timeout(PATIENCE, svc_ctl::ask::fetch::<Services>("/v1/services")).await {
        Ok(Ok(services)) => answers::heartbeat(&services.services),
        Ok(Err(unanswered)) => answers::no_svc(&unanswered.message),
        Err(_) => answers::no_svc("svc does not answer in time"),
    }
}
