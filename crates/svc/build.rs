//! Puts the commit and the target into the program, for `svc --version`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=SVC_COMMIT");
    println!("cargo::rerun-if-changed=../../.git/HEAD");
    let commit = std::env::var("SVC_COMMIT").ok().filter(|commit| !commit.is_empty()).or_else(from_git);
    println!("cargo::rustc-env=SVC_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    println!("cargo::rustc-env=SVC_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}

fn from_git() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !commit.is_empty()).then_some(commit)
}
