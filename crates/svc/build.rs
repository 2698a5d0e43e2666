//! Puts the commit and the target into the program, for `svc --version`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=SVC_COMMIT");
    // The log of HEAD is written at each commit; HEAD itself names a branch and stays. Not `.git/...`: in a worktree that is a file
    // elsewhere, and a file that is missing is one that changes at every build.
    let mut paths = ["logs/HEAD", "HEAD"].iter().filter_map(|name| git(&["rev-parse", "--git-path", name]));
    let moves = paths.find(|path| std::path::Path::new(path).exists());
    println!("cargo::rerun-if-changed={}", moves.as_deref().unwrap_or("build.rs"));
    let commit = std::env::var("SVC_COMMIT").ok().filter(|commit| !commit.is_empty()).or_else(from_git);
    println!("cargo::rustc-env=SVC_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    println!("cargo::rustc-env=SVC_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}

fn from_git() -> Option<String> {
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// What git answers; none where there is no git, or no repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !answer.is_empty()).then_some(answer)
}
