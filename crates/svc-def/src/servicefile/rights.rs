//! What a service may do and have: the keys whose effect is one option of `svc exec` each.

use svc_core::graph::distance;
use svc_core::{capability, priority};

use super::text;
use super::tree::Entry;
use super::values::Fault;

#[derive(Debug, Default)]
pub(super) struct Rights {
    pub(super) bounding: Option<Vec<String>>,
    pub(super) ambient: Option<Vec<String>>,
    pub(super) no_new_privileges: Option<bool>,
    pub(super) ionice: Option<String>,
    pub(super) scheduler: Option<String>,
    pub(super) cpus: Option<String>,
    pub(super) oom_score: Option<i64>,
    pub(super) chroot: Option<String>,
    pub(super) landlock_version: Option<i64>,
    pub(super) seccomp: Option<String>,
    pub(super) own_cgroup: bool,
    /// Its user may make others below it.
    pub(super) delegates_cgroup: bool,
    pub(super) optional: Vec<String>,
    /// What may be done below which paths.
    paths: Vec<(&'static str, String)>,
    /// Files of its cgroup, and what is written into them.
    files: Vec<(String, String)>,
}

impl Rights {
    pub(super) fn open(&mut self, access: &'static str, paths: Vec<String>) {
        self.paths.extend(paths.into_iter().map(|path| (access, path)));
    }

    pub(super) fn opened(&self) -> impl Iterator<Item = &(&'static str, String)> {
        self.paths.iter()
    }

    pub(super) fn set(&mut self, file: &str, value: String) {
        self.files.push((file.to_owned(), value));
    }

    /// The words for `svc exec`.
    pub(super) fn options(&self, service: &str) -> Vec<String> {
        let mut words = Vec::new();
        let mut option = |name: &str, value: &str| words.extend([format!("--{name}"), value.to_owned()]);
        if !self.optional.is_empty() {
            option("optional", &self.optional.join(","));
        }
        if self.own_cgroup || self.delegates_cgroup || !self.files.is_empty() {
            option("cgroup", service);
        }
        self.files.iter().for_each(|(file, value)| option("cgroup-set", &format!("{file}={value}")));
        self.ionice.iter().for_each(|class| option("ionice", class));
        self.scheduler.iter().for_each(|policy| option("scheduler", policy));
        self.cpus.iter().for_each(|cpus| option("cpus", cpus));
        self.oom_score.iter().for_each(|score| option("oom-score-adjust", &score.to_string()));
        self.bounding.iter().for_each(|list| option("bounding", &list.join(",")));
        self.ambient.iter().for_each(|list| option("ambient", &list.join(",")));
        self.landlock_version.iter().for_each(|version| option("landlock-version", &version.to_string()));
        self.paths.iter().for_each(|(access, path)| option("landlock", &format!("{access}:{path}")));
        self.seccomp.iter().for_each(|profile| option("seccomp", profile));
        self.chroot.iter().for_each(|dir| option("chroot", dir));
        if self.delegates_cgroup {
            words.push("--cgroup-delegate".into());
        }
        if self.no_new_privileges == Some(true) {
            words.push("--no-new-privileges".into());
        }
        words
    }

