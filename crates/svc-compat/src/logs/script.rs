//! What is done with each line: who is asked whether it is meant, and where it then goes.

use svc_sys::bytes;

use super::pattern::Pattern;
use super::sinks::Sinks;
use super::stamp::Stamps;

/// Selections, and what is done if they leave the line selected.
pub(super) struct Step {
    pub(super) selections: Vec<Selection>,
    pub(super) actions: Vec<Action>,
}

pub(super) struct Selection {
    pub(super) kind: Kind,
    /// So many bytes of the line are looked at.
    pub(super) looks_at: usize,
    /// Whether the stamp is part of what is looked at.
    pub(super) with_stamp: bool,
}

pub(super) enum Kind {
    Select(Pattern),
    Deselect(Pattern),
    /// `f`: lines with which nothing was done so far.
    Rest,
    /// All lines, whatever was said before: the beginning of another directory's own rules.
    Again,
    /// None, likewise.
    None,
}

pub(super) struct Action {
    pub(super) stamp: bool,
    pub(super) human: bool,
    pub(super) prefix: Vec<u8>,
    pub(super) target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Dir(usize),
    Stdout,
    /// Standard error: with what in front, and how much of the line, if not all.
    Alert {
        before: &'static [u8],
        most: Option<usize>,
        cut_from: usize,
    },
    /// The file of this number, with so much of the line.
    Status {
        index: usize,
        most: usize,
    },
    /// By UDP, so much of it.
    Remote {
        index: usize,
        most: usize,
    },
    /// Nowhere: standard output that failed.
    Nowhere,
}

pub(super) struct Script {
    pub(super) steps: Vec<Step>,
}

/// What else lines go through.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    /// Bytes that are no text, and some others, become this one.
    pub(super) replace: Option<(u8, Vec<u8>)>,
}

impl Changes {
    pub(super) fn apply(&self, line: &mut [u8]) {
        let Some((by, others)) = &self.replace else { return };
        for byte in line {
            if !(b' '..=b'~').contains(byte) && *byte != b'\n' || others.contains(byte) {
                *byte = *by;
            }
        }
    }
}

impl Script {
    /// Whether lines go to the only directory as they are.
    pub(super) fn is_plain(&self) -> bool {
        let [step] = self.steps.as_slice() else { return false };
        let [action] = step.actions.as_slice() else { return false };
        let selects_all = |selection: &Selection| matches!(selection.kind, Kind::Select(_) | Kind::Rest | Kind::Again);
        step.selections.iter().all(selects_all)
            && action.target == Target::Dir(0)
            && !action.stamp
            && !action.human
            && action.prefix.is_empty()
    }

    fn any(&self, wanted: impl Fn(&Action) -> bool) -> bool {
        self.steps.iter().flat_map(|step| &step.actions).any(wanted)
    }

    pub(super) fn wants_humans(&self) -> bool {
        self.any(|action| action.human)
    }

    pub(super) fn wants_stdout(&self) -> bool {
        self.any(|action| action.target == Target::Stdout)
    }

    /// Standard output is gone.
    pub(super) fn without_stdout(&mut self) {
        for action in self.steps.iter_mut().flat_map(|step| &mut step.actions) {
            if action.target == Target::Stdout {
                action.target = Target::Nowhere;
            }
        }
    }

    /// Puts a line, which has no newline, where it belongs.
    pub(super) fn run(&self, line: &[u8], stamps: &Stamps, sinks: &mut Sinks) {
        let (mut selected, mut acted) = (true, false);
        for step in &self.steps {
            for selection in &step.selections {
                selected = selection.after(selected, acted, line, stamps);
            }
            if selected {
                acted = true;
                for action in &step.actions {
                    action.run(line, stamps, sinks);
                }
            }
        }
    }
}

impl Selection {
    fn after(&self, selected: bool, acted: bool, line: &[u8], stamps: &Stamps) -> bool {
        match &self.kind {
            Kind::Rest => !acted,
            Kind::Again => true,
            Kind::None => false,
            Kind::Select(pattern) => selected || self.is_match(pattern, line, stamps),
            Kind::Deselect(pattern) => selected && !self.is_match(pattern, line, stamps),
        }
    }

