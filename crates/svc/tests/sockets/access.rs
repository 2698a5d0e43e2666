//! Access rules, in directories and in cdb files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use svc_testkit::{Said, Tree};

use super::{Maker, Ours, makers};

/// A directory of rules: paths, and what is in the files.
fn rules(tree: &Tree, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = tree.path(name);
    for (path, content) in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("new folders");
        fs::write(path, content).expect("ours");
    }
    dir
}

const RULES: &[(&str, &str)] = &[
    ("uid/self/deny", ""),
    ("uid/1000/allow", ""),
    ("uid/1000/env/NEW", "value \t\nsecond line\n"),
    ("uid/1000/env/GONE", ""),
    ("uid/1000/env/EMPTY", "\n"),
    ("uid/1001/deny", ""),
    ("uid/1002/allow", ""),
    ("uid/1002/deny", ""),
    ("uid/1003/env/NEW", "without allow this is nothing"),
    ("gid/50/allow", ""),
    ("gid/51/deny", ""),
    ("gid/self/allow", ""),
    ("gid/self/env/NEW", "self"),
    ("uid/default/allow", ""),
    ("uid/default/env/NEW", "default"),
];

/// Whether somebody is let in, and the environment of what is executed then.
fn verdict(
    maker: Maker,
    option: &str,
    rules: &Path,
    uid: u32,
    gid: u32,
    options: &[&str],
) -> (i32, BTreeMap<String, String>) {
    let mut command = maker.command("s6-ipcserver-access");
    command.env("PROTO", "IPC").env("IPCREMOTEEUID", uid.to_string()).env("IPCREMOTEEGID", gid.to_string());
    command.env("IPCREMOTEPATH", "").env("IPCCONNNUM", "3").env("GONE", "x");
    let said = Said::by(command.args(options).args(["-v0", "-l", "name", option]).arg(rules).args(["env", "-0"]));
    let variables = said.out.split('\0').filter_map(|line| line.split_once('='));
    (said.code, variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Who comes: users and groups that some rule is about, and others.
fn everybody() -> impl Iterator<Item = (u32, u32)> {
    [0, 1000, 1001, 1002, 1003, 2000].into_iter().flat_map(|uid| [0, 50, 51, 60].into_iter().map(move |gid| (uid, gid)))
}

#[test]
fn rules_say_the_same_to_all_in_directories_and_files() {
    let tree = Tree::new();
    let dir = rules(&tree, "rules", RULES);
    let file = tree.path("rules.cdb");
    let made = Said::by(Ours.command("s6-accessrules-cdb-from-fs").args([&file, &dir]));
    assert_eq!((made.code, made.err.as_str()), (0, ""));
    for (uid, gid) in everybody() {
        for options in [&[][..], &["-E"]] {
            let expected = verdict(Ours, "-i", &dir, uid, gid, options);
            for maker in makers() {
                assert_eq!(verdict(maker, "-i", &dir, uid, gid, options), expected, "{maker:?} {uid}:{gid} {options:?}");
                assert_eq!(verdict(maker, "-x", &file, uid, gid, options), expected, "{maker:?} {uid}:{gid} {options:?}");
            }
        }
    }
    let (code, variables) = verdict(Ours, "-i", &dir, 1000, 60, &[]);
    let get = |name: &str| variables.get(name).map(String::as_str);
    assert_eq!((code, get("NEW"), get("EMPTY"), get("GONE")), (0, Some("value"), Some(""), None));
    assert_eq!((get("IPCLOCALPATH"), get("IPCREMOTEEUID")), (Some("name"), Some("1000")));
    assert_eq!(verdict(Ours, "-i", &dir, 1001, 60, &[]).0, 1);
    assert_eq!(verdict(Ours, "-i", &dir, 2000, 51, &[]).0, 1);
    assert_eq!(verdict(Ours, "-i", &dir, 2000, 60, &[]).1.get("NEW").map(String::as_str), Some("default"));
}

/// All files below, with what is in them.
fn content(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.append(&mut content(&entry.path()));
        } else {
            found.insert(entry.path(), fs::read_to_string(entry.path()).expect("text"));
        }
    }
    found
}

