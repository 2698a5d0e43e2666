//! What should happen: states, events, actions and plans, as pure functions of what did happen.
//!
//! No clock, file, process or socket is touched here; time comes in as an argument, and what is to be done goes out as a
//! value. The crate is `no_std` outside its tests so that the compiler keeps it that way.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![deny(clippy::wildcard_enum_match_arm)]

extern crate alloc;

pub mod actions;
pub mod capability;
pub mod definition;
pub mod endpoint;
pub mod expand;
pub mod files;
pub mod graph;
pub mod guard;
pub mod health;
pub mod init;
pub mod letters;
pub mod links;
pub mod memory;
pub mod name;
pub mod overlay;
pub mod policy;
pub mod priority;
pub mod restart;
pub mod rights;
pub mod roster;
pub mod run;
pub mod service;
pub mod shutdown;
pub mod signal;
pub mod snapshot;
pub mod time;
pub mod timer;

pub use definition::{Definition, Output, Program, Settings};
pub use name::{NameError, ServiceName};
pub use service::{Action, Actions, Command, Event, Role, Service, State, Target, Want};
pub use signal::{Exit, Signal};
pub use time::{Millis, Noted};

/// A process id as the kernel gives it. Always positive: the kernel's special values (0, -1) are never a process of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pid(i32);

impl Pid {
    /// Takes a raw id; `None` for anything that does not name one process.
    pub fn new(raw: i32) -> Option<Pid> {
        (raw > 0).then_some(Pid(raw))
    }

    /// The number to hand to the kernel.
    pub fn raw(self) -> i32 {
        self.0
    }
}

impl core::fmt::Display for Pid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}
