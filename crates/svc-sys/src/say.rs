//! One line on standard error, in one write, without a heap and without ever blocking.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::fd;

/// Where lines go: our own non-blocking opening of standard error if there is one.
static CONSOLE: AtomicI32 = AtomicI32::new(2);
/// Whether that descriptor blocks, and must be asked before it is written to.
static BLOCKS: AtomicI32 = AtomicI32::new(1);
/// Lines that nobody read in time.
static DROPPED: AtomicU32 = AtomicU32::new(0);

/// Sends lines to `console`, which does not block.
pub fn use_console(console: i32) {
    CONSOLE.store(console, Ordering::Relaxed);
    BLOCKS.store(0, Ordering::Relaxed);
}

/// Sends lines to standard error as it was inherited: what [`use_console`] named is about to be something else.
pub fn use_standard_error() {
    CONSOLE.store(2, Ordering::Relaxed);
    BLOCKS.store(1, Ordering::Relaxed);
}

/// The descriptor that lines go to, unless it is the inherited standard error.
pub fn console() -> Option<i32> {
    let console = CONSOLE.load(Ordering::Relaxed);
    (console > 2).then_some(console)
}

struct Line {
    bytes: [u8; 1024],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The last byte is kept for the newline; what is longer is cut.
        let room = self.bytes.len() - 1 - self.length;
        let text = &text.as_bytes()[..text.len().min(room)];
        self.bytes[self.length..self.length + text.len()].copy_from_slice(text);
        self.length += text.len();
        Ok(())
    }
}

/// Writes the line. What cannot be written at once is dropped and counted: process 1 must not wait for a reader of its log.
pub fn line(text: fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; 1024], length: 0 };
    let dropped = DROPPED.swap(0, Ordering::Relaxed);
    if dropped > 0 {
        let _ = writeln!(line, "svc: {dropped} messages were dropped because nobody read standard error");
    }
    let _ = line.write_fmt(text);
    line.bytes[line.length] = b'\n';
    line.length += 1;
    let console = CONSOLE.load(Ordering::Relaxed);
    if BLOCKS.load(Ordering::Relaxed) != 0 {
        let mut interest = [crate::poll::writable(console)];
        crate::poll::wait(&mut interest, svc_core::Millis::ZERO, Some(svc_core::Millis::ZERO));
        if !crate::poll::is_ready(&interest[0]) {
            DROPPED.fetch_add(dropped + 1, Ordering::Relaxed);
            return;
        }
    }
    let Some(console) = fd::borrow(console) else { return };
    if fd::write(console, &line.bytes[..line.length]) == Err(crate::Errno::AGAIN) {
        DROPPED.fetch_add(dropped + 1, Ordering::Relaxed);
    }
}

/// `say!("svc-init: ...")`: formats one line for [`line`].
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => { $crate::say::line(format_args!($($argument)*)) };
}
