//! `check --dockerflow`: what Mozilla's Dockerflow asks of an image and its application, as far as it can be seen from inside.

use std::fs;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use svc_proto::api::Version;

use crate::exit::{Code, Failure};
use crate::output::Output;

const VERSION_FILE: &str = "/app/version.json";
const ID: &str = "10001";
const PATIENCE: Duration = Duration::from_secs(5);
const MOST_BODY: usize = 1 << 20;

/// What became of one demand.
enum Found {
    Yes(String),
    No(String),
    /// It cannot be seen from here; what to do to see it.
    Unseen(String),
}

pub fn run(json: bool, out: &mut Output) -> Result<Code, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.map_err(|error| Failure::system(format!("cannot set up an event loop: {error}")))?;
    let all = runtime.block_on(demands());
    let failed = all.iter().filter(|(_, found)| matches!(found, Found::No(_))).count();
    for (demand, found) in &all {
        let (word, detail) = match found {
            Found::Yes(detail) => ("yes", detail),
            Found::No(detail) => ("NO", detail),
            Found::Unseen(detail) => ("?", detail),
        };
        match json {
            true => out.json(&json!({ "demand": demand, "holds": word, "detail": detail }))?,
            false => out.line(&format!("{word:4}{demand}: {detail}"))?,
        }
    }
    if !json {
        out.line(&format!("{} demands, {failed} not met", all.len()))?;
    }
    out.flush()?;
    Ok(if failed == 0 { Code::Done } else { Code::Failed })
}

async fn demands() -> Vec<(&'static str, Found)> {
    let port = port();
    // While an image is built nothing runs in it.
    let runs = crate::ask::fetch::<Version>("/v1/version").await.is_ok();
    let mut all = vec![
        ("the application is in /app", directory()),
        ("there is a group app with the gid 10001", entry("/etc/group", 2, ": groupadd --gid 10001 app")),
        ("there is a user app with the uid 10001", entry("/etc/passwd", 2, ": useradd --uid 10001 --gid 10001 app")),
        ("app is the group of the user app", entry("/etc/passwd", 3, ": useradd --uid 10001 --gid 10001 app")),
        ("the container runs as the user app", runs_as_app(runs)),
        (
            "/app/version.json is the version object",
            version_file().map_or_else(Found::No, |_| Found::Yes("it has all four keys".into())),
        ),
        (
            "the port is taken from PORT",
            port.as_ref().map_or_else(|what| Found::No(what.clone()), |port| Found::Yes(format!("PORT is {port}"))),
        ),
    ];
    for (demand, path) in [
        ("/__version__ answers with that object", "/__version__"),
        ("/__heartbeat__ answers with 200 or 5xx", "/__heartbeat__"),
        ("/__lbheartbeat__ answers with 200", "/__lbheartbeat__"),
    ] {
        let found = match &port {
            _ if !runs => Found::Unseen("svc does not run here: check in the running container".into()),
            Err(what) => Found::No(what.clone()),
            Ok(port) => match get(*port, path).await {
                Ok((code, body)) => judge(path, code, &body),
                Err(what) => Found::No(format!(
                    "http://127.0.0.1:{port}{path}: {what}: let `svc dockerflow` be a service, or answer it in the application"
                )),
            },
        };
        all.push((demand, found));
    }
    let outside = "docker inspect --format '{{.Config.Entrypoint}} {{.Config.Cmd}}' IMAGE shows it";
    all.push(("the image has an ENTRYPOINT and a CMD", Found::Unseen(outside.into())));
    all.push(("configuration comes from the environment", configuration()));
    all.push((
        "logs are text on standard output and error",
        Found::Unseen("svc passes on what services write there".into()),
    ));
    all.push((
        "the application serves its own static content",
        Found::Unseen("look whether pages load their pictures and scripts from PORT, and not from another server".into()),
    ));
    all
}

fn port() -> Result<u16, String> {
    let port = std::env::var("PORT").map_err(|_| "PORT is not set: ENV PORT=8000 in the Dockerfile".to_owned())?;
    port.parse().map_err(|_| format!("PORT is {port}, and must be a number"))
}

