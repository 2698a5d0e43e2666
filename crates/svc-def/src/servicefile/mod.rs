//! The form with one file: service.toml, with drop-ins in service.toml.d.
//!
//! [`tree`] reads the files and merges them, [`keys`] says which keys there are, [`values`] what a value means, and [`draft`] what
//! is executed in the end. Everything that is wrong is told at once, each with its line and column.

mod admission;
mod computed;
mod draft;
mod keys;
pub(crate) mod layout;
mod limits;
mod manual;
mod needed;
mod policies;
mod prepared;
mod probes;
mod rights;
mod schema;
mod show;
mod sockets;
mod stops;
mod text;
mod tree;
mod values;
mod watched;

use std::fmt::Write;
use std::path::Path;

use svc_core::expand::Variable;
use svc_core::graph::Dependency;
use svc_core::policy::Essential;
use svc_core::restart::AtLimit;
use svc_core::{Millis, Program, ServiceName, Settings};

use crate::conditions::{Conditions, Endpoint};
use crate::image::Image;
use crate::look::{Look, look};
use crate::problem::{Problem, quoted, short, shown};
use crate::rc::{self, Values};
use draft::{Draft, Kind};
use keys::Change;
use layout::{FILE, Layout};
use tree::{Entry, Item, Place, Tree};

pub use layout::{base, bundle_of, find, is_one_file};
pub use manual::manual;
pub use schema::schema;
pub(crate) use show::place_of;
pub use show::{Shown, show};
pub use sockets::{Address, Flow, Socket};
pub use watched::{edit_stamp, edited_in, is_like, look_at};

/// The directory with what is merged over a service.toml.
pub(crate) const DROP_INS: &str = "service.toml.d";

/// That of files that have not been read.
pub const NO_STAMP: u64 = 0;

/// What a template calls its instance in texts.
const INSTANCE: &str = "INSTANCE";

/// The words that are executed for a service go in one packet with the rest of its definition, which is shorter than 64 KiB.
const MOST_WORDS: usize = 48 * 1024;

/// What the files say, complete and without a fault.
pub(crate) struct Said {
    pub(crate) kind: rc::Kind,
    pub(crate) program: Option<Program>,
    pub(crate) settings: Settings,
    pub(crate) essential: Option<Essential>,
    pub(crate) relations: Vec<Dependency>,
    pub(crate) start: bool,
    pub(crate) timeout_up: Millis,
    pub(crate) timeout_down: Millis,
    pub(crate) facts: rc::Facts,
    /// Of a template.
    pub(crate) instances: Instances,
    pub(crate) timer: Option<rc::Timer>,
    pub(crate) conditions: Option<Conditions>,
    pub(crate) wait_for: Vec<(String, Endpoint)>,
    pub(crate) wait_timeout: Millis,
}

/// Which instances there are of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instances {
    /// That many, from 1 on.
    Counted(u32),
    Named(Vec<String>),
}

impl Instances {
    /// What they are called behind the @.
    pub fn names(&self) -> Vec<String> {
        match self {
            Instances::Counted(count) => (1..=*count).map(|number| number.to_string()).collect(),
            Instances::Named(names) => names.clone(),
        }
    }
}

