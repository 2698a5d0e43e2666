//! For tests only: builds scan directories, runs a real svc on them, and waits for events instead of sleeping.
//!
//! ```no_run
//! use svc_testkit::{Tree, EventKind};
//! let mut tree = Tree::new();
//! tree.service("web").run("exec sleep 1000");
//! tree.start();
//! tree.expect("web", &[EventKind::Starting, EventKind::Up]);
//! assert_eq!(tree.stop(), 0);
//! ```
#![forbid(unsafe_code)]

mod chance;
mod control;
mod gate;
mod machine;
mod processes;
pub mod raw;
mod service_dir;
mod tree;
mod written;

pub use chance::Chance;
pub use control::{Events, get, post};
pub use gate::{fifo, release, remove_dir};
pub use machine::{NOBODY, Said, amount, free_port, is_root, needs, program};
pub use processes::{
    Process, born, descendants, descriptors, figure, has_program, is_alive, kill, processes, processor_time, since_boot,
    switches, wait_gone, wait_idle,
};
pub use service_dir::ServiceDir;
pub use svc_proto::api::{self, EventKind, State, Status};
pub use tree::Tree;
pub use written::{executable, spawn};

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: generous, because machines are slow at times; nothing waits for it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `condition` gives something, looking again every few milliseconds; for what has no event to wait for.
#[track_caller]
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begin.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
