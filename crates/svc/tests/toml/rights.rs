//! What a service may do and have: capabilities, priorities, a root of its own, Landlock, seccomp; each looked up where the kernel
//! tells it, in a running service.

use std::fs;
use std::path::Path;
use std::process::Command;

use svc_testkit::{NOBODY, Said, Tree, is_root, needs, until};

use crate::programs::seen;

/// A service that sleeps, with these keys: its pid, once `svc exec` has become it.
#[track_caller]
pub fn sleeper(tree: &mut Tree, keys: &str) -> i32 {
    tree.toml("web", &format!("command = 'sleep 1000'\n{keys}\n"));
    tree.start();
    let asleep = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n");
    until(&format!("a sleeping web; log:\n{}", tree.log()), || tree.status("web")?.pid.filter(asleep))
}

/// A field of /proc/PID/status.
fn field(pid: i32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).expect(name);
    line.trim().to_owned()
}

pub fn set(pid: i32, name: &str) -> u64 {
    u64::from_str_radix(&field(pid, name), 16).expect("hexadecimal")
}

const CHOWN: u64 = 1 << 0;
const NET_BIND_SERVICE: u64 = 1 << 10;
const SYS_ADMIN: u64 = 1 << 21;
const SYS_RESOURCE: u64 = 1 << 24;

#[test]
fn an_unprivileged_user_has_what_is_given_to_it_and_no_more() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let keys = format!(
        "user = '{NOBODY}:{NOBODY}'\ncapabilities.bounding = ['net_bind_service', 'CAP_CHOWN']\n\
         capabilities.ambient = ['NET_BIND_SERVICE']"
    );
    let pid = sleeper(&mut tree, &keys);
    assert_eq!(set(pid, "CapBnd"), NET_BIND_SERVICE | CHOWN);
    for name in ["CapAmb", "CapInh", "CapPrm", "CapEff"] {
        assert_eq!(set(pid, name), NET_BIND_SERVICE, "{name}");
    }
    let uids = field(pid, "Uid");
    assert!(uids.split_whitespace().all(|uid| uid == NOBODY.to_string()), "{uids}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_is_given_can_be_used() {
    if !is_root() {
        return;
    }
    let keys = format!("user = '{NOBODY}:{NOBODY}'\ncapabilities.ambient = ['CHOWN']");
    assert_eq!(seen(&keys, "touch file; chown 7:7 file; stat -c %u:%g file", 1), ["7:7"]);
    let keys = format!("user = '{NOBODY}:{NOBODY}'");
    assert!(seen(&keys, "touch file; chown 7:7 file", 1)[0].contains("Operation not permitted"));
}

#[test]
fn root_is_bounded_too() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let pid = sleeper(&mut tree, "capabilities.bounding = ['-SYS_ADMIN']\nno-new-privileges = true");
    let own = set(std::process::id() as i32, "CapBnd");
    for name in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(set(pid, name), own & !SYS_ADMIN, "{name}");
    }
    assert_eq!(field(pid, "NoNewPrivs"), "1");
    assert_eq!(tree.stop(), 0);
    let mut tree = Tree::new();
    let pid = sleeper(&mut tree, "capabilities.bounding = []");
    assert_eq!((set(pid, "CapBnd"), set(pid, "CapEff")), (0, 0));
    assert_eq!(field(pid, "NoNewPrivs"), "0");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn priorities_are_as_the_file_says() {
    let mut tree = Tree::new();
    let pid = sleeper(
        &mut tree,
        "ionice = 'best-effort:7'\nscheduler = 'batch'\ncpu-affinity = 0\noom-score-adjust = 321\nlimits.rttime = '50ms'",
    );
    let said = |program: &str| Said::by(Command::new(program).args(["-p", &pid.to_string()])).out;
    assert_eq!(said("ionice"), "best-effort: prio 7\n");
    assert!(said("chrt").contains("SCHED_BATCH"), "{}", said("chrt"));
    assert_eq!(field(pid, "Cpus_allowed_list"), "0");
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("/proc"), "321\n");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("/proc");
    let line = limits.lines().find(|line| line.starts_with("Max realtime timeout")).expect("a limit");
    assert_eq!(line.split_whitespace().skip(3).collect::<Vec<_>>(), ["50000", "50000", "us"]);
    assert_eq!(tree.stop(), 0);
}

