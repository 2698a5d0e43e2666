//! What /proc says of the processes that descend from us.

use std::fs;

use svc_core::Pid;
use svc_sys::{process, procfs};

/// The name of a service's process, after its file.
pub(crate) const SERVICE: &str = "run";

pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) name: String,
}

/// Everybody but the services.
pub(crate) fn overhead() -> Vec<Process> {
    let all = procfs::descendants(process::id()).into_iter().map(|pid| Process { pid, name: procfs::name(pid) });
    all.filter(|process| process.name != SERVICE).collect()
}

impl Process {
    /// Its share of memory, in KiB.
    pub(crate) fn pss(&self) -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).ok()?;
        field(&text, "Pss:")
    }

    /// How often all its threads were switched away from.
    pub(crate) fn switches(&self) -> Option<f64> {
        let mut sum = 0.0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.pid)).ok()?.flatten() {
            let text = fs::read_to_string(thread.path().join("status")).ok()?;
            sum += field(&text, "voluntary_ctxt_switches:")? + field(&text, "nonvoluntary_ctxt_switches:")?;
        }
        Some(sum)
    }
}

fn field(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next()?.parse().ok()
}
