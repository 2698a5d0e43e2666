//! Every kind of socket, and every option, by what it does for the program and for those who come.

use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use svc_testkit::{NOBODY, Tree, free_port as port, has_program, is_root, needs, until};

use crate::{has_ipv6, stub};

/// Tells of each socket what it is, and answers: a datagram or packet with itself, a connection by closing it.
const TELLER: &str = r#"
import os, socket, select
names = os.environ["LISTEN_FDNAMES"].split(":")
sockets = [socket.socket(fileno=3 + number) for number in range(len(names))]
with open("seen.new", "w") as file:
    for name, one in zip(names, sockets):
        listens = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        file.write(f"{name} {one.family.name} {one.type.name} {listens} {one.getblocking()}\n")
os.rename("seen.new", "seen")
while True:
    for ready in select.select(sockets, [], [])[0]:
        if ready.type == socket.SOCK_DGRAM:
            data, sender = ready.recvfrom(100)
            ready.sendto(data, sender)
        else:
            connection, _ = ready.accept()
            if ready.type == socket.SOCK_SEQPACKET:
                connection.send(connection.recv(100))
            connection.close()
"#;

fn teller(tree: &Tree, sockets: &str) -> bool {
    if !needs("python3", has_program("python3")) {
        return false;
    }
    let text = format!("command = 'python3 stub.py'\nsockets = {sockets}\n");
    tree.draft("web").file("stub.py", TELLER).file("service.toml", &text);
    tree.place("web");
    true
}

