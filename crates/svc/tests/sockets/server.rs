//! `s6-ipcserver`, `s6-ipcserver-socketbinder` and `s6-ipcclient`.

use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::Command;

use svc_testkit::{Said, Tree, is_alive, until};

use super::{Maker, Ours, Server, Theirs, makers, pairs};

/// A server on `socket` in the tree, which executes this shell script for each connection.
fn serve(tree: &Tree, maker: Maker, options: &[&str], script: &str) -> Server {
    let mut command = maker.command("s6-ipcserver");
    Server::start(command.arg("-1").args(options).arg(tree.path("socket")).args(["sh", "-c", script]))
}

fn talk(tree: &Tree, maker: Maker, options: &[&str], script: &str) -> Said {
    Said::by(maker.command("s6-ipcclient").args(options).arg(tree.path("socket")).args(["sh", "-c", script]))
}

#[test]
fn servers_and_clients_tell_the_same_whoever_made_them() {
    let mut told = Vec::new();
    for (server, client) in pairs() {
        let tree = Tree::new();
        let script = "echo \"$PROTO|$IPCREMOTEEUID|$IPCREMOTEEGID|$IPCCONNNUM|${IPCREMOTEPATH-unset}\"; read x; echo got $x";
        let _server = serve(&tree, server, &[], script);
        let ask = "echo hello >&7; cat <&6; echo \"$PROTO|${IPCLOCALPATH-unset}\"";
        let plain = talk(&tree, client, &[], ask);
        assert_eq!((plain.code, plain.err.as_str()), (0, ""), "{server:?} {client:?}");
        assert!(plain.out.starts_with("IPC|") && plain.out.contains("|1|\ngot hello\n"), "{plain:?}");
        let named = talk(&tree, client, &["-l", "name"], ask);
        assert!(named.out.ends_with("IPC|name\n"), "{named:?}");
        let bound = tree.path("client");
        let from = talk(&tree, client, &["-p", &bound.display().to_string()], ask);
        assert!(from.out.contains(&format!("|{}\n", bound.display())), "{from:?}");
        let shown = bound.display().to_string();
        told.push([plain.out, named.out, from.out].map(|text| text.replace(&shown, "PATH")));
    }
    assert!(told.iter().all(|other| *other == told[0]), "{told:?}");
}

#[test]
fn without_a_look_there_is_no_name() {
    for maker in makers() {
        let tree = Tree::new();
        let script = "echo \"${IPCREMOTEEUID-unset}|${IPCREMOTEEGID-unset}|${IPCCONNNUM-unset}|${IPCREMOTEPATH-unset}\"";
        let _server = serve(&tree, maker, &["-P"], script);
        assert_eq!(talk(&tree, Ours, &[], "cat <&6").out, "unset|unset||\n", "{maker:?}");
    }
}

/// Connects, and waits for the script's first line.
fn connect(tree: &Tree) -> (UnixStream, String) {
    let mut stream = UnixStream::connect(tree.path("socket")).expect("a server");
    let (mut line, mut byte) = (String::new(), [0]);
    while stream.read(&mut byte).expect("a socket") == 1 && byte != [b'\n'] {
        line.push(char::from(byte[0]));
    }
    (stream, line)
}

#[test]
fn there_are_limits_for_all_and_for_each() {
    for maker in makers() {
        let tree = Tree::new();
        let server = serve(&tree, maker, &["-C", "2"], "echo $IPCCONNNUM; read x");
        let (first, one) = connect(&tree);
        let (second, two) = connect(&tree);
        let (_third, three) = connect(&tree);
        assert_eq!([&*one, &*two, &*three], ["1", "2", ""], "{maker:?}: the third is sent away");
        drop((first, second));
        until("room again", || (connect(&tree).1 == "1").then_some(()));
        drop(server);
        let tree = Tree::new();
        let _server = serve(&tree, maker, &["-c", "1"], "echo $$; read x; echo $x");
        let (mut first, pid) = connect(&tree);
        let pid: i32 = pid.parse().expect("a number");
        std::thread::scope(|scope| {
            let second = scope.spawn(|| connect(&tree).1);
            first.write_all(b"bye\n").expect("a reader");
            let mut rest = String::new();
            first.read_to_string(&mut rest).expect("text");
            assert_eq!(rest, "bye\n");
            let other: i32 = second.join().expect("no panic").parse().expect("a number");
            assert!(other != pid && !is_alive(pid), "{maker:?}: the second waits for the first");
        });
    }
}

