//! One service: turns what happens into events for `svc_core::Service`, and its actions into system calls.
//!
//! Runs in a process that svc-init forked without exec, so every page written here is paid for once a service. Nothing here
//! parses what a user wrote but the numbers and signal names of the small files, and nothing but `poll` may wait.
#![forbid(unsafe_code)]

mod credentials;
mod daemon;
mod driver;
mod leaf;
mod ondisk;
mod place;
mod program;
mod remains;
mod settings;
mod words;

use svc_proto::definition;
use svc_proto::handover::ToSupervise;
use svc_sys::message::MAX_FDS;
use svc_sys::{Errno, fd, process, say, title};

use driver::Driver;

/// All that a supervisor may ever allocate in small pieces; it uses a page of it.
const HEAP: usize = 256 * 1024;

/// Becomes the supervisor of one service; returns its exit code when the service is over.
pub fn run(handover: ToSupervise) -> u8 {
    // Of svc-init's we have nothing as a rule.
    let _ = svc_sys::alloc::use_small_heap(HEAP);
    match prepare(handover) {
        Ok(mut driver) => {
            let code = driver.watch();
            // The kernel closes everything in one go.
            std::mem::forget(driver);
            code
        }
        Err(code) => code,
    }
}

/// Everything that is done once. A function of its own: what it needs on the stack is free again when the loop begins.
#[inline(never)]
fn prepare(mut handover: ToSupervise) -> Result<Box<Driver>, u8> {
    let mut keep = [-1; 8 + MAX_FDS];
    for (place, number) in keep.iter_mut().zip(handover.descriptors().chain(svc_sys::say::console())) {
        *place = number;
    }
    fd::close_all_but(3, &mut keep);
    let mut sockets = handover.sockets.to_vec();
    let ToSupervise { link, inbox, stdio, notification, exe, .. } = &mut handover;
    let others = stdio.iter_mut().flatten().chain(notification.iter_mut()).chain(sockets.iter_mut());
    for number in [link, inbox, exe].into_iter().chain(others) {
        *number = fd::lower(*number, 3);
    }
    let handover = ToSupervise { sockets: &sockets, ..handover };
    let definition = definition::decode(handover.definition).map_err(|error| {
        say!("svc-supervise: cannot read its definition: {error}");
        svc_sys::exit::SYSTEM
    })?;
    match definition.output {
        svc_core::Output::Inherit => process::new_session_beside_terminal(),
        // A group is enough, and a session costs the kernel a scheduling group.
        svc_core::Output::Keeper | svc_core::Output::Logger | svc_core::Output::Starter => process::new_group(),
    }
    title::set(&[handover.title.as_bytes(), definition.name.as_bytes()], handover.title.as_bytes());
    let name = definition.name.clone();
    Driver::new(handover, definition).map_err(|errno| match errno {
        Errno::IN_USE => {
            say!("svc-supervise: {name}: has a supervisor already: end that one first (s6-svc -x {name})");
            svc_sys::exit::USAGE
        }
        errno => {
            say!("svc-supervise: {name}: cannot start, or not make supervise/ there: {errno}");
            svc_sys::exit::SYSTEM
        }
    })
}
