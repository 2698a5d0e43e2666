//! sd_notify(3) and the watchdog, with a service in Python that says what it is told to say.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use svc_testkit::{State, Tree, api, has_program, is_root, kill, needs, until};

/// Reads commands from the FIFO `told`: each line is Python, in which `say(text)` sends a message.
const SPEAKER: &str = r#"
import os, socket, sys, time, array, signal, subprocess
name = os.environ["NOTIFY_SOCKET"]
address = "\0" + name[1:] if name[0] == "@" else name
speaker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def say(text, fds=()):
    data = text if isinstance(text, bytes) else text.encode()
    with_fds = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    speaker.sendmsg([data], with_fds, 0, address)
def done(text):
    with open("seen", "a") as file: file.write(str(text) + "\n")
# Open for writing, too: there is no end of it, and no moment in which a line would be lost with its last reader.
for line in os.fdopen(os.open("told", os.O_RDWR)): exec(line)
"#;

struct Speaker {
    tree: Tree,
    told: PathBuf,
}

impl Speaker {
    fn new(keys: &str) -> Option<Speaker> {
        if !needs("python3", has_program("python3")) {
            return None;
        }
        let tree = Tree::new();
        let dir = tree.services().join("web");
        let command = format!("command = [\"sh\", \"-c\", 'cd {}; exec python3 speaker']", dir.display());
        tree.draft("web").file("speaker", SPEAKER).file("service.toml", &format!("{command}\n{keys}\n"));
        let told = tree.place("web").path().join("told");
        svc_testkit::fifo(&told);
        let mut speaker = Speaker { tree, told };
        speaker.tree.start();
        speaker.tree.await_up("web");
        Some(speaker)
    }

    /// Has it execute this line. Returns when it has a reader.
    fn tell(&self, line: &str) {
        // O_NONBLOCK: without a reader there is an error, and no end of waiting.
        let open = || std::fs::OpenOptions::new().write(true).custom_flags(0o4000).open(&self.told).ok();
        let mut fifo = until("the service to read", open);
        writeln!(fifo, "{line}").expect("the service reads it");
    }

    /// The same, and waits until it has been executed.
    fn tell_and_wait(&self, line: &str) {
        let before = self.tree.lines("web/seen").len();
        self.tell(&format!("{line}; done(1)"));
        self.tree.await_lines("web/seen", before + 1);
    }

    fn status(&self) -> api::Status {
        self.tree.status("web").expect("web")
    }

    #[track_caller]
    fn await_says(&self, text: &str) {
        self.tree.await_status("web", text, |status| {
            status.health.as_ref().and_then(|health| health.says.as_deref()) == Some(text)
        });
    }

    fn phase(&self) -> Option<api::Phase> {
        self.status().health.and_then(|health| health.phase)
    }
}

#[test]
fn ready_status_reloading_and_stopping_are_heard() {
    let Some(mut web) = Speaker::new("ready.notify = true") else { return };
    assert_eq!(web.status().ready, Some(false));
    web.tell("say('STATUS=warming up')");
    web.await_says("warming up");
    assert_eq!(web.status().ready, Some(false));
    web.tell("say('READY=1\\nSTATUS=at work: 100 %')");
    web.await_says("at work: 100 %");
    web.tree.await_status("web", "ready", |status| status.ready == Some(true));
    let why = web.tree.ctl_ok(&["why", "web"]);
    assert!(why.contains(", ready") && why.contains("  says: at work: 100 %\n"), "{why}");
    web.tell("say('RELOADING=1\\nMONOTONIC_USEC=%d' % (time.monotonic() * 1e6))");
    until("that it reloads", || (web.phase() == Some(api::Phase::Reloading)).then_some(()));
    assert!(web.tree.ctl_ok(&["why", "web"]).contains(", reloading"));
    web.tell("say('READY=1')");
    until("that it has reloaded", || web.phase().is_none().then_some(()));
    web.tell("say('STOPPING=1\\nERRNO=28')");
    until("that it stops", || (web.phase() == Some(api::Phase::Stopping)).then_some(()));
    web.await_says("error 28: No space left on device (os error 28)");
    // Each is shown, and one is told: it may say so without end.
    web.tell("[say('ERRNO=%d' % number) for number in [5, 28] * 20 + [32]]");
    web.await_says("error 32: Broken pipe (os error 32)");
    assert_eq!(web.tree.log().matches("says that it has failed").count(), 1, "{}", web.tree.log());
    // Nothing of it is left over in the next run.
    web.tree.ctl_ok(&["restart", "--no-wait", "web"]);
    web.tree.await_status("web", "another run", |status| status.restarts == 1 && status.state == State::Up);
    let health = web.status().health.expect("it may speak");
    assert_eq!((health.says, health.phase, web.status().ready), (None, None, Some(false)));
    web.tell("say('READY=1')");
    web.tree.await_status("web", "ready", |status| status.ready == Some(true));
    assert_eq!(web.tree.stop(), 0);
}

