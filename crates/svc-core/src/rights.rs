//! Names of what `svc exec` can do to a program: they stand in service.toml and on its command line.

/// What it may be told to go on without where it is refused, by the names of the keys.
pub const OPTIONAL: [&str; 10] = [
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

/// Profiles of system calls that are refused.
pub const PROFILES: [&str; 2] = ["default", "no-namespaces"];

/// Whether a file of a cgroup says what a controller is to do, such as memory.max. Those of the cgroup itself are none.
pub fn is_controller_file(name: &str) -> bool {
    let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
    let parts = name.split_once('.').is_some_and(|(controller, rest)| !controller.is_empty() && !rest.is_empty());
    letters && parts && !name.starts_with("cgroup.")
}
