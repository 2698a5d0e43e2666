//! Readiness and health: `svc probe` by itself, and what services are told to be by it.
#![forbid(unsafe_code)]

mod health;
mod notify;
mod program;
mod ready;

use svc_testkit::{ServiceDir, Tree, until};

/// Services with one file.
pub trait Files {
    /// A service with this service.toml, put there whole.
    fn toml(&self, name: &str, text: &str) -> ServiceDir;

    fn await_problem(&self, name: &str, words: &[&str]) -> String;
}

impl Files for Tree {
    fn toml(&self, name: &str, text: &str) -> ServiceDir {
        self.draft(name).file("service.toml", text);
        self.place(name)
    }

    #[track_caller]
    fn await_problem(&self, name: &str, words: &[&str]) -> String {
        let has = |text: &String| words.iter().all(|word| text.contains(word));
        until(&format!("{words:?} of {name}; log:\n{}", self.log()), || self.status(name)?.problem.filter(has))
    }
}
