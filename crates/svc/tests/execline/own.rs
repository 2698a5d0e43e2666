//! What is ours alone: what upstream refuses, has only in later versions, or does not say.

use std::process::Command;

use svc_testkit::Said;

use super::pair::{Run, ours, run, scratch};

#[track_caller]
fn assert_run(script: &str, code: i32, out: &str) {
    let Run { result, err } = run(ours(), script);
    assert_eq!((result.code, result.out.as_str()), (Some(code), out), "{script}\n{err}");
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (script, said) in [
        ("echo\n{ a\n", "script: line 2: unmatched {"),
        ("echo\n\n}\n", "script: line 3: unmatched }"),
        ("echo \"\na\n", "script: line 1: syntax error: the string"),
        ("echo\n\"\\0\"", "script: line 2: syntax error: a character by number"),
    ] {
        let run = run(ours(), script);
        assert_eq!(run.result.code, Some(100), "{script}");
        assert!(run.err.contains(said), "{script}: {}", run.err);
    }
    for (script, said) in [
        ("if { sh -c \"kill -9 $$\" } echo", "killed by SIGKILL"),
        ("importas -i A NONE echo", "NONE is not set"),
        ("loopwhilex \" x\"", "no block can stand here"),
        ("foreground { nosuchprogram } true", "warning: unable to spawn nosuchprogram"),
        ("foreground { redirfd -w 1 f printf \"A=1\\nB\\n\" } envfile f env", "f: line 2"),
        ("elgetpositionals echo", "# is not set"),
    ] {
        let run = run(ours(), script);
        assert!(run.err.contains(said), "{script}: {}", run.err);
    }
}

#[test]
fn additions_of_later_versions() {
    assert_run("#!-e -P\necho a", 0, "a\n");
    assert_run("export-array A { x \"y z\" \"\" } importas -Ssd \"\" A printf \"[%s]\" $A", 0, "[x][y z][]");
    assert_run("export-array -d , A { x y } importas -Ssd , A printf \"[%s]\" $A", 0, "[x][y]");
    assert_run("export-array A { x }", 100, "");
    assert_run("backtick -x A { sh -c \"exit 3\" } importas R ? echo $R", 0, "3\n");
    assert_run("backtick -I A { sh -c \"kill -9 $$\" } importas R ? echo $R", 0, "265\n");
    assert_run("forx -P 2 A { 1 2 3 4 5 } redirfd -a 1 f echo x", 0, "");
    assert_run("forstdin -P 2 A true", 0, "");
    assert_run("redirfd -rfE F script fdmove 0 $F head -c 7", 0, "redirfd");
    assert_run("foreground { touch g1 g2 } elglob -sn -d , A g? echo $A", 0, "g1,g2\n");
    assert_run("foreground { touch g1 g2 } elglob -s -d \"\" A g? echo $A", 0, "2:g1,2:g2,\n");
    assert_run("export LD_LIBRARY_PATH x emptyenv -l env", 0, "LD_LIBRARY_PATH=x\n");
    assert_run("export FDX a emptyenv -c printenv FDX", 0, "a\n");
    assert_run("case \"a\nb\" { a { echo yes } } echo no", 0, "no\n");
    assert_run("umask 022 posix-umask a= posix-umask", 0, "0777\n");
}

#[test]
fn mistakes_that_upstream_lets_pass() {
    assert_run("export \"\" v env", 100, "");
    assert_run("if -x 5x { false } echo", 100, "");
    assert_run("forx -o 0x A { 1 } echo", 100, "");
    assert_run("echo \"\\65", 100, "");
}

#[test]
fn a_script_may_be_a_program() {
    let dir = scratch();
    let script = dir.join("greet");
    let text = format!("#!{} -S1\nprintf \"%s from %s\" $1 $0\n", ours().join("execlineb").display());
    svc_testkit::executable(&script, text);
    let said = Said::by(Command::new(&script).arg("hello"));
    assert_eq!((said.code, said.out), (0, format!("hello from {}", script.display())));
}

#[test]
fn every_command_has_help_and_refuses_what_it_cannot_be() {
    let list = Said::by(Command::new(ours().join("svc")).arg("manual"));
    for name in ["if", "execlineb", "export", "cd", "wait", "redirfd", "multisubstitute"] {
        let command = ours().join(name);
        assert!(list.out.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name} is in no list");
        let said = Said::by(Command::new(&command).arg("--help"));
        assert!(said.code == 0 && said.out.contains(&format!("Usage: {name}")), "{name}: {said:?}");
        let said = Said::by(&mut Command::new(&command));
        assert!([100, 0].contains(&said.code), "{name}: {said:?}");
    }
}

#[test]
fn signals_reach_a_program_as_they_were() {
    // SIGPIPE as it was, in a program that is executed and in one that is started.
    let script = "foreground { sh -c \"grep SigIgn /proc/self/status\" } grep SigIgn /proc/self/status";
    let Run { result, err } = run(ours(), script);
    let lines: Vec<&str> = result.out.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1], "{}{err}", result.out);
    let ignored = u64::from_str_radix(lines[0].split_whitespace().last().expect("a number"), 16).expect("a number");
    assert_eq!(ignored & 1 << 12, 0, "SIGPIPE is ignored");
    assert_run(
        "sh -c \"trap '' PIPE; exec execlineb -Pc 'foreground { true } sh -c \\\"kill -PIPE $$; echo lives\\\"'\"",
        0,
        "lives\n",
    );
}
