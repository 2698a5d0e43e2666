//! The keys about how a service is stopped.

use svc_core::policy::Errand;
use svc_core::{Millis, Settings, Signal};

use crate::servicefile::{good, problems};

fn settings(text: &str) -> Settings {
    good(text).0.expect("a definition").settings
}

fn words(errand: &Errand) -> String {
    let words: Vec<String> = errand.words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    words.join("|")
}

#[test]
fn every_key_arrives() {
    let all = settings(
        r#"
        command = "x"
        user = "www"
        stop.steps = [{ signal = "INT", wait = "10s" }, { signal = "SIGQUIT", wait = "1m" }, "KILL"]
        stop.command = { command = "web quit", wait = "20s" }
        stop.drain = { wait = "30s", until = ["idle", "now"] }
        stop.tree = true
        timeout.kill = "7s"
        "#,
    );
    assert_eq!((all.down_signal, all.timeout_kill), (Signal::INT, Millis(7000)));
    let stopping = all.stopping.as_ref().expect("more than a signal");
    assert_eq!(stopping.steps, [(Millis(10_000), Signal::QUIT), (Millis(60_000), Signal::KILL)]);
    assert!(stopping.tree);
    let (drain, command) = (all.drain().expect("given"), all.stop_command().expect("given"));
    assert_eq!((drain.most, command.most), (Millis(30_000), Millis(20_000)));
    assert_eq!(words(command), "--user|www|--home|--|web|quit");
    assert_eq!(words(drain), "--probe|--user|www|--home|--|--child|--wait|exec|idle|now");

    let short = settings("command = 'x'\nstop = { steps = ['QUIT'], command = 'quit', drain = '2s' }");
    assert_eq!((short.down_signal, short.timeout_kill), (Signal::QUIT, Millis::ZERO));
    let errands = [short.drain(), short.stop_command()].map(|errand| errand.map(|errand| (errand.most, words(errand))));
    assert_eq!(errands, [Some((Millis(2000), String::new())), Some((Millis(10_000), "--|quit".into()))]);
    // The wait of the last step is the time until SIGKILL.
    let last = settings("command = 'x'\nstop.steps = [{ signal = 'TERM', wait = '3s' }]");
    assert_eq!((last.down_signal, last.timeout_kill, last.stopping), (Signal::TERM, Millis(3000), None));
    assert_eq!(settings("command = 'x'\nstop.signal = 'INT'").stopping, None, "one signal is no plan");
}

#[test]
fn what_is_wrong_is_told_with_its_cure() {
    for (text, said) in [
        (
            "stop.steps = 'TERM'",
            "2:14: stop.steps is \"TERM\", and must be a list, such as [{ signal = \"INT\", wait = \"10s\" },",
        ),
        ("stop.steps = []", "2:14: stop.steps has 0 steps, and must have 1 to 16"),
        (
            "stop.steps = ['NOPE']",
            "2:15: stop.steps: step 1 is \"NOPE\", and must be a signal that kill -l knows, such as \"TERM\"",
        ),
        (
            "stop.steps = ['TERM', 'KILL']",
            "2:15: stop.steps: step 1 has no wait, after which the next one comes: write { signal = \"TERM\", wait = \"5s\" }",
        ),
        (
            "stop.steps = [{ signal = 'KILL', wait = '1s' }, 'TERM']",
            "2:15: stop.steps: step 1 is KILL, and nothing comes after that: put it last",
        ),
        (
            "stop.steps = [{ signal = 'KILL', wait = '1s' }]",
            "2:15: stop.steps: step 1 is KILL, and nothing comes after that: remove its wait",
        ),
        (
            "stop.steps = [{ wait = '1s' }]",
            "2:15: stop.steps: step 1 has no signal: write { signal = \"TERM\", wait = \"5s\" }",
        ),
        (
            "stop.steps = [{ signal = 'TERM', wait = 0 }]",
            "2:41: stop.steps: step 1: wait is \"0\", and must be a time with its unit (ms, s, m, h or d), and more than 0, such as \"5s\"",
        ),
        (
            "stop.steps = [{ signal = 'TERM', wiat = '1s' }]",
            "2:34: stop.steps: step 1 has \"wiat\", which is unknown: did you mean wait?",
        ),
        (
            "stop.steps = ['TERM']\nstop.signal = 'INT'",
            "3:6: stop.signal and stop.steps both say which signal stops it: keep one of them",
        ),
        (
            "stop.steps = [{ signal = 'TERM', wait = '1s' }]\ntimeout.kill = '2s'",
            "3:9: timeout.kill and stop.steps (the wait of its last step) both say when SIGKILL comes: keep one of them",
        ),
        ("stop.command = ''", "2:16: stop.command names no program: write { command = \"nginx -s quit\", wait = \"30s\" }"),
        (
            "stop.command = { wait = '1s' }",
            "2:16: stop.command has no command: write { command = \"nginx -s quit\", wait = \"30s\" }",
        ),
        (
            "stop.command = { command = 'x', wait = '1' }",
            "2:40: stop.command: wait is \"1\", and must be a time with its unit (ms, s, m, h or d), and more than 0, such as \"10s\"",
        ),
        ("stop.command = { comand = 'x' }", "2:18: stop.command has \"comand\", which is unknown: did you mean command?"),
        (
            "stop.drain = '10'",
            "2:14: stop.drain is \"10\", and must be a time with its unit (ms, s, m, h or d), and more than 0, such as { wait = \"30s\", until =",
        ),
        (
            "stop.drain = { until = 'x' }",
            "2:14: stop.drain has no wait, the most that it may take: write { wait = \"30s\", until = \"no-clients --quiet\" }",
        ),
        (
            "stop.drain = { wait = '1s', untill = 'x' }",
            "2:29: stop.drain has \"untill\", which is unknown: did you mean until?",
        ),
        ("stop.tree = 1", "2:13: stop.tree is 1, and must be true or false, without quotes, such as true"),
        (
            "stop.tree = true\nkeep-descendants = true",
            "3:1: keep-descendants and stop.tree contradict each other: remove one of them",
        ),
        ("stop.stepps = ['TERM']", "2:6: \"stop.stepps\" is no key of a service: did you mean stop.steps?"),
    ] {
        let found = problems(&format!("command = 'x'\n{text}"));
        assert!(found.iter().any(|problem| problem.starts_with(said)), "{text}\n  expected {said}\n  found    {found:#?}");
    }
    for key in ["stop.drain = '1s'", "stop.command = 'x'"] {
        let found = problems(&format!("kind = 'oneshot'\nup = 'x'\n{key}"));
        assert!(found[0].contains("means nothing for a oneshot, only for a process or a forking"), "{found:?}");
    }
}
