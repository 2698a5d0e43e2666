//! The programs in `.s6-svscan/`: they stand in for a signal, or come in svc-init's place.

use std::fs;

use svc_testkit::{Tree, is_alive, until, wait_gone};

fn hook(tree: &Tree, name: &str, body: &str) {
    tree.service(".s6-svscan").script(name, body);
}

#[test]
fn promise_3_finish_comes_in_the_place_of_svc_init() {
    let mut tree = Tree::new();
    let out = tree.path("out");
    hook(
        &tree,
        "finish",
        &format!("echo $$ $# $(cat /proc/$$/status | grep -c '^SigBlk:.0000000000000000$') > {}; exit 23", out.display()),
    );
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let (init, web) = (tree.init_pid(), tree.await_up("web"));
    assert_eq!(tree.stop(), 23);
    assert_eq!(fs::read_to_string(out).expect("written"), format!("{init} 0 1\n"), "pid, arguments, no signal blocked");
    assert!(!is_alive(web));
}

#[test]
fn promise_3_after_sigabrt_finish_comes_at_once() {
    let mut tree = Tree::new();
    let [out, armed, go] = ["out", "armed", "go"].map(|name| tree.path(name));
    // Not a zombie either.
    let lives = format!("grep -c '^State:.[RSD]' /proc/$(cat {})/status", armed.display());
    hook(&tree, "finish", &format!("echo $$ $({lives}) > {}; exit 24", out.display()));
    // Who waited for it would wait until the time for all is over.
    let trap = format!("while ! test -e {}; do sleep 0.01; done; exit 0", go.display());
    tree.service("web").run(&format!("trap '{trap}' TERM; echo $$ > {}; sleep 1000 & wait", armed.display()));
    tree.start();
    let (init, web) = (tree.init_pid(), tree.await_up("web"));
    until("its trap", || fs::read_to_string(&armed).is_ok_and(|pid| pid == format!("{web}\n")).then_some(()));
    tree.signal("ABRT");
    assert_eq!(tree.wait(), 24);
    assert_eq!(fs::read_to_string(out).expect("written"), format!("{init} 1\n"), "pid, and whether web lived still");
    fs::write(go, "").expect("ours");
    wait_gone(web);
}

#[test]
fn a_finish_that_cannot_be_executed_ends_in_crash() {
    let mut tree = Tree::new();
    tree.service(".s6-svscan").executable("finish", "#!/no/such/interpreter\n");
    hook(&tree, "crash", "exit 99");
    tree.start();
    assert_eq!(tree.stop(), 99, "{}", tree.log());
    assert!(tree.log().contains("finish"), "{}", tree.log());
}

/// s6-svscan does the same: a file that somebody forgot to make executable is no reason to end as if all were well.
#[test]
fn a_finish_that_is_not_executable_ends_in_crash() {
    let mut tree = Tree::new();
    tree.service(".s6-svscan").file("finish", "#!/bin/sh\nexit 0\n");
    hook(&tree, "crash", "exit 99");
    tree.start();
    assert_eq!(tree.stop(), 99, "{}", tree.log());
}

#[test]
fn a_hook_stands_in_for_its_signal() {
    let mut tree = Tree::new();
    let out = tree.path("out");
    for signal in ["HUP", "TERM", "INT", "QUIT", "USR1", "USR2", "PWR", "WINCH"] {
        hook(&tree, &format!("SIG{signal}"), &format!("echo {signal} $# >> {}", out.display()));
    }
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let web = tree.await_up("web");
    let mut expected = String::new();
    for signal in ["USR1", "TERM", "HUP", "INT", "QUIT", "USR2", "PWR", "WINCH", "USR1"] {
        tree.signal(signal);
        expected += &format!("{signal} 0\n");
        until(signal, || (fs::read_to_string(&out).ok()? == expected).then_some(()));
    }
    assert_eq!(tree.await_up("web"), web, "nothing else happened");
    tree.ctl_ok(&["shutdown"]);
    assert_eq!(tree.wait(), 0);
}

/// The hook of SIGTERM is how images change how they stop: it may ask for the end by itself.
#[test]
fn a_hook_may_ask_for_the_end() {
    let mut tree = Tree::new();
    let svc = svc_testkit::program();
    hook(&tree, "SIGTERM", &format!("exec {} svc-ctl shutdown --code 12", svc.display()));
    tree.service("web").run("exec sleep 1000");
    tree.start();
    tree.await_up("web");
    assert_eq!(tree.stop(), 12);
}

#[test]
fn a_hook_that_cannot_be_run_does_not_take_its_signal_away() {
    let mut tree = Tree::new();
    tree.service(".s6-svscan").file("SIGTERM", "#!/bin/sh\n");
    tree.service(".s6-svscan").executable("SIGINT", "#!/no/such/interpreter\n");
    tree.start();
    assert_eq!(tree.stop(), 0, "it is not executable");
    tree.start();
    tree.signal("INT");
    assert_eq!(tree.wait(), 0, "it has no interpreter");
    assert!(tree.log().contains("SIGINT"), "{}", tree.log());
}

#[test]
fn a_finish_that_asks_for_the_end_does_not_wait_for_itself() {
    let mut tree = Tree::new();
    let ctl = format!("{} svc-ctl", svc_testkit::program().display());
    tree.service("web").run("exit 0").finish(&format!("{ctl} shutdown --code 7; echo \"said $?\" >told"));
    tree.start();
    assert_eq!(tree.wait(), 7);
    assert_eq!(tree.lines("web/told"), ["said 0"]);
    assert!(!tree.log().contains("took too long"), "{}", tree.log());
}
