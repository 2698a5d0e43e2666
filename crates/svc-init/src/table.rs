//! The slots: which supervisors live, which pipes are held for them, and who takes over what they leave.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use svc_core::service::{Daemon, State};
use svc_core::{Exit, Millis, Output, Pid, Service};
use svc_proto::handover::{APART, ToSupervise};
use svc_proto::label::{Label, NO_SCAN_DIR};
use svc_proto::ledger::{KEPT, Kept, Ledger, Own, Row};
use svc_proto::link::{ToLog, ToScan, ToSupervisor};
use svc_sys::fd::{self, Limit};
use svc_sys::process::{self, Reaped};
use svc_sys::stack::{self, Stack};
use svc_sys::{Errno, clock, message, procfs, say};

use crate::outbox::Outbox;

/// For whom a supervisor is to be forked: what svc-scan says of it.
pub(crate) struct Launch<'a> {
    pub(crate) slot: u32,
    pub(crate) output: Output,
    pub(crate) stdin_of: Option<u32>,
    pub(crate) stdout_of: Option<u32>,
    pub(crate) stopped: bool,
    pub(crate) label: &'a [u8],
    pub(crate) definition: &'a [u8],
}

pub(crate) struct Table {
    ledger: Ledger,
    /// The writing end of the inbox, for supervisors to inherit.
    inbox: RawFd,
    /// The limit on descriptors as we found it, for services to have.
    descriptors: Option<Limit>,
    title: &'static str,
    run_dir: Option<&'static Path>,
    /// How long a stop may take.
    budget: Millis,
    supervise: fn(ToSupervise) -> u8,
    supervisors: BTreeMap<Pid, u32>,
    /// Processes that came to us when their supervisor died, and its slot.
    orphans: BTreeMap<Pid, u32>,
    /// What services read from: ours is for the main program. One open file for all of them.
    nothing: Option<OwnedFd>,
    /// Where supervisors begin.
    stack: Stack,
    /// What supervisors were given that may not have it in a table of their own yet.
    shared: Vec<(Row, Vec<OwnedFd>)>,
}

/// What a supervisor uses of it is a few pages.
const STACK: usize = 256 * 1024;
/// What is kept stands from here on: a supervisor is given low numbers, so that its table of descriptors is a small one.
const KEPT_FROM: RawFd = 256;
/// How many descriptors stay free when a service gets its first supervisor: so much a svc-scan and a svc-log need that come in the
/// place of killed ones, and a supervisor that does, until it has a table of its own.
const RESERVE: usize = 8;

impl Table {
    pub(crate) fn new(
        ledger: Ledger,
        inbox: RawFd,
        descriptors: Option<Limit>,
        title: &'static str,
        run_dir: Option<&'static Path>,
        budget: Millis,
        supervise: fn(ToSupervise) -> u8,
    ) -> Result<Table, Errno> {
        let nothing = std::fs::File::open("/dev/null").ok().map(OwnedFd::from);
        let (supervisors, orphans, shared) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let stack = Stack::new(STACK)?;
        Ok(Table {
            ledger,
            inbox,
            descriptors,
            title,
            run_dir,
            budget,
            supervise,
            supervisors,
            orphans,
            nothing,
            stack,
            shared,
        })
    }

    /// Finds the living again, after this process has re-executed itself.
    pub(crate) fn recover(&mut self) {
        for row in self.ledger.rows() {
            if let Some(pid) = row.supervisor() {
                self.supervisors.insert(pid, row.slot());
            }
        }
    }

    pub(crate) fn supervisors(&self) -> usize {
        self.supervisors.len()
    }

    pub(crate) fn is_supervisor(&self, pid: Pid) -> bool {
        self.supervisors.contains_key(&pid)
    }

