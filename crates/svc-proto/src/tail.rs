//! The last lines of a service, in a ring of shared memory: svc-log writes, svc-scan reads, and both may be killed.
//!
//! The writer moves `tail` before it overwrites and `head` after it has written, so a reader that looks at `tail` again
//! after copying knows which of its copies still hold.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Words of a ring's own bookkeeping.
const HEADER: usize = 4;
const HEAD: usize = 0;
const TAIL: usize = 1;
/// Words in front of a record's text: the time, and length and stream.
const RECORD: usize = 2;

/// The first page of the tail memory: the number of readers that want to be woken, and whose lines are being passed on.
pub const PAGE: usize = 4096;
/// Its words: the first, and one each for standard output and standard error.
pub const READERS: usize = 0;
pub const UNDER_WAY: [usize; 2] = [1, 2];
/// What a ring takes where SVC_LOG_TAIL says nothing, in bytes.
pub const DEFAULT_BYTES: usize = 32 * 1024;
/// No ring is smaller; a line of this length must fit.
pub const LEAST_BYTES: usize = PAGE;

/// Where a slot's ring begins in the memory that all rings share.
pub fn offset(slot: u32, ring_bytes: usize) -> usize {
    PAGE + slot as usize * ring_bytes
}

/// One line, or a piece of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    pub stderr: bool,
    /// The line goes on in the next record.
    pub partial: bool,
    pub text: Vec<u8>,
}

/// A ring over its memory.
#[derive(Clone, Copy)]
pub struct Ring<'a> {
    head: &'a AtomicU64,
    tail: &'a AtomicU64,
    data: &'a [AtomicU64],
}

impl<'a> Ring<'a> {
    /// `None` if the memory is too small for any record.
    pub fn new(words: &'a [AtomicU64]) -> Option<Ring<'a>> {
        let (header, data) = words.split_at_checked(HEADER)?;
        (data.len() > RECORD).then_some(Ring { head: &header[HEAD], tail: &header[TAIL], data })
    }

    /// The position behind the newest record; a reader that has read up to here has read everything.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    fn word(&self, position: u64) -> &AtomicU64 {
        &self.data[(position % self.data.len() as u64) as usize]
    }

    /// Appends a line; the oldest ones make room. A line too long for half the ring is cut into pieces.
    pub fn push(&self, at_ms: u64, stderr: bool, text: &[u8], partial: bool) {
        let most = (self.data.len() / 2 - RECORD) * 8;
        let mut pieces = text.chunks(most).peekable();
        if pieces.peek().is_none() {
            self.push_one(at_ms, stderr, text, partial);
        }
        while let Some(piece) = pieces.next() {
            self.push_one(at_ms, stderr, piece, partial || pieces.peek().is_some());
        }
    }

    fn push_one(&self, at_ms: u64, stderr: bool, text: &[u8], partial: bool) {
        let head = self.head.load(Ordering::Relaxed);
        let needed = (RECORD + text.len().div_ceil(8)) as u64;
        let mut tail = self.tail.load(Ordering::Relaxed);
        while head + needed - tail > self.data.len() as u64 {
            let length = self.word(tail + 1).load(Ordering::Relaxed) >> 2;
            tail += (RECORD as u64 + length.div_ceil(8)).min(head - tail);
        }
        self.tail.store(tail, Ordering::Relaxed);
        // Readers must see the new tail before they can see any of the words below.
        fence(Ordering::SeqCst);
        self.word(head).store(at_ms, Ordering::Relaxed);
        let mark = (text.len() as u64) << 2 | u64::from(partial) << 1 | u64::from(stderr);
        self.word(head + 1).store(mark, Ordering::Relaxed);
        // Only what is left at the end has a length that is not known before, which costs a call.
        let (words, rest) = text.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let last = Some(last).filter(|_| !rest.is_empty());
        for (position, bytes) in (head + RECORD as u64..).zip(words.iter().copied().chain(last)) {
            self.word(position).store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
        self.head.store(head + needed, Ordering::Release);
    }

    /// All records from `position` (or the oldest that is left) to the newest, and the position behind them. `false` if some
    /// in between were overwritten.
    pub fn read(&self, position: u64) -> (Vec<Record>, u64, bool) {
        let head = self.head();
        let tail = self.tail.load(Ordering::Acquire);
        let mut at = position.max(tail);
        let mut records = Vec::new();
        while at < head {
            let mark = self.word(at + 1).load(Ordering::Relaxed);
            let length = (mark >> 2) as usize;
            let words = length.div_ceil(8);
            if words + RECORD > self.data.len() {
                // Overwritten while we read.
                break;
            }
            let at_ms = self.word(at).load(Ordering::Relaxed);
            let text = at + RECORD as u64..at + (RECORD + words) as u64;
            let mut text: Vec<u8> =
                text.flat_map(|position| self.word(position).load(Ordering::Relaxed).to_le_bytes()).collect();
            text.truncate(length);
            records.push((at, Record { at_ms, stderr: mark & 1 != 0, partial: mark & 2 != 0, text }));
            at += (RECORD + words) as u64;
        }
        fence(Ordering::SeqCst);
        let valid_from = self.tail.load(Ordering::Relaxed);
        let complete = position >= tail.max(valid_from) || position == 0 && tail == 0 && valid_from == 0;
        let records = records.into_iter().filter(|(at, _)| *at >= valid_from).map(|(_, record)| record).collect();
        (records, head, complete)
    }

    /// Forgets everything: the slot belongs to another service now.
    pub fn clear(&self) {
        let head = self.head();
        self.tail.store(head, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(words: usize) -> Vec<AtomicU64> {
        (0..words).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn the_newest_lines_stay_and_the_oldest_go() {
        let words = memory(512);
        let ring = Ring::new(&words).expect("large enough");
        for number in 0..1000 {
            ring.push(number, number % 2 == 0, format!("line {number}").as_bytes(), false);
        }
        let (records, position, complete) = ring.read(0);
        assert!(!complete);
        assert_eq!(position, ring.head());
        let last = records.last().expect("some lines");
        assert_eq!((last.text.as_slice(), last.at_ms, last.stderr), (&b"line 999"[..], 999, false));
        let numbers: Vec<u64> = records.iter().map(|record| record.at_ms).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "no gap: {numbers:?}");
        assert!(records.len() > 100, "{} records fit", records.len());
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let words = memory(512);
        let ring = Ring::new(&words).expect("large enough");
        ring.push(1, false, b"one", false);
        let (first, position, complete) = ring.read(0);
        assert!(complete && first.len() == 1);
        assert_eq!(ring.read(position), (Vec::new(), position, true));
        ring.push(2, true, b"", false);
        let (second, _, complete) = ring.read(position);
        assert!(complete);
        assert_eq!(second, [Record { at_ms: 2, stderr: true, partial: false, text: Vec::new() }]);
    }

    #[test]
    fn a_line_longer_than_the_ring_comes_in_pieces() {
        let words = memory(64);
        let ring = Ring::new(&words).expect("large enough");
        ring.push(1, false, &[b'x'; 2000], false);
        let (records, ..) = ring.read(0);
        let (last, rest) = records.split_last().expect("pieces");
        assert!(!last.partial && rest.iter().all(|record| record.partial));
    }
}
