//! When a process gets a processor, which, and when a disk: as people write it.

use alloc::vec::Vec;

/// A policy of sched(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Other,
    Batch,
    Idle,
    Fifo,
    RoundRobin,
}

pub const POLICIES: [(&str, Policy); 5] = [
    ("other", Policy::Other),
    ("batch", Policy::Batch),
    ("idle", Policy::Idle),
    ("fifo", Policy::Fifo),
    ("rr", Policy::RoundRobin),
];

/// A class of ioprio_set(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoClass {
    None,
    Realtime,
    BestEffort,
    Idle,
}

pub const IO_CLASSES: [(&str, IoClass); 4] = [
    ("none", IoClass::None),
    ("realtime", IoClass::Realtime),
    ("best-effort", IoClass::BestEffort),
    ("idle", IoClass::Idle),
];

/// The most processors that there is room for.
pub const MOST_CPUS: usize = 1024;

/// `other`, `batch`, `idle`, or `fifo:N` and `rr:N` with a priority from 1 to 99.
pub fn policy(text: &str) -> Option<(Policy, i32)> {
    let (name, number) = halves(text);
    let policy = POLICIES.iter().find(|(known, _)| *known == name)?.1;
    match (policy, number) {
        (Policy::Other | Policy::Batch | Policy::Idle, None) => Some((policy, 0)),
        (Policy::Fifo | Policy::RoundRobin, Some(number)) => {
            let priority = number.parse().ok().filter(|priority| (1..=99).contains(priority))?;
            Some((policy, priority))
        }
        (Policy::Other | Policy::Batch | Policy::Idle | Policy::Fifo | Policy::RoundRobin, _) => None,
    }
}

/// `none`, `idle`, or `best-effort` and `realtime` with a level from 0 to 7 behind a colon, or 4.
pub fn io(text: &str) -> Option<(IoClass, u8)> {
    const MIDDLE: u8 = 4;
    let (name, number) = halves(text);
    let class = IO_CLASSES.iter().find(|(known, _)| *known == name)?.1;
    match (class, number) {
        (IoClass::None | IoClass::Idle, None) => Some((class, 0)),
        (IoClass::None | IoClass::Idle, Some(_)) => None,
        (IoClass::Realtime | IoClass::BestEffort, None) => Some((class, MIDDLE)),
        (IoClass::Realtime | IoClass::BestEffort, Some(number)) => {
            Some((class, number.parse().ok().filter(|level| *level <= 7)?))
        }
    }
}

fn halves(text: &str) -> (&str, Option<&str>) {
    text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)))
}

/// `0-3,5`: numbers of processors, and ranges of them.
pub fn cpus(text: &str) -> Option<Vec<usize>> {
    let mut found = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let [first, last] = [first, last].map(|number| number.trim().parse::<usize>().ok());
        let (first, last) = (first?, last?);
        if first > last || last >= MOST_CPUS {
            return None;
        }
        found.extend(first..=last);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn they_are_read() {
        assert_eq!(io("best-effort"), Some((IoClass::BestEffort, 4)));
        assert_eq!((io("realtime:0"), io("idle")), (Some((IoClass::Realtime, 0)), Some((IoClass::Idle, 0))));
        assert_eq!((policy("fifo:99"), policy("batch")), (Some((Policy::Fifo, 99)), Some((Policy::Batch, 0))));
        assert_eq!(cpus("0-2,5"), Some(vec![0, 1, 2, 5]));
        for bad in ["", "idle:1", "best-effort:8", "best-effort:", "Idle", "realtime:-1"] {
            assert_eq!(io(bad), None, "{bad}");
        }
        for bad in ["", "fifo", "rr:0", "rr:100", "batch:1"] {
            assert_eq!(policy(bad), None, "{bad}");
        }
        for bad in ["", "a", "2-1", "1,,2", "0-99999999999", "-1"] {
            assert_eq!(cpus(bad), None, "{bad}");
        }
    }
}
