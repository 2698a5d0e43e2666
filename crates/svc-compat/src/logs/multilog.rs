//! multilog of daemontools: s6-log's ancestor, with patterns of its own.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use svc_core::Millis;

use crate::command::{Call, Command, Failure, Opt, Outcome, number};

use super::archives::Most;
use super::engine::{OnHangup, Plan};
use super::logdir::{Family, Settings};
use super::pattern::Pattern;
use super::processor::Processor;
use super::s6_log;
use super::script::{Action, Changes, Kind, Script, Selection, Step, Target};
use super::sinks::Status;
use super::stamp::{Scale, Stamps, Style, TAI};

pub(super) const COMMAND: Command = Command {
    name: "multilog",
    about: "write lines to rotated files (the program of daemontools)",
    operands: "ACTION...",
    options: &[Opt::NONE],
    notes: "\
Actions: t (a stamp in front of each line; the first action), -PATTERN and +PATTERN (a star matches what does not have the
next byte), e (the line to standard error), =FILE (holds the last line), and for the directories behind them sBYTES, nFILES
and !SHELL. DIR begins with . or /.

It is s6-log otherwise: what is killed loses no line, and no file is larger than its limit unless one line is.",
    codes: &[],
    run,
};

/// So much of a line patterns see, and status files hold.
const SEEN: usize = 1000;
const ALERT: usize = 200;
/// Longer lines become several.
const LONGEST: usize = 1 << 20;

fn run(call: &Call) -> Outcome {
    let words = call.operands.as_slice();
    let (stamp, words) = match words.split_first() {
        Some((first, rest)) if first == "t" => (true, rest),
        Some(_) | None => (false, words),
    };
    let mut settings = Settings {
        path: PathBuf::new(),
        family: Family::Multilog,
        size: 99_999,
        tolerance: 2000,
        most: Most { files: 10, bytes: u64::MAX },
        least: None,
        period: None,
        retry: Millis(5000),
        processor: None,
        program: COMMAND.name,
        quiet: false,
    };
    let before = if stamp { TAI } else { 0 };
    let (mut steps, mut dirs, mut statuses) = (Vec::new(), Vec::new(), Vec::new());
    let mut selections = Vec::new();
    for word in words {
        let Some((first, rest)) = word.as_bytes().split_first() else { continue };
        let target = match first {
            b'+' | b'-' => {
                let pattern = Pattern::Stars(rest.to_vec());
                let kind = if *first == b'+' { Kind::Select(pattern) } else { Kind::Deselect(pattern) };
                selections.push(Selection { kind, looks_at: SEEN, with_stamp: stamp });
                continue;
            }
            b's' => {
                settings.size = number::<u64>(OsStr::from_bytes(rest), "the size of a file")?.clamp(4096, 16_777_215);
                continue;
            }
            b'n' => {
                settings.most.files = number::<usize>(OsStr::from_bytes(rest), "the number of files")?.max(2);
                continue;
            }
            b'!' => {
                settings.processor = (!rest.is_empty()).then(|| Processor::Shell(OsString::from_vec(rest.to_vec())));
                continue;
            }
            b'e' if rest.is_empty() => Target::Alert { before: b"", most: Some(ALERT - before), cut_from: 0 },
            b'=' if !rest.is_empty() => {
                let path = OsString::from_vec(rest.to_vec()).into();
                statuses.push(Status { path, size: SEEN + 1, line: None });
                Target::Status { index: statuses.len() - 1, most: SEEN - before }
            }
            b'.' | b'/' => {
                dirs.push(Settings { path: word.into(), ..settings.clone() });
                Target::Dir(dirs.len() - 1)
            }
            _ => return Err(Failure::usage(format!("unrecognized action: {}", word.display()))),
        };
        let action = Action { stamp, human: false, prefix: Vec::new(), target };
        steps.push(Step { selections: std::mem::take(&mut selections), actions: vec![action] });
    }
    let plan = Plan {
        program: COMMAND.name,
        quiet: false,
        script: Script { steps },
        changes: Changes::default(),
        stamps: Stamps::new(Scale::Daemontools, Style::Local),
        line_limit: LONGEST,
        nul_ends: false,
        blocking: true,
        protected: false,
        on_hangup: OnHangup::End,
        patience: None,
        notify: None,
    };
    s6_log::start(plan, dirs, statuses)
}
