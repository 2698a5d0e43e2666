//! The bytes and the modes of what stands in `supervise/` and `event/`.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use svc_proto::s6::{Death, Stamp, Status};
use svc_testkit::{EventKind, Tree, kill, until};

use crate::support::{await_status, is_locked, status};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o7777
}

fn now() -> Stamp {
    Stamp::from_unix_nanos(svc_sys::clock::wall_nanos())
}

fn deaths(dir: &Path) -> Vec<Death> {
    let bytes = fs::read(dir.join("supervise/death_tally")).expect("a tally");
    Death::all_from_bytes(&bytes).expect("whole entries")
}

// 27
#[test]
fn modes_are_those_of_s6_whatever_the_umask() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.service("web/log").run("exec cat");
    tree.wrapper(&["sh", "-c", "umask 027; exec \"$@\"", "sh"]);
    tree.start();
    for name in ["web", "web/log"] {
        tree.await_up(name);
        let dir = tree.services().join(name);
        assert_eq!(mode(&dir.join("supervise")), 0o700, "{name}");
        assert_eq!(mode(&dir.join("event")), 0o3730, "{name}");
        assert_eq!(dir.join("event").metadata().expect("there").gid(), svc_sys::user::effective_gid());
        let control = dir.join("supervise/control");
        assert!(control.metadata().expect("there").file_type().is_fifo());
        assert_eq!(mode(&control), 0o600, "{name}");
        let lock = dir.join("supervise/lock");
        assert_eq!((mode(&lock), lock.metadata().expect("there").len()), (0o644, 0), "{name}");
        assert_eq!(dir.join("supervise/status").metadata().expect("there").len(), 35);
        assert_eq!(dir.join("supervise/death_tally").metadata().expect("there").len(), 0);
    }
    // What a service makes has the mask that svc was started with.
    assert_eq!(
        fs::read_to_string(format!("/proc/{}/status", tree.await_up("web")))
            .expect("it lives")
            .lines()
            .find_map(|line| line.strip_prefix("Umask:\t").map(str::to_owned))
            .as_deref(),
        Some("0027")
    );
}

#[test]
fn the_status_says_what_is() {
    let mut tree = Tree::new();
    tree.service("web")
        .file("notification-fd", "3")
        .file("down", "")
        .run("read go < go; echo >&3; read code < code; exit $code")
        .finish("read go < go");
    let dir = tree.services().join("web");
    ["go", "code"].iter().for_each(|name| svc_testkit::fifo(dir.join(name)));
    let before = now();
    tree.start();

    // Never started: down, ready to be started, and the bit that says so.
    let new = await_status(&dir, "a supervisor", Status::is_new);
    assert!(!new.wanted_up && new.ready && !new.finishing && new.pid == 0 && new.wait_status == 0);
    assert!(new.changed >= before && new.changed <= now() && new.changed == new.ready_changed, "{new:?}");

    let started = now();
    tree.ctl_ok(&["start", "--no-wait", "web"]);
    let up = await_status(&dir, "up", Status::is_up);
    // svc-scan is told when it has been written.
    tree.await_status("web", "the same", |status| status.pid == Some(up.pid as i32));
    assert!(up.wanted_up && !up.ready && !up.paused && !up.finishing);
    assert!(up.changed >= started && up.changed <= now() && up.ready_changed == new.ready_changed, "{up:?}");

    fs::write(dir.join("go"), "\n").expect("read");
    let ready = await_status(&dir, "ready", |status| status.ready);
    assert_eq!((ready.changed, ready.pid), (up.changed, up.pid));
    assert!(ready.ready_changed > up.changed && ready.ready_changed <= now());

    tree.ctl_ok(&["pause", "web"]);
    let paused = await_status(&dir, "paused", |status| status.paused);
    assert_eq!(paused, Status { paused: true, ..ready }, "nothing else has changed");
    tree.ctl_ok(&["continue", "web"]);
    await_status(&dir, "not paused", |status| !status.paused);

    tree.ctl_ok(&["stop", "--no-wait", "web"]);
    let finishing = await_status(&dir, "finishing", |status| status.finishing);
    assert!(finishing.pid != up.pid && finishing.pid != 0 && !finishing.ready && !finishing.wanted_up);
    assert_eq!(finishing.wait_status, 15, "killed by SIGTERM");
    assert!(finishing.changed > ready.ready_changed);

    fs::write(dir.join("go"), "\n").expect("read");
    let down = await_status(&dir, "down", |status| status.pid == 0);
    assert!(down.ready && !down.finishing && !down.is_new() && down.wait_status == 15);
    assert_eq!(down.changed, finishing.changed);
    assert!(down.ready_changed > down.changed);

    // An exit code stands in the upper byte.
    tree.ctl_ok(&["once", "--no-wait", "web"]);
    await_status(&dir, "up", Status::is_up);
    fs::write(dir.join("go"), "\n").expect("read");
    fs::write(dir.join("code"), "3\n").expect("read");
    let ended = await_status(&dir, "finishing", |status| status.finishing);
    assert_eq!(ended.wait_status, 0x0300);
}

