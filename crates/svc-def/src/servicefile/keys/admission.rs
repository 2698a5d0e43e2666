//! Keys about what must hold, and what must answer, before a service starts.

use super::{ALL, Change, FIRST, Key, RUNNING, Shape, key};
use crate::conditions::{self, Otherwise};

pub(super) const KEYS: &[Key] = &[
    key!(
        "condition.env",
        Shape::CheckedTexts { check: |text| conditions::env(text).map(drop), set: |draft, list| draft.admission.env = list },
        "none",
        ALL,
        Change::Holds,
        "Variables that must be set (NAME), equal (NAME=VALUE) or match a regular expression (NAME=~EXPRESSION) in the \
         environment of svc, or must not (! in front); all of these must hold.",
        "[\"MODE=production\", \"!CI\"]"
    ),
    key!(
        "condition.file",
        Shape::CheckedTexts {
            check: |text| conditions::file(text).map(drop),
            set: |draft, list| draft.admission.files = list,
        },
        "none",
        ALL,
        Change::Holds,
        "Files that must exist (PATH), or be something (not-empty:PATH, directory:PATH, executable:PATH), or must not (! in front), \
         relative to the service directory; all of these must hold.",
        "[\"/etc/web.conf\", \"!directory:/etc/web.d\"]"
    ),
    key!(
        "condition.command",
        Shape::Command(|draft, words| draft.admission.command = Some(words)),
        "none",
        ALL,
        Change::Holds,
        "A command that must end with 0 within 10 s, or must not (a word ! in front); it runs as the service's user, in its \
         environment and directory.",
        "\"! grep -q off /etc/web.conf\""
    ),
    key!(
        "condition.profile",
        Shape::CheckedTexts {
            check: |text| conditions::profile(text).map(drop),
            set: |draft, list| draft.admission.profiles = list,
        },
        "none",
        ALL,
        Change::Holds,
        "Profiles of which one must be in SVC_PROFILES (names with commas between them); none with ! in front may be there.",
        "[\"web\", \"!debug\"]"
    ),
    key!(
        "condition.link",
        Shape::CheckedTexts {
            check: |text| conditions::link(text).map(drop),
            set: |draft, list| draft.admission.links = list
        },
        "none",
        ALL,
        Change::Holds,
        "Containers that must be linked (NAME: Docker set NAME_NAME or NAME_PORT_..._ADDR), or be named by NAME_HOST, or must not \
         (! in front); all of these must hold.",
        "[\"mysql\", \"!postgres\"]"
    ),
    key!(
        "condition.arch",
        Shape::CheckedTexts {
            check: |text| conditions::arch(text).map(drop),
            set: |draft, list| draft.admission.arch = list,
        },
        "none",
        ALL,
        Change::Holds,
        "Architectures of which svc must be built for one: x86_64 (amd64), aarch64 (arm64) ...; ! in front: not for that one.",
        "[\"amd64\", \"arm64\"]"
    ),
    key!(
        "condition.otherwise",
        Shape::Word {
            known: &["skip", "fail"],
            set: |draft, at| draft.admission.otherwise = [Otherwise::Skip, Otherwise::Fail][at],
        },
        "skip",
        ALL,
        Change::Holds,
        "Where a condition does not hold the service is left out, and what needs it starts without it (skip), or is blocked \
         (fail).",
        "\"fail\""
    ),
    key!(
        "wait-for",
        Shape::CheckedTexts {
            check: |text| conditions::wait_for(text).map(drop),
            set: |draft, list| draft.admission.wait_for = list,
        },
        "nothing",
        RUNNING,
        Change::Holds,
        "Endpoints that must answer before it starts, looked at from svc when all that it needs is there: tcp://HOST:PORT, \
         http://HOST:PORT/PATH (a status from 200 to 399), dns:NAME, unix:PATH, file:PATH.",
        "[\"tcp://db:5432\", \"file:/run/ready\"]"
    ),
    key!(
        "wait-timeout",
        Shape::Span(|draft, span| draft.admission.wait_timeout = span),
        "0 (for ever)",
        RUNNING,
        Change::Holds,
        "How long these may take to answer; after that the start has failed.",
        "\"2m\""
    ),
];
