//! The ledger: shared memory in which every supervisor writes down what it is about to do, and in which svc-init keeps its
//! own table. Whoever is killed leaves it behind complete: a supervisor's successor goes on from its row, and svc-init finds
//! its table again after re-executing itself.
//!
//! Everything is a word that is read and written atomically. A row's snapshot stands there twice; a sequence number says
//! which copy holds, so a supervisor killed in the middle of writing leaves the other copy whole.

use std::sync::atomic::{AtomicU64, Ordering};

use svc_core::health::WORDS as HEALTH_WORDS;
use svc_core::snapshot::{WORDS, Words};
use svc_core::{Exit, Millis, Output, Pid};

use crate::definition::{output_from, output_number};

/// Words of a row that its supervisor writes, and of one that svc-init writes.
const HOT: usize = 96;
const COLD: usize = 64;
const _: () = assert!(COPIES[1] + WORDS <= ERRAND, "both copies fit into a row");
const HEADER: usize = 512;
/// Words of a row that its supervisor writes only if there is something to be looked at.
const ANNEX: usize = 128;

/// How many services one svc can have, loggers included. s6-svscan's own limit is 160000; at 40 KiB and five descriptors a
/// service, 16384 is where a container has other problems.
pub const MAX_SLOTS: u32 = 16384;

/// Words of a row for the sockets of a service: two each. They stand behind all rows, where most services touch nothing.
const SHELF: usize = 2 * MAX_SOCKETS;

/// So many sockets one service may have.
pub const MAX_SOCKETS: usize = 16;

/// Bytes of the whole ledger. Pages that nobody touched cost nothing.
pub const BYTES: usize = 8 * (HEADER + MAX_SLOTS as usize * (HOT + COLD + SHELF + ANNEX));

/// The longest label.
pub const MAX_LABEL: usize = 8 * (COLD - LABEL);

const SEQUENCE: usize = 0;
const SPAWNED: usize = 1;
const RELAYED: usize = 2;
/// Whether the annex of the row has been written to since the row was taken: nobody reads it before, so that it takes no memory.
const HAS_ANNEX: usize = 3;
const COPIES: [usize; 2] = [4, 4 + WORDS];
/// The command of a stop: its start, and its pid.
const ERRAND: usize = HOT - 1;

const USE: usize = 0;
const SUPERVISOR: usize = 1;
const DESCRIPTORS: usize = 2;
/// In the word of the supervisor, above its pid.
const APART: u64 = 1 << 32;
const LABEL_LENGTH: usize = 5;
const LABEL: usize = 6;

/// Where in its word it stands how many sockets are kept.
const SOCKETS: u32 = 16;
/// In the annex: a sequence number and two copies, as in the row itself, and two texts behind their lengths.
const HEALTH_COPIES: [usize; 2] = [1, 1 + HEALTH_WORDS];
const TEXTS: [usize; 2] = [32, 80];
const _: () = assert!(HEALTH_COPIES[1] + HEALTH_WORDS <= TEXTS[0], "both copies fit in front of the texts");
/// The longest text that is kept.
pub const MAX_TEXT: usize = 8 * 47;

const RELAY_HOLDS: u64 = 1 << 63;
/// Who came to svc-init with this end is told in a message of its own.
const RELAY_LEFT: u64 = 1 << 62;

/// The ledger over its memory.
#[derive(Clone, Copy)]
pub struct Ledger {
    words: &'static [AtomicU64],
}

/// Descriptors that svc-init keeps for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// svc-scan's end of the link to the supervisor.
    ScanEnd,
    OutRead,
    OutWrite,
    ErrRead,
    /// The reading end of the pipe on which the running service says that it is ready.
    Notification,
}

pub const KEPT: [Kept; 5] = [Kept::ScanEnd, Kept::OutRead, Kept::OutWrite, Kept::ErrRead, Kept::Notification];

