//! flag-newpidns: a service as process 1 of its own PID namespace.

use svc_testkit::{EventKind, State, Tree, is_alive, kill, needs};

use crate::support::{skip_to, status_field};

fn may_make_namespaces() -> bool {
    let unshare = std::process::Command::new("unshare").args(["--pid", "--fork", "true"]).output();
    unshare.is_ok_and(|output| output.status.success())
}

#[test]
fn run_is_process_1_of_its_namespace() {
    if !needs("CAP_SYS_ADMIN", may_make_namespaces()) {
        return;
    }
    let mut tree = Tree::new();
    let service = tree.service("web");
    service.file("flag-newpidns", "").finish("echo \"finish $1 $2\" >> seen; [ $$ -gt 1 ] && echo outside >> seen");
    // Process 1 gets only the signals that it asks for.
    service.run("trap 'exit 5' TERM; echo \"run $$ $1\" >> seen; while :; do sleep 1000 & wait $!; done");
    tree.service("plain").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    assert_eq!(tree.await_lines("web/seen", 1), ["run 1 web"]);
    assert_eq!(status_field(pid, "NSpid").split_whitespace().last(), Some("1"));
    let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).expect("a living process");
    assert_ne!(namespace(pid), namespace(tree.await_up("plain")));
    let supervisor = tree.status("web").and_then(|status| status.supervisor_pid).expect("it has one");
    assert_eq!(namespace(supervisor), namespace(tree.init_pid()), "the supervisor stays where it was");

    tree.ctl_ok(&["restart", "--timeout", "120", "web"]);
    assert_eq!(tree.await_lines("web/seen", 4), ["run 1 web", "finish 5 0", "outside", "run 1 web"]);
    tree.kill_supervisor("web");
    tree.ctl_ok(&["restart", "--timeout", "120", "web"]);
    tree.await_lines("web/seen", 7);
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_deaf_process_1_is_killed_with_all_it_has() {
    if !needs("CAP_SYS_ADMIN", may_make_namespaces()) {
        return;
    }
    let mut tree = Tree::new();
    let service = tree.service("web");
    service
        .file("flag-newpidns", "")
        .file("timeout-kill", "300")
        .run("setsid sleep 1000 & echo up >> seen; exec sleep 1000");
    tree.start();
    tree.await_lines("web/seen", 1);
    let pid = tree.await_up("web");
    let all = svc_testkit::descendants(pid);
    assert_eq!(all.len(), 1);
    // Stopped as well: even so it dies.
    kill(pid, "STOP");
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    assert!(!is_alive(pid) && !is_alive(all[0].pid));
}

#[test]
fn without_the_right_to_it_the_problem_is_told() {
    if !needs("root and setpriv", may_make_namespaces() && svc_testkit::has_program("setpriv")) {
        return;
    }
    let mut tree = Tree::new();
    tree.draft("web").file("flag-newpidns", "").run("echo up >> seen; exec sleep 1000");
    tree.wrapper(&["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-all"]).start();
    tree.place("web");
    let message = skip_to(&mut tree, "web", EventKind::Problem).message.expect("a problem has words");
    assert!(message.contains("flag-newpidns") && message.contains("CAP_SYS_ADMIN"), "{message}");
    let status = tree.await_status("web", "waiting", |status| status.state == State::Waiting);
    assert!(status.next_start_ms.is_some());
    assert_eq!(tree.lines("web/seen"), [""; 0], "not started without what was asked for");
    tree.service("web").remove("flag-newpidns");
    tree.ctl_ok(&["start", "--timeout", "120", "web"]);
    tree.await_lines("web/seen", 1);
}
