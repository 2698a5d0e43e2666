//! PostgreSQL and Redis as Debian has them, each ready in every way that it can be: a port and a Unix socket that take
//! connections, what it says to its supervisor, and a line of its log.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use svc_testkit::{Said, Tree, descendants, free_port as port, has_program, is_alive, is_root, needs, until};

use crate::app::postgresql;

/// Where a server of a test listens.
struct Place {
    port: u16,
    socket: String,
}

/// How it is known that it is ready.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Tcp,
    Unix,
    Notify,
    Log,
}

const WAYS: [Way; 4] = [Way::Tcp, Way::Unix, Way::Notify, Way::Log];

impl Way {
    fn key(self, place: &Place, line: &str) -> String {
        match self {
            Way::Tcp => format!("ready.tcp = '127.0.0.1:{}'\n", place.port),
            Way::Unix => format!("ready.unix = '{}'\n", place.socket),
            Way::Notify => "ready.notify = true\n".into(),
            Way::Log => format!("ready.log = '{line}'\n"),
        }
    }
}

/// What a program prints, if it ends well.
fn said(program: &Path, words: &[&str]) -> Option<String> {
    let said = Said::by(Command::new(program).args(words));
    (said.code == 0).then(|| said.out.trim().to_owned())
}

/// Starts a service with each way to be ready, and stops it again with nothing left. `answers` once it is ready: at once where the
/// server itself has said so, and soon where it is only known that it takes connections.
fn every_way(tree: &Tree, name: &str, text: &str, line: &str, place: &Place, answers: impl Fn() -> bool) {
    for way in WAYS {
        let dir = tree.services().join(name);
        std::fs::write(dir.join(".new"), format!("{text}{}", way.key(place, line))).expect("ours");
        std::fs::rename(dir.join(".new"), dir.join("service.toml")).expect("ours");
        tree.ctl_ok(&["rescan"]);
        assert!(tree.ctl_ok(&["start", name]).contains("ready"), "{way:?}");
        let status = tree.status(name).expect("known");
        assert_eq!(status.ready, Some(true), "{way:?}: {}", tree.log());
        match way {
            Way::Tcp => drop(TcpStream::connect(("127.0.0.1", place.port)).expect("it takes connections")),
            Way::Unix => drop(UnixStream::connect(&place.socket).expect("it takes connections")),
            Way::Notify | Way::Log => assert!(answers(), "{way:?}: it has said that it is ready"),
        }
        until(&format!("an answer; log:\n{}", tree.log()), || answers().then_some(()));
        let main = status.pid.expect("it runs");
        let all: Vec<i32> = descendants(main).iter().map(|process| process.pid).chain([main]).collect();
        tree.ctl_ok(&["stop", name]);
        assert!(all.iter().all(|&pid| !is_alive(pid)), "{way:?}: nothing is left");
        let exit = tree.status(name).and_then(|status| status.last_exit).expect("it ended");
        assert_eq!(exit.code, Some(0), "{way:?}: by its own stop signal; log:\n{}", tree.log());
    }
}

#[test]
fn postgresql_is_ready_by_port_socket_word_and_line() {
    let Some(bin) = postgresql() else {
        needs("postgresql", false);
        return;
    };
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let root = tree.root().display().to_string();
    let port = port();
    let made = Command::new("install").args(["-d", "-o", "postgres", "-m", "755", &format!("{root}/db")]).status();
    assert!(made.is_ok_and(|status| status.success()), "a folder of the database");
    let programs = bin.display();
    let up = format!("kind = 'oneshot'\nuser = 'postgres'\nup = '{programs}/initdb -D {root}/db/data -A trust --no-sync'");
    tree.toml("db-files", &up);
    let text = format!(
        "command = '{programs}/postgres -D {root}/db/data -k {root}/db -p {port} -c listen_addresses=127.0.0.1 -c fsync=off'\n\
         user = 'postgres'\nneeds = ['db-files']\nstart = false\nstop.signal = 'INT'\n"
    );
    tree.toml("db", &text);
    tree.start();
    let place = Place { port, socket: format!("{root}/db/.s.PGSQL.{port}") };
    let (folder, port) = (format!("{root}/db"), port.to_string());
    let answers = || {
        let words = ["-h", &folder, "-p", &port, "-U", "postgres", "-d", "postgres", "-qAtc", "select 6 * 7"];
        said(&bin.join("psql"), &words).as_deref() == Some("42")
    };
    every_way(&tree, "db", &text, "database system is ready to accept connections", &place, answers);
    assert!(!Path::new(&format!("{root}/db/data/postmaster.pid")).exists(), "it has cleaned up behind itself");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn redis_is_ready_by_port_socket_word_and_line() {
    if !needs("redis-server", has_program("redis-server") && has_program("redis-cli")) {
        return;
    }
    let mut tree = Tree::new();
    let root = tree.root().display().to_string();
    let place = Place { port: port(), socket: format!("{root}/cache.sock") };
    let text = format!(
        "command = 'redis-server --port {} --unixsocket {} --save \"\" --dir {root} --supervised systemd'\nstart = false\n",
        place.port, place.socket
    );
    tree.toml("cache", &text);
    tree.start();
    let answers = || said(Path::new("redis-cli"), &["-s", &place.socket, "ping"]).as_deref() == Some("PONG");
    every_way(&tree, "cache", &text, "Ready to accept connections", &place, answers);
    assert_eq!(tree.stop(), 0);
}