/// What svc-init keeps for itself, in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    ScanPid,
    LogPid,
    /// Code and time of a shutdown that has begun: `code << 56 | end in milliseconds`, or zero.
    Ending,
    /// One past the highest slot ever used.
    Slots,
    /// How often svc-init re-executed itself, and when it last did.
    Recoveries,
    RecoveredAt,
    /// Descriptors, each one more than its number.
    Ledger,
    Tail,
    Bell,
    Exe,
    InboxRead,
    InboxWrite,
    ScanLink,
    LogLink,
    Listener,
    /// How many supervisors were launched without a pause, and when the last one was: `count << 48 | milliseconds`.
    Launches,
    /// When the first svc-init of these began.
    Began,
}

/// The descriptors among them, which must outlive a re-execution.
pub const OWN_DESCRIPTORS: [Own; 9] = [
    Own::Ledger,
    Own::Tail,
    Own::Bell,
    Own::Exe,
    Own::InboxRead,
    Own::InboxWrite,
    Own::ScanLink,
    Own::LogLink,
    Own::Listener,
];

/// Supervisors launched so soon after one another belong together.
const PAUSE: u64 = 100;
const TIME: u64 = (1 << 48) - 1;

impl Ledger {
    /// `None` if the memory is too small to be a ledger.
    pub fn new(words: &'static [AtomicU64]) -> Option<Ledger> {
        (words.len() * 8 >= BYTES).then_some(Ledger { words })
    }

    pub fn own(self, which: Own) -> u64 {
        self.word(which as usize).load(Ordering::Acquire)
    }

    pub fn set_own(self, which: Own, value: u64) {
        self.word(which as usize).store(value, Ordering::Release);
    }

    /// svc-init launches a supervisor.
    pub fn note_launch(self, now: Millis) {
        let count = self.launches(now).saturating_add(1).min(0xffff);
        self.set_own(Own::Launches, count << 48 | now.0 & TIME);
    }

    /// How many supervisors were launched without a pause until now; none if there has been a pause since.
    pub fn launches(self, now: Millis) -> u64 {
        let word = self.own(Own::Launches);
        if (now.0 & TIME).saturating_sub(word & TIME) < PAUSE { word >> 48 } else { 0 }
    }

    /// The row of a slot; `None` beyond the end.
    pub fn row(self, slot: u32) -> Option<Row> {
        (slot < MAX_SLOTS).then_some(Row { ledger: self, slot })
    }

    /// All rows in use.
    pub fn rows(self) -> impl Iterator<Item = Row> {
        let slots = (self.own(Own::Slots) as u32).min(MAX_SLOTS);
        (0..slots).map(move |slot| Row { ledger: self, slot }).filter(|row| row.in_use())
    }

    /// An index beyond the end (there is none in this file) finds the first word rather than a panic.
    fn word(self, index: usize) -> &'static AtomicU64 {
        self.words.get(index).unwrap_or(&self.words[0])
    }
}

/// The texts of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// What the service says of itself.
    Status,
    /// What the last look at it said.
    Said,
}

/// One slot's row.
#[derive(Clone, Copy)]
pub struct Row {
    ledger: Ledger,
    slot: u32,
}

impl Row {
    pub fn slot(self) -> u32 {
        self.slot
    }

