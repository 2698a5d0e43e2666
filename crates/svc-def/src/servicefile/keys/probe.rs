//! Keys about readiness and health that are found out by a probe.

use super::{Change, FIRST, FOREGROUND, Key, PROCESS, Shape, key, rights, schema};
use crate::servicefile::probes;

pub(super) const KEYS: &[Key] = &[
    key!(
        "ready.exec",
        Shape::Probe(probes::Kind::Exec, |draft, probe| draft.probes.ready = Some(probe)),
        "none",
        FOREGROUND,
        Change::Restart,
        "It is ready when this command, which is tried again and again as the service's user, ends with 0.",
        "\"pg_isready -q\""
    ),
    key!(
        "ready.tcp",
        Shape::Probe(probes::Kind::Tcp, |draft, probe| draft.probes.ready = Some(probe)),
        "none",
        FOREGROUND,
        Change::Restart,
        "It is ready when a connection can be made: HOST:PORT, or :PORT for this machine.",
        "\":5432\""
    ),
    key!(
        "ready.http",
        Shape::Probe(probes::Kind::Http, |draft, probe| draft.probes.ready = Some(probe)),
        "none",
        FOREGROUND,
        Change::Restart,
        "It is ready when a GET is answered with the right status (200 to 399); a table may say which, headers to send, and a \
         regular expression for the body.",
        "{ url = \"http://localhost:8080/ready\", status = [200, \"204\"], header = { Host = \"x\" }, body = \"ok\" }"
    ),
    key!(
        "ready.unix",
        Shape::Probe(probes::Kind::Unix, |draft, probe| draft.probes.ready = Some(probe)),
        "none",
        FOREGROUND,
        Change::Restart,
        "It is ready when a connection can be made to this Unix socket; relative to directory.",
        "\"/run/web.sock\""
    ),
    key!(
        "ready.file",
        Shape::Probe(probes::Kind::File, |draft, probe| draft.probes.ready = Some(probe)),
        "none",
        FOREGROUND,
        Change::Restart,
        "It is ready when this file is made or changed; one that an earlier start has left does not count.",
        "\"/run/web.pid\""
    ),
    key!(
        "ready.log",
        Shape::Probe(probes::Kind::Log, |draft, probe| draft.probes.ready = Some(probe)),
        "none",
        FOREGROUND,
        Change::Restart,
        "It is ready when a line of its output matches this extended regular expression.",
        "\"listening on port [0-9]+\""
    ),
    key!(
        "ready.interval",
        Shape::Pause(|draft, span| draft.probes.ready_interval = Some(span)),
        "1s",
        FOREGROUND,
        Change::Restart,
        "The longest pause before a probe looks again; the first ones are shorter. Files and sockets that are not there are \
         waited for by events.",
        "\"250ms\""
    ),
    key!(
        "ready.timeout",
        Shape::Pause(|draft, span| draft.probes.ready_timeout = Some(span)),
        "5s",
        FOREGROUND,
        Change::Restart,
        "How long one look may last; a command that takes longer is killed.",
        "\"2s\""
    ),
    key!(
        "ready.notify",
        Shape::Senders(|draft, senders| draft.probes.notify = senders),
        "false",
        FOREGROUND,
        Change::Restart,
        "It is ready when it says so by sd_notify(3), on the socket in NOTIFY_SOCKET; what it says of itself there is shown. With \
         main only its main process may speak, with all also what that has started.",
        "\"all\""
    ),
    key!(
        "watchdog",
        Shape::Pause(|draft, span| draft.probes.watchdog = Some(span)),
        "none",
        FOREGROUND,
        Change::Restart,
        "It must say that it lives (WATCHDOG=1 by sd_notify) at least so often, or it is killed with SIGABRT; it finds the time in \
         WATCHDOG_USEC.",
        "\"10s\""
    ),
    key!(
        "health.exec",
        Shape::Probe(probes::Kind::Exec, |draft, probe| draft.probes.health.probe = Some(probe)),
        "none",
        PROCESS,
        Change::Holds,
        "It is well when this command, run as the service's user, ends with 0; MAINPID is in its environment.",
        "\"redis-cli ping\""
    ),
    key!(
        "health.tcp",
        Shape::Probe(probes::Kind::Tcp, |draft, probe| draft.probes.health.probe = Some(probe)),
        "none",
        PROCESS,
        Change::Holds,
        "It is well when a connection can be made: HOST:PORT, or :PORT for this machine.",
        "\":6379\""
    ),
    key!(
        "health.http",
        Shape::Probe(probes::Kind::Http, |draft, probe| draft.probes.health.probe = Some(probe)),
        "none",
        PROCESS,
        Change::Holds,
        "It is well when a GET is answered with the right status; as ready.http.",
        "\"http://localhost:8080/health\""
    ),
    key!(
        "health.unix",
        Shape::Probe(probes::Kind::Unix, |draft, probe| draft.probes.health.probe = Some(probe)),
        "none",
        PROCESS,
        Change::Holds,
        "It is well when a connection can be made to this Unix socket; relative to directory.",
        "\"/run/web.sock\""
    ),
    key!(
        "health.file",
        Shape::Probe(probes::Kind::File, |draft, probe| draft.probes.health.probe = Some(probe)),
        "none",
        PROCESS,
        Change::Holds,
        "It is well as long as this file exists.",
        "\"/run/web.alive\""
    ),
    key!(
        "health.interval",
        Shape::Pause(|draft, span| draft.probes.health.interval = Some(span)),
        "10s",
        PROCESS,
        Change::Holds,
        "From the end of one look to the next.",
        "\"30s\""
    ),
    key!(
        "health.timeout",
        Shape::Pause(|draft, span| draft.probes.health.timeout = Some(span)),
        "5s",
        PROCESS,
        Change::Holds,
        "A look that takes longer is killed, and has failed.",
        "\"2s\""
    ),
    key!(
        "health.start-period",
        Shape::Span(|draft, span| draft.probes.health.start_period = Some(span)),
        "0",
        PROCESS,
        Change::Holds,
        "So long after its start failures do not count, until it has been well once; it is looked at more often then.",
        "\"1m\""
    ),
    key!(
        "health.failures",
        Shape::Number { least: 1, most: 1000, set: |draft, number| draft.probes.health.failures = Some(number as u16) },
        "3",
        PROCESS,
        Change::Holds,
        "So many looks in a row must fail before it is unhealthy.",
        "5"
    ),
    key!(
        "health.successes",
        Shape::Number { least: 1, most: 1000, set: |draft, number| draft.probes.health.successes = Some(number as u16) },
        "1",
        PROCESS,
        Change::Holds,
        "So many looks in a row must succeed before it is healthy.",
        "2"
    ),
    key!(
        "health.action",
        Shape::Remedy(|draft, remedy| draft.probes.health.remedy = Some(remedy)),
        "report",
        PROCESS,
        Change::Holds,
        "What is done when it becomes unhealthy: it is told, stopped and restarted by its restart policy, or reloaded, or everything ends \
         with exit code 1.",
        "\"restart\""
    ),
    key!(
        "memory.limit",
        Shape::Form {
            wanted: "a size such as \"256MiB\", or a number of bytes",
            pattern: schema::SIZE,
            read: |text| rights::size(text).filter(|size| size != "max" && size != "0"),
            set: |draft, bytes| draft.probes.memory.bytes = bytes.parse().ok()
        },
        "none",
        PROCESS,
        Change::Holds,
        "Resident memory of all its processes together, what is shared counted for each; if they use more, memory.action is done. \
         Needs no rights to cgroups; cgroup.memory-max is exact where there are.",
        "\"512MiB\""
    ),
    key!(
        "memory.interval",
        Shape::Pause(|draft, span| draft.probes.memory.interval = Some(span)),
        "10s",
        PROCESS,
        Change::Holds,
        "So often its memory is looked at.",
        "\"30s\""
    ),
    key!(
        "memory.action",
        Shape::Remedy(|draft, remedy| draft.probes.memory.remedy = Some(remedy)),
        "restart",
        PROCESS,
        Change::Holds,
        "What is done when it uses more than memory.limit: it is told, stopped and restarted by its restart policy, or reloaded, or \
         everything ends with exit code 1. \
         Then nothing before it has used less.",
        "\"report\""
    ),
];
