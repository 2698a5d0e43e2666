//! The entries of a scan directory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use svc_def::{Entry, Identity, entry};

use crate::scratch::{Scratch, as_ordinary_user, chmod, says};

fn service(scan: &Scratch, name: &str) -> Identity {
    match entry(scan.path(), OsStr::new(name)) {
        Some(Entry::Service { name: found, identity }) if found.as_str() == name => identity,
        other => panic!("{name} is no service: {other:?}"),
    }
}

fn problem(scan: &Scratch, name: impl AsRef<OsStr>) -> (bool, String) {
    match entry(scan.path(), name.as_ref()) {
        Some(Entry::Problem(problem)) => (problem.fatal, problem.to_string()),
        other => panic!("no problem: {other:?}"),
    }
}

#[test]
fn directories_and_links_to_them_are_services() {
    let (scan, elsewhere) = (Scratch::new(), Scratch::new());
    scan.directory("web");
    scan.link("linked", elsewhere.path());
    scan.directory("café au lait");
    let web = service(&scan, "web");
    assert_ne!(web, service(&scan, "linked"));
    service(&scan, "café au lait");

    std::fs::rename(scan.join("web"), scan.join("www")).expect("a directory of ours");
    assert_eq!(service(&scan, "www"), web, "a rename does not change who it is");
    scan.link("again", "www");
    assert_eq!(service(&scan, "again"), web, "and neither does a link");
}

#[test]
fn what_nobody_meant_as_a_service_is_skipped() {
    let scan = Scratch::new();
    scan.directory(".s6-svscan");
    scan.file("README", "");
    scan.fifo("fifo");
    scan.link("link", "README");
    scan.link(".dangling", "nowhere");
    for name in [".s6-svscan", "README", "fifo", "link", ".dangling"] {
        assert!(matches!(entry(scan.path(), OsStr::new(name)), Some(Entry::Skip)), "{name}");
    }
}

#[test]
fn a_template_without_a_name_is_no_service() {
    let scan = Scratch::new();
    for name in ["@.toml", "@3.toml"] {
        scan.file(name, "command = 'sleep 1000'");
        let (fatal, text) = problem(&scan, name);
        assert!(fatal);
        says(&text, &[&format!("/{name}: has no name before its @"), "a template is called NAME@.toml"]);
    }
}

#[test]
fn what_vanished_is_nothing() {
    let scan = Scratch::new();
    assert!(entry(scan.path(), OsStr::new("gone")).is_none());
    assert!(entry(&scan.join("gone"), OsStr::new("web")).is_none());
}

#[test]
fn links_that_lead_nowhere() {
    let scan = Scratch::new();
    scan.link("web", "../app/web");
    let (fatal, message) = problem(&scan, "web");
    assert!(!fatal, "the other end may be on its way");
    says(&message, &["/web: is a link to ../app/web, which does not exist", "create that", "remove the link"]);
    scan.link("loop", "loop");
    says(&problem(&scan, "loop").1, &["loop of links", "something real"]);
}

#[test]
fn a_name_that_is_not_utf8() {
    let scan = Scratch::new();
    let name = OsStr::from_bytes(b"caf\xe9");
    scan.directory(name);
    says(&problem(&scan, name).1, &["/caf\\xe9: the name is not UTF-8", "rename the directory"]);
}

#[test]
fn a_name_with_control_characters() {
    let scan = Scratch::new();
    scan.directory("a\x1b[2Jb\n");
    says(&problem(&scan, "a\x1b[2Jb\n").1, &["/a\\u{1b}[2Jb\\n: the name contains", "rename the directory"]);
}

#[test]
fn a_name_that_is_too_long() {
    let scan = Scratch::new();
    scan.directory("a".repeat(251));
    service(&scan, &"a".repeat(251));
    scan.directory("b".repeat(252));
    says(&problem(&scan, "b".repeat(252)).1, &["the name has 252 bytes, and 251 is the most", "rename"]);
    says(&problem(&scan, "c".repeat(300)).1, &["the name has 300 bytes", "rename"]);
}

#[test]
fn a_closed_scan_directory() {
    as_ordinary_user("entries::a_closed_scan_directory", || {
        let scan = Scratch::new();
        scan.directory("web");
        chmod(scan.path(), 0o600);
        let (fatal, message) = problem(&scan, "web");
        chmod(scan.path(), 0o700);
        assert!(fatal);
        says(&message, &["because uid ", "may not search", "chmod a+x /"]);
    });
}
