//! Readiness: a supervisor of s6 and our programs below it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use svc_testkit::{Said, needs, program, spawn, until};

use super::{Scratch, ours};

/// A service directory under s6's supervisor, until it is dropped.
struct Service {
    dir: Scratch,
    supervisor: Option<Child>,
}

impl Service {
    /// None where s6 is not installed.
    fn new(name: &str, run: &str) -> Option<Service> {
        if !needs("s6-supervise, of Debian's s6", std::path::Path::new("/usr/bin/s6-supervise").exists()) {
            return None;
        }
        let dir = Scratch::new(&format!("ready-{name}"));
        fs::create_dir(dir.0.join("data")).expect("ours");
        let links = dir.0.join("data/bin");
        fs::create_dir(&links).expect("ours");
        for name in ["s6-notifyoncheck", "s6-notify-fd-from-socket"] {
            std::os::unix::fs::symlink(program(), links.join(name)).expect("ours");
        }
        dir.file("notification-fd", "3\n");
        let path = links.display();
        svc_testkit::executable(&dir.0.join("run"), format!("#!/bin/sh\nPATH={path}:/usr/bin:/bin\nexport PATH\n{run}\n"));
        Some(Service { dir, supervisor: None })
    }

    fn check(&self, script: &str) {
        svc_testkit::executable(&self.dir.0.join("data/check"), format!("#!/bin/sh\n{script}\n"));
    }

    fn start(&mut self) {
        let log = fs::File::create(self.dir.0.join("data/log")).expect("ours");
        let mut command = Command::new("/usr/bin/s6-supervise");
        command.arg(self.dir.path()).stdin(Stdio::null()).stdout(log.try_clone().expect("ours")).stderr(log);
        self.supervisor = Some(spawn(command.process_group(0)).expect("it runs"));
        until("the supervisor is there", || (self.status("up,ready").code == 0).then_some(()));
    }

    fn status(&self, fields: &str) -> Said {
        Said::by(Command::new("/usr/bin/s6-svstat").args(["-o", fields, self.dir.path()]))
    }

    fn tell(&self, words: &[&str]) -> i32 {
        Said::by(Command::new("/usr/bin/s6-svc").args(words).arg(self.dir.path())).code
    }

    fn await_ready(&self) {
        until("it is ready", || (self.status("ready").out == "true\n").then_some(()));
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.0.join("data/log")).unwrap_or_default()
    }

    /// The fifos of those who listen.
    fn listeners(&self) -> usize {
        let names = fs::read_dir(self.dir.0.join("event")).into_iter().flatten().flatten();
        names.filter(|name| name.file_name().to_string_lossy().starts_with("ftrig1")).count()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            self.tell(&["-xd"]);
            // The service may be deaf.
            self.tell(&["-k"]);
            let _ = supervisor.wait();
        }
    }
}

#[test]
fn a_service_is_ready_when_its_check_succeeds() {
    for options in ["", "-d"] {
        let run = format!("exec s6-notifyoncheck {options} -n 0 -w 20 sleep 1000");
        let Some(mut service) = Service::new(&format!("check{options}"), &run) else { return };
        service.check("echo asked >> data/asked; [ -e data/now ]");
        service.start();
        let asked = service.dir.0.join("data/asked");
        until("it was asked twice", || fs::read_to_string(&asked).ok().filter(|text| text.lines().count() > 1));
        assert_eq!(service.status("up,ready").out, "true false\n");
        service.dir.file("data/now", "");
        service.await_ready();
        let pid = service.status("pid").out.trim().to_owned();
        let words = || fs::read(format!("/proc/{pid}/cmdline")).expect("it lives");
        // The child that asks may be faster.
        until("the daemon in the place of s6-notifyoncheck", || (words() == b"sleep\x001000\0").then_some(()));
        assert!(!fs::exists(format!("/proc/{pid}/fd/3")).expect("/proc"), "the daemon does not have the descriptor");
        until("nobody listens any more", || (service.listeners() == 0).then_some(()));
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        assert_eq!(children.split_whitespace().count(), if options.is_empty() { 1 } else { 0 }, "'{options}': {children}");
    }
}

