//! Connections all the time, while everybody between them and the kernel is restarted or killed.

use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use svc_testkit::{State, Tree, free_port as port, has_program, kill, needs, until};

use crate::stub;

/// 200 a second.
const PACE: Duration = Duration::from_millis(5);

/// So often the program is ended meanwhile; between them supervisors and svc-scan are.
const ENDS: u32 = 50;

#[derive(Default)]
struct Count {
    made: AtomicU32,
    answered: AtomicU32,
    /// Accepted by a program that was ended before it had answered: not ours to save.
    lost: AtomicU32,
    refused: AtomicU32,
    over: AtomicBool,
}

/// Makes connections at their pace until it is over; none waits for another. Who is late makes up for it, so there are as many as
/// there is time for. Returns how late it was at worst.
fn knock(port: u16, count: &Count, began: Instant) -> Duration {
    let (mut next, mut end, mut behind) = (began, None, Duration::ZERO);
    std::thread::scope(|scope| {
        while end.is_none_or(|end| next <= end) {
            behind = behind.max(next.elapsed());
            scope.spawn(|| {
                count.made.fetch_add(1, Ordering::Relaxed);
                let Ok(mut connection) = TcpStream::connect(("127.0.0.1", port)) else {
                    count.refused.fetch_add(1, Ordering::Relaxed);
                    return;
                };
                connection.set_read_timeout(Some(svc_testkit::PATIENCE)).expect("not zero");
                let mut answer = String::new();
                let whole = connection.read_to_string(&mut answer).is_ok() && answer.parse::<i32>().is_ok();
                let which = if whole { &count.answered } else { &count.lost };
                which.fetch_add(1, Ordering::Relaxed);
            });
            next += PACE;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            if count.over.load(Ordering::Relaxed) {
                end.get_or_insert_with(Instant::now);
            }
        }
    });
    behind
}

#[test]
fn nobody_is_refused_while_it_is_restarted_fifty_times() {
    let mut tree = Tree::new();
    let port = port();
    if !stub(&tree, &format!("['127.0.0.1:{port}']")) {
        return;
    }
    tree.start();
    tree.await_up("web");
    until("the socket", || TcpStream::connect(("127.0.0.1", port)).ok());
    let count = Count::default();
    let (mut ends, began) = (0, Instant::now());
    let (took, behind) = std::thread::scope(|scope| {
        let knocker = scope.spawn(|| knock(port, &count, began));
        // Should an assertion fail, the others end all the same.
        let over = Over(&count);
        for round in 0.. {
            if ends == ENDS {
                break;
            }
            match round % 10 {
                0..=5 => {
                    tree.ctl_ok(&["restart", "web"]);
                    ends += 1;
                }
                6 | 7 => {
                    let pid = tree.await_up("web");
                    kill(pid, "KILL");
                    ends += 1;
                    tree.await_status("web", "another one", |status| {
                        status.state == State::Up && status.pid.is_some_and(|new| new != pid)
                    });
                }
                8 => tree.kill_supervisor("web"),
                _ => {
                    tree.kill_scan();
                }
            }
        }
        let took = began.elapsed();
        drop(over);
        (took, knocker.join().expect("it only knocks"))
    });
    let [made, answered, lost, refused] =
        [&count.made, &count.answered, &count.lost, &count.refused].map(|number| number.load(Ordering::Relaxed));
    println!(
        "{made} connections in {} s, {behind:?} late at worst: {answered} answered, {lost} of {ends} ended programs lost, {refused} refused",
        took.as_secs()
    );
    assert_eq!(refused, 0);
    assert!(lost <= ends, "{lost} lost, and a program that ends has one at most in its hands ({ends} ended)");
    assert_eq!(answered + lost, made);
    assert!(made >= (took.as_millis() / PACE.as_millis()) as u32, "{made} in {took:?}");
    assert_eq!(tree.stop(), 0);
}

struct Over<'a>(&'a Count);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// The number of the socket that listens on a port.
fn inode(port: u16) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("/proc");
    let line = table.lines().find(|line| line.contains(&format!(":{port:04X} ")) && line.contains(" 0A "))?;
    line.split_ascii_whitespace().nth(9).map(str::to_owned)
}

