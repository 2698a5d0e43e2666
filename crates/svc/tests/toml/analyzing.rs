//! `svc-ctl analyze`: how the start of everything went.

use svc_testkit::api::{Boot, FirstStart};
use svc_testkit::{State, Tree, kill, until};

fn boot(tree: &Tree) -> Boot {
    serde_json::from_str(&tree.ctl_ok(&["--json", "analyze"])).expect("the answer of the API")
}

#[track_caller]
fn service<'a>(boot: &'a Boot, name: &str) -> &'a FirstStart {
    boot.services.iter().find(|service| service.name == name).unwrap_or_else(|| panic!("{name} is not in {boot:?}"))
}

#[test]
fn the_chain_is_what_the_start_waited_for() {
    let mut tree = Tree::new();
    // It is there after disk, however long that takes.
    let up = format!("sh -c '{} svc-ctl wait disk; sleep 0.2'", svc_testkit::program().display());
    tree.toml("net", &format!("kind = 'oneshot'\nup = \"{up}\""));
    tree.toml("disk", "kind = 'oneshot'\nup = 'true'");
    tree.toml("moment", "kind = 'milestone'\nneeds = ['net']");
    tree.toml("basics", "kind = 'bundle'\nmembers = ['net', 'disk']");
    tree.toml("db", "command = ['sh', '-c', 'sleep 0.3; echo >&3; exec sleep 1000']\nready.fd = 3\nneeds = ['basics']");
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['db', 'disk']");
    tree.toml("asleep", "command = 'sleep 1000'\nstart = false");
    tree.start();
    tree.await_up("web");
    let first = until("the end of the start", || Some(boot(&tree)).filter(|boot| boot.settled_after_ms.is_some()));
    assert_eq!(first.chain, ["web", "db", "basics", "net"]);
    let times = |name| {
        let FirstStart { wanted_after_ms, began_after_ms, there_after_ms, .. } = service(&first, name);
        [wanted_after_ms, began_after_ms, there_after_ms].map(|at| at.unwrap_or_else(|| panic!("{name}: {first:?}")))
    };
    let (net, db, web) = (times("net"), times("db"), times("web"));
    for [wanted, began, there] in [net, db, web, times("moment"), times("basics")] {
        assert!(wanted <= began && began <= there, "{first:?}");
    }
    // When it began is read after the program was executed, which may be late where others are busy.
    assert!(net[2] > net[1] && db[1] >= net[2] && db[2] > db[1] && web[1] >= db[2], "{first:?}");
    assert!(first.settled_after_ms >= Some(web[2]) && web[0] < net[2], "it was wanted from the beginning: {first:?}");
    let asleep = service(&first, "asleep");
    assert_eq!((asleep.wanted_after_ms, asleep.began_after_ms, asleep.later), (None, None, false));

    // What comes later is no part of it, and a second start is not the first.
    tree.ctl_ok(&["restart", "web"]);
    tree.ctl_ok(&["start", "asleep"]);
    let second = boot(&tree);
    assert_eq!((&second.chain, service(&second, "web")), (&first.chain, service(&first, "web")));
    assert!(service(&second, "asleep").later && service(&second, "asleep").there_after_ms.is_some());
    let text = tree.ctl_ok(&["analyze"]);
    let indented: Vec<&str> = text.lines().filter(|line| line.starts_with(' ')).map(str::trim_start).collect();
    assert_eq!(
        indented.iter().map(|line| line.split(' ').next()).collect::<Vec<_>>(),
        ["web", "db", "basics", "net"].map(Some)
    );

    // A svc-scan that comes after one that was killed knows what supervisors remember, and makes up nothing.
    kill(tree.process("svc-scan"), "KILL");
    // Who has much to do may say later what he remembers.
    tree.await_status("web", "known", |status| status.pid.is_some());
    tree.await_status("db", "known", |status| status.ready == Some(true));
    tree.await_status("net", "known", |status| status.state == State::Done);
    let third = boot(&tree);
    assert!(third.incomplete && third.settled_after_ms.is_none());
    for name in ["net", "db"] {
        let (before, now) = (service(&first, name), service(&third, name));
        assert_eq!((now.began_after_ms, now.there_after_ms), (before.began_after_ms, before.there_after_ms), "{name}");
        assert!(now.recovered && now.wanted_after_ms.is_none());
    }
    let web = service(&third, "web");
    assert_eq!((web.began_after_ms, web.there_after_ms), (None, None), "it has been started again since: {third:?}");
    assert!(tree.ctl_ok(&["analyze"]).lines().any(|line| line.starts_with("web") && line.contains('?')));
    assert_eq!(tree.stop(), 0);
}

