//! Who may do what with a holder, how much it holds, and how it ends.

use std::fs;
use std::os::unix::net::UnixStream;

use svc_testkit::{NOBODY, Said, Tree, is_root, until};

use super::holder::{all_rights, client, hold, store};
use super::{Maker, Ours, Server, makers};

fn rule(tree: &Tree, who: &str, variables: &[(&str, &str)]) {
    let dir = tree.path("rules").join(who);
    fs::create_dir_all(dir.join("env")).expect("new folders");
    fs::write(dir.join("allow"), "").expect("ours");
    for (name, value) in variables {
        fs::write(dir.join("env").join(format!("S6_FDHOLDER_{name}")), value).expect("ours");
    }
}

fn code(tree: &Tree, name: &str, words: &[&str]) -> i32 {
    Said::by(&mut client(tree, Ours, name, &["-t", "120000"], words)).code
}

#[test]
fn a_client_may_do_what_its_rule_says() {
    for server in makers() {
        let tree = Tree::new();
        rule(&tree, "uid/self", &[("STORE_REGEX", "^(mine|both)-"), ("RETRIEVE_REGEX", "^(yours|both)-[0-9]$")]);
        let _server = hold(&tree, server, "socket", &[]);
        let file = tree.path("file");
        fs::write(&file, "").expect("ours");
        let stored = |id: &str| store(&tree, Ours, &[], id, &file).code;
        assert_eq!(["mine-1", "both-1", "yours-1", "x-mine-1"].map(stored), [0, 0, 1, 1], "{server:?}");
        let retrieved = |id: &str| code(&tree, "retrieve", &[id, "true"]);
        assert_eq!(["mine-1", "both-1", "both-12"].map(retrieved), [1, 0, 1], "{server:?}");
        let deleted = |id: &str| code(&tree, "delete", &[id]);
        assert_eq!(["mine-1", "both-1", "yours-1"].map(deleted), [0, 0, 1], "{server:?}");
        assert_eq!(["list", "getdump"].map(|name| code(&tree, name, &["true"])), [1, 1], "{server:?}");
        // Rules are read at each connection.
        rule(&tree, "uid/self", &[("LIST", "\n")]);
        assert_eq!(["list", "getdump"].map(|name| code(&tree, name, &["true"])), [0, 1], "{server:?}");
        rule(&tree, "uid/self", &[("GETDUMP", "\n")]);
        assert_eq!(code(&tree, "getdump", &["true"]), 0, "{server:?}");
        fs::write(tree.path("rules/uid/self/env/S6_FDHOLDER_STORE_REGEX"), "(").expect("ours");
        assert_eq!(code(&tree, "list", &[]), 1, "{server:?}: a rule with a wrong expression lets nobody in");
    }
}

#[test]
fn without_a_rule_nobody_gets_in() {
    for server in makers() {
        let tree = Tree::new();
        fs::create_dir(tree.path("rules")).expect("a new folder");
        let _server = hold(&tree, server, "socket", &[]);
        assert_eq!(code(&tree, "list", &[]), 1, "{server:?}");
        rule(&tree, "uid/default", &[("LIST", "\n")]);
        assert_eq!(code(&tree, "list", &[]), 0, "{server:?}");
        fs::create_dir_all(tree.path("rules/gid/self")).expect("a new folder");
        fs::write(tree.path("rules/gid/self/deny"), "").expect("ours");
        assert_eq!(code(&tree, "list", &[]), 1, "{server:?}");
    }
    let without = Said::by(Ours.command("s6-fdholder-daemon").arg("/nowhere"));
    assert!(without.code == 100 && without.err.contains("-i or -x"), "{without:?}");
}

#[test]
fn other_users_have_rules_of_their_own() {
    if !is_root() {
        return;
    }
    for server in makers() {
        let tree = Tree::new();
        rule(&tree, &format!("uid/{NOBODY}"), &[("LIST", "\n")]);
        let _server = hold(&tree, server, "socket", &[]);
        let mut command = client(&tree, Ours, "list", &[], &[]);
        assert_eq!(Said::by(std::os::unix::process::CommandExt::uid(&mut command, NOBODY)).code, 0, "{server:?}");
        assert_eq!(code(&tree, "list", &[]), 1, "{server:?}: root has no rule");
    }
}

