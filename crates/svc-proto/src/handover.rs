//! What svc-init hands to the children that it forks without exec. Descriptors are numbers here: they are open in the child
//! under the same numbers, and close with it.

use svc_core::{Millis, Pid};

use crate::ledger::Row;

/// For a supervisor. What it refers to is laid on the supervisor's stack: of svc-init's heap it has nothing.
#[derive(Clone, Copy)]
pub struct ToSupervise<'a> {
    pub row: Row,
    pub definition: &'a [u8],
    /// The service is to be down from the beginning: somebody said so while it had no supervisor.
    pub stopped: bool,
    /// Packets from svc-scan and svc-init come here, reports go out.
    pub link: i32,
    /// Descriptors that must outlive the supervisor go in here.
    pub inbox: i32,
    /// Standard input, output and error for the service; none: ours.
    pub stdio: [Option<i32>; 3],
    /// The pipe on which a service that runs already will say that it is ready.
    pub notification: Option<i32>,
    /// What the service listens on.
    pub sockets: &'a [i32],
    /// Processes that an earlier supervisor of this service left to svc-init.
    pub orphans: &'a [Pid],
    /// The main process had ended when the supervisor was made: whom it left behind is among those. Otherwise a message tells.
    pub knows_orphans: bool,
    pub init_pid: i32,
    /// Our own program.
    pub exe: i32,
    /// The limit on descriptors as it was: soft and hard.
    pub descriptors: Option<(u64, u64)>,
    /// What `ps` shows, with the name of the service behind it.
    pub title: &'static str,
    /// Where the files of s6's tools may be made; none: nowhere but in the service directory.
    pub run_dir: Option<&'a std::path::Path>,
    /// How long a stop may take where svc-init is gone and nobody else ends it; zero: as long as it likes.
    pub budget: Millis,
}

impl ToSupervise<'_> {
    /// The numbers of all descriptors in it.
    pub fn descriptors(&self) -> impl Iterator<Item = i32> {
        let few = [Some(self.link), Some(self.inbox), Some(self.exe), self.notification];
        few.into_iter().chain(self.stdio).flatten().chain(self.sockets.iter().copied())
    }
}

/// For svc-log.
pub struct ToKeep {
    pub link: i32,
    /// The memory of the last lines.
    pub tail: i32,
    /// Bytes of one service's ring in it.
    pub ring_bytes: usize,
    /// Rung when a reader waits and there is something new.
    pub bell: i32,
}

/// What a supervisor puts into svc-init's inbox when it has its own table of descriptors; the ledger says which one.
pub const APART: [u8; 1] = [0];

/// What a supervisor puts into svc-init's inbox, with a descriptor: keep this one for my successor, in place of the one before.
/// Without a descriptor: the one before is not needed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepNotification {
    pub slot: u32,
}

impl KeepNotification {
    pub fn encode(self) -> [u8; 4] {
        self.slot.to_le_bytes()
    }

    pub fn decode(packet: &[u8]) -> Option<KeepNotification> {
        packet.try_into().ok().map(|bytes| KeepNotification { slot: u32::from_le_bytes(bytes) })
    }
}
