//! Stacks for processes that begin in a function of their own, and how those are made.

use std::cell::Cell;
use std::sync::atomic::AtomicU64;

use svc_core::Pid;

use crate::errno::{Errno, check};
use crate::process;

/// A stack for processes that begin in a function of their own, with what they need at its top. Only what is used of it takes
/// memory.
pub struct Stack {
    bottom: *mut libc::c_void,
    bytes: usize,
    /// So much of it is taken by what was laid there.
    laid: Cell<usize>,
}

impl Stack {
    /// Whoever comes to its end faults.
    pub fn new(bytes: usize) -> Result<Stack, Errno> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        // SAFETY: a new mapping at a place the kernel chooses.
        let bottom = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
        if bottom == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let stack = Stack { bottom, bytes, laid: Cell::new(0) };
        // SAFETY: the first page of our own mapping, which nobody uses yet.
        check(unsafe { libc::mprotect(stack.bottom, 4096, libc::PROT_NONE) })?;
        Ok(stack)
    }

    /// Takes away what was laid there for the one before.
    pub fn clear(&mut self) {
        self.laid.set(0);
    }

    /// Lays something there for the next one, which has it for as long as it lives.
    pub fn lay<T: Copy>(&self, items: &[T]) -> Result<&[T], Errno> {
        let (size, align) = (size_of_val(items), align_of::<T>().max(16));
        let laid = (self.laid.get() + size).next_multiple_of(align);
        // The rest is for those who begin here. Its end is aligned to a page.
        if laid > self.bytes / 2 || align > 4096 {
            return Err(Errno::NO_MEMORY);
        }
        self.laid.set(laid);
        let place: *mut T = self.top().cast();
        // SAFETY: between its bottom and what was laid before, as long as `items` and aligned; nobody else has it until `clear`,
        // which ends all borrows.
        unsafe {
            place.copy_from_nonoverlapping(items.as_ptr(), items.len());
            Ok(std::slice::from_raw_parts(place, items.len()))
        }
    }

    /// Where it begins: stacks grow downwards.
    fn top(&self) -> *mut libc::c_void {
        self.bottom.wrapping_byte_add(self.bytes - self.laid.get())
    }

    /// Calls a function on this stack, and comes back to ours.
    ///
    /// # Safety
    ///
    /// Nobody else may run on this stack, and `argument` must be what `function` takes it for.
    unsafe fn call(&self, function: unsafe extern "C" fn(*mut libc::c_void), argument: *mut libc::c_void) {
        let top = self.top();
        // SAFETY: `top` is aligned to 16 bytes and has the rest of this stack below it. The function keeps the register that holds
        // our stack meanwhile, as every C function does; what else it may change is said.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            std::arch::asm!(
                "mov r12, rsp",
                "mov rsp, {top}",
                "call {function}",
                "mov rsp, r12",
                top = in(reg) top,
                function = in(reg) function,
                in("rdi") argument,
                out("r12") _,
                clobber_abi("C"),
            );
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            std::arch::asm!(
                "mov x20, sp",
                "mov sp, {top}",
                "blr {function}",
                "mov sp, x20",
                top = in(reg) top,
                function = in(reg) function,
                in("x0") argument,
                out("x20") _,
                clobber_abi("C"),
            );
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nobody runs on any more (a child that still did would have a copy).
        unsafe { libc::munmap(self.bottom, self.bytes) };
    }
}

/// Makes a copy of this process, which must have one thread: the copy runs `child`, on this stack, and ends with its code. It has
/// neither our heap nor our stack ([`crate::private`]), so what `child` refers to is static, shared, or laid on its stack.
/// Until it calls [`crate::fd::take_apart`] it shares our table of descriptors, so what it needs must stay open here as long: that
/// saves a copy of the whole table, of which it would close most. The kernel writes its pid into the lower half of `note` (which was
/// zero) before it runs, whatever becomes of us.
pub fn fork_sharing_descriptors<F: FnOnce() -> u8 + Copy>(stack: &Stack, note: &AtomicU64, child: F) -> Result<Pid, Errno> {
    /// What the call that makes the copy needs: it stands where the copy's stack begins, since libc reads there in the copy.
    const CALL: usize = 1024;
    extern "C" fn begin<F: FnOnce() -> u8>(child: *mut libc::c_void) -> libc::c_int {
        // SAFETY: what our parent laid at the top of our stack.
        let child = unsafe { child.cast::<F>().read() };
        process::exit_now(child())
    }
    let child = stack.lay(&[child])?.as_ptr();
    let mut call = Copying {
        begin: begin::<F>,
        stack: stack.top().wrapping_byte_sub(CALL),
        child: child.cast_mut().cast(),
        note: note.as_ptr().cast(),
        pid: 0,
    };
    // SAFETY: nobody runs on this stack here (a copy of this process has a copy of it), and `call` is what is taken.
    unsafe { stack.call(copy, (&raw mut call).cast()) };
    Pid::new(check(call.pid)?).ok_or(Errno(libc::ECHILD))
}

