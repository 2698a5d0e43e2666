//! What it may use.

use super::{Change, FIRST, Key, RUNNING, Shape, key, rights, schema};

pub(super) const KEYS: &[Key] = &[
    key!(
        "cgroup.own",
        Shape::Flag(|draft, flag| draft.rights.own_cgroup = flag),
        "false, but true with any other key of cgroup",
        RUNNING,
        Change::Restart,
        "It has a cgroup (version 2) of its own, and what it leaves behind is killed at once with that.",
        "true"
    ),
    key!(
        "cgroup.delegate",
        Shape::Flag(|draft, flag| draft.rights.delegates_cgroup = flag),
        "false",
        RUNNING,
        Change::Restart,
        "Its cgroup belongs to user, who may make others below it and move processes of the service there, as container engines do; \
         root may without this.",
        "true"
    ),
    key!(
        "cgroup.memory-max",
        Shape::Form {
            wanted: "a size such as \"64MiB\", a number of bytes, or \"max\"",
            pattern: schema::SIZE_OR_MAX,
            read: rights::size,
            set: |draft, size| draft.rights.set("memory.max", size)
        },
        "max (no limit)",
        RUNNING,
        Change::Restart,
        "Memory of all its processes together; the kernel kills one of them when they need more, and svc-ctl why says so.",
        "\"512MiB\""
    ),
    key!(
        "cgroup.memory-high",
        Shape::Form {
            wanted: "a size such as \"64MiB\", a number of bytes, or \"max\"",
            pattern: schema::SIZE_OR_MAX,
            read: rights::size,
            set: |draft, size| draft.rights.set("memory.high", size)
        },
        "max (no limit)",
        RUNNING,
        Change::Restart,
        "Above this much memory its processes are slowed down, and have to give memory back.",
        "\"400MiB\""
    ),
    key!(
        "cgroup.swap-max",
        Shape::Form {
            wanted: "a size such as \"64MiB\", a number of bytes, or \"max\"",
            pattern: schema::SIZE_OR_MAX,
            read: rights::size,
            set: |draft, size| draft.rights.set("memory.swap.max", size)
        },
        "max (no limit)",
        RUNNING,
        Change::Restart,
        "Swap of all its processes together.",
        "0"
    ),
    key!(
        "cgroup.cpu-max",
        Shape::Form {
            wanted: "a number of processors such as 1.5, a part of one such as \"50%\", or \"max\"",
            pattern: "(?=.*[1-9])[0-9]*[.]?[0-9]+ *%?|max",
            read: rights::processors,
            set: |draft, quota| draft.rights.set("cpu.max", quota)
        },
        "max (no limit)",
        RUNNING,
        Change::Restart,
        "Time of processors that all its processes get together.",
        "\"50%\""
    ),
    key!(
        "cgroup.cpu-weight",
        Shape::Number { least: 1, most: 10_000, set: |draft, weight| draft.rights.set("cpu.weight", weight.to_string()) },
        "100",
        RUNNING,
        Change::Restart,
        "Its share of the processors when others want them too.",
        "50"
    ),
    key!(
        "cgroup.io-weight",
        Shape::Number { least: 1, most: 10_000, set: |draft, weight| draft.rights.set("io.weight", weight.to_string()) },
        "100",
        RUNNING,
        Change::Restart,
        "Its share of disks when others want them too.",
        "50"
    ),
    key!(
        "cgroup.pids-max",
        Shape::Form {
            wanted: "a number or \"max\"",
            pattern: "[0-9]+|max",
            read: rights::count,
            set: |draft, count| draft.rights.set("pids.max", count)
        },
        "max (no limit)",
        RUNNING,
        Change::Restart,
        "How many processes and threads it may have.",
        "100"
    ),
    key!(
        "cgroup.set",
        Shape::Files(|draft, files| files.into_iter().for_each(|(file, value)| draft.rights.set(&file, value))),
        "nothing",
        RUNNING,
        Change::Restart,
        "Other files of a cgroup's controllers, and what is written into them as it is.",
        "{ \"cpuset.cpus\" = \"0-1\", \"io.max\" = \"8:0 rbps=1048576\" }"
    ),
    key!(
        "optional",
        Shape::Words {
            known: |word| svc_core::rights::OPTIONAL.contains(&word),
            nearest: rights::nearest_optional,
            pattern: schema::optional,
            set: |draft, names| draft.rights.optional = names
        },
        "none",
        RUNNING,
        Change::Restart,
        "Keys (for capabilities, cgroup and landlock: those tables) without which it is started all the same where the kernel or \
         the container refuses them; the log says so. Possible are capabilities, cgroup, cpu-affinity, ionice, landlock, limits, \
         nice, oom-score-adjust, scheduler and seccomp.",
        "[\"nice\", \"cgroup\"]"
    ),
    key!(
        "limits",
        Shape::Limits(|draft, limits| draft.limits = limits),
        "those of svc",
        RUNNING,
        Change::Restart,
        "Limits of setrlimit(2), or a table with soft and hard of one; one value is both. Sizes are as, core, data, fsize, memlock, \
         msgqueue, rss and stack; times are cpu (whole seconds) and rttime (a number is of microseconds); numbers are locks, nice (20 less \
         the nice value), nofile, nproc, rtprio and sigpending. Each may be \"unlimited\".",
        "{ nofile = { soft = 1024, hard = 4096 }, core = 0, as = \"512MiB\" }"
    ),
];
