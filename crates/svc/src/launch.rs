//! `svc exec --launch FD`: whoever started us learns whether the program was executed.
//!
//! A byte is written just before the attempt, and a second one where that fails; an exec that works closes the descriptor. So one byte
//! and the end say that the program runs, and whatever else says that it does not: also SIGKILL while something was made ready.

use std::sync::atomic::{AtomicI32, Ordering};

use svc_sys::fd;

/// None where nobody wants to know.
static TOLD: AtomicI32 = AtomicI32::new(-1);

pub(crate) fn tell(number: i32) {
    fd::set_close_on_exec(number, true);
    TOLD.store(number, Ordering::Relaxed);
}

/// The next thing is the exec.
pub(crate) fn executes() {
    write();
}

/// It came to nothing.
pub(crate) fn failed() {
    write();
}

/// We are the program ourselves from here on.
pub(crate) fn is_done() {
    write();
    fd::close(TOLD.swap(-1, Ordering::Relaxed));
}

fn write() {
    if let Some(told) = fd::borrow(TOLD.load(Ordering::Relaxed)) {
        // Who has gone does not want to know any more.
        let _ = fd::write(told, b"!");
    }
}