#[test]
fn signals_end_the_server_its_connections_or_both() {
    for maker in makers() {
        for (signal, ends, kills) in
            [("TERM", true, false), ("HUP", false, true), ("QUIT", true, true), ("ABRT", true, true)]
        {
            let tree = Tree::new();
            let mut server = serve(&tree, maker, &[], "echo $$; exec sleep 1000");
            let (stream, pid) = connect(&tree);
            let pid: i32 = pid.parse().expect("a number");
            server.signal(signal);
            if ends {
                assert_eq!(server.wait().code(), Some(0), "{maker:?} {signal}");
            }
            if kills {
                until("its connection's end", || (!is_alive(pid)).then_some(()));
            } else {
                assert!(is_alive(pid), "{maker:?} {signal}");
                svc_testkit::kill(pid, "KILL");
            }
            if !ends {
                assert!(connect(&tree).1.parse::<i32>().is_ok(), "{maker:?} {signal}: it goes on");
                server.signal("ABRT");
                server.wait();
            }
            drop(stream);
        }
    }
}

#[test]
fn a_program_that_is_not_there_harms_nobody_else() {
    let tree = Tree::new();
    let mut command = Ours.command("s6-ipcserver");
    let program = tree.path("program");
    let errors = tree.path("errors");
    command.arg("-1").arg(tree.path("socket")).arg(&program).stderr(std::fs::File::create(&errors).expect("ours"));
    let _server = Server::start(&mut command);
    assert_eq!(connect(&tree).1, "");
    let said = until("its complaint", || std::fs::read_to_string(&errors).ok().filter(|text| text.ends_with('\n')));
    assert!(said.contains("unable to exec") && said.contains("program"), "{said}");
    // By another process: what other tests start at this moment would have our descriptor open, and the file be busy.
    let made =
        Command::new("sh").args(["-c", "printf '#!/bin/sh\\necho here\\n' >\"$0\"; chmod +x \"$0\""]).arg(&program).status();
    assert!(made.is_ok_and(|made| made.success()));
    assert_eq!(connect(&tree).1, "here");
}

#[test]
fn a_socket_is_made_as_asked() {
    for maker in makers() {
        let tree = Tree::new();
        let path = tree.path("socket");
        let bind = |options: &[&str]| {
            let mut command: Command = maker.command("s6-ipcserver-socketbinder");
            let look = "grep ^flags /proc/self/fdinfo/0; readlink /proc/self/fd/0";
            Said::by(command.args(options).arg(&path).args(["sh", "-c", look]))
        };
        let mode = || std::fs::symlink_metadata(&path).expect("a socket").permissions().mode() & 0o777;
        let made = bind(&[]);
        assert!(made.code == 0 && made.out.contains("socket:"), "{maker:?}: {made:?}");
        assert!(made.out.contains("04002"), "{maker:?}: reading does not wait: {made:?}");
        assert!(std::fs::symlink_metadata(&path).expect("a socket").file_type().is_socket());
        assert_eq!(mode(), 0o777, "{maker:?}");
        assert!(!bind(&["-B"]).out.contains("04002"), "{maker:?}: reading waits");
        assert_eq!(bind(&["-a", "0700"]).code, 0);
        assert_eq!(mode(), 0o700, "{maker:?}");
        let taken = bind(&["-D"]);
        assert_eq!(taken.code, 111, "{maker:?}");
        assert!(taken.err.contains("socket"), "{maker:?}: {taken:?}");
        assert_eq!(bind(&["-m", "-b", "0"]).code, 0, "{maker:?}");
        assert_eq!(bind(&["-a", "rw"]).code, 100, "{maker:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let tree = Tree::new();
    let said = talk(&tree, Ours, &[], "true");
    assert_eq!(said.code, 111);
    assert!(said.err.contains(&tree.path("socket").display().to_string()), "{said:?}");
    if makers().contains(&Theirs) {
        assert_eq!(talk(&tree, Theirs, &[], "true").code, 111);
    }
    let no_socket = Said::by(Ours.command("s6-ipcserverd").arg("true"));
    assert!(no_socket.code == 100 && no_socket.err.contains("not a socket"), "{no_socket:?}");
}
