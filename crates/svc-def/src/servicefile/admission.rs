//! What must hold, and what must answer, before a service starts, while its keys are read.

use svc_core::Millis;

use crate::conditions::{self, CommandCondition, Conditions, Endpoint, Otherwise};

#[derive(Debug, Default)]
pub(super) struct Admission {
    pub(super) env: Vec<String>,
    pub(super) files: Vec<String>,
    pub(super) command: Option<Vec<String>>,
    pub(super) profiles: Vec<String>,
    pub(super) links: Vec<String>,
    pub(super) arch: Vec<String>,
    pub(super) otherwise: Otherwise,
    pub(super) wait_for: Vec<String>,
    pub(super) wait_timeout: Millis,
}

impl Admission {
    /// The conditions, if there are any; `chain` makes what is executed of a command. Each text was checked when it was read.
    pub(super) fn conditions(&self, chain: impl Fn(&[String]) -> Vec<Vec<u8>>) -> Option<Conditions> {
        let command = self.command.as_ref().and_then(|words| {
            let (not, rest) = match words.split_first() {
                Some((first, rest)) if first == "!" && !rest.is_empty() => (true, rest),
                Some(_) => (false, words.as_slice()),
                None => return None,
            };
            Some(CommandCondition { not, chain: chain(rest), words: words.clone() })
        });
        let found = Conditions {
            env: self.env.iter().filter_map(|text| conditions::env(text).ok()).collect(),
            files: self.files.iter().filter_map(|text| conditions::file(text).ok()).collect(),
            command,
            profiles: self.profiles.iter().filter_map(|text| conditions::profile(text).ok()).collect(),
            links: self.links.iter().filter_map(|text| conditions::link(text).ok()).collect(),
            arch: self.arch.iter().filter_map(|text| conditions::arch(text).ok()).collect(),
            otherwise: self.otherwise,
        };
        (!found.are_none()).then_some(found)
    }

    pub(super) fn endpoints(&self) -> Vec<(String, Endpoint)> {
        self.wait_for.iter().filter_map(|text| conditions::wait_for(text).ok()).collect()
    }
}