    /// What is given on and taken away at the same time.
    pub(super) fn contradiction(&self) -> Option<String> {
        let set = |list: &Option<Vec<String>>| capability::chosen(list.as_ref()?.iter().map(String::as_str), u64::MAX);
        let lost = set(&self.ambient)? & !set(&self.bounding)?;
        // Behind the known names there are bits that only "all" has.
        let name = capability::names(lost).next()?;
        Some(format!("capabilities.ambient has {name}, which capabilities.bounding takes away: name it there too"))
    }
}

/// What is wrong with the keys together.
pub(super) fn faults(leaves: &[(String, &Entry)], rights: &Rights) -> Vec<Fault> {
    const PATHS: [&str; 3] = ["landlock.read", "landlock.write", "landlock.exec"];
    let place = |name: &str| leaves.iter().find(|(key, _)| key == name).map(|(_, entry)| entry.place);
    let closes = PATHS.iter().any(|key| place(key).is_some());
    let mut faults: Vec<Fault> = Vec::new();
    if let (false, Some(place)) = (closes, place("landlock.version")) {
        let what = format!("landlock.version means nothing without one of {}: add one, or remove it", PATHS.join(", "));
        faults.push((place, what));
    }
    if let (false, Some(place)) = (rights.own_cgroup, place("cgroup.own")) {
        let asks = |key: &&str| match *key {
            "cgroup.own" => false,
            "cgroup.delegate" => rights.delegates_cgroup,
            key => key.starts_with("cgroup."),
        };
        let other = leaves.iter().map(|(key, _)| key.as_str()).find(asks);
        let message = |other| format!("cgroup.own is false, and {other} does not go without one: remove one of the two");
        faults.extend(other.map(|other| (place, message(other))));
    }
    if let (true, Some(place)) = (rights.no_new_privileges == Some(false), place("no-new-privileges")) {
        let closed = (!rights.paths.is_empty()).then_some("landlock");
        let other = closed.or(rights.seccomp.is_some().then_some("seccomp"));
        let message =
            |other| format!("no-new-privileges is false, and {other} does not go without it: remove one of the two");
        faults.extend(other.map(|other| (place, message(other))));
    }
    faults
}

fn known<T>(text: &str, read: fn(&str) -> Option<T>) -> Option<String> {
    read(text).map(|_| text.to_owned())
}

pub(super) fn ionice(text: &str) -> Option<String> {
    known(text, priority::io)
}

pub(super) fn scheduler(text: &str) -> Option<String> {
    known(text, priority::policy)
}

pub(super) fn cpus(text: &str) -> Option<String> {
    known(text, priority::cpus)
}

pub(super) fn seccomp(text: &str) -> Option<String> {
    svc_core::rights::PROFILES.contains(&text).then(|| text.to_owned())
}

/// Bytes, as the kernel takes them.
pub(super) fn size(text: &str) -> Option<String> {
    let bytes = |text: &str| text.parse().ok().or_else(|| text::size(text));
    if text == "max" { Some("max".into()) } else { bytes(text).map(|bytes: u64| bytes.to_string()) }
}

pub(super) fn count(text: &str) -> Option<String> {
    if text == "max" { Some("max".into()) } else { text.parse().ok().map(|count: u32| count.to_string()) }
}

/// So much time in each period of 100 ms, both in microseconds.
pub(super) fn processors(text: &str) -> Option<String> {
    const PERIOD_US: f64 = 100_000.0;
    /// The kernel takes no less.
    const LEAST_US: f64 = 1_000.0;
    if text == "max" {
        return Some("max".into());
    }
    let processors = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
        None => text.parse::<f64>().ok()?,
    };
    let quota = (processors * PERIOD_US).round();
    (LEAST_US..=1e9).contains(&quota).then(|| format!("{quota} {PERIOD_US}"))
}

pub(super) fn nearest_optional(name: &str) -> Option<&'static str> {
    let most = (name.chars().count() / 3).max(1);
    let found = svc_core::rights::OPTIONAL.into_iter().map(|known| (distance(name, known), known));
    found.filter(|(far, _)| *far <= most).min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_as_the_kernel_takes_them() {
        assert_eq!(processors("50%"), Some("50000 100000".into()));
        assert_eq!((processors("1.5"), processors("2")), (Some("150000 100000".into()), Some("200000 100000".into())));
        assert_eq!((size("1KiB"), size("77"), size("max")), (Some("1024".into()), Some("77".into()), Some("max".into())));
        for bad in ["", "0", "0.5%", "-1", "1e99", "nan", "inf", "50 percent"] {
            assert_eq!(processors(bad), None, "{bad}");
        }
        assert_eq!((size("1mb"), count("-1"), count("")), (None, None, None));
    }
}
