//! Keys about readiness and health: what they make of a command, and what is said of what is wrong in them.

use svc_core::Millis;
use svc_core::health::{Remedy, Senders};

use crate::servicefile::{chain, good, problems};

/// What `svc exec` gets for a process with these keys.
#[track_caller]
fn words(keys: &str) -> (String, Option<u32>) {
    let definition = good(&format!("command = 'web -x'\nuser = 'me'\n{keys}")).0.expect("a definition");
    (chain(definition.program), definition.settings.notification_fd)
}

#[test]
fn a_probe_goes_beside_the_command() {
    for (keys, probe) in [
        ("ready.tcp = ':80'", "tcp|localhost:80"),
        (
            "ready.tcp = 'db:5432'\nready.interval = '2s'\nready.timeout = '1.5s'",
            "--interval|2000ms|--attempt|1500ms|tcp|db:5432",
        ),
        ("ready.exec = 'test -e x'", "--words|3|exec|test|-e|x"),
        ("ready.unix = 'sock'", "unix|sock"),
        ("ready.file = '/run/pid'", "--fresh|file|/run/pid"),
        ("ready.log = '^up$'", "log|^up$"),
        ("ready.http = 'http://localhost/x'", "http|http://localhost/x"),
        (
            "ready.http = { url = 'http://x/', status = [200, '300-302'], header = { A = 'b' }, body = 'ok' }",
            "--status|200,300-302|--header|A: b|--body|ok|http|http://x/",
        ),
    ] {
        assert_eq!(words(keys), (format!("--probe|--user|me|--home|--|--notify|63|{probe}|--|web|-x"), Some(63)), "{keys}");
    }
    assert_eq!(words("ready.fd = 4"), ("--user|me|--home|--|web|-x".into(), Some(4)));
}

#[test]
fn a_health_check_is_a_probe_as_the_same_user_without_the_files_of_the_start() {
    let text = "command = 'web'\nuser = 'me'\nenv.A = 'b'\ntemplates = [{ from = 'a', to = '/b' }]\n\
                health = { tcp = ':80', timeout = '2s', start-period = '3s', failures = 4, successes = 5, action = 'restart' }";
    let checks = good(text).0.expect("a definition").settings.checks.expect("checks");
    let probe = checks.health.expect("a probe");
    let words: Vec<String> = probe.words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let expected = "--probe --user me --home --env A=b -- --child --timeout 2000ms tcp localhost:80";
    assert_eq!(words.join(" "), expected);
    assert_eq!((probe.interval, probe.timeout, probe.start_period), (Millis(10_000), Millis(3000), Millis(3000)));
    assert_eq!((probe.failures, probe.successes, probe.remedy), (4, 5, Remedy::Restart));
    assert_eq!((checks.notify, checks.says_ready, checks.watchdog), (None, false, Millis::ZERO));
}

#[test]
fn a_watchdog_has_the_socket_of_readiness() {
    let checks = |keys: &str| *good(&format!("command = 'x'\n{keys}")).0.expect("good").settings.checks.expect("checks");
    let found = checks("watchdog = '5s'");
    assert_eq!((found.notify, found.says_ready, found.watchdog), (Some(Senders::Main), false, Millis(5000)));
    let found = checks("watchdog = '5s'\nready.notify = 'all'");
    assert_eq!((found.notify, found.says_ready), (Some(Senders::All), true));
    assert_eq!(checks("ready.notify = true").notify, Some(Senders::Main));
    assert_eq!(good("command = 'x'\nready.notify = false").0.expect("good").settings.checks, None);
}