/// On a busy machine it may take long until such a one gets as far as its program, and nobody waits for that here.
#[test]
fn the_idle_scheduler_is_set_before_the_program_is_there() {
    let mut tree = Tree::new();
    tree.toml("web", "command = 'sleep 1000'\nscheduler = 'idle'\ntimeout.kill = '1s'");
    tree.start();
    until("SCHED_IDLE", || said_of(tree.status("web")?.pid?, "chrt").contains("SCHED_IDLE").then_some(()));
    assert_eq!(tree.stop(), 0);
}

/// What a program says of the priority of a process.
fn said_of(pid: i32, program: &str) -> String {
    Said::by(Command::new(program).args(["-p", &pid.to_string()])).out
}

#[test]
fn every_scheduler_and_every_class_is_that_of_the_kernel() {
    let for_root = [("scheduler = 'fifo:7'", "SCHED_FIFO", "best-effort")];
    let cases = [
        // No idle scheduler here: on a busy machine it would never get as far as its program.
        ("ionice = 'idle'", "SCHED_OTHER", "idle"),
        ("scheduler = 'batch'\nionice = 'best-effort:2'", "SCHED_BATCH", "best-effort: prio 2"),
        ("ionice = 'best-effort'", "SCHED_OTHER", "best-effort: prio 4"),
    ];
    for (keys, policy, class) in cases.into_iter().chain(for_root.into_iter().filter(|_| is_root())) {
        let mut tree = Tree::new();
        let pid = sleeper(&mut tree, keys);
        let (chrt, ionice) = (said_of(pid, "chrt"), said_of(pid, "ionice"));
        assert!(chrt.contains(policy) && (ionice.contains(class) || policy == "SCHED_FIFO"), "{keys}: {chrt} {ionice}");
        assert!(policy != "SCHED_FIFO" || chrt.contains("priority: 7"), "{chrt}");
        assert_eq!(tree.stop(), 0);
    }
    // What takes back that of svc itself.
    let mut tree = Tree::new();
    tree.wrapper(&["chrt", "--batch", "0", "ionice", "-c", "2", "-n", "1"]);
    let pid = sleeper(&mut tree, "scheduler = 'other'\nionice = 'none'");
    let (chrt, ionice) = (said_of(pid, "chrt"), said_of(pid, "ionice"));
    assert!(chrt.contains("SCHED_OTHER") && ionice.starts_with("none"), "{chrt} {ionice}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn root_may_be_more_important_than_others() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    // Not every root may do this.
    let score = if set(std::process::id() as i32, "CapEff") & SYS_RESOURCE != 0 { -400 } else { 0 };
    let keys = format!("nice = -3\nscheduler = 'rr:5'\nionice = 'realtime:0'\noom-score-adjust = {score}\nuser = 'nobody'");
    let pid = sleeper(&mut tree, &keys);
    let said = |program: &str| Said::by(Command::new(program).args(["-p", &pid.to_string()])).out;
    assert_eq!(said("ionice"), "realtime: prio 0\n");
    assert!(said("chrt").contains("SCHED_RR") && said("chrt").contains("priority: 5"), "{}", said("chrt"));
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("/proc"), format!("{score}\n"));
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("/proc");
    let own = fs::read_to_string("/proc/self/stat").expect("/proc");
    let nice = |stat: &str| stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(16)?.parse::<i32>().ok());
    assert_eq!(nice(&stat), nice(&own).map(|nice| nice - 3));
    assert_eq!(tree.stop(), 0);
}

/// Copies a program, with the libraries that it needs, below another root.
fn copy_into(jail: &Path, program: &str) {
    let said = Said::by(Command::new("ldd").arg(program));
    let libraries = said.out.split_whitespace().filter(|word| word.starts_with('/'));
    for file in libraries.chain([program]) {
        let to = jail.join(&file[1..]);
        fs::create_dir_all(to.parent().expect("below the jail")).expect("ours");
        fs::copy(file, to).expect("room");
    }
}

#[test]
fn another_root_is_all_that_there_is() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let jail = tree.path("jail");
    copy_into(&jail, "/bin/sleep");
    fs::create_dir(jail.join("inside")).expect("ours");
    let keys = format!("chroot = '{}'\ndirectory = 'inside'\nuser = 'nobody'", jail.display());
    let pid = sleeper(&mut tree, &keys);
    assert_eq!(fs::read_link(format!("/proc/{pid}/root")).expect("/proc"), jail);
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).expect("/proc"), jail.join("inside"));
    assert!(field(pid, "Uid").starts_with("65534"), "the account is looked up outside");
    assert_eq!(tree.stop(), 0);
}

