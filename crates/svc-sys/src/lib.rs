//! The operating system, as safe functions. The only crate with `unsafe`.
//!
//! Each function wraps one system call or one idiom (a descriptor passed over a socket, a child that is held back until its
//! pid is written down). Nothing here decides anything, and nothing here has something to say of its own (`say` writes what others
//! say), but for the warning that a caller of `pattern` asks for.

pub mod alarm;
pub mod alloc;
pub mod at;
pub mod bytes;
pub mod calendar;
pub mod cgroup;
pub mod clock;
pub mod environment;
pub mod errno;
pub mod exe;
pub mod fd;
pub mod inotify;
pub mod landlock;
pub mod listen;
pub mod lock;
pub mod memory;
pub mod message;
pub mod notify;
pub mod pattern;
pub mod poll;
pub mod priority;
pub mod private;
pub mod privileges;
pub mod process;
pub mod procfs;
pub mod regex;
pub mod say;
pub mod seccomp;
pub mod shared;
pub mod signals;
pub mod spawn;
pub mod splice;
pub mod stack;
pub mod title;
#[cfg(target_env = "musl")]
mod unwind;
pub mod user;

pub use errno::Errno;

/// Exit codes with a meaning, the same in all programs of the s6 family.
pub mod exit {
    pub const DONE: u8 = 0;
    pub const FAILED: u8 = 1;
    pub const TIMED_OUT: u8 = 99;
    pub const USAGE: u8 = 100;
    pub const NO_SUCH_SERVICE: u8 = 102;
    pub const SYSTEM: u8 = 111;
    /// The program exists but cannot be executed, and does not exist, as shells say it.
    pub const CANNOT_EXECUTE: u8 = 126;
    pub const NOT_FOUND: u8 = 127;
}
