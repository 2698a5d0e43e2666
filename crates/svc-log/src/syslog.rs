//! `svc syslog`: the local system log of a container. Reads /dev/log and writes each message as one line on standard output,
//! where the log keeper picks it up like any other service's. Keeps nothing, routes nothing, forwards nothing.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use svc_core::{Millis, Signal};
use svc_proto::syslog;
use svc_sys::{exit, fd, poll, signals::Signals};

const DEFAULT_SOCKET: &str = "/dev/log";

const HELP: &str = "\
usage: svc syslog [--socket PATH] [--notify FD]

Prints what programs send to the system log, a line a message: facility.severity tag[pid]: text

  --socket PATH   listen there instead of /dev/log
  --notify FD     write a newline to this descriptor when listening (as in the file notification-fd)
";

/// What a datagram may have; more than any libc sends. The rest is cut off, and the line says so.
const MAX_MESSAGE: usize = 64 * 1024;

/// How many messages are read before signals are looked at again, and after the socket's name is gone. The kernel queues
/// fewer (net.unix.max_dgram_qlen is 10 to 512), so what was sent before the end is read, and a flood cannot prevent it.
const BURST: usize = 1024;

/// Listens until SIGTERM and returns the exit code: 111 if the socket is not to be had, which trying again does not cure.
pub fn main(arguments: Vec<OsString>) -> u8 {
    let options = match Options::parse(arguments) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return exit::DONE;
        }
        Err(problem) => {
            eprintln!("svc syslog: {problem}\n{HELP}");
            return exit::USAGE;
        }
    };
    // services.d/syslog/run executes us by a path that says nothing.
    svc_sys::title::prepare();
    svc_sys::title::set(&[b"svc", b"syslog"], b"svc-syslog");
    // Before the socket exists, so that no end leaves it behind.
    let signals = match Signals::take_all() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("svc syslog: cannot take signals: {error}");
            return exit::SYSTEM;
        }
    };
    let listener = match Listener::bind(&options.socket) {
        Ok(listener) => listener,
        Err(problem) => {
            eprintln!("svc syslog: cannot listen on {}: {problem}", options.socket.display());
            return exit::SYSTEM;
        }
    };
    if let Some(ready) = options.notify.and_then(fd::adopt) {
        // Nobody who waits for it is no reason not to log.
        let _ = fd::write(std::os::fd::AsFd::as_fd(&ready), b"\n");
    }
    match serve(listener, &signals, &mut io::stdout().lock()) {
        Ok(()) => exit::DONE,
        Err(error) => {
            eprintln!("svc syslog: {error}");
            exit::FAILED
        }
    }
}

struct Options {
    socket: PathBuf,
    notify: Option<i32>,
}

impl Options {
    /// None: help was asked for.
    fn parse(arguments: Vec<OsString>) -> Result<Option<Options>, String> {
        let mut options = Options { socket: DEFAULT_SOCKET.into(), notify: None };
        let mut arguments = arguments.into_iter().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{} needs a value", argument.display()));
            match argument.to_str() {
                Some("--socket") => options.socket = value()?.into(),
                Some("--notify") => {
                    let text = value()?;
                    // The standard descriptors have other uses.
                    let number = text.to_str().and_then(|text| text.parse().ok()).filter(|&number: &i32| number > 2);
                    options.notify = Some(number.ok_or(format!("no descriptor number: {}", text.display()))?);
                }
                Some("--help" | "-h") => return Ok(None),
                Some(_) | None => return Err(format!("unknown argument: {}", argument.display())),
            }
        }
        Ok(Some(options))
    }
}

/// Reads until a signal says to end. The only place that waits.
fn serve(listener: Listener, signals: &Signals, out: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; MAX_MESSAGE + 1];
    loop {
        let mut interests = [poll::readable(signals.as_raw_fd()), poll::readable(listener.socket.as_raw_fd())];
        poll::wait(&mut interests, Millis::ZERO, None);
        listener.read_burst(&mut buffer, out)?;
        while let Some(signal) = signals.next() {
            if [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP].contains(&signal) {
                listener.unlink();
                return listener.read_burst(&mut buffer, out);
            }
        }
    }
}

/// The bound socket, and which file it is: its name may be somebody else's by the time we end.
struct Listener {
    socket: UnixDatagram,
    path: PathBuf,
    inode: (u64, u64),
}