/// Where some of it comes in a file, CONFIG_PATH names that.
fn configuration() -> Found {
    let path = std::env::var_os("CONFIG_PATH").unwrap_or_default();
    let shown = path.display();
    if path.is_empty() {
        return Found::Unseen("svc hands on the environment of the container; CONFIG_PATH names no file beside it".into());
    }
    match fs::File::open(&path) {
        Ok(_) => Found::Yes(format!("CONFIG_PATH is {shown}, and can be read")),
        Err(error) => Found::No(format!("CONFIG_PATH is {shown}: {error}: mount it so that the user app can read it")),
    }
}

fn directory() -> Found {
    match fs::read_dir("/app").map(|mut entries| entries.next().is_some()) {
        Ok(true) => Found::Yes("it is".into()),
        Ok(false) => Found::No("/app is empty: COPY the sources there".into()),
        Err(error) => Found::No(format!("/app: {error}: COPY the sources there")),
    }
}

/// Whether field `field` of the line of `app` is 10001.
fn entry(file: &str, field: usize, cure: &str) -> Found {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields.first() == Some(&"app"));
    match value.as_ref().and_then(|fields| fields.get(field)) {
        Some(&ID) => Found::Yes(format!("as {file} says")),
        Some(other) => Found::No(format!("in {file} it is {other}{cure}")),
        None => Found::No(format!("{file} has no app{cure}")),
    }
}

fn runs_as_app(runs: bool) -> Found {
    use std::os::unix::fs::MetadataExt;
    // Whoever asks may be somebody else (docker exec -u): what counts is the first process.
    let process = if runs { "/proc/1" } else { "/proc/self" };
    match fs::metadata(process).map(|metadata| metadata.uid()) {
        Ok(10001) => Found::Yes("it does".into()),
        Ok(uid) => Found::No(format!("the uid is {uid}: USER app in the Dockerfile")),
        Err(error) => Found::Unseen(format!("{process}: {error}")),
    }
}

fn version_file() -> Result<Value, String> {
    let text = fs::read_to_string(VERSION_FILE)
        .map_err(|error| format!("{VERSION_FILE}: {error}: write it when the image is built"))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| format!("{VERSION_FILE}:{}:{}: is no JSON: {error}", error.line(), error.column()))?;
    let missing: Vec<&str> =
        ["source", "version", "commit", "build"].into_iter().filter(|key| !value[key].is_string()).collect();
    if missing.is_empty() { Ok(value) } else { Err(format!("{VERSION_FILE}: has no {}", missing.join(", "))) }
}

fn judge(path: &str, code: u16, body: &[u8]) -> Found {
    let said = format!("it answered {code}");
    match (path, code) {
        ("/__version__", 200) => match (version_file(), serde_json::from_slice::<Value>(body)) {
            (Ok(file), Ok(answer)) if file == answer => Found::Yes(said),
            (Ok(_), _) => Found::No(format!("it does not answer what {VERSION_FILE} says")),
            (Err(what), _) => Found::No(what),
        },
        ("/__heartbeat__", 200 | 500..=599) | ("/__lbheartbeat__", 200) => Found::Yes(said),
        (_, _) => Found::No(said),
    }
}

async fn get(port: u16, path: &str) -> Result<(u16, Vec<u8>), String> {
    let words = |error: hyper::Error| error.to_string();
    let ask = async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(words)?;
        let request =
            Request::get(path).header("host", "127.0.0.1").body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
        let answer = async move {
            let response = sender.send_request(request).await.map_err(words)?;
            let code = response.status().as_u16();
            let body = Limited::new(response.into_body(), MOST_BODY).collect().await.map_err(|error| error.to_string())?;
            Ok((code, body.to_bytes().to_vec()))
        };
        // The connection moves the bytes; it ends when the other side hangs up, or when there is nothing to send any more.
        tokio::join!(answer, connection).0
    };
    tokio::time::timeout(PATIENCE, ask).await.unwrap_or_else(|_| Err("no answer in time".into()))
}
