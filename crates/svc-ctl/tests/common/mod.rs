//! A stand-in for svc: answers requests on a socket of its own, and remembers them.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What is answered to one request.
pub enum Reply {
    Json(u16, String),
    /// A chunked body, ended in order.
    Stream(Vec<&'static str>),
    /// A chunked body that breaks off.
    Torn(&'static str),
    /// The connection ends without an answer.
    Hangup,
    /// An answer, and then the end of everything: nobody can connect any more.
    JsonAndEnd(String),
}

pub struct FakeSvc {
    directory: PathBuf,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FakeSvc {
    /// `answer` gets the request line without its HTTP version, and the body.
    pub fn start(answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> FakeSvc {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("svc-ctl-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("the temporary directory can be written");
        let listener = UnixListener::bind(directory.join("control.sock")).expect("the socket is new");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (requests.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (seen.clone(), answer.clone());
                thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        FakeSvc { directory, requests }
    }

    /// svc-ctl with these arguments, told by the environment where this server is.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).env("SVC_RUN_DIR", &self.directory);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::new(self.command(arguments).output().expect("the example was built"))
    }

    pub fn directory(&self) -> &std::path::Path {
        &self.directory
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no test panics while it holds this").clone()
    }
}

impl Drop for FakeSvc {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn new(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into(),
            err: String::from_utf8_lossy(&output.stderr).into(),
        }
    }
}

/// The example program, which `cargo test` builds beside the tests.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("/proc is there");
    test.parent().and_then(|deps| deps.parent()).expect("target/debug/deps").join("examples/svc-ctl")
}

fn serve(stream: UnixStream, seen: &Mutex<Vec<String>>, answer: &dyn Fn(&str, &str) -> Reply) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (request, body) = read_request(&mut reader)?;
        seen.lock().ok()?.push(if body.is_empty() { request.clone() } else { format!("{request} {body}") });
        match answer(&request, &body) {
            Reply::Json(status, json) => write_json(&mut writer, status, &json)?,
            Reply::Stream(parts) => {
                write!(writer, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").ok()?;
                for part in parts {
                    write!(writer, "{:x}\r\n{part}\r\n", part.len()).ok()?;
                }
                write!(writer, "0\r\n\r\n").ok()?;
            }
            Reply::Torn(part) => {
                write!(writer, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{part}\r\n", part.len())
                    .ok()?;
                return None;
            }
            Reply::Hangup => return None,
            Reply::JsonAndEnd(json) => {
                std::fs::remove_file(writer.local_addr().ok()?.as_pathname()?).ok()?;
                write_json(&mut writer, 200, &json)?;
                return None;
            }
        }
    }
}

fn read_request(reader: &mut BufReader<UnixStream>) -> Option<(String, String)> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first.trim().trim_end_matches(" HTTP/1.1").to_string(), String::from_utf8_lossy(&body).into()))
}

fn write_json(writer: &mut UnixStream, status: u16, json: &str) -> Option<()> {
    write!(writer, "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{json}", json.len())
        .ok()
}
