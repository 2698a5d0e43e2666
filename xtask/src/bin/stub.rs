//! The service that the benchmark runs a thousand times: says that it runs, and sleeps.
//!
//! It must cost next to nothing, because it costs every competitor the same: built statically for musl, without Rust's
//! start-up (`no_main`). It says "I run" by writing its pid and the time into the FIFO that `BENCH_FIFO` names, so whoever
//! reads there may take its time. With `BENCH_FLOOD=BYTES` it writes that many bytes of lines instead of sleeping at once.
#![no_main]

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

/// With its newline 95 bytes, about what a line of an access log has.
const LINE: &[u8; 95] =
    b"10.0.0.17 - - [20/Nov/2026:11:30:52 +0000] \"GET /v1/services HTTP/1.1\" 200 5120 \"-\" \"curl/8.5\"\n";
/// What a program with a buffer writes at once.
const LINES_AT_ONCE: usize = 40;

// SAFETY: this is the program's one `main`, as the C library calls it.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    let Some(fifo) = std::env::var_os("BENCH_FIFO") else {
        // Nobody measures: whoever started this by mistake is not kept waiting.
        return 0;
    };
    announce(&fifo);
    if let Some(bytes) = std::env::var("BENCH_FLOOD").ok().and_then(|text| text.parse().ok()) {
        flood(bytes);
    }
    loop {
        std::thread::sleep(Duration::MAX);
    }
}

fn announce(fifo: &OsStr) {
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64);
    let mut record = [0; 16];
    record[..8].copy_from_slice(&u64::from(std::process::id()).to_ne_bytes());
    record[8..].copy_from_slice(&now.to_ne_bytes());
    // Without a reader there is nobody to tell.
    if let Ok(mut fifo) = File::options().write(true).open(fifo) {
        let _ = fifo.write_all(&record);
    }
}

fn flood(bytes: usize) {
    let block = LINE.repeat(LINES_AT_ONCE);
    // Not through std's line buffer: one write a block.
    let Ok(output) = std::io::stdout().as_fd().try_clone_to_owned() else { return };
    let mut output = File::from(output);
    let mut written = 0;
    while written < bytes {
        if output.write_all(&block).is_err() {
            return;
        }
        written += block.len();
    }
}
