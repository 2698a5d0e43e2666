//! Memory of svc-init's that supervisors do not get: its small heap, its stack, and the one for signals that Rust's start-up makes. They
//! find what they need at the top of a stack of their own. A page that both have costs whoever writes to it first a fault, and a
//! copy; and each mapping costs both.

use std::sync::OnceLock;

use crate::{alloc, title};

/// Begin and length of our stack, and of the one for signals, as far as there is one that nobody needs. None: copies get everything.
static STACKS: OnceLock<[Option<(usize, usize)>; 2]> = OnceLock::new();

/// From now on copies of this process that have a stack of their own ([`crate::stack::fork_sharing_descriptors`]) do not get it.
/// [`crate::process::fork`] still copies everything.
pub fn keep() {
    STACKS.get_or_init(|| [own_stack().filter(|_| title::has_moved()), signal_stack()]);
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
    let Some(stacks) = STACKS.get() else { return };
    for &(begin, length) in stacks.iter().flatten() {
        // SAFETY: says what becomes of a mapping in a fork, and nothing about what is in it here.
        unsafe { libc::madvise(begin as *mut libc::c_void, length, advice) };
    }
    alloc::advise(advice);
}

/// The mapping that we run on.
fn own_stack() -> Option<(usize, usize)> {
    /// It may grow so much; there is nothing else below it.
    const GROWTH: usize = 1024 * 1024;
    let here = 0_u8;
    let here = (&raw const here).addr();
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let (begin, rest) = line.split_once('-')?;
        let (end, _) = rest.split_once(' ')?;
        let (begin, end) = (usize::from_str_radix(begin, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
        (begin..end).contains(&here).then_some((begin - GROWTH, end - begin + GROWTH))
    })
}

fn signal_stack() -> Option<(usize, usize)> {
    // SAFETY: all zero is a valid stack_t, and `stack` is a place for one.
    let stack = unsafe {
        let mut stack: libc::stack_t = std::mem::zeroed();
        (libc::sigaltstack(std::ptr::null(), &mut stack) == 0).then_some(stack)?
    };
    (stack.ss_flags & libc::SS_DISABLE == 0).then_some((stack.ss_sp as usize, stack.ss_size))
}
