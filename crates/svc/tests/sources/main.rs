//! s6-rc sources in a running system: order, failure, pipelines, changes at run time, s6-rc's commands, and the end.
#![forbid(unsafe_code)]

mod applying;
mod changes;
mod commands;
mod edits;
mod ends;
mod order;
mod pipelines;
mod plans;
mod storm;
mod survival;
mod tools;
mod waits;

use svc_testkit::{ServiceDir, Tree};

/// Source directories in a tree. Every script can add a line to `trace`, which stands beside them.
pub trait Sources {
    fn source(&self, name: &str, kind: &str, needs: &[&str]) -> ServiceDir;

    /// A oneshot that runs these two scripts of a shell.
    fn oneshot(&self, name: &str, needs: &[&str], up: &str, down: &str) -> ServiceDir;

    /// A longrun that says in the trace that it has started and stopped, and is ready when `before` is done.
    fn longrun(&self, name: &str, needs: &[&str], before: &str) -> ServiceDir;

    fn bundle(&self, name: &str, members: &[&str]) -> ServiceDir;

    fn trace(&self) -> Vec<String>;

    /// Before a line, another one: both are there, in this order.
    fn assert_order(&self, first: &str, second: &str);
}

impl Sources for Tree {
    fn source(&self, name: &str, kind: &str, needs: &[&str]) -> ServiceDir {
        let service = self.draft(name);
        let list = service.path().join("dependencies.d");
        std::fs::create_dir_all(&list).expect("ours");
        for name in needs {
            std::fs::write(list.join(name), "").expect("ours");
        }
        // What says what it is comes last, as when a layer is unpacked.
        service.file("type", &format!("{kind}\n"));
        service
    }

    fn oneshot(&self, name: &str, needs: &[&str], up: &str, down: &str) -> ServiceDir {
        let service = self.source(name, "oneshot", needs);
        let trace = self.path("trace").display().to_string();
        for (file, word, body) in [("up", "+", up), ("down", "-", down)] {
            let note = format!("echo '{word}{name}' >>{trace}");
            service.file(file, &format!("#!/bin/sh\n{body}\n[ $? = 0 ] || exit 1\n{note}\n"));
        }
        self.place(name)
    }

    fn longrun(&self, name: &str, needs: &[&str], before: &str) -> ServiceDir {
        let service = self.source(name, "longrun", needs);
        let trace = self.path("trace").display().to_string();
        let body = format!(
            "trap \"echo '-{name}' >>{trace}; exit 0\" TERM\n{before}\necho '+{name}' >>{trace}\necho >&3\nsleep 1000 &\nwait $!\n"
        );
        service.file("notification-fd", "3\n").file("run", &format!("#!/bin/sh\n{body}"));
        self.place(name)
    }

    fn bundle(&self, name: &str, members: &[&str]) -> ServiceDir {
        let service = self.source(name, "bundle", &[]);
        std::fs::create_dir_all(service.path().join("contents.d")).expect("ours");
        for member in members {
            service.file(&format!("contents.d/{member}"), "");
        }
        std::fs::remove_dir(service.path().join("dependencies.d")).expect("empty");
        self.place(name)
    }

    fn trace(&self) -> Vec<String> {
        self.lines("../trace")
    }

    #[track_caller]
    fn assert_order(&self, first: &str, second: &str) {
        let trace = self.trace();
        let place = |line: &str| trace.iter().position(|known| known == line);
        let (one, other) = (place(first), place(second));
        assert!(one.is_some() && one < other, "{first} before {second} in {trace:?}; log:\n{}", self.log());
    }
}
