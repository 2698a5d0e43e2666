//! Where nothing at all can be written, nothing can be laid out. What needs no place of its own runs all the same: the hook, the
//! scripts of cont-init.d, services of services.d from where they are, and the main program.

use std::ffi::OsString;
use std::path::PathBuf;

use svc_core::Millis;
use svc_sys::{exit, say};

use super::settings::{Failure, Settings};
use super::{become_scan, hook, memory, options, sources};
use crate::children::{Children, Ended};
use crate::files::entries;
use crate::scripts::own;

/// A directory that is there and has no service in it.
const EMPTY: &str = "/command";

pub(super) fn boot(children: &mut Children, settings: &Settings, nowhere: &str, command: Vec<OsString>) -> u8 {
    if let Some(code) = hook::run(children, settings) {
        return code;
    }
    let tree = sources::Tree::read(settings);
    let lost = tree.chosen();
    let mut losses = Vec::new();
    if !lost.is_empty() {
        losses.push(format!("what is in s6-rc.d is not started ({})", lost.join(", ")));
    }
    if !entries(&settings.etc("cont-finish.d")).is_empty() {
        losses.push("cont-finish.d is not run".to_owned());
    }
    losses.push("scripts that write to /run fail".to_owned());
    say!("init: {nowhere}: {}: {}", losses.join(", "), memory::cure());
    if !lost.is_empty() && settings.failure == Failure::Stop {
        say!("init: ending, as S6_BEHAVIOUR_IF_STAGE2_FAILS says");
        return exit::FAILED;
    }
    if !entries(&settings.etc("cont-init.d")).is_empty() {
        match children.run(&own(&["s6-overlay", "cont-init"]), settings.kill_grace) {
            Ok(Ended::Stopped) => return exit::DONE,
            Ok(Ended::By(svc_core::Exit::Code(exit::DONE))) => {}
            // The failure of a script counts only where it is to stop everything.
            Ok(Ended::By(end)) => return end.shell_code(),
            Err(error) => {
                say!("init: cont-init.d: {error}");
                return exit::SYSTEM;
            }
        }
    }
    let services = settings.etc("services.d");
    let mut words = options(settings);
    words.push(if services.is_dir() { services } else { PathBuf::from(EMPTY) }.into());
    if !command.is_empty() {
        words.push("--".into());
        words.extend(settings.arg0.iter().cloned().chain(command));
    }
    become_scan(settings, Millis::ZERO, words)
}