    /// Forks a supervisor for the slot, with the pipes that the slot has or gets now.
    pub(crate) fn launch(
        &mut self,
        Launch { slot, output, stdin_of, stdout_of, stopped, label, definition }: Launch<'_>,
        log: &mut Outbox,
    ) -> Result<Row, Errno> {
        // Before others come: a supervisor copies all low numbers of ours that are open when it takes its table apart.
        self.close_given();
        let row = self.ledger.row(slot).ok_or(Errno::INVALID)?;
        let mut made = [None, None];
        if row.in_use() {
            if row.supervisor().is_some() {
                return Err(Errno::IN_USE);
            }
            row.set_label(label);
        } else {
            row.take(output, stdin_of, label);
            match self.make_pipes(row, output, stdout_of.is_none(), log).and_then(|ends| self.reserve().map(|()| ends)) {
                Ok(ends) => made = ends,
                Err(errno) => {
                    self.retire(slot, log);
                    return Err(errno);
                }
            }
        }
        let (scan_end, link) = fd::packet_pair()?;
        // Of what is kept it gets copies: nothing that happens here may close them before it has its own.
        let mut given = vec![];
        let mut give = |kept: RawFd| {
            let copy = fd::duplicate(kept, 3)?;
            given.push(copy);
            Ok::<RawFd, Errno>(given[given.len() - 1].as_raw_fd())
        };
        let stdin = match stdin_of {
            Some(producer) => {
                self.ledger.row(producer).and_then(|row| row.kept(Kept::OutRead)).map(&mut give).transpose()?
            }
            None if matches!(output, Output::Inherit | Output::Starter) => None,
            None => self.nothing.as_ref().map(AsRawFd::as_raw_fd),
        };
        let notification = row.kept(Kept::Notification).map(&mut give).transpose()?;
        let sockets = row.sockets().into_iter().map(|(_, socket)| give(socket)).collect::<Result<Vec<RawFd>, Errno>>()?;
        let [out, err] = self.writing_ends(row, stdout_of, made)?;
        let orphans: Vec<Pid> = self.orphans.iter().filter(|&(_, owner)| *owner == slot).map(|(&pid, _)| pid).collect();
        self.stack.clear();
        let run_dir = self.run_dir.map(|path| self.stack.lay(path.as_os_str().as_bytes())).transpose()?;
        let handover = ToSupervise {
            row,
            definition: self.stack.lay(definition)?,
            stopped,
            link: link.as_raw_fd(),
            inbox: self.inbox,
            stdio: [stdin, out.as_ref().map(AsRawFd::as_raw_fd), err.as_ref().map(AsRawFd::as_raw_fd)],
            notification,
            sockets: self.stack.lay(&sockets)?,
            orphans: self.stack.lay(&orphans)?,
            knows_orphans: row.spawned().is_some_and(|pid| row.relayed(pid).is_some()),
            init_pid: process::id(),
            exe: self.ledger.own(Own::Exe).saturating_sub(1) as RawFd,
            descriptors: self.descriptors.map(|limit| (limit.soft, limit.hard)),
            title: self.title,
            run_dir: run_dir.map(|bytes| Path::new(OsStr::from_bytes(bytes))),
            budget: self.budget,
        };
        given.extend([Some(link), out, err].into_iter().flatten());
        self.ledger.note_launch(clock::now());
        let supervise = self.supervise;
        let pid = stack::fork_sharing_descriptors(&self.stack, row.begin_launch(), move || {
            let most = handover.descriptors().chain(say::console()).max().unwrap_or(2);
            if let Err(errno) = fd::take_apart(most) {
                say!("svc-init: cannot make a table of descriptors: {errno}");
                return svc_sys::exit::SYSTEM;
            }
            row.set_apart();
            tell_apart(handover.inbox);
            supervise(handover)
        })?;
        self.supervisors.insert(pid, slot);
        self.shared.push((row, given));
        self.keep(row, Kept::ScanEnd, scan_end);
        Ok(row)
    }

    /// Whether enough is left for those who must come back. As a rule one look shows that; only where there is little room they are counted.
    fn reserve(&self) -> Result<(), Errno> {
        if fd::are_last_free::<RESERVE>() {
            return Ok(());
        }
        let copies: Result<Vec<OwnedFd>, Errno> = (0..RESERVE).map(|_| fd::duplicate(self.inbox, 3)).collect();
        copies.map(drop)
    }

