//! `s6-fdholder`: holders and clients, ours and Debian's, with each other.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use svc_testkit::{Said, Tree, until};

use super::{Maker, Ours, Server, makers, pairs};

/// A rules directory that lets whoever runs this test do everything.
pub fn all_rights(tree: &Tree) {
    let rule = tree.path("rules/uid/self");
    fs::create_dir_all(rule.join("env")).expect("new folders");
    for name in ["GETDUMP", "SETDUMP", "LIST"] {
        fs::write(rule.join("env").join(format!("S6_FDHOLDER_{name}")), "\n").expect("ours");
    }
    for name in ["STORE", "RETRIEVE"] {
        fs::write(rule.join("env").join(format!("S6_FDHOLDER_{name}_REGEX")), ".*\n").expect("ours");
    }
    fs::write(rule.join("allow"), "").expect("ours");
}

pub fn hold(tree: &Tree, maker: Maker, socket: &str, options: &[&str]) -> Server {
    let mut command = maker.command("s6-fdholder-daemon");
    Server::start(command.arg("-1").args(options).arg("-i").arg(tree.path("rules")).arg(tree.path(socket)))
}

/// A client's command on a socket.
pub fn client(tree: &Tree, maker: Maker, name: &str, options: &[&str], words: &[&str]) -> Command {
    let mut command = maker.command(&format!("s6-fdholder-{name}"));
    command.args(options).arg(tree.path("socket")).args(words);
    command
}

/// Stores a file under this name.
pub fn store(tree: &Tree, maker: Maker, options: &[&str], id: &str, file: &Path) -> Said {
    let mut command = client(tree, maker, "store", options, &[id]);
    let output = command.stdin(File::open(file).expect("it is there")).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

fn list(tree: &Tree, maker: Maker) -> Vec<String> {
    let said = Said::by(&mut client(tree, maker, "list", &[], &[]));
    assert_eq!(said.code, 0, "{maker:?}: {said:?}");
    let mut names: Vec<String> = said.out.lines().map(str::to_owned).collect();
    names.sort_unstable();
    names
}

fn file(tree: &Tree, name: &str) -> std::path::PathBuf {
    let path = tree.path(name);
    fs::write(&path, format!("content of {name}\n")).expect("ours");
    path
}

#[test]
fn descriptors_are_stored_listed_retrieved_and_deleted() {
    for (server, maker) in pairs() {
        let who = format!("{server:?} {maker:?}");
        let tree = Tree::new();
        all_rights(&tree);
        let _server = hold(&tree, server, "socket", &[]);
        let [one, two] = ["one", "two"].map(|name| file(&tree, name));
        assert_eq!(list(&tree, maker), [""; 0], "{who}");
        for (id, path) in [("unix:/run/one", &one), ("two \t\\ö", &two)] {
            let said = store(&tree, maker, &[], id, path);
            assert_eq!((said.code, said.err.as_str()), (0, ""), "{who}");
        }
        let again = store(&tree, maker, &[], "unix:/run/one", &two);
        assert!(again.code == 1 && again.err.contains("busy"), "{who}: {again:?}");
        assert_eq!(list(&tree, maker), ["two \\t\\\\\\0xc3\\0xb6", "unix:/run/one"], "{who}");
        fs::remove_file(&one).expect("ours");
        let retrieve = |options: &[&str], id: &str| {
            Said::by(&mut client(&tree, maker, "retrieve", options, &[id, "sh", "-c", "head -1; echo >&2 end"]))
        };
        let said = retrieve(&[], "unix:/run/one");
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "content of one\n", "end\n"), "{who}");
        assert_eq!(retrieve(&["-D"], "two \t\\ö").out, "content of two\n", "{who}");
        assert_eq!(list(&tree, maker), ["unix:/run/one"], "{who}");
        let gone = retrieve(&[], "two \t\\ö");
        assert!(gone.code == 1 && gone.err.contains("No such file"), "{who}: {gone:?}");
        assert_eq!(Said::by(&mut client(&tree, maker, "delete", &[], &["unix:/run/one"])).code, 0, "{who}");
        assert_eq!(Said::by(&mut client(&tree, maker, "delete", &[], &["unix:/run/one"])).code, 1, "{who}");
        assert_eq!(list(&tree, maker), [""; 0], "{who}");
    }
}

#[test]
fn a_name_has_1_to_255_bytes() {
    for server in makers() {
        let tree = Tree::new();
        all_rights(&tree);
        let _server = hold(&tree, server, "socket", &[]);
        let one = file(&tree, "one");
        let long = "x".repeat(255);
        assert_eq!(store(&tree, Ours, &[], &long, &one).code, 0, "{server:?}");
        assert_eq!(list(&tree, Ours), [long.as_str()], "{server:?}");
        for id in ["", &"x".repeat(256)] {
            let said = store(&tree, Ours, &[], id, &one);
            assert!(said.code == 100 && said.err.contains("1 to 255 bytes"), "{said:?}");
        }
    }
}

#[test]
fn what_was_held_for_long_enough_is_closed() {
    for (server, maker) in pairs() {
        let tree = Tree::new();
        all_rights(&tree);
        let _server = hold(&tree, server, "socket", &[]);
        let one = file(&tree, "one");
        assert_eq!(store(&tree, maker, &["-T", "6000"], "short", &one).code, 0);
        assert_eq!(store(&tree, maker, &["-T", "100000"], "long", &one).code, 0);
        assert_eq!(list(&tree, maker), ["long", "short"], "{server:?} {maker:?}");
        until("the end of its time", || (list(&tree, maker) == ["long"]).then_some(()));
    }
}

