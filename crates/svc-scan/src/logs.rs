//! The last lines of services, read from the memory that svc-log writes, and readers who follow them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use svc_proto::api::{LogLine, Stream};
use svc_proto::json;
use svc_proto::tail::{self, Record, Ring};
use svc_sys::{Errno, shared};
use tokio::sync::mpsc;

use crate::clients::Subscriber;

pub(crate) struct Logs {
    memory: OwnedFd,
    ring_bytes: usize,
    /// How many readers want to be woken; svc-log looks here.
    readers: &'static AtomicU64,
    rings: RefCell<HashMap<u32, Ring<'static>>>,
    followers: Vec<Follower>,
}

struct Follower {
    subscriber: Subscriber,
    /// The services it asked for; empty for all.
    services: Vec<String>,
    positions: HashMap<u32, u64>,
}

impl Logs {
    pub(crate) fn new(memory: OwnedFd, ring_bytes: usize) -> Result<Logs, Errno> {
        let page = shared::map(memory.as_fd(), 0, tail::PAGE)?;
        let readers = page.first().ok_or(Errno::INVALID)?;
        readers.store(0, Ordering::Release);
        Ok(Logs { memory, ring_bytes, readers, rings: RefCell::default(), followers: Vec::new() })
    }

    fn ring(&self, slot: u32) -> Option<Ring<'static>> {
        let mut rings = self.rings.borrow_mut();
        if let Some(ring) = rings.get(&slot) {
            return Some(*ring);
        }
        let words = shared::map(self.memory.as_fd(), tail::offset(slot, self.ring_bytes), self.ring_bytes).ok()?;
        let ring = Ring::new(words)?;
        rings.insert(slot, ring);
        Some(ring)
    }

    /// The last lines of a service, oldest first; at most `most`.
    pub(crate) fn last(&self, slot: u32, service: &str, most: Option<usize>, stderr_only: bool) -> Vec<LogLine> {
        let Some(ring) = self.ring(slot) else { return Vec::new() };
        let (records, ..) = ring.read(0);
        let mut lines = join(records, service);
        if stderr_only {
            lines.retain(|line| line.stream == Stream::Stderr);
        }
        let skip = most.map_or(0, |most| lines.len().saturating_sub(most));
        lines.split_off(skip)
    }

    /// A reader who wants every line from now on.
    pub(crate) fn follow(&mut self, services: Vec<String>, slots: &[(u32, String)], lines: mpsc::Sender<Vec<u8>>) {
        let positions = slots.iter().filter_map(|(slot, _)| Some((*slot, self.ring(*slot)?.head()))).collect();
        self.followers.push(Follower { subscriber: Subscriber::new(lines), services, positions });
        self.readers.store(self.followers.len() as u64, Ordering::Release);
    }

    /// svc-log rang: hands out what is new.
    pub(crate) fn deliver(&mut self, slots: &[(u32, String)]) {
        let mut followers = std::mem::take(&mut self.followers);
        for follower in &mut followers {
            for (slot, service) in slots {
                if !follower.services.is_empty() && !follower.services.contains(service) {
                    continue;
                }
                let Some(ring) = self.ring(*slot) else { continue };
                let position = follower.positions.entry(*slot).or_insert(0);
                if *position > ring.head() {
                    // The slot has a new owner since.
                    *position = 0;
                }
                let (records, next, complete) = ring.read(*position);
                let overrun = !complete && *position > 0;
                *position = next;
                if overrun {
                    let note = note(service, "svc-ctl: lines were left out: the reader is slower than the service");
                    follower.subscriber.send(json::line(&note), |_| json::line(&note));
                }
                for line in join(records, service) {
                    follower.subscriber.send(json::line(&line), |lost| {
                        json::line(&note(service, &format!("svc-ctl: {lost} lines were left out: the reader is too slow")))
                    });
                }
            }
        }
        self.followers = followers;
        self.drop_gone();
    }

    /// Forgets readers who have hung up.
    pub(crate) fn drop_gone(&mut self) {
        self.followers.retain(|follower| !follower.subscriber.is_gone());
        self.readers.store(self.followers.len() as u64, Ordering::Release);
    }
}

fn note(service: &str, text: &str) -> LogLine {
    LogLine { service: service.to_owned(), at_ms: svc_sys::clock::wall_ms(), stream: Stream::Stderr, line: text.to_owned() }
}

/// Puts the pieces of long lines together again.
fn join(records: Vec<Record>, service: &str) -> Vec<LogLine> {
    let mut lines = Vec::new();
    let mut open: [Vec<u8>; 2] = [Vec::new(), Vec::new()];
    for record in records {
        let text = &mut open[usize::from(record.stderr)];
        text.extend_from_slice(&record.text);
        if record.partial {
            continue;
        }
        let bytes = std::mem::take(text);
        lines.push(line(service, record.at_ms, record.stderr, &bytes));
    }
    // A line that has no end yet is shown as far as it goes.
    for (stderr, rest) in [(false, &open[0]), (true, &open[1])] {
        if !rest.is_empty() {
            lines.push(line(service, svc_sys::clock::wall_ms(), stderr, rest));
        }
    }
    lines
}

fn line(service: &str, at_ms: u64, stderr: bool, bytes: &[u8]) -> LogLine {
    LogLine {
        service: service.to_owned(),
        at_ms,
        stream: if stderr { Stream::Stderr } else { Stream::Stdout },
        line: String::from_utf8_lossy(bytes).into_owned(),
    }
}
