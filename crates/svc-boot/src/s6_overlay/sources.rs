//! The sources of s6-rc: those of the image in all the places where they may be, one over the other, and what s6-overlay itself
//! brings (`top`, `base`, `user`, `fix-attrs`, `legacy-*`). Laid out as directories that svc-scan reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use svc_core::Millis;
use svc_core::files::ORIGIN;
use svc_core::overlay::{BUNDLES, IN_PACKAGE, OWN, PACKAGE, PACKAGES, SOURCES};

use super::farm;
use super::places::Places;
use super::settings::Settings;
use crate::complain;
use crate::files::{Failed, entries, link, make_dir, told, write};
use crate::mistakes::{self, Mistake};

/// Places below /etc where people put things and nobody looks, and where they belong.
const STRAY: [(&str, &str); 11] = [
    ("s6-overlay/user", SERVICES_BELONG),
    ("s6-overlay/user2", SERVICES_BELONG),
    ("s6-overlay/contents.d", SERVICES_BELONG),
    ("s6-overlay/s6-rc", SERVICES_BELONG),
    ("s6-overlay/user-bundles", "move it to /etc/s6-overlay/user-bundles.d"),
    ("s6-rc.d", SERVICES_BELONG),
    ("s6-rc", SERVICES_BELONG),
    ("s6-overlay/services.d", "move it to /etc/services.d"),
    ("s6-overlay/cont-init.d", "move it to /etc/cont-init.d"),
    ("s6-overlay/cont-finish.d", "move it to /etc/cont-finish.d"),
    ("s6-overlay/fix-attrs.d", "move it to /etc/fix-attrs.d"),
];
const SERVICES_BELONG: &str =
    "services belong into /etc/s6-overlay/s6-rc.d, and what starts is named in user/contents.d there";

/// The bundles in which an image says what starts.
const CHOSEN: [&str; 2] = ["user", "user2"];

/// Files that are put together from all layers, and so are not linked.
const MERGED: [&str; 5] = ["type", "dependencies.d", "dependencies", "contents.d", "contents"];

/// How a oneshot calls a step: svc is the interpreter of `up` and `down`.
const STEP: &str = "/proc/self/exe s6-overlay";

/// One source, all its layers together.
#[derive(Default)]
struct Unit {
    kind: Option<Vec<u8>>,
    needs: BTreeSet<String>,
    contents: BTreeSet<String>,
    layers: Vec<PathBuf>,
    /// Those whose lists count: of s6-overlay's own ones nothing else does.
    listing: Vec<PathBuf>,
    up: Option<String>,
    down: Option<String>,
    own: bool,
}

impl Unit {
    /// Whether a layer has a file of this name.
    fn has(&self, file: &str) -> bool {
        self.layers.iter().any(|layer| layer.join(file).exists())
    }

    /// The file that puts a name into one of its lists.
    fn file_with(&self, folder: &Path, name: &str) -> Option<PathBuf> {
        let folder = folder.file_name().unwrap_or_default();
        let list = Path::new(folder).with_extension("");
        let layers = || self.listing.iter().rev();
        let mut files = layers().map(|layer| layer.join(folder).join(name)).chain(layers().map(|layer| layer.join(&list)));
        files.find(|file| file.is_file())
    }

    /// Where to look for what is wrong with it, if something may be: a complaint has the path of the image.
    fn origin(&self) -> Option<&PathBuf> {
        let layer = self.layers.iter().rev().find(|layer| layer.join("type").exists()).or(self.layers.last())?;
        let is_whole = match self.kind.as_deref() {
            Some(b"longrun") => self.has("run"),
            Some(b"oneshot") => self.has("up") && self.up.is_none() && self.down.is_none(),
            Some(b"bundle") => true,
            Some(_) | None => false,
        };
        (!is_whole).then_some(layer)
    }

    fn is(&self, kind: &[u8]) -> bool {
        self.kind.as_deref() == Some(kind)
    }
}

pub(super) struct Tree {
    units: BTreeMap<String, Unit>,
    longest_stop: Millis,
}