/// What a few lines of Python print, which may need what std has not.
fn python(text: &str) -> String {
    let output = Command::new("python3").args(["-c", text]).output().expect("python3");
    assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn datagrams_and_packets_reach_the_program_and_its_answers_come_back() {
    let mut tree = Tree::new();
    let [udp, udp6] = [port(), port()];
    let path = tree.path("s").display().to_string();
    let sockets = format!(
        "[{{ listen = 'udp://127.0.0.1:{udp}', name = 'udp' }}, {{ listen = 'udp://[::1]:{udp6}', name = 'udp6' }},\n\
         {{ listen = 'unix-datagram://{path}.d', name = 'd' }}, {{ listen = 'unix-packets://{path}.p', name = 'p' }},\n\
         {{ listen = 'unix-datagram://@{path}', name = 'abstract' }}]"
    );
    if !has_ipv6() || !teller(&tree, &sockets) {
        return;
    }
    tree.start();
    let kinds = [
        "udp AF_INET SOCK_DGRAM 0 True",
        "udp6 AF_INET6 SOCK_DGRAM 0 True",
        "d AF_UNIX SOCK_DGRAM 0 True",
        "p AF_UNIX SOCK_SEQPACKET 1 True",
        "abstract AF_UNIX SOCK_DGRAM 0 True",
    ];
    assert_eq!(tree.await_lines("web/seen", kinds.len()), kinds);
    let mut answer = [0; 100];
    for (own, other, port) in [("127.0.0.1:0", "127.0.0.1", udp), ("[::1]:0", "::1", udp6)] {
        let socket = UdpSocket::bind(own).expect("a port");
        socket.set_read_timeout(Some(svc_testkit::PATIENCE)).expect("not zero");
        socket.send_to(b"internet", (other, port)).expect("sent");
        let length = socket.recv(&mut answer).expect("an answer");
        assert_eq!(&answer[..length], b"internet");
    }
    let socket = UnixDatagram::bind(format!("{path}.own")).expect("a name");
    socket.set_read_timeout(Some(svc_testkit::PATIENCE)).expect("not zero");
    socket.send_to(b"local", format!("{path}.d")).expect("sent");
    let length = socket.recv(&mut answer).expect("an answer");
    assert_eq!(&answer[..length], b"local");
    let packets = format!(
        "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('{path}.p'); s.send(b'one'); print(s.recv(9))"
    );
    assert_eq!(python(&packets), "b'one'");
    let nameless = format!(
        "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(''); s.sendto(b'two', '\\0{path}'); print(s.recv(9))"
    );
    assert_eq!(python(&nameless), "b'two'");
    // Those that came while it was restarted wait for the next one.
    tree.ctl_ok(&["stop", "web"]);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(svc_testkit::PATIENCE)).expect("not zero");
    socket.send_to(b"early", ("127.0.0.1", udp)).expect("sent");
    tree.ctl_ok(&["start", "web"]);
    let length = socket.recv(&mut answer).expect("an answer");
    assert_eq!(&answer[..length], b"early");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_address_of_ipv6_takes_ipv4_too_where_that_is_asked_for() {
    let mut tree = Tree::new();
    let [both, six] = [port(), port()];
    let sockets = format!("[{{ listen = '[::]:{both}', dual-stack = true }}, {{ listen = '[::]:{six}' }}]");
    if !has_ipv6() || !stub(&tree, &sockets) {
        return;
    }
    tree.start();
    tree.await_up("web");
    for port in [both, six] {
        until("an answer by IPv6", || TcpStream::connect(("::1", port)).ok());
    }
    TcpStream::connect(("127.0.0.1", both)).expect("both");
    TcpStream::connect(("127.0.0.1", six)).expect_err("IPv6 only");
    // A port alone is every address.
    let all = port();
    let text = format!("command = 'sleep 1000'\nsockets = ['{all}']\n");
    tree.draft("all").file("service.toml", &text);
    tree.place("all");
    tree.ctl_ok(&["rescan"]);
    tree.await_up("all");
    TcpStream::connect(("127.0.0.1", all)).expect("IPv4");
    TcpStream::connect(("::1", all)).expect("IPv6");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_shared_port_has_room_for_others_and_another_has_not() {
    let mut tree = Tree::new();
    let [shared, alone] = [port(), port()];
    let sockets = format!("[{{ listen = '127.0.0.1:{shared}', reuse-port = true }}, '127.0.0.1:{alone}']");
    if !stub(&tree, &sockets) {
        return;
    }
    tree.start();
    tree.await_up("web");
    let bind = |port: u16| {
        python(&format!(
            "import socket\ns = socket.socket()\ns.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n\
             try: s.bind(('127.0.0.1', {port})); print('bound')\nexcept OSError as error: print(error.errno)"
        ))
    };
    assert_eq!(bind(shared), "bound");
    assert_eq!(bind(alone), "98", "EADDRINUSE");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_backlog_is_how_many_wait() {
    if !needs("python3", has_program("python3")) {
        return;
    }
    let mut tree = Tree::new();
    let path = tree.path("s").display().to_string();
    // Nobody takes them.
    let text = format!("command = 'sleep 1000'\nsockets = [{{ listen = '{path}', backlog = 3 }}]\n");
    tree.draft("web").file("service.toml", &text);
    tree.place("web");
    tree.start();
    tree.await_up("web");
    let count = python(&format!(
        "import socket\nheld = []\ntry:\n  while True:\n    s = socket.socket(socket.AF_UNIX); s.setblocking(False); \
         s.connect('{path}'); held.append(s)\nexcept BlockingIOError: print(len(held))"
    ));
    assert_eq!(count, "4", "the kernel takes one more than it is told");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_path_has_the_mode_and_owner_that_it_is_given() {
    let mut tree = Tree::new();
    let path = tree.path("s").display().to_string();
    let owner = if is_root() { format!(", user = {NOBODY}, group = {NOBODY}") } else { String::new() };
    let sockets = format!(
        "['{path}.plain', {{ listen = '{path}.group', mode = '0660'{owner} }}, {{ listen = 'unix-datagram://{path}.own', mode = '0600' }}]"
    );
    tree.draft("web").file("service.toml", &format!("command = 'sleep 1000'\nsockets = {sockets}\n"));
    tree.place("web");
    tree.start();
    tree.await_up("web");
    let data = |end: &str| std::fs::metadata(format!("{path}.{end}")).expect("a socket");
    let mode = |end: &str| data(end).permissions().mode() & 0o777;
    assert_eq!((mode("plain"), mode("group"), mode("own")), (0o666, 0o660, 0o600));
    if is_root() && needs("python3", has_program("python3")) {
        assert_eq!((data("group").uid(), data("group").gid()), (NOBODY, NOBODY));
        let connects = |uid: u32, end: &str| {
            python(&format!(
                "import os, socket\nos.setgid(65533); os.setuid({uid})\n\
                 try: socket.socket(socket.AF_UNIX).connect('{path}.{end}'); print('in')\nexcept OSError as error: print(error.errno)"
            ))
        };
        // The way there is open to all.
        std::fs::set_permissions(tree.root(), std::fs::Permissions::from_mode(0o755)).expect("ours");
        assert_eq!([connects(65533, "plain"), connects(65533, "group"), connects(NOBODY, "group")], ["in", "13", "in"]);
    }
    assert_eq!(tree.stop(), 0);
}
