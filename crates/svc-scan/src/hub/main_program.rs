//! The main program, CMD: what it waits for, and how it is started.

use super::startup::named;
use super::{COMMAND, Hub};
use crate::held::Held;
use crate::status::{self, Known, Now};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use svc_core::policy::{Ends, Essential};
use svc_core::{Definition, Output, Program, ServiceName, Settings};
use svc_def::Identity;
use svc_proto::api;
use svc_proto::label::NO_SCAN_DIR;

impl Hub {
    /// The main program starts when everything that is to be up is, or has failed to be.
    pub(super) fn start_command(&mut self) {
        let there = self.slot_named(COMMAND).is_some();
        if self.is_ending() || self.judged && (self.config.command.is_empty() || there) {
            return;
        }
        let none = self.units.is_empty() && !self.is_reading();
        let over = none || self.composed && (self.has_settled() || self.is_start_overdue());
        // What stops everything because of a failure starts nothing more.
        if over && self.judge_start() && !self.config.command.is_empty() && !there {
            self.add_command();
        }
    }

    /// The main program, as long as it waits for the others.
    pub(super) fn waiting_command(&self, now: Now) -> Option<api::Status> {
        if self.config.command.is_empty() || self.is_ending() || self.slot_named(COMMAND).is_some() {
            return None;
        }
        let known = Known {
            name: COMMAND,
            dir: svc_def::shown(&directory()),
            machine: None,
            says_ready: false,
            oneshot: false,
            supervisor: None,
            problem: None,
            added_ms: now.wall_of(self.began),
        };
        let (state, reason) = (api::State::Waiting, format!("waiting for others: {}", named(&self.laggards(true))));
        Some(api::Status { state, reason: Some(reason), ..status::of(known, now) })
    }

    fn add_command(&mut self) {
        let (dir, definition) = (directory().into(), definition(&self.config.command));
        match ServiceName::parse(COMMAND) {
            Ok(name) => self.add(name, Identity { device: 0, inode: 0 }, NO_SCAN_DIR, dir, definition, None, None),
            Err(_) => None,
        };
    }
}

/// The main program: in the directory and with the terminal that svc was started with, started once.
pub(super) fn definition(command: &[OsString]) -> Held {
    Held::new(&Definition {
        name: COMMAND.into(),
        dir: directory().into_os_string().into_vec(),
        program: Program::Command(command.iter().map(|word| word.as_bytes().to_vec()).collect()),
        output: Output::Inherit,
        down: true,
        essential: Some(Essential { code: None, ends: Ends::All }),
        managed: None,
        settings: Settings { keep_descendants: false, ..Settings::default() },
    })
}

fn directory() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| Path::new("/").to_owned())
}