    /// Closes what supervisors were given that have it in tables of their own now.
    pub(crate) fn close_given(&mut self) {
        self.shared.retain(|(row, _)| !row.is_apart());
    }

    /// Of a pipe to svc-log only the reading end is kept: it is what keeps the pipe, and every descriptor that this process
    /// holds is copied for each supervisor. The pipe to a logger keeps its writing end too, or the logger would find its end
    /// when the producer and its supervisor are gone at the same time.
    ///
    /// Returns the writing ends that are not kept, for the first supervisor.
    fn make_pipes(&mut self, row: Row, output: Output, own: bool, log: &mut Outbox) -> Result<[Option<OwnedFd>; 2], Errno> {
        let mut out = None;
        match output {
            Output::Logger if !own => {}
            Output::Keeper | Output::Logger => {
                let (read, write) = fd::output_pipe()?;
                self.keep(row, Kept::OutRead, read);
                if output == Output::Logger {
                    self.keep(row, Kept::OutWrite, write);
                } else {
                    out = Some(write);
                }
            }
            Output::Inherit | Output::Starter => return Ok([None, None]),
        }
        let (read, write) = fd::output_pipe()?;
        self.keep(row, Kept::ErrRead, read);
        hand_out_row(row, log);
        Ok([out, Some(write)])
    }

    /// Where a service writes: standard output, into the pipe of another slot if it shares that, and error. `made`: those that
    /// have just been made; the others are opened again.
    fn writing_ends(
        &self,
        row: Row,
        stdout_of: Option<u32>,
        made: [Option<OwnedFd>; 2],
    ) -> Result<[Option<OwnedFd>; 2], Errno> {
        let opened = |what| row.kept(what).map(fd::writing_end).transpose();
        let shared = stdout_of.and_then(|slot| self.ledger.row(slot)).and_then(|row| row.kept(Kept::OutWrite));
        let [out, err] = made;
        let out = match (shared.or_else(|| row.kept(Kept::OutWrite)), out) {
            (Some(kept), _) => Some(fd::duplicate(kept, 3)?),
            (None, Some(made)) => Some(made),
            (None, None) => opened(Kept::OutRead)?,
        };
        let err = match err {
            Some(made) => Some(made),
            None => opened(Kept::ErrRead)?,
        };
        Ok([out, err])
    }

    /// Keeps a descriptor for the slot; the one before is closed.
    pub(crate) fn keep(&mut self, row: Row, what: Kept, descriptor: OwnedFd) {
        if let Some(before) = row.keep(what, Some(fd::release(fd::raise(descriptor, KEPT_FROM)))) {
            fd::close(before);
        }
    }

    /// Keeps what a service listens on; what was kept before and is not among it is closed.
    pub(crate) fn keep_sockets(&mut self, slot: u32, prints: &[u64], sockets: Vec<OwnedFd>) {
        let Some(row) = self.ledger.row(slot).filter(|row| row.in_use()) else { return };
        let kept = sockets.into_iter().map(|socket| fd::release(fd::raise(socket, KEPT_FROM)));
        let numbers = prints.iter().copied().zip(kept).collect::<Vec<(u64, RawFd)>>();
        row.keep_sockets(&numbers).into_iter().for_each(fd::close);
    }

    /// What was kept is of no use any more.
    pub(crate) fn drop_kept(&mut self, row: Row, what: Kept) {
        close_kept(row, what);
    }

    /// Nothing of the slot is needed any more.
    pub(crate) fn retire(&mut self, slot: u32, log: &mut Outbox) {
        let Some(row) = self.ledger.row(slot).filter(|row| row.in_use()) else { return };
        if row.supervisor().is_some() {
            say!("svc-init: refused to retire slot {slot}: its supervisor lives");
            return;
        }
        log.send(None, ToLog::Remove { slot }.encode(), Vec::new());
        for what in KEPT {
            close_kept(row, what);
        }
        row.keep_sockets(&[]).into_iter().for_each(fd::close);
        row.free();
        self.orphans.retain(|_, owner| *owner != slot);
    }

