//! Templates: one file, and a service for each instance. How many there are may be changed while everything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use svc_core::ServiceName;
use svc_core::graph::{Bond, Edge, Id, Refusal, Strength, Wish};
use svc_def::Instances;
use svc_proto::api;
use svc_sys::say;

use super::Hub;
use crate::clients::NotScaled;
use crate::pair::Pair;
use crate::units::Unit;
use crate::whole;

/// The directory in the run directory where the numbers are that somebody asked for: the next svc-scan reads them.
const FOLDER: &str = "scale";

/// How many instances somebody asked for, and how many the definition had then: another one there counts from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scale {
    asked: u32,
    defined: u32,
}

#[derive(Default)]
pub(super) struct Scales {
    all: BTreeMap<ServiceName, Scale>,
    folder: Option<PathBuf>,
}

impl Scales {
    /// Those that an earlier svc-scan was asked for. What is left of an earlier svc is forgotten.
    pub(super) fn open(run_dir: Option<&Path>, recovered: bool) -> Scales {
        let folder = run_dir.map(|dir| dir.join(FOLDER));
        let mut scales = Scales { all: BTreeMap::new(), folder };
        let Some(folder) = &scales.folder else { return scales };
        if !recovered {
            let _ = std::fs::remove_dir_all(folder);
            return scales;
        }
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_str().and_then(|name| ServiceName::parse(name).ok());
            let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
            let numbers = text.trim().split_once(' ').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            if let (Some(name), Some((asked, defined))) = (name, numbers) {
                scales.all.insert(name, Scale { asked, defined });
            }
        }
        scales
    }

    /// Which instances there are to be.
    fn effective(&mut self, template: &ServiceName, defined: &Instances, rehearsing: bool) -> Instances {
        match (defined, self.all.get(template)) {
            (&Instances::Counted(count), Some(scale)) if scale.defined == count => Instances::Counted(scale.asked),
            (_, Some(_)) if !rehearsing => {
                self.set(template, None);
                defined.clone()
            }
            (_, Some(_) | None) => defined.clone(),
        }
    }

    fn set(&mut self, template: &ServiceName, scale: Option<Scale>) {
        let file = self.folder.as_ref().map(|folder| folder.join(template.as_str()));
        let written = match (scale, file) {
            (None, file) => {
                self.all.remove(template);
                file.map_or(Ok(()), |file| match std::fs::remove_file(file) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                    removed => removed,
                })
            }
            (Some(scale), file) => {
                self.all.insert(template.clone(), scale);
                file.map_or(Ok(()), |file| whole::write(&file, format!("{} {}\n", scale.asked, scale.defined).as_bytes()))
            }
        };
        if let Err(error) = written {
            say!(
                "svc-scan: {template}: cannot note how many instances were asked for: {error}: the next svc-scan will not know"
            );
        }
    }
}

impl Hub {
    /// Brings the services that a template makes to what it says now. One that is wrong stays as it was.
    pub(super) fn make_instances(&mut self, template: &ServiceName) {
        let Some(unit) = self.units.get(template.as_str()) else { return };
        let Some(defined) = unit.instances.clone() else { return };
        let (identity, scan_dir, dir) = (unit.identity, unit.scan_dir, unit.dir.clone());
        let mut contents = Vec::new();
        for instance in self.scales.effective(template, &defined, self.rehearsing).names() {
            let Ok(name) = ServiceName::parse(&format!("{template}@{instance}")) else { continue };
            let own = identity.instance(&name);
            let other = self.units.get(name.as_str()).map(|unit| unit.identity);
            let other = other.or_else(|| self.members.get(self.names.get(&name)?).map(|member| member.identity));
            if other.is_some_and(|other| other != own) {
                if self.rehearsing {
                    continue;
                }
                let shown = svc_def::shown(&dir);
                say!(
                    "svc-scan: {shown}: there is another service {name}, which is not of this template: rename one of them"
                );
                continue;
            }
            let is_new = self.units.get(name.as_str()).is_none();
            match self.directories.taken.pair(&name, own, &dir).map(|(pair, _)| pair) {
                Ok(Pair { source: Some(source), definition, .. }) if is_new => {
                    let mut unit = Unit::new(own, scan_dir, dir.clone(), definition, source);
                    unit.of = Some(template.clone());
                    self.units.insert(name.clone(), unit);
                }
                Ok(Pair { source: Some(source), definition, .. }) => self.units.read_again(&name, definition, source),
                Ok(Pair { source: None, .. }) => {}
                Err(_) if is_new && self.rehearsing => continue,
                Err(problem) if is_new => {
                    say!("svc-scan: {name}: {problem}");
                    continue;
                }
                Err(problem) => self.units.keep(&name, &problem),
            }
            contents.push(name);
        }
        for gone in self.units.made_by(template).into_iter().filter(|name| !contents.contains(name)) {
            self.units.remove(&gone);
        }
        self.units.set_contents(template, contents);
    }

