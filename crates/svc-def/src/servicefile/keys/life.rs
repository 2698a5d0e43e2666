//! How it starts, stops and is told things.

use super::{Change, FIRST, KEEPING, Key, Kind, PROCESS, RUNNING, Shape, key};

pub(super) const KEYS: &[Key] = &[
    key!(
        "ready.fd",
        Shape::Number { least: 3, most: 1023, set: |draft, fd| draft.settings.notification_fd = Some(fd as u32) },
        "none: it counts as ready when it was started",
        PROCESS,
        Change::Restart,
        "The descriptor on which it writes a newline when it is ready.",
        "3"
    ),
    key!(
        "timeout.start",
        Shape::Span(|draft, span| draft.start_timeout = span),
        "0 (for ever)",
        &[Kind::Process, Kind::Forking, Kind::Oneshot],
        Change::Holds,
        "How long it may take until it is up (and ready, if it says so); after that the start has failed. Also one by a connection \
         (start = \"on-demand\").",
        "\"30s\""
    ),
    key!(
        "timeout.stop",
        Shape::Span(|draft, span| draft.stop_timeout = span),
        "0 (for ever)",
        RUNNING,
        Change::Holds,
        "How long a stop may take before it counts as failed and others no longer wait for it; the down of a oneshot is killed \
         after it.",
        "\"1m\""
    ),
    key!(
        "timeout.kill",
        Shape::Span(|draft, span| draft.settings.timeout_kill = span),
        "0 (never); 10s for a timer",
        RUNNING,
        Change::Holds,
        "SIGKILL follows the signal that stops it after this long.",
        "\"10s\""
    ),
    key!(
        "reload.signal",
        Shape::Signal(|draft, signal| {
            draft.settings.reload_signal = signal;
            draft.reloads = true;
        }),
        "HUP",
        PROCESS,
        Change::Holds,
        "The signal of svc-ctl reload. Where it is given, another template or distribution takes no restart.",
        "\"USR1\""
    ),
    key!(
        "kill-group",
        Shape::Flag(|draft, flag| draft.settings.kill_group = flag),
        "false",
        RUNNING,
        Change::Holds,
        "The SIGKILL of timeout.kill goes to its whole process group.",
        "true"
    ),
    key!(
        "keep-descendants",
        Shape::Flag(|draft, flag| draft.settings.keep_descendants = flag),
        "false for a process, true for a oneshot",
        KEEPING,
        Change::Holds,
        "Processes that it leaves behind are left alone.",
        "true"
    ),
    key!(
        "max-deaths",
        Shape::Number { least: 0, most: 4096, set: |draft, most| draft.settings.max_death_tally = most as u16 },
        "100",
        PROCESS,
        Change::Holds,
        "How many of its deaths are remembered for s6-svdt and s6-permafailon.",
        "20"
    ),
];
