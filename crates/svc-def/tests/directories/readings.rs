//! Small files, flags, loggers and the directory as a whole.

use svc_core::{Definition, Millis, Output, Program, Settings, Signal};
use svc_def::{Outcome, Problem, missing_run, read};

use crate::scratch::{Scratch, as_ordinary_user, chmod, name, says};

fn ready(scratch: &Scratch) -> Definition {
    let reading = scratch.read();
    assert_eq!(reading.problems, []);
    match reading.outcome {
        Outcome::Ready(definition) => *definition,
        Outcome::Incomplete | Outcome::Name | Outcome::Template(_) | Outcome::Broken => {
            panic!("not ready: {:?}", reading.outcome)
        }
    }
}

fn settings_in_spite_of_problems(scratch: &Scratch, previous: Option<&Definition>) -> (Settings, Vec<Problem>) {
    let reading = read(scratch.path(), &name("web"), previous);
    match reading.outcome {
        Outcome::Ready(definition) => (definition.settings, reading.problems),
        Outcome::Incomplete | Outcome::Name | Outcome::Template(_) | Outcome::Broken => panic!("not ready: {reading:?}"),
    }
}

#[test]
fn a_run_is_all_that_a_service_needs() {
    let service = Scratch::service();
    let definition = ready(&service);
    assert_eq!(definition.name, "web");
    assert_eq!(definition.dir, service.path().as_os_str().as_encoded_bytes());
    assert_eq!(definition.program, Program::Directory);
    assert_eq!(definition.output, Output::Keeper);
    assert!(!definition.down && definition.essential.is_none());
    assert_eq!(definition.settings, Settings::default());
}

#[test]
fn every_file_arrives_in_the_definition() {
    let service = Scratch::service();
    service.program("finish", "#!/bin/sh\n");
    for (file, content) in [
        ("down", ""),
        ("essential", ""),
        ("notification-fd", "3\n"),
        ("lock-fd", "4\n"),
        ("timeout-finish", "0\n"),
        ("timeout-kill", "3000\r\n"),
        ("flag-timeout-killpg", ""),
        ("max-death-tally", "7"),
        ("down-signal", "SIGINT\n"),
        ("reload-signal", "usr1\n"),
        ("flag-newpidns", ""),
        ("keep-descendants", "no matter what"),
    ] {
        service.file(file, content);
    }
    let definition = ready(&service);
    assert!(definition.down && definition.essential.is_some());
    assert_eq!(
        definition.settings,
        Settings {
            notification_fd: Some(3),
            lock_fd: Some(4),
            timeout_finish: Millis::ZERO,
            timeout_kill: Millis(3000),
            kill_group: true,
            max_death_tally: 7,
            down_signal: Signal::INT,
            reload_signal: Signal::USR1,
            new_pid_namespace: true,
            keep_descendants: true,
            forking: None,
            on_demand: None,
            essential: true,
            policy: None,
            stopping: None,
            checks: None,
        }
    );
}

#[test]
fn no_run_is_no_problem_yet() {
    let empty = Scratch::new();
    let reading = empty.read();
    assert!(matches!(reading.outcome, Outcome::Incomplete));
    assert_eq!(reading.problems, []);
    let gone = read(&empty.join("gone"), &name("web"), None);
    assert!(matches!(gone.outcome, Outcome::Incomplete), "removed while we looked: {gone:?}");

    let problem = missing_run(empty.path());
    assert!(problem.fatal);
    assert_eq!(problem.path, empty.join("run"));
    says(&problem.to_string(), &["/run: does not exist", "#!/bin/sh", "chmod +x"]);
    empty.file("service.toml", "");
    says(&missing_run(empty.path()).to_string(), &["or a service.toml"]);
}

#[test]
fn a_word_in_the_place_of_a_number_keeps_the_value() {
    let service = Scratch::service();
    let file = service.file("timeout-kill", "5s\n");
    assert_eq!(
        service.warning(),
        format!(
            "{}: the first line must be a plain decimal number, and is \"5s\": using 0 (never); \
             write milliseconds, such as 5000",
            file.display()
        )
    );

    service.file("timeout-kill", "3000");
    let before = ready(&service);
    service.file("timeout-kill", "\n3000\n");
    let (settings, problems) = settings_in_spite_of_problems(&service, Some(&before));
    assert_eq!(settings.timeout_kill, Millis(3000), "the last good value stays");
    says(&problems[0].to_string(), &["and is empty", "keeping 3000", "write milliseconds"]);

    std::fs::remove_file(file).expect("a file of ours");
    let (settings, problems) = settings_in_spite_of_problems(&service, Some(&before));
    assert_eq!((settings, problems), (Settings::default(), vec![]), "an absent file means the default, whatever was before");
}

#[test]
fn each_kind_of_file_has_its_own_cure() {
    let service = Scratch::service();
    service.file("notification-fd", "4000000000");
    says(&service.warning(), &["notification-fd: the number is above 1048575", "using none", "such as 3"]);
    service.file("notification-fd", "3");
    service.file("down-signal", "SIGSTOPP\n");
    says(&service.warning(), &["\"SIGSTOPP\"", "using SIGTERM", "TERM"]);
    service.file("down-signal", "15");
    service.file("max-death-tally", "-1");
    says(&service.warning(), &["\"-1\"", "using 100", "such as 100"]);
}

#[test]
fn several_mistakes_are_told_at_once() {
    let service = Scratch::service();
    service.file("timeout-kill", "x");
    service.file("timeout-finish", "y");
    service.file("down-signal", "z");
    chmod(&service.join("run"), 0o644);
    let reading = service.read();
    assert!(matches!(reading.outcome, Outcome::Broken));
    assert_eq!(reading.problems.len(), 4, "{:?}", reading.problems);
}

