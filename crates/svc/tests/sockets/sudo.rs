//! `s6-sudo`, `s6-sudoc` and `s6-sudod`: a program in the place of a server, on the client's descriptors.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use svc_testkit::{Said, Tree, is_alive, kill, until};

use super::{Maker, Ours, Server, makers, pairs};

/// A server whose programs begin with these words.
fn serve(tree: &Tree, maker: Maker, options: &[&str], words: &[&str], variables: &[(&str, &str)]) -> Server {
    let mut command = maker.command("s6-ipcserver");
    command.arg("-1").arg(tree.path("socket")).args(maker.words("s6-sudod")).args(options).args(words);
    Server::start(command.envs(variables.iter().copied()))
}

fn sudo(tree: &Tree, maker: Maker, options: &[&str], words: &[&str]) -> Command {
    let mut command = maker.command("s6-sudo");
    command.args(options).arg(tree.path("socket")).args(words);
    command
}

#[test]
fn a_program_gets_arguments_and_descriptors_and_its_code_comes_back() {
    for (server, client) in pairs() {
        let tree = Tree::new();
        let script = "echo out $0 \"$@\"; echo errors >&2; cat; exit 9";
        let _server = serve(&tree, server, &[], &["sh", "-c", script, "name"], &[]);
        let mut command = sudo(&tree, client, &[], &["a b", "", "c"]);
        let (input, output) = (tree.path("input"), tree.path("output"));
        fs::write(&input, "input\n").expect("ours");
        let errors = tree.path("errors");
        command.stdin(File::open(&input).expect("ours")).stdout(File::create(&output).expect("ours"));
        let status = command.stderr(File::create(&errors).expect("ours")).status().expect("it runs");
        let said = [output, errors].map(|path| fs::read_to_string(path).expect("ours"));
        assert_eq!(status.code(), Some(9), "{server:?} {client:?}: {said:?}");
        assert_eq!(said, ["out name a b  c\ninput\n".to_owned(), "errors\n".to_owned()], "{server:?} {client:?}");
    }
}

#[test]
fn variables_pass_where_the_server_has_an_empty_one() {
    let show = "echo \"$EMPTY|$SET|${UNSET-unset}|$LONG\"";
    for (server, client) in pairs() {
        let tree = Tree::new();
        let _server = serve(&tree, server, &[], &["sh", "-c", show], &[("EMPTY", ""), ("SET", "server"), ("LONG", "")]);
        let long = "x".repeat(100_000);
        let variables = [("EMPTY", "client=1"), ("SET", "client"), ("UNSET", "client"), ("LONG", long.as_str())];
        let said = Said::by(sudo(&tree, client, &[], &[]).envs(variables));
        assert_eq!(said.out, format!("client=1|server|unset|{long}\n"), "{server:?} {client:?}");
        let said = Said::by(sudo(&tree, client, &["-e"], &[]).envs(variables));
        assert_eq!(said.out, "|server|unset|\n", "{server:?} {client:?}");
    }
}

#[test]
fn an_end_by_a_signal_and_a_program_that_is_not_there_are_told() {
    for (server, client) in pairs() {
        let tree = Tree::new();
        let killed = serve(&tree, server, &[], &["sh", "-c", "kill -9 $$"], &[]);
        assert_eq!(Said::by(&mut sudo(&tree, client, &[], &[])).code, 128 + 9, "{server:?} {client:?}");
        drop(killed);
        let tree = Tree::new();
        let mut command = server.command("s6-ipcserver");
        command.arg("-1").arg(tree.path("socket")).args(server.words("s6-sudod")).arg("/nowhere/at/all");
        let _missing = Server::start(command.stderr(Stdio::null()));
        let said = Said::by(&mut sudo(&tree, client, &[], &[]));
        assert_eq!(said.code, 111, "{server:?} {client:?}");
        assert!(said.err.contains("No such file or directory"), "{server:?} {client:?}: {said:?}");
    }
}