#[test]
fn only_those_may_speak_who_are_named() {
    let child = "subprocess.Popen([sys.executable, '-c', 'import socket,os,time; n=os.environ[\"NOTIFY_SOCKET\"]; \
                 s=socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b\"READY=1\", n if n[0]!=\"@\" else \"\\\\0\"+n[1:]); \
                 time.sleep(1000)'])";
    let Some(mut web) = Speaker::new("ready.notify = \"main\"") else { return };
    web.tell_and_wait(child);
    until("a refusal", || {
        web.tree
            .log()
            .contains("which may not speak for it (ready.notify; \"all\" lets all its processes speak)")
            .then_some(())
    });
    // A stranger with the same rights is none of it.
    web.tell_and_wait("done(name)");
    let name = web.tree.lines("web/seen").into_iter().find(|line| line.len() > 1).expect("its name");
    assert!(name.ends_with(&format!("notify/{}", 0)) || name.starts_with('@'), "{name}");
    if !name.starts_with('@') {
        let stranger = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
        stranger.send_to(b"READY=1\nSTATUS=stranger", &name).expect("anybody may write");
    }
    web.tell("say('STATUS=me')");
    web.await_says("me");
    assert_eq!(web.status().ready, Some(false));
    assert_eq!(web.tree.stop(), 0);

    let Some(mut web) = Speaker::new("ready.notify = \"all\"") else { return };
    web.tell_and_wait(child);
    web.tree.await_status("web", "ready", |status| status.ready == Some(true));
    assert_eq!(web.tree.stop(), 0);
}

#[test]
fn bad_datagrams_harm_nobody() {
    let Some(mut web) = Speaker::new("ready.notify = true") else { return };
    for message in
        ["b''", "b'\\xff' * 3000", "b'READY'", "b'READY=2'", "b'\\n\\n='", "b'x' * 60000", "b'STATUS=' + b'y' * 2000"]
    {
        web.tell_and_wait(&format!("say({message})"));
    }
    web.tree.await_status("web", "a long status, cut off", |status| {
        let says = status.health.as_ref().and_then(|health| health.says.as_deref());
        says.is_some_and(|says| says.len() > 100 && says.bytes().all(|byte| byte == b'y'))
    });
    assert_eq!(web.status().ready, Some(false));
    // Many at once, some with descriptors, which are closed.
    web.tell_and_wait("[say('FDSTORE=1\\nFDNAME=x', [0, 1]) for _ in range(500)]");
    web.tell_and_wait("r, w = os.pipe(); say('BARRIER=1', [w]); os.close(w); os.read(r, 1)");
    until("a word", || web.tree.log().contains("svc keeps no descriptors for services (FDSTORE)").then_some(()));
    web.tell("say('READY=1')");
    web.tree.await_status("web", "ready", |status| status.ready == Some(true));
    let supervisor = web.status().supervisor_pid.expect("a supervisor");
    assert!(svc_testkit::descriptors(supervisor) < 20, "{} descriptors", svc_testkit::descriptors(supervisor));
    assert_eq!(web.tree.stop(), 0);
}

#[test]
fn what_is_said_while_the_supervisor_is_dead_is_heard_by_the_next() {
    let Some(mut web) = Speaker::new("ready.notify = true\nwatchdog = \"1h\"") else { return };
    let pid = web.status().pid;
    web.tell("say('STATUS=before')");
    web.await_says("before");
    let supervisor = web.tree.supervisor("web").expect("it lives");
    // It cannot be replaced as long as it is only stopped; what is said meanwhile waits in the socket.
    kill(supervisor, "STOP");
    web.tell_and_wait("say('READY=1\\nSTATUS=while nobody heard')");
    kill(supervisor, "KILL");
    let status = web.tree.await_status("web", "ready", |status| status.ready == Some(true));
    assert_eq!(status.pid, pid);
    assert_ne!(status.supervisor_pid, Some(supervisor));
    web.await_says("while nobody heard");
    web.tell("say('STATUS=after')");
    web.await_says("after");
    kill(web.tree.process("svc-scan"), "KILL");
    web.tree.await_control();
    web.await_says("after");
    assert_eq!(web.tree.stop(), 0);
}