/// What [`copy`] is told, and what it answers.
struct Copying {
    begin: extern "C" fn(*mut libc::c_void) -> libc::c_int,
    stack: *mut libc::c_void,
    child: *mut libc::c_void,
    note: *mut libc::pid_t,
    pid: libc::pid_t,
}

unsafe extern "C" fn copy(call: *mut libc::c_void) {
    // SAFETY: what `fork_sharing_descriptors` handed over.
    let call = unsafe { &mut *call.cast::<Copying>() };
    for sharing in [libc::CLONE_FILES, 0] {
        let flags = sharing | libc::CLONE_PARENT_SETTID | libc::SIGCHLD;
        // SAFETY: this process has a single thread (as for `process::fork`), so the copy finds no lock held; libc's clone tells its
        // copy of the thread who it is, which a bare system call would not. The kernel writes 32 bits to `note`, which has 64.
        call.pid = unsafe { libc::clone(call.begin, call.stack, flags, call.child, call.note) };
        // qemu-user knows no such copy: it gets a table of its own from the start.
        if call.pid >= 0 || Errno::last() != Errno::INVALID {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;
    use svc_core::Exit;

    #[test]
    fn a_call_on_a_stack_comes_back() {
        unsafe extern "C" fn note_where(place: *mut libc::c_void) {
            let here = 0_u8;
            // SAFETY: the test hands over a place for a number.
            unsafe { place.cast::<usize>().write((&raw const here).addr()) };
        }
        let stack = Stack::new(64 * 1024).expect("a stack");
        let mut sum = 0_usize;
        for round in 1..=3_usize {
            let mut place = 0_usize;
            // SAFETY: nobody else runs on it, and `place` is what the function takes.
            unsafe { stack.call(note_where, (&raw mut place).cast()) };
            let bottom = stack.bottom.addr();
            assert!((bottom..bottom + stack.bytes).contains(&place), "{place:x} is not on the stack at {bottom:x}");
            sum += round;
        }
        assert_eq!(sum, 6);
    }

    #[test]
    fn a_copy_begins_with_what_was_laid_there() {
        let mut stack = Stack::new(64 * 1024).expect("a stack");
        for round in 0..3_u8 {
            stack.clear();
            let note = AtomicU64::new(0);
            let laid = stack.lay(&[40 + round, 0]).expect("room");
            let pid = fork_sharing_descriptors(&stack, &note, || laid[0]).expect("a copy");
            assert_eq!(note.load(Ordering::Relaxed), pid.raw() as u64);
            assert_eq!(process::wait_for(pid), process::Reap::One(process::Reaped { pid, exit: Exit::Code(40 + round) }));
        }
    }

    /// Has this thread's copies refused that share its table of descriptors, as qemu-user does.
    fn refuse_sharing() {
        let step = |code: u32, k: u32, jt, jf| libc::sock_filter { code: code as u16, jt, jf, k };
        let load = |offset| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
        let answer = |answer| step(libc::BPF_RET | libc::BPF_K, answer, 0, 0);
        let mut filter = [
            load(0),
            step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_clone as u32, 0, 3),
            load(16),
            step(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, libc::CLONE_FILES as u32, 0, 1),
            answer(libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32),
            answer(libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        crate::privileges::set_no_new().expect("no new privileges");
        // SAFETY: `program` and what it points to are valid, and read before the call returns.
        check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0) })
            .expect("a filter");
    }

    #[test]
    fn where_a_table_of_descriptors_cannot_be_shared_a_copy_has_its_own() {
        let test = || {
            refuse_sharing();
            let (stack, note) = (Stack::new(64 * 1024).expect("a stack"), AtomicU64::new(0));
            let pid =
                fork_sharing_descriptors(&stack, &note, || u8::from(crate::fd::take_apart(2).is_err())).expect("a copy");
            assert_eq!(note.load(Ordering::Relaxed), pid.raw() as u64);
            assert_eq!(process::wait_for(pid), process::Reap::One(process::Reaped { pid, exit: Exit::Code(0) }));
        };
        // A filter is for good, and its thread's own.
        std::thread::spawn(test).join().expect("the test");
    }
}
