//! One competitor at work: its folder, its processes, and what its services say.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use svc_core::{Millis, Pid, Signal};
use svc_sys::process::{self, PidFd};
use svc_sys::{clock, poll, procfs};

use super::competitor::{Competitor, Place};
use super::{Programs, Result};

/// How long anything may take. supervisord needs a minute for a thousand.
const PATIENCE: Millis = Millis::from_secs(180);
/// Between two looks at what the services said. They note the time themselves, so that nobody has to wake us for each.
const LAZINESS: Duration = Duration::from_millis(5);
const NONBLOCKING: i32 = 0o4000;
const RECORD: usize = 16;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A service's word that it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    pub(crate) pid: i32,
    /// In nanoseconds since 1970.
    pub(crate) at: u64,
}

pub(crate) struct Tree<'a> {
    competitor: Competitor,
    programs: &'a Programs,
    pub(crate) place: Place,
    pub(crate) names: Vec<String>,
    fifo: File,
    pending: Vec<u8>,
    main: Option<Pid>,
}

/// Nanoseconds since 1970, as the stub tells them.
pub(crate) fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64)
}

pub(crate) fn milliseconds(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e6
}

impl<'a> Tree<'a> {
    /// Makes new folders: each run finds the disk as a new container does.
    pub(crate) fn lay_out(competitor: Competitor, programs: &'a Programs, services: usize) -> Result<Tree<'a>> {
        Tree::lay_out_in(&std::env::temp_dir(), competitor, programs, services)
    }

    pub(crate) fn lay_out_in(
        folder: &Path,
        competitor: Competitor,
        programs: &'a Programs,
        services: usize,
    ) -> Result<Tree<'a>> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = folder.join(format!("svc-bench-{}-{number}", std::process::id()));
        let names: Vec<String> = (0..services).map(|number| format!("service-{number:04}")).collect();
        let place = Place { root };
        let fifo = furnish(competitor, programs, &place, &names).map_err(|error| {
            let _ = fs::remove_dir_all(&place.root);
            format!("{}: cannot be furnished: {error}", place.root.display())
        })?;
        Ok(Tree { competitor, programs, place, names, fifo, pending: Vec::new(), main: None })
    }

    pub(crate) fn service(&self, index: usize) -> PathBuf {
        self.place.services().join(&self.names[index])
    }

    /// Starts it; returns when that was.
    pub(crate) fn start(&mut self) -> Result<u64> {
        let log = File::create(self.place.root.join("log")).map_err(|error| format!("no log: {error}"))?;
        let copy = log.try_clone().map_err(|error| format!("no log: {error}"))?;
        let mut command = self.command();
        command.stdout(copy).stderr(log);
        let began = now();
        self.launch(&mut command)?;
        Ok(began)
    }