    /// A supervisor has ended, whoever killed it: what it ran is ours now.
    pub(crate) fn supervisor_ended(&mut self, reaped: Reaped) -> Option<u32> {
        let slot = self.supervisors.remove(&reaped.pid)?;
        let row = self.ledger.row(slot)?;
        row.clear_supervisor();
        if reaped.exit == Exit::Code(svc_sys::exit::DONE) {
            // It says that nothing is left of its service.
            return Some(slot);
        }
        let main = row.spawned();
        for child in procfs::children(process::id()) {
            if !self.is_known(child) && Some(child) != main && !self.is_main_of_another(child) {
                self.orphans.insert(child, self.owner(child).unwrap_or(slot));
            }
        }
        Some(slot)
    }

    /// Whose session a process is in that came to us: that of a main process. Who has made one of his own cannot be told from the rest.
    fn owner(&self, child: Pid) -> Option<u32> {
        let session = Pid::new(procfs::session(child)?)?;
        self.row_of(session).map(Row::slot)
    }

    /// The name of the service that a process descends from.
    pub(crate) fn service_of(&self, pid: Pid) -> Option<String> {
        let slot = procfs::lineage(pid).find_map(|at| {
            let known = self.supervisors.get(&at).or_else(|| self.orphans.get(&at)).copied();
            known.or_else(|| self.row_of(at).map(Row::slot))
        });
        self.ledger.row(slot.or_else(|| self.owner(pid))?).map(name_of)
    }

    /// The exit code that the main program left, if it was this slot's and its supervisor is done with it.
    pub(crate) fn code_of_command(&self, slot: u32) -> Option<u8> {
        let row = self.ledger.row(slot)?;
        let label = Label::decode(&row.label()).ok()?;
        let machine = Service::from_words(&row.saved()?)?;
        let is_over = label.scan_dir == NO_SCAN_DIR && machine.state() == State::Gone;
        machine.last().filter(|_| is_over).map(|past| past.exit.shell_code())
    }

    fn is_daemon(&self, pid: Pid) -> bool {
        [Own::ScanPid, Own::LogPid].iter().any(|&own| self.ledger.own(own) == pid.raw() as u64)
    }

    fn is_main_of_another(&self, pid: Pid) -> bool {
        self.ledger.rows().any(|row| row.spawned() == Some(pid))
    }

    /// The main process of a forking daemon has ended while its supervisor was not its parent: who came to us then is told to
    /// that supervisor, which could not see it. Whether it was.
    fn claim_left_behind(&mut self, row: Row) -> bool {
        let machine = row.saved().and_then(|words| Service::from_words(&words));
        if machine.is_none_or(|machine| machine.daemon() == Daemon::No) {
            return false;
        }
        let mut claimed = Vec::new();
        for child in procfs::children(process::id()) {
            if !self.is_known(child) && !self.is_main_of_another(child) {
                self.orphans.insert(child, row.slot());
                claimed.push(child.raw() as u32);
            }
        }
        // A supervisor that does not hear it is dead, and its heir is told with the rest.
        let link = row.kept(Kept::ScanEnd).and_then(fd::borrow).filter(|_| !claimed.is_empty());
        link.is_some_and(|link| message::try_send(link, &ToSupervisor::Orphans(claimed).encode(), &[]).is_ok())
    }

    fn is_known(&self, child: Pid) -> bool {
        self.supervisors.contains_key(&child) || self.orphans.contains_key(&child) || self.is_daemon(child)
    }