#[test]
fn a_check_may_be_a_line_of_execline() {
    let line = "redirfd -w 1 /dev/null if { s6-test -e data/now } sh -c \"echo asked\"";
    let run = &format!("exec s6-notifyoncheck -n 0 -w 20 -c '{line}' sleep 1000");
    let Some(mut service) = Service::new("execline", run) else { return };
    // No link of these names is needed.
    fs::remove_dir_all(service.dir.0.join("data/bin")).expect("ours");
    fs::create_dir(service.dir.0.join("data/bin")).expect("ours");
    std::os::unix::fs::symlink(program(), service.dir.0.join("data/bin/s6-notifyoncheck")).expect("ours");
    service.start();
    let up = until("it is up", || Some(service.status("up,ready").out).filter(|out| out.starts_with("true")));
    assert_eq!(up, "true false\n");
    service.dir.file("data/now", "");
    service.await_ready();
    assert!(!service.log().contains("asked") && !service.log().contains("warning"), "{}", service.log());
}

#[test]
fn asking_ends_when_the_service_goes_down() {
    let Some(mut service) = Service::new("down", "exec s6-notifyoncheck -n 0 -w 20 sleep 1000") else { return };
    service.check("echo $PPID > data/asker.new; mv data/asker.new data/asker; exit 1");
    service.start();
    let asker = until("it was asked", || fs::read_to_string(service.dir.0.join("data/asker")).ok()?.trim().parse().ok());
    assert!(svc_testkit::is_alive(asker));
    assert_eq!(service.tell(&["-d", "-wD", "-T", "120000"]), 0);
    until("nobody asks any more", || (!svc_testkit::is_alive(asker)).then_some(()));
    assert_eq!(service.listeners(), 0);
}

#[test]
fn asking_ends_with_the_tries_or_the_time() {
    for (name, options) in [("tries", "-n 2 -w 1"), ("time", "-n 0 -T 3000 -w 1"), ("first", "-s 600000 -T 50")] {
        let run = format!("exec s6-notifyoncheck {options} sleep 1000");
        let Some(mut service) = Service::new(name, &run) else { return };
        service.check("echo >> data/asked; exit 1");
        service.start();
        until("nobody asks any more", || {
            let daemon = service.status("pid").out.trim().parse().ok().filter(|&pid: &i32| pid > 0)?;
            // Nobody waits for the child that has asked: it stays when it has ended.
            let asker = svc_testkit::processes().into_iter().find(|process| process.parent == daemon)?;
            asker.is_zombie().then_some(())
        });
        assert_eq!(service.listeners(), 0, "{name}");
        assert_eq!(service.status("up,ready").out, "true false\n", "{name}");
        let asked = fs::read_to_string(service.dir.0.join("data/asked")).unwrap_or_default().lines().count();
        match name {
            "tries" => assert_eq!(asked, 2),
            "first" => assert_eq!(asked, 0),
            _ => assert!(asked > 0),
        }
    }
}

#[test]
fn a_check_that_hangs_is_ended() {
    let Some(mut service) = Service::new("hang", "exec s6-notifyoncheck -n 0 -w 1 -t 1000 sleep 1000") else { return };
    service.check("[ -e data/first ] && exit 0; echo $$ > data/first; exec sleep 1000");
    service.start();
    service.await_ready();
    let first = fs::read_to_string(service.dir.0.join("data/first")).expect("it was asked");
    let first = first.trim().parse().expect("a pid");
    until("the first check is gone", || (!svc_testkit::is_alive(first)).then_some(()));
}

#[test]
fn it_says_what_is_missing() {
    let dir = Scratch::new("ready-missing");
    let run = |words: &[&str]| Said::by(ours("s6-notifyoncheck").current_dir(&dir.0).args(words));
    for (words, code, message) in [
        (&["true"][..], 100, "no supervisor runs"),
        (&["-3", "77", "true"], 100, "no supervisor runs"),
        (&["-3", "x", "true"], 100, "must be a number"),
        (&["-3", "1"], 100, "the program to execute is missing"),
    ] {
        let said = run(words);
        assert!(said.code == code && said.err.contains(message), "{words:?}: {said:?}");
    }
}