    /// Who is to be up, and needs an instance that is none of the first `count`.
    fn needers_above(&self, template: &ServiceName, count: u32) -> Vec<Id> {
        let graph = self.engine.graph();
        let kept: BTreeSet<String> =
            Instances::Counted(count).names().iter().map(|name| format!("{template}@{name}")).collect();
        let gone = self.units.made_by(template).into_iter().filter(|name| !kept.contains(name.as_str()));
        let gone: BTreeSet<Id> = gone.filter_map(|name| graph.id(name.as_str())).collect();
        let above = gone.iter().flat_map(|&id| graph.dependents(id));
        let needs = |(from, edge): &(Id, Edge)| {
            let is_bound = matches!(edge.strength, Strength::Hard(Bond::Stay | Bond::Follow));
            is_bound
                && self.engine.wish(*from) != Wish::Down
                && !gone.contains(from)
                && graph.name(*from) != template.as_str()
        };
        let above: BTreeSet<Id> = above.filter(needs).map(|(from, _)| from).collect();
        above.into_iter().collect()
    }

    /// Another number of instances; none: what the definition says.
    pub(super) fn scale(&mut self, scale: &api::Scale) -> Result<api::Scaled, NotScaled> {
        let refused = |why: String| NotScaled::Refused(format!("{}: {why}", scale.template));
        let name = ServiceName::parse(&scale.template).map_err(|error| refused(error.to_string()))?;
        let name = svc_def::bundle_of(&name);
        let unit = self.units.get(name.as_str());
        if unit.is_none() && !self.names.contains_key(&name) {
            return Err(NotScaled::NoSuchService(format!("{name}: no such service")));
        }
        let identity = unit.map(|unit| unit.identity);
        let defined = match unit.and_then(|unit| unit.instances.as_deref()) {
            Some(Instances::Counted(count)) => *count,
            Some(Instances::Named(_)) => {
                let dir = unit.map_or_else(String::new, |unit| svc_def::shown(&unit.dir));
                return Err(refused(format!("its instances have names: change the list instances in {dir}")));
            }
            None => return Err(refused("is no template: only what is made by a NAME@.toml has a number".into())),
        };
        let asked = scale.instances.unwrap_or(defined);
        if asked > api::MOST_INSTANCES {
            return Err(refused(format!("{asked} instances are too many: {} is the most", api::MOST_INSTANCES)));
        }
        let before = self.units.made_by(&name);
        let needers = self.needers_above(&name, asked);
        if !needers.is_empty() && !scale.dependents {
            return Err(refused(Refusal::NeededBy(needers).describe(|id| self.engine.graph().name(id))));
        }
        self.scales.set(&name, (asked != defined).then_some(Scale { asked, defined }));
        self.make_instances(&name);
        let after = self.units.made_by(&name);
        let new = after.iter().filter(|name| !before.contains(name)).map(ToString::to_string).collect();
        self.compose();
        let made = identity.map(|identity| self.made_of(identity)).unwrap_or_default().into_iter();
        let gone = made.filter(|(_, name)| !after.contains(name)).map(|(_, name)| name.to_string()).collect();
        let instances = if after.len() == 1 { "instance" } else { "instances" };
        let message = format!("{name}: {} {instances}, {} before", after.len(), before.len());
        Ok(api::Scaled { message, new, gone })
    }
}
