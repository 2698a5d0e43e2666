//! A listener of events of our own, as raw as can be: a FIFO in a fifodir, and whatever bytes come out of it.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::libc::O_NONBLOCK;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;

/// How s6 calls the FIFO of a listener: this, the stamp with its `@`, a colon and six more characters.
const PREFIX: &str = "ftrig1:";
const NAME_LENGTH: usize = PREFIX.len() + 25 + 1 + 6;

static NUMBER: AtomicU32 = AtomicU32::new(0);

pub struct Listener {
    reading: File,
    /// Keeps the FIFO open while no notifier has it open.
    _writing: File,
}

impl Listener {
    /// Listens in a fifodir, which is made if it is not there.
    pub fn new(dir: &Path) -> std::io::Result<Listener> {
        if !dir.exists() {
            std::fs::create_dir_all(dir)?;
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o1733))?;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // A stamp of the day of the epoch, which no other listener has.
        let path = dir.join(format!("{PREFIX}@4000000000000000{number:08x}:raw000"));
        nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o622))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o622))?;
        let open = |options: &mut OpenOptions| options.custom_flags(O_NONBLOCK).open(&path);
        let reading = open(OpenOptions::new().read(true))?;
        let writing = open(OpenOptions::new().write(true))?;
        Ok(Listener { reading, _writing: writing })
    }

    /// The next events, so many of them; fewer if no more come in time.
    pub fn next(&mut self, count: usize, patience: Duration) -> String {
        let (mut letters, begin) = (Vec::new(), Instant::now());
        while letters.len() < count {
            let mut buffer = vec![0; count - letters.len()];
            match self.reading.read(&mut buffer) {
                Ok(read) if read > 0 => letters.extend_from_slice(&buffer[..read]),
                Ok(_) | Err(_) => {
                    let left = patience.saturating_sub(begin.elapsed());
                    if left.is_zero() {
                        break;
                    }
                    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
                    let _ = poll(&mut [PollFd::new(self.reading.as_fd(), PollFlags::POLLIN)], timeout);
                }
            }
        }
        String::from_utf8_lossy(&letters).into_owned()
    }
}

/// How many others listen in a fifodir.
pub fn others(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(PREFIX) && name.len() == NAME_LENGTH && !name.ends_with(":raw000")).count()
}
