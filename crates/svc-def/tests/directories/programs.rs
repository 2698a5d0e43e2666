//! `run` and `finish` that the kernel would refuse.

use std::env::consts::ARCH;

use svc_def::Outcome;

use crate::scratch::{Scratch, as_ordinary_user, chmod, says};

/// A service whose `run` has this content.
fn running(content: impl AsRef<[u8]>) -> Scratch {
    let scratch = Scratch::new();
    scratch.program("run", content);
    scratch
}

/// The header of a 64-bit little-endian program with a loader.
pub fn elf(machine: u16, loader: &str) -> Vec<u8> {
    const LOADER_AT: u64 = 5000; // beyond what is read at first
    let mut bytes = vec![0; LOADER_AT as usize];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[16..18].copy_from_slice(&3_u16.to_le_bytes());
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
    bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
    bytes[56..58].copy_from_slice(&1_u16.to_le_bytes());
    bytes[64..68].copy_from_slice(&3_u32.to_le_bytes());
    bytes[72..80].copy_from_slice(&LOADER_AT.to_le_bytes());
    bytes[96..104].copy_from_slice(&(loader.len() as u64 + 1).to_le_bytes());
    bytes.extend(loader.as_bytes());
    bytes.push(0);
    bytes
}

/// This machine and another one, in the words of elf.h.
pub fn machines() -> (u16, u16, &'static str) {
    const X86_64: u16 = 62;
    const AARCH64: u16 = 183;
    match ARCH {
        "x86_64" => (X86_64, AARCH64, "aarch64"),
        "aarch64" => (AARCH64, X86_64, "x86_64"),
        other => panic!("these tests know no programs for {other}"),
    }
}

#[test]
fn a_real_program_is_fine_through_links_too() {
    let service = Scratch::new();
    service.link("run", "second");
    service.link("second", std::env::current_exe().expect("a running test"));
    assert_eq!(service.read().problems, []);
}

#[test]
fn scripts_with_arguments_blanks_and_no_newline_are_fine() {
    for content in ["#!/bin/sh", "#! /bin/sh -e\n", "#!\t/usr/bin/env sh\nexec true\n"] {
        assert_eq!(running(content).read().problems, [], "{content:?}");
    }
}

#[test]
fn a_run_that_is_not_executable() {
    let service = running("#!/bin/sh\n");
    chmod(&service.join("run"), 0o644);
    says(&service.fatal(), &["/run: is not executable", "mode 0644", "chmod +x /"]);
}

#[test]
fn a_finish_that_is_not_executable_is_only_a_warning() {
    let service = Scratch::service();
    service.file("finish", "#!/bin/sh\n");
    says(&service.warning(), &["/finish: is not executable", "chmod +x /", "runs without it"]);
}

#[test]
fn a_run_that_only_others_may_execute() {
    as_ordinary_user("programs::a_run_that_only_others_may_execute", || {
        let service = running("#!/bin/sh\n");
        chmod(&service.join("run"), 0o411);
        says(&service.warning(), &["is not executable by uid ", "mode 0411", "chmod a+x /"]);
    });
}

#[test]
fn a_directory_in_the_place_of_run() {
    let service = Scratch::new();
    service.directory("run");
    says(&service.fatal(), &["/run: is a directory", "move it away"]);
}

#[test]
fn fifos_in_the_place_of_run_and_finish_do_not_block() {
    let service = Scratch::new();
    service.fifo("run");
    says(&service.fatal(), &["/run: is a FIFO", "move it away"]);
    let service = Scratch::service();
    service.fifo("finish");
    says(&service.warning(), &["/finish: is a FIFO"]);
}

#[test]
fn a_loop_of_links() {
    let service = Scratch::new();
    service.link("run", "walk");
    service.link("walk", "run");
    says(&service.fatal(), &["/run: is a link to walk", "loop of links", "point one of them"]);
}

#[test]
fn a_link_to_nothing() {
    let service = Scratch::new();
    service.link("run", "/opt/app/bin/start\n");
    says(&service.fatal(), &["is a link to /opt/app/bin/start\\n, which does not exist", "create that"]);
}

#[test]
fn a_run_behind_a_closed_directory() {
    as_ordinary_user("programs::a_run_behind_a_closed_directory", || {
        let (service, elsewhere) = (Scratch::new(), Scratch::service());
        service.link("run", elsewhere.join("run"));
        chmod(elsewhere.path(), 0o000);
        let message = service.fatal();
        chmod(elsewhere.path(), 0o700);
        says(&message, &["because uid ", &format!("chmod a+x {}", elsewhere.path().display())]);
    });
}

#[test]
fn an_unreadable_run() {
    let service = running("#!/bin/sh\n");
    chmod(&service.join("run"), 0o000);
    let reading = service.read();
    assert!(matches!(reading.outcome, Outcome::Broken), "not even root executes this");
    says(&reading.problems[0].to_string(), &["is not executable (mode 0000", "chmod +x /"]);

    as_ordinary_user("programs::an_unreadable_run", || {
        let service = running("#!/bin/sh\n");
        chmod(&service.join("run"), 0o000);
        let problems = service.read().problems;
        says(&problems[1].to_string(), &["cannot be read by uid ", "chmod a+r /"]);
        // A program could still run.
        chmod(&service.join("run"), 0o111);
        says(&service.warning(), &["cannot be read by uid "]);
    });
}

#[test]
fn an_empty_run() {
    says(&running("").fatal(), &["/run: is empty", "#!/bin/sh"]);
}

