//! Environment and arguments of svc-scan that make no sense: refused at once, in words.

use svc_testkit::{Said, Tree};

#[track_caller]
fn assert_refused(name: &str, value: &str, code: i32, words: &[&str]) {
    let mut tree = Tree::new();
    tree.set(name, value);
    let said = Said::by(&mut tree.starter());
    println!("{name}={value}: {}", said.err.trim());
    assert_eq!(said.code, code, "{said:?}");
    assert!(words.iter().all(|word| said.err.contains(word)), "{said:?}");
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
}

#[test]
fn a_bad_stop_timeout() {
    for value in ["soon", "-1", "8h", "1e9999", "NaN", "8 s x", "0x10", "."] {
        let named = format!("SVC_STOP_TIMEOUT={value}: ");
        assert_refused("SVC_STOP_TIMEOUT", value, 100, &["svc-scan: ", &named, "such as 500ms, 8s or 2m"]);
    }
}

#[test]
fn a_bad_log_tail() {
    for value in ["much", "-1", "64Q", "K", "1.2.3"] {
        let named = format!("SVC_LOG_TAIL={value}: ");
        assert_refused("SVC_LOG_TAIL", value, 100, &["svc-scan: ", &named, "such as 64K or 1M"]);
    }
}

#[test]
fn a_bad_apply() {
    assert_refused("SVC_APPLY", "yes", 100, &["svc-scan: SVC_APPLY=yes: must be auto"]);
}

#[test]
fn a_bad_run_directory() {
    assert_refused(
        "SVC_RUN_DIR",
        "/dev/null/svc",
        111,
        &["SVC_RUN_DIR=/dev/null/svc: cannot be written", "name a directory"],
    );
    assert_refused("SVC_RUN_DIR", "/proc/svc", 111, &["SVC_RUN_DIR=/proc/svc: cannot be written"]);
}

/// svc-init's own words to svc-scan are not taken from somebody who would wonder why they do nothing.
#[test]
fn what_is_a_variable_is_no_option() {
    for option in ["--run-dir=/tmp/svc", "--tail-bytes=1"] {
        let said = Said::by(std::process::Command::new(svc_testkit::program()).args(["svc-scan", option, "/etc/s6"]));
        assert_eq!((said.code, said.err.lines().count()), (100, 1), "{said:?}");
        assert!(said.err.contains("set SVC_RUN_DIR and SVC_LOG_TAIL"), "{said:?}");
    }
}

#[test]
fn sizes_at_the_edges_work() {
    for (name, value) in [
        ("SVC_LOG_TAIL", "0"),
        ("SVC_LOG_TAIL", "1"),
        ("SVC_LOG_TAIL", "1G"),
        ("SVC_LOG_TAIL", "999999M"),
        ("SVC_STOP_TIMEOUT", "0"),
        ("SVC_STOP_TIMEOUT", "0.5"),
        ("SVC_STOP_TIMEOUT", "99999999"),
        ("SVC_STOP_TIMEOUT", ""),
    ] {
        if value == "1G" {
            assert_refused(name, value, 100, &["1G"]);
            continue;
        }
        let mut tree = Tree::new();
        tree.set(name, value);
        tree.service("web").run("echo hello; exec sleep 1000");
        tree.start();
        tree.await_up("web");
        svc_testkit::until("its line", || tree.ctl_ok(&["logs", "web"]).contains("hello").then_some(()));
        tree.stop();
    }
}
