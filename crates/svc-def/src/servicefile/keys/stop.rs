//! Keys about how a service is stopped.

use super::super::stops::Kind;
use super::{Change, FIRST, Key, PROCESS, RUNNING, Shape, key};

pub(super) const KEYS: &[Key] = &[
    key!(
        "stop.signal",
        Shape::Signal(|draft, signal| draft.settings.down_signal = signal),
        "TERM",
        RUNNING,
        Change::Holds,
        "The signal that stops it.",
        "\"QUIT\""
    ),
    key!(
        "stop.steps",
        Shape::Stop(Kind::Steps),
        "stop.signal, and SIGKILL after timeout.kill",
        RUNNING,
        Change::Holds,
        "The signals that stop it, in this order: each is sent when the one before has had its wait. After the wait of the last one \
         (if it has none: after timeout.kill) comes SIGKILL, unless it is KILL itself.",
        "[{ signal = \"INT\", wait = \"10s\" }, { signal = \"TERM\", wait = \"5s\" }, \"KILL\"]"
    ),
    key!(
        "stop.command",
        Shape::Stop(Kind::Command),
        "none",
        PROCESS,
        Change::Holds,
        "What stops it, run as its user and in its environment, with its main process in MAINPID. The signals follow if it fails, or \
         if the service has not ended within wait (10s).",
        "{ command = \"nginx -s quit\", wait = \"30s\" }"
    ),
    key!(
        "stop.drain",
        Shape::Stop(Kind::Drain),
        "none",
        PROCESS,
        Change::Holds,
        "Before anything is said to it, it counts as not ready for so long, or only until the command of until ends with 0, which is run \
         again and again, as its user and in its environment, with its main process in MAINPID.",
        "{ wait = \"30s\", until = \"no-clients --quiet\" }"
    ),
    key!(
        "stop.tree",
        Shape::Flag(|draft, flag| draft.stops.tree = flag),
        "false",
        RUNNING,
        Change::Holds,
        "The signals go to all its processes, and not to its main process alone.",
        "true"
    ),
];