/// Reads the files; none if one of the problems is fatal. `instance`: of a template, which one. `kept`: what they said, which counts
/// instead.
pub(crate) fn read(
    layout: &Layout,
    name: &ServiceName,
    instance: Option<&str>,
    image: Option<&Image>,
    kept: Option<&str>,
    problems: &mut Vec<Problem>,
) -> Option<Said> {
    let before = problems.len();
    if layout.main.ends_with(FILE) && kept.is_none() {
        check_other_forms(&layout.base, problems);
    }
    let tree = match kept {
        Some(values) => tree::of_values(layout, values, problems),
        None => tree::read(layout, problems),
    };
    let read = problems.len();
    // What is wrong with a template is wrong with its first instance. Where there is none, no variable can be missing.
    let first = (instance.is_none() && layout.is_template).then(|| first_instance(&tree));
    let has_none = first == Some(None);
    let instance = instance.map(str::to_owned).or(first.map(|first| first.unwrap_or_else(|| "none".to_owned())));
    let variable = |name: &str| match &instance {
        Some(instance) if name == INSTANCE => Some(instance.clone()),
        Some(_) | None => std::env::var(name).ok().or(has_none.then(|| "none".to_owned())),
    };
    let (mut draft, mut facts) = draft(&tree, &variable, problems);
    draft.name = name.to_string();
    // What stands in the files now must be looked at.
    facts.stamp = if kept.is_none() { watched::stamp_of(layout) } else { NO_STAMP };
    let watch = draft.watched().iter().map(|pattern| watched::look_at(layout.base.join(pattern))).collect();
    let outside = rc::Outside { sockets: draft.sockets.clone(), watch };
    facts.outside = (outside != rc::Outside::default()).then(|| Box::new(outside));
    facts.change_restarts = draft.change_restarts();
    facts.applies = draft.applies;
    check_instances(layout, &tree, problems);
    let meant = problems.split_off(read);
    problems.extend(meant.into_iter().filter(|problem| !tree.is_consequence(problem)));
    // In the order of the lines; the parser may say a thing twice.
    problems[before..].sort_by(|a, b| (&a.path, a.place).cmp(&(&b.path, b.place)));
    problems.dedup();
    if problems[before..].iter().any(|problem| problem.fatal) {
        return None;
    }
    if let Some(what) = draft.missing() {
        // A list of members that is empty is one.
        let place = tree.root.iter().find(|entry| entry.key == "members").map(|entry| entry.node.place);
        problems.push(match place {
            Some(place) => tree.fatal(place, what.into()),
            None => Problem::fatal(&layout.main, what.into()),
        });
        return None;
    }
    if let Some(image) = image {
        needed::look(&draft, &tree, &layout.base, image, problems);
    }
    let program = draft.program();
    let mut settings = draft.settings();
    let length = program.as_ref().map_or(0, length) + of_policy(&settings);
    if length > MOST_WORDS {
        problems.extend(longest(&tree, &variable).map(|(longest, key, place)| {
            let message = format!(
                "{key} has {longest} bytes, with which the words and variables of the service have {length}, and {MOST_WORDS} is \
                 the most: shorten it, or put variables into an env-file"
            );
            tree.fatal(place, message)
        }));
        return None;
    }
    if draft.kind == Kind::Oneshot {
        settings.timeout_finish = draft.stop_timeout;
    }
    if draft.probes.ready.is_some() {
        settings.notification_fd = Some(probes::READY_FD);
    }
    settings.checks = draft.checks().map(Box::new);
    draft.relations.shrink_to_fit();
    Some(Said {
        kind: draft.graph_kind(),
        program,
        settings,
        essential: draft.essential,
        start: draft.start != draft::Start::Asked,
        timeout_up: draft.start_timeout,
        timeout_down: draft.stop_timeout,
        timer: draft.timer(),
        conditions: draft.admission.conditions(|words| draft.check_chain(words)),
        wait_for: draft.admission.endpoints(),
        wait_timeout: draft.admission.wait_timeout,
        relations: draft.relations,
        facts,
        instances: draft.instances.unwrap_or(Instances::Counted(1)),
    })
}

/// The key that has most in it, with its variables put in.
fn longest(tree: &Tree, variable: Variable<'_>) -> Option<(usize, String, Place)> {
    let length = |entry: &Entry| {
        let text = show::written(&entry.node.item);
        svc_core::expand::expand(&text, variable).map_or(text.len(), |expanded| expanded.text.len())
    };
    let parts = leaves(&tree.root, &mut |_| {}).into_iter().flat_map(|(key, entry)| match &entry.node.item {
        Item::Table(inner) => inner.iter().map(|inner| (format!("{key}.{}", short(inner.key.as_bytes())), inner)).collect(),
        _ => vec![(key, entry)],
    });
    parts.map(|(key, entry)| (length(entry), key, entry.place)).max_by_key(|(length, ..)| *length)
}

