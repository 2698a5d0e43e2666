//! What keys are called in the files that people come from.

/// Names from the files of systemd, Compose, supervisord, dinit and pebble, in small letters and without marks, and the key.
const NAMES: [(&str, &str); 47] = [
    ("autorestart", "restart.when"),
    ("autostart", "start"),
    ("cmd", "command"),
    ("cwd", "directory"),
    ("delegate", "cgroup.delegate"),
    ("dependencies", "needs"),
    ("dependson", "needs"),
    ("entrypoint", "command"),
    ("environment", "env"),
    ("environmentfile", "env-file"),
    ("envfile", "env-file"),
    ("envvars", "env"),
    ("exec", "command"),
    ("execreload", "reload.signal"),
    ("execstart", "command"),
    ("execstop", "stop.command"),
    ("group", "groups"),
    ("healthcheck", "health.exec"),
    ("healthretries", "health.failures"),
    ("killmode", "stop.tree"),
    ("killsignal", "stop.signal"),
    ("listenstream", "sockets"),
    ("memlimit", "memory.limit"),
    ("memorymax", "cgroup.memory-max"),
    ("numprocs", "instances"),
    ("oncalendar", "cron"),
    ("pidfile", "pid-file"),
    ("replicas", "instances"),
    ("requires", "needs"),
    ("restartpolicy", "restart.when"),
    ("restartsec", "restart.delay"),
    ("run", "command"),
    ("runas", "user"),
    ("schedule", "cron"),
    ("startlimitburst", "restart.limit"),
    ("startsecs", "timeout.start"),
    ("stopsignal", "stop.signal"),
    ("stoptimeout", "timeout.kill"),
    ("stopwaitsecs", "timeout.kill"),
    ("stopgraceperiod", "timeout.kill"),
    ("tasksmax", "cgroup.pids-max"),
    ("timeoutdown", "timeout.stop"),
    ("timeoutstartsec", "timeout.start"),
    ("timeoutstopsec", "timeout.kill"),
    ("workdir", "directory"),
    ("workingdir", "directory"),
    ("workingdirectory", "directory"),
];

/// The key that does what this name says elsewhere, however it is written there.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let plain: String = name.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    NAMES.iter().find(|(known, _)| *known == plain).map(|&(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_suggested_exists_and_no_key_needs_it() {
        for (name, key) in NAMES {
            assert!(super::super::find(key).is_some(), "{name} suggests {key}, which is no key");
            assert!(super::super::find(name).is_none() || super::super::is_table(name), "{name} is a key itself");
        }
    }

    #[test]
    fn case_and_marks_mean_nothing() {
        assert_eq!(
            (meant("ExecStart"), meant("depends_on"), meant("working-dir")),
            (Some("command"), Some("needs"), Some("directory"))
        );
        assert_eq!(meant("colour"), None);
    }
}
