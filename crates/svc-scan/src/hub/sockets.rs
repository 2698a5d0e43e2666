//! Sockets that services are given: opened once, and held by svc-init from then on, whoever else ends.
//!
//! svc-scan, which may parse, opens them as svc's user, and sends them to svc-init to keep and to the supervisor to hand on with
//! each start. A socket that the definition still names stays the same open one; what it no longer names is closed.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use svc_core::{Millis, Pid, ServiceName};
use svc_def::{Address, Flow, Socket};
use svc_proto::link::ToInit;
use svc_sys::{Errno, clock, listen, procfs, say};

use super::{Hub, Member};
use crate::units::Unit;

/// An address that is not to be had is tried again after this long, and then more and more seldom.
const RETRY: Millis = Millis::from_secs(1);
const RETRY_MOST: Millis = Millis::from_secs(15);

/// What a member listens on.
#[derive(Default)]
pub(super) struct Sockets {
    /// In the order of the definition, with the number of what they were opened for.
    pub(super) held: Vec<(u64, OwnedFd)>,
    /// What svc-init holds.
    kept: Vec<u64>,
    /// Why not all are open, and when to try again.
    pub(super) missing: Option<Missing>,
}

pub(super) struct Missing {
    pub(super) problem: String,
    pub(super) again_at: Millis,
    pause: Millis,
}

impl Sockets {
    pub(super) fn numbers(&self) -> Vec<i32> {
        self.held.iter().map(|(_, socket)| socket.as_raw_fd()).collect()
    }

    /// What an earlier svc-scan had opened.
    pub(super) fn recovered(prints: Vec<u64>, sockets: Vec<OwnedFd>) -> Sockets {
        Sockets { kept: prints.clone(), held: prints.into_iter().zip(sockets).collect(), missing: None }
    }
}

impl Member {
    pub(super) fn missing_sockets(&self) -> Option<&Missing> {
        self.sockets.as_ref()?.missing.as_ref()
    }
}

impl Hub {
    /// Opens what is not open yet, lets go of what is not wanted any more, and has svc-init keep the rest. Whether that is anything
    /// else than before, which its supervisor must be told.
    pub(super) fn open_sockets(&mut self, slot: u32) -> bool {
        let Some(member) = self.members.get(&slot) else { return false };
        let facts = self.units.get(member.name.as_str()).and_then(|unit| unit.source.facts.as_ref());
        let wanted: &[Socket] = facts.map_or(&[], |facts| facts.sockets());
        if wanted.is_empty() && member.sockets.is_none() {
            return false;
        }
        let own = member.name.clone();
        let taken = self.members.get_mut(&slot).and_then(|member| member.sockets.take());
        let mut sockets = taken.unwrap_or_default();
        let mut before: Vec<(u64, Option<OwnedFd>)> =
            std::mem::take(&mut sockets.held).into_iter().map(|(print, socket)| (print, Some(socket))).collect();
        let (mut held, mut problem) = (Vec::new(), None);
        // Those of a path that is to be opened anew in another way come first.
        let prints: Vec<u64> = wanted.iter().map(Socket::print).collect();
        for (print, socket) in &mut before {
            if !prints.contains(print)
                && let Some(socket) = socket.take()
            {
                listen::remove_path(&socket);
            }
        }
        let why = |socket: &Socket, errno| self.why(&own, socket, errno);
        for socket in wanted {
            let print = socket.print();
            let found = before.iter_mut().find(|(other, _)| *other == print).and_then(|(_, socket)| socket.take());
            match found.map_or_else(|| open(socket, &|errno| why(socket, errno)), Ok) {
                Ok(open) => held.push((print, open)),
                Err(what) => _ = problem.get_or_insert(what),
            }
        }
        let now = clock::now();
        let pause = sockets.missing.as_ref().map_or(RETRY, |missing| Millis(missing.pause.0 * 2).min(RETRY_MOST));
        if let Some(what) = &problem
            && sockets.missing.as_ref().is_none_or(|missing| missing.problem != *what)
        {
            say!("svc-scan: {}: {what}: it is not started before (retry in {} s)", own, pause.0 / 1000);
        }
        sockets.missing = problem.map(|problem| Missing { problem, again_at: now + pause, pause });
        if sockets.missing.is_some() {
            self.lacking.insert(slot);
        } else {
            self.lacking.remove(&slot);
        }
        sockets.held = held;
        let prints: Vec<u64> = sockets.held.iter().map(|(print, _)| *print).collect();
        let is_new = prints != sockets.kept;
        if is_new {
            sockets.kept = prints.clone();
            let copies = sockets.held.iter().filter_map(|(_, socket)| socket.try_clone().ok()).collect();
            self.init.send_all(ToInit::Sockets { slot, prints }.encode(), copies);
        }
        if let Some(member) = self.members.get_mut(&slot) {
            member.sockets = Some(sockets);
        }
        is_new
    }

