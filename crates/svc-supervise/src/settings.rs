//! The small files of the service directory, read again at the moment they matter.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use svc_core::Settings;
use svc_core::files::{FILES, File, Kind};
use svc_sys::at::{self, At, Open};
use svc_sys::{Errno, say};

/// More than any number, signal or path needs.
const MOST: usize = 320;
/// O_NONBLOCK: a FIFO in the place of a file must not hold us.
const NONBLOCKING: i32 = 0o4000;

/// When they were read last, and what was told of them.
pub(crate) struct SmallFiles {
    /// The time of the directory's last change, at a moment when it had none of them: until it changes there is none.
    none_since: Option<(i64, i64)>,
    /// Nor had it a `finish` then.
    no_finish: bool,
    /// What is wrong with a file that has not changed since then has been told: by svc-scan, which read it before we began, or
    /// by us.
    told: (i64, i64),
}

impl SmallFiles {
    pub(crate) fn new() -> SmallFiles {
        let began = svc_sys::clock::wall_ms() as i64;
        SmallFiles { none_since: None, no_finish: false, told: (began / 1000, began % 1000 * 1_000_000) }
    }

    /// Reads all of them. What is wrong with one is said once, and leaves its setting as it was; and so does a directory that was
    /// removed: its service is stopped as its files had it.
    pub(crate) fn reread(&mut self, settings: &mut Settings, service: &str) {
        let Some(data) = std::fs::metadata(".").ok().filter(|data| data.nlink() > 0) else { return };
        let changed = Some((data.mtime(), data.mtime_nsec()));
        if changed == self.none_since {
            return;
        }
        let there = there();
        self.no_finish = there & FINISH == 0;
        let mut found = false;
        let mut told = self.told;
        for (number, file) in FILES.iter().enumerate() {
            if there & 1 << number == 0 {
                // As it is for one that is not found.
                let _ = file.apply(None, settings);
            } else {
                let (is_there, problem) = read(file, settings);
                found |= is_there;
                let Err(reason) = problem else { continue };
                let edited =
                    std::fs::symlink_metadata(file.name).map_or(self.told, |data| (data.ctime(), data.ctime_nsec()));
                if edited > self.told {
                    say!("svc-supervise: {service}: {}: {reason}: keeping the value it had", file.name);
                }
                told = told.max(edited);
            }
        }
        self.told = told;
        // Two changes within one tick of the file system's clock look like one: a directory that has just changed is not
        // trusted.
        let old = changed.filter(|&(seconds, _)| seconds + 2 < (svc_sys::clock::wall_ms() / 1000) as i64);
        self.none_since = old.filter(|_| !found);
    }

    /// Whether it was seen, when they were read just now, that the directory has no `finish`.
    pub(crate) fn lacks_finish(&self) -> bool {
        self.none_since.is_some() && self.no_finish
    }
}

/// Above the bits of the small files.
const FINISH: u32 = 1 << FILES.len();

/// Which of them the directory has, a bit for each and one for `finish`: all of them where it cannot be listed. Few have any.
fn there() -> u32 {
    let mut there = 0;
    let listed = at::open(At::Here, c".", Open::Directory).and_then(|dir| {
        at::list(dir.as_fd(), |name| {
            let found = FILES.iter().position(|file| file.name.as_bytes() == name.to_bytes());
            there |= found.map_or(0, |number| 1 << number);
            there |= if name == c"finish" { FINISH } else { 0 };
        })
    });
    if listed.is_ok() { there } else { u32::MAX }
}

/// Reads one file into its setting: whether there is one, and what is wrong with it.
fn read(file: &File, settings: &mut Settings) -> (bool, Result<(), String>) {
    let mut content = [0; MOST];
    let read = OpenOptions::new()
        .read(true)
        .custom_flags(NONBLOCKING)
        .open(file.name)
        .and_then(|mut opened| if file.kind == Kind::Flag { Ok(0) } else { opened.read(&mut content) });
    match read {
        Ok(length) => (true, file.apply(Some(&content[..length]), settings).map_err(|invalid| invalid.to_string())),
        Err(error) if Errno::from(&error) == Errno::NOT_FOUND => {
            (false, file.apply(None, settings).map_err(|invalid| invalid.to_string()))
        }
        Err(error) => (true, Err(error.to_string())),
    }
}
