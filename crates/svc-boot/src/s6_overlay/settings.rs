//! The variables of s6-overlay: what each means here, and a sentence for those that mean nothing.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use svc_core::Millis;
use svc_core::graph::distance;
use svc_sys::say;

use crate::files::entries;

/// What a failure before the main program means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Continue,
    Warn,
    Stop,
}

/// Variables that are set by images and have nothing to do here, and why.
const WITHOUT_EFFECT: [(&str, &str); 9] = [
    ("S6_LOGGING", "what services write goes to the output of the container, and its end is kept (svc-ctl logs)"),
    ("S6_CATCHALL_USER", "there is no catch-all logger: the output of the container and svc-ctl logs have it all"),
    ("S6_CMD_USE_TERMINAL", "the main program always has the terminal"),
    ("S6_SERVICES_READYTIME", "nothing sleeps: who is ready says so"),
    (
        "S6_SYNC_DISKS",
        "sync(2) waits for all disks of the host, and no end of a stop could be told: call sync -f in a script of /etc/cont-finish.d",
    ),
    ("S6_WAIT_FOR_CLOSING_FD", "nothing is waited for before the start"),
    ("S6_GLOBAL_PATH", "it was never in use: set PATH"),
    ("S6_RC_TIMEOUT", "give services a timeout-up"),
    ("S6_BEHAVIOR_IF_STAGE2_FAILS", "it is spelled S6_BEHAVIOUR_IF_STAGE2_FAILS"),
];

/// Those that others read: with-contenv, logutil-service, fix-attrs; and what nobody needs any more, without a word.
const ELSEWHERE: [&str; 5] = [
    "S6_KEEP_ENV",
    "S6_LOGGING_SCRIPT",
    "S6_FIX_ATTRS_HIDDEN",
    "S6_READ_ONLY_ROOT",
    "S6_YES_I_WANT_A_WORLD_WRITABLE_RUN_BECAUSE_KUBERNETES",
];

/// What is in the names that builders of images keep for themselves, such as S6_OVERLAY_VERSION.
const OF_BUILDERS: [&str; 3] = ["OVERLAY", "VERSION", "ARCH"];

/// Where other trees are, of which S6_RUNTIME_PROFILE chooses one.
const PROFILES: &str = "/etc/cont-profile.d";

/// Where a stop has no other measure, it ends before `docker stop` kills.
const LEAST_BUDGET: Millis = Millis::from_secs(8);

/// What the environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) failure: Failure,
    /// How long everything before the main program may take.
    pub(super) start_limit: Option<Millis>,
    /// Wait until the services of services.d are ready.
    pub(super) wait: bool,
    pub(super) services_grace: Millis,
    pub(super) kill_grace: Millis,
    /// Of one script of cont-finish.d.
    pub(super) finish_limit: Option<Millis>,
    pub(super) arg0: Vec<OsString>,
    pub(super) hook: Vec<OsString>,
    pub(super) receive_signals: bool,
    pub(super) verbosity: u32,
    /// Where `user` and `user2` stand, if only those there count.
    pub(super) bundles: Option<PathBuf>,
    pub(super) profile: Option<OsString>,
    /// What is to be said once.
    odd: Vec<String>,
    /// Every name that was looked for.
    known: Vec<&'static str>,
}

impl Settings {
    pub(super) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Settings {
        let (mut odd, known) = (Vec::new(), RefCell::new(ELSEWHERE.to_vec()));
        let set = |name: &'static str| {
            known.borrow_mut().push(name);
            variable(name).filter(|value| !value.is_empty())
        };
        let mut number = |name: &'static str, default: u64| match set(name) {
            None => default,
            Some(value) => value.to_str().and_then(|text| text.trim().parse().ok()).unwrap_or_else(|| {
                odd.push(format!("{name}={}: must be a number: using {default}", value.display()));
                default
            }),
        };
        let some = |number: u64| (number > 0).then_some(Millis(number));
        let failure = match number("S6_BEHAVIOUR_IF_STAGE2_FAILS", 0) {
            0 => Failure::Continue,
            1 => Failure::Warn,
            _ => Failure::Stop,
        };
        let start_limit = some(number("S6_CMD_WAIT_FOR_SERVICES_MAXTIME", 0));
        let wait = number("S6_CMD_WAIT_FOR_SERVICES", 0) != 0;
        let services_grace = Millis(number("S6_SERVICES_GRACETIME", 3000));
        let kill_grace = Millis(number("S6_KILL_GRACETIME", 3000));
        let finish_limit = some(number("S6_KILL_FINISH_MAXTIME", 0));
        let receive_signals = number("S6_CMD_RECEIVE_SIGNALS", 0) != 0;
        let verbosity = number("S6_VERBOSITY", 2) as u32;
        for (name, why) in WITHOUT_EFFECT {
            if set(name).is_some_and(|value| value != "0") {
                odd.push(format!("{name} has no effect: {why}"));
            }
        }
        let profile = set("S6_RUNTIME_PROFILE");
        let profile = profile.filter(|name| {
            let good = !name.as_bytes().contains(&b'/');
            if !good {
                odd.push(format!("S6_RUNTIME_PROFILE={}: must be a name in /etc/cont-profile.d", name.display()));
            }
            good
        });
        let (arg0, hook) = (split(set("S6_CMD_ARG0")), split(set("S6_STAGE2_HOOK")));
        let bundles = set("S6_RUNTIME_BUNDLEDIR").map(PathBuf::from);
        Settings {
            failure,
            start_limit,
            wait,
            services_grace,
            kill_grace,
            finish_limit,
            arg0,
            hook,
            receive_signals,
            verbosity,
            bundles,
            profile,
            odd,
            known: known.into_inner(),
        }
    }

    /// A sentence for a variable that looks as if it were for us, and that nobody reads.
    fn misspelt(&self, name: &str) -> Option<String> {
        let is_ours = name.starts_with("S6_") && !self.known.contains(&name);
        if !is_ours || OF_BUILDERS.iter().any(|word| name.contains(word)) {
            return None;
        }
        let near = self.known.iter().map(|known| (distance(name, known), known)).min();
        let near = near.filter(|(far, _)| *far <= name.len() / 3).map(|(_, known)| format!(": did you mean {known}?"));
        Some(format!("{name} is no variable that svc knows{}", near.unwrap_or_default()))
    }

    /// Says once what is set and means nothing, or is no value, or names what is not there.
    pub(super) fn explain(&self) {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let misspelt = names.filter(|_| self.verbosity > 0).filter_map(|name| self.misspelt(&name));
        self.odd.iter().cloned().chain(misspelt).for_each(|line| say!("init: {line}"));
        let profile = self.profile.as_ref().map(|name| ("S6_RUNTIME_PROFILE", PathBuf::from(PROFILES).join(name)));
        let bundles = self.bundles.clone().map(|dir| ("S6_RUNTIME_BUNDLEDIR", dir));
        for (name, dir) in profile.into_iter().chain(bundles).filter(|(_, dir)| !dir.is_dir()) {
            say!("init: {name}: there is no directory {}: make it in the image, or correct the variable", dir.display());
        }
    }

    /// A directory below /etc, as the profile has it.
    pub(super) fn etc(&self, name: &str) -> PathBuf {
        match &self.profile {
            Some(profile) => PathBuf::from(PROFILES).join(profile).join(name),
            None => PathBuf::from("/etc").join(name),
        }
    }

    /// How long the end may take in all, where the slowest service may take `longest`. The orderly part gets three quarters; the
    /// scripts of cont-finish.d are in it, one after the other.
    pub(super) fn budget(&self, longest: Millis) -> Millis {
        let scripts = self.finish_limit.map_or(0, |_| entries(&self.etc("cont-finish.d")).len());
        self.budget_with(longest, scripts as u64)
    }

    fn budget_with(&self, longest: Millis, scripts: u64) -> Millis {
        let finishing = self.finish_limit.map_or(0, |limit| limit.0.saturating_mul(scripts));
        let orderly = longest.0.max(self.services_grace.0).saturating_add(finishing);
        LEAST_BUDGET.max(Millis((orderly / 3).saturating_mul(4)) + self.kill_grace)
    }
}

