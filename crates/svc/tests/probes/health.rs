//! Health checks in a running system.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use svc_testkit::{EventKind, State, Tree, api, has_program, is_alive, processes, until};

/// A service that is well as long as the file `well` is in its directory.
fn web(tree: &Tree, keys: &str) -> String {
    let dir = tree.services().join("web").display().to_string();
    let text = format!(
        "command = \"sleep 1000\"\nhealth.exec = [\"sh\", \"-c\", 'test -e {dir}/well || {{ echo not well; exit 1; }}']\n\
         health.interval = \"50ms\"\n{keys}\n"
    );
    tree.draft("web").file("service.toml", &text).file("well", "");
    tree.place("web");
    dir
}

fn verdict(status: &api::Status) -> Option<api::HealthVerdict> {
    status.health.as_ref().and_then(|health| health.verdict)
}

fn await_verdict(tree: &Tree, wanted: api::HealthVerdict) -> api::Status {
    tree.await_status("web", &format!("{wanted:?}"), |status| verdict(status) == Some(wanted))
}

#[test]
fn a_service_is_well_until_so_many_looks_in_a_row_have_failed_and_everybody_is_told() {
    let mut tree = Tree::new();
    let dir = web(&tree, "health.failures = 4");
    tree.start();
    let pid = tree.await_up("web");
    assert_eq!(tree.ctl_ok(&["wait", "--healthy", "web"]), format!("web: up (pid {pid})\n"));
    assert_eq!(tree.say(&["health"]).code, 0);
    assert!(tree.ctl_ok(&["status"]).lines().any(|line| line.starts_with("web ") && line.contains(" yes ")));
    std::fs::remove_file(format!("{dir}/well")).expect("ours");
    let status = await_verdict(&tree, api::HealthVerdict::Unhealthy);
    let health = status.health.expect("it has a check");
    assert_eq!((health.probe.as_deref(), status.pid), (Some("sh: exit 1: not well"), Some(pid)));
    let said = tree.say(&["health"]);
    assert_eq!((said.code, said.out.contains("unhealthy: sh: exit 1: not well")), (1, true), "{said:?}");
    assert!(tree.ctl_ok(&["status"]).lines().any(|line| line.starts_with("web ") && line.contains(" unhealthy ")));
    let said = tree.say(&["wait", "--healthy", "--timeout", "100ms", "web"]);
    assert!(said.code == 99 && said.err.contains("web: still up and not healthy (sh: exit 1: not well) after "), "{said:?}");
    assert!(tree.ctl_ok(&["why", "web"]).contains("  health check: sh: exit 1: not well\n"));
    let found =
        std::iter::from_fn(|| Some(tree.events().next_of("web"))).find(|change| change.event == EventKind::Unhealthy);
    assert_eq!(found.and_then(|change| change.message).as_deref(), Some("sh: exit 1: not well"));
    std::fs::write(format!("{dir}/well"), "").expect("ours");
    await_verdict(&tree, api::HealthVerdict::Healthy);
    assert_eq!(tree.say(&["health", "-q"]).code, 0);
    assert_eq!(tree.status("web").and_then(|status| status.pid), Some(pid), "nothing else was to be done");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_unhealthy_service_is_restarted_or_reloaded() {
    let mut tree = Tree::new();
    let dir = web(&tree, "health.failures = 1\nhealth.action = \"restart\"");
    tree.start();
    await_verdict(&tree, api::HealthVerdict::Healthy);
    std::fs::remove_file(format!("{dir}/well")).expect("ours");
    tree.await_status("web", "a restart", |status| status.restarts >= 1);
    std::fs::write(format!("{dir}/well"), "").expect("ours");
    let status = await_verdict(&tree, api::HealthVerdict::Healthy);
    assert_eq!(status.state, State::Up);
    assert!(tree.log().contains("svc-supervise: web: unhealthy: restarting it: sh: exit 1: not well"), "{}", tree.log());
    assert_eq!(tree.stop(), 0);

    let mut tree = Tree::new();
    let dir = tree.services().join("web").display().to_string();
    let shell = format!("cd {dir}; trap \"echo reloaded >>seen\" HUP; : >listens; while :; do sleep 0.02; done");
    let keys = "health.interval = \"20ms\"\nhealth.action = \"reload\"\nhealth.failures = 2";
    // It is well until it can be told that it is not.
    let check = format!("health.exec = [\"sh\", \"-c\", 'cd {dir}; test -e listens || exit 0; echo x >>looks; exit 1']");
    tree.toml("web", &format!("command = [\"sh\", \"-c\", '{shell}']\n{check}\n{keys}\n"));
    tree.start();
    assert_eq!(tree.await_lines("web/seen", 1), ["reloaded"]);
    // Once, and not with each failure more.
    tree.await_lines("web/looks", 8);
    assert_eq!(tree.lines("web/seen"), ["reloaded"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_unhealthy_service_may_be_the_end_of_everything() {
    let mut tree = Tree::new();
    let dir = web(&tree, "health.failures = 2\nhealth.action = \"stop-container\"");
    tree.start();
    await_verdict(&tree, api::HealthVerdict::Healthy);
    std::fs::remove_file(format!("{dir}/well")).expect("ours");
    assert_eq!(tree.wait(), 1);
    assert!(tree.log().contains("web is unhealthy (sh: exit 1: not well): stopping everything"), "{}", tree.log());
}

#[test]
fn failures_of_the_start_period_do_not_count() {
    let mut tree = Tree::new();
    let dir = tree.services().join("web").display().to_string();
    let check = format!("health.exec = ['sh', '-c', 'cd {dir}; echo x >>looks; test -e well']\nhealth.interval = '50ms'");
    let keys = "health.failures = 1\nhealth.start-period = '10m'\nhealth.action = 'restart'";
    tree.toml("web", &format!("command = 'sleep 1000'\n{check}\n{keys}\n"));
    tree.start();
    let pid = tree.await_up("web");
    tree.await_lines("web/looks", 5);
    let status = tree.status("web").expect("web");
    assert_eq!((verdict(&status), status.restarts, status.pid), (Some(api::HealthVerdict::Unknown), 0, Some(pid)));
    std::fs::write(format!("{dir}/well"), "").expect("ours");
    await_verdict(&tree, api::HealthVerdict::Healthy);
    std::fs::remove_file(format!("{dir}/well")).expect("ours");
    // It stays unwell, so there may have been more of them already.
    tree.await_status("web", "a restart", |status| status.restarts >= 1);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn fewer_failures_in_a_row_than_are_said_are_none() {
    let mut tree = Tree::new();
    let dir = tree.services().join("web").display().to_string();
    let check = format!("cd {dir}; echo x >>looks; test $(wc -l <looks) -gt 4");
    let keys = "health.interval = \"20ms\"\nhealth.failures = 5";
    tree.toml("web", &format!("command = \"sleep 1000\"\nhealth.exec = [\"sh\", \"-c\", '''{check}''']\n{keys}\n"));
    tree.start();
    await_verdict(&tree, api::HealthVerdict::Healthy);
    assert!(tree.lines("web/looks").len() >= 5, "four of them have failed");
    let told = std::iter::from_fn(|| Some(tree.events().next_of("web").event))
        .find(|event| matches!(event, EventKind::Healthy | EventKind::Unhealthy));
    assert_eq!(told, Some(EventKind::Healthy), "nothing was told before");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn so_many_successes_are_needed() {
    let mut tree = Tree::new();
    let dir = tree.services().join("web").display().to_string();
    let check = format!("cd {dir}; read word <gate; echo $word >>looks; test $word = well");
    tree.draft("web").file(
        "service.toml",
        &format!(
            "command = \"sleep 1000\"\nhealth.exec = [\"sh\", \"-c\", '''{check}''']\nhealth.interval = \"20ms\"\n\
             health.timeout = \"1h\"\nhealth.successes = 3\n"
        ),
    );
    let gate = tree.place("web").path().join("gate");
    svc_testkit::fifo(&gate);
    tree.start();
    // The third fails, and three come after it.
    for (number, word) in ["well", "well", "unwell", "well", "well", "well"].into_iter().enumerate() {
        // It opens (O_NONBLOCK) when the look begins: what came of the one before is known.
        let open = || std::fs::File::options().write(true).custom_flags(0o4000).open(&gate).ok();
        let mut gate = until("the look", open);
        let status = tree.status("web").expect("web");
        assert_ne!(verdict(&status), Some(api::HealthVerdict::Healthy), "after {number} looks");
        writeln!(gate, "{word}").expect("it looks");
        drop(gate);
        tree.await_lines("web/looks", number + 1);
    }
    await_verdict(&tree, api::HealthVerdict::Healthy);
    assert_eq!(tree.stop(), 0);
}

/// A signal went to another thread of the look now and then: it stayed until its time was over, and had failed.
#[test]
fn the_end_of_each_look_is_noticed() {
    let mut tree = Tree::new();
    let dir = tree.services().join("web").display().to_string();
    let check =
        format!("health.exec = ['sh', '-c', 'echo x >>{dir}/looks']\nhealth.interval = '1ms'\nhealth.timeout = '1h'");
    tree.toml("web", &format!("command = 'sleep 1000'\n{check}\n"));
    tree.start();
    tree.await_lines("web/looks", 100);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_look_that_hangs_is_killed_and_there_is_never_a_second_one() {
    let mut tree = Tree::new();
    let dir = tree.services().join("web").display().to_string();
    let check = format!("cd {dir}; echo $$ >>looks; sleep 1000 & sleep 1000");
    tree.toml(
        "web",
        &format!(
            "command = \"sleep 1000\"\nhealth.exec = [\"sh\", \"-c\", '''{check}''']\nhealth.interval = \"20ms\"\n\
             health.timeout = \"200ms\"\nhealth.failures = 30\n"
        ),
    );
    tree.start();
    // As long as they may be by themselves, these looks would take longer than anybody waits.
    let status = await_verdict(&tree, api::HealthVerdict::Unhealthy);
    let probe = status.health.and_then(|health| health.probe);
    assert_eq!(probe.as_deref(), Some("sh: did not end in time: killed"));
    let looks: Vec<i32> = tree.await_lines("web/looks", 10).iter().map(|line| line.parse().expect("a pid")).collect();
    let last = *looks.last().expect("ten");
    for pid in looks.into_iter().filter(|&pid| pid != last) {
        assert!(!is_alive(pid), "{pid} is still there");
    }
    tree.ctl_ok(&["stop", "web"]);
    until("the end of the last look", || (!is_alive(last)).then_some(()));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn every_kind_of_probe_looks() {
    if !has_program("python3") {
        return;
    }
    let mut tree = Tree::new();
    let dir = tree.services().join("web").display().to_string();
    let port = svc_testkit::free_port();
    let server = format!(
        "import http.server, socket\ns = socket.socket(socket.AF_UNIX)\ns.bind(\"{dir}/sock\")\ns.listen()\n\
         http.server.HTTPServer((\"127.0.0.1\", {port}), http.server.SimpleHTTPRequestHandler).serve_forever()"
    );
    let text = |key: &str| {
        format!(
            "command = [\"sh\", \"-c\", '''rm -f {dir}/sock; exec python3 -c \"$0\"''', '''{server}''']\n{key}\n\
             health.interval = \"50ms\"\nhealth.start-period = \"1m\"\n"
        )
    };
    let probes = [
        (format!("health.tcp = \"127.0.0.1:{port}\""), format!("tcp 127.0.0.1:{port}: takes connections")),
        (
            format!("health.http = {{ url = \"http://127.0.0.1:{port}/\", status = 200 }}"),
            format!("http://127.0.0.1:{port}/: answers with 200 OK"),
        ),
        (format!("health.unix = \"{dir}/sock\""), format!("unix {dir}/sock: takes connections")),
        (format!("health.file = \"{dir}/sock\""), format!("file {dir}/sock: exists")),
        ("health.exec = [\"sh\", \"-c\", \"kill -0 $MAINPID && echo alive\"]".into(), "alive".into()),
    ];
    tree.toml("web", &text(&probes[0].0));
    tree.start();
    let pid = tree.await_up("web");
    for (key, said) in probes {
        std::fs::write(format!("{dir}/.new"), text(&key)).expect("ours");
        std::fs::rename(format!("{dir}/.new"), format!("{dir}/service.toml")).expect("ours");
        tree.ctl_ok(&["rescan"]);
        let status = tree.await_status("web", &said, |status| {
            let probe = status.health.as_ref().and_then(|health| health.probe.as_deref());
            probe == Some(said.as_str()) && verdict(status) == Some(api::HealthVerdict::Healthy)
        });
        assert_eq!(status.pid, Some(pid), "another check is no reason to restart: {key}");
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_dependent_waits_until_it_is_healthy() {
    let mut tree = Tree::new();
    let dir = web(&tree, "health.failures = 1000");
    std::fs::remove_file(format!("{dir}/well")).expect("ours");
    tree.toml("app", "command = \"sleep 1000\"\nneeds = [{ on = \"web\", until = \"healthy\" }]\n");
    tree.toml("other", "command = \"sleep 1000\"\nneeds = [{ on = \"web\", until = \"started\" }]\n");
    tree.start();
    tree.await_up("other");
    let problem = tree.await_problem("app", &["web: not healthy"]);
    assert!(problem.starts_with("blocked by web"), "{problem}");
    assert_eq!(tree.status("app").and_then(|status| status.pid), None);
    std::fs::write(format!("{dir}/well"), "").expect("ours");
    tree.await_up("app");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn who_is_waited_for_to_be_healthy_must_have_a_check() {
    let mut tree = Tree::new();
    tree.toml("web", "command = \"sleep 1000\"\n");
    tree.toml("app", "command = \"sleep 1000\"\nneeds = [{ on = \"web\", until = \"healthy\" }]\n");
    tree.start();
    tree.await_up("web");
    tree.await_problem("app", &["web has no health check: give it one, or wait for ready"]);
    let said = tree.say(&["wait", "--healthy", "web"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("web: has no health check: give it one, or wait for ready"), "{said:?}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn killed_supervisors_and_a_killed_svc_scan_know_everything_again() {
    let mut tree = Tree::new();
    let dir = web(&tree, "health.failures = 2");
    tree.start();
    let pid = tree.await_up("web");
    await_verdict(&tree, api::HealthVerdict::Healthy);
    std::fs::remove_file(format!("{dir}/well")).expect("ours");
    let before = await_verdict(&tree, api::HealthVerdict::Unhealthy);
    for _ in 0..3 {
        let supervisor = tree.supervisor("web");
        tree.kill_supervisor("web");
        let status = tree.await_status("web", "another supervisor", |status| {
            status.supervisor_pid.is_some() && status.supervisor_pid != supervisor && verdict(status).is_some()
        });
        assert_eq!((status.pid, verdict(&status)), (Some(pid), Some(api::HealthVerdict::Unhealthy)));
        svc_testkit::kill(tree.process("svc-scan"), "KILL");
        tree.await_control();
        let status = await_verdict(&tree, api::HealthVerdict::Unhealthy);
        assert_eq!(status.health.as_ref().and_then(|health| health.probe.as_deref()), Some("sh: exit 1: not well"));
        let since = |status: &api::Status| status.health.as_ref().and_then(|health| health.since_ms).expect("a time");
        assert!(since(&status).abs_diff(since(&before)) < 1000, "it is unhealthy since then");
    }
    std::fs::write(format!("{dir}/well"), "").expect("ours");
    await_verdict(&tree, api::HealthVerdict::Healthy);
    // One look at a time, whoever was killed.
    let looking = processes().into_iter().filter(|process| process.command_line.contains(&format!("{dir}/well"))).count();
    assert!(looking <= 2, "{looking} processes look");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_paused_service_is_not_looked_at() {
    let mut tree = Tree::new();
    let dir = web(&tree, "health.failures = 1\nhealth.action = \"restart\"");
    // One that goes on being looked at as often: by it can be seen how many looks there might have been.
    let looks = tree.path("looks").display().to_string();
    tree.toml(
        "other",
        &format!("command = \"sleep 1000\"\nhealth.exec = [\"sh\", \"-c\", 'echo >>{looks}']\nhealth.interval = \"50ms\"\n"),
    );
    tree.start();
    let pid = tree.await_up("web");
    await_verdict(&tree, api::HealthVerdict::Healthy);
    tree.ctl_ok(&["pause", "web"]);
    std::fs::remove_file(format!("{dir}/well")).expect("ours");
    let count = || std::fs::read_to_string(&looks).unwrap_or_default().lines().count();
    let before = count();
    until("looks at the other one", || (count() >= before + 6).then_some(()));
    assert_eq!(tree.status("web").and_then(|status| status.pid), Some(pid));
    tree.ctl_ok(&["continue", "web"]);
    // It stays unwell, so there may have been more of them already.
    tree.await_status("web", "a restart", |status| status.restarts >= 1);
    assert_eq!(tree.stop(), 0);
}