fn has_landlock() -> bool {
    needs("Landlock (Linux 5.13)", svc_sys::landlock::version().is_ok())
}

#[test]
fn all_paths_but_a_few_are_closed() {
    if !has_landlock() {
        return;
    }
    let keys = "landlock.exec = ['/usr', '/bin', '/lib', '/lib64']\nlandlock.read = '/etc/hostname'\n\
                landlock.write = ['.', '/dev/null']\nlandlock.version = 1";
    let shell = "wc -l </etc/hostname; cat /etc/passwd; echo x >here && mkdir dir && mv here dir/there && cat dir/there; \
                 ls /; cp /bin/true dir/true && dir/true; grep NoNew /proc/self/status || echo closed";
    let lines = seen(keys, shell, 6);
    assert_eq!(lines[0], "1");
    for (line, what) in [(1, "/etc/passwd: Permission denied"), (3, "cannot open directory '/'"), (4, "Permission denied")] {
        assert!(lines[line].contains(what), "{what} in {lines:?}");
    }
    assert_eq!(lines[2], "x");
    assert_eq!(lines.last().map(String::as_str), Some("closed"), "{lines:?}");
}

#[test]
fn a_closed_program_is_explained() {
    if !has_landlock() {
        return;
    }
    let mut tree = Tree::new();
    tree.toml("closed", "command = 'sleep 1000'\nlandlock.read = '/etc'");
    tree.toml("absent", "command = 'sleep 1000'\nlandlock.read = '/no/such/path'");
    tree.toml("new", "command = 'sleep 1000'\nlandlock.read = '/'\nlandlock.version = 99");
    tree.start();
    for (name, words) in [
        ("closed", "sleep: Permission denied (os error 13): landlock leaves it open only if it is below a path of exec"),
        ("absent", "/no/such/path: No such file or directory (os error 2): landlock names it, so it must be there"),
        ("new", "of Landlock, and 99 is asked for: take a newer Linux, or make landlock optional"),
    ] {
        why_says(&tree, name, words);
    }
    assert_eq!(tree.stop(), 0);
}

/// Waits until `svc-ctl why` has these words, and the log too.
#[track_caller]
pub fn why_says(tree: &Tree, name: &str, words: &str) {
    let why = || tree.ctl_ok(&["why", name]);
    until(&format!("{words} in\n{}\nlog:\n{}", why(), tree.log()), || why().contains(words).then_some(()));
    until(&format!("{words} in the log\n{}", tree.log()), || tree.log().contains(words).then_some(()));
}

#[test]
fn system_calls_are_refused_by_profile() {
    let shell = "unshare --user true; grep -E 'Seccomp:|NoNewPrivs' /proc/self/status | tr -d '\\t'; mount -t tmpfs none /mnt 2>&1 | head -1";
    let lines = seen("seccomp = 'default'", shell, 4);
    assert!(lines[0].contains("unshare failed: Operation not permitted"), "{lines:?}");
    assert_eq!(lines[1..3], ["NoNewPrivs:1", "Seccomp:2"]);
    assert!(lines[3].contains("mount"), "{lines:?}");
    let shell = "unshare --user true; (true) && echo forks";
    let lines = seen("seccomp = 'no-namespaces'", shell, 2);
    assert!(lines[0].contains("unshare failed: Operation not permitted"), "{lines:?}");
    assert_eq!(lines[1], "forks");
}

/// To read no bytes of the memory of itself: nobody but the larger profile minds.
#[test]
fn the_profiles_differ_in_what_is_no_namespace() {
    if !svc_testkit::has_program("python3") {
        return;
    }
    let number = nix::libc::SYS_process_vm_readv;
    let shell = format!(
        "python3 -c \"import ctypes, os; c = ctypes.CDLL(None, use_errno=True); n = ctypes.c_ulong(0); \
         print(c.syscall({number}, os.getpid(), None, n, None, n, n), ctypes.get_errno())\""
    );
    assert_eq!(seen("seccomp = 'no-namespaces'", &shell, 1), ["0 0"]);
    assert_eq!(seen("seccomp = 'default'", &shell, 1), ["-1 1"]);
}

#[test]
fn the_names_of_profiles_are_those_that_there_are() {
    let names = svc_sys::seccomp::PROFILES.map(|profile| profile.name);
    assert_eq!(names, svc_core::rights::PROFILES);
}