#[test]
fn a_changed_definition_keeps_what_it_still_names_and_closes_the_rest() {
    let mut tree = Tree::new();
    let [first, second] = [port(), port()];
    if !stub(&tree, &format!("['127.0.0.1:{first}']")) {
        return;
    }
    tree.start();
    tree.await_up("web");
    let before = until("the socket", || inode(first));
    let edit = |sockets: &str| {
        let dir = tree.services().join("web");
        std::fs::write(dir.join(".new"), format!("command = 'python3 stub.py'\nsockets = {sockets}\n")).expect("ours");
        std::fs::rename(dir.join(".new"), dir.join("service.toml")).expect("ours");
        tree.ctl_ok(&["rescan"]);
    };
    edit(&format!("['127.0.0.1:{second}', '127.0.0.1:{first}']"));
    until("the new socket", || inode(second));
    assert_eq!(inode(first).as_ref(), Some(&before), "the same one as before");
    for port in [first, second] {
        let mut answer = String::new();
        let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("nobody is refused");
        connection.read_to_string(&mut answer).expect("an answer");
        assert!(answer.parse::<i32>().is_ok(), "{answer}");
    }
    edit(&format!("['127.0.0.1:{second}']"));
    until("the end of the first", || inode(first).is_none().then_some(()));
    assert!(inode(second).is_some());
    // Until it has come it writes there.
    until("one with one socket", || (tree.lines("web/seen").get(1)? == "1").then_some(()));
    tree.await_up("web");
    std::fs::remove_dir_all(tree.services().join("web")).expect("ours");
    until("the end of the second", || inode(second).is_none().then_some(()));
    assert_eq!(tree.stop(), 0);
}

/// Writes down the ports that it is given, in their order.
const TELLER: &str = r#"
import os, socket, time
sockets = [socket.socket(fileno=3 + number) for number in range(int(os.environ["LISTEN_FDS"]))]
with open("ports", "a") as file:
    file.write(" ".join(str(one.getsockname()[1]) for one in sockets) + "\n")
time.sleep(1000)
"#;

#[test]
fn as_many_sockets_as_before_may_be_other_ones() {
    let mut tree = Tree::new();
    if !needs("python3", has_program("python3")) {
        return;
    }
    let [first, second] = [port(), port()];
    let text = |ports: &[u16]| {
        let sockets: Vec<String> = ports.iter().map(|port| format!("'127.0.0.1:{port}'")).collect();
        format!("command = 'python3 teller.py'\nsockets = [{}]\n", sockets.join(", "))
    };
    tree.draft("web").file("teller.py", TELLER).file("service.toml", &text(&[first]));
    tree.place("web");
    tree.start();
    let mut told = vec![first.to_string()];
    assert_eq!(tree.await_lines("web/ports", 1), told);
    for ports in [&[second][..], &[second, first], &[first, second]] {
        tree.edit("web", &text(ports));
        told.push(ports.iter().map(u16::to_string).collect::<Vec<_>>().join(" "));
        assert_eq!(tree.await_lines("web/ports", told.len()), told);
    }
    tree.edit("web", &text(&[second]));
    until("the end of the first", || inode(first).is_none().then_some(()));
    told.push(second.to_string());
    tree.await_lines("web/ports", told.len());
    // So it is for those who come later.
    tree.kill_scan();
    tree.kill_supervisor("web");
    tree.await_up("web");
    tree.ctl_ok(&["restart", "web"]);
    told.push(second.to_string());
    assert_eq!(tree.await_lines("web/ports", told.len()), told);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn svc_init_that_executes_itself_again_holds_them_still() {
    let mut tree = Tree::new();
    let port = port();
    if !stub(&tree, &format!("['127.0.0.1:{port}']")) {
        return;
    }
    tree.set("SVC_DEBUG_FAULT", "panic");
    tree.start();
    tree.await_up("web");
    let before = until("the socket", || inode(port));
    kill(tree.init_pid(), "64");
    until("its word", || tree.log().contains("re-executed after a fault").then_some(()));
    tree.ctl_ok(&["restart", "web"]);
    assert_eq!(inode(port), Some(before));
    assert_eq!(tree.stop(), 0);
}
