//! The memory guard in a running system: services that grow, without any rights to cgroups.

use svc_testkit::{EventKind, State, Tree, api, kill, until, wait_gone};

const MIB: u64 = 1 << 20;

/// A shell that holds some 50 MB in a child of its own, unless the file `small` is in its directory: then it holds nothing.
fn grower(tree: &Tree, first: &str, keys: &str) -> String {
    let dir = tree.services().join("web").display().to_string();
    let hold = "x=$(head -c 50000000 /dev/zero | tr \"\\\\0\" x); touch grown; sleep 1000 & wait";
    // It is to be told of what its child does: it listens before there is one.
    let shell = format!(
        "cd {dir}; test -e small && exec sleep 1000; trap 'touch small; kill $!' HUP; {first} ({hold}) & \
         while :; do wait; sleep 0.05; done"
    );
    tree.toml("web", &format!("command = ['sh', '-c', '''{shell}''']\n{keys}\n"));
    dir
}

fn excess(status: &api::Status) -> Option<api::Excess> {
    status.health.as_ref()?.excess.clone()
}

#[test]
fn a_service_that_grows_is_restarted_and_why_says_so_ever_after() {
    let mut tree = Tree::new();
    grower(&tree, "touch small;", "memory.limit = '30MiB'\nmemory.interval = '50ms'");
    tree.start();
    let status = tree.await_status("web", "a restart", |status| status.restarts == 1 && status.pid.is_some());
    let found = excess(&status).expect("it was too much");
    assert!(found.limit_bytes == 30 * MIB && found.used_bytes > 30 * MIB, "{found:?}");
    let told = "svc-supervise: web: too much memory: restarting it: its processes use ";
    until("the reason in the log", || tree.log().contains(told).then_some(()));
    // Whoever is killed, the reason is known, and the small one goes on.
    tree.kill_supervisor("web");
    let scan = tree.process("svc-scan");
    kill(scan, "KILL");
    wait_gone(scan);
    let why = until("the reason", || {
        let said = tree.say(&["why", "web"]);
        said.out.contains("its processes used ").then_some(said.out)
    });
    assert!(why.contains("and memory.limit is 30.0 MiB"), "{why}");
    let after = tree.await_status("web", "known", |status| status.pid.is_some());
    assert_eq!(
        (after.restarts, after.pid, excess(&after).map(|excess| excess.used_bytes)),
        (1, status.pid, Some(found.used_bytes))
    );
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_report_is_an_event_and_no_more_and_a_reload_may_help() {
    let mut tree = Tree::new();
    grower(&tree, "", "memory.limit = '30MiB'\nmemory.interval = '50ms'\nmemory.action = 'report'");
    tree.start();
    let pid = tree.await_up("web");
    let problem =
        std::iter::from_fn(|| Some(tree.events().next_of("web"))).find(|change| change.event == EventKind::Problem);
    let message = problem.and_then(|change| change.message).expect("a reason");
    assert!(message.starts_with("uses ") && message.ends_with(&format!("memory.limit is {}", 30 * MIB)), "{message}");
    // What else would have been done comes before what is asked for now.
    tree.ctl_ok(&["reload", "web"]);
    let small = tree.services().join("web/small");
    until("a reload", || small.exists().then_some(()));
    let status = tree.status("web").expect("web");
    assert_eq!((status.pid, status.restarts), (Some(pid), 0));
    assert_eq!(tree.stop(), 0);

    let mut tree = Tree::new();
    let dir = grower(&tree, "", "memory.limit = '30MiB'\nmemory.interval = '50ms'\nmemory.action = 'reload'");
    tree.start();
    let pid = tree.await_up("web");
    until("a reload", || std::path::Path::new(&format!("{dir}/small")).exists().then_some(()));
    assert_eq!(tree.status("web").and_then(|status| status.pid), Some(pid));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn too_much_memory_may_be_the_end_of_everything() {
    let mut tree = Tree::new();
    grower(&tree, "", "memory.limit = '30MiB'\nmemory.interval = '50ms'\nmemory.action = 'stop-container'");
    tree.start();
    assert_eq!(tree.wait(), 1);
    assert!(tree.log().contains("svc-scan: web uses ") && tree.log().contains(": stopping everything"), "{}", tree.log());
}

#[test]
fn a_limit_that_comes_later_holds_for_the_one_that_runs() {
    let mut tree = Tree::new();
    let dir = grower(&tree, "", "");
    tree.start();
    let pid = tree.await_up("web");
    until("it to have grown", || std::path::Path::new(&format!("{dir}/grown")).exists().then_some(()));
    let text = std::fs::read_to_string(format!("{dir}/service.toml")).expect("ours");
    tree.edit("web", &format!("{text}memory.limit = 31457280\nmemory.interval = '50ms'\nmemory.action = 'report'\n"));
    let status = tree.await_status("web", "a report", |status| excess(status).is_some());
    assert_eq!((status.pid, excess(&status).map(|excess| excess.limit_bytes)), (Some(pid), Some(30 * MIB)));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_that_grows_again_and_again_is_restarted_as_its_policy_says() {
    let mut tree = Tree::new();
    let policy = "restart = { delay = '10ms', limit = 3, window = '1h' }";
    let dir = grower(&tree, "echo >>starts;", &format!("memory.limit = '30MiB'\nmemory.interval = '50ms'\n{policy}"));
    tree.start();
    // With looks as far apart as they are by themselves this would take half a minute.
    let status = tree.await_status("web", "failed", |status| status.state == State::Failed);
    assert_eq!(status.verdict.as_deref(), Some("3 ends within 60 min"), "{status:?}");
    assert_eq!((tree.lines("web/starts").len(), excess(&status).is_some()), (3, true), "{dir}");
    assert_eq!(tree.stop(), 0);
}
