//! service.toml: what it means, and what is said of what is wrong in it.

use std::collections::BTreeSet;
use std::path::Path;

use svc_core::definition::Script;
use svc_core::graph::{Bond, Condition, Relation};
use svc_core::{Definition, Millis, Program, Signal};
use svc_def::{Kind, Outcome, Reading, Source, Start, read, read_kept};

use crate::scratch::{Scratch, name};

pub(crate) fn reading(text: &str) -> (Scratch, Reading) {
    let scratch = Scratch::new();
    scratch.file("service.toml", text);
    let reading = read(scratch.path(), &name("web"), None);
    (scratch, reading)
}

#[track_caller]
pub(crate) fn good(text: &str) -> (Option<Definition>, Source) {
    let (_scratch, reading) = reading(text);
    assert_eq!(reading.problems, [], "{text}");
    let definition = match reading.outcome {
        Outcome::Ready(definition) => Some(*definition),
        Outcome::Name => None,
        other => panic!("{other:?}"),
    };
    (definition, reading.source.expect("a source"))
}

/// Each problem as `LINE:COLUMN: MESSAGE`.
#[track_caller]
pub(crate) fn problems(text: &str) -> Vec<String> {
    let (scratch, reading) = reading(text);
    assert!(matches!(reading.outcome, Outcome::Broken), "{text}: {reading:?}");
    let front = format!("{}:", scratch.join("service.toml").display());
    let list = reading.problems.iter().map(|problem| problem.to_string());
    list.map(|line| line.strip_prefix(&front).unwrap_or(&line).trim().to_owned()).collect()
}

/// The words of a command line.
pub(crate) fn chain(program: Program) -> String {
    let words = match program {
        Program::Chain(words) | Program::Oneshot { up: Some(Script::Chain(words)), .. } => words,
        other => panic!("{other:?}"),
    };
    words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>().join("|")
}

#[test]
fn a_drop_in_chooses_another_one_of_several_keys() {
    let merged = |base: &str, over: &str| {
        let scratch = Scratch::new();
        scratch.file("service.toml", base);
        scratch.directory("service.toml.d");
        scratch.file("service.toml.d/10.toml", over);
        let reading = read(scratch.path(), &name("web"), None);
        let problems: Vec<String> = reading.problems.iter().map(|problem| problem.message.clone()).collect();
        let facts = reading.source.and_then(|source| source.facts).map(|facts| facts.values).unwrap_or_default();
        (facts.iter().map(|(key, _)| key.to_owned()).collect::<BTreeSet<_>>(), problems)
    };
    let base = "command = 'x'\nready.tcp = ':80'\n[health]\nhttp = 'http://localhost/'\ninterval = '1s'";
    let keys = ["command", "ready.unix", "health.interval", "health.exec"];
    assert_eq!(merged(base, "ready.unix = '/x'\nhealth.exec = 'true'"), (BTreeSet::from(keys.map(str::to_owned)), vec![]));
    let timer = merged("kind = 'timer'\ncommand = 'x'\nevery = '1m'", "cron = '@daily'");
    assert_eq!(timer, (BTreeSet::from(["kind", "command", "cron"].map(str::to_owned)), vec![]));
    // What means something beside the other one alone goes with it, and nothing else.
    let cases = [
        ("kind = 'timer'\ncron = '@daily'\nzone = 'UTC'", "every = '1h'", &["kind", "every"][..]),
        ("kind = 'timer'\nevery = '1h'\nevery-from = 'end'", "cron = '@daily'", &["kind", "cron"]),
        ("ready.tcp = ':80'\nready.interval = '2s'", "ready.notify = true", &["ready.notify"]),
        ("ready.tcp = ':80'\nready.interval = '2s'", "ready.file = '/x'", &["ready.file", "ready.interval"]),
        ("sockets = ['80']\nstart = 'on-demand'\nidle-stop = '5m'", "start = true", &["sockets", "start"]),
    ];
    for (base, over, keys) in cases {
        let keys = keys.iter().chain(&["command"]).map(|key| (*key).to_owned()).collect();
        assert_eq!(merged(&format!("command = 'x'\n{base}"), over), (keys, vec![]), "{base}");
    }
    // One file must know what it says.
    for (base, over, said) in [
        ("kind = 'timer'\ncron = '@daily'", "every = '1h'\nzone = 'UTC'", "zone means nothing without cron"),
        ("ready.fd = 3\nready.interval = '2s'", "ready.notify = true", "ready.interval means nothing without"),
        ("sockets = ['80']\nidle-stop = '5m'", "start = true", "idle-stop needs start"),
    ] {
        let problems = merged(&format!("command = 'x'\n{base}"), over).1;
        assert!(problems.iter().any(|problem| problem.starts_with(said)), "{base}: {problems:?}");
    }
    let two = merged(base, "ready.unix = '/x'\nready.fd = 3").1;
    assert!(two.iter().any(|problem| problem.contains("both say when it is ready: keep one of them")), "{two:?}");
}

