//! Where many services start at once their files come after them (decision 11): soon, and with what is so by then.

use std::path::Path;

use svc_proto::s6::{Death, Status};
use svc_testkit::{Tree, kill};

use crate::support::{await_status, dir, has_s6, s6_ok};

const SERVICES: usize = 150;
/// Among the last, so that its files come late: it dies once by itself.
const DIES: &str = "s140";
/// And this one is killed as soon as it can be seen to run.
const KILLED: &str = "s141";

fn deaths(dir: &Path) -> Vec<(u8, u8)> {
    let tally = std::fs::read(dir.join("supervise/death_tally")).expect("a tally");
    let deaths = Death::all_from_bytes(&tally).unwrap_or_else(|| panic!("no tally: {tally:02x?}"));
    deaths.iter().map(|death| (death.code, death.signal)).collect()
}

/// Plays it once; how many services began before they had files.
fn play() -> usize {
    let mut tree = Tree::new();
    for number in 0..SERVICES {
        // `late` is written if there are no files yet.
        tree.service(&format!("s{number}")).run("[ -e supervise/status ] || : > late; exec sleep 1000");
    }
    tree.service(DIES).run("[ -e died ] && exec sleep 1000; : > died; exit 3");
    tree.start();
    let killed = tree.await_up(KILLED);
    kill(killed, "KILL");
    tree.await_status(KILLED, "another run", |status| status.pid.is_some_and(|pid| pid != killed));
    for number in 0..SERVICES {
        tree.await_up(&format!("s{number}"));
    }
    tree.await_status(DIES, "another run", |status| status.restarts == 1 && status.pid.is_some());
    for service in tree.list().expect("an answer").services {
        let path = tree.services().join(&service.name);
        let status = await_status(&path, "up", Status::is_up);
        assert_eq!((Some(status.pid as i32), status.wanted_up), (service.pid, true), "{}", service.name);
        assert!(path.join("event").is_dir() && !status.ready, "{}: {status:?}", service.name);
        let (last, all) = match service.name.as_str() {
            DIES => (0x300, vec![(3, 0)]),
            KILLED => (9, vec![(137, 9)]),
            _ => (0, vec![]),
        };
        assert_eq!((status.wait_status, deaths(&path)), (last, all), "{}", service.name);
    }
    if has_s6() {
        for name in ["s0", "s149", DIES, KILLED] {
            let pid = tree.status(name).and_then(|status| status.pid).expect("it runs");
            assert_eq!(s6_ok(&["s6-svstat", "-o", "pid,up,wantedup", &dir(&tree, name)]), format!("{pid} true true"));
        }
        s6_ok(&["s6-svc", "-wd", "-T", "120000", "-d", &dir(&tree, "s149")]);
    }
    let late = (0..SERVICES).filter(|number| tree.services().join(format!("s{number}/late")).exists()).count();
    assert_eq!(tree.stop(), 0);
    late
}

#[test]
fn files_that_come_late_say_what_is_so() {
    // They do only where nothing holds the starting up for a tenth of a second, which a busy machine may.
    assert!((0..5).any(|_| play() > 0), "no file came late in five rounds");
}

/// Many that wait for one: how many began before they had files. `patient`: it is done when all others have them.
fn play_waiting(patient: bool) -> usize {
    let mut tree = Tree::new();
    let gate = tree.path("gate");
    svc_testkit::fifo(&gate);
    let wait = if patient { format!("read line < {}", gate.display()) } else { "exit 0".into() };
    tree.service("gate").file("type", "oneshot\n").file("up", &format!("#!/bin/sh\n{wait}\n"));
    let names: Vec<String> = (0..SERVICES).map(|number| format!("s{number}")).collect();
    for name in &names {
        let service = tree.service(name);
        std::fs::create_dir(service.path().join("dependencies.d")).expect("ours");
        service.file("type", "longrun\n").file("dependencies.d/gate", "");
        service.run("[ -e supervise/status ] || : > late; exec sleep 1000");
    }
    tree.start();
    if patient {
        for name in &names {
            let status = await_status(&tree.services().join(name), "down", |status| !status.is_up());
            assert!(!status.wanted_up, "{name}: {status:?}");
        }
        std::fs::write(&gate, "open\n").expect("somebody reads");
    }
    for name in &names {
        let pid = tree.await_up(name);
        await_status(&tree.services().join(name), "up", |status| status.pid == pid as u64 && status.wanted_up);
    }
    let late = names.iter().filter(|name| tree.services().join(name).join("late").exists()).count();
    assert_eq!(tree.stop(), 0);
    late
}

#[test]
fn those_that_wait_for_others_get_their_files_late_as_well() {
    assert!((0..5).any(|_| play_waiting(false) > SERVICES / 3), "no file came late in five rounds");
    // Who waits for long has them.
    assert_eq!(play_waiting(true), 0);
}

/// Ends as soon as the first service is up; how many had no files then. What files say is the end.
fn play_ending() -> usize {
    let mut tree = Tree::new();
    for number in 0..SERVICES {
        tree.service(&format!("s{number}")).run("exec sleep 1000");
    }
    tree.start();
    tree.await_up("s140");
    assert_eq!(tree.stop(), 0);
    let is_bare = |number: &usize| {
        let path = tree.services().join(format!("s{number}"));
        let Ok(bytes) = std::fs::read(path.join("supervise/status")) else { return !path.join("supervise").exists() };
        let status = Status::from_bytes(&bytes).unwrap_or_else(|| panic!("no status: {bytes:02x?}"));
        assert!(!status.is_up() && !status.wanted_up && status.ready, "{}: {status:?}", path.display());
        false
    };
    (0..SERVICES).filter(is_bare).count()
}

#[test]
fn no_files_are_made_for_the_end_alone() {
    assert!((0..5).any(|_| play_ending() > 0), "all files were made in each of five rounds");
}
