//! Commands of ours that PATH does not have.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use svc_testkit::{Said, program};

use super::pair::scratch;

/// A PATH with one directory, in which a shell, echo and env are, and nothing of ours.
fn plain_path() -> std::path::PathBuf {
    let dir = scratch().join("bin");
    fs::create_dir(&dir).expect("ours");
    for name in ["sh", "echo", "env", "test"] {
        let place = ["/usr/bin", "/bin"].map(|dir| Path::new(dir).join(name)).into_iter().find(|path| path.exists());
        symlink(place.expect("every system has it"), dir.join(name)).expect("ours");
    }
    dir
}

fn execlineb(path: &Path, script: &str) -> Said {
    Said::by(Command::new(program()).args(["execlineb", "-Pc", script]).env_clear().env("PATH", path))
}

#[test]
fn a_script_finds_our_commands_without_links() {
    let path = plain_path();
    let script = "if { test a = a } foreground { cd / ifelse { case x { x { true } } } { echo no } \
                  forx -E A { 1 2 } exec echo $A } importas -D none B NONE export C c umask 077 pipeline { echo $B } \
                  withstdinas -E D wait { } sh -c \"echo $0 $C\" $D";
    let said = execlineb(&path, script);
    // `true` is none of ours, and not there: so the case fails, and the else branch runs.
    assert_eq!((said.code, said.out.as_str()), (0, "1\n2\nnone c\n"), "{}", said.err);
    let said = execlineb(&path, "if { exit 5 } echo no");
    assert_eq!((said.code, said.out.as_str()), (5, ""), "{}", said.err);
    let said = execlineb(&path, "exec -a told exit 6");
    assert_eq!(said.code, 6, "{}", said.err);
}

#[test]
fn path_comes_first() {
    let path = plain_path();
    let own = path.join("export");
    svc_testkit::executable(&own, "#!/bin/sh\necho own \"$@\"\n");
    assert_eq!(execlineb(&path, "foreground { export A b } echo c").out, "own A b\nc\n");
    // One that may not be executed is none.
    fs::set_permissions(&own, fs::Permissions::from_mode(0o644)).expect("ours");
    assert_eq!(execlineb(&path, "export A b sh -c \"echo $A\"").out, "b\n");
}

#[test]
fn what_nobody_has_is_not_found() {
    let path = plain_path();
    for (script, code) in [("nosuchprogram", 127), ("/nonexistent/if { } echo", 127), ("if { nosuchprogram } echo", 111)] {
        let said = execlineb(&path, script);
        assert_eq!(said.code, code, "{script}: {}", said.err);
    }
}
