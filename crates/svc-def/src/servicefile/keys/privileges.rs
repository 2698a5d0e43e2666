//! What it may do, and when it gets its turn.

use super::{Change, FIRST, Key, RUNNING, Shape, key, rights, schema};

pub(super) const KEYS: &[Key] = &[
    key!(
        "nice",
        Shape::Number { least: -20, most: 19, set: |draft, nice| draft.nice = Some(nice) },
        "0",
        RUNNING,
        Change::Restart,
        "How much nicer it is than svc; negative is less nice.",
        "5"
    ),
    key!(
        "ionice",
        Shape::Form {
            wanted: "none, idle, best-effort:LEVEL or realtime:LEVEL (0 to 7)",
            pattern: "none|idle|(best-effort|realtime)(:[0-7])?",
            read: rights::ionice,
            set: |draft, class| draft.rights.ionice = Some(class)
        },
        "that of svc",
        RUNNING,
        Change::Restart,
        "When it gets its turn at a disk; a level of 0 is first, and without a level it is 4.",
        "\"best-effort:7\""
    ),
    key!(
        "scheduler",
        Shape::Form {
            wanted: "other, batch, idle, fifo:PRIORITY or rr:PRIORITY (1 to 99)",
            pattern: "other|batch|idle|(fifo|rr):[1-9][0-9]?",
            read: rights::scheduler,
            set: |draft, policy| draft.rights.scheduler = Some(policy)
        },
        "that of svc",
        RUNNING,
        Change::Restart,
        "How processors are shared out to it: the policy of sched(7).",
        "\"batch\""
    ),
    key!(
        "cpu-affinity",
        Shape::Form {
            wanted: "numbers of processors",
            pattern: "[0-9]+(-[0-9]+)?(, *[0-9]+(-[0-9]+)?)*",
            read: rights::cpus,
            set: |draft, cpus| draft.rights.cpus = Some(cpus)
        },
        "that of svc",
        RUNNING,
        Change::Restart,
        "The only processors that it runs on, the first being 0.",
        "\"0-3,5\""
    ),
    key!(
        "oom-score-adjust",
        Shape::Number { least: -1000, most: 1000, set: |draft, score| draft.rights.oom_score = Some(score) },
        "that of svc",
        RUNNING,
        Change::Restart,
        "How likely the kernel kills it when memory is out: -1000 never, 1000 first.",
        "500"
    ),
    key!(
        "chroot",
        Shape::Text(|draft, dir| draft.rights.chroot = Some(dir)),
        "none",
        RUNNING,
        Change::Restart,
        "The directory that it sees as /. Its program, and directory, are looked for in there; user and groups outside.",
        "\"/srv/jail\""
    ),
    key!(
        "capabilities.bounding",
        Shape::Words {
            known: svc_core::capability::is_word,
            nearest: svc_core::capability::nearest,
            pattern: schema::capabilities,
            set: |draft, words| draft.rights.bounding = Some(words)
        },
        "those of svc",
        RUNNING,
        Change::Restart,
        "The only capabilities (see capabilities(7)) that it can ever have, also as root: names with or without CAP_, \"all\", and \
         \"-NAME\" for all but this one.",
        "[\"NET_BIND_SERVICE\", \"CHOWN\"]"
    ),
    key!(
        "capabilities.ambient",
        Shape::Words {
            known: svc_core::capability::is_word,
            nearest: svc_core::capability::nearest,
            pattern: schema::capabilities,
            set: |draft, words| draft.rights.ambient = Some(words)
        },
        "none",
        RUNNING,
        Change::Restart,
        "Capabilities that it has although user is not root, such as to listen at a port below 1024.",
        "[\"NET_BIND_SERVICE\"]"
    ),
    key!(
        "no-new-privileges",
        Shape::Flag(|draft, flag| draft.rights.no_new_privileges = Some(flag)),
        "false, but true with landlock or seccomp",
        RUNNING,
        Change::Restart,
        "It gains nothing by executing a set-user-ID program such as sudo, or a file with capabilities.",
        "true"
    ),
    key!(
        "landlock.read",
        Shape::Texts(|draft, paths| draft.rights.open("read", paths)),
        "everything",
        RUNNING,
        Change::Restart,
        "Paths below which it may read. Where this, write or exec has a path in it, all paths that none of them names are \
         closed, those of its program and libraries too. A relative path begins at directory.",
        "[\"/etc\", \"/usr/share\"]"
    ),
    key!(
        "landlock.write",
        Shape::Texts(|draft, paths| draft.rights.open("write", paths)),
        "everything",
        RUNNING,
        Change::Restart,
        "Paths below which it may read, write, make and remove.",
        "[\"/var/lib/web\", \"/dev/null\"]"
    ),
    key!(
        "landlock.exec",
        Shape::Texts(|draft, paths| draft.rights.open("exec", paths)),
        "everything",
        RUNNING,
        Change::Restart,
        "Paths below which it may read and execute: where its program is, and the libraries and interpreters that this needs.",
        "[\"/usr\", \"/lib\", \"/lib64\", \"/bin\"]"
    ),
    key!(
        "landlock.version",
        Shape::Number { least: 1, most: 99, set: |draft, version| draft.rights.landlock_version = Some(version) },
        "1",
        RUNNING,
        Change::Restart,
        "The oldest Landlock that will do. What an older one does not know stays open: before 2 nothing moves between \
         directories, before 3 any file can be cut short that can be opened, before 5 devices take every ioctl.",
        "3"
    ),
    key!(
        "seccomp",
        Shape::Form {
            wanted: "default or no-namespaces",
            pattern: "default|no-namespaces",
            read: rights::seccomp,
            set: |draft, profile| draft.rights.seccomp = Some(profile)
        },
        "none",
        RUNNING,
        Change::Restart,
        "System calls that it is refused: no-namespaces new namespaces and those of others, default also mounts, kernel modules, \
         the clock, memory of other processes, keys, bpf, io_uring and what else a service has no business with.",
        "\"default\""
    ),
];
