//! Failed starts: each one is made to fail for real, and the explanation has to name the reason for the kernel's own error.

use std::path::Path;
use std::process::Command;

use svc_def::explain_exec;

use crate::programs::{elf, machines};
use crate::scratch::{Scratch, as_ordinary_user, chmod, says};

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const ENOEXEC: i32 = 8;
const EACCES: i32 = 13;
const ETXTBSY: i32 = 26;
const ENOSPC: i32 = 28;
const ELOOP: i32 = 40;

/// Executes `path`, which must fail, and explains the error.
#[track_caller]
fn failure(path: &Path, expected: i32) -> String {
    let errno = loop {
        let error = Command::new(path).spawn().expect_err("a program that cannot start");
        match error.raw_os_error().expect("an error of the kernel") {
            // Another test forked while the file was open for writing; its child executes in a moment.
            ETXTBSY => std::thread::yield_now(),
            errno => break errno,
        }
    };
    let message = explain_exec(path, errno);
    assert_eq!(errno, expected, "{message}");
    assert!(message.starts_with(&format!("{}: ", path.display())), "{message}");
    message
}

#[test]
fn what_the_kernel_refuses_is_explained() {
    let scratch = Scratch::new();
    let (own, other, other_name) = machines();
    let cases: [(&str, Vec<u8>, i32, &[&str]); 8] = [
        ("crlf", b"#!/bin/sh\r\n".to_vec(), ENOENT, &["carriage return", "/bin/sh\\r", "sed -i"]),
        ("interpreter", b"#!/no/such\n".to_vec(), ENOENT, &["needs the interpreter /no/such", "install it"]),
        ("loader", elf(own, "/lib64/ld-linux-none.so.2"), ENOENT, &["/lib64/ld-linux-none.so.2", "static"]),
        ("foreign", elf(other, "/lib/ld.so"), ENOEXEC, &["built for ", other_name]),
        ("empty", Vec::new(), ENOEXEC, &["is empty", "#!/bin/sh"]),
        ("words", b"exec true\n".to_vec(), ENOEXEC, &["no #! line", "#!/bin/sh"]),
        ("blank", b"#! \n".to_vec(), ENOEXEC, &["names no interpreter"]),
        ("long", [b"#!/".as_slice(), &[b'x'; 400]].concat(), ENOEXEC, &["too long"]),
    ];
    for (name, content, errno, words) in cases {
        says(&failure(&scratch.program(name, content), errno), words);
    }
}

#[test]
fn what_is_not_a_file_is_explained() {
    let scratch = Scratch::new();
    says(&failure(&scratch.directory("dir"), EACCES), &["is a directory", "move it away"]);
    says(&failure(&scratch.fifo("fifo"), EACCES), &["is a FIFO"]);
    says(&failure(&scratch.link("loop", "loop"), ELOOP), &["loop of links"]);
    says(&failure(&scratch.link("dangling", "nowhere"), ENOENT), &["link to nowhere", "create that"]);
    says(&failure(&scratch.file("plain", "#!/bin/sh\n"), EACCES), &["is not executable", "chmod +x /"]);
    says(&failure(&scratch.join("absent"), ENOENT), &["does not exist", "chmod +x"]);
    says(&failure(&scratch.join("gone/run"), ENOENT), &["nor does its directory", "create /"]);
    let script = scratch.join("own");
    scratch.program("own", format!("#!{}\n", script.display()));
    says(&failure(&script, ELOOP), &["the kernel follows no more"]);
}

#[test]
fn a_closed_directory_is_named() {
    as_ordinary_user("explanations::a_closed_directory_is_named", || {
        let scratch = Scratch::service();
        chmod(scratch.path(), 0o600);
        let message = failure(&scratch.join("run"), EACCES);
        chmod(scratch.path(), 0o700);
        says(&message, &["because uid ", &format!("chmod a+x {}", scratch.path().display())]);
    });
}

#[test]
fn the_reason_of_this_error_is_told_before_others() {
    let scratch = Scratch::new();
    let run = scratch.file("run", "#!/bin/sh\r\n");
    says(&failure(&run, EACCES), &["is not executable"]);
    chmod(&run, 0o755);
    says(&failure(&run, ENOENT), &["carriage return"]);
}

#[test]
fn a_name_without_a_directory_is_looked_for_in_path() {
    // Which error it is depends on whether every directory of PATH may be searched, so both are asked for.
    let program = Path::new("no-such-program-of-svc");
    says(&explain_exec(program, ENOENT), &["no program of this name is in PATH", "install it"]);
    says(&explain_exec(program, EACCES), &["in PATH may be executed", "chmod a+x"]);
    says(&explain_exec(program, ENOEXEC), &["in PATH cannot be executed"]);
    let long = explain_exec(Path::new(&"x".repeat(100_000)), ENOENT);
    assert_eq!(
        long,
        format!("{}...: {}", "x".repeat(60), "no program of this name is in PATH: install it, or give its whole path")
    );
}

#[test]
fn what_has_been_mended_meanwhile_is_said_to_be_right() {
    let service = Scratch::service();
    let run = service.join("run");
    for errno in [ENOENT, ENOEXEC] {
        says(&explain_exec(&run, errno), &["start it again"]);
    }
    says(&explain_exec(&run, EACCES), &["its mode allows it", "AppArmor", "noexec"]);
}

#[test]
fn limits_are_named_with_their_cure() {
    let service = Scratch::service();
    let run = service.join("run");
    for (errno, words) in [
        (7, ["arguments and environment", "shorten"]),
        (11, ["pids limit", "docker run --pids-limit"]),
        (12, ["no memory", "docker run --memory"]),
        (21, ["cannot be executed", "directory"]),
        (23, ["fs.file-max", "sysctl"]),
        (24, ["RLIMIT_NOFILE", "--ulimit nofile"]),
        (ETXTBSY, ["open for writing", "rename"]),
        (EPERM, ["getcap", "--cap-add"]),
        (ENOSPC, ["no space", "df"]),
        (5, ["cannot be executed", "(errno 5)"]),
        (9999, ["cannot be executed", "9999"]),
    ] {
        says(&explain_exec(&run, errno), &words);
    }
}

#[test]
fn a_pid_namespace_has_limits_of_its_own() {
    let service = Scratch::service();
    service.file("flag-newpidns", "");
    let run = service.join("run");
    says(&explain_exec(&run, EPERM), &["CAP_SYS_ADMIN", "--cap-add SYS_ADMIN", "remove /", "flag-newpidns"]);
    says(&explain_exec(&run, ENOSPC), &["user.max_pid_namespaces", "flag-newpidns"]);
}
