//! `svc dockerflow`: the three endpoints of Mozilla's Dockerflow, answered from what svc knows of its services.
//!
//! It is a service like any other and asks over the control socket, so it may die or be overrun without harm to anybody. It
//! steers nothing, and reads nothing but the version file.
#![forbid(unsafe_code)]

mod answers;
mod server;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use lexopt::prelude::*;
use svc_sys::{exit, fd};

const USAGE: &str = "\
Usage: svc dockerflow [OPTION...]

Answers /__version__, /__heartbeat__ and /__lbheartbeat__ over HTTP, as Mozilla's Dockerflow wants it: with the version file, with
200 or 503 and the state of every service, and with 200 as long as this program lives.

Options:
      --listen ADDR    where (default: 0.0.0.0 and the port that PORT names, or 8000)
      --version-file F what /__version__ answers (default: /app/version.json)
      --notify FD      write a newline to this descriptor when listening
  -h, --help           this text

Exit codes: 100 usage, 111 system.
";

/// What it is told.
struct Options {
    listen: SocketAddr,
    version_file: PathBuf,
    notify: Option<i32>,
}

pub fn main(arguments: Vec<OsString>) -> u8 {
    let options = match Options::read(arguments) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{USAGE}");
            return exit::DONE;
        }
        Err(what) => {
            eprintln!("svc dockerflow: {what}\n\n{USAGE}");
            return exit::USAGE;
        }
    };
    match run(options) {
        Ok(never) => match never {},
        Err(what) => {
            eprintln!("svc dockerflow: {what}");
            exit::SYSTEM
        }
    }
}

impl Options {
    fn read(arguments: Vec<OsString>) -> Result<Option<Options>, String> {
        let mut parser = lexopt::Parser::from_args(arguments.into_iter().skip(1));
        let (mut listen, mut version_file, mut notify) = (None, PathBuf::from("/app/version.json"), None);
        let words = |error: lexopt::Error| error.to_string();
        while let Some(argument) = parser.next().map_err(words)? {
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Long("listen") => listen = Some(address(&parser.value().and_then(|value| value.string()).map_err(words)?)?),
                Long("version-file") => version_file = parser.value().map_err(words)?.into(),
                Long("notify") => notify = Some(parser.value().and_then(|value| value.parse()).map_err(words)?),
                Short(_) | Long(_) | Value(_) => return Err(words(argument.unexpected())),
            }
        }
        let listen = match listen {
            Some(listen) => listen,
            None => default_address(std::env::var("PORT").ok().as_deref())?,
        };
        Ok(Some(Options { listen, version_file, notify }))
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text}: an address is IP:PORT, such as 0.0.0.0:8000 or [::]:8000"))
}

fn default_address(port: Option<&str>) -> Result<SocketAddr, String> {
    let port = port.filter(|port| !port.is_empty()).unwrap_or("8000");
    let port: u16 = port.parse().map_err(|_| format!("PORT is {port}, and must be a number up to 65535"))?;
    Ok(SocketAddr::from(([0, 0, 0, 0], port)))
}

fn run(options: Options) -> Result<std::convert::Infallible, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.map_err(|error| format!("cannot set up an event loop: {error}"))?;
    let Options { listen, version_file, notify } = options;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = tokio::net::TcpListener::bind(listen).await.map_err(|error| {
            format!("cannot listen on {listen}: {error}: if the application listens there, take another port with --listen")
        })?;
        if let Some(ready) = notify.and_then(fd::adopt) {
            let _ = fd::write(std::os::fd::AsFd::as_fd(&ready), b"\n");
        }
        server::serve(listener, version_file).await
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_that_of_the_environment() {
        assert_eq!(default_address(None), Ok(SocketAddr::from(([0, 0, 0, 0], 8000))));
        assert_eq!(default_address(Some("")), Ok(SocketAddr::from(([0, 0, 0, 0], 8000))));
        assert_eq!(default_address(Some("81")), Ok(SocketAddr::from(([0, 0, 0, 0], 81))));
        assert!(default_address(Some("http")).is_err_and(|error| error.contains("PORT is http")));
        assert!(address("localhost").is_err());
    }
}
