//! Where lines go: directories, standard output, standard error, status files.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{SFlag, fstat};
use svc_sys::fd;

use super::logdir::Logdir;

/// All of them.
pub(super) struct Sinks {
    pub(super) dirs: Vec<Logdir>,
    pub(super) stdout: Option<Stdout>,
    /// Lines for standard error.
    pub(super) alerts: Vec<u8>,
    pub(super) statuses: Vec<Status>,
    pub(super) remotes: Vec<Remote>,
}

/// A file that has the line that came last.
pub(super) struct Status {
    pub(super) path: PathBuf,
    /// Its size, if not 0: shorter lines are filled up with newlines, longer ones cut.
    pub(super) size: usize,
    pub(super) line: Option<Vec<u8>>,
}

impl Status {
    /// Replaces the file, so that a reader sees one line or the other.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let Some(mut line) = self.line.take() else { return Ok(()) };
        if self.size > 0 {
            line.resize(self.size, b'\n');
        }
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        fs::write(&new, line)?;
        fs::rename(new, &self.path)
    }
}

/// Where datagrams go.
pub(super) struct Remote {
    pub(super) socket: UdpSocket,
    pub(super) to: SocketAddr,
}

/// Standard output, which may be slow, or a file that others write to as well.
pub(super) struct Stdout {
    file: File,
    kind: Kind,
    out: Vec<u8>,
    from: usize,
    /// It may take something.
    pub(super) ready: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Never waits, or cannot be told not to.
    Plain,
    /// Opened by us once more, so that it returns at once for nobody but us.
    Own,
    Socket,
}

impl Stdout {
    pub(super) fn open() -> io::Result<Stdout> {
        let shared = fd::duplicate(1, 3)?;
        let kind = SFlag::from_bits_truncate(fstat(&shared)?.st_mode) & SFlag::S_IFMT;
        let (file, kind): (OwnedFd, Kind) = match kind {
            SFlag::S_IFREG => (shared, Kind::Plain),
            SFlag::S_IFSOCK => (shared, Kind::Socket),
            _ => match fd::reopen_for_writing(1) {
                Ok(own) => (own, Kind::Own),
                Err(_) => (shared, Kind::Plain),
            },
        };
        Ok(Stdout { file: file.into(), kind, out: Vec::new(), from: 0, ready: true })
    }

    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    pub(super) fn pending(&self) -> usize {
        self.out.len() - self.from
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Writes what it takes. An error is final.
    pub(super) fn push(&mut self) -> io::Result<()> {
        while self.ready && self.from < self.out.len() {
            let bytes = &self.out[self.from..];
            let result = match self.kind {
                Kind::Plain | Kind::Own => (&self.file).write(bytes),
                Kind::Socket => send(self.file.as_fd().as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT).map_err(io::Error::from),
            };
            match result {
                Ok(count) => self.from += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.ready = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.from == self.out.len() {
            self.out.clear();
            self.from = 0;
        }
        Ok(())
    }
}