#[test]
fn a_daemon_that_speaks_to_systemd_is_ready_for_s6() {
    let Some(mut service) = Service::new(
        "socket",
        "exec s6-notify-fd-from-socket sh -c 'echo $NOTIFY_SOCKET > data/name.new; mv data/name.new data/name; exec sleep 1000'",
    ) else {
        return;
    };
    service.start();
    let name = until("the daemon knows its socket", || fs::read_to_string(service.dir.0.join("data/name")).ok());
    assert!(name.starts_with('@'), "{name}");
    let send = |text: &str| {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name.trim()[1..]).expect("a name");
        let socket = UnixDatagram::unbound().expect("a socket");
        socket.connect_addr(&address).expect("somebody listens");
        socket.send(text.as_bytes()).expect("somebody reads");
    };
    send("STATUS=NOT READY=1\nX=READY=1");
    assert_eq!(service.status("up,ready").out, "true false\n");
    // As sd_notify(3) sends it, with no newline at the end.
    send("STATUS=fine\nREADY=1");
    service.await_ready();
    assert!(!service.log().contains("fatal"), "{}", service.log());
}

#[test]
fn a_daemon_that_speaks_to_s6_is_ready_for_systemd() {
    let dir = Scratch::new("ready-systemd");
    let path = dir.0.join("socket");
    let socket = UnixDatagram::bind(&path).expect("ours");
    socket.set_read_timeout(Some(svc_testkit::PATIENCE)).expect("a socket");
    let mut command = ours("s6-notify-socket-from-fd");
    command.args(["-d", "5", "sh", "-c", "echo ${NOTIFY_SOCKET-unset}; echo >&5; exec 5>&-; exec sleep 1000"]);
    let mut daemon = spawn(command.env("NOTIFY_SOCKET", &path).stdout(Stdio::piped())).expect("it runs");
    let mut text = [0; 200];
    let size = socket.recv(&mut text).expect("a message");
    assert_eq!(String::from_utf8_lossy(&text[..size]), format!("READY=1\nMAINPID={}\n", daemon.id()));
    let size = socket.recv(&mut text).expect("another");
    assert_eq!(&text[..size], b"BARRIER=1\n");
    let mut line = [0; 6];
    daemon.stdout.as_mut().expect("piped").read_exact(&mut line).expect("a line");
    assert_eq!(&line, b"unset\n");
    let _ = daemon.kill();
    let _ = daemon.wait();
    let said = Said::by(ours("s6-notify-socket-from-fd").args(["echo", "on"]));
    assert_eq!((said.out.as_str(), said.code), ("on\n", 0), "without NOTIFY_SOCKET there is nothing to do");
}

#[test]
fn connections_are_copied_both_ways() {
    let dir = Scratch::new("ioconnect");
    let fifo = |name: &str| {
        let path = dir.0.join(name).display().to_string();
        assert_eq!(Said::by(ours("s6-mkfifo").arg(&path)).code, 0);
        path
    };
    let (there, back) = (fifo("there"), fifo("back"));
    // The other side answers each line, and ends when there is no more.
    let other = format!("while read -r line; do echo \"<$line>\"; done <{there} >{back}");
    let mut other = spawn(Command::new("sh").args(["-c", &other])).expect("it runs");
    let script = format!("exec {} s6-ioconnect 7>{there} 6<{back}", program().display());
    let mut command = Command::new("sh");
    let mut child = spawn(command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped())).expect("it runs");
    let mut pipe = child.stdin.take().expect("piped");
    pipe.write_all(b"one\n").expect("it reads");
    let mut line = [0; 6];
    child.stdout.as_mut().expect("piped").read_exact(&mut line).expect("a line");
    assert_eq!(&line, b"<one>\n");
    pipe.write_all(b"two\n").expect("it reads");
    drop(pipe);
    let output = child.wait_with_output().expect("ours");
    assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"<two>\n"[..], Some(0)));
    assert!(other.wait().expect("ours").success());
    let said = Said::by(
        Command::new("sh").args(["-c", &format!("exec {} s6-ioconnect -t 50 6<>{there} 7>&6 <&6", program().display())]),
    );
    assert_eq!(said.code, 1, "nothing comes: {said:?}");
}
