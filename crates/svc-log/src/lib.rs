//! The log keeper: reads every service that has no logger of its own, and writes to the container's standard output and error.
//!
//! It may lose nothing, whoever kills it when: a line leaves the service's pipe, which svc-init holds, only in the system call
//! that puts it into ours (or, where standard output is no pipe, after it was written). So it keeps no line in memory but the
//! copies in the tail rings. When nobody reads our output it waits, and so do the services.
#![forbid(unsafe_code)]

mod keeper;
mod output;
mod source;
pub mod syslog;

use svc_proto::handover::ToKeep;
use svc_sys::say;

/// `svc-log` from a command line: standard input to standard output, each line in one write. As the logger of a pair it
/// brings a service's lines to where svc's own output goes.
pub fn copy(arguments: Vec<std::ffi::OsString>) -> u8 {
    use std::io::{BufRead, Write};
    if arguments.len() > 1 {
        const USAGE: &str =
            "Usage: svc-log [--version] < LINES\n\nReads standard input, and writes it to standard output line by line.";
        if arguments[1] == "--help" || arguments[1] == "-h" {
            println!("{USAGE}");
            return svc_sys::exit::DONE;
        }
        eprintln!("svc-log: {}: it takes no words\n{USAGE}", arguments[1].display());
        return svc_sys::exit::USAGE;
    }
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.read_until(b'\n', &mut line).and_then(|length| output.write_all(&line).map(|()| length)) {
            Ok(0) => return svc_sys::exit::DONE,
            Ok(_) => {}
            Err(error) => {
                say!("svc-log: cannot copy: {error}");
                return svc_sys::exit::SYSTEM;
            }
        }
    }
}

/// Room for what is known of each source.
const HEAP: usize = 16 * 1024 * 1024;

/// Becomes svc-log; returns when svc-init has said that nothing more will come, and everything has been read.
pub fn run(handover: ToKeep) -> u8 {
    svc_sys::alloc::use_small_heap(HEAP).discard();
    // On the new heap: what stood on the old one is gone.
    svc_sys::title::set(&[b"svc-log"], b"svc-log");
    match keeper::Keeper::new(handover) {
        Ok(mut keeper) => {
            let code = keeper.watch();
            // The kernel closes everything in one go.
            std::mem::forget(keeper);
            code
        }
        Err(errno) => {
            say!("svc-log: cannot start: {errno}");
            svc_sys::exit::SYSTEM
        }
    }
}
