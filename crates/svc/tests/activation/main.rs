//! Sockets that svc opens for a service and holds: what the program finds, and that nobody is refused whoever ends.
#![forbid(unsafe_code)]

mod given;
mod held;
mod kinds;
mod on_demand;

use std::net::TcpListener;

use svc_testkit::{Tree, has_program, needs};

/// Answers each connection with its pid, and closes it; tells what it found in its environment.
pub const STUB: &str = r#"
import os, socket, select
names = ["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"]
with open("seen.new", "w") as file:
    file.write(str(os.getpid()) + "\n" + "".join(os.environ.get(name, "none") + "\n" for name in names))
os.rename("seen.new", "seen")
sockets = [socket.socket(fileno=3 + number) for number in range(int(os.environ["LISTEN_FDS"]))]
while True:
    for ready in select.select(sockets, [], [])[0]:
        connection, _ = ready.accept()
        connection.sendall(str(os.getpid()).encode())
        connection.close()
"#;

/// A service that answers on these sockets, put there whole; none where there is no python3.
pub fn stub(tree: &Tree, sockets: &str) -> bool {
    if !needs("python3", has_program("python3")) {
        return false;
    }
    let text = format!("command = 'python3 stub.py'\nsockets = {sockets}\n");
    tree.draft("web").file("stub.py", STUB).file("service.toml", &text);
    tree.place("web");
    true
}

/// Whether there is IPv6 here.
pub fn has_ipv6() -> bool {
    needs("IPv6", TcpListener::bind("[::1]:0").is_ok())
}

/// A service of each name with these keys is told by `svc-ctl check` with these words.
#[track_caller]
pub fn assert_wrong(cases: &[(&str, String, &str)]) {
    let tree = Tree::new();
    for (name, keys, _) in cases {
        tree.draft(name).file("service.toml", &format!("{keys}\n"));
        tree.place(name);
    }
    let said = tree.say(&["check", &tree.services().display().to_string()]);
    assert_eq!(said.code, 1, "{said:?}");
    let all = said.out + &said.err;
    for (name, _, words) in cases {
        let is_it = |line: &str| line.contains(&format!("/{name}/service.toml:")) && line.contains(words);
        assert!(all.lines().any(is_it), "{name}: {words} in\n{all}");
    }
}