impl Listener {
    /// Takes the place of a socket on which nobody listens, and of nothing else.
    fn bind(path: &Path) -> Result<Listener, String> {
        refuse_if_taken(path)?;
        // Bound under another name first: whoever sees the real one may use it already, and never finds it missing.
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let _ = fs::remove_file(&temporary);
        let socket = UnixDatagram::bind(&temporary).map_err(explained)?;
        let finish = || {
            socket.set_nonblocking(true)?;
            fs::set_permissions(&temporary, Permissions::from_mode(0o666))?;
            let inode = inode(&temporary)?;
            fs::rename(&temporary, path)?;
            Ok(inode)
        };
        match finish() {
            Ok(inode) => Ok(Listener { socket, path: path.to_owned(), inode }),
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                Err(explained(error))
            }
        }
    }

    fn read_burst(&self, buffer: &mut [u8], out: &mut impl Write) -> io::Result<()> {
        let mut line = Vec::new();
        for _ in 0..BURST {
            let length = match self.socket.recv(buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(with("cannot read the socket", error)),
            };
            line.clear();
            syslog::parse(&buffer[..length.min(MAX_MESSAGE)]).write_line(&mut line);
            if length > MAX_MESSAGE {
                line.pop();
                line.extend_from_slice(b" (cut off)\n");
            }
            // One write: standard output passes on what ends in a newline at once.
            out.write_all(&line).map_err(|error| with("cannot write standard output", error))?;
        }
        Ok(())
    }

    fn unlink(&self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn refuse_if_taken(path: &Path) -> Result<(), String> {
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(explained(error)),
    };
    match UnixDatagram::unbound().and_then(|probe| probe.connect(path)) {
        Ok(()) => Err("another daemon answers there (hint: stop it, or use --socket PATH)".into()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused && kind.is_socket() => Ok(()),
        Err(_) if kind.is_symlink() => Err("it is a link to a socket that nobody reads (hint: remove it)".into()),
        Err(_) if !kind.is_socket() => Err("it exists and is not a socket (hint: remove it)".into()),
        Err(error) => Err(explained(error)),
    }
}

fn explained(error: io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => format!("{error} (hint: it needs root, or --socket PATH)"),
        _ => error.to_string(),
    }
}

fn with(what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty directory of the test's own.
    fn place(name: &str) -> PathBuf {
        let place = std::env::temp_dir().join(format!("svc-syslog-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir(&place).expect("the temporary directory is writable");
        place
    }

    fn read(listener: &Listener) -> String {
        let mut out = Vec::new();
        listener.read_burst(&mut vec![0; MAX_MESSAGE + 1], &mut out).expect("a vector takes everything");
        String::from_utf8(out).expect("lines are UTF-8")
    }

    #[test]
    fn messages_become_lines_and_anybody_may_send() {
        let place = place("lines");
        let listener = Listener::bind(&place.join("log")).expect("the place is free");
        assert_eq!(fs::metadata(&listener.path).expect("it exists").permissions().mode() & 0o777, 0o666);
        let sender = UnixDatagram::unbound().expect("sockets can be made");
        sender.send_to(b"<13>a: one\ntwo", &listener.path).expect("somebody listens");
        sender.send_to(b"", &listener.path).expect("somebody listens");
        sender.send_to(&[b'x'; MAX_MESSAGE + 5], &listener.path).expect("somebody listens");
        let lines = read(&listener);
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines[..2], ["user.notice a: one\\ntwo", "user.notice:"]);
        assert!(lines[2].ends_with("xx (cut off)"));
        listener.unlink();
        assert_eq!(fs::read_dir(&place).expect("it exists").count(), 0);
        fs::remove_dir(place).expect("it is empty");
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let place = place("stale");
        let path = place.join("log");
        drop(UnixDatagram::bind(&path).expect("the place is free"));
        let first = Listener::bind(&path).expect("nobody answers there");
        let refusal = Listener::bind(&path).err().expect("somebody answers there");
        assert!(refusal.contains("another daemon answers"), "{refusal}");
        drop(first);
        let second = Listener::bind(&path).expect("nobody answers any more");
        fs::rename(&path, place.join("moved")).expect("it exists");
        fs::write(&path, "somebody else's").expect("the place is free");
        second.unlink();
        assert!(path.exists(), "what is not ours stays");
        assert!(Listener::bind(&path).err().expect("a file is there").contains("not a socket"));
        fs::remove_file(&path).expect("it exists");
        std::os::unix::fs::symlink("nowhere", &path).expect("the place is free");
        assert!(Listener::bind(&path).err().expect("a link is there").contains("link"));
        fs::remove_dir_all(place).expect("it is ours");
    }
}
