//! Memory of svc-init's that supervisors do not get: its small heap, and the stack for signals that Rust's start-up makes. They
//! find what they need at the top of a stack of their own. A page that both have costs whoever writes to it first a fault, and a
//! copy; and each mapping costs both.

use std::sync::OnceLock;

use crate::alloc;

/// Begin and length of the stack for signals, if there is one. None: copies get everything.
static SIGNAL_STACK: OnceLock<Option<(usize, usize)>> = OnceLock::new();

/// From now on copies of this process that have a stack of their own ([`crate::process::fork_sharing_descriptors`]) do not get it.
/// [`crate::process::fork`] still copies everything.
pub fn keep() {
    SIGNAL_STACK.get_or_init(signal_stack);
    advise(libc::MADV_DONTFORK);
}

/// Lets the next copy have all of it.
pub(crate) fn lend() {
    advise(libc::MADV_DOFORK);
}

/// Undoes [`lend`].
pub(crate) fn take_back() {
    advise(libc::MADV_DONTFORK);
}

fn advise(advice: libc::c_int) {
    let Some(stack) = SIGNAL_STACK.get() else { return };
    if let &Some((begin, length)) = stack {
        // SAFETY: says what becomes of a mapping in a fork, and nothing about what is in it here.
        unsafe { libc::madvise(begin as *mut libc::c_void, length, advice) };
    }
    alloc::advise(advice);
}

fn signal_stack() -> Option<(usize, usize)> {
    // SAFETY: all zero is a valid stack_t, and `stack` is a place for one.
    let stack = unsafe {
        let mut stack: libc::stack_t = std::mem::zeroed();
        (libc::sigaltstack(std::ptr::null(), &mut stack) == 0).then_some(stack)?
    };
    (stack.ss_flags & libc::SS_DISABLE == 0).then_some((stack.ss_sp as usize, stack.ss_size))
}
