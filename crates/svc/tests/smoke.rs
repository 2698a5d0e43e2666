//! The thinnest slice through all processes: one directory, one service, one question.

use svc_testkit::{EventKind, State, Tree, is_alive};

#[test]
fn a_directory_becomes_a_service_and_ends_with_svc() {
    let mut tree = Tree::new();
    tree.start();
    tree.service("web").run("echo hello from web; exec sleep 1000");
    tree.expect("web", &[EventKind::Added, EventKind::Starting, EventKind::Up]);
    let pid = tree.await_up("web");
    let table = tree.ctl_ok(&["status"]);
    assert!(table.contains("web") && table.contains(&pid.to_string()), "{table}");
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Up));
    assert_eq!(tree.stop(), 0);
    assert!(!is_alive(pid));
    assert!(tree.log().contains("hello from web"), "{}", tree.log());
}
