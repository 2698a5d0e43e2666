//! What a process may: capabilities, and the promise to gain nothing more.

use crate::errno::{Errno, check};

/// The three sets of a process that are changed together, a bit a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sets {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
}

/// `_LINUX_CAPABILITY_VERSION_3`: 64 bits, as two times 32.
const VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Those of this process.
pub fn sets() -> Result<Sets, Errno> {
    let (mut header, mut halves) = (Header { version: VERSION, pid: 0 }, [Half::default(); 2]);
    // SAFETY: both places are valid; the kernel writes two halves for this version.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) } as libc::c_int)?;
    let whole = |part: fn(&Half) -> u32| u64::from(part(&halves[0])) | u64::from(part(&halves[1])) << 32;
    Ok(Sets {
        effective: whole(|half| half.effective),
        permitted: whole(|half| half.permitted),
        inheritable: whole(|half| half.inheritable),
    })
}

pub fn set(sets: Sets) -> Result<(), Errno> {
    let mut header = Header { version: VERSION, pid: 0 };
    let half = |shift: u32| Half {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let halves = [half(0), half(32)];
    // SAFETY: both places are valid for this version, which reads two halves.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) } as libc::c_int).map(drop)
}

fn control(option: libc::c_int, one: u64, two: u64) -> Result<libc::c_int, Errno> {
    let (one, two, zero) = (one as libc::c_ulong, two as libc::c_ulong, 0 as libc::c_ulong);
    // SAFETY: none of the options that are used here takes a pointer.
    check(unsafe { libc::prctl(option, one, two, zero, zero) })
}

/// What this process and what it executes can ever have.
pub fn bounding() -> u64 {
    let has = |number: u64| control(libc::PR_CAPBSET_READ, number, 0);
    (0..64).map_while(|number| has(number).ok().map(|has| (has as u64) << number)).fold(0, |set, bit| set | bit)
}

/// Takes one away, for ever.
pub fn drop_bounding(number: u8) -> Result<(), Errno> {
    control(libc::PR_CAPBSET_DROP, u64::from(number), 0).map(drop)
}

/// Lets a program that is executed have one, though it is neither root's nor has it in its file. It must be permitted and
/// inheritable.
pub fn raise_ambient(number: u8) -> Result<(), Errno> {
    control(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, u64::from(number)).map(drop)
}

pub fn clear_ambient() -> Result<(), Errno> {
    control(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0).map(drop)
}

/// Keeps what is permitted while root becomes somebody else.
pub fn keep(keep: bool) -> Result<(), Errno> {
    control(libc::PR_SET_KEEPCAPS, u64::from(keep), 0).map(drop)
}

/// From here on no program gains anything by being executed (set-user-ID, capabilities of files); for ever.
pub fn set_no_new() -> Result<(), Errno> {
    control(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_those_of_proc() {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("/proc");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            u64::from_str_radix(line.trim(), 16).expect("hexadecimal")
        };
        let sets = sets().expect("they can always be asked for");
        assert_eq!(sets.effective, field("CapEff:"));
        assert_eq!(sets.permitted, field("CapPrm:"));
        assert_eq!(sets.inheritable, field("CapInh:"));
        assert_eq!(bounding(), field("CapBnd:"));
        assert_eq!(set(sets), Ok(()), "what is there may be set again");
    }
}