    /// Somebody without a supervisor has ended. If it was what a service's state speaks of, its next supervisor must know; and
    /// before it is reaped: who finds neither the process nor its end would take it for one that nobody knows of.
    pub(crate) fn relay(&mut self, ended: Reaped) {
        if let Some(row) = self.row_of(ended.pid) {
            let left = self.claim_left_behind(row);
            row.relay(ended.pid, ended.exit, left);
        }
    }

    /// It has been reaped.
    pub(crate) fn orphan_ended(&mut self, reaped: Reaped) {
        let owner = self.orphans.remove(&reaped.pid);
        let row = self.row_of(reaped.pid).or_else(|| owner.and_then(|slot| self.ledger.row(slot)));
        if let Some(link) = row.and_then(|row| row.kept(Kept::ScanEnd)).and_then(fd::borrow) {
            // A full socket holds other messages that make it look.
            let _ = message::try_send(link, &ToSupervisor::Look.encode(), &[]);
        }
    }

    fn row_of(&self, main: Pid) -> Option<Row> {
        self.ledger.rows().find(|row| row.spawned() == Some(main))
    }

    /// Tells a new svc-scan everything.
    pub(crate) fn introduce(&self, scan: &mut Outbox) {
        for row in self.ledger.rows() {
            self.introduce_row(row, scan);
            let (prints, sockets): (Vec<u64>, Vec<RawFd>) = row.sockets().into_iter().unzip();
            if !prints.is_empty() {
                scan.send(Some(row.slot()), ToScan::Sockets { slot: row.slot(), prints }.encode(), sockets);
            }
        }
        if let Some(listener) = self.ledger.own(Own::Listener).checked_sub(1) {
            scan.send(None, ToScan::Listener.encode(), vec![listener as RawFd]);
        }
        let began = Millis(self.ledger.own(Own::Began));
        scan.send(None, ToScan::Begin { init_pid: process::id(), began }.encode(), Vec::new());
    }

    pub(crate) fn introduce_row(&self, row: Row, scan: &mut Outbox) {
        let supervisor = row.supervisor().map_or(0, Pid::raw);
        let message = ToScan::Slot { slot: row.slot(), supervisor, label: row.label() };
        scan.send(Some(row.slot()), message.encode(), row.kept(Kept::ScanEnd).into_iter().collect());
    }

    /// Gives a new svc-log the reading end of every pipe.
    pub(crate) fn hand_out(&self, log: &mut Outbox) {
        for row in self.ledger.rows() {
            hand_out_row(row, log);
        }
    }
}

impl Table {
    /// What services have written and nobody has read: their names, and how many bytes.
    pub(crate) fn unread(&self) -> Vec<(String, usize)> {
        let bytes =
            |row: Row| [Kept::OutRead, Kept::ErrRead].iter().filter_map(|&end| fd::available(row.kept(end)?).ok()).sum();
        self.ledger.rows().map(|row| (name_of(row), bytes(row))).filter(|&(_, bytes)| bytes > 0).collect()
    }
}

fn name_of(row: Row) -> String {
    Label::decode(&row.label()).map_or_else(|_| format!("slot {}", row.slot()), |label| label.name)
}

/// In a supervisor that has its own table of descriptors: svc-init may close what it was given. If its inbox is full it is awake,
/// and looks anyway.
fn tell_apart(inbox: RawFd) {
    if let Some(inbox) = fd::borrow(inbox) {
        let _ = message::try_send(inbox, &APART, &[]);
    }
}

fn hand_out_row(row: Row, log: &mut Outbox) {
    let ends = match row.wiring().0 {
        Output::Keeper => vec![row.kept(Kept::OutRead), row.kept(Kept::ErrRead)],
        Output::Logger => vec![row.kept(Kept::ErrRead)],
        Output::Inherit | Output::Starter => return,
    };
    let name = name_of(row);
    let ends = ends.into_iter().flatten().collect();
    log.send(Some(row.slot()), ToLog::Add { slot: row.slot(), name }.encode(), ends);
}

fn close_kept(row: Row, what: Kept) {
    if let Some(descriptor) = row.keep(what, None) {
        fd::close(descriptor);
    }
}
