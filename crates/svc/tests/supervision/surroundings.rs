//! What a service finds around itself, the first time and ever after (promise 19).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use svc_testkit::{Said, ServiceDir, State, Tree};

/// /bin/sleep itself as `run`: the name of the service is how long it sleeps. What /proc shows of it is what it was given.
fn sleeper(service: &ServiceDir) -> &ServiceDir {
    std::os::unix::fs::symlink("/bin/sleep", service.path().join("run")).expect("a link");
    service
}

fn proc_file(pid: i32, name: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_else(|error| panic!("/proc/{pid}/{name}: {error}"))
}

/// Descriptors and what is behind them.
fn open_files(pid: i32) -> BTreeMap<i32, String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("a living process").flatten();
    let number = |entry: &fs::DirEntry| entry.file_name().to_str().and_then(|name| name.parse().ok()).expect("a number");
    entries.map(|entry| (number(&entry), fs::read_link(entry.path()).unwrap_or_default().display().to_string())).collect()
}

/// Waits until it has come to where it sleeps: behind the exec, and behind the loader with its open libraries.
fn asleep(pid: i32) -> i32 {
    svc_testkit::until("sleep to sleep", || {
        (proc_file(pid, "comm") == "run\n" && proc_file(pid, "stat").contains(") S ")).then_some(pid)
    })
}

/// Fields of /proc/PID/status that a parent hands down.
const INHERITED: [&str; 16] = [
    "Umask",
    "Uid",
    "Gid",
    "Groups",
    "SigBlk",
    "SigIgn",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "THP_enabled",
    "Cpus_allowed",
    "Mems_allowed",
];

fn inherited(status: &str) -> Vec<&str> {
    status.lines().filter(|line| INHERITED.contains(&line.split(':').next().unwrap_or_default())).collect()
}

#[test]
fn nothing_of_svc_shows_in_what_a_service_is_given() {
    let mut tree = Tree::new();
    sleeper(&tree.service("1000"));
    sleeper(&tree.service("1001")).file("notification-fd", "7").file("lock-fd", "9");
    let run_dir = format!("SVC_RUN_DIR={}", tree.run_dir().display());
    let environment = ["FIRST=1", "EMPTY=", "WITH=an = and a\nnewline", run_dir.as_str()];
    // A mask, limits and an ignored signal of their own, and descriptors that nobody should get.
    let setup = "umask 027; ulimit -Sn 300; ulimit -Hn 600; ulimit -c 0; trap '' USR2; exec 5</dev/zero; exec env -i \"$@\"";
    let mut wrapper = vec!["sh", "-c", setup, "sh"];
    wrapper.extend(environment);
    tree.wrapper(&wrapper).start();

    let control = |file: &str| {
        let mut words = wrapper.clone();
        words.extend(["cat", file]);
        Said::by(Command::new(words[0]).args(&words[1..])).out
    };
    for name in ["1000", "1001"] {
        let pid = asleep(tree.await_up(name));
        let dir = fs::canonicalize(tree.services().join(name)).expect("it is there");
        assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).ok(), Some(dir.clone()));
        let given = proc_file(pid, "environ");
        assert_eq!(given.split_terminator('\0').collect::<Vec<_>>(), environment, "unchanged, and nothing added");
        assert_eq!(proc_file(pid, "limits"), control("/proc/self/limits"));
        assert_eq!(proc_file(pid, "cgroup"), control("/proc/self/cgroup"));
        assert_eq!(proc_file(pid, "oom_score_adj"), control("/proc/self/oom_score_adj"));
        assert_eq!(inherited(&proc_file(pid, "status")), inherited(&control("/proc/self/status")));
        // Behind the name: state, parent, group, session, terminal.
        let stat = proc_file(pid, "stat");
        let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
        let own = pid.to_string();
        assert_eq!((fields[2], fields[3], fields[4]), (own.as_str(), own.as_str(), "0"), "a session of its own");

        let mut open = open_files(pid);
        assert_eq!(open.remove(&0).as_deref(), Some("/dev/null"));
        for output in [1, 2] {
            assert!(open.remove(&output).is_some_and(|file| file.starts_with("pipe:")), "{output}");
        }
        if name == "1001" {
            assert!(open.remove(&7).is_some_and(|file| file.starts_with("pipe:")));
            assert_eq!(open.remove(&9).map(PathBuf::from), Some(dir));
        }
        assert_eq!(open, BTreeMap::new(), "{name}: nothing else is open");
    }
}

#[test]
fn signals_are_open_and_sigpipe_kills() {
    let mut tree = Tree::new();
    sleeper(&tree.service("1000"));
    tree.service("pipe").run("yes | true; sh -c 'kill -PIPE $$'; echo $? >> seen; exec sleep 1000");
    tree.start();
    let status = proc_file(asleep(tree.await_up("1000")), "status");
    for (field, wanted) in [("SigBlk", 0), ("SigPnd", 0), ("ShdPnd", 0), ("SigCgt", 0)] {
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t")).expect(field);
        assert_eq!(u64::from_str_radix(line, 16), Ok(wanted), "{field}");
    }
    assert_eq!(tree.await_lines("pipe/seen", 1), ["141"], "128 + SIGPIPE");
}

