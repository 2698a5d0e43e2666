//! svlogd's own ways, and the system log.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixDatagram;

use svc_testkit::{kill, until};

use super::{Place, feed, logs, ours, start};

#[test]
fn svlogd_reads_its_directory_again() {
    let place = Place::new("svlogd");
    let dir = place.join("one");
    std::fs::create_dir(&dir).expect("a directory");
    let configure = |text: &str| std::fs::write(dir.join("config"), text).expect("a file");
    configure("# nothing of two\n\npA:\n-two*\ne*three*\nethree\n");
    let mut child = start(ours("svlogd", &["-tt", "-r", "?", "./one"]).current_dir(place.path()));
    let mut stdin = child.stdin.take().expect("piped");
    let text = || -> String {
        let texts = logs(&dir).into_iter().map(|log| String::from_utf8(log.bytes).expect("ASCII"));
        texts
            .collect::<String>()
            .lines()
            .map(|line| format!("{}\n", line.split_once(' ').map_or("", |(_, rest)| rest)))
            .collect()
    };
    stdin.write_all(b"one\x01\ntwo\nthree\n").expect("it reads");
    until("two lines", || (dir.exists() && text() == "A:one?\nA:three\n").then_some(()));
    configure("pB:\n-*\n+two*\n");
    kill(child.id() as i32, "HUP");
    // Which of the two it was when a line came cannot be known; so until it is the new one.
    until("the new prefix", || {
        stdin.write_all(b"two\n").expect("it reads");
        text().contains("B:two\n").then_some(())
    });
    drop(stdin);
    let output = child.wait_with_output().expect("our child");
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.ends_with(" A:three\n") && said.lines().count() == 1, "{said}");
}

#[test]
fn svlogd_processes_files_under_its_own_names() {
    let place = Place::new("svlogd-processor");
    let dir = place.join("one");
    std::fs::create_dir(&dir).expect("a directory");
    std::fs::write(dir.join("config"), "s4096\nn100\n!ls; cat\n").expect("a file");
    // What a predecessor has not processed is processed first.
    std::fs::write(dir.join("@400000006b00514a385fa6ca.u"), "before\n").expect("a file");
    let input: String = (0..100).map(|number| format!("{number:010} {}\n", "p".repeat(83))).collect();
    let made = feed(ours("svlogd", &["-l", "100", "./one"]).current_dir(place.path()), input.as_bytes());
    assert_eq!((made.code, made.err.as_str()), (Some(0), ""));
    let logs = logs(&dir);
    assert_eq!(logs[0].name, "@400000006b00514a385fa6ca.s");
    for log in &logs[..logs.len() - 1] {
        assert!(log.name.ends_with(".s"), "{}", log.name);
        let text = String::from_utf8_lossy(&log.bytes).into_owned();
        let stem = &log.name[..26];
        assert!(text.contains(&format!("{stem}u\n")) && text.contains(&format!("{stem}t\n")), "{text}");
    }
    assert!(logs.len() >= 3 && String::from_utf8_lossy(&logs[0].bytes).ends_with("before\n"));
}

#[test]
fn svlogd_leaves_out_what_it_cannot_open() {
    let place = Place::new("svlogd-open");
    std::fs::create_dir(place.join("one")).expect("a directory");
    std::fs::write(place.join("file"), "").expect("a file");
    let made = feed(ours("svlogd", &["./file", "./one"]).current_dir(place.path()), b"line\n");
    assert_eq!((made.code, made.err.lines().count()), (Some(0), 1), "{}", made.err);
    assert_eq!(super::all(&place.join("one")), b"line\n");
    let made = feed(ours("svlogd", &["./file"]).current_dir(place.path()), b"line\n");
    assert_eq!(made.code, Some(111), "{}", made.err);
}

#[test]
fn socklog_prints_what_is_sent() {
    let place = Place::new("socklog");
    let path = place.join("log");
    let socket = path.to_str().expect("ASCII");
    for (options, expected) in
        [(&[][..], ["user.notice: a~b", "authpriv.info: x", "plain"]), (&["-r"], ["<13>a~b", "<86>x", "plain"])]
    {
        let mut child = start(&mut ours("s6-socklog", &[&["-l", "76", "-x", socket], options].concat()));
        drop(child.stdin.take());
        let sender = UnixDatagram::unbound().expect("a socket");
        until("the socket", || sender.send_to(b"<13>a\nb\n", &path).ok());
        sender.send_to(b"<86>x\0", &path).expect("it listens");
        sender.send_to(b"plain", &path).expect("it listens");
        sender.send_to(&[b'y'; 100], &path).expect("it listens");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut next = || lines.next().expect("a line").expect("ASCII");
        assert_eq!([next(), next(), next()], expected);
        assert_eq!(next(), format!("{}...", "y".repeat(77)));
        kill(child.id() as i32, "TERM");
        assert_eq!(child.wait().expect("our child").code(), Some(0));
    }
}

#[test]
fn closed_descriptors_are_empty_ones() {
    let place = Place::new("closed");
    let program = svc_testkit::program();
    let script = format!("{0} s6-log ./one <&- && echo line | {0} s6-log 1 ./one >&- && cat one/current", program.display());
    let made = feed(super::theirs("sh", &["-c", &script]).current_dir(place.path()), b"");
    assert_eq!((made.code, made.out.as_str(), made.err.as_str()), (Some(0), "line\n", ""));
}