/// Else nobody would know what the time went for.
#[test]
fn the_chain_says_when_one_was_healthy_that_others_waited_for() {
    let mut tree = Tree::new();
    let well = tree.path("well").display().to_string();
    let keys = format!("health.file = '{well}'\nhealth.interval = '50ms'");
    tree.toml("db", &format!("command = ['sh', '-c', 'sleep 0.3; touch {well}; exec sleep 1000']\n{keys}"));
    tree.toml("web", "command = 'sleep 1000'\nneeds = [{ on = 'db', until = 'healthy' }]");
    tree.start();
    tree.await_up("web");
    let boot = until("the end of the start", || Some(boot(&tree)).filter(|boot| boot.settled_after_ms.is_some()));
    let (db, web) = (service(&boot, "db"), service(&boot, "web"));
    assert!(db.healthy_after_ms > db.there_after_ms && web.began_after_ms >= db.healthy_after_ms, "{boot:?}");
    let text = tree.ctl_ok(&["analyze"]);
    assert!(text.lines().any(|line| line.starts_with("    db  up at ") && line.contains(", healthy at ")), "{text}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn plain_directories_are_a_list_with_the_slowest_first() {
    let mut tree = Tree::new();
    tree.service("quick").run("exec sleep 1000");
    tree.service("slow").run("sleep 0.2; echo >&3; exec sleep 1000").file("notification-fd", "3\n");
    tree.service("off").run("exec sleep 1000").file("down", "");
    tree.start();
    tree.await_up("quick");
    tree.await_status("slow", "ready", |status| status.ready == Some(true));
    tree.await_status("off", "down", |status| status.state == State::Down);
    let answer = boot(&tree);
    assert!(answer.chain.is_empty() && answer.settled_after_ms.is_some(), "{answer:?}");
    let text = tree.ctl_ok(&["analyze"]);
    let names: Vec<&str> = text.lines().filter_map(|line| line.split_ascii_whitespace().next()).collect();
    let list = names.iter().position(|word| *word == "NAME").map(|at| &names[at + 1..]);
    assert_eq!(list, Some(&["slow", "quick", "off"][..]), "{text}");
    assert_eq!(service(&answer, "off").wanted_after_ms, None);
    assert_eq!(tree.stop(), 0);
}

/// The first who comes does not make its start longer.
#[test]
fn who_is_armed_is_there_from_then_on() {
    let mut tree = Tree::new();
    let path = tree.path("web.sock");
    tree.toml("web", &format!("command = 'sleep 1000'\nsockets = ['{}']\nstart = 'on-demand'", path.display()));
    tree.start();
    tree.await_status("web", "armed", |status| status.state == svc_testkit::State::Armed);
    let _visitor = std::os::unix::net::UnixStream::connect(&path).expect("it is held");
    tree.await_up("web");
    let first = boot(&tree);
    let web = service(&first, "web");
    assert!(web.began_after_ms.is_none() && web.there_after_ms.is_some(), "{web:?}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_whose_health_nobody_checks_was_waited_for_until_it_was_there() {
    let mut tree = Tree::new();
    tree.toml("net", "kind = 'oneshot'\nup = 'sleep 0.2'");
    tree.toml("web", "command = 'sleep 1000'\nneeds = [{ on = 'net', until = 'healthy' }]");
    tree.start();
    tree.await_up("web");
    let first = until("the end of the start", || Some(boot(&tree)).filter(|boot| boot.settled_after_ms.is_some()));
    assert_eq!(first.chain, ["web", "net"]);
    assert_eq!(service(&first, "web").waited_for.as_deref(), Some("net"));
    assert_eq!(tree.stop(), 0);
}