impl Tree {
    /// Reads what the image has. Says what is odd about it.
    pub(super) fn read(settings: &Settings) -> Tree {
        let mut tree = Tree { units: BTreeMap::new(), longest_stop: Millis::ZERO };
        for (name, kind, members) in OWN {
            let unit = tree.units.entry(name.to_owned()).or_default();
            (unit.kind, unit.own) = (Some(kind.as_bytes().to_vec()), true);
            let list = if kind == "bundle" { &mut unit.contents } else { &mut unit.needs };
            list.extend(members.iter().map(|&name| name.to_owned()));
        }
        let mut packages: Vec<PathBuf> = entries(Path::new(PACKAGES))
            .into_iter()
            .filter(|name| name.starts_with(PACKAGE))
            .map(|name| Path::new(PACKAGES).join(name))
            .collect();
        // A link of the plain name leads to one of the others.
        packages.retain(|path| !path.is_symlink());
        for root in packages.iter().map(|package| package.join(IN_PACKAGE)) {
            tree.read_root(&root, |_| true);
        }
        let elsewhere = settings.bundles.is_some();
        tree.read_root(Path::new(SOURCES), |name| !(elsewhere && CHOSEN.contains(&name)));
        tree.read_root(settings.bundles.as_deref().unwrap_or(Path::new(BUNDLES)), |name| {
            let known = CHOSEN.contains(&name);
            let root = settings.bundles.as_deref().unwrap_or(Path::new(BUNDLES));
            let place = root.join(name);
            if MERGED.contains(&name) {
                tell_misplaced(&place, &root.join("user").join(name));
            } else if !known {
                complain(&place, "only user and user2 are read here", &format!("move it to {SOURCES}/{name}"));
            }
            known
        });
        for (place, right) in STRAY.iter().map(|(place, right)| (Path::new("/etc").join(place), right)) {
            if place.is_dir() {
                complain(&place, "nothing is read here", right);
            }
        }
        tree.give_steps(settings);
        tree.find_longest_stop(settings);
        if settings.verbosity > 0 {
            tree.tell_who_is_left_out(settings);
        }
        tree
    }

    fn read_root(&mut self, root: &Path, wanted: impl Fn(&str) -> bool) {
        for name in entries(root) {
            let dir = root.join(&name);
            if !dir.is_dir() {
                if CHOSEN.contains(&name.as_str()) {
                    let cure = format!("make {name} a directory with an empty file {name}/contents.d/NAME for each service");
                    complain(&dir, "is no directory, and nobody reads it", &cure);
                }
                continue;
            }
            if !wanted(&name) {
                continue;
            }
            if MERGED.contains(&name.as_str()) || name == "user-bundles.d" {
                if name == "user-bundles.d" {
                    complain(&dir, "is read by nobody here, and is no service", &format!("move it to {BUNDLES}"));
                } else {
                    tell_misplaced(&dir, &Path::new(SOURCES).join("user").join(name));
                }
                continue;
            }
            self.read_layer(name, dir);
        }
    }

    fn read_layer(&mut self, name: String, dir: PathBuf) {
        let unit = self.units.entry(name).or_default();
        for (wrong, right) in [
            ("dependencies", "dependencies.d"),
            ("dependency.d", "dependencies.d"),
            ("contents", "contents.d"),
            ("content.d", "contents.d"),
        ] {
            if dir.join(wrong).is_dir() {
                complain(&dir.join(wrong), "is a directory that nobody reads", &format!("rename it to {right}"));
            }
        }
        for list in ["dependencies", "contents"] {
            let place = dir.join(format!("{list}.d"));
            if place.is_file() {
                complain(&place, "is no directory, and nobody reads it", &format!("rename it to {list}"));
            }
            let older = dir.join(list);
            if place.is_dir() && older.is_file() {
                complain(&older, format!("is not read, for {list}.d is there"), "move its names there, or remove it");
            }
        }
        unit.needs.extend(names(&dir, "dependencies"));
        unit.contents.extend(names(&dir, "contents"));
        unit.listing.push(dir.clone());
        if unit.own {
            // Its scripts are steps here.
            return;
        }
        if let Ok(kind) = fs::read(dir.join("type")) {
            unit.kind = Some(kind.trim_ascii().to_vec());
        }
        unit.layers.push(dir);
    }

