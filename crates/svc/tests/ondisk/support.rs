//! What several of these tests need: a listener of our own making, and s6's tools.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use svc_proto::s6::Status;
use svc_sys::at::{self, At};
use svc_testkit::{Said, Tree, has_program, needs, until};

/// O_NONBLOCK, on every Linux that svc is built for.
const NONBLOCK: i32 = 0o4000;

/// Whether Debian's s6 is installed; says so if not.
pub fn has_s6() -> bool {
    needs("the Debian package s6", has_program("s6-svstat"))
}

/// One of s6's tools, run to its end.
#[track_caller]
pub fn s6(words: &[&str]) -> Said {
    Said::by(Command::new(words[0]).args(&words[1..]))
}

/// One of s6's tools that must succeed; what it said, without the newline.
#[track_caller]
pub fn s6_ok(words: &[&str]) -> String {
    let said = s6(words);
    assert_eq!(said.code, 0, "{words:?}: {}", said.err);
    said.out.trim_end().to_owned()
}

/// A service directory as a word of a command line.
pub fn dir(tree: &Tree, name: &str) -> String {
    tree.services().join(name).to_str().expect("text").to_owned()
}

/// The status as it is now.
#[track_caller]
pub fn status(dir: &Path) -> Status {
    let bytes = std::fs::read(dir.join("supervise/status")).expect("a status");
    Status::from_bytes(&bytes).unwrap_or_else(|| panic!("no status: {bytes:02x?}"))
}

/// Waits for a status.
#[track_caller]
pub fn await_status(dir: &Path, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
    until(&format!("{}: {what}", dir.display()), || {
        let status = Status::from_bytes(&std::fs::read(dir.join("supervise/status")).ok()?)?;
        wanted(&status).then_some(status)
    })
}

/// Writes letters into a FIFO of commands, as s6-svc does.
#[track_caller]
pub fn write_letters(dir: &Path, letters: &str) {
    let mut control = open_for_writing(&dir.join("supervise/control")).expect("a supervisor listens");
    control.write_all(letters.as_bytes()).expect("written");
}

/// Waits until a supervisor has its files: the lock, and then the FIFO.
#[track_caller]
pub fn await_supervisor(dir: &Path) {
    until("a supervisor", || open_for_writing(&dir.join("supervise/control")).ok());
}

pub fn open_for_writing(fifo: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).custom_flags(NONBLOCK).open(fifo)
}

/// Whether another process holds the lock of a file.
pub fn is_locked(path: &Path) -> bool {
    let lock = File::open(path);
    lock.is_ok_and(|lock| at::record_holder(lock.as_fd()).is_ok_and(|holder| holder != at::Holder::Nobody))
}

/// Somebody who listens to the events of a service: made from the description of the protocol, not with s6's library.
pub struct Listener {
    path: PathBuf,
    fifo: File,
    /// The FIFO never comes to its end.
    _writer: File,
    heard: String,
}

impl Listener {
    #[track_caller]
    pub fn new(dir: &Path) -> Listener {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = dir.join("event").join(format!("ftrig1:@400000006b000f0f{:08x}:{number:06}", std::process::id()));
        let name = CString::new(path.as_os_str().as_bytes()).expect("no NUL");
        at::make_fifo(At::Here, &name, 0o622).expect("a FIFO in event/");
        let fifo = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(&path).expect("opened");
        let writer = open_for_writing(&path).expect("opened");
        Listener { path, fifo, _writer: writer, heard: String::new() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All letters so far.
    pub fn heard(&mut self) -> &str {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = self.fifo.read(&mut bytes) {
            self.heard.push_str(std::str::from_utf8(&bytes[..length]).expect("letters"));
        }
        &self.heard
    }

    /// Waits until exactly these letters have come since the last call.
    #[track_caller]
    pub fn expect(&mut self, letters: &str) {
        until(&format!("the letters {letters}, heard {}", self.heard), || {
            (self.heard().len() >= letters.len()).then_some(())
        });
        assert!(self.heard.starts_with(letters), "expected {letters}, heard {}", self.heard);
        self.heard.drain(..letters.len());
    }

    /// Nothing has come that was not expected.
    #[track_caller]
    pub fn expect_no_more(&mut self) {
        assert_eq!(self.heard(), "");
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
