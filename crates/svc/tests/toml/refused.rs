//! What the kernel or the container refuses: an error with its cause and its cure, unless it is optional.

use svc_testkit::{Tree, is_root, until};

use crate::rights::why_says;

const STRANGER: u32 = 10001;

/// Keys that only root may have, and what is said to everybody else.
const REFUSED: [(&str, &str, &str); 11] = [
    (
        "nice",
        "nice = -5",
        "cannot be nicer by -5: Permission denied (os error 13): only root with CAP_SYS_NICE may be less nice (docker run \
         --cap-add SYS_NICE), or make nice optional",
    ),
    (
        "bounding",
        "capabilities.bounding = ['CHOWN']",
        "Operation not permitted (os error 1): only root with CAP_SETPCAP may (docker run --cap-add SETPCAP), or make \
         capabilities optional",
    ),
    (
        "ambient",
        "capabilities.ambient = ['NET_BIND_SERVICE']",
        "cannot give on CAP_NET_BIND_SERVICE: svc itself does not have it here (docker run --cap-add NET_BIND_SERVICE), or make \
         capabilities optional",
    ),
    (
        "oom",
        "oom-score-adjust = -5",
        "cannot adjust the oom score to -5: Permission denied (os error 13): only root with CAP_SYS_RESOURCE may be killed \
         later than before (docker run --cap-add SYS_RESOURCE), or make oom-score-adjust optional",
    ),
    (
        "scheduler",
        "scheduler = 'fifo:1'",
        "cannot set the scheduler: Operation not permitted (os error 1): only root with CAP_SYS_NICE may have fifo or rr \
         (docker run --cap-add SYS_NICE), or make scheduler optional",
    ),
    (
        "ionice",
        "ionice = 'realtime'",
        "cannot set the class of input and output: Operation not permitted (os error 1): only root with CAP_SYS_NICE may have \
         realtime (docker run --cap-add SYS_NICE), or make ionice optional",
    ),
    (
        "affinity",
        "cpu-affinity = '1023'",
        "cannot run on these processors only: Invalid argument (os error 22): none of them",
    ),
    (
        "limits",
        "limits.nofile = 'unlimited'",
        "(docker run --ulimit nofile=..., or --cap-add SYS_RESOURCE), or make limits optional",
    ),
    ("cgroup", "cgroup.own = true", ", or make cgroup optional"),
    (
        "chroot",
        "chroot = '/'",
        "cannot make / the root: Operation not permitted (os error 1): only root with CAP_SYS_CHROOT may (docker run --cap-add \
         SYS_CHROOT)",
    ),
    ("user", "user = 'root'", "only root with CAP_SETUID and CAP_SETGID may"),
];

/// What must not be left out without anybody noticing.
const NEVER_OPTIONAL: [&str; 2] = ["chroot", "user"];

const OPTIONAL: &str = "optional = ['nice', 'capabilities', 'oom-score-adjust', 'scheduler', 'ionice', 'cpu-affinity', \
                        'limits', 'cgroup']";

#[test]
fn what_is_refused_is_told_with_its_cure() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    tree.run_as(STRANGER);
    for (name, keys, _) in REFUSED {
        tree.toml(name, &format!("command = 'sleep 1000'\n{keys}"));
    }
    tree.start();
    for (name, _, words) in REFUSED {
        why_says(&tree, name, words);
        tree.await_status(name, "a failed start", |status| {
            status.last_exit.as_ref().is_some_and(|exit| exit.code == Some(111))
        });
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_is_refused_and_optional_is_left_out_with_a_line() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    tree.run_as(STRANGER);
    let services = || REFUSED.into_iter().filter(|(name, ..)| !NEVER_OPTIONAL.contains(name));
    for (name, keys, _) in services() {
        tree.toml(name, &format!("command = 'sleep 1000'\n{keys}\n{OPTIONAL}"));
    }
    tree.start();
    for (name, _, words) in services() {
        let asleep = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "sleep\n");
        until(&format!("a sleeping {name}; log:\n{}", tree.log()), || tree.status(name)?.pid.filter(asleep));
        let cause = words.split(", or make").next().unwrap_or_default();
        let told = || {
            tree.log()
                .lines()
                .any(|line| line.contains(&format!("svc exec: {name}: goes on without ")) && line.contains(cause))
        };
        until(&format!("{cause} in\n{}", tree.log()), || told().then_some(()));
        assert_eq!(tree.status(name).map(|status| status.restarts), Some(0), "{name}");
    }
    assert_eq!(tree.stop(), 0);
}