#[test]
fn a_process_is_a_chain_in_an_order_that_works() {
    let (definition, source) = good(
        r#"
        command = "web --port 80"
        user = 33
        groups = ["tty", 7]
        env.PORT = 80
        env-file = "vars"
        unset = ["A", "B"]
        directory = "/srv"
        umask = "022"
        nice = -5
        limits = { nofile = 10, as = { soft = "1MiB", hard = "unlimited" }, cpu = "1m" }
        "#,
    );
    let definition = definition.expect("a definition");
    assert_eq!(
        chain(definition.program),
        "--user|33|--home|--env-file|vars|--env|A|--env|B|--env|PORT=80|--umask|022|--nice|-5|--limit|nofile=10:10|--limit|as=1048576:unlimited|\
         --limit|cpu=60:60|--groups|tty,7|--directory|/srv|--|web|--port|80"
    );
    assert!(definition.managed.is_some() && definition.essential.is_none() && !definition.down);
    assert_eq!((source.kind, source.start), (Kind::Longrun, Start::Always));
}

#[test]
fn every_setting_arrives() {
    let (definition, source) = good(
        r#"
        command = ["x"]
        start = false
        ready.fd = 5
        timeout = { start = "1.5s", stop = "2m", kill = "500ms" }
        stop.signal = "SIGINT"
        reload.signal = "1"
        kill-group = true
        keep-descendants = true
        max-deaths = 3
        "#,
    );
    let settings = definition.expect("a definition").settings;
    assert_eq!((source.timeout_up, source.timeout_down), (Millis(1500), Millis(120_000)));
    assert_eq!((settings.timeout_kill, settings.notification_fd), (Millis(500), Some(5)));
    assert_eq!((settings.down_signal, settings.reload_signal), (Signal::INT, Signal::HUP));
    assert!(settings.kill_group && settings.keep_descendants);
    assert_eq!((settings.max_death_tally, source.start), (3, Start::Asked));
}

#[test]
fn relations_have_a_condition_and_a_bond() {
    let (_, source) = good(
        r#"
        kind = "milestone"
        needs = ["a", { on = "b", until = "completed", bond = "start" }]
        wants = [{ on = "c", until = "started" }]
        after = ["d"]
        before = ["e"]
        "#,
    );
    let found: Vec<_> = source.relations.iter().map(|other| (&*other.on, other.relation, other.until)).collect();
    assert_eq!(
        found,
        [
            ("a", Relation::Needs(Bond::Stay), Condition::Ready),
            ("b", Relation::Needs(Bond::Start), Condition::Completed),
            ("c", Relation::Wants, Condition::Started),
            ("d", Relation::After, Condition::Ready),
            ("e", Relation::Before, Condition::Ready),
        ]
    );
    assert_eq!(source.kind, Kind::Oneshot { up: None, down: None });
    // Twice is once, unless it is not the same.
    let (_, twice) = good("command = 'x'\nneeds = ['a', 'b', 'a', { on = 'a', until = 'started' }]");
    let found: Vec<_> = twice.relations.iter().map(|other| (&*other.on, other.until)).collect();
    assert_eq!(found, [("a", Condition::Ready), ("b", Condition::Ready), ("a", Condition::Started)]);
    let (_, bundle) = good("kind = 'bundle'\nmembers = ['a', 'b', 'a']");
    assert_eq!(bundle.kind, Kind::Bundle { contents: vec![name("a"), name("b")] });
    let (oneshot, _) = good("kind = 'oneshot'\nup = 'a b'\ntimeout.stop = '3s'");
    let oneshot = oneshot.expect("a definition");
    assert_eq!((chain(oneshot.program), oneshot.settings.timeout_finish), ("--|a|b".into(), Millis(3000)));
    assert!(oneshot.settings.keep_descendants, "what an up starts is meant to stay");
}

