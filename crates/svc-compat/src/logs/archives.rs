//! The finished files of a log directory: their names, their number, their size.

use std::collections::VecDeque;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::stamp::{self, Scale};

/// The length of `@`, 24 digits, a dot and a letter.
const NAME: usize = 27;

pub(super) struct Archives {
    scale: Scale,
    /// Oldest first.
    files: VecDeque<(String, u64)>,
    total: u64,
    /// The 24 digits that came last: the next ones are greater, whatever the clock says.
    last: String,
}

/// What may stay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) files: usize,
    pub(super) bytes: u64,
}

impl Archives {
    /// Those that are there.
    pub(super) fn find(directory: &Path, scale: Scale) -> io::Result<Archives> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            if let Some(name) = archive(entry.file_name().as_bytes()) {
                files.push((name, entry.metadata()?.len()));
            }
        }
        files.sort();
        let total = files.iter().map(|(_, size)| size).sum();
        let last = files.last().map_or(String::new(), |(name, _)| name[1..25].to_owned());
        Ok(Archives { scale, files: files.into(), total, last })
    }

    /// The name of the next one, without what stands behind the dot.
    pub(super) fn next_name(&mut self) -> String {
        let now = stamp::hex(stamp::now(), self.scale);
        let now = String::from_utf8_lossy(&now).into_owned();
        self.last = if now > self.last { now } else { successor(&self.last) };
        format!("@{}", self.last)
    }

    pub(super) fn add(&mut self, name: String, size: u64) {
        self.files.push_back((name, size));
        self.total += size;
    }

    pub(super) fn count(&self) -> usize {
        self.files.len()
    }

    /// The oldest that ends with this.
    pub(super) fn oldest_with(&self, end: &str) -> Option<&str> {
        self.files.iter().map(|(name, _)| name.as_str()).find(|name| name.ends_with(end))
    }

    /// Forgets one that has another name now.
    pub(super) fn forget(&mut self, name: &str) {
        if let Some(at) = self.files.iter().position(|(known, _)| known == name) {
            self.total -= self.files.remove(at).map_or(0, |(_, size)| size);
        }
    }

    /// Removes the oldest ones until no more is there than may stay. One that cannot be removed is not tried again.
    pub(super) fn trim(&mut self, directory: &Path, most: Most) -> io::Result<()> {
        let mut result = Ok(());
        while self.files.len() > most.files || self.total > most.bytes {
            if let Err(error) = self.remove_oldest(directory) {
                result = Err(error);
            }
        }
        result
    }

    pub(super) fn remove_oldest(&mut self, directory: &Path) -> io::Result<()> {
        let Some((name, size)) = self.files.pop_front() else { return Ok(()) };
        self.total -= size;
        match std::fs::remove_file(directory.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

/// The name, if it is one of a finished file.
fn archive(name: &[u8]) -> Option<String> {
    let is_one = name.len() == NAME
        && name[0] == b'@'
        && name[1..25].iter().all(u8::is_ascii_hexdigit)
        && matches!(name[25..], [b'.', b's' | b'u']);
    is_one.then(|| String::from_utf8_lossy(name).into_owned())
}

/// The label a nanosecond later. Where the digits say a second too many, a reader sees one nanosecond more than there are.
fn successor(digits: &str) -> String {
    let number = u128::from_str_radix(digits, 16).unwrap_or(0);
    format!("{:024x}", number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_up_whatever_the_clock_says() {
        let last = "5000000000000000000000ff".to_owned();
        let mut archives = Archives { scale: Scale::S6, files: VecDeque::new(), total: 0, last };
        assert_eq!(archives.next_name(), "@500000000000000000000100");
        assert_eq!(archives.next_name(), "@500000000000000000000101");
    }

    #[test]
    fn only_finished_files_count() {
        assert!(archive(b"@400000006b00514a385fa6ca.s").is_some() && archive(b"@400000006b00514a385fa6ca.u").is_some());
        for name in ["@400000006b00514a385fa6ca.t", "@400000006b00514a385fa6cg.s", "current", "@400000006b00514a385fa6ca.ss"]
        {
            assert_eq!(archive(name.as_bytes()), None);
        }
    }
}
