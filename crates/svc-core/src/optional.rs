//! What `svc exec` may be told to go on without where it is refused: these names stand in service.toml and on its command line.

/// By the names of the keys.
pub const NAMES: [&str; 10] = [
    "capabilities",
    "cgroup",
    "cpu-affinity",
    "ionice",
    "landlock",
    "limits",
    "nice",
    "oom-score-adjust",
    "scheduler",
    "seccomp",
];
