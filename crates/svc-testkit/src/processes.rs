//! Processes as /proc shows them.

use std::process::Command;
use std::time::Duration;

use svc_core::{Pid, Signal};

use crate::{Said, until};

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    /// The letter of its state: R, S, Z ...
    pub state: char,
    pub name: String,
    /// Its command line with blanks between the words; empty for a zombie.
    pub command_line: String,
}

impl Process {
    fn read(pid: i32) -> Option<Process> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let name = head.split_once('(')?.1.to_owned();
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command_line = String::from_utf8_lossy(&words).replace('\0', " ").trim_end().to_owned();
        Some(Process { pid, parent, state, name, command_line })
    }

    /// What `ps` shows.
    pub fn title(&self) -> &str {
        if self.command_line.is_empty() { &self.name } else { &self.command_line }
    }

    pub fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }
}

/// Everybody there is.
pub fn processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted").flatten();
    entries.filter_map(|entry| Process::read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// Everybody below a process.
pub fn descendants(of: i32) -> Vec<Process> {
    let all = processes();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![of];
    while let Some(parent) = parents.pop() {
        for process in all.iter().filter(|process| process.parent == parent) {
            parents.push(process.pid);
            found.push(process.clone());
        }
    }
    found
}

/// Whether it exists and is no zombie.
pub fn is_alive(pid: i32) -> bool {
    Process::read(pid).is_some_and(|process| !process.is_zombie())
}

#[track_caller]
pub fn wait_gone(pid: i32) {
    until(&format!("process {pid} to end"), || (!is_alive(pid)).then_some(()));
}

/// Sends a signal by name: `KILL`, `TERM`, `STOP` ... A process that is gone is none of a test's business.
pub fn kill(pid: i32, signal: &str) {
    let signal = Signal::parse(signal).unwrap_or_else(|| panic!("{signal} is no signal"));
    if let Some(pid) = Pid::new(pid) {
        let _ = svc_sys::process::signal_child(pid, signal);
    }
}

/// A number from /proc/PID/status: `VmRSS` (in KiB), `Threads` ...; none for a process that is gone.
pub fn figure(pid: i32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// How many descriptors a process has open.
pub fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// How often all threads of a process were given the processor or lost it: stands still while it does nothing.
pub fn switches(pid: i32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let status = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("status")).ok());
    let count = |line: &str| line.split_once("ctxt_switches:")?.1.trim().parse::<u64>().ok();
    status.map(|status| status.lines().filter_map(count).sum::<u64>()).sum()
}

/// Processor time that all threads of a process have used so far, user and system: what a machine that is busy with others does
/// not change.
pub fn processor_time(pid: i32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
    let ticks: u64 = fields.iter().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    // To the nanosecond where the kernel tells it, otherwise in ticks: USER_HZ is 100 on every Linux that svc is built for.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let exact = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok());
    let exact: u64 = exact.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum();
    Duration::from_nanos(exact).max(Duration::from_millis(ticks * 10))
}

/// When a process began, on the clock of [`since_boot`], as the kernel has noted it (in steps of 10 ms); `None` if it is gone.
pub fn born(pid: i32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks: u64 = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// How long the machine has been up, in the same steps.
pub fn since_boot() -> Duration {
    let uptime = std::fs::read_to_string("/proc/uptime").expect("/proc");
    let seconds = uptime.split(' ').next().and_then(|word| word.parse().ok()).expect("seconds");
    Duration::from_secs_f64(seconds)
}

/// Waits until a process has not been awake for so long; one that looks again and again never is, nor is one that the machine has no
/// time for.
#[track_caller]
pub fn wait_idle(pid: i32, span: Duration) {
    until(&format!("process {pid} to be idle for {span:?}"), || {
        let before = switches(pid);
        std::thread::sleep(span);
        let is_asleep = Process::read(pid).is_none_or(|process| !matches!(process.state, 'R' | 'D'));
        (is_asleep && switches(pid) == before).then_some(())
    });
}

/// Whether a program can be found.
pub fn has_program(name: &str) -> bool {
    Said::by(Command::new("sh").args(["-c", &format!("command -v {name}")])).code == 0
}
