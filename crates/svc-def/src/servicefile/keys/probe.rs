//! Keys about readiness and health that are found out by a probe.

use super::{Change, FIRST, FOREGROUND, Key, Shape, key};
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
];