/// The bytes of the commands that a policy has.
fn of_policy(settings: &Settings) -> usize {
    let at_limit = match settings.restart().map(|restart| &restart.at_limit) {
        Some(AtLimit::Run(words)) => Some(words),
        Some(AtLimit::Fail | AtLimit::StopContainer { .. }) | None => None,
    };
    let errands = [settings.drain(), settings.stop_command()].into_iter().flatten().map(|errand| &errand.words);
    at_limit.into_iter().chain(errands).flatten().map(|word| word.len() + 8).sum()
}

/// Behind the @ of the first one of a template; none if there is not a single one.
fn first_instance(tree: &Tree) -> Option<String> {
    let entry = tree.root.iter().find(|entry| entry.key == "instances");
    let mut draft = Draft::new(Kind::Process);
    if let (Some(entry), Some(key)) = (entry, keys::find("instances")) {
        // What is wrong with it is said when it is read in its place.
        let _ = values::apply(key, &entry.node, &mut draft, &|name| std::env::var(name).ok());
    }
    draft.instances.unwrap_or(Instances::Counted(1)).names().into_iter().next()
}

/// Only a template has instances.
fn check_instances(layout: &Layout, tree: &Tree, problems: &mut Vec<Problem>) {
    let entry = tree.root.iter().find(|entry| entry.key == "instances").filter(|_| !layout.is_template);
    if let Some(entry) = entry {
        let message =
            "instances means something in a template only, whose name ends in @: call it NAME@.toml, or NAME@/service.toml";
        problems.push(tree.fatal(entry.place, message.into()));
    }
}

fn length(program: &Program) -> usize {
    use svc_core::definition::Script;
    let words = |words: &Vec<Vec<u8>>| words.iter().map(|word| word.len() + 8).sum::<usize>();
    match program {
        Program::Chain(chain) => words(chain),
        Program::Oneshot { up, down } => {
            let half = |script: &Option<Script>| match script {
                Some(Script::Chain(chain)) => words(chain),
                Some(Script::File { .. }) | None => 0,
            };
            half(up) + half(down)
        }
        Program::Directory | Program::Command(_) => 0,
    }
}

/// Files that say what service.toml says: which of them is meant nobody can know.
fn check_other_forms(dir: &Path, problems: &mut Vec<Problem>) {
    const OTHERS: [&str; 14] = [
        "run",
        "finish",
        "type",
        "up",
        "down",
        "essential",
        "log",
        "dependencies",
        "dependencies.d",
        "contents",
        "contents.d",
        "producer-for",
        "consumer-for",
        "pipeline-name",
    ];
    let small = svc_core::files::FILES.iter().map(|file| file.name);
    // One reading of the directory instead of a look for each name: with a thousand services this is half of the time.
    let listed = std::fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
    let listed: std::io::Result<std::collections::HashSet<std::ffi::OsString>> = listed;
    let is_there = |name: &str| match &listed {
        Ok(names) => names.contains(std::ffi::OsStr::new(name)),
        Err(_) => !matches!(look(&dir.join(name)), Look::Absent),
    };
    for name in OTHERS.into_iter().chain(small).filter(|name| is_there(name)) {
        let other = shown(&dir.join(FILE));
        let message = format!("and {other} are two forms of a service in one directory: remove one of the two");
        problems.push(Problem::fatal(dir.join(name), message));
    }
}

