//! A Python app that needs a database and a cache, and is restarted when one of them is.

use std::path::PathBuf;
use std::process::Command;

use svc_testkit::{Tree, has_program, is_alive, is_root, kill, needs, until};

/// Counts its starts in both; ends badly if one of them does not answer.
const APP: &str = r#"
import socket, subprocess, sys, time
root, psql = sys.argv[1:]

def cache(line):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(root + "/cache.sock")
        connection.sendall(line.encode() + b"\r\n")
        return connection.recv(100).decode().strip()

def db(query):
    words = [psql, "-h", root + "/db", "-U", "postgres", "-d", "postgres", "-qAtc", query]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

assert cache("PING") == "+PONG"
db("create table if not exists starts (at timestamptz default now())")
db("insert into starts default values")
with open("seen", "a") as seen:
    seen.write(db("select count(*) from starts") + "\n")
while True:
    time.sleep(1000)
"#;

/// Where Debian has the programs of its newest postgresql.
pub fn postgresql() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> =
        std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin")).collect();
    versions.sort();
    versions.pop()
}

#[test]
fn an_app_with_a_database_and_a_cache_is_restarted_when_one_of_them_is() {
    let there = has_program("python3") && has_program("redis-server");
    let Some(programs) = postgresql().filter(|_| there) else {
        needs("postgresql, redis-server and python3", false);
        return;
    };
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let (root, bin) = (tree.root().display().to_string(), programs.display().to_string());
    let made = Command::new("install").args(["-d", "-o", "postgres", "-m", "755", &format!("{root}/db")]).status();
    assert!(made.is_ok_and(|status| status.success()), "a folder of the database");
    tree.toml(
        "db-files",
        &format!("kind = 'oneshot'\nuser = 'postgres'\nup = '{bin}/initdb -D {root}/db/data -A trust --no-sync'"),
    );
    tree.toml(
        "db",
        &format!(
            "command = '{bin}/postgres -D {root}/db/data -k {root}/db -c listen_addresses= -c fsync=off'\n\
             user = 'postgres'\nneeds = ['db-files']\nstop.signal = 'INT'\nready.unix = '{root}/db/.s.PGSQL.5432'\n"
        ),
    );
    tree.toml(
        "cache",
        &format!(
            "command = 'redis-server --port 0 --unixsocket {root}/cache.sock --save \"\" --dir {root}'\n\
             ready.unix = '{root}/cache.sock'\n"
        ),
    );
    let text = format!(
        "command = 'python3 app.py {root} {bin}/psql'\n\
         needs = [{{ on = 'db', bond = 'follow' }}, {{ on = 'cache', bond = 'follow' }}]\n"
    );
    tree.draft("app").file("app.py", APP).file("service.toml", &text);
    tree.place("app");
    tree.start();
    assert_eq!(tree.await_lines("app/seen", 1), ["1"], "{}", tree.log());
    let first = tree.await_up("app");

    tree.ctl_ok(&["restart", "db"]);
    assert_eq!(tree.await_lines("app/seen", 2), ["1", "2"], "{}", tree.log());
    assert!(!is_alive(first), "the one of before is gone");
    let second = tree.await_up("app");

    // One that is killed is started again by its supervisor, and takes the app along too.
    kill(tree.await_up("cache"), "KILL");
    assert_eq!(tree.await_lines("app/seen", 3), ["1", "2", "3"], "{}", tree.log());
    assert!(!is_alive(second));
    let third = until("another app", || tree.status("app")?.pid.filter(|&pid| pid != second));
    assert_eq!(tree.status("app").and_then(|status| status.last_exit?.signal).as_deref(), Some("TERM"), "told to stop");

    // Told itself, it is restarted alone.
    let others = ["db", "cache"].map(|name| tree.await_up(name));
    tree.ctl_ok(&["restart", "app"]);
    assert_eq!(tree.await_lines("app/seen", 4), ["1", "2", "3", "4"], "{}", tree.log());
    assert!(!is_alive(third));
    assert_eq!(["db", "cache"].map(|name| tree.await_up(name)), others);
    let fourth = tree.await_up("app");

    tree.ctl_ok(&["stop", "app"]);
    assert!(!is_alive(fourth));
    assert_eq!(tree.stop(), 0);
}
