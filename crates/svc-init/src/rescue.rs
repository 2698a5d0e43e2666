//! What happens when this process panics or runs out of memory: it executes itself again, with everything it holds.
//!
//! The ledger, the tail memory and all descriptors stay; children stay children. Nothing here allocates on the way down.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};

use svc_core::Millis;
use svc_core::init::Init;
use svc_proto::ledger::{BYTES, KEPT, Ledger, MAX_SLOTS, OWN_DESCRIPTORS, Own};
use svc_sys::{Errno, alloc, clock, exe, fd, process, say, shared};

use crate::Refusal;

/// This signal provokes the fault that SVC_DEBUG_FAULT names (`panic` or `memory`): how the tests get here. Without the
/// variable it does nothing.
pub(crate) const FAULT_SIGNAL: u8 = 64;

/// After this many re-executions within a minute we give up: what kills us will not go away.
const MOST_RECOVERIES: u64 = 3;
const WITHIN: Millis = Millis::from_secs(60);

/// What a re-execution needs, prepared in advance.
struct Lifeboat {
    ledger: Ledger,
    exe: OwnedFd,
    words: exe::Words,
    guards: Vec<RawFd>,
}

static LIFEBOAT: OnceLock<Lifeboat> = OnceLock::new();
static OWN_PID: AtomicI32 = AtomicI32::new(0);
/// 1: panic, 2: run out of memory, when the signal comes.
static FAULT: AtomicU8 = AtomicU8::new(0);

/// The memory that outlives us, and the pair of sockets for supervisors.
pub(crate) struct Memory {
    pub(crate) ledger: Ledger,
    pub(crate) tail: RawFd,
    pub(crate) bell: RawFd,
    pub(crate) inbox_read: OwnedFd,
    pub(crate) inbox_write: OwnedFd,
}

/// Makes it, or finds it again behind the descriptor that a predecessor left.
pub(crate) fn memory(recover: Option<RawFd>, ring_bytes: usize) -> Result<Memory, Refusal> {
    let failed = |what: &'static str| move |errno: Errno| Refusal::system(what, errno);
    let lost = || Refusal {
        code: svc_sys::exit::USAGE,
        message: "there is nothing to recover: --recover is for svc-init itself".into(),
    };
    let ledger_fd = match recover {
        Some(number) => fd::adopt(number).ok_or_else(lost)?,
        None => shared::create(c"svc-ledger", BYTES).map_err(failed("cannot make the ledger (memfd_create)"))?,
    };
    let words = shared::map(ledger_fd.as_fd(), 0, BYTES)
        .map_err(failed("cannot map the ledger: svc needs 48 MiB of address space, and uses little of it"))?;
    let ledger = Ledger::new(words).ok_or_else(lost)?;
    let old = |own: Own| ledger.own(own).checked_sub(1).and_then(|number| fd::adopt(number as RawFd));
    let (tail, bell, inbox_read, inbox_write) = if recover.is_some() {
        (
            old(Own::Tail).ok_or_else(lost)?,
            old(Own::Bell).ok_or_else(lost)?,
            old(Own::InboxRead).ok_or_else(lost)?,
            old(Own::InboxWrite).ok_or_else(lost)?,
        )
    } else {
        let (read, write) = fd::packet_pair().map_err(failed("cannot make a socket"))?;
        // Room for every ring there could be; what nobody writes takes no memory.
        let bytes = svc_proto::tail::offset(MAX_SLOTS, ring_bytes);
        let tail = shared::create(c"svc-tail", bytes).map_err(failed("cannot make memory for the last lines"))?;
        (tail, fd::event().map_err(failed("cannot make an eventfd"))?, read, write)
    };
    for (own, descriptor) in [
        (Own::Ledger, &ledger_fd),
        (Own::Tail, &tail),
        (Own::Bell, &bell),
        (Own::InboxRead, &inbox_read),
        (Own::InboxWrite, &inbox_write),
    ] {
        ledger.set_own(own, descriptor.as_raw_fd() as u64 + 1);
    }
    set_close_on_exec(ledger, true);
    fd::release(ledger_fd);
    Ok(Memory { ledger, tail: fd::release(tail), bell: fd::release(bell), inbox_read, inbox_write })
}

/// The locks that a predecessor left: those of directories which have another inode or another holder by now, too.
pub(crate) fn guards(numbers: &[RawFd]) -> Vec<OwnedFd> {
    numbers
        .iter()
        .filter_map(|&number| fd::adopt(number))
        .inspect(|guard| fd::set_close_on_exec(guard.as_raw_fd(), true))
        .collect()
}

/// The machine as it must have been, from what the ledger says.
pub(crate) fn machine(ledger: Ledger, budget: Millis) -> Init {
    let lives = |own| ledger.own(own) != 0;
    let ending = ledger.own(Own::Ending);
    let until = (ending != 0).then_some(Millis(ending & (HAS_CODE - 1)));
    let code = (ending & HAS_CODE != 0).then_some((ending >> 56) as u8);
    Init::recovered(budget, clock::now(), lives(Own::ScanPid), lives(Own::LogPid), until, code)
}