#[test]
fn what_is_printed_of_a_file_is_harmless_and_short() {
    let service = Scratch::service();
    service.file("timeout-kill", [b"\x1b[31m\xff\"".as_slice(), &[b'9'; 9000]].concat());
    let message = service.warning();
    says(&message, &["\\u{1b}[31m\\xff\\\"9", "9...\"", "using 0 (never)"]);
    assert!(message.len() < 300, "{message}");
}

#[test]
fn of_a_huge_file_the_first_line_counts() {
    let service = Scratch::service();
    service.file("timeout-kill", [b"250\n".as_slice(), &vec![b'#'; 50_000_000]].concat());
    assert_eq!(ready(&service).settings.timeout_kill, Millis(250));
}

#[test]
fn a_directory_in_the_place_of_a_small_file() {
    let service = Scratch::service();
    service.directory("timeout-kill");
    says(&service.warning(), &["timeout-kill: is a directory", "milliseconds", "using 0 (never)", "move it away"]);
}

#[test]
fn a_fifo_in_the_place_of_a_small_file_does_not_block() {
    let service = Scratch::service();
    service.fifo("notification-fd");
    says(&service.warning(), &["is a FIFO", "using none", "move it away"]);
}

#[test]
fn a_fifo_for_a_flag_is_there_and_that_is_enough() {
    let service = Scratch::service();
    service.fifo("down");
    service.fifo("keep-descendants");
    let definition = ready(&service);
    assert!(definition.down && definition.settings.keep_descendants);
}

#[test]
fn links_of_small_files_that_lead_nowhere() {
    let service = Scratch::service();
    let link = service.link("timeout-kill", "../settings/kill");
    says(&service.warning(), &["is a link to ../settings/kill, which does not exist", "using 0", "remove the link"]);
    std::fs::remove_file(&link).expect("a link of ours");
    service.link("timeout-kill", "timeout-kill");
    says(&service.warning(), &["loop of links", "using 0", "something real"]);
}

#[test]
fn a_flag_that_cannot_be_found_out_stays_as_it_was() {
    let service = Scratch::service();
    service.file("down", "");
    let before = ready(&service);
    std::fs::remove_file(service.join("down")).expect("a file of ours");
    service.link("down", "down");
    says(&service.warning(), &["/down: ", "loop of links", "taken as absent"]);
    let reading = read(service.path(), &name("web"), Some(&before));
    says(&reading.problems[0].to_string(), &["taken as there"]);
    assert!(matches!(reading.outcome, Outcome::Ready(definition) if definition.down));
}

#[test]
fn an_unreadable_small_file() {
    as_ordinary_user("readings::an_unreadable_small_file", || {
        let service = Scratch::service();
        chmod(&service.file("timeout-kill", "3000"), 0o000);
        says(&service.warning(), &["cannot be read by uid ", "using 0 (never)", "chmod a+r /"]);
    });
}

#[test]
fn an_unreadable_flag_is_there() {
    let service = Scratch::service();
    chmod(&service.file("flag-newpidns", ""), 0o000);
    assert!(ready(&service).settings.new_pid_namespace);
}

#[test]
fn a_closed_directory_is_one_problem() {
    as_ordinary_user("readings::a_closed_directory_is_one_problem", || {
        let service = Scratch::service();
        service.file("down", "");
        chmod(service.path(), 0o600);
        let message = service.fatal();
        chmod(service.path(), 0o700);
        says(&message, &["because uid ", "may not search /", "chmod a+x /"]);
    });
}

#[test]
fn a_file_in_the_place_of_the_directory() {
    let scratch = Scratch::new();
    let reading = read(&scratch.file("web", ""), &name("web"), None);
    assert!(matches!(reading.outcome, Outcome::Broken));
    says(&reading.problems[0].to_string(), &["is a file", "a service is a directory"]);
}

#[test]
fn one_descriptor_cannot_be_two_things() {
    let service = Scratch::service();
    service.file("notification-fd", "3");
    service.file("lock-fd", "3");
    says(&service.fatal(), &["lock-fd: asks for descriptor 3", "notification-fd", "write another number"]);
}

#[test]
fn a_log_directory_makes_a_pair() {
    let service = Scratch::service();
    let log = service.directory("log");
    let reading = service.read();
    assert_eq!(reading.logger, Some(log.clone()));
    assert!(matches!(reading.outcome, Outcome::Ready(definition) if definition.output == Output::Logger));

    std::fs::create_dir(log.join("log")).expect("a writable scratch directory");
    std::fs::copy(service.join("run"), log.join("run")).expect("a writable scratch directory");
    let reading = read(&log, &name("web/log"), None);
    assert_eq!(reading.logger, None, "a logger has no logger");
    let Outcome::Ready(definition) = reading.outcome else { panic!("{reading:?}") };
    assert_eq!((definition.name.as_str(), definition.output), ("web/log", Output::Keeper));
}

#[test]
fn a_log_may_be_a_link_and_the_name_of_the_link_is_kept() {
    let (service, elsewhere) = (Scratch::service(), Scratch::service());
    let log = service.link("log", elsewhere.path());
    assert_eq!(service.read().logger, Some(log));
}

#[test]
fn a_log_that_is_no_directory_is_told_and_ignored() {
    let service = Scratch::service();
    let log = service.file("log", "");
    says(&service.warning(), &["/log: is a file", "a directory with a run script", "svc-log", "remove"]);
    std::fs::remove_file(&log).expect("a file of ours");
    service.link("log", "nowhere");
    says(&service.warning(), &["/log: is a link to nowhere", "create that", "svc-log"]);
    assert_eq!(service.read().logger, None);
}