#[test]
fn every_wrong_value_is_told_with_its_place_and_a_cure() {
    for (text, said) in [
        (
            "kind = 'proces'",
            "1:8: kind must be one of process, forking, oneshot, bundle, milestone, timer, and is \"proces\": did you mean process?",
        ),
        ("comand = 'x'", "1:1: \"comand\" is no key of a service: did you mean command?"),
        ("[timeout]\nstrat = '1s'", "2:1: \"timeout.strat\" is no key of a service: did you mean timeout.start?"),
        ("[timeout]\ndown = '1s'", "2:1: \"timeout.down\" is no key of a service: did you mean timeout.stop?"),
        ("[conditon]\nenv = 'A'", "1:2: \"conditon\" is no key of a service: did you mean condition?"),
        ("command = 'x'\ncommand = 'y'", "2:1: has the same key or table twice: keep one of the two"),
        ("[stop]\ntree = true\n[stop]\nsignal = 'INT'", "3:2: has the same key or table twice: keep one of the two"),
        (
            "ready.notify = 'true'",
            "1:16: ready.notify is \"true\", and must be true or false, without quotes, or one of main and all",
        ),
        ("wait-timeout = '5s'", "1:1: wait-timeout means nothing without wait-for: write that too, or remove it"),
        ("on-change = 'reload'", "1:1: on-change means nothing without watch or templates or distributions: write that too"),
        ("wholly-unknown = 1", "1:1: \"wholly-unknown\" is no key of a service"),
        ("watch = ['a.conf', 'a/*/b']", "1:20: watch has \"a/*/b\": only the name behind the last / may have * and ? in it"),
        ("watch = ''", "1:9: watch has \"\", which stands for no file: write a path"),
        ("drain = '5s'", "1:1: \"drain\" is no key of a service: did you mean stop.drain?"),
        ("signal = 'INT'", "1:1: \"signal\" is no key of a service: did you mean reload.signal or stop.signal?"),
        (
            "interval = '5s'",
            "1:1: \"interval\" is no key of a service: did you mean ready.interval, health.interval or memory.interval?",
        ),
        ("limit = 5", "1:1: \"limit\" is no key of a service: did you mean limits, memory.limit or restart.limit?"),
        ("kill.timeout = '5s'", "1:1: \"kill\" is no key of a service: did you mean timeout.kill?"),
        (
            "[restart]\nuser = 'x'",
            "2:1: \"restart.user\" is no key of a service: user is no key of restart: put it above [restart]",
        ),
        (
            "[memory]\nmax-size = 'x'",
            "2:1: \"memory.max-size\" is no key of a service: memory has limit, interval and action",
        ),
        ("[web]\ncommand = 'x'", "1:2: \"web\" is no key of a service: its keys stand at the top of the file: remove [web]"),
        ("env-file = ''", "1:12: env-file is \"\", and must be a text with something in it, such as \"/etc/default/web\""),
        (
            "directory = '${NO_DIR:-}'",
            "1:13: directory is \"\", by \"${NO_DIR:-}\", and must be a text with something in it",
        ),
        ("stop.signal = 'RTMIN+31'", "1:15: stop.signal is \"RTMIN+31\", and must be a signal that kill -l knows"),
        (
            "kind = 'timer'\ncommand = 'x'\ncron = '@daily'\nevery = '1h'",
            "4:1: cron and every both say when it runs: keep one of them",
        ),
        (
            "kind = 'timer'\ncommand = 'x'\ncron = '@daily'\nevery-from = 'end'",
            "4:1: every-from means nothing without every: remove it, or write every in place of cron",
        ),
        (
            "command = 3",
            "1:11: command is 3, and must be a list of words, or one text, such as [\"nginx\", \"-g\", \"daemon off;\"]",
        ),
        ("command = []", "1:11: command names no program: write [\"nginx\", \"-g\", \"daemon off;\"]"),
        (
            "command = [\"a\", 3]",
            "1:17: command is 3, and must be a text in quotes, such as [\"nginx\", \"-g\", \"daemon off;\"]",
        ),
        ("command = \"a 'b\"", "1:11: command has a ' that is never closed"),
        ("command = \"a\\u0000b\"", "1:11: command has a NUL byte in it, which no program can be given"),
        (
            "command = '${NO_SUCH_VARIABLE}'",
            "1:11: command: NO_SUCH_VARIABLE is not set: set it, or write ${NO_SUCH_VARIABLE:-TEXT} for what holds then",
        ),
        ("kind = 'oneshot'\nup = ''", "2:6: up names no program: write \"migrate --all\""),
        (
            "kind = 'oneshot'\ndown = false",
            "2:8: down is false, and must be a list of words, or one text, such as \"umount /data\"",
        ),
        ("kind = 'bundle'\nmembers = 'a'", "2:11: members is \"a\", and must be a list, such as [\"web\", \"worker\"]"),
        ("kind = 'bundle'\nmembers = ['']", "2:12: members names \"\": the name is empty"),
        (
            "start = 'no'",
            "1:9: start is \"no\", and must be true or false, without quotes, or \"on-demand\", such as \"on-demand\"",
        ),
        ("needs = [{ on = 'a', untill = 'ready' }]", "1:22: needs has \"untill\", which is unknown: did you mean until?"),
        ("needs = [{ until = 'healthy' }]", "1:10: needs has an entry without on: write"),
        ("needs = [{ on = 'a', bond = 'x' }]", "1:29: needs: bond must be one of start, stay, follow, and is \"x\""),
        ("wants = [{ on = 'a', bond = 'stay' }]", "1:22: wants has \"bond\", which is unknown: there are on, until"),
        ("after = 1979-05-27", "1:9: after is the date 1979-05-27, and must be a list, such as"),
        ("before = [1]", "1:11: before is 1, and must be a text in quotes, such as [\"web\"]"),
        ("ready = 3", "1:9: ready is 3, and must be a table: write ready.fd = 3"),
        ("ready.fd = 2", "1:12: ready.fd is 2, and must be a number from 3 to 1023, without quotes, such as 3"),
        (
            "timeout.start = 5",
            "1:17: timeout.start is 5, and must be a time with its unit (ms, s, m, h or d), such as \"30s\"",
        ),
        (
            "timeout.stop = '5'",
            "1:16: timeout.stop is \"5\", and must be a time with its unit (ms, s, m, h or d), such as \"1m\"",
        ),
        (
            "timeout.kill = '5x'",
            "1:16: timeout.kill is \"5x\", and must be a time with its unit (ms, s, m, h or d), such as \"10s\"",
        ),
        ("stop.signal = 'TREM'", "1:15: stop.signal is \"TREM\", and must be a signal that kill -l knows, such as \"QUIT\""),
        ("reload.signal = 1", "1:17: reload.signal is 1, and must be a signal that kill -l knows, such as \"USR1\""),
        ("kill-group = 1", "1:14: kill-group is 1, and must be true or false, without quotes, such as true"),
        (
            "keep-descendants = 'true'",
            "1:20: keep-descendants is \"true\", and must be true or false, without quotes, such as true",
        ),
        ("max-deaths = 5000", "1:14: max-deaths is 5000, and must be a number from 0 to 4096, without quotes, such as 20"),
        ("user = ['a']", "1:8: user is a list, and must be a name or a number, such as \"www-data\""),
        ("groups = ['a,b']", "1:11: groups is \"a,b\", and must be a name or a number, such as"),
        ("home = 'x'", "1:8: home is \"x\", and must be true or false, without quotes, such as false"),
        (
            "landlock.version = 2",
            "1:10: landlock.version means nothing without one of landlock.read, landlock.write, landlock.exec: add one",
        ),
        (
            "seccomp = 'default'\nno-new-privileges = false",
            "2:1: no-new-privileges is false, and seccomp does not go without it",
        ),
        (
            "no-new-privileges = false\nlandlock.read = '/'",
            "1:1: no-new-privileges is false, and landlock does not go without it",
        ),
        (
            "cgroup.own = false\ncgroup.pids-max = 5",
            "1:8: cgroup.own is false, and cgroup.pids-max does not go without one: remove one of the two",
        ),
        (
            "[cgroup]\ndelegate = true\nown = false",
            "3:1: cgroup.own is false, and cgroup.delegate does not go without one: remove one of the two",
        ),
        ("home = true", "1:1: home needs user, whose home it is: write user = \"NAME\""),
        ("uid = 33", "1:1: uid needs user, whose number it is: write user = \"NAME\""),
        ("gid = 33", "1:1: gid needs user, whose group it is: write user = \"NAME\""),
        ("volumes = [\"/data\"]", "1:1: volumes need user, to whom they are given, or a mode: write user = \"NAME\""),
        ("env = ['A=b']", "1:7: env is a list, and must be a table, such as { PORT = \"${PORT:-80}\" }"),
        ("env.A = []", "1:9: env.A is a list, and must be a text, a number, true or false"),
        ("env.'A=B' = 1", "1:5: env has \"A=B\", which is no name of a variable"),
        ("env-file = 3", "1:12: env-file is 3, and must be a text in quotes, such as \"/etc/default/web\""),
        ("unset = [true]", "1:10: unset is true, and must be a text in quotes, such as [\"DEBUG\"]"),
        ("unset = ['A=B']", "1:10: unset has \"A=B\", which is no name of a variable"),
        ("directory = 1.5", "1:13: directory is 1.5, and must be a text in quotes, such as \"/srv/web\""),
        ("umask = 22", "1:9: umask is 22, and must be octal digits in quotes, such as \"027\""),
        ("umask = '9'", "1:9: umask is \"9\", and must be octal digits in quotes, such as \"027\""),
        ("nice = 20", "1:8: nice is 20, and must be a number from -20 to 19, without quotes, such as 5"),
        (
            "nice = 99999999999999999999",
            "1:8: \"99999999999999999999\" is too large a number: the largest is 9223372036854775807",
        ),
        ("limits = 3", "1:10: limits is 3, and must be a table, such as"),
        ("limits.nofiles = 3", "1:8: limits has \"nofiles\", which is unknown: did you mean nofile?"),
        (
            "limits.as = '1Mb'",
            "1:13: limits.as is \"1Mb\", and must be a size such as \"64MiB\", a number of bytes, or \"unlimited\"",
        ),
        (
            "limits.cpu = '10ms'",
            "1:14: limits.cpu is \"10ms\", and must be a time in whole seconds such as \"90s\", a number of seconds,",
        ),
        ("limits.nofile = -1", "1:17: limits.nofile is -1, and must be a number or \"unlimited\""),
        ("limits.nofile = { soft = 1 }", "1:17: limits.nofile needs both, soft and hard, or is one value for both"),
        ("limits.nofile = { soft = 1, hrad = 1 }", "1:29: limits.nofile has \"hrad\", which is unknown: did you mean hard?"),
        (
            "kind = 'bundle'\ncommand = 'x'",
            "2:1: command means nothing for a bundle, only for a process or a forking or a timer: remove it, or change kind",
        ),
        ("", "has no command: write command = \"PROGRAM ARGUMENT...\", or kind = \"oneshot\" for what runs to its end"),
        ("kind = 'oneshot'", "has neither up nor down: write up ="),
        ("kind = 'bundle'", "has no members: write members ="),
        (
            "members = []\nkind = 'bundle'",
            "1:11: has no members: write members = [\"NAME\"], or kind = \"milestone\" for what does nothing",
        ),
        ("a = ", "1:5: is not TOML: no value behind the =: write one, or remove the line"),
        ("kind =\nup = 'x'", "1:7: is not TOML: no value behind the =: write one, or remove the line"),
        ("nice = # later\ncommand = 'x'", "1:8: is not TOML: no value behind the =: write one, or remove the line"),
        ("needs = [db]\ncommand = 'x'", "1:10: is not TOML: string values must be quoted"),
    ] {
        let found = problems(text);
        assert!(found.iter().any(|problem| problem.starts_with(said)), "{text}\n  expected {said}\n  found    {found:#?}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_in_order() {
    let found = problems("kind = 'x'\nlimits = { a = 1, as = [] }\nneeds = [1, { on = 2, until = 3 }]\n= 4\nnice = 'x'\n");
    let places: Vec<&str> = found.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(places, ["1:8:", "2:12:", "2:24:", "3:10:", "3:20:", "3:31:", "4:1:", "5:8:"], "{found:#?}");
}

#[test]
fn what_stands_where_a_file_is_no_toml_is_not_judged() {
    for text in ["command = [", "command = [\n", "user = 'x'\ncommand = ", "env = { A = "] {
        let found = problems(text);
        assert!(found.iter().all(|problem| problem.contains("is not TOML")), "{text}: {found:#?}");
    }
    let found = problems("evn.A = 'x'\ncommand = [\n");
    assert!(found.len() == 2 && found[0].ends_with("did you mean env?"), "{found:#?}");
}

#[test]
fn too_much_is_refused() {
    let found = problems(&format!("command = 'x'\nenv.A = '{}'", "x".repeat(50_000)));
    let told = "2:5: env.A has 50002 bytes, with which the words and variables of the service have 500";
    assert!(found[0].starts_with(told), "{found:?}");
    let found = problems(&format!("env = {{ A = 'x', B = 'x' }}\nup = ['x', '{}']\nkind = 'oneshot'", "x".repeat(50_000)));
    assert!(found[0].starts_with("2:1: up has 50"), "{found:?}");
}

#[test]
fn what_is_not_utf8_is_told_with_its_place() {
    let scratch = Scratch::new();
    scratch.file("service.toml", b"command = 'x'\n# caf\xe9\n");
    let reading = read(scratch.path(), &name("web"), None);
    assert!(reading.problems[0].to_string().contains("service.toml:2:6: is not UTF-8 here"), "{:?}", reading.problems);
}

#[test]
fn two_forms_in_one_directory_are_refused() {
    for other in ["run", "finish", "type", "down", "timeout-kill", "notification-fd", "dependencies.d", "log"] {
        let scratch = Scratch::new();
        scratch.file("service.toml", "command = 'x'");
        scratch.file(other, "");
        let reading = read(scratch.path(), &name("web"), None);
        assert!(matches!(reading.outcome, Outcome::Broken), "{other}");
        let said = reading.problems[0].to_string();
        let (one, two) = (scratch.join(other), scratch.join("service.toml"));
        assert_eq!(
            said,
            format!(
                "{}: and {} are two forms of a service in one directory: remove one of the two",
                one.display(),
                two.display()
            )
        );
    }
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/man/service.toml.5");

#[test]
fn the_man_page_is_the_table_of_keys() {
    let page = svc_def::manual();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(Path::new(PAGE), page).expect("a writable page");
        return;
    }
    let there = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(there == page, "docs/man/service.toml.5 and the table differ: UPDATE_DOCS=1 cargo test -p svc-def servicefile");
}

/// The keys of the man page, each with its example.
fn examples() -> Vec<String> {
    let page = svc_def::manual().replace("\\-", "-").replace("\\e", "\\");
    page.lines().filter_map(|line| line.strip_prefix("Example: ")).map(str::to_owned).collect()
}

/// The keys that a file must have in which this one means something.
pub(crate) fn frame(key: &str) -> &'static str {
    match key {
        "kind" => "up = 'x'",
        "command" => "",
        "up" | "down" => "kind = 'oneshot'",
        "pid-file" => "command = 'x'\nkind = 'forking'",
        "marker" => "kind = 'oneshot'\nup = 'x'",
        "cron" => "kind = 'timer'\ncommand = 'x'",
        "zone" => "kind = 'timer'\ncommand = 'x'\ncron = '@daily'",
        "every" => "kind = 'timer'\ncommand = 'x'",
        "every-from" | "jitter" | "overlap" | "missed" | "run-at-start" | "timeout.run" => {
            "kind = 'timer'\ncommand = 'x'\nevery = '1h'"
        }
        "start" => "command = 'x'\nsockets = ['80']",
        "idle-stop" => "command = 'x'\nsockets = ['80']\nstart = 'on-demand'",
        "members" => "kind = 'bundle'",
        "home" | "uid" | "gid" | "volumes" => "command = 'x'\nuser = 'x'",
        "health.interval"
        | "health.timeout"
        | "health.start-period"
        | "health.failures"
        | "health.successes"
        | "health.action" => "command = 'x'\nhealth.tcp = ':1'",
        "memory.interval" | "memory.action" => "command = 'x'\nmemory.limit = '1GiB'",
        "ready.interval" | "ready.timeout" => "command = 'x'\nready.tcp = ':1'",
        "restart.max-delay" => "command = 'x'\nrestart.factor = 2",
        "landlock.version" => "command = 'x'\nlandlock.read = '/x'",
        "wait-timeout" => "command = 'x'\nwait-for = 'file:/x'",
        "on-change" => "command = 'x'\nwatch = '/x'",
        "restart.window" | "restart.at-limit" => "command = 'x'\nrestart.limit = 5",
        _ => "command = 'x'",
    }
}

/// All keys there are, as the man page has them.
pub(crate) fn keys() -> Vec<String> {
    examples().iter().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect()
}

#[test]
fn every_example_is_taken() {
    for example in examples() {
        if example.starts_with("instances ") {
            let scratch = Scratch::new();
            scratch.file("worker@.toml", format!("command = 'x'\n{example}"));
            let reading = read(&scratch.join("worker@.toml"), &name("worker"), None);
            assert!(matches!(reading.outcome, Outcome::Template(_)), "{example}: {reading:?}");
            continue;
        }
        let frame = frame(example.split(' ').next().unwrap_or_default());
        good(&format!("{frame}\n{example}\n"));
    }
    assert!(examples().len() > 20);
}

/// svc-scan keeps the values for the one that comes after it.
#[test]
fn what_a_file_said_is_read_again_from_its_values() {
    let texts = examples().into_iter().filter(|example| !example.starts_with("instances ")).map(|example| {
        let frame = frame(example.split(' ').next().unwrap_or_default());
        format!("{frame}\n{example}\n")
    });
    let odd = r#"command = ["sh", "-c", "a \"b\"\n\tc\\\u0001 \u00e4"]
env = { 'a_b' = "${NOT_SET:-\t}", X = '=' }
ready.fd = 3
"#;
    let bundle = "kind = 'milestone'\nneeds = [{ on = 'db', until = 'healthy' }, 'x']\n";
    for text in texts.chain([odd.to_owned(), bundle.to_owned()]) {
        let (scratch, before) = reading(&text);
        let source = before.source.expect(&text);
        let values = source.written().into_owned();
        // Whatever stands there now.
        scratch.file("service.toml", "comand = ");
        let after = read_kept(scratch.path(), &name("web"), &values);
        assert_eq!(format!("{:?}", after.outcome), format!("{:?}", before.outcome), "{text}");
        let mut kept = after.source.expect(&text);
        let facts = kept.facts.as_mut().expect("a service.toml");
        facts.stamp = source.facts.as_ref().map_or(0, |facts| facts.stamp);
        assert_eq!(kept, source, "{text}");
    }
}

#[test]
fn the_schema_has_every_key_and_nothing_else() {
    let schema: serde_json::Value = serde_json::from_str(&svc_def::schema()).expect("JSON");
    let mut found = BTreeSet::new();
    for (name, property) in schema["properties"].as_object().expect("properties") {
        assert_eq!(schema["additionalProperties"], false);
        let is_table = property["description"].is_null();
        match property["properties"].as_object().filter(|_| is_table) {
            Some(inner) => found.extend(inner.keys().map(|key| format!("{name}.{key}"))),
            None => _ = found.insert(name.clone()),
        }
    }
    assert_eq!(found, keys().into_iter().collect());
}

#[test]
fn what_takes_a_restart_is_another_number_and_the_rest_is_not() {
    let substance = |text: &str| good(text).1.facts.expect("facts").substance;
    let base = substance("command = 'a b'\numask = '022'");
    for same in [
        "umask = '022'\ncommand = ['a', 'b']",
        "command = 'a b'\numask = '022'\nunset = []\nneeds = ['x']\ntimeout.kill = '5s'\nstop.signal = 'INT'\nstart = false",
    ] {
        assert_eq!(substance(same), base, "{same}");
    }
    for other in ["command = 'a c'\numask = '022'", "command = 'a b'", "command = 'a b'\numask = '022'\nready.fd = 3"] {
        assert_ne!(substance(other), base, "{other}");
    }
    let values = good("command = 'a ${HOME}'\n[timeout]\nkill = '1s'").1.facts.expect("facts").values;
    let told: Vec<(&str, &str)> = values.iter().collect();
    assert_eq!(told, [("command", "\"a ${HOME}\""), ("timeout.kill", "\"1s\"")]);
    let values = good("command = \"a '\\t\\n\\r'\"").1.facts.expect("facts").values;
    assert_eq!(values.get("command"), Some("\"a '\\t\\n\\u000d'\""), "one line, without a tab");
}

#[test]
fn what_is_written_in_quotes_is_no_flag() {
    let told = problems("command = 'x'\nessential = 'true'");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("true, false, \"own-code\" or a table"), "{told:?}");
    good("command = 'x'\nessential = \"${NOT_SET_HERE:-true}\"");
    let (definition, _) = good("command = 'x'\nenv = { C = true }");
    assert!(chain(definition.expect("it runs").program).contains("|C=true|"));
}

