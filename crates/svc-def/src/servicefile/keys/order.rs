//! What waits for what.

use svc_core::graph::Relation;

use super::{ALL, Change, FIRST, Key, Shape, key};

pub(super) const KEYS: &[Key] = &[
    key!(
        "needs",
        Shape::Relations(Relation::Needs(svc_core::graph::Bond::Stay)),
        "none",
        ALL,
        Change::Holds,
        "What is started along and must be there first; if one of these fails, this one is not started.",
        "[\"db\", { on = \"migrate\", until = \"completed\", bond = \"start\" }]"
    ),
    key!(
        "wants",
        Shape::Relations(Relation::Wants),
        "none",
        ALL,
        Change::Holds,
        "What is started along and waited for; if one of these fails, this one starts without it.",
        "[\"cache\"]"
    ),
    key!(
        "after",
        Shape::Relations(Relation::After),
        "none",
        ALL,
        Change::Holds,
        "What is waited for where somebody else has it started, and left alone otherwise.",
        "[{ on = \"metrics\", until = \"started\" }]"
    ),
    key!(
        "before",
        Shape::Relations(Relation::Before),
        "none",
        ALL,
        Change::Holds,
        "The other way round: these wait for this one.",
        "[\"web\"]"
    ),
];