#[test]
fn the_program_ends_with_its_client_unless_it_is_detached() {
    for (server, client) in pairs() {
        for detached in [false, true] {
            let tree = Tree::new();
            let file = tree.path("pid");
            let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", file.display());
            let _server = serve(&tree, server, if detached { &["-d"] } else { &[] }, &["sh", "-c", &script], &[]);
            let mut child = sudo(&tree, client, &[], &[]).stdin(Stdio::null()).spawn().expect("it starts");
            let pid: i32 = until("its pid", || fs::read_to_string(&file).ok()?.trim().parse().ok());
            child.kill().expect("our child");
            child.wait().expect("our child");
            if detached {
                // Whoever serves it must have seen that the client is gone, and done nothing: a second client proves that time
                // has passed on the same server.
                fs::remove_file(&file).expect("ours");
                let mut second = sudo(&tree, client, &[], &[]).stdin(Stdio::null()).spawn().expect("it starts");
                let other: i32 = until("its pid", || fs::read_to_string(&file).ok()?.trim().parse().ok());
                second.kill().expect("our child");
                second.wait().expect("our child");
                assert!(is_alive(pid), "{server:?} {client:?}");
                [pid, other].into_iter().for_each(|pid| kill(pid, "KILL"));
            } else {
                until("its end", || (!is_alive(pid)).then_some(()));
            }
        }
    }
}

#[test]
fn descriptors_can_be_withheld() {
    for server in makers() {
        let tree = Tree::new();
        let _server = serve(&tree, server, &["-0", "-1"], &["sh", "-c", "cat; echo out; echo errors >&2"], &[]);
        let said = Said::by(&mut sudo(&tree, Ours, &[], &[]));
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", "errors\n"), "{server:?}");
    }
}

#[test]
fn time_may_be_short() {
    for (server, client) in pairs() {
        let tree = Tree::new();
        let _server = serve(&tree, server, &[], &["sleep", "1000"], &[]);
        let said = Said::by(&mut sudo(&tree, client, &["-T", "100"], &[]));
        assert_eq!(said.code, 111, "{server:?} {client:?}: {said:?}");
        assert!(said.err.contains("timed out"), "{server:?} {client:?}: {said:?}");
    }
    // Somebody who connects and says nothing.
    for client in makers() {
        let tree = Tree::new();
        let mut command = Ours.command("s6-ipcserver");
        let _server = Server::start(command.arg("-1").arg(tree.path("socket")).args(["sh", "-c", "exec cat >/dev/null"]));
        let said = Said::by(&mut sudo(&tree, client, &["-t", "100"], &[]));
        assert_eq!(said.code, 111, "{client:?}: {said:?}");
    }
}

#[test]
fn nonsense_is_refused() {
    let tree = Tree::new();
    let mut command = Ours.command("s6-ipcserver");
    let errors = tree.path("errors");
    command.arg("-1").arg(tree.path("socket")).args(Ours.words("s6-sudod")).arg("true");
    let _server = Server::start(command.stderr(File::create(&errors).expect("ours")));
    let talk = |text: &str| {
        let script = format!("head -c 15 <&6 >/dev/null; printf '{text}' >&7; cat <&6");
        Said::by(Ours.command("s6-ipcclient").arg(tree.path("socket")).args(["sh", "-c", &script]))
    };
    for (text, complaint) in [
        ("\\0\\0\\0\\003\\0\\0abc", "3 descriptors"),
        ("\\0\\0\\0\\0\\0\\003", "unable to hear"),
        ("\\377\\377\\377\\377\\0\\0", "unable to hear"),
    ] {
        let said = talk(text);
        assert_eq!((said.code, said.out.as_str()), (0, ""), "{text}");
        until("its complaint", || fs::read_to_string(&errors).ok().filter(|said| said.contains(complaint)));
    }
}