fn below(dir: &Path) -> BTreeMap<PathBuf, String> {
    content(dir).into_iter().map(|(path, text)| (path.strip_prefix(dir).expect("below").to_owned(), text)).collect()
}

#[test]
fn rules_go_into_a_file_and_back() {
    let tree = Tree::new();
    let mut files = RULES.to_vec();
    files.push(("uid/1000/exec", "foreground { echo executed } env"));
    files.push((".hidden/1/allow", ""));
    let dir = rules(&tree, "rules", &files);
    let mut back = Vec::new();
    for (number, (to_file, to_dir)) in super::pairs().into_iter().enumerate() {
        let (file, new) = (tree.path(&format!("{number}.cdb")), tree.path(&format!("{number}.dir")));
        let said = Said::by(to_file.command("s6-accessrules-cdb-from-fs").args([&file, &dir]));
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{to_file:?}");
        let said = Said::by(to_dir.command("s6-accessrules-fs-from-cdb").args([&new, &file]));
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{to_dir:?}");
        back.push(below(&new));
    }
    assert!(back.iter().all(|other| *other == back[0]), "{back:?}");
    let text = |path: &str| back[0].get(Path::new(path)).map(String::as_str);
    assert_eq!(text("uid/1000/env/NEW"), Some("value\n"));
    assert_eq!(text("uid/1000/exec"), Some("foreground { echo executed } env"));
    assert_eq!((text("uid/1001/deny"), text("uid/1003/env/NEW"), text(".hidden/1/allow")), (Some(""), None, None));
}

#[test]
fn a_file_that_is_no_rules_file_is_named() {
    let tree = Tree::new();
    let file = tree.path("file");
    fs::write(&file, "not a cdb file").expect("ours");
    for said in [
        Said::by(Ours.command("s6-accessrules-fs-from-cdb").args([&tree.path("new"), &file])),
        Said::by(
            Ours.command("s6-ipcserver-access")
                .envs([("PROTO", "IPC"), ("IPCREMOTEEUID", "1"), ("IPCREMOTEEGID", "1")])
                .arg("-x")
                .arg(&file)
                .arg("true"),
        ),
    ] {
        assert!(said.code == 111 && said.err.contains(&file.display().to_string()), "{said:?}");
    }
    assert!(!tree.path("new").exists());
    // A rule must not be written outside.
    let dir = rules(&tree, "rules", &[("uid/a..b/allow", "")]);
    let file = tree.path("outside.cdb");
    assert_eq!(Said::by(Ours.command("s6-accessrules-cdb-from-fs").args([&file, &dir])).code, 0);
    let mut data = fs::read(&file).expect("made");
    let at = data.windows(8).position(|part| part == b"uid/a..b").expect("the key");
    data[at..at + 8].copy_from_slice(b"../../xx");
    fs::write(&file, data).expect("ours");
    let said = Said::by(Ours.command("s6-accessrules-fs-from-cdb").args([&tree.path("new"), &file]));
    assert_eq!(said.code, 111, "{said:?}");
    assert!(!tree.path("new").exists());
}

#[test]
fn connlimit_counts() {
    for maker in makers() {
        let run = |variables: &[(&str, &str)]| {
            Said::by(maker.command("s6-connlimit").envs(variables.iter().copied()).args(["echo", "in"])).code
        };
        assert_eq!(run(&[("PROTO", "IPC"), ("IPCCONNNUM", "3"), ("IPCCONNMAX", "3")]), 0, "{maker:?}");
        assert_eq!(run(&[("PROTO", "IPC"), ("IPCCONNNUM", "4"), ("IPCCONNMAX", "3")]), 1, "{maker:?}");
        assert_eq!(run(&[("PROTO", "IPC"), ("IPCCONNNUM", "4")]), 0, "{maker:?}");
        assert_eq!(run(&[("PROTO", "IPC"), ("IPCCONNNUM", "many")]), 100, "{maker:?}");
        assert_eq!(run(&[("IPCCONNNUM", "4")]), 100, "{maker:?}");
        assert_eq!(run(&[("PROTO", ""), ("CONNNUM", "4")]), 100, "{maker:?}");
    }
}
