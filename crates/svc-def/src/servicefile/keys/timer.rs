//! When a timer runs.

use svc_core::timer::{From, Missed, Overlap};

use super::{Change, FIRST, Key, Shape, TIMER, key};

pub(super) const KEYS: &[Key] = &[
    key!(
        "cron",
        Shape::Checked { check: crate::calendar::check_cron, set: |draft, cron| draft.cron = Some(cron) },
        "none: a timer has this or every",
        TIMER,
        Change::Holds,
        "When it runs: [SECOND] MINUTE HOUR DAY MONTH WEEKDAY, or @hourly, @daily, @weekly, @monthly, @yearly.",
        "\"30 3 * * *\""
    ),
    key!(
        "zone",
        Shape::Checked { check: crate::calendar::check_zone, set: |draft, zone| draft.zone = Some(zone) },
        "UTC",
        TIMER,
        Change::Holds,
        "The time zone of cron, a file below /usr/share/zoneinfo (or TZDIR).",
        "\"Europe/Berlin\""
    ),
    key!(
        "every",
        Shape::Pause(|draft, span| draft.every = Some(span)),
        "none: a timer has this or cron",
        TIMER,
        Change::Holds,
        "How long from one run to the next, at least 1s.",
        "\"5m\""
    ),
    key!(
        "every-from",
        Shape::Word { known: &["start", "end"], set: |draft, at| draft.every_from = Some([From::Start, From::End][at]) },
        "start",
        TIMER,
        Change::Holds,
        "Whether every counts from start to start, or from the end of a run to the start of the next.",
        "\"end\""
    ),
    key!(
        "jitter",
        Shape::Span(|draft, span| draft.jitter = span),
        "0",
        TIMER,
        Change::Holds,
        "Each run begins later by a random time up to this; another one for each run and each container.",
        "\"30s\""
    ),
    key!(
        "overlap",
        Shape::Word {
            known: &["skip", "queue", "kill"],
            set: |draft, at| draft.overlap = [Overlap::Skip, Overlap::Queue, Overlap::Kill][at],
        },
        "skip",
        TIMER,
        Change::Holds,
        "What happens when the time comes while it runs: nothing (skip), one run follows (queue), or the running one is stopped \
         first (kill).",
        "\"queue\""
    ),
    key!(
        "missed",
        Shape::Word { known: &["skip", "run"], set: |draft, at| draft.missed = [Missed::Skip, Missed::Run][at] },
        "skip",
        TIMER,
        Change::Holds,
        "What happens when its time came while svc did not run, or the clock was set past it: nothing, or one run for all of them.",
        "\"run\""
    ),
    key!(
        "run-at-start",
        Shape::Flag(|draft, flag| draft.run_at_start = flag),
        "false",
        TIMER,
        Change::Holds,
        "Whether it also runs each time it is started.",
        "true"
    ),
    key!(
        "timeout.run",
        Shape::Span(|draft, span| draft.run_timeout = span),
        "0 (for ever)",
        TIMER,
        Change::Holds,
        "How long a run may take; after that it is stopped.",
        "\"10m\""
    ),
];