    /// Starts it with its standard output in a pipe, and its services writing `flood` bytes of lines each.
    pub(crate) fn start_flood(&mut self, flood: usize) -> Result<std::process::ChildStdout> {
        let mut command = self.command();
        command.env("BENCH_FLOOD", flood.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
        self.launch(&mut command)?.stdout.take().ok_or_else(|| "no pipe".into())
    }

    fn command(&self) -> Command {
        let mut command = self.competitor.start(&self.place, self.programs, self.names.len());
        command.stdin(Stdio::null()).env("BENCH_FIFO", self.place.root.join("fifo"));
        command
    }

    fn launch(&mut self, command: &mut Command) -> Result<Child> {
        let child = command.spawn().map_err(|error| format!("{}: cannot be started: {error}", self.competitor.name()))?;
        self.main = Pid::new(child.id() as i32);
        Ok(child)
    }

    /// Waits until this many services have said that they run.
    pub(crate) fn await_running(&mut self, count: usize) -> Result<Vec<Running>> {
        let deadline = clock::now() + PATIENCE;
        let mut running = Vec::with_capacity(count);
        let mut buffer = vec![0; 1 << 16];
        while running.len() < count {
            poll::wait(&mut [poll::readable(self.fifo.as_raw_fd())], clock::now(), Some(deadline));
            match self.fifo.read(&mut buffer) {
                Ok(length) => self.pending.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(format!("cannot read the FIFO: {error}")),
            }
            let (records, rest) = self.pending.as_chunks::<RECORD>();
            running.extend(records.iter().map(read_record));
            self.pending = rest.to_vec();
            if clock::now() >= deadline {
                return Err(format!(
                    "{}: {} of {count} services run after {} s; its log ends:\n{}",
                    self.competitor.name(),
                    running.len(),
                    PATIENCE.0 / 1000,
                    self.end_of_log()
                ));
            }
            std::thread::sleep(LAZINESS);
        }
        Ok(running)
    }

    /// The running services by name, with the times at which they said that they run.
    pub(crate) fn by_name(running: &[Running]) -> HashMap<String, Running> {
        let name = |running: &Running| {
            let dir = fs::read_link(format!("/proc/{}/cwd", running.pid)).ok()?;
            Some(dir.file_name()?.to_str()?.to_owned())
        };
        running.iter().filter_map(|running| Some((name(running)?, *running))).collect()
    }

    /// Asks for the status of all services; how long the program took.
    pub(crate) fn time_status(&self) -> Result<f64> {
        let mut command = self.competitor.status(&self.place, self.programs, &self.names);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let began = Instant::now();
        let status = command.status().map_err(|error| format!("cannot ask for the status: {error}"))?;
        let took = began.elapsed();
        if !status.success() {
            return Err(format!("{}: asking for the status failed: {status}", self.competitor.name()));
        }
        Ok(took.as_secs_f64() * 1e3)
    }

    /// Stops it; how long it took until the last process of it was gone.
    pub(crate) fn stop(&mut self) -> Result<f64> {
        let Some(main) = self.main.take() else { return Ok(0.0) };
        let began = Instant::now();
        let signalled = process::signal_child(main, self.competitor.stop_signal());
        signalled.map_err(|errno| format!("{}: cannot be stopped: {errno}", self.competitor.name()))?;
        let gone = await_no_children(clock::now() + PATIENCE);
        let took = began.elapsed();
        if !gone {
            return Err(format!("{}: still there {} s after its stop signal", self.competitor.name(), PATIENCE.0 / 1000));
        }
        Ok(took.as_secs_f64() * 1e3)
    }

    fn end_of_log(&self) -> String {
        let text = fs::read(self.place.root.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]).into_owned()
    }
}

fn furnish(competitor: Competitor, programs: &Programs, place: &Place, names: &[String]) -> std::io::Result<File> {
    fs::create_dir_all(place.services())?;
    let stub = place.root.join("stub");
    fs::copy(&programs.stub, &stub)?;
    for name in names {
        let service = place.services().join(name);
        fs::create_dir(&service)?;
        fs::hard_link(&stub, service.join("run"))?;
    }
    competitor.configure(place, names)?;
    let fifo = place.root.join("fifo");
    Command::new("mkfifo").arg(&fifo).status()?;
    // For writing as well: so that there never is an end.
    File::options().read(true).write(true).custom_flags(NONBLOCKING).open(fifo)
}

fn read_record(record: &[u8; RECORD]) -> Running {
    let word = |at: usize| record[at..at + 8].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
    Running { pid: word(0) as i32, at: word(8) }
}

/// Reaps our children, and those that become ours, until there are none; `false` if some are left at the deadline.
fn await_no_children(deadline: Millis) -> bool {
    loop {
        let children = procfs::children(process::id());
        if children.is_empty() {
            return true;
        }
        for pid in children {
            if let Ok(handle) = PidFd::open(pid) {
                poll::wait(&mut [poll::readable(handle.as_raw_fd())], clock::now(), Some(deadline));
            }
            if clock::now() >= deadline {
                return false;
            }
            process::wait_for(pid);
        }
    }
}

impl Drop for Tree<'_> {
    /// Whatever went wrong, nothing stays.
    fn drop(&mut self) {
        for _ in 0..100 {
            let left = procfs::descendants(process::id());
            if left.is_empty() {
                break;
            }
            for pid in left {
                let _ = process::signal_child(pid, Signal::KILL);
            }
            await_no_children(clock::now() + Millis(100));
        }
        let _ = fs::remove_dir_all(&self.place.root);
    }
}