#[test]
fn a_template_says_which_instances_there_are() {
    let scratch = Scratch::new();
    let instances = |text: &str| {
        scratch.file("worker@.toml", text);
        let reading = read(&scratch.join("worker@.toml"), &name("worker"), None);
        match reading.outcome {
            Outcome::Template(instances) => instances.names().join(" "),
            _ => reading.problems.iter().map(|problem| format!("{:?} {}", problem.place, problem.message)).collect(),
        }
    };
    assert_eq!(instances("command = 'x'"), "1");
    assert_eq!(instances("command = 'x'\ninstances = \"${NOT_SET_HERE:-3}\""), "1 2 3");
    assert_eq!(instances("command = 'x'\ninstances = ['a', 'b c']"), "a b c");
    assert_eq!(instances("command = 'x'\ninstances = 0"), "");
    for (text, told) in [
        (
            "instances = -1",
            "Some((1, 13)) instances is -1, and must be a number from 0 to 4096, a list of names, or a text with a *, such as",
        ),
        ("instances = true", "Some((1, 13)) instances is true, and must be a number"),
        ("instances = 'many'", "Some((1, 13)) instances is \"many\""),
        ("instances = ['a/b']", "Some((1, 14)) instances has \"a/b\", which cannot be part of the name of a service"),
        ("instances = ['']", "Some((1, 14)) instances has \"\", which is no name"),
        ("instances = ['a', 'a']", "Some((1, 13)) instances has \"a\" twice"),
    ] {
        let said = instances(&format!("{text}\ncommand = 'x'"));
        assert!(said.contains(told), "{text}: {said}");
    }
    let (_scratch, reading) = reading("command = 'x'\ninstances = 2");
    let said = reading.problems[0].to_string();
    assert!(said.contains("instances means something in a template only, whose name ends in @"), "{said}");
}

