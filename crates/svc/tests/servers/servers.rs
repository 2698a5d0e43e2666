//! Servers as Debian has them, which put themselves into the background.

use std::path::Path;
use std::process::Command;

use svc_testkit::{Said, State, Tree, has_program, is_alive, kill, needs, until};

use crate::{await_gone, number, parent};

/// nginx in a folder of the test's own, with two workers, at this port.
fn nginx(tree: &Tree, port: u16) -> String {
    let root = tree.root().display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {root}/tmp-{what};\n"))
        .concat();
    let text = format!(
        "daemon on; worker_processes 2; pid {root}/services/web/nginx.pid; error_log {root}/errors;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }} }}\n"
    );
    std::fs::write(tree.path("nginx.conf"), text).expect("ours");
    format!("{root}/nginx.conf")
}

fn answers(port: u16) -> bool {
    let address = format!("http://127.0.0.1:{port}/");
    let words = ["-s", "-o", "/dev/null", "-w", "%{http_code}", &address];
    Said::by(Command::new("curl").args(words)).out == "204"
}

fn workers(of: i32) -> Vec<i32> {
    let mut pids: Vec<i32> = svc_testkit::descendants(of).iter().map(|process| process.pid).collect();
    pids.sort_unstable();
    pids
}

#[test]
fn nginx_is_followed_reloaded_and_stopped_with_nothing_left() {
    if !needs("nginx and curl", has_program("nginx") && has_program("curl")) {
        return;
    }
    let mut tree = Tree::new();
    let port = svc_testkit::free_port();
    let config = nginx(&tree, port);
    // Whoever of the life before is there when the next one starts is noted.
    let look = "for pid in $(cat workers 2>/dev/null); do kill -0 $pid 2>/dev/null && echo $pid >>beside; done";
    let keys = format!(
        "kind = 'forking'\npid-file = 'nginx.pid'\nstop.signal = 'QUIT'\ntimeout.kill = '2m'\n\
         command = ['sh', '-c', '{look}; exec nginx -p . -c {config}']"
    );
    tree.toml("web", &keys);
    tree.start();
    let main = number(&tree, "web/nginx.pid");
    tree.await_status("web", "ready", |status| status.pid == Some(main) && status.ready == Some(true));
    assert_eq!(parent(main), tree.supervisor("web"));
    until("an answer", || answers(port).then_some(()));
    let before = until("two workers", || Some(workers(main)).filter(|list| list.len() == 2));

    tree.ctl_ok(&["reload", "web"]);
    let after = until("other workers", || {
        Some(workers(main)).filter(|list| list.len() == 2 && list.iter().all(|pid| !before.contains(pid)))
    });
    let status = tree.status("web").expect("known");
    assert_eq!((status.pid, status.restarts), (Some(main), 0), "the same main process");
    assert!(answers(port));

    let list: Vec<String> = after.iter().map(i32::to_string).collect();
    std::fs::write(tree.services().join("web/workers"), list.join("\n")).expect("ours");
    kill(main, "KILL");
    let again = tree.await_status("web", "up again", |status| {
        status.restarts == 1 && status.state == State::Up && status.pid.is_some_and(|pid| pid != main)
    });
    assert_eq!(again.last_exit.and_then(|exit| exit.signal).as_deref(), Some("KILL"));
    tree.await_status("web", "ready again", |status| status.ready == Some(true));
    assert!(!tree.services().join("web/beside").exists(), "workers of the life before were there still");
    await_gone(&after);
    until("an answer", || answers(port).then_some(()));

    let main = tree.status("web").and_then(|status| status.pid).expect("it runs");
    let all = workers(main);
    tree.ctl_ok(&["stop", "web"]);
    assert!(!is_alive(main) && all.iter().all(|&pid| !is_alive(pid)), "nothing is left");
    let exit = tree.status("web").and_then(|status| status.last_exit).expect("it ended");
    assert_eq!(exit.code, Some(0), "by its own stop signal");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn redis_that_daemonizes_is_followed_whoever_is_killed() {
    if !needs("redis-server", has_program("redis-server") && has_program("redis-cli")) {
        return;
    }
    let mut tree = Tree::new();
    let dir = tree.services().join("cache");
    let keys = "kind = 'forking'\npid-file = 'redis.pid'\n\
                command = 'redis-server redis.conf --daemonize yes'";
    let config = |dir: &Path| {
        let dir = dir.display();
        format!(
            "port 0\nunixsocket {dir}/redis.sock\npidfile {dir}/redis.pid\ndir {dir}\nsave \"\"\nlogfile {dir}/redis.log\n"
        )
    };
    tree.draft("cache").file("redis.conf", &config(&dir)).file("service.toml", keys);
    tree.place("cache");
    tree.start();
    let ask = |words: &[&str]| {
        let said = Said::by(Command::new("redis-cli").arg("-s").arg(dir.join("redis.sock")).args(words));
        said.out.trim().to_owned()
    };
    let status = tree.await_status("cache", "ready", |status| status.ready == Some(true));
    let main = status.pid.expect("it runs");
    until("its answer", || (ask(&["ping"]) == "PONG").then_some(()));
    assert_eq!(number(&tree, "cache/redis.pid"), main);

    tree.kill_supervisor("cache");
    assert_eq!(tree.status("cache").and_then(|status| status.pid), Some(main));
    ask(&["shutdown", "nosave"]);
    let status = tree.await_status("cache", "up again", |status| status.restarts == 1 && status.ready == Some(true));
    assert_eq!(status.last_exit.and_then(|exit| exit.code), Some(0), "how the daemon ended is told");
    let next = status.pid.expect("it runs");
    until("its answer", || (ask(&["ping"]) == "PONG").then_some(()));

    tree.ctl_ok(&["stop", "cache"]);
    assert!(!is_alive(next));
    assert_eq!(tree.stop(), 0);
}