// 24
#[test]
fn the_tally_is_exact_bounded_and_begins_anew_with_svc() {
    let mut tree = Tree::new();
    tree.service("web")
        .file("max-death-tally", "5")
        .file("down", "")
        .run("read code < code; kill -$code $$; exit ${code#-}");
    let dir = tree.services().join("web");
    tree.start();
    let run = |tree: &mut Tree, code: &str| {
        fs::write(dir.join("code"), format!("{code}\n")).expect("written");
        tree.ctl_ok(&["once", "web"]);
        while tree.events().next_of("web").event != EventKind::Down {}
    };
    let mut expected = Vec::new();
    for code in 1..=8_u8 {
        let begin = now();
        run(&mut tree, &format!("-{code}"));
        expected.push((code, 0));
        let told = deaths(&dir);
        assert_eq!(told.len(), expected.len().min(5));
        let last = told.last().expect("one at least");
        assert!(last.at >= begin && last.at <= now());
        assert_eq!(last.at, status(&dir).changed, "the same moment");
    }
    run(&mut tree, "KILL");
    expected.push((137, 9));
    let told: Vec<(u8, u8)> = deaths(&dir).iter().map(|death| (death.code, death.signal)).collect();
    assert_eq!(told, expected[expected.len() - 5..]);

    // What nobody can read is no tally.
    fs::write(dir.join("supervise/death_tally"), "torn").expect("written");
    run(&mut tree, "-9");
    assert_eq!(deaths(&dir).len(), 1);
    tree.service("web").file("max-death-tally", "0");
    run(&mut tree, "-9");
    assert_eq!(deaths(&dir).len(), 1, "none is remembered");

    tree.stop();
    tree.start();
    await_status(&dir, "a new supervisor", Status::is_new);
    assert_eq!(deaths(&dir), []);
}

#[test]
fn an_heir_keeps_the_tally_and_the_stamps() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    let dir = tree.services().join("web");
    tree.start();
    for round in 0..4 {
        let before = tree.await_up("web");
        let told = await_status(&dir, "up", |status| status.is_up() && status.pid == before as u64);
        tree.kill_supervisor("web");
        assert_eq!(status(&dir), told, "the service goes on");
        kill(before, "KILL");
        await_status(&dir, "another run", |status| status.is_up() && status.pid != before as u64);
        assert_eq!(deaths(&dir).len(), round + 1);
    }
}

#[test]
fn the_lock_says_whether_somebody_supervises() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    let path = tree.services().join("web/supervise/lock");
    let is_locked = || is_locked(&path);
    tree.start();
    tree.await_up("web");
    assert!(is_locked());
    tree.kill_supervisor("web");
    until("the heir's lock", || is_locked().then_some(()));
    tree.stop();
    assert!(!is_locked());
}

#[test]
fn a_status_that_cannot_be_written_stops_nothing() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let first = tree.await_up("web");
    let dir = tree.services().join("web");
    await_status(&dir, "up", Status::is_up);
    // The last that is made there.
    until("a file for the next status", || dir.join("supervise/status.new").exists().then_some(()));
    // Somebody cleans up too much.
    fs::remove_dir_all(dir.join("supervise").canonicalize().expect("there")).expect("removed");
    for _ in 0..3 {
        tree.ctl_ok(&["restart", "web"]);
    }
    assert_ne!(tree.await_up("web"), first);
    let log = tree.log();
    assert_eq!(log.matches("web: cannot write into ").count(), 1, "{log}");
    // What is found missing in that way comes again.
    await_status(&dir, "up again", Status::is_up);
}

#[test]
fn the_last_status_takes_a_file_that_was_made_before() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    tree.await_up("web");
    let dir = tree.services().join("web");
    await_status(&dir, "up", Status::is_up);
    let next = until("a file for the next status", || dir.join("supervise/status.new").metadata().ok());
    assert_eq!((next.len(), next.mode() & 0o7777), (0, 0o644));
    assert_eq!(tree.stop(), 0);
    assert_eq!(dir.join("supervise/status").metadata().expect("it stays").ino(), next.ino());
    let last = status(&dir);
    assert_eq!((last.is_up(), last.ready, last.wanted_up, last.wait_status), (false, true, false, 15));
}

#[test]
fn who_reads_slowly_reads_what_was() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let mut pid = tree.await_up("web");
    let dir = tree.services().join("web");
    let first = await_status(&dir, "up", Status::is_up);
    let mut opened = fs::File::open(dir.join("supervise/status")).expect("a status");
    for _ in 0..3 {
        kill(pid, "KILL");
        let next = await_status(&dir, "another run", |status| status.is_up() && status.pid != pid as u64);
        pid = next.pid as i32;
    }
    let mut bytes = Vec::new();
    opened.read_to_end(&mut bytes).expect("read");
    assert_eq!(bytes, first.to_bytes());
}
