//! Filters of system calls, by the name of a profile: lists of calls that are refused, and nothing else is.
//!
//! A filter sees numbers, so it must first know whose they are: calls of another architecture, and on x86-64 those of x32, have
//! other numbers and are all refused. Without that a list of refusals could be walked around.

use crate::errno::{Errno, check};

/// What a profile refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    pub name: &'static str,
    /// In words, for documents.
    pub about: &'static str,
    calls: &'static [&'static [libc::c_long]],
    /// Also clone with a flag for a new namespace.
    namespaces: bool,
}

/// All there are.
pub const PROFILES: [Profile; 2] = [
    Profile {
        name: "default",
        about: "refuses what a service has no business with: mounts, modules, the clock, other processes' memory, keys, bpf, \
                io_uring, namespaces ...",
        calls: &[NAMESPACES, MOUNTS, MACHINE, OTHERS, KERNEL],
        namespaces: true,
    },
    Profile {
        name: "no-namespaces",
        about: "refuses new namespaces and entering those of others",
        calls: &[NAMESPACES],
        namespaces: true,
    },
];

const NAMESPACES: &[libc::c_long] = &[libc::SYS_unshare, libc::SYS_setns];

const MOUNTS: &[libc::c_long] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_open_by_handle_at,
];

/// The crate libc does not have it for musl on arm64.
#[cfg(target_arch = "x86_64")]
const KEXEC_FILE_LOAD: libc::c_long = 320;
#[cfg(target_arch = "aarch64")]
const KEXEC_FILE_LOAD: libc::c_long = 294;

const MACHINE: &[libc::c_long] = &[
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    KEXEC_FILE_LOAD,
    libc::SYS_reboot,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_nfsservctl,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

const OTHERS: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
];

const KERNEL: &[libc::c_long] = &[
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
];

/// Flags of clone(2) for new namespaces.
const NEW: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Where the parts of `seccomp_data` are.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// The low half of the first argument: both architectures put the low half first.
const FIRST: u32 = 16;

const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
/// What a kernel that has no such call says: then libraries take the older one.
const ABSENT: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
#[cfg(target_arch = "x86_64")]
const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

fn step(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

impl Profile {
    pub fn find(name: &str) -> Option<&'static Profile> {
        PROFILES.iter().find(|profile| profile.name == name)
    }

    /// The program. Each test is followed by its own answer, so no jump is longer than two steps.
    fn filter(&self) -> Vec<libc::sock_filter> {
        let mut filter = vec![
            step(LOAD, ARCH, 0, 0),
            step(EQUAL, ARCHITECTURE, 1, 0),
            step(RETURN, REFUSE, 0, 0),
            step(LOAD, NUMBER, 0, 0),
        ];
        #[cfg(target_arch = "x86_64")]
        {
            const X32: u32 = 0x4000_0000;
            filter.extend([step(AT_LEAST, X32, 0, 1), step(RETURN, ABSENT, 0, 0)]);
        }
        for &number in self.calls.iter().copied().flatten() {
            filter.extend([step(EQUAL, number as u32, 0, 1), step(RETURN, REFUSE, 0, 0)]);
        }
        if self.namespaces {
            filter.extend([
                // What clone3 is asked for stands in memory, where no filter can look.
                step(EQUAL, libc::SYS_clone3 as u32, 0, 1),
                step(RETURN, ABSENT, 0, 0),
                step(EQUAL, libc::SYS_clone as u32, 0, 3),
                step(LOAD, FIRST, 0, 0),
                step(ANY_BIT, NEW, 0, 1),
                step(RETURN, REFUSE, 0, 0),
            ]);
        }
        filter.push(step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0));
        filter
    }

    /// Holds for this process and all that come from it, for ever. Needs CAP_SYS_ADMIN, or the promise of no new privileges.
    pub fn install(&self) -> Result<(), Errno> {
        let mut filter = self.filter();
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: `program` and what it points to are valid, and read before the call returns.
        check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0) }).map(drop)
    }
}

/// Whether the kernel has filters: asked with a place where none can be.
pub fn is_there() -> bool {
    let nowhere = std::ptr::null::<libc::sock_fprog>();
    // SAFETY: the kernel refuses a null pointer with EFAULT, having found that it knows the mode.
    check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, nowhere, 0, 0) }) == Err(Errno(libc::EFAULT))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a filter says of a call: the kernel's machine, as far as it is used here.
    fn answer(profile: &Profile, arch: u32, number: libc::c_long, first: u32) -> u32 {
        let (filter, mut at, mut word) = (profile.filter(), 0, 0);
        loop {
            let step = filter[at];
            let jump = |condition: bool| usize::from(if condition { step.jt } else { step.jf });
            at += 1;
            match step.code {
                LOAD => {
                    word = [(NUMBER, number as u32), (ARCH, arch), (FIRST, first)]
                        .into_iter()
                        .find(|(place, _)| *place == step.k)
                        .expect("a known place")
                        .1
                }
                EQUAL => at += jump(word == step.k),
                #[cfg(target_arch = "x86_64")]
                AT_LEAST => at += jump(word >= step.k),
                ANY_BIT => at += jump(word & step.k != 0),
                RETURN => return step.k,
                other => panic!("{other:#x} is not used"),
            }
        }
    }

    #[test]
    fn a_filter_refuses_its_list_and_nothing_else() {
        let allow = libc::SECCOMP_RET_ALLOW;
        for profile in &PROFILES {
            let here = |number, first| answer(profile, ARCHITECTURE, number, first);
            for number in 0..=450 {
                let listed = profile.calls.iter().copied().flatten().any(|&refused| refused == number);
                let expected = if number == libc::SYS_clone3 {
                    ABSENT
                } else if listed {
                    REFUSE
                } else {
                    allow
                };
                assert_eq!(here(number, 0), expected, "{} and {number}", profile.name);
            }
            assert_eq!(here(libc::SYS_clone, libc::CLONE_NEWUSER as u32 | 17), REFUSE);
            assert_eq!(here(libc::SYS_clone, libc::CLONE_VM as u32), allow, "a thread");
            assert_eq!(here(libc::SYS_read, NEW), allow, "another call with that number");
            assert_eq!(answer(profile, 0x4000_0003, libc::SYS_read, 0), REFUSE, "32 bit");
            #[cfg(target_arch = "x86_64")]
            assert_eq!(here(0x4000_0000 | libc::SYS_mount, 0), ABSENT, "x32");
        }
    }

    #[test]
    fn a_default_filter_refuses_more() {
        let [default, narrow] = [&PROFILES[0], &PROFILES[1]];
        assert_eq!(answer(default, ARCHITECTURE, libc::SYS_mount, 0), REFUSE);
        assert_eq!(answer(narrow, ARCHITECTURE, libc::SYS_mount, 0), libc::SECCOMP_RET_ALLOW);
        assert!(is_there() && Profile::find("no-namespaces") == Some(narrow) && Profile::find("x").is_none());
    }
}