    fn is_match(&self, pattern: &Pattern, line: &[u8], stamps: &Stamps) -> bool {
        if self.with_stamp {
            let whole: Vec<u8> = stamps.tai().iter().chain(line).copied().take(self.looks_at).collect();
            return pattern.is_match(&whole);
        }
        pattern.is_match(&line[..line.len().min(self.looks_at)])
    }
}

impl Action {
    fn run(&self, line: &[u8], stamps: &Stamps, sinks: &mut Sinks) {
        match self.target {
            Target::Dir(index) => self.write(line, b"\n", stamps, sinks.dirs[index].out()),
            Target::Stdout => {
                if let Some(stdout) = &mut sinks.stdout {
                    self.write(line, b"\n", stamps, stdout.out());
                }
            }
            Target::Alert { before, most, cut_from } => {
                sinks.alerts.extend_from_slice(before);
                match most {
                    Some(most) if line.len() > most + cut_from => {
                        self.write(&line[..most], b"...\n", stamps, &mut sinks.alerts);
                    }
                    Some(_) | None => self.write(line, b"\n", stamps, &mut sinks.alerts),
                }
            }
            Target::Status { index, most } => {
                let place = sinks.statuses[index].line.get_or_insert_default();
                place.clear();
                self.write(&line[..line.len().min(most)], b"\n", stamps, place);
            }
            Target::Remote { index, most } => {
                let mut datagram = Vec::new();
                self.write(&line[..line.len().min(most)], b"\n", stamps, &mut datagram);
                let remote = &sinks.remotes[index];
                // As unreliable as UDP is in any case.
                let _ = remote.socket.send_to(&datagram, remote.to);
            }
            Target::Nowhere => {}
        }
    }

    fn write(&self, line: &[u8], end: &[u8], stamps: &Stamps, out: &mut Vec<u8>) {
        out.reserve(line.len() + 128);
        if self.stamp {
            out.extend_from_slice(stamps.tai());
        }
        if self.human {
            out.extend_from_slice(stamps.human());
        }
        out.extend_from_slice(&self.prefix);
        out.extend_from_slice(line);
        out.extend_from_slice(end);
    }
}

/// The first line: its length, and how many bytes it takes with its end. One that is longer than `most` ends there.
pub(super) fn next_line(bytes: &[u8], most: usize) -> Option<(usize, usize)> {
    let within = &bytes[..bytes.len().min(most.saturating_add(1))];
    match bytes::find(b'\n', within) {
        Some(end) => Some((end, end + 1)),
        None if bytes.len() > most => Some((most, most)),
        None => None,
    }
}

/// How many of these bytes are whole lines, if none of them is too long.
pub(super) fn whole_lines(bytes: &[u8], most: usize) -> Option<usize> {
    let end = bytes::find_last(b'\n', bytes).map_or(0, |last| last + 1);
    let mut at = 0;
    while at < end {
        // The last end of a line within reach of this one's beginning: whatever lies between is short enough.
        let within = &bytes[at..end.min(at.saturating_add(most).saturating_add(1))];
        at += bytes::find_last(b'\n', within)? + 1;
    }
    (bytes.len() - end <= most).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_end_at_the_limit() {
        assert_eq!(next_line(b"ab\ncd", 5), Some((2, 3)));
        assert_eq!(next_line(b"abcde\n", 5), Some((5, 6)));
        assert_eq!(next_line(b"abcdef\n", 5), Some((5, 5)));
        assert_eq!((next_line(b"abcde", 5), next_line(b"abcdef", 5), next_line(b"", 5)), (None, Some((5, 5)), None));
        assert_eq!(next_line(b"abcdef\n", usize::MAX), Some((6, 7)));
    }

    #[test]
    fn whole_lines_are_all_or_none() {
        assert_eq!(whole_lines(b"ab\ncd\nef", 5), Some(6));
        assert_eq!((whole_lines(b"ab\ncdefg\nh", 5), whole_lines(b"ab\ncdefgh\nh", 5)), (Some(9), None));
        assert_eq!(
            (whole_lines(b"ab\ncdefgh", 5), whole_lines(b"ab", 5), whole_lines(b"\n\n\n", 5)),
            (None, Some(0), Some(3))
        );
    }
}
