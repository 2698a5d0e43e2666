//! Services with a service.toml in a running system: what each key does, order, changes, and what a broken edit does not do.
#![forbid(unsafe_code)]

mod admission;
mod analyzing;
mod applying;
mod cgroups;
mod changes;
mod commands;
mod computed;
mod delays;
mod distributions;
mod files;
mod graph;
mod here;
mod memory;
mod peers;
mod plugins;
mod prepared;
mod programs;
mod refused;
mod restarts;
mod rights;
mod starts;
mod stopping;
mod stops;
mod templates;
mod timers;

use svc_testkit::{ServiceDir, Tree, until};

/// Services with one file.
pub trait Files {
    /// A service with this service.toml, put there whole.
    fn toml(&self, name: &str, text: &str) -> ServiceDir;

    /// Writes another one in its place, as editors do, and has it applied.
    fn edit(&self, name: &str, text: &str);

    /// A file NAME.toml in the scan directory, put there whole; what is there already is replaced.
    fn one_file(&self, name: &str, text: &str);

    fn await_problem(&self, name: &str, words: &[&str]) -> String;
}

impl Files for Tree {
    fn toml(&self, name: &str, text: &str) -> ServiceDir {
        self.draft(name).file("service.toml", text);
        self.place(name)
    }

    fn edit(&self, name: &str, text: &str) {
        let dir = self.services().join(name);
        std::fs::write(dir.join(".new"), text).expect("ours");
        std::fs::rename(dir.join(".new"), dir.join("service.toml")).expect("ours");
        self.ctl_ok(&["rescan"]);
    }

    fn one_file(&self, name: &str, text: &str) {
        let file = self.services().join(format!("{name}.toml"));
        let new = file.with_extension("new");
        std::fs::write(&new, text).expect("ours");
        std::fs::rename(new, file).expect("ours");
    }

    #[track_caller]
    fn await_problem(&self, name: &str, words: &[&str]) -> String {
        let has = |text: &String| words.iter().all(|word| text.contains(word));
        until(&format!("{words:?} of {name}; log:\n{}", self.log()), || self.status(name)?.problem.filter(has))
    }
}
