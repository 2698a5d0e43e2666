//! Keys about readiness and health: what they make of a command, and what is said of what is wrong in them.

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
        assert_eq!(words(keys), (format!("--probe|--user|me|--|--notify|63|{probe}|--|web|-x"), Some(63)), "{keys}");
    }
    assert_eq!(words("ready.fd = 4"), ("--user|me|--|web|-x".into(), Some(4)));
}

#[test]
fn what_is_wrong_is_told_where_it_stands() {
    for (text, said) in [
        ("ready.tcp = 80", "2:13: ready.tcp is 80, and must be a text in quotes, such as \":5432\""),
        ("ready.tcp = 'db'", "2:13: ready.tcp: db: must be HOST:PORT, such as localhost:8080"),
        ("ready.exec = ''", "2:14: ready.exec names no program: write \"pg_isready -q\""),
        ("ready.unix = ''", "2:14: ready.unix is \"\", and must be a path, such as \"/run/web.sock\""),
        ("ready.file = 1", "2:14: ready.file is 1, and must be a text in quotes, such as \"/run/web.pid\""),
        ("ready.log = '(a'", "2:13: ready.log has a ( without its )"),
        (
            "ready.http = 'https://x'",
            "2:14: ready.http: https://x: svc speaks no TLS: name a plain port, or use exec with curl",
        ),
        ("ready.http = {}", "2:14: ready.http has no url: write { url ="),
        ("ready.http = { url = 'http://x', status = 20 }", "2:43: ready.http: status: 20: must be statuses, such as"),
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
            "3:18: ready.interval is \"0\", and must be a time with its unit, and more than 0",
        ),
        ("ready.interval = '1s'", "2:7: ready.interval means nothing without one of ready.exec, ready.tcp, ready.http,"),
        ("ready.log = 'x'\nready.timeout = '1s'", "3:7: ready.timeout means nothing without one of ready.exec,"),
        ("ready.fd = 3\nready.tcp = ':1'", "3:7: ready.fd and ready.tcp both say when it is ready: keep one of them"),
    ] {
        let found = problems(&format!("command = 'x'\n{text}"));
        assert!(found.iter().any(|problem| problem.starts_with(said)), "{text}\n  expected {said}\n  found    {found:#?}");
    }
}