    fn hot(self, index: usize) -> &'static AtomicU64 {
        self.ledger.word(HEADER + self.slot as usize * HOT + index)
    }

    fn cold(self, index: usize) -> &'static AtomicU64 {
        self.ledger.word(HEADER + MAX_SLOTS as usize * HOT + self.slot as usize * COLD + index)
    }

    /// See [`Ledger::launches`].
    pub fn launches(self, now: Millis) -> u64 {
        self.ledger.launches(now)
    }

    // --- what the supervisor writes

    /// Writes down the service's state. Before acting on it, not after.
    pub fn save(self, words: &Words) {
        let next = self.hot(SEQUENCE).load(Ordering::Relaxed) + 1;
        let copy = COPIES[(next & 1) as usize];
        for (index, &word) in words.iter().enumerate() {
            self.hot(copy + index).store(word, Ordering::Relaxed);
        }
        self.hot(SEQUENCE).store(next, Ordering::Release);
    }

    /// The last state that was written down whole; `None` for a row that no supervisor has written.
    pub fn saved(self) -> Option<Words> {
        let sequence = self.hot(SEQUENCE).load(Ordering::Acquire);
        if sequence == 0 {
            return None;
        }
        let copy = COPIES[(sequence & 1) as usize];
        let mut words = [0; WORDS];
        for (index, word) in words.iter_mut().enumerate() {
            *word = self.hot(copy + index).load(Ordering::Relaxed);
        }
        Some(words)
    }

    /// A process is about to be made for this start, and none has been yet: the kernel writes its pid into the lower half of this
    /// word, so no program ever runs that is not written down here.
    pub fn begin_spawn(self, start: u32) -> &'static AtomicU64 {
        self.hot(RELAYED).store(0, Ordering::Release);
        self.hot(SPAWNED).store(u64::from(start) << 32, Ordering::Release);
        self.hot(SPAWNED)
    }

    /// The same for the command that stops what was started for the `start`-th time.
    pub fn begin_errand(self, start: u32) -> &'static AtomicU64 {
        self.hot(ERRAND).store(u64::from(start) << 32, Ordering::Release);
        self.hot(ERRAND)
    }

    /// The process that was made for that; none if none was.
    pub fn errand_of(self, start: u32) -> Option<Pid> {
        let word = self.hot(ERRAND).load(Ordering::Acquire);
        if (word >> 32) as u32 == start { Pid::new(word as u32 as i32) } else { None }
    }

    /// Another process is the one that was made at this start.
    pub fn set_spawned(self, pid: Pid, start: u32) {
        self.hot(SPAWNED).store(u64::from(start) << 32 | pid.raw() as u64, Ordering::Release);
    }

    pub fn spawned(self) -> Option<Pid> {
        Pid::new(self.hot(SPAWNED).load(Ordering::Acquire) as u32 as i32)
    }

    /// The process that was made for this very start.
    pub fn spawned_for(self, start: u32) -> Option<Pid> {
        let word = self.hot(SPAWNED).load(Ordering::Acquire);
        if (word >> 32) as u32 == start { Pid::new(word as u32 as i32) } else { None }
    }

    fn annex(self, index: usize) -> &'static AtomicU64 {
        let begin = HEADER + MAX_SLOTS as usize * (HOT + COLD + SHELF);
        self.ledger.word(begin + self.slot as usize * ANNEX + index)
    }

    /// Writes down how the service is.
    pub fn save_health(self, words: &svc_core::health::Words) {
        if self.hot(HAS_ANNEX).load(Ordering::Relaxed) == 0 {
            for index in 0..ANNEX {
                self.annex(index).store(0, Ordering::Relaxed);
            }
        }
        let next = self.annex(SEQUENCE).load(Ordering::Relaxed) + 1;
        let copy = HEALTH_COPIES[(next & 1) as usize];
        for (index, &word) in words.iter().enumerate() {
            self.annex(copy + index).store(word, Ordering::Relaxed);
        }
        self.annex(SEQUENCE).store(next, Ordering::Release);
        self.hot(HAS_ANNEX).store(1, Ordering::Release);
    }

    /// What was written down last; `None` where nothing was.
    pub fn saved_health(self) -> Option<svc_core::health::Words> {
        let sequence =
            if self.hot(HAS_ANNEX).load(Ordering::Acquire) == 0 { 0 } else { self.annex(SEQUENCE).load(Ordering::Acquire) };
        if sequence == 0 {
            return None;
        }
        let copy = HEALTH_COPIES[(sequence & 1) as usize];
        Some(std::array::from_fn(|index| self.annex(copy + index).load(Ordering::Relaxed)))
    }

    /// Keeps a text; one that is cut by a kill in the middle harms nobody. Behind [`Row::save_health`] only.
    pub fn save_text(self, which: Text, text: &[u8]) {
        let place = TEXTS[which as usize];
        let text = &text[..text.len().min(MAX_TEXT)];
        for (index, chunk) in text.chunks(8).enumerate() {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            self.annex(place + 1 + index).store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
        self.annex(place).store(text.len() as u64, Ordering::Release);
    }

    /// The text that was kept last.
    pub fn saved_text(self, which: Text) -> Vec<u8> {
        if self.hot(HAS_ANNEX).load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let place = TEXTS[which as usize];
        let length = (self.annex(place).load(Ordering::Acquire) as usize).min(MAX_TEXT);
        let words = (0..length.div_ceil(8)).map(|index| self.annex(place + 1 + index).load(Ordering::Relaxed));
        let mut text: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        text.truncate(length);
        text
    }

    // --- what svc-init writes

    /// svc-init has reaped this process, which stands in [`Row::spawned`].
    /// `left`: the supervisor gets a message that says whom it has left behind.
    pub fn relay(self, pid: Pid, exit: Exit, left: bool) {
        let word = RELAY_HOLDS
            | if left { RELAY_LEFT } else { 0 }
            | (pid.raw() as u64) << 16
            | u64::from(exit.wait_status() & 0xffff);
        self.hot(RELAYED).store(word, Ordering::Release);
    }

    /// How this process ended, if svc-init has reaped it. An exit that is written down late is not taken for another's.
    pub fn relayed(self, pid: Pid) -> Option<Exit> {
        let word = self.hot(RELAYED).load(Ordering::Acquire);
        let matches = word & RELAY_HOLDS != 0 && (word & !RELAY_HOLDS & !RELAY_LEFT) >> 16 == pid.raw() as u64;
        matches.then(|| Exit::from_wait_status((word & 0xffff) as u32))
    }

    /// Whether a message says whom the process that is relayed has left behind.
    pub fn relayed_left(self) -> bool {
        self.hot(RELAYED).load(Ordering::Acquire) & RELAY_LEFT != 0
    }

    pub fn in_use(self) -> bool {
        self.cold(USE).load(Ordering::Acquire) != 0
    }

    /// Takes the slot, as it is when nobody has used it yet.
    pub fn take(self, output: Output, stdin_of: Option<u32>, label: &[u8]) {
        for index in 0..HOT {
            self.hot(index).store(0, Ordering::Relaxed);
        }
        for index in 1..COLD {
            self.cold(index).store(0, Ordering::Relaxed);
        }
        self.set_label(label);
        let stdin = stdin_of.map_or(0, |slot| u64::from(slot) + 1);
        self.cold(USE).store(1 | u64::from(output_number(output)) << 8 | stdin << 32, Ordering::Release);
        let slots = self.ledger.own(Own::Slots).max(u64::from(self.slot) + 1);
        self.ledger.set_own(Own::Slots, slots);
    }

    pub fn set_label(self, label: &[u8]) {
        let label = &label[..label.len().min(MAX_LABEL)];
        self.cold(LABEL_LENGTH).store(label.len() as u64, Ordering::Relaxed);
        for (index, chunk) in label.chunks(8).enumerate() {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            self.cold(LABEL + index).store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
    }

    pub fn label(self) -> Vec<u8> {
        let length = (self.cold(LABEL_LENGTH).load(Ordering::Relaxed) as usize).min(MAX_LABEL);
        let words = (0..length.div_ceil(8)).map(|index| self.cold(LABEL + index).load(Ordering::Relaxed));
        let mut label: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        label.truncate(length);
        label
    }

    /// Where the service's output goes, and whose output it reads.
    pub fn wiring(self) -> (Output, Option<u32>) {
        let word = self.cold(USE).load(Ordering::Acquire);
        let output = output_from((word >> 8) as u8).unwrap_or(Output::Keeper);
        (output, ((word >> 32) as u32).checked_sub(1))
    }

    fn shelf(self, index: usize) -> &'static AtomicU64 {
        self.ledger.word(HEADER + MAX_SLOTS as usize * (HOT + COLD) + self.slot as usize * SHELF + index)
    }

    /// The sockets that are kept for the service, each with the number of what it was opened for.
    pub fn sockets(self) -> Vec<(u64, i32)> {
        // Looked at first: a look at the shelf would cost a page.
        let count = (self.cold(USE).load(Ordering::Acquire) >> SOCKETS) as u8 as usize;
        let word = |index| self.shelf(index).load(Ordering::Relaxed);
        (0..count.min(MAX_SOCKETS)).map(|at| (word(2 * at), word(2 * at + 1) as i32)).collect()
    }

    /// Notes which sockets are kept, and gives back those of before.
    pub fn keep_sockets(self, sockets: &[(u64, i32)]) -> Vec<i32> {
        let before = self.sockets().into_iter().map(|(_, socket)| socket).collect();
        let others = self.cold(USE).load(Ordering::Acquire) & !(0xff << SOCKETS);
        // None, while they are exchanged: what is forgotten in between stays open, and does no harm.
        self.cold(USE).store(others, Ordering::Release);
        for (at, &(print, socket)) in sockets.iter().take(MAX_SOCKETS).enumerate() {
            self.shelf(2 * at).store(print, Ordering::Relaxed);
            self.shelf(2 * at + 1).store(socket as u64, Ordering::Relaxed);
        }
        let count = sockets.len().min(MAX_SOCKETS) as u64;
        self.cold(USE).store(others | count << SOCKETS, Ordering::Release);
        before
    }

    pub fn free(self) {
        self.cold(USE).store(0, Ordering::Release);
    }

    /// A supervisor is about to be made: the kernel writes its pid into the lower half of this word.
    pub fn begin_launch(self) -> &'static AtomicU64 {
        self.clear_supervisor();
        self.cold(SUPERVISOR)
    }

    pub fn clear_supervisor(self) {
        self.cold(SUPERVISOR).store(0, Ordering::Release);
    }

    pub fn supervisor(self) -> Option<Pid> {
        Pid::new(self.cold(SUPERVISOR).load(Ordering::Acquire) as u32 as i32)
    }

    /// The supervisor has its own table of descriptors now.
    pub fn set_apart(self) {
        self.cold(SUPERVISOR).fetch_or(APART, Ordering::AcqRel);
    }

    /// Whether nobody shares descriptors of svc-init for this slot: its supervisor has its own, or there is none.
    pub fn is_apart(self) -> bool {
        let word = self.cold(SUPERVISOR).load(Ordering::Acquire);
        word == 0 || word & APART != 0
    }

    /// Notes which descriptor is kept for what, and gives back the one kept before.
    pub fn keep(self, what: Kept, descriptor: Option<i32>) -> Option<i32> {
        let before = self.kept(what);
        let (index, shift) = Row::place(what);
        let half = descriptor.map_or(0, |fd| fd as u32 as u64 + 1);
        let word = self.cold(index).load(Ordering::Relaxed);
        self.cold(index).store(word & !(0xffff_ffff << shift) | half << shift, Ordering::Release);
        before
    }

    pub fn kept(self, what: Kept) -> Option<i32> {
        let (index, shift) = Row::place(what);
        let half = (self.cold(index).load(Ordering::Acquire) >> shift) as u32;
        half.checked_sub(1).map(|fd| fd as i32)
    }

    fn place(what: Kept) -> (usize, u32) {
        let number = what as usize;
        (DESCRIPTORS + number / 2, 32 * (number as u32 % 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use svc_core::Signal;

    fn ledger() -> Ledger {
        let words: Vec<AtomicU64> = (0..BYTES / 8).map(|_| AtomicU64::new(0)).collect();
        Ledger::new(words.leak()).expect("large enough")
    }

    #[test]
    fn a_row_keeps_what_was_written_and_a_half_written_copy_does_not_count() {
        let ledger = ledger();
        let row = ledger.row(MAX_SLOTS - 1).expect("the last row");
        row.take(Output::Logger, Some(3), b"a label of nineteen");
        assert_eq!(row.label(), b"a label of nineteen");
        assert_eq!(row.wiring(), (Output::Logger, Some(3)));
        assert_eq!(row.saved(), None);
        row.save(&[1; WORDS]);
        row.save(&[2; WORDS]);
        // Killed in the middle of a third: the copy that is not valid is overwritten, the sequence is not.
        row.hot(COPIES[1]).store(99, Ordering::Relaxed);
        assert_eq!(row.saved(), Some([2; WORDS]));
        assert_eq!(ledger.rows().map(Row::slot).collect::<Vec<_>>(), [MAX_SLOTS - 1]);
    }

    #[test]
    fn what_is_found_of_a_service_is_kept_beside_its_row_until_somebody_else_takes_that() {
        let ledger = ledger();
        let row = ledger.row(MAX_SLOTS - 1).expect("the last row");
        row.take(Output::Keeper, None, b"");
        assert_eq!((row.saved_health(), row.saved_text(Text::Said)), (None, Vec::new()));
        row.save_health(&[1; HEALTH_WORDS]);
        row.save_health(&[2; HEALTH_WORDS]);
        let long = "x".repeat(1000);
        row.save_text(Text::Status, long.as_bytes());
        row.save_text(Text::Said, b"connection refused");
        row.annex(HEALTH_COPIES[1]).store(99, Ordering::Relaxed);
        assert_eq!(row.saved_health(), Some([2; HEALTH_WORDS]));
        assert_eq!(row.saved_text(Text::Status), &long.as_bytes()[..MAX_TEXT]);
        assert_eq!(row.saved_text(Text::Said), b"connection refused");
        row.take(Output::Keeper, None, b"");
        assert_eq!((row.saved_health(), row.saved_text(Text::Said)), (None, Vec::new()));
        row.save_health(&[3; HEALTH_WORDS]);
        assert_eq!(row.saved_text(Text::Said), b"", "that of another one is gone");
    }

    #[test]
    fn every_descriptor_has_a_place_of_its_own() {
        let row = ledger().row(0).expect("the first row");
        row.take(Output::Keeper, None, b"");
        for (number, what) in KEPT.into_iter().enumerate() {
            assert_eq!(row.keep(what, Some(number as i32)), None);
        }
        for (number, what) in KEPT.into_iter().enumerate() {
            assert_eq!(row.keep(what, None), Some(number as i32));
            assert_eq!(row.kept(what), None);
        }
    }

    #[test]
    fn launches_are_counted_until_there_is_a_pause() {
        let ledger = ledger();
        assert_eq!(ledger.launches(Millis(0)), 0);
        for number in 0..100 {
            ledger.note_launch(Millis(5_000 + number));
        }
        assert_eq!(ledger.launches(Millis(5_099 + PAUSE - 1)), 100);
        assert_eq!(ledger.launches(Millis(5_099 + PAUSE)), 0);
        ledger.note_launch(Millis(6_000));
        assert_eq!(ledger.launches(Millis(6_000)), 1);
    }

    #[test]
    fn sockets_are_kept_beside_what_the_row_says() {
        let row = ledger().row(MAX_SLOTS - 1).expect("the last row");
        row.take(Output::Logger, Some(3), b"x");
        assert_eq!(row.keep_sockets(&[(7, 40), (u64::MAX, 41)]), Vec::<i32>::new());
        assert_eq!(row.sockets(), [(7, 40), (u64::MAX, 41)]);
        assert_eq!(row.wiring(), (Output::Logger, Some(3)));
        assert_eq!(row.keep_sockets(&[(8, 42)]), [40, 41]);
        assert_eq!(row.sockets(), [(8, 42)]);
    }

    #[test]
    fn an_exit_is_relayed_once_there_is_one() {
        let row = ledger().row(1).expect("a row");
        let (pid, other) = (Pid::new(4_194_303).expect("positive"), Pid::new(7).expect("positive"));
        assert_eq!(row.relayed(pid), None);
        row.relay(pid, Exit::Code(0), true);
        assert_eq!((row.relayed(pid), row.relayed_left()), (Some(Exit::Code(0)), true));
        assert_eq!(row.relayed(other), None);
        row.begin_spawn(1);
        assert_eq!((row.relayed(pid), row.spawned()), (None, None));
        row.relay(pid, Exit::Signal(Signal::KILL), false);
        assert_eq!(row.relayed(pid), Some(Exit::Signal(Signal::KILL)));
    }
}