/// How the ledger says that there is an exit code above it; below it stands a time.
const HAS_CODE: u64 = 1 << 55;

/// What the ledger says of the end while it is under way; never 0.
pub(crate) fn ending_word((end, code): (Millis, Option<u8>)) -> u64 {
    end.0.max(1) | code.map_or(0, |code| u64::from(code) << 56 | HAS_CODE)
}

/// From now on a panic and a failed allocation end in [`re_execute`].
///
/// `guards` are the locks: they go along, for nobody else may get one meanwhile.
pub(crate) fn arm(ledger: Ledger, exe: OwnedFd, guards: &[OwnedFd], arguments: &[CString]) {
    ledger.set_own(Own::Exe, exe.as_raw_fd() as u64 + 1);
    let number = ledger.own(Own::Ledger).saturating_sub(1);
    let guards: Vec<RawFd> = guards.iter().map(AsRawFd::as_raw_fd).collect();
    let mut words = vec![c"svc-init".to_owned()];
    let own = [format!("--recover={number}")].into_iter().chain(guards.iter().map(|guard| format!("--guard={guard}")));
    words.extend(own.filter_map(|word| CString::new(word).ok()));
    words.extend_from_slice(arguments);
    if LIFEBOAT.set(Lifeboat { ledger, exe, words: exe::Words::new(words), guards }).is_err() {
        return;
    }
    FAULT.store(
        match std::env::var("SVC_DEBUG_FAULT").as_deref() {
            Ok("panic") => 1,
            Ok("memory") => 2,
            _ => 0,
        },
        Ordering::Relaxed,
    );
    OWN_PID.store(process::id(), Ordering::Relaxed);
    // It holds nothing: supervisors have this hook as well, and nothing of our heap.
    std::panic::set_hook(Box::new(|panic| {
        say!("svc: {panic}");
        // They end.
        if process::id() == OWN_PID.load(Ordering::Relaxed) {
            re_execute();
        }
    }));
    alloc::set_last_word(out_of_memory);
}

fn out_of_memory() {
    say!("svc: out of memory");
    if let Some(boat) = LIFEBOAT.get() {
        // A supervisor that gets here ends, and its successor goes on; only svc-init has nobody above it.
        let is_init = boat.ledger.rows().all(|row| row.supervisor().is_none_or(|pid| pid.raw() != process::id()))
            && boat.ledger.own(Own::LogPid) != process::id() as u64;
        if is_init {
            re_execute();
        }
    }
}

/// Executes ourselves again. Comes back only if that is of no use.
fn re_execute() {
    let Some(boat) = LIFEBOAT.get() else { return };
    let ledger = boat.ledger;
    let now = clock::now();
    let recent = now - Millis(ledger.own(Own::RecoveredAt)) < WITHIN;
    let count = if recent { ledger.own(Own::Recoveries) + 1 } else { 1 };
    ledger.set_own(Own::Recoveries, count);
    ledger.set_own(Own::RecoveredAt, now.0);
    if count > MOST_RECOVERIES {
        say!("svc-init: {count} faults within a minute: giving up");
        let first = boat.words.iter().find(|word| word.as_bytes().starts_with(b"/"));
        let first = first.map(|word| PathBuf::from(std::ffi::OsStr::from_bytes(word.as_bytes())));
        crate::hooks::crash(first.as_slice());
    }
    set_close_on_exec(ledger, false);
    boat.guards.iter().for_each(|&guard| fd::set_close_on_exec(guard, false));
    // What was found at the start is to be found again, for services to have.
    process::allow_huge_pages();
    fd::restore_limit_of_descriptors();
    let errno = boat.words.execute(boat.exe.as_fd());
    say!("svc-init: cannot re-execute: {errno}");
}

/// Lets everything that the ledger names survive an exec, or not.
fn set_close_on_exec(ledger: Ledger, close: bool) {
    for own in OWN_DESCRIPTORS {
        if let Some(number) = ledger.own(own).checked_sub(1) {
            fd::set_close_on_exec(number as RawFd, close);
        }
    }
    for row in ledger.rows() {
        for what in KEPT {
            if let Some(number) = row.kept(what) {
                fd::set_close_on_exec(number, close);
            }
        }
        row.sockets().into_iter().for_each(|(_, socket)| fd::set_close_on_exec(socket, close));
    }
}

/// The fault of [`FAULT_SIGNAL`].
pub(crate) fn provoke() {
    match FAULT.load(Ordering::Relaxed) {
        1 => panic!("provoked by signal {FAULT_SIGNAL}"),
        2 => out_of_memory(),
        _ => {}
    }
}