#[test]
fn a_watchdog_must_be_fed() {
    let Some(mut web) = Speaker::new("watchdog = \"3s\"\nready.notify = true") else { return };
    web.tell_and_wait("done(os.environ['WATCHDOG_USEC'] + ' ' + str(os.environ['WATCHDOG_PID'] == str(os.getpid())))");
    assert_eq!(web.tree.lines("web/seen")[0], "3000000 True");
    // It does not bite before the service is ready.
    web.tell("say('READY=1'); [(time.sleep(0.1), say('WATCHDOG=1')) for _ in range(40)]; done('fed')");
    until("that it has fed", || web.tree.lines("web/seen").contains(&"fed".to_owned()).then_some(()));
    let status = web.tree.await_status("web", "another run", |status| status.restarts == 1);
    let death = status.last_exit.expect("it died");
    assert_eq!((death.signal.as_deref(), death.watchdog), (Some("ABRT"), true));
    let why = web.tree.ctl_ok(&["why", "web"]);
    assert!(why.contains(": it did not feed its watchdog"), "{why}");
    assert!(death.ran_ms > 4000, "it ran for {} ms", death.ran_ms);
    assert!(web.tree.log().contains("svc-supervise: web: did not feed its watchdog: aborted (SIGABRT)"));
    // It may set it off itself, and change its time.
    web.tree.await_status("web", "up", |status| status.state == State::Up);
    web.tell("say('READY=1\\nWATCHDOG_USEC=3600000000'); time.sleep(4); say('STATUS=still here')");
    web.await_says("still here");
    web.tell("say('WATCHDOG=trigger')");
    web.tree.await_status("web", "a third run", |status| status.restarts == 2);
    assert_eq!(web.tree.stop(), 0);
}

#[test]
fn one_that_takes_no_abort_is_killed() {
    let Some(mut web) = Speaker::new("watchdog = \"200ms\"\nready.notify = true") else { return };
    web.tell("signal.signal(signal.SIGABRT, signal.SIG_IGN); say('READY=1'); time.sleep(1000)");
    let status = web.tree.await_status("web", "another run", |status| status.last_exit.is_some());
    let death = status.last_exit.expect("just asked for");
    assert_eq!(death.signal.as_deref(), Some("KILL"));
    assert!(death.ran_ms >= 5000, "it had five seconds: {death:?}");
    assert_eq!(web.tree.stop(), 0);
}

#[test]
fn a_start_and_a_stop_may_be_extended() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let program = "use Socket;\nmy $name = $ENV{NOTIFY_SOCKET};\nsubstr($name, 0, 1) = chr(0) if $name =~ /^\\@/;\n\
                   socket(my $speaker, AF_UNIX, SOCK_DGRAM, 0) or die $!;\n\
                   sub say_it { send($speaker, $_[0], 0, pack_sockaddr_un($name)) or die $! }\n\
                   say_it('EXTEND_TIMEOUT_USEC=600000000');\nselect(undef, undef, undef, 6);\nsay_it('READY=1');\nsleep(1000);\n";
    let mut tree = Tree::new();
    let keys = "ready.notify = true\ntimeout.start = \"5s\"";
    tree.draft("web").file("speaker", program).file("service.toml", &format!("command = 'perl speaker'\n{keys}\n"));
    tree.place("web");
    tree.start();
    tree.await_status("web", "ready", |status| status.ready == Some(true));
    assert_eq!(tree.stop(), 0);

    let Some(mut web) = Speaker::new("ready.notify = true\ntimeout.kill = \"5s\"") else { return };
    web.tell_and_wait(
        "signal.signal(signal.SIGTERM, lambda *_: (say('EXTEND_TIMEOUT_USEC=600000000'), time.sleep(6), os._exit(7)))",
    );
    web.tree.ctl_ok(&["stop", "web"]);
    let death = web.status().last_exit.expect("it has ended");
    assert_eq!(death.code, Some(7), "it was not killed: {death:?}");
    assert_eq!(web.tree.stop(), 0);
}

/// A child that writes down that it is told to stop, and ends with 7.
const CHILD: &str = "child = subprocess.Popen(['sh', '-c', 'trap \"echo child >>seen; exit 7\" TERM; : >listens; while :; do sleep 0.05; done'])";

/// A service whose child is its main process; the pids of both.
fn handed_over(keys: &str) -> Option<(Speaker, i32, i32)> {
    let web = Speaker::new(keys)?;
    let parent = web.tree.await_up("web");
    web.tell("signal.signal(signal.SIGTERM, lambda *_: (done('parent'), os._exit(0)))");
    web.tell(CHILD);
    until("the child to listen", || web.tree.services().join("web/listens").exists().then_some(()));
    web.tell("say('READY=1\\nMAINPID=%d' % child.pid); done(child.pid)");
    let child: i32 = web.tree.await_lines("web/seen", 1)[0].parse().expect("a pid");
    web.tree.await_status("web", "another main process", |status| status.pid == Some(child));
    Some((web, parent, child))
}