    /// What s6-overlay's own oneshots do, where there is something to do.
    fn give_steps(&mut self, settings: &Settings) {
        let any = |name: &str| !entries(&settings.etc(name)).is_empty();
        let scripts = any("cont-init.d");
        let work = self.units.values().any(|unit| !unit.own && unit.is(b"oneshot"));
        let step = |wanted: bool, name: &str| wanted.then(|| format!("{STEP} {name}\n"));
        let steps = [
            ("fix-attrs", step(any("fix-attrs.d"), "fix-attrs"), None),
            ("legacy-cont-init", step(scripts, "cont-init"), step(any("cont-finish.d"), "cont-finish")),
            // A script may make a service on the way.
            (
                "legacy-services",
                step(any("services.d") || scripts || work, "services-up"),
                step(any("services.d") || scripts || work, "services-down"),
            ),
        ];
        for (name, up, down) in steps {
            if let Some(unit) = self.units.get_mut(name) {
                (unit.up, unit.down) = (Some(up.unwrap_or_default()), down);
            }
        }
        for (name, unit) in self.units.iter_mut().filter(|(_, unit)| !unit.own) {
            if unit.is(b"oneshot") {
                unit.up = script(&unit.layers, "up", name);
                unit.down = script(&unit.layers, "down", name);
            }
            // svc-supervise runs them by their first line.
            for program in ["run", "finish"].into_iter().filter(|_| unit.is(b"longrun")) {
                let path = unit.layers.iter().rev().map(|layer| layer.join(program)).find(|path| path.exists());
                let path = path.filter(|path| mistakes::find(path) == Some(Mistake::NotExecutable));
                path.into_iter().for_each(|path| mistakes::tell(&path, Mistake::NotExecutable));
            }
            mistakes::look_at_check(&unit.layers);
        }
    }

    /// The longest time that something says it needs to stop.
    fn find_longest_stop(&mut self, settings: &Settings) {
        let services = settings.etc("services.d");
        let legacy = entries(&services).into_iter().map(|name| services.join(name));
        let layers = self.units.values().flat_map(|unit| unit.layers.iter().cloned()).chain(legacy);
        let times = layers.flat_map(|dir| ["timeout-kill", "timeout-down"].map(|file| dir.join(file)));
        let times = times.filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
        self.longest_stop = Millis(times.max().unwrap_or(0));
    }

    pub(super) fn longest_stop(&self) -> Millis {
        self.longest_stop
    }

    /// Whether something of the image runs before the main program, and may leave variables behind.
    pub(super) fn runs_scripts(&self) -> bool {
        self.units.values().any(|unit| unit.up.as_ref().is_some_and(|up| !up.is_empty()) || unit.is(b"oneshot") && !unit.own)
    }

    /// Those of the image that start with it.
    pub(super) fn chosen(&self) -> Vec<&str> {
        let known = self.reachable();
        let is_in = |name: &str, unit: &Unit| known.contains(name) && !unit.own && !unit.is(b"bundle");
        self.units.iter().filter(|(name, unit)| is_in(name, unit)).map(|(name, _)| name.as_str()).collect()
    }

    /// What starts, by the names of bundles, dependencies and pipelines.
    fn reachable(&self) -> BTreeSet<String> {
        // A pipeline is started by a name of its own.
        let mut pipelines: BTreeMap<String, &str> = BTreeMap::new();
        for (name, unit) in &self.units {
            let file = unit.layers.iter().rev().find_map(|layer| fs::read_to_string(layer.join("pipeline-name")).ok());
            pipelines.extend(file.map(|pipeline| (pipeline.trim().to_owned(), name.as_str())));
        }
        let mut known: BTreeSet<String> = BTreeSet::new();
        let mut walk = vec!["top".to_owned()];
        while let Some(name) = walk.pop() {
            if !known.insert(name.clone()) {
                continue;
            }
            walk.extend(pipelines.get(&name).map(|&consumer| consumer.to_owned()));
            let Some(unit) = self.units.get(&name) else { continue };
            walk.extend(unit.needs.iter().chain(&unit.contents).cloned());
            for file in ["producer-for", "consumer-for"] {
                let text = unit.layers.iter().rev().find_map(|layer| fs::read_to_string(layer.join(file)).ok());
                walk.extend(text.unwrap_or_default().lines().map(|line| line.trim().to_owned()));
            }
        }
        known
    }

    /// Services that somebody wrote and nobody starts.
    fn tell_who_is_left_out(&self, settings: &Settings) {
        let known = self.reachable();
        let is_out = |name: &str, unit: &Unit| !known.contains(name) && !unit.own && unit.kind.is_some();
        let out = self.units.iter().filter(|(name, unit)| is_out(name, unit)).map(|(name, _)| name.as_str());
        let out: Vec<&str> = out.collect();
        let Some(first) = out.first() else { return };
        let user = settings.bundles.as_deref().unwrap_or(Path::new(SOURCES)).join("user/contents.d").join(first);
        complain(
            Path::new(SOURCES),
            format!("nobody starts {}", out.join(", ")),
            &format!("touch {}, unless a script starts it", user.display()),
        );
    }