#[test]
fn what_is_wrong_with_watching_is_told() {
    for (text, told) in [
        ("on-change = 'stop'", "1:13: on-change must be one of reload, restart, and is \"stop\""),
        ("apply = 'atuo'", "1:9: apply must be one of asked, auto, and is \"atuo\""),
        ("watch = 3", "1:9: watch is 3, and must be a text"),
    ] {
        let found = problems(&format!("{text}\ncommand = 'x'"));
        assert!(found.iter().any(|line| line.starts_with(told)), "{text}: {found:?}");
    }
}

#[test]
fn what_is_wrong_with_a_computed_value_is_told() {
    for (text, told) in [
        ("env.A = { timeout = '1s' }", "1:9: env.A has no command: write { command = \"PROGRAM ARGUMENT...\" }"),
        ("env.A = { command = '' }", "1:21: env.A: command names no program"),
        ("env.A = { command = 'x', timeout = 5 }", "1:36: env.A: timeout is 5, and must be a time with its unit"),
        ("env.A = { comand = 'x' }", "1:11: env.A: comand is unknown: there are command and timeout"),
    ] {
        let found = problems(&format!("{text}\ncommand = 'x'"));
        assert!(found.iter().any(|line| line.starts_with(told)), "{text}: {found:?}");
    }
}

