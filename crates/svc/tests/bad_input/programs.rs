//! Every way in which `run` can be wrong: told, and started without any command once it is right.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use svc_testkit::{Said, State, Tree};

use super::{Neighbour, assert_told};

/// Puts something wrong in the place of `run`.
type Break = fn(run: &Path);

fn file(run: &Path, content: &[u8], mode: u32) {
    fs::write(run, content).expect("ours");
    fs::set_permissions(run, fs::Permissions::from_mode(mode)).expect("ours");
}

/// The header of a program for another machine (RISC-V or x86) of a kind (2: program, 1: object file).
fn elf(kind: u8) -> Vec<u8> {
    let machine = if cfg!(target_arch = "riscv64") { 62 } else { 243 };
    let mut header = vec![0; 64];
    header[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    (header[16], header[18], header[20]) = (kind, machine, 1);
    (header[52], header[54], header[58]) = (64, 56, 64);
    header
}

const FAULTS: [(&str, Break, &[&str]); 16] = [
    ("missing", |_| {}, &["run: does not exist", "chmod +x"]),
    ("not-executable", |run| file(run, b"#!/bin/sh\n", 0o644), &["run: is not executable", "chmod +x"]),
    ("no-interpreter", |run| file(run, b"#!/opt/none/sh\n", 0o755), &["needs the interpreter /opt/none/sh", "install it"]),
    ("bare-interpreter", |run| file(run, b"#!python3\n", 0o755), &["without its directory", "such as #!/bin/sh"]),
    ("empty-interpreter", |run| file(run, b"#!\n", 0o755), &["names no interpreter", "begin with #!/bin/sh"]),
    ("no-shebang", |run| file(run, b"exec sleep 1\n", 0o755), &["has no #! line", "begin it with #!/bin/sh"]),
    ("empty", |run| file(run, b"", 0o755), &["run: is empty", "begins with #!/bin/sh"]),
    ("crlf", |run| file(run, b"#!/bin/sh\r\nexec sleep 1\r\n", 0o755), &["carriage return", "sed -i 's/\\r$//'"]),
    ("byte-order-mark", |run| file(run, b"\xef\xbb\xbf#!/bin/sh\n", 0o755), &["byte order mark", "save it without one"]),
    ("indented", |run| file(run, b"\n #!/bin/sh\n", 0o755), &["blanks or empty lines before its #!"]),
    ("architecture", |run| file(run, &elf(2), 0o755), &["run: is built for", "use a build for"]),
    ("binary", |run| file(run, b"\x7fXYZ\0\0\0", 0o755), &["neither a script nor a program"]),
    ("directory", |run| fs::create_dir(run).expect("ours"), &["run: is a directory", "must be a program or a script"]),
    ("link-to-nothing", |run| symlink("/nowhere", run).expect("ours"), &["is a link to /nowhere, which does not exist"]),
    ("link-loop", |run| symlink("run", run).expect("ours"), &["loop of links", "point one of them to something real"]),
    (
        "fifo",
        |run| drop(Said::by(Command::new("mkfifo").arg(run))),
        &["run: is a FIFO, and must be a program or a script", "put a file there"],
    ),
];

#[test]
fn every_fault_is_told_and_its_cure_starts_the_service() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    for (name, fault, _) in FAULTS {
        fault(&tree.draft(name).path().join("run"));
        tree.place(name);
    }
    for (name, _, words) in FAULTS {
        let status = assert_told(&tree, name, words);
        assert!(matches!(status.state, State::Broken | State::Waiting), "{name}: {status:?}");
        assert_eq!(status.pid, None, "{name}");
        let said = tree.say(&["start", name]);
        assert_eq!(said.code, 1, "{name}: {said:?}");
        assert!(words.iter().all(|word| said.err.contains(word)), "{name}: {said:?}");
    }
    let said = tree.say(&["health"]);
    assert_eq!(said.code, 1, "{said:?}");
    for (name, _, _) in FAULTS {
        let service = tree.service(name);
        let run = service.path().join("run");
        // What is no directory is there until it is replaced: a gap would be told on a busy machine.
        let _ = fs::remove_dir(&run);
        service.run("exec sleep 1000");
        tree.await_up(name);
        assert_eq!(tree.status(name).and_then(|status| status.problem), None, "{name}");
    }
    neighbour.assert_undisturbed(&tree);
    let log = tree.log();
    for (name, _, _) in FAULTS {
        let count = log.matches(&format!("svc-scan: {name}: ")).count();
        assert_eq!(count, 1, "{name}:\n{log}");
    }
    assert_eq!(tree.say(&["health"]).code, 0);
}

#[test]
fn chmod_alone_cures_a_run_that_is_not_executable() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let web = tree.service("web");
    web.file("run", "#!/bin/sh\nexec sleep 1000\n");
    assert_told(&tree, "web", &["run: is not executable (mode 0644"]);
    fs::set_permissions(web.path().join("run"), fs::Permissions::from_mode(0o755)).expect("ours");
    tree.await_up("web");
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn an_interpreter_that_is_installed_later_needs_a_start_or_a_rescan() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let shells = [tree.path("shell-1"), tree.path("shell-2")];
    for (number, shell) in shells.iter().enumerate() {
        let name = format!("web-{number}");
        tree.service(&name).executable("run", &format!("#!{}\nexec sleep 1000\n", shell.display()));
        assert_told(&tree, &name, &["needs the interpreter", "which is not in this image"]);
        symlink("/bin/sh", shell).expect("ours");
    }
    let said = tree.say(&["start", "web-0"]);
    assert!(said.code == 0 && said.out.contains("web-0: up (pid "), "{said:?}");
    tree.ctl_ok(&["rescan"]);
    tree.await_up("web-1");
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn a_finish_that_cannot_run_is_told_and_gone_without() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    tree.draft("web").run("exec sleep 1000").file("finish", "#!/bin/sh\n");
    tree.draft("db").run("exec sleep 1000").executable("finish", "#!/bin/none\n");
    for name in ["web", "db"] {
        tree.place(name);
        tree.await_up(name);
    }
    assert_told(&tree, "web", &["finish: is not executable", "until then the service runs without it"]);
    assert_told(&tree, "db", &["finish: needs the interpreter /bin/none"]);
    for name in ["web", "db"] {
        tree.ctl_ok(&["restart", name]);
        tree.ctl_ok(&["stop", name]);
    }
    // Once it is cured it counts, and is no longer told.
    tree.service("web").finish("echo finished >>seen");
    tree.ctl_ok(&["start", "web"]);
    assert_eq!(tree.status("web").and_then(|status| status.problem), None);
    tree.ctl_ok(&["stop", "web"]);
    tree.await_lines("web/seen", 1);
    neighbour.assert_undisturbed(&tree);
}
