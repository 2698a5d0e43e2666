//! The keys of service.toml. This table is all there is to say about a key: the parser, the man page and the JSON Schema come
//! from it.

use svc_core::graph::Relation;
use svc_core::health::{Remedy, Senders};
use svc_core::{Millis, ServiceName, Signal};

use super::Instances;
use super::computed::Computed;
use super::draft::{Draft, Kind, Start};
use super::limits::Limit;
use super::policies;
use super::probes::{self, Probe};
use super::rights;
use super::schema;
use super::sockets::Socket;
use super::stops;
use super::values::{Field, Record};

mod admission;
mod edits;
mod elsewhere;
mod hint;
mod identity;
mod kind;
mod life;
mod limits;
mod order;
mod policy;
mod prepare;
mod privileges;
mod probe;
mod stop;
mod timer;

pub(super) struct Key {
    /// With dots where it stands in a table.
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// What holds where it is not given, in words.
    pub(super) default: &'static str,
    /// The kinds of services that it means something for.
    pub(super) within: &'static [Kind],
    pub(super) change: Change,
    pub(super) since: &'static str,
    /// One sentence.
    pub(super) about: &'static str,
    /// A value, as it is written.
    pub(super) example: &'static str,
}

/// What becomes of a running service when a rescan finds another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is restarted: the running one was made with the old value.
    Restart,
    /// The new value holds from then on, without a restart.
    Holds,
    /// Nothing: it must be taken out and put back.
    Never,
}

impl Change {
    /// What the manual says.
    pub(super) fn about(self) -> &'static str {
        match self {
            Change::Restart => "restarts it",
            Change::Holds => "holds from then on, without a restart",
            Change::Never => "is refused: take the service out and put it back",
        }
    }
}

/// Names and their values.
type Assigned = Vec<(String, String)>;

/// What a value must be, and where it goes.
pub(super) enum Shape {
    Kind(fn(&mut Draft, Kind)),
    Flag(fn(&mut Draft, bool)),
    /// Milliseconds in the end; zero is for ever.
    Span(fn(&mut Draft, Millis)),
    /// The same, and not zero.
    Pause(fn(&mut Draft, Millis)),
    Signal(fn(&mut Draft, Signal)),
    Number {
        least: i64,
        most: i64,
        set: fn(&mut Draft, i64),
    },
    /// Octal digits.
    Mask(fn(&mut Draft, String)),
    Text(fn(&mut Draft, String)),
    /// A name or a number.
    Who(fn(&mut Draft, String)),
    Whose(fn(&mut Draft, Vec<String>)),
    /// One text or a list.
    Texts(fn(&mut Draft, Vec<String>)),
    /// Names of variables.
    Variables(fn(&mut Draft, Vec<String>)),
    /// A list, or one text that is split.
    Command(fn(&mut Draft, Vec<String>)),
    Names(fn(&mut Draft, Vec<ServiceName>)),
    /// Names, each maybe with what is waited for.
    Relations(Relation),
    /// A number, or names, or where these come from.
    Instances(fn(&mut Draft, Instances)),
    /// Names, each with the file that it comes from.
    Sources {
        check: fn(&str) -> Result<(), String>,
        set: fn(&mut Draft, Vec<(String, String)>),
    },
    /// A text or a number, as `read` writes it.
    Form {
        wanted: &'static str,
        /// For editors, which need not know everything.
        pattern: &'static str,
        read: fn(&str) -> Option<String>,
        set: fn(&mut Draft, String),
    },
    /// A list of known words.
    Words {
        known: fn(&str) -> bool,
        nearest: fn(&str) -> Option<&'static str>,
        /// For editors.
        pattern: fn() -> String,
        set: fn(&mut Draft, Vec<String>),
    },
    /// Files of a cgroup, and what is written into them.
    Files(fn(&mut Draft, Vec<(String, String)>)),
    /// The same, where a value may be what a command prints.
    Assignments(fn(&mut Draft, Assigned, Vec<Computed>)),
    Limits(fn(&mut Draft, Vec<Limit>)),
    /// One of these words, by its place in the list.
    Word {
        known: &'static [&'static str],
        set: fn(&mut Draft, usize),
    },
    /// One text or a list, of which each must be readable.
    CheckedTexts {
        check: fn(&str) -> Result<(), String>,
        set: fn(&mut Draft, Vec<String>),
    },
    /// A text that something else must be able to read.
    Checked {
        check: fn(&str) -> Result<(), String>,
        set: fn(&mut Draft, String),
    },
    /// Addresses, each maybe with more in a table.
    Sockets(fn(&mut Draft, Vec<Socket>)),
    /// Tables with these fields; a text stands for one with the first field alone.
    Records {
        fields: &'static [Field],
        set: fn(&mut Draft, Vec<Record>),
    },
    /// A flag, or a word.
    Start(fn(&mut Draft, Start)),
    /// Whose word counts.
    Senders(fn(&mut Draft, Option<Senders>)),
    /// What is done about an unhealthy service.
    Remedy(fn(&mut Draft, Remedy)),
    /// What is looked for, by a probe of this kind.
    Probe(probes::Kind, fn(&mut Draft, Probe)),
    Policy(policies::Kind),
    /// How it is stopped.
    Stop(stops::Kind),
}

const ALL: &[Kind] = &[Kind::Process, Kind::Forking, Kind::Oneshot, Kind::Bundle, Kind::Milestone, Kind::Timer];
const RUNNING: &[Kind] = &[Kind::Process, Kind::Forking, Kind::Oneshot, Kind::Timer];
const TIMER: &[Kind] = &[Kind::Timer];
const PROCESS: &[Kind] = &[Kind::Process, Kind::Forking];
/// What goes beside the command ends with it, and the command of a forking daemon ends early.
const FOREGROUND: &[Kind] = &[Kind::Process];
/// A forking daemon is what is left behind.
const KEEPING: &[Kind] = &[Kind::Process, Kind::Oneshot, Kind::Timer];
const FIRST: &str = "0.1.0";

macro_rules! key {
    ($name:literal, $shape:expr, $default:literal, $within:expr, $change:expr, $about:literal, $example:literal) => {
        Key {
            name: $name,
            shape: $shape,
            default: $default,
            within: $within,
            change: $change,
            since: FIRST,
            about: $about,
            example: $example,
        }
    };
}

pub(super) use hint::hint;
use key;

/// All keys, in the order of the manual.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    let families = [
        kind::KEYS,
        timer::KEYS,
        order::KEYS,
        life::KEYS,
        identity::KEYS,
        privileges::KEYS,
        limits::KEYS,
        admission::KEYS,
        edits::KEYS,
        prepare::KEYS,
        probe::KEYS,
        policy::KEYS,
        stop::KEYS,
    ];
    families.into_iter().flatten()
}

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    all().find(|key| key.name == name)
}

/// The table of a key, or the key itself where it is in none.
fn table_of(key: &'static str) -> &'static str {
    key.split_once('.').map_or(key, |(table, _)| table)
}

/// Whether there are keys in a table of this name.
pub(super) fn is_table(name: &str) -> bool {
    // The dot first: it turns nearly all of them down, and this is asked for each key of a thousand files.
    all().any(|key| key.name.as_bytes().get(name.len()) == Some(&b'.') && key.name.starts_with(name))
}