#[test]
fn what_is_wrong_is_told_where_it_stands() {
    for (text, said) in [
        ("ready.tcp = 80", "2:13: ready.tcp is 80, and must be a text in quotes, such as \":5432\""),
        ("ready.tcp = 'db'", "2:13: ready.tcp: \"db\": must be HOST:PORT, such as localhost:8080"),
        ("ready.exec = ''", "2:14: ready.exec names no program: write \"pg_isready -q\""),
        ("ready.unix = ''", "2:14: ready.unix is \"\", and must be a path, such as \"/run/web.sock\""),
        ("ready.file = 1", "2:14: ready.file is 1, and must be a text in quotes, such as \"/run/web.pid\""),
        ("ready.log = '(a'", "2:13: ready.log has a ( without its )"),
        (
            "ready.http = 'https://x'",
            "2:14: ready.http: \"https://x\": svc speaks no TLS: name a plain port, or use exec with curl",
        ),
        ("ready.http = {}", "2:14: ready.http has no url: write { url ="),
        ("ready.http = { url = 'http://x', status = 20 }", "2:43: ready.http: status: \"20\": must be statuses, such as"),
        (
            "ready.http = { url = 'http://x', header = 'a' }",
            "2:43: ready.http: header is \"a\", and must be a table of texts",
        ),
        (
            "ready.http = { url = 'http://x', boddy = 'a' }",
            "2:34: ready.http has \"boddy\", which is unknown: did you mean body?",
        ),
        ("ready.http = { url = 'http://x', body = '[' }", "2:41: ready.http: body has a [ without its ]"),
        (
            "ready.tcp = ':1'\nready.interval = 0",
            "3:18: ready.interval is \"0\", and must be a time with its unit (ms, s, m, h or d), and more than 0",
        ),
        ("ready.interval = '1s'", "2:7: ready.interval means nothing without one of ready.exec, ready.tcp, ready.http,"),
        ("ready.log = 'x'\nready.timeout = '1s'", "3:7: ready.timeout means nothing without one of ready.exec,"),
        ("ready.notify = 'mian'", "2:16: ready.notify must be one of main, all, and is \"mian\""),
        (
            "ready.notify = 1",
            "2:16: ready.notify is 1, and must be true or false, without quotes, or one of main and all, such as \"all\"",
        ),
        (
            "watchdog = 0",
            "2:12: watchdog is \"0\", and must be a time with its unit (ms, s, m, h or d), and more than 0, such as \"10s\"",
        ),
        (
            "watchdog = '1s'\nready.tcp = ':1'",
            "2:1: watchdog and ready.tcp do not go together: one that feeds it says READY=1",
        ),
        ("health.tcp = ':1'\nhealth.file = 'x'", "3:8: health.tcp and health.file both say whether it is well: keep one"),
        ("health.log = 'x'", "2:8: \"health.log\" is no key of a service"),
        ("health.interval = '1s'", "2:8: health.interval means nothing without one of health.exec, health.tcp,"),
        (
            "health.unix = 'x'\nhealth.action = 'stop'",
            "3:17: health.action must be one of report, restart, reload, stop-container",
        ),
        ("health.file = 'x'\nhealth.failures = 0", "3:19: health.failures is 0, and must be a number from 1 to 1000"),
        ("health.file = 'x'\nhealth.successes = '2'", "3:20: health.successes is \"2\", and must be a number from 1 to"),
        (
            "health.file = 'x'\nhealth.timeout = 5",
            "3:18: health.timeout is 5, and must be a time with its unit (ms, s, m, h or d), and more than 0",
        ),
        ("health.file = 'x'\nhealth.start-period = 5", "3:23: health.start-period is 5, and must be a time with its unit"),
        ("health.exec = []", "2:15: health.exec names no program: write \"redis-cli ping\""),
        ("health.http = 'x'", "2:15: health.http: \"x\": must begin with http://"),
        ("ready.fd = 3\nready.tcp = ':1'", "3:7: ready.fd and ready.tcp both say when it is ready: keep one of them"),
    ] {
        let found = problems(&format!("command = 'x'\n{text}"));
        assert!(found.iter().any(|problem| problem.starts_with(said)), "{text}\n  expected {said}\n  found    {found:#?}");
    }
}
