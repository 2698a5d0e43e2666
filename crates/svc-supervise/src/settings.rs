//! The small files of the service directory, read again at the moment they matter.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use svc_core::Settings;
use svc_core::files::{FILES, File, Kind};
use svc_sys::{Errno, say};

/// More than any number, signal or path needs.
const MOST: usize = 320;
/// O_NONBLOCK: a FIFO in the place of a file must not hold us.
const NONBLOCKING: i32 = 0o4000;

/// When they were read last.
#[derive(Default)]
pub(crate) struct SmallFiles {
    /// The time of the directory's last change, at a moment when it had none of them: until it changes there is none.
    none_since: Option<(i64, i64)>,
}

impl SmallFiles {
    /// Reads all of them. What is wrong with one is said, and leaves its setting as it was.
    pub(crate) fn reread(&mut self, settings: &mut Settings, service: &str) {
        let changed = std::fs::metadata(".").ok().map(|data| (data.mtime(), data.mtime_nsec()));
        if changed.is_some() && changed == self.none_since {
            return;
        }
        let mut found = false;
        for file in &FILES {
            found |= read(file, settings, service);
        }
        // Two changes within one tick of the file system's clock look like one: a directory that has just changed is not
        // trusted.
        let old = changed.filter(|&(seconds, _)| seconds + 2 < (svc_sys::clock::wall_ms() / 1000) as i64);
        self.none_since = old.filter(|_| !found);
    }
}

/// Reads one file into its setting; whether there is one.
fn read(file: &File, settings: &mut Settings, service: &str) -> bool {
    let mut content = [0; MOST];
    let read = OpenOptions::new()
        .read(true)
        .custom_flags(NONBLOCKING)
        .open(file.name)
        .and_then(|mut opened| if file.kind == Kind::Flag { Ok(0) } else { opened.read(&mut content) });
    let (found, applied) = match read {
        Ok(length) => (true, file.apply(Some(&content[..length]), settings).map_err(|invalid| invalid.to_string())),
        Err(error) if Errno::from(&error) == Errno::NOT_FOUND => {
            (false, file.apply(None, settings).map_err(|invalid| invalid.to_string()))
        }
        Err(error) => (true, Err(error.to_string())),
    };
    if let Err(reason) = applied {
        say!("svc-supervise: {service}: {}: {reason}: keeping the value it had", file.name);
    }
    found
}