#[test]
fn what_is_wrong_with_names_of_variables_and_their_files_is_told() {
    for (text, told) in [
        ("env-allow = ['LANG', '']", "1:22: env-allow has \"\", which stands for no variable"),
        ("env-deny = 'A,B'", "1:12: env-deny has \"A,B\", which stands for no variable"),
        ("secret-variables = 3", "1:20: secret-variables is 3, and must be a text in quotes"),
        ("secrets = 'db'", "1:11: secrets is \"db\", and must be a table, such as"),
        ("secrets = { 'A=B' = 'db' }", "1:13: secrets has \"A=B\", which is no name of a variable: write one without ="),
        ("secrets = { A = 0 }", "1:17: secrets.A is 0, and must be the path of a file in quotes"),
        ("secrets = { A = '' }", "1:17: secrets.A is \"\", and must be the path of a file in quotes"),
        ("secrets = { A = true }", "1:17: secrets.A is true, and must be the path of a file in quotes"),
        ("credentials = { key = ['a'] }", "1:23: credentials.key is a list, and must be the path of a file in quotes"),
        ("credentials = { '.key' = 'a' }", "1:17: credentials has \".key\", which is no name of a credential"),
    ] {
        let found = problems(&format!("{text}\ncommand = 'x'"));
        assert!(found.iter().any(|line| line.starts_with(told)), "{text}: {found:?}");
    }
}