/// Words between blanks, as a shell takes what is not quoted.
fn split(value: Option<OsString>) -> Vec<OsString> {
    let value = value.unwrap_or_default();
    let words = value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.map(|word| OsString::from_vec(OsStr::from_bytes(word).as_bytes().to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(list: &[(&str, &str)]) -> Settings {
        Settings::read(|name| list.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value)))
    }

    #[test]
    fn nothing_set_is_what_s6_overlay_does_by_default() {
        let plain = settings(&[]);
        assert_eq!((plain.failure, plain.start_limit, plain.wait), (Failure::Continue, None, false));
        assert_eq!((plain.services_grace, plain.finish_limit, plain.verbosity), (Millis(3000), None, 2));
        assert_eq!(plain.budget(Millis::ZERO), LEAST_BUDGET);
        assert!(plain.odd.is_empty());
        assert_eq!(plain.etc("cont-init.d"), PathBuf::from("/etc/cont-init.d"));
    }

    #[test]
    fn what_means_nothing_is_explained_and_what_is_no_number_is_told() {
        let odd = settings(&[("S6_LOGGING", "1"), ("S6_SYNC_DISKS", "0"), ("S6_KILL_GRACETIME", "3s")]).odd;
        assert_eq!(odd.len(), 2, "{odd:?}");
        assert!(odd[0].contains("S6_KILL_GRACETIME=3s: must be a number: using 3000"), "{odd:?}");
        assert!(odd[1].starts_with("S6_LOGGING has no effect: what services write"), "{odd:?}");
    }

    #[test]
    fn a_variable_that_is_misspelt_is_told() {
        let misspelt = |name: &str| settings(&[]).misspelt(name);
        let told = misspelt("S6_CMD_WAIT_FOR_SERVICE").unwrap_or_default();
        assert_eq!(told, "S6_CMD_WAIT_FOR_SERVICE is no variable that svc knows: did you mean S6_CMD_WAIT_FOR_SERVICES?");
        assert_eq!(misspelt("S6_NONSENSE").as_deref(), Some("S6_NONSENSE is no variable that svc knows"));
        for known in ["S6_KEEP_ENV", "S6_RUNTIME_BUNDLEDIR", "S6_CMD_ARG0", "S6_LOGGING", "S6_OVERLAY_VERSION", "S3_BUCKET"]
        {
            assert_eq!(misspelt(known), None);
        }
    }

    #[test]
    fn the_end_has_time_for_the_slowest() {
        assert_eq!(settings(&[]).budget(Millis(30_000)), Millis(43_000));
        assert_eq!(settings(&[("S6_SERVICES_GRACETIME", "60000")]).budget(Millis::ZERO), Millis(83_000));
        // Each of two scripts has all of its time, and services that stop before them theirs.
        assert_eq!(settings(&[("S6_KILL_FINISH_MAXTIME", "15000")]).budget_with(Millis::ZERO, 2), Millis(47_000));
        assert_eq!(
            settings(&[("S6_KILL_FINISH_MAXTIME", "1000")]).budget_with(Millis::ZERO, 1),
            LEAST_BUDGET.max(Millis(8332))
        );
        assert_eq!(settings(&[("S6_CMD_ARG0", "tini -s")]).arg0, ["tini", "-s"]);
    }
}
