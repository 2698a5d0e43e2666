//! The brain: reads definitions, watches directories, decides which supervisors there should be, and answers clients.
//!
//! It may be killed at any time: svc-init starts it again, and it learns from svc-init, the supervisors and the disk all it
//! knew. Its decisions are `svc_core::roster::Roster`'s. One task owns all state ([`hub::Hub`]); each client has a task of its
//! own that sends it requests.
#![forbid(unsafe_code)]

mod candidates;
mod clients;
mod controls;
mod directories;
mod held;
mod http;
mod hub;
mod judging;
mod kept;
mod links;
mod listener;
mod listing;
mod logs;
mod matching;
mod outside;
mod pair;
mod quiet;
mod repairs;
mod start;
mod status;
mod taken;
mod units;
mod waits;
mod watches;
mod whole;

pub use start::{StartFailure, StartPolicy};

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::PathBuf;

use svc_sys::say;

/// What svc-init starts svc-scan with.
pub struct Config {
    pub scan_dirs: Vec<PathBuf>,
    pub command: Vec<OsString>,
    pub run_dir: Option<PathBuf>,
    /// Look at all directories again so often, for file systems that do not tell when something happens.
    pub rescan: Option<svc_core::Millis>,
    /// Gets a newline once the control FIFOs are served.
    pub notify: Option<i32>,
    /// What a start that fails means.
    pub start: StartPolicy,
    /// Bytes of each service's last lines.
    pub ring_bytes: usize,
    pub version: &'static str,
}

/// How long clients may take to hear the end.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_millis(50);

/// One for each supervisor, and those of clients. The thread that watches directories shares the table.
const DESCRIPTORS: u64 = 2048;

/// Becomes svc-scan. Returns when svc-init is gone, or if it cannot work at all.
pub fn run(config: Config) -> u8 {
    svc_sys::title::set_name(b"svc-scan");
    svc_sys::fd::make_room(std::io::stderr().as_fd(), DESCRIPTORS);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().on_thread_park(quiet::park).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            say!("svc-scan: cannot start: {error}");
            return svc_sys::exit::SYSTEM;
        }
    };
    let local = tokio::task::LocalSet::new();
    let outcome = runtime.block_on(local.run_until(hub::run(config)));
    // Clients get what was still to be told; svc-init does not wait for those who do not read.
    let _ = runtime.block_on(async { tokio::time::timeout(LAST_WORDS, local).await });
    match outcome {
        // svc-init may be over before anything has begun.
        Ok(()) | Err(svc_sys::Errno::BROKEN_PIPE) => svc_sys::exit::DONE,
        Err(errno) => {
            say!("svc-scan: cannot start: {errno}");
            svc_sys::exit::SYSTEM
        }
    }
}