    /// Why a socket of `own` could not be opened.
    fn why(&self, own: &ServiceName, socket: &Socket, errno: Errno) -> String {
        let holder = match &socket.address {
            Address::Internet(address) if errno == Errno::IN_USE => procfs::holder_of_port(address.port()),
            Address::Internet(_) | Address::Path(_) | Address::Abstract(_) => None,
        };
        // svc-init, or somebody whom it has given the socket.
        let is_ours = holder.is_none_or(|pid| pid.raw() == self.init_pid || procfs::descends(pid, self.init_pid));
        if errno == Errno::IN_USE && is_ours {
            let listens = |other: &Socket| (&other.address, other.flow) == (&socket.address, socket.flow);
            let sockets = |unit: &Unit| unit.source.facts.as_ref().is_some_and(|facts| facts.sockets().iter().any(listens));
            // A template says what its first instance says.
            let mut others = self.units.iter().filter(|(name, unit)| *name != own && unit.instances.is_none());
            if let Some((rival, _)) = others.find(|(_, unit)| sockets(unit)) {
                return format!("address in use by {rival}: choose another one for one of the two");
            }
            let has = |pid: Pid, holder: Pid| pid == holder || procfs::descends(holder, pid.raw());
            let runs = |member: &Member| member.supervisor.zip(holder).is_some_and(|(pid, holder)| has(pid, holder));
            if let Some(rival) = self.members.values().find(|member| runs(member)).map(|member| &member.name) {
                return format!(
                    "address in use by {rival}, which was started with it: restart that, or choose another port"
                );
            }
        }
        trouble(socket, errno, holder)
    }

    /// Whether it must not be started, because it would find sockets missing.
    pub(super) fn lacks_sockets(&self, slot: u32) -> bool {
        self.members.get(&slot).is_some_and(|member| member.missing_sockets().is_some())
    }

    pub(super) fn sockets_deadline(&self) -> Option<Millis> {
        self.missing_sockets().map(|(_, missing)| missing.again_at).min()
    }

    /// The slots whose sockets could not be opened. Some may have gone since.
    fn missing_sockets(&self) -> impl Iterator<Item = (u32, &Missing)> {
        self.lacking.iter().filter_map(|slot| Some((*slot, self.members.get(slot)?.missing_sockets()?)))
    }

    /// Tries again to open what could not be opened.
    pub(super) fn sockets_time(&mut self) {
        let now = clock::now();
        let due: Vec<u32> =
            self.missing_sockets().filter(|(_, missing)| now >= missing.again_at).map(|(slot, _)| slot).collect();
        for slot in due {
            self.open_sockets(slot);
            if !self.lacks_sockets(slot) {
                self.define(slot);
                self.fit_slot(slot);
            }
        }
    }

    /// A definition is gone for good: nobody listens there any more.
    pub(super) fn forget_sockets(member: &Member) {
        for (_, socket) in member.sockets.iter().flat_map(|sockets| &sockets.held) {
            listen::remove_path(socket);
        }
    }
}

fn open(socket: &Socket, why: &dyn Fn(Errno) -> String) -> Result<OwnedFd, String> {
    let (address, flow) = (place(&socket.address), flow(socket.flow));
    let options = listen::Options { backlog: socket.backlog, reuse_port: socket.reuse_port, dual_stack: socket.dual_stack };
    let failed = |errno: Errno| format!("{}: {}", socket.listen, why(errno));
    let listen::Address::Path(path) = &address else { return listen::open(&address, flow, options).map_err(failed) };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| format!("{}: {}: {error}", socket.listen, parent.display()))?;
    }
    // Nobody can connect before it belongs to whom it should.
    let mask = svc_sys::user::set_umask(0o177);
    let opened = listen::open(&address, flow, options).or_else(|errno| {
        if errno != Errno::IN_USE || !listen::is_left_over(path, flow) {
            return Err(errno);
        }
        std::fs::remove_file(path).map_err(Errno::from)?;
        listen::open(&address, flow, options)
    });
    svc_sys::user::set_umask(mask);
    let opened = opened.map_err(failed)?;
    hand_over(socket, path).inspect_err(|_| _ = std::fs::remove_file(path))?;
    Ok(opened)
}

/// Gives the socket file its owner and mode.
fn hand_over(socket: &Socket, path: &Path) -> Result<(), String> {
    let number = |name: &Option<String>, table: svc_def::Table| match name {
        None => Ok(None),
        Some(name) => match number_of(name, table.1) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("{}: {}", socket.listen, svc_def::no_line(&table, name))),
        },
    };
    let user = number(&socket.user, svc_def::USER)?;
    let group = number(&socket.group, svc_def::GROUP)?;
    let failed = |error: std::io::Error| format!("{}: cannot give it its owner and mode: {error}", socket.listen);
    chown(path, user, group).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(socket.mode.unwrap_or(0o666))).map_err(failed)
}

/// The number of a name in a file of accounts or groups.
fn number_of(name: &str, table: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let text = std::fs::read(table).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.split(':').nth(1)?.parse().ok())
}

fn trouble(socket: &Socket, errno: Errno, holder: Option<Pid>) -> String {
    match (errno, &socket.address) {
        (Errno::IN_USE, Address::Internet(_)) => match holder {
            Some(pid) => format!("address in use by {} (pid {pid}): stop that, or choose another port", procfs::name(pid)),
            None => "address in use: stop who has it, or choose another port".into(),
        },
        (Errno::IN_USE, Address::Path(_)) => "address in use: somebody listens there, or it is no socket".into(),
        (Errno::IN_USE, Address::Abstract(_)) => "address in use: somebody listens there".into(),
        (Errno::NOT_ALLOWED, Address::Internet(address)) if address.port() < 1024 => {
            format!("{errno}: ports below 1024 need root or CAP_NET_BIND_SERVICE: give that to svc, or choose another port")
        }
        (errno, _) => errno.to_string(),
    }
}

fn place(address: &Address) -> listen::Address {
    match address {
        Address::Internet(address) => listen::Address::Internet(*address),
        Address::Path(path) => listen::Address::Path(path.clone()),
        Address::Abstract(name) => listen::Address::Abstract(name.clone().into_bytes()),
    }
}

fn flow(flow: Flow) -> listen::Flow {
    match flow {
        Flow::Stream => listen::Flow::Stream,
        Flow::Datagrams => listen::Flow::Datagrams,
        Flow::Packets => listen::Flow::Packets,
    }
}
