//! When a process gets a processor, which, and when a disk.

use svc_core::priority::{IoClass, MOST_CPUS, Policy};

use crate::errno::{Errno, check};

/// Sets the policy of this process, and its priority from 1 to 99 where the policy is a real-time one.
pub fn set_policy(policy: Policy, priority: i32) -> Result<(), Errno> {
    let policy = match policy {
        Policy::Other => libc::SCHED_OTHER,
        Policy::Batch => libc::SCHED_BATCH,
        Policy::Idle => libc::SCHED_IDLE,
        Policy::Fifo => libc::SCHED_FIFO,
        Policy::RoundRobin => libc::SCHED_RR,
    };
    // The kernel's sched_param is this one number, whatever that of the library is. musl's own function does nothing.
    // SAFETY: the pointer is to a number that lives until the call returns.
    check(unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) } as libc::c_int).map(drop)
}

/// Lets this process run on these processors only.
pub fn set_cpus(cpus: &[usize]) -> Result<(), Errno> {
    let mut mask = [0_u8; MOST_CPUS / 8];
    for &cpu in cpus {
        *mask.get_mut(cpu / 8).ok_or(Errno::INVALID)? |= 1 << (cpu % 8);
    }
    // On a machine that counts bits from the other end of a word, as none of ours does, this would be another mask.
    const { assert!(cfg!(target_endian = "little")) };
    // SAFETY: `mask` is readable for its length.
    check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, mask.len(), mask.as_ptr()) } as libc::c_int).map(drop)
}

/// Sets the class in which this process reads and writes, and its level from 0 (first) to 7.
pub fn set_io(class: IoClass, level: u8) -> Result<(), Errno> {
    const WHO_PROCESS: libc::c_int = 1;
    let class = match class {
        IoClass::None => 0,
        IoClass::Realtime => 1,
        IoClass::BestEffort => 2,
        IoClass::Idle => 3,
    };
    let value: libc::c_int = class << 13 | libc::c_int::from(level);
    // SAFETY: takes no pointers.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, value) } as libc::c_int).map(drop)
}