/// What the program behind getdump finds: ids, limits, and what is behind the descriptors.
fn dump(tree: &Tree, maker: Maker) -> Vec<String> {
    // A shell drops a variable called S6_FD#.
    let script = "i=0; while eval \"fd=\\$S6_FD_$i id=\\$S6_FDID_$i limit=\\$S6_FDLIMIT_$i\"; [ \"$fd\" ]; do \
                  echo \"$id|$(readlink /proc/self/fd/$fd)|$limit\"; i=$((i + 1)); done";
    let said = Said::by(&mut client(tree, maker, "getdump", &[], &["sh", "-c", script]));
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{maker:?}");
    let mut lines: Vec<String> = said.out.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn all_descriptors_can_be_moved_at_once() {
    for (server, maker) in pairs() {
        let who = format!("{server:?} {maker:?}");
        let tree = Tree::new();
        all_rights(&tree);
        let _first = hold(&tree, server, "socket", &[]);
        let _second = hold(&tree, server, "other", &[]);
        let [one, two] = ["one", "two"].map(|name| file(&tree, name));
        assert_eq!(store(&tree, maker, &["-T", "1000000"], "limited", &one).code, 0);
        assert_eq!(store(&tree, maker, &[], "for ever", &two).code, 0);
        let dumps = makers().into_iter().map(|maker| dump(&tree, maker)).collect::<Vec<_>>();
        assert!(dumps.iter().all(|other| *other == dumps[0]), "{who}: {dumps:?}");
        assert!(dumps[0][0] == format!("for ever|{}|", two.display()) && dumps[0][1].contains("|@4000"), "{who}: {dumps:?}");
        let other = tree.path("other").display().to_string();
        let said = Said::by(&mut client(&tree, maker, "transferdump", &[], &[&other]));
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{who}");
        let words = maker.words("s6-fdholder-setdump");
        let words: Vec<&str> = words.iter().map(String::as_str).chain([other.as_str()]).collect();
        let said = Said::by(&mut client(&tree, maker, "getdump", &[], &words));
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{who}: one of the same name is replaced");
        fs::rename(tree.path("other"), tree.path("socket")).expect("ours");
        assert_eq!(dump(&tree, maker), dumps[0], "{who}");
    }
}

/// The protocol has up to 255 descriptors in a message, and Linux 253.
#[test]
fn a_dump_may_need_several_messages() {
    let tree = Tree::new();
    all_rights(&tree);
    let one = file(&tree, "one");
    let _first = hold(&tree, Ours, "socket", &[]);
    let script =
        "i=0; while [ $i -lt 300 ]; do export S6_FD_$i=0 S6_FDID_$i=id-$i; i=$((i + 1)); done; exec env 'S6_FD#=300' \"$@\"";
    let words = client(&tree, Ours, "setdump", &[], &[]);
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh"])
        .arg(words.get_program())
        .args(words.get_args())
        .stdin(File::open(&one).expect("ours"));
    let status = command.status().expect("it runs");
    assert!(status.success());
    for maker in makers() {
        assert_eq!(list(&tree, maker).len(), 300, "{maker:?}");
        let number = |program: &[&str]| {
            let said = Said::by(&mut client(&tree, maker, "getdump", &[], program));
            said.out.trim().parse::<usize>().unwrap_or_else(|_| panic!("{maker:?}: {said:?}"))
        };
        assert_eq!(number(&["printenv", "S6_FD#"]), 300, "{maker:?}");
        assert!(number(&["sh", "-c", "ls /proc/self/fd | wc -l"]) >= 300, "{maker:?}");
    }
}

#[test]
fn clients_may_use_a_connection_that_is_there() {
    for server in makers() {
        let tree = Tree::new();
        all_rights(&tree);
        let _server = hold(&tree, server, "socket", &[]);
        let one = file(&tree, "one");
        let connected = |name: &str, words: &[&str]| {
            let mut command = Ours.command("s6-ipcclient");
            command.arg(tree.path("socket")).args(Ours.words(&format!("s6-fdholder-{name}"))).args(words);
            let output = command.stdin(File::open(&one).expect("ours")).stderr(Stdio::inherit()).output().expect("it runs");
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        assert_eq!(connected("storec", &["id"]), (Some(0), String::new()), "{server:?}");
        assert_eq!(connected("listc", &[]), (Some(0), "id\n".into()), "{server:?}");
        assert_eq!(connected("retrievec", &["id", "cat"]), (Some(0), "content of one\n".into()), "{server:?}");
        assert_eq!(connected("getdumpc", &["printenv", "S6_FDID_0"]), (Some(0), "id\n".into()), "{server:?}");
        assert_eq!(connected("deletec", &["id"]).0, Some(0), "{server:?}");
        assert_eq!(connected("deletec", &["id"]).0, Some(1), "{server:?}");
    }
}

#[test]
fn what_a_holder_forgets_it_closes() {
    let tree = Tree::new();
    all_rights(&tree);
    let server = hold(&tree, Ours, "socket", &[]);
    let one = file(&tree, "one");
    let inode = one.metadata().expect("it is there").ino();
    let holds = || {
        let fds = fs::read_dir(format!("/proc/{}/fd", server.child.id())).expect("it runs").flatten();
        fds.filter(|fd| fs::metadata(fd.path()).is_ok_and(|data| data.ino() == inode)).count()
    };
    assert_eq!(store(&tree, Ours, &[], "id", &one).code, 0);
    assert_eq!(holds(), 1);
    assert_eq!(store(&tree, Ours, &[], "id", &one).code, 1);
    until("the refused one to be closed", || (holds() == 1).then_some(()));
    assert_eq!(Said::by(&mut client(&tree, Ours, "retrieve", &["-D"], &["id", "true"])).code, 0);
    until("it to be closed", || (holds() == 0).then_some(()));
}