#[test]
fn a_stop_goes_to_the_main_process_that_it_names() {
    let Some((mut web, parent, child)) = handed_over("ready.notify = true") else { return };
    let status = web.status();
    assert_eq!((status.restarts, status.ready), (0, Some(true)));
    web.tree.ctl_ok(&["stop", "web"]);
    assert_eq!(web.tree.lines("web/seen")[1..], ["child", "parent"], "its parent is left behind, and swept");
    assert!(!svc_testkit::is_alive(parent) && !svc_testkit::is_alive(child));
    assert_eq!(web.tree.stop(), 0);
}

#[test]
fn the_end_of_the_named_one_is_the_end_of_the_service() {
    // Its parent has ended before: how it ends is known.
    let Some((mut web, parent, child)) = handed_over("ready.notify = true") else { return };
    kill(parent, "KILL");
    svc_testkit::wait_gone(parent);
    assert_eq!((web.status().pid, web.status().restarts), (Some(child), 0));
    kill(child, "TERM");
    let status = web.tree.await_status("web", "another run", |status| status.restarts == 1);
    assert_eq!(status.last_exit.and_then(|death| death.code), Some(7));
    assert_eq!(web.tree.stop(), 0);
    // Its parent lives, and takes its end.
    let Some((mut web, _, child)) = handed_over("ready.notify = true") else { return };
    web.tell("child.wait()");
    kill(child, "TERM");
    let status = web.tree.await_status("web", "another run", |status| status.restarts == 1);
    assert_eq!(status.last_exit.and_then(|death| death.signal).as_deref(), Some("KILL"));
    assert_eq!(web.tree.stop(), 0);
}

#[test]
fn an_heir_knows_the_main_process_that_was_named() {
    let Some((mut web, parent, child)) = handed_over("ready.notify = true") else { return };
    let before = web.status().supervisor_pid;
    web.tree.kill_supervisor("web");
    let status =
        web.tree.await_status("web", "an heir", |status| status.supervisor_pid.is_some() && status.supervisor_pid != before);
    assert_eq!((status.pid, status.restarts, status.state), (Some(child), 0, State::Up));
    web.tree.ctl_ok(&["stop", "web"]);
    assert!(!svc_testkit::is_alive(parent) && !svc_testkit::is_alive(child));
    assert!(web.tree.lines("web/seen").contains(&"child".to_owned()));
    assert_eq!(web.tree.stop(), 0);
}

#[test]
fn nobody_else_is_made_the_main_process() {
    let Some(mut web) = Speaker::new("ready.notify = true") else { return };
    let pid = web.tree.await_up("web");
    web.tell("say('MAINPID=1\\nSTATUS=said')");
    web.await_says("said");
    assert_eq!(web.status().pid, Some(pid));
    assert!(web.tree.log().contains("refused MAINPID=1, which is no living process of it"), "{}", web.tree.log());
    // A child may not say so for the main process, if only that may speak.
    web.tell(&format!("{CHILD}; subprocess.Popen([sys.executable, '-c', 'import os, socket; name = os.environ[\"NOTIFY_SOCKET\"]; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b\"MAINPID=%d\" % os.getpid(), chr(0) + name[1:] if name[0] == \"@\" else name); import time; time.sleep(1000)']); say('STATUS=after')"));
    web.await_says("after");
    assert_eq!(web.status().pid, Some(pid));
    web.tree.ctl_ok(&["stop", "web"]);
    assert_eq!(web.tree.stop(), 0);
}

#[test]
fn the_socket_has_no_path_where_the_service_would_not_come_to_it() {
    if !needs("python3", has_program("python3")) || !is_root() {
        return;
    }
    let python = "import os, socket, time\nname = os.environ['NOTIFY_SOCKET']\n\
                  address = chr(0) + name[1:] if name[0] == '@' else name\n\
                  print(name, flush=True)\n\
                  socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', address)\ntime.sleep(1000)";
    for (mode, keys, has_path) in [
        (0o755, "user = 'nobody'", true),
        (0o755, "chroot = '/'", false),
        (0o700, "user = 'nobody'", false),
        (0o700, "", false),
    ] {
        let mut tree = Tree::new();
        std::fs::set_permissions(tree.run_dir(), std::fs::Permissions::from_mode(mode)).expect("ours");
        let text = format!("command = ['python3', '-c', \"\"\"{python}\"\"\"]\nready.notify = true\n{keys}");
        tree.draft("web").file("service.toml", &text);
        tree.place("web");
        tree.start();
        tree.await_status("web", "ready", |status| status.ready == Some(true));
        let path = tree.run_dir().join("notify").display().to_string();
        let name = until("its name", || Some(tree.ctl_ok(&["logs", "web"])).filter(|logs| logs.ends_with('\n')));
        assert_eq!(name.contains(&path), has_path, "{mode:o} {keys}: {}", tree.log());
        assert_eq!(tree.stop(), 0);
    }
}