/// Runs svc where Landlock and filters of system calls are refused to it, as the filter of a container may do.
const SANDBOX: &str = r#"
import ctypes, os, struct, sys
call, arguments = lambda k, yes, no: struct.pack("HBBI", 0x15, yes, no, k), 16
prctl, seccomp, landlock, set_seccomp = NUMBERS
steps = [struct.pack("HBBI", 0x20, 0, 0, 0), call(landlock, 5, 0), call(seccomp, 4, 0), call(prctl, 0, 2),
         struct.pack("HBBI", 0x20, 0, 0, arguments), call(set_seccomp, 1, 0),
         struct.pack("HBBI", 6, 0, 0, 0x7fff0000), struct.pack("HBBI", 6, 0, 0, 0x50001)]
steps = ctypes.create_string_buffer(b"".join(steps))
program = struct.pack("HxxxxxxP", len(steps) // 8, ctypes.addressof(steps))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(set_seccomp, 2, program, 0, 0) == 0, ctypes.get_errno()
os.execvp(sys.argv[1], sys.argv[1:])
"#;

#[test]
fn what_a_sandbox_hides_is_an_error_unless_it_is_optional() {
    if !svc_testkit::has_program("python3") {
        return;
    }
    use nix::libc;
    let (landlock, set_seccomp) = (libc::SYS_landlock_create_ruleset, libc::PR_SET_SECCOMP);
    let numbers = format!("{}, {}, {landlock}, {set_seccomp}", libc::SYS_prctl, libc::SYS_seccomp);
    let mut tree = Tree::new();
    tree.wrapper(&["python3", "-c", &SANDBOX.replace("NUMBERS", &numbers)]);
    let keys = [
        (
            "closed",
            "landlock.read = '/'\nlandlock.exec = '/'",
            "landlock",
            "a sandbox forbids it: docker run --security-opt",
        ),
        ("filtered", "seccomp = 'default'", "seccomp", "cannot filter system calls by default: Operation not permitted"),
    ];
    for (name, keys, step, _) in keys {
        tree.toml(name, &format!("command = 'sleep 1000'\n{keys}"));
        tree.toml(&format!("{name}-or-not"), &format!("command = 'sleep 1000'\n{keys}\noptional = ['{step}']"));
    }
    tree.start();
    for (name, _, step, words) in keys {
        why_says(&tree, name, words);
        why_says(&tree, name, &format!(", or make {step} optional"));
        let name = format!("{name}-or-not");
        let told = format!("svc exec: {name}: goes on without {step}, which is optional: ");
        tree.await_status(&name, "up", |status| status.state == svc_testkit::State::Up && status.restarts == 0);
        until(&format!("{told} in\n{}", tree.log()), || tree.log().contains(&told).then_some(()));
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_path_that_is_missing_is_a_mistake_and_not_optional() {
    if svc_sys::landlock::version().is_err() {
        return;
    }
    let mut tree = Tree::new();
    tree.toml("lost", "command = 'sleep 1000'\nlandlock.read = '/no/such/path'\noptional = ['landlock']");
    tree.start();
    why_says(&tree, "lost", "/no/such/path: No such file or directory (os error 2): landlock names it, so it must be there");
    assert_eq!(tree.stop(), 0);
}
