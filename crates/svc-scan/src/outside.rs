//! What is found out beside the hub: whether endpoints answer, and what commands of conditions say. A task each, which tells the
//! hub, and ends when it is dropped.
//!
//! Nobody outside says when he is there, so he is asked again and again; a little later each time.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use svc_core::run::said_by_exec;
use svc_core::{Pid, ServiceName, Signal};
use svc_def::{CommandCondition, Endpoint};
use svc_sys::process::PidFd;
use svc_sys::say;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;

use crate::links;

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long the command of a condition may take.
const COMMAND: Duration = Duration::from_secs(10);
/// How long files may take to be made: a distribution may be large, and on a slow disk.
const MAKING: Duration = Duration::from_secs(600);

/// What the hub is told.
pub(crate) enum News {
    /// A condition that takes a command was looked at: why it does not hold.
    Judged { name: ServiceName, round: u64, verdict: Result<(), String> },
    /// The files of a running service were made again.
    Made { name: ServiceName, result: Result<(), String> },
    /// An endpoint was tried.
    Tried { name: ServiceName, round: u64, index: usize, answer: Result<(), String> },
}

pub(crate) type Reporter = mpsc::UnboundedSender<News>;

/// A task that ends when nobody wants to know any more.
pub(crate) struct Task(tokio::task::AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tries an endpoint until it answers. Each other result than the last one is told.
pub(crate) fn try_endpoint(name: ServiceName, round: u64, index: usize, endpoint: Endpoint, reporter: Reporter) -> Task {
    let task = async move {
        let (mut pause, mut last) = (FIRST_PAUSE, None);
        loop {
            let answer = match tokio::time::timeout(ATTEMPT, attempt(&endpoint)).await {
                Ok(answer) => answer,
                Err(_) => Err("no answer".into()),
            };
            let is_there = answer.is_ok();
            if last.as_ref() != Some(&answer) {
                last = Some(answer.clone());
                let _ = reporter.send(News::Tried { name: name.clone(), round, index, answer });
            }
            if is_there {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    };
    Task(tokio::task::spawn_local(task).abort_handle())
}

async fn attempt(endpoint: &Endpoint) -> Result<(), String> {
    match endpoint {
        Endpoint::Tcp(place) => TcpStream::connect(place).await.map(drop).map_err(short),
        Endpoint::Http(url) => http(&url.place, &url.host, &url.path).await,
        Endpoint::Dns(name) => match tokio::net::lookup_host((name.as_str(), 0)).await {
            Ok(mut addresses) => addresses.next().map(drop).ok_or_else(|| "no address".into()),
            Err(_) => Err("no such name".into()),
        },
        Endpoint::Unix(path) => UnixStream::connect(path).await.map(drop).map_err(short),
        Endpoint::File(path) => std::fs::metadata(path).map(drop).map_err(short),
    }
}

/// Asks for a page, and reads no more than its status.
async fn http(place: &str, host: &str, path: &str) -> Result<(), String> {
    let mut stream = TcpStream::connect(place).await.map_err(short)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: svc\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(short)?;
    // `HTTP/1.1 200`
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.map_err(|_| "no answer of HTTP".to_owned())?;
    let status = std::str::from_utf8(&line).ok().filter(|line| line.starts_with("HTTP/1.")).and_then(|line| line.get(9..12));
    match status.and_then(|status| status.parse::<u16>().ok()) {
        Some(200..=399) => Ok(()),
        Some(status) => Err(format!("status {status}")),
        None => Err("no answer of HTTP".into()),
    }
}

/// An error in the words of a line of ours.
fn short(error: std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// Runs the command of a condition in its directory.
pub(crate) fn run_condition(name: ServiceName, round: u64, dir: PathBuf, condition: CommandCondition, reporter: Reporter) {
    tokio::task::spawn_local(async move {
        let shown = svc_def::printable(condition.words.join(" ").as_bytes());
        let verdict = run(&condition, dir).await.map_err(|what| format!("`{shown}` {what}"));
        let _ = reporter.send(News::Judged { name, round, verdict });
    });
}

async fn run(condition: &CommandCondition, dir: PathBuf) -> Result<(), String> {
    let status = execute(&condition.chain, dir, COMMAND, Stdio::inherit()).await?;
    if status.success() != condition.not {
        return Ok(());
    }
    Err(match (status.code(), condition.not) {
        (_, true) => "ends with 0".into(),
        (Some(code), false) => format!("ends with {code}"),
        (None, false) => "was killed".into(),
    })
}

/// So much of what `svc exec` says is passed on to who has asked.
const MOST_SAID: usize = 4096;

/// Makes the files of a service again, or looks whether they could be, by the options that `svc exec` has before its start.
pub(crate) fn make(name: ServiceName, dir: PathBuf, mode: &str, options: Vec<Vec<u8>>, reporter: Reporter) {
    let words = [vec![mode.into()], options].concat();
    tokio::task::spawn_local(async move {
        let result = match said(&words, dir).await {
            Ok((status, said)) if status.success() => {
                said.lines().for_each(|line| say!("{line}"));
                Ok(())
            }
            Ok((_, said)) => {
                let lines = said.lines().map(|line| said_by_exec(line, name.as_str()).unwrap_or(line));
                Err(format!("its files cannot be made: {}", lines.collect::<Vec<_>>().join("; ")))
            }
            Err(what) => Err(format!("its files cannot be made: svc exec {what}")),
        };
        let _ = reporter.send(News::Made { name, result });
    });
}

/// Runs it: how it has ended, and what it has said.
async fn said(words: &[Vec<u8>], dir: PathBuf) -> Result<(ExitStatus, String), String> {
    let (reader, writer) = std::io::pipe().map_err(short)?;
    let mut reader = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into()).map_err(short)?;
    let mut lines = String::new();
    let listen = async {
        let mut buffer = [0; MOST_SAID];
        while let Ok(length @ 1..) = reader.read(&mut buffer).await {
            if lines.len() < MOST_SAID {
                lines += &String::from_utf8_lossy(&buffer[..length]);
            }
        }
    };
    let (status, ()) = tokio::join!(execute(words, dir, MAKING, Stdio::from(writer)), listen);
    Ok((status?, lines))
}

/// `svc exec`, where the service is: its directory, or that of its file. It ends with all that it has started when its time is over,
/// or when nobody holds the pipe any more, which we do.
async fn execute(words: &[Vec<u8>], dir: PathBuf, most: Duration, errors: Stdio) -> Result<ExitStatus, String> {
    use std::os::unix::ffi::OsStrExt;
    let words = words.iter().map(|word| std::ffi::OsStr::from_bytes(word));
    let mut command = Command::new("/proc/self/exe");
    let (reading, _held) = std::io::pipe().map_err(short)?;
    command.arg0("svc").args(["exec", "--bounded"]).args(words).current_dir(svc_def::base(&dir));
    command.stdin(reading).stdout(Stdio::null()).stderr(errors);
    let mut child = command.spawn().map_err(|error| format!("cannot be run: {}", short(error)))?;
    // What it writes to must end with it.
    drop(command);
    let is_over = wait(&child);
    match tokio::time::timeout(most, is_over).await {
        Ok(Ok(())) => {}
        Ok(Err(what)) => return Err(format!("cannot be waited for: {what}")),
        Err(_) => {
            let _ = pid_of(&child).map(|pid| svc_sys::process::signal_child(pid, Signal::TERM));
            let _ = wait(&child).await;
            let _ = child.try_wait();
            return Err(format!("takes longer than {} s", most.as_secs()));
        }
    }
    child.wait().map_err(short)
}

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::new)
}

/// Until it has ended; it is not reaped by that.
async fn wait(child: &Child) -> Result<(), String> {
    let handle = PidFd::open(pid_of(child).ok_or("it has no process id")?).map_err(|errno| errno.to_string())?;
    let handle = links::watch(handle, Interest::READABLE).map_err(|errno| errno.to_string())?;
    handle.readable().await.map(drop).map_err(short)
}
