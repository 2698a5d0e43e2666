//! What a program is given, what is wrong with a definition, and addresses that are not to be had.

use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;

use svc_testkit::{NOBODY, State, Tree, free_port as port, is_root, until};

use crate::{assert_wrong, stub};

#[test]
fn it_finds_them_from_descriptor_3_on_with_their_names_and_its_own_pid() {
    let mut tree = Tree::new();
    let port = port();
    let path = tree.path("new/web.sock").display().to_string();
    let sockets = format!(
        "[{{ listen = '127.0.0.1:{port}', name = 'http', backlog = 5 }}, {{ listen = '{path}', name = 'admin', mode = '0640' }}, '@{path}']"
    );
    if !stub(&tree, &sockets) {
        return;
    }
    tree.start();
    let pid = tree.await_up("web");
    let seen = tree.await_lines("web/seen", 4);
    assert_eq!(seen, [&pid.to_string(), "3", "http:admin:listen", &pid.to_string()]);
    let data = std::fs::metadata(&path).expect("a socket");
    assert!(data.file_type().is_socket());
    assert_eq!(data.permissions().mode() & 0o777, 0o640);
    let mut answer = String::new();
    UnixStream::connect(&path).expect("it listens").read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, pid.to_string());
    assert_eq!(tree.stop(), 0);
    // What is left of the file is no obstacle.
    tree.start();
    let pid = tree.await_up("web");
    let mut answer = String::new();
    UnixStream::connect(&path).expect("it listens").read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, pid.to_string());
    std::fs::remove_dir_all(tree.services().join("web")).expect("ours");
    until("the end of the file", || (!std::path::Path::new(&path).exists()).then_some(()));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_privileged_socket_is_opened_before_the_user_is_set() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let path = tree.path("web.sock").display().to_string();
    // A port below 1024 that nobody has; in a namespace without such a limit it is as good as any other.
    let port = (900..1000).find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).expect("a free one");
    let shell = "id -u; exec sleep 1000";
    let text = format!(
        "command = ['sh', '-c', '{shell}']\nuser = '{NOBODY}:{NOBODY}'\n\
         sockets = ['127.0.0.1:{port}', {{ listen = '{path}', user = {NOBODY}, group = 'daemon' }}]\n"
    );
    tree.draft("web").file("service.toml", &text);
    tree.place("web");
    tree.start();
    tree.await_up("web");
    until("its user", || tree.log().contains(&NOBODY.to_string()).then_some(()));
    std::net::TcpStream::connect(("127.0.0.1", port)).expect("somebody holds it");
    let data = std::fs::metadata(&path).expect("a socket");
    assert_eq!((data.uid(), data.gid()), (NOBODY, 1));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_address_that_somebody_else_has_is_told_and_waited_for() {
    let mut tree = Tree::new();
    let port = port();
    let other = TcpListener::bind(("127.0.0.1", port)).expect("still free");
    if !stub(&tree, &format!("['127.0.0.1:{port}']")) {
        return;
    }
    tree.start();
    let own = format!("(pid {})", std::process::id());
    let has = |text: &String| text.contains(&format!("127.0.0.1:{port}: address in use by")) && text.contains(&own);
    until(&format!("a word about it; log:\n{}", tree.log()), || tree.status("web")?.problem.filter(has));
    assert!(has(&tree.log()), "{}", tree.log());
    assert!(tree.ctl_ok(&["why", "web"]).contains("address in use"));
    let status = tree.status("web").expect("a status");
    assert!(status.state == State::Waiting && status.next_start_ms.is_some(), "it is tried again: {status:?}");
    drop(other);
    tree.await_up("web");
    assert_eq!(tree.status("web").and_then(|status| status.problem), None);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_address_that_another_service_has_is_told_with_its_name() {
    let mut tree = Tree::new();
    let port = port();
    for (name, listen) in [("has", format!("127.0.0.1:{port}")), ("file", tree.path("socket").display().to_string())] {
        tree.draft(name).file("service.toml", &format!("command = 'sleep 1000'\nsockets = ['{listen}']"));
        tree.place(name);
    }
    tree.start();
    tree.await_up("has");
    tree.await_up("file");
    for (name, rival, listen) in
        [("web", "has", format!("127.0.0.1:{port}")), ("log", "file", tree.path("socket").display().to_string())]
    {
        tree.draft(name).file("service.toml", &format!("command = 'sleep 1000'\nsockets = ['{listen}']"));
        tree.place(name);
        let told = format!("{listen}: address in use by {rival}: choose another one for one of the two");
        until(&told, || tree.status(name)?.problem.filter(|problem| *problem == told));
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn wrong_values_are_told_with_their_cure() {
    let cases = [
        (
            "fd",
            "sockets = ['0.0.0.0:80', '[::]:80']\nready.fd = 4",
            "ready.fd asks for descriptor 4, and so does sockets, which has 3 to 4: write ready.fd = 5",
        ),
        ("name", "sockets = ['localhost:80']", "sockets: \"localhost:80\" is no address: write numbers, such as 0.0.0.0:80"),
        ("port", "sockets = ['0.0.0.0:0']", "sockets: \"0.0.0.0:0\" has no port: ports are 1 to 65535"),
        ("scheme", "sockets = ['http://0.0.0.0:80']", "is no address: there are ADDRESS:PORT, tcp://, udp://, /PATH"),
        ("twice", "sockets = ['80', '[::]:80']", "sockets has [::]:80 twice"),
        ("field", "sockets = [{ listen = '80', mod = '0660' }]", "did you mean mode?"),
        (
            "mode",
            "sockets = [{ listen = '80', mode = '0660' }]",
            "sockets: mode means something for a socket in the file system only",
        ),
        ("octal", "sockets = [{ listen = '/x', mode = '0999' }]", "must be octal digits in quotes"),
        ("colon", "sockets = [{ listen = '80', name = 'a:b' }]", "sockets: name must be a word without a colon"),
        ("none", "sockets = [{ name = 'a' }]", "sockets has an entry without listen"),
        (
            "stack",
            "sockets = [{ listen = '0.0.0.0:80', dual-stack = true }]",
            "dual-stack means something for an address of IPv6 only",
        ),
    ];
    assert_wrong(&cases.map(|(name, keys, words)| (name, format!("command = 'true'\n{keys}"), words)));
}