#[test]
fn rules_may_be_in_a_file_that_is_read_again() {
    for server in makers() {
        let tree = Tree::new();
        all_rights(&tree);
        let file = tree.path("rules.cdb");
        let convert = || Said::by(Ours.command("s6-accessrules-cdb-from-fs").args([&file, &tree.path("rules")])).code;
        assert_eq!(convert(), 0);
        let mut command = server.command("s6-fdholder-daemon");
        let running = Server::start(command.arg("-1").arg("-x").arg(&file).arg(tree.path("socket")));
        assert_eq!(code(&tree, "list", &[]), 0, "{server:?}");
        fs::remove_file(tree.path("rules/uid/self/env/S6_FDHOLDER_LIST")).expect("ours");
        assert_eq!(convert(), 0);
        assert_eq!(code(&tree, "list", &[]), 0, "{server:?}: not read again yet");
        running.signal("HUP");
        until("it to be read again", || (code(&tree, "list", &[]) == 1).then_some(()));
        assert_eq!(code(&tree, "getdump", &["true"]), 0, "{server:?}");
    }
}

#[test]
fn there_is_a_limit() {
    for server in makers() {
        let tree = Tree::new();
        all_rights(&tree);
        let _server = hold(&tree, server, "socket", &["-n", "2"]);
        let file = tree.path("file");
        fs::write(&file, "").expect("ours");
        assert_eq!(["a", "b", "c"].map(|id| store(&tree, Ours, &[], id, &file).code), [0, 0, 1], "{server:?}");
        assert_eq!(code(&tree, "delete", &["a"]), 0, "{server:?}");
        assert_eq!(store(&tree, Ours, &[], "c", &file).code, 0, "{server:?}");
    }
}

#[test]
fn sigterm_ends_it_and_the_code_says_what_it_still_had() {
    for server in makers() {
        for held in [false, true] {
            let tree = Tree::new();
            all_rights(&tree);
            let mut running = hold(&tree, server, "socket", &[]);
            let file = tree.path("file");
            fs::write(&file, "").expect("ours");
            if held {
                assert_eq!(store(&tree, Ours, &[], "id", &file).code, 0);
            }
            running.signal("TERM");
            assert_eq!(running.wait().code(), Some(i32::from(held)), "{server:?}");
        }
    }
}

#[test]
fn nonsense_ends_a_connection_and_nothing_else() {
    use std::io::{Read, Write};
    let tree = Tree::new();
    all_rights(&tree);
    // Two of these take all of that time; whoever asks for the list has it, too.
    let _server = hold(&tree, Ours, "socket", &["-t", "3000"]);
    let message = |text: &[u8]| [&(text.len() as u32).to_be_bytes()[..], &[0, 0], text].concat();
    let stamp = [0_u8; 12];
    let store_without_descriptor = [b"S", &stamp[..], b"\x01a\0"].concat();
    let nonsense = [
        message(b""),
        message(b"X"),
        message(b"D"),
        message(b"D\x05ab\0"),
        message(b"D\x02ab"),
        message(b"D\0\0"),
        message(b"D\x02ab\0more"),
        message(b"R\0\x01a"),
        message(b"L more"),
        message(b"!\0\0"),
        message(b".x"),
        message(&store_without_descriptor),
        [&message(b"!\0\0\0\x01")[..], &message(b"L")].concat(),
        vec![0xff; 6],
        vec![0, 0, 0, 0, 0, 9],
        // It begins and says no more: the time is over.
        vec![0, 0, 0, 9, 0, 0, b'L'],
        vec![],
    ];
    for bytes in nonsense {
        let mut stream = UnixStream::connect(tree.path("socket")).expect("a server");
        stream.write_all(&bytes).expect("room");
        stream.set_read_timeout(Some(svc_testkit::PATIENCE)).expect("a time");
        let mut rest = Vec::new();
        // It may be gone before it has read all: then this is a reset.
        match stream.read_to_end(&mut rest) {
            Ok(_) => assert!(rest.len() <= 11, "{bytes:?}: {rest:?}"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{bytes:?}"),
        }
        assert_eq!(code(&tree, "list", &[]), 0, "after {bytes:?}");
    }
}

#[test]
fn a_holder_that_is_not_there_is_named() {
    let tree = Tree::new();
    for (name, words) in [("list", &[][..]), ("delete", &["id"]), ("retrieve", &["id", "true"]), ("getdump", &["true"])] {
        let said = Said::by(&mut client(&tree, Maker::Ours, name, &[], words));
        assert_eq!(said.code, 111, "{name}");
        assert!(said.err.contains(&tree.path("socket").display().to_string()), "{name}: {said:?}");
    }
}
