//! Gives back the code that is in memory when nothing is soon to happen. That is done on the very way to sleep: what is called
//! after it, and comes back into memory for it, is the little that the runtime needs to sleep.

use std::cell::Cell;

thread_local! {
    static HAS_COME: Cell<bool> = const { Cell::new(false) };
}

/// When this thread sleeps next, its code is given back.
pub fn come() {
    HAS_COME.set(true);
}

/// This thread is about to sleep.
pub fn park() {
    if HAS_COME.take() {
        svc_sys::exe::forget_code();
    }
}
