//! Where many services start at once their files come after them (decision 11): soon, and with what is so by then.

use std::path::Path;
use std::time::{Duration, Instant};

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
    let begin = Instant::now();
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
    // A second for them, and what a busy machine takes.
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    if has_s6() {
        for name in ["s0", "s149", DIES, KILLED] {
            let pid = tree.status(name).and_then(|status| status.pid).expect("it runs");
            assert_eq!(s6_ok(&["s6-svstat", "-o", "pid,up,wantedup", &dir(&tree, name)]), format!("{pid} true true"));
        }
        s6_ok(&["s6-svc", "-wd", "-T", "20000", "-d", &dir(&tree, "s149")]);
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
