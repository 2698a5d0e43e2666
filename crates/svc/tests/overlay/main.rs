//! The helpers that s6-overlay's images call.
#![forbid(unsafe_code)]

mod contenv;
mod files;
mod power;
mod programs;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use svc_testkit::{Said, Tree, program};

/// One of our commands, by the first argument of svc.
fn command(name: &str) -> Command {
    let mut command = Command::new(program());
    command.arg(name).env_clear().env("PATH", "/usr/bin:/bin");
    command
}

/// What it says when it is called like this.
fn said(name: &str, words: &[&str]) -> Said {
    Said::by(command(name).args(words))
}

/// A folder of a test's own, and in it the environment of a container.
struct Container {
    tree: Tree,
}

impl Container {
    fn new() -> Container {
        let tree = Tree::new();
        fs::create_dir(tree.path("env")).expect("a new folder");
        Container { tree }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.tree.path(name)
    }

    fn set(&self, name: &str, content: &[u8]) -> &Container {
        fs::write(self.path("env").join(name), content).expect("ours");
        self
    }

    /// A command that finds the environment of this container.
    fn command(&self, name: &str) -> Command {
        let mut command = command(name);
        command.env("SVC_CONTAINER_ENVIRONMENT", self.path("env"));
        command
    }

    /// A script that runs under a link to svc of this name, with this behind the link's name in the shebang.
    fn script(&self, link: &str, interpreter: &str, body: &str) -> PathBuf {
        if !self.path(link).exists() {
            symlink(program(), self.path(link)).expect("a link");
        }
        let path = self.path("script");
        executable(&path, &format!("#!{} {interpreter}\n{body}\n", self.path(link).display()));
        path
    }
}

fn executable(path: &Path, content: &str) {
    svc_testkit::executable(path, content);
}