    /// Makes the directories.
    pub(super) fn lay_out(&self, places: &Places) -> Result<(), String> {
        self.units.iter().try_for_each(|(name, unit)| lay_out(name, unit, places)).map_err(told)
    }
}

/// Part of a source that lies beside sources.
fn tell_misplaced(place: &Path, right: &Path) {
    complain(place, "is read by nobody here, and is no service", &format!("move what is in it to {}", right.display()));
}

fn lay_out(name: &str, unit: &Unit, places: &Places) -> Result<(), Failed> {
    let dir = places.servicedirs().join(name);
    make_dir(&dir)?;
    for layer in &unit.layers {
        farm::plant(layer, &dir, &MERGED)?;
    }
    if let Some(origin) = unit.origin() {
        link(origin, &dir.join(ORIGIN))?;
    }
    let list = |file: &str, names: &BTreeSet<String>| {
        let folder = dir.join(format!("{file}.d"));
        if names.iter().all(|name| unit.file_with(&folder, name).is_none()) {
            // Nothing in the image says so, and nothing has to be found there: one file is made instead of a folder of them.
            let lines: String = names.iter().map(|name| format!("{name}\n")).collect();
            return if names.is_empty() { Ok(()) } else { write(&dir.join(file), lines.as_bytes()) };
        }
        make_dir(&folder)?;
        names.iter().try_for_each(|name| match unit.file_with(&folder, name) {
            // So that what is said of the name leads to where it was written.
            Some(file) => link(&file, &folder.join(name)),
            None => write(&folder.join(name), b""),
        })
    };
    if unit.is(b"bundle") {
        list("contents", &unit.contents)?;
    } else {
        list("dependencies", &unit.needs)?;
    }
    for (file, text) in [("up", &unit.up), ("down", &unit.down)] {
        if let Some(text) = text {
            let path = dir.join(file);
            if !unit.layers.is_empty() {
                let _ = fs::remove_file(&path);
            }
            write(&path, text.as_bytes())?;
        }
    }
    match &unit.kind {
        Some(kind) => write(&dir.join("type"), &[kind.as_slice(), b"\n"].concat())?,
        // It must not be taken for a service of another form.
        None => {
            let _ = fs::remove_file(dir.join("run"));
        }
    }
    let place = if unit.is(b"longrun") {
        farm::make_room(&dir)?;
        places.services()
    } else {
        places.units()
    };
    link(&dir, &place.join(name))
}

/// A script of a oneshot, if it cannot be used as it stands: what is used in its place.
fn script(layers: &[PathBuf], file: &str, name: &str) -> Option<String> {
    let path = layers.iter().rev().map(|layer| layer.join(file)).find(|path| path.exists())?;
    let text = fs::read_to_string(&path).ok()?;
    let clean = text.replace("\r\n", "\n").trim_end_matches('\r').to_owned();
    let lines = clean.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<&str> = lines.collect();
    if let [line] = lines.as_slice()
        && line.starts_with('/')
        && !line.contains(['"', '{', '\\'])
        && let Some(target) = line.split_ascii_whitespace().next()
    {
        let shown = target;
        let target = Path::new(target);
        let misses = |what: &str| {
            let near = layers.iter().rev().map(|layer| layer.join("run")).find(|run| run.exists());
            let cure = near.map_or_else(
                || "write the path of a script that is in the image".to_owned(),
                |run| format!("did you mean {}?", run.display()),
            );
            complain(&path, format!("{name} names {shown}, which {what}"), &cure);
        };
        match mistakes::find(target) {
            Some(mistake @ (Mistake::NotExecutable | Mistake::NoLink)) => {
                mistakes::tell(target, mistake);
                return Some(format!("/proc/self/exe exec --script {line}\n"));
            }
            Some(mistake @ Mistake::CarriageReturn) => mistakes::tell(target, mistake),
            None if !target.exists() => misses("does not exist"),
            None if target.is_dir() => misses("is a directory"),
            None => {}
        }
    }
    (clean != text).then_some(clean)
}

/// The names of `LIST.d`, and of the older `LIST`.
fn names(dir: &Path, list: &str) -> Vec<String> {
    let folder = dir.join(format!("{list}.d"));
    if folder.is_dir() {
        return entries(&folder);
    }
    let text = fs::read_to_string(dir.join(list)).unwrap_or_default();
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}