/// Reads all keys: what they make together, and what is to be remembered of them.
fn draft(tree: &Tree, variable: Variable<'_>, problems: &mut Vec<Problem>) -> (Draft, rc::Facts) {
    let mut fault = |(place, message): (Place, String)| problems.push(tree.fatal(place, message));
    // What a key means depends on the kind, so that comes first.
    let mut kind = Draft::new(Kind::Process);
    let mut known = true;
    if let (Some(entry), Some(key)) = (tree.root.iter().find(|entry| entry.key == "kind"), keys::find("kind")) {
        // What is wrong with it is said when it is read in its place.
        known = values::apply(key, &entry.node, &mut kind, variable).is_ok();
    }
    let mut draft = Draft::new(kind.kind);
    // What only a restart changes, by itself: two files that differ in nothing of this run the same.
    let mut made = Draft::new(kind.kind);
    let mut values = Vec::new();
    let leaves = leaves(&tree.root, &mut fault);
    let places = leaves.clone();
    probes::faults(&leaves).into_iter().for_each(&mut fault);
    policies::faults(&leaves).into_iter().for_each(&mut fault);
    for (name, entry) in leaves {
        let Some(key) = keys::find(&name) else {
            let hint = keys::hint(&name, entry);
            fault((entry.place, format!("{} is no key of a service{hint}", quoted(name.as_bytes()))));
            continue;
        };
        if known && !key.within.contains(&draft.kind) {
            let kinds: Vec<&str> = key.within.iter().map(|kind| kind.name()).collect();
            let cure = match (draft.kind, name.as_str()) {
                (Kind::Oneshot, "command") => "what a oneshot runs is called up",
                _ => "remove it, or change kind",
            };
            let (kind, others) = (draft.kind.name(), kinds.join(" or a "));
            let message = format!("{name} means nothing for a {kind}, only for a {others}: {cure}");
            fault((entry.place, message));
            continue;
        }
        match values::apply(key, &entry.node, &mut draft, variable) {
            Ok(()) if key.change == Change::Restart => {
                // The same value once more.
                let _ = values::apply(key, &entry.node, &mut made, variable);
            }
            Ok(()) => {}
            Err(faults) => faults.into_iter().for_each(&mut fault),
        }
        values.push((key.name, show::written(&entry.node.item)));
    }
    stops::faults(&places, &draft).into_iter().for_each(&mut fault);
    rights::faults(&places, &draft.rights).into_iter().for_each(&mut fault);
    sockets::faults(&places, draft.settings.notification_fd, draft.sockets.len()).into_iter().for_each(&mut fault);
    for (key, what) in [draft.demand_fault(), draft.schedule_fault()].into_iter().flatten() {
        let entry = tree.root.iter().find(|entry| entry.key == key);
        entry.into_iter().for_each(|entry| fault((entry.place, what.into())));
    }
    if draft.user.is_none() {
        let all = tree.root.iter().filter_map(|entry| Some((entry.place, draft.needs_user(&entry.key)?)));
        all.for_each(|(place, whose)| fault((place, format!("{whose}: write user = \"NAME\""))));
    }
    if let (Some(what), Some(entry)) =
        (draft.rights.contradiction(), tree.root.iter().find(|entry| entry.key == "capabilities"))
    {
        fault((entry.place, what));
    }
    let values = Values::new(&values);
    (draft, rc::Facts { substance: fingerprint_of(&made), values, ..rc::Facts::default() })
}

/// The same number for the same bytes, whoever computes it (FNV-1a).
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    START.with(bytes).0
}

/// That of what `{:?}` shows, which is long, and need not be kept.
fn fingerprint_of(what: &impl std::fmt::Debug) -> u64 {
    let mut fingerprint = START;
    // It takes all that comes.
    let _ = write!(fingerprint, "{what:?}");
    fingerprint.0
}

const START: Fingerprint = Fingerprint(0xcbf2_9ce4_8422_2325);

#[derive(Clone, Copy)]
struct Fingerprint(u64);

impl Fingerprint {
    fn with(self, bytes: &[u8]) -> Fingerprint {
        Fingerprint(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
    }
}

impl Write for Fingerprint {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        *self = self.with(text.as_bytes());
        Ok(())
    }
}

/// The keys with their values, those in tables under their long names.
fn leaves<'a>(root: &'a [Entry], fault: &mut impl FnMut((Place, String))) -> Vec<(String, &'a Entry)> {
    let mut found = Vec::new();
    for entry in root {
        if !keys::is_table(&entry.key) || keys::find(&entry.key).is_some() {
            found.push((entry.key.clone(), entry));
            continue;
        }
        match &entry.node.item {
            Item::Table(inner) => found.extend(inner.iter().map(|inner| (format!("{}.{}", entry.key, inner.key), inner))),
            other => {
                let example = keys::all().find(|key| key.name.strip_prefix(&entry.key).is_some_and(|r| r.starts_with('.')));
                let example = example.map_or(String::new(), |key| format!(": write {} = {}", key.name, key.example));
                fault((entry.node.place, format!("{} is {}, and must be a table{example}", entry.key, other.described())));
            }
        }
    }
    found
}