#[test]
fn windows_line_ends_in_the_first_line() {
    let service = running("#!/bin/sh\r\nexec sleep 1\r\n");
    let run = service.join("run");
    assert_eq!(
        service.fatal(),
        format!(
            "{0}: the first line ends with a carriage return, so the kernel looks for an interpreter named \"/bin/sh\\r\": \
             save it with Unix line ends (sed -i 's/\\r$//' {0})",
            run.display()
        )
    );
    says(&running("#!/bin/sh -e\r\n").warning(), &["carriage return", "/bin/sh gets the argument \"-e\\r\"", "sed -i"]);
}

#[test]
fn the_cure_for_windows_line_ends_works() {
    let service = running("#!/bin/sh -e\r\nexec sleep 1\r\n");
    let message = service.warning();
    let (_, cure) = message.rsplit_once('(').expect("a command in brackets");
    let done = std::process::Command::new("sh").arg("-c").arg(cure.trim_end_matches(')')).status().expect("a shell");
    assert!(done.success());
    assert_eq!(service.read().problems, []);
}

#[test]
fn a_byte_order_mark() {
    let service = running("\u{feff}#!/bin/sh\n");
    let message = service.fatal();
    says(&message, &["byte order mark", "sed -i"]);
    let (_, cure) = message.rsplit_once('(').expect("a command in brackets");
    let done = std::process::Command::new("sh").arg("-c").arg(cure.trim_end_matches(')')).status().expect("a shell");
    assert!(done.success());
    assert_eq!(service.read().problems, []);
}

#[test]
fn an_interpreter_that_is_missing() {
    says(
        &running("#!/usr/local/bin/python9 -u\n").fatal(),
        &["needs the interpreter /usr/local/bin/python9, which is not in this image", "install it", "#!/bin/sh"],
    );
    says(&running("#!sh\n").fatal(), &["names the interpreter sh without its directory", "whole path"]);
}

#[test]
fn an_interpreter_that_cannot_run() {
    let image = Scratch::new();
    let there = |name: &str| running(format!("#!{}\n", image.join(name).display()));
    image.file("plain", "#!/bin/sh\n");
    says(&there("plain").fatal(), &["/plain, which is not executable", "chmod a+x /"]);
    image.directory("dir");
    says(&there("dir").fatal(), &["/dir, which is a directory", "#!/bin/sh"]);
    image.link("dangling", "nowhere");
    says(&there("dangling").fatal(), &["/dangling, which is a link to nowhere", "create that"]);
    let (_, other, other_name) = machines();
    image.program("foreign", elf(other, "/lib/ld.so"));
    says(&there("foreign").warning(), &["its interpreter /", "/foreign cannot run", other_name, ARCH]);
    image.program("script", "#!/no/such/thing\n");
    says(&there("script").fatal(), &["/script cannot run: needs the interpreter /no/such/thing"]);
}

#[test]
fn scripts_that_interpret_each_other() {
    let service = Scratch::new();
    let run = service.join("run");
    service.program("run", format!("#!{}\n", run.display()));
    says(&service.fatal(), &["the kernel follows no more", "name a program"]);
}

#[test]
fn a_first_line_without_an_interpreter() {
    says(&running("echo hello\n").fatal(), &["has no #! line", "#!/bin/sh"]);
    says(&running("\n#!/bin/sh\n").fatal(), &["before its #!", "first two bytes"]);
    says(&running("#!  \nexec x\n").fatal(), &["names no interpreter", "#!/bin/sh"]);
    says(&running(format!("#!/{}\n", "x".repeat(400))).fatal(), &["too long", "256 bytes", "shorter path"]);
    says(&running(b"MZ\x90\x00\x03\x00").fatal(), &["neither a script nor a program", ARCH]);
}

#[test]
fn a_program_for_another_machine() {
    let (_, other, other_name) = machines();
    let message = running(elf(other, "/lib/ld-linux.so")).warning();
    says(&message, &[&format!("built for {other_name}, this machine is {ARCH}"), &format!("use a build for {ARCH}")]);
}

#[test]
fn a_program_whose_loader_is_missing() {
    let (own, _, _) = machines();
    says(
        &running(elf(own, "/lib64/ld-linux-none.so.2")).fatal(),
        &["needs /lib64/ld-linux-none.so.2, which is not in this image", "static binary", "glibc base"],
    );
    says(&running(elf(own, "/lib/ld-musl-none.so.1")).fatal(), &["/lib/ld-musl-none.so.1", "musl base"]);
    assert_eq!(running(elf(own, "/bin/sh")).read().problems, [], "a loader that is there");
}

#[test]
fn half_a_program() {
    let (own, _, _) = machines();
    says(&running(&elf(own, "/bin/sh")[..40]).fatal(), &["ends within its header", "copy it again"]);
    let mut object = elf(own, "/bin/sh");
    object[16] = 1;
    says(&running(object).fatal(), &["is an object file", "not a program"]);
}

#[test]
fn any_content_is_survived() {
    let service = Scratch::new();
    for seed in 0..500_u32 {
        let mut state = seed;
        let mut content: Vec<u8> = [b"#!".as_slice(), b"\x7fELF", b"#!/", b""][seed as usize % 4].to_vec();
        content.extend((0..seed % 300).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }));
        service.program("run", &content);
        for problem in service.read().problems {
            says(&problem.to_string(), &[": "]);
        }
    }
}