/// Only the main program gets svc's own standard input; a logger gets the pipe.
#[test]
fn standard_input_is_for_the_main_program_alone() {
    let mut tree = Tree::new();
    sleeper(&tree.service("1000"));
    sleeper(&ServiceDir::make(tree.services().join("1000/log"))).remove("run").run("exec sleep 1000");
    tree.service("1000").finish("files=\"$(readlink /proc/$$/fd/0 /proc/$$/fd/1)\"; echo \"$files\" >> seen");
    fs::write(tree.path("input"), "a line\n").expect("written");
    let redirect = format!("exec \"$@\" < {}", tree.path("input").display());
    tree.wrapper(&["sh", "-c", &redirect, "sh"]).command(&["sh", "-c", "cat; exec sleep 1000"]).start();
    let main = tree.await_up("CMD");
    let input = open_files(main)[&0].clone();
    assert_eq!(PathBuf::from(input), tree.path("input"));
    svc_testkit::until("the line", || tree.log().contains("a line").then_some(()));

    let (producer, logger) = (open_files(asleep(tree.await_up("1000"))), open_files(tree.await_up("1000/log")));
    assert_eq!(producer[&0], "/dev/null");
    assert_eq!(producer[&1], logger[&0], "the same pipe");
    assert!(logger[&0].starts_with("pipe:"));
    assert_ne!(producer[&2], producer[&1], "standard error does not go to the logger");
    tree.ctl_ok(&["stop", "1000"]);
    assert_eq!(tree.lines("1000/seen"), ["/dev/null", &producer[&1]]);
}

/// Everything about a process that should be the same for each start of its service.
fn portrait(pid: i32) -> BTreeMap<String, String> {
    let mut portrait = BTreeMap::new();
    for file in ["environ", "limits", "cgroup", "oom_score_adj", "cmdline", "timens_offsets"] {
        portrait.insert(file.to_owned(), proc_file(pid, file));
    }
    portrait.insert("status".into(), inherited(&proc_file(pid, "status")).join("\n"));
    for (fd, file) in open_files(pid) {
        // The pipe for readiness is a new one each time, the others are for ever.
        portrait.insert(format!("fd {fd}"), if fd == 7 { "a pipe".into() } else { file });
    }
    for link in ["cwd", "root", "exe", "ns/pid", "ns/mnt", "ns/net", "ns/user", "ns/uts"] {
        let file = fs::read_link(format!("/proc/{pid}/{link}")).unwrap_or_default();
        portrait.insert(link.to_owned(), file.display().to_string());
    }
    portrait
}

// 19
#[test]
fn promise_19_the_hundredth_start_is_like_the_first() {
    let mut tree = Tree::new();
    sleeper(&tree.service("1000"));
    sleeper(&tree.service("1001")).file("notification-fd", "7");
    // A soft limit below the hard one: svc raises its own, and must find the old one again after a fault.
    let limited = "ulimit -Sn 300; ulimit -Hn 4096; exec \"$@\"";
    tree.set("SVC_DEBUG_FAULT", "panic").wrapper(&["sh", "-c", limited, "sh"]).start();
    let first = ["1000", "1001"].map(|name| portrait(asleep(tree.await_up(name))));
    let restart = |tree: &Tree, name: &str, old: i32| {
        tree.ctl_ok(&["restart", "--no-wait", name]);
        let again = |status: &svc_testkit::Status| status.state == State::Up && status.pid.is_some_and(|pid| pid != old);
        asleep(tree.await_status(name, "another run", again).pid.expect("just seen"))
    };
    for (name, first) in ["1000", "1001"].into_iter().zip(&first) {
        let mut pid = asleep(tree.await_up(name));
        for _ in 1..100 {
            pid = restart(&tree, name, pid);
        }
        assert_eq!(tree.detail(name).map(|detail| detail.death_count), Some(99));
        assert_eq!(&portrait(pid), first, "start 100 of {name}");
        tree.kill_supervisor(name);
        assert_eq!(&portrait(pid), first, "under another supervisor");
        let pid = restart(&tree, name, pid);
        assert_eq!(&portrait(pid), first, "started by another supervisor");
        svc_testkit::kill(tree.process("svc-scan"), "KILL");
        tree.await_control();
        let pid = restart(&tree, name, pid);
        assert_eq!(&portrait(pid), first, "told by another svc-scan");
    }
    svc_testkit::kill(tree.init_pid(), "64");
    svc_testkit::until("svc-init to be re-executed", || tree.log().contains("re-executed after a fault").then_some(()));
    for (name, first) in ["1000", "1001"].into_iter().zip(&first) {
        tree.kill_supervisor(name);
        let pid = restart(&tree, name, tree.await_up(name));
        assert_eq!(&portrait(pid), first, "under a supervisor of another svc-init");
    }
}

#[test]
fn a_plain_file_that_everything_goes_to_loses_no_line() {
    let mut tree = Tree::new();
    let file = tree.path("all.log");
    let whole = || fs::read_to_string(&file).unwrap_or_default();
    let words = format!("exec \"$@\" >{} 2>&1", file.display());
    tree.wrapper(&["sh", "-c", &words, "sh"]);
    tree.service("web").run("trap 'echo and the second line' HUP; echo the first line; while :; do sleep 1000 & wait; done");
    tree.start();
    svc_testkit::until("the first line", || whole().contains("the first line\n").then_some(()));
    tree.service("bad").executable("run", "#!/no/such/interpreter\n");
    svc_testkit::until("what svc says", || whole().contains("/no/such/interpreter").then_some(()));
    tree.ctl_ok(&["reload", "web"]);
    svc_testkit::until("the second line", || whole().contains("and the second line\n").then_some(()));
    let lines = whole();
    let all: Vec<&str> = lines.lines().collect();
    assert_eq!((all[0], all[all.len() - 1]), ("the first line", "and the second line"), "{lines}");
    assert!(all[1].starts_with("svc-scan: bad: "), "{lines}");
    assert_eq!(tree.stop(), 0);
}
