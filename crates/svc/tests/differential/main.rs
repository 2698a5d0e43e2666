//! The same scenario with the s6 of Debian and with ours: who supervises and whose tools are called are two choices, and what is
//! seen must be the same in all of them; or what the scenario says is right, where upstream is not.
//!
//! `SCENARIO=TEXT` plays only those with TEXT in their title; `SHOW=1` prints what is seen with Debian's. What is ours in the run
//! that is compared with that: `SIDES=supervisor`, `tools`, `both`; with `SIDES=theirs` there is none.
#![forbid(unsafe_code)]

mod listener;
mod observe;
mod play;
mod scenario;
mod stage;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use play::{Run, play};
use scenario::Scenario;
use stage::Sides;

/// How many scenarios of a file are played at the same time: most of their time is waiting.
const AT_ONCE: usize = 4;

/// A test for each file, and a test that there is one.
macro_rules! files {
    ($($name:ident),* $(,)?) => {
        const FILES: &[&str] = &[$(stringify!($name)),*];
        $(#[test]
        fn $name() {
            compare(stringify!($name));
        })*
    };
}

files!(
    chain,
    envdir,
    events,
    finish,
    holder,
    lifecycle,
    links,
    locks,
    loggers,
    logs,
    perms,
    readiness,
    scanner,
    signals,
    status,
    surroundings,
    tally,
    timeouts,
    usage,
    waiting,
);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/scenarios")
}

fn read(name: &str) -> Vec<Scenario> {
    scenario::read(&folder().join(format!("{name}.scn"))).unwrap_or_else(|message| panic!("{message}"))
}

/// The version whose behaviour the scenarios were written for.
const VERSION: &str = "2.11.3.2";

fn has_their_s6() -> bool {
    let query = std::process::Command::new("dpkg-query").args(["-W", "-f", "${Version}", "s6"]).output();
    let version = query.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let has_execline = svc_testkit::has_program("/usr/bin/execlineb");
    svc_testkit::needs(&format!("Debian's packages s6 {VERSION} and execline"), version.starts_with(VERSION) && has_execline)
}

/// Plays all scenarios of a file, and fails with everything that was different.
fn compare(file: &str) {
    if !has_their_s6() || !svc_testkit::is_root() {
        return;
    }
    svc_sys::signals::restore_defaults();
    keep_descriptors();
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let mut scenarios = read(file);
    scenarios.retain(|scenario| scenario.title.contains(&wanted));
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = differences(scenario);
                    wrong.lock().expect("no panic while it is held").extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic while it was held");
    println!("{file}: {} scenarios", scenarios.len());
    assert!(wrong.is_empty(), "{} differences:\n\n{}", wrong.len(), wrong.join("\n"));
}

/// What was open where the test was started is not passed on to scenarios, which look at descriptors.
fn keep_descriptors() {
    let open = std::fs::read_dir("/proc/self/fd").expect("/proc is mounted").flatten();
    for fd in open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|&fd| fd > 2) {
        svc_sys::fd::set_close_on_exec(fd, true);
    }
}

/// All that is wrong with a scenario: with upstream alone, or between it and ours.
fn differences(scenario: &Scenario) -> Vec<String> {
    let reference = play(scenario, Sides::THEIRS);
    if std::env::var_os("SHOW").is_some() {
        show(scenario, &reference);
    }
    if let Some(wrong) = check_reference(scenario, &reference) {
        return vec![wrong];
    }
    let supervisors: &[bool] = if scenario.over.supervisor { &[false, true] } else { &[false] };
    let tools: &[bool] = if scenario.over.tools { &[false, true] } else { &[false] };
    let all = supervisors
        .iter()
        .flat_map(|&our_supervisor| tools.iter().map(move |&our_tools| Sides { our_supervisor, our_tools }))
        .filter(|&sides| sides != Sides::THEIRS && is_wanted(sides));
    all.filter_map(|sides| difference(scenario, &reference, sides)).collect()
}

/// Whether SIDES names these, or is not set.
fn is_wanted(sides: Sides) -> bool {
    let ours = match (sides.our_supervisor, sides.our_tools) {
        (false, false) => "theirs",
        (true, false) => "supervisor",
        (false, true) => "tools",
        (true, true) => "both",
    };
    std::env::var("SIDES").map_or(true, |wanted| wanted == ours)
}

fn show(scenario: &Scenario, run: &Run) {
    let mut text = format!("== {}\n", scenario.title);
    for (step, seen) in scenario.steps.iter().zip(&run.seen) {
        if let Some(seen) = seen {
            text += &format!("  {}: {}\n", step.line, seen.replace('\n', "\n       "));
        }
    }
    println!("{text}");
}

fn report(scenario: &Scenario, line: usize, who: &str, expected: &str, got: &str, log: &str) -> String {
    let indented = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let tail: Vec<&str> = log.lines().rev().take(12).collect();
    let log: String = tail.iter().rev().map(|line| format!("    | {line}\n")).collect();
    format!(
        "{}:{line}: {}\n  {who}\n  expected:\n{}  got:\n{}{log}",
        scenario.file,
        scenario.title,
        indented(expected),
        indented(got)
    )
}

/// Whether upstream did what the scenario is about, and every `instead` is about a real difference.
fn check_reference(scenario: &Scenario, run: &Run) -> Option<String> {
    let who = "Debian's alone";
    for (step, seen) in scenario.steps.iter().zip(&run.seen) {
        let Some(seen) = seen else { continue };
        let (expected, compared) = step.expectation(seen);
        if compared != expected {
            return Some(report(scenario, step.line, who, expected, seen, &run.log));
        }
        if let Some(instead) = step.insteads.iter().find(|instead| instead.text == *seen) {
            return Some(report(
                scenario,
                step.line,
                who,
                &format!("something else than ours: {}", instead.reason),
                seen,
                "",
            ));
        }
    }
    let step = scenario.steps.get(run.seen.len())?;
    Some(report(scenario, step.line, who, "to go on", run.broken.as_deref().unwrap_or_default(), &run.log))
}

fn difference(scenario: &Scenario, reference: &Run, sides: Sides) -> Option<String> {
    let who = sides.to_string();
    // A tool that we do not have would be Debian's again, and no different.
    if let Some(command) = sides.our_tools.then(|| missing(scenario)).flatten() {
        return Some(report(scenario, scenario.steps[0].line, &who, command, "there is no command of this name", ""));
    }
    let run = play(scenario, sides);
    for ((step, seen), theirs) in scenario.steps.iter().zip(&run.seen).zip(&reference.seen) {
        let (Some(seen), Some(theirs)) = (seen, theirs) else { continue };
        let expected = step.instead(sides).unwrap_or(theirs);
        if seen != expected {
            return Some(report(scenario, step.line, &who, expected, seen, &run.log));
        }
    }
    let step = scenario.steps.get(run.seen.len())?;
    Some(report(scenario, step.line, &who, "to go on", run.broken.as_deref().unwrap_or_default(), &run.log))
}

/// A command of s6 that is called by its name in a scenario, and that svc has not.
fn missing(scenario: &Scenario) -> Option<&str> {
    let is_part = |c: char| c.is_alphanumeric() || "-/.".contains(c);
    let words = scenario.steps.iter().flat_map(|step| step.action.text().split(move |c: char| !is_part(c)));
    let mut theirs = words.filter(|word| word.starts_with("s6-") && Path::new("/usr/bin").join(word).exists());
    theirs.find(|word| !stage::links().join(word).exists())
}

#[test]
fn every_file_is_played_and_there_are_many_scenarios() {
    let entries = std::fs::read_dir(folder()).expect("the scenarios");
    let names = entries.flatten().map(|entry| entry.path());
    let names = names.filter(|path| path.extension().is_some_and(|extension| extension == "scn"));
    let there: BTreeSet<String> =
        names.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    assert_eq!(there, FILES.iter().map(|name| (*name).to_owned()).collect());
    let titles: Vec<String> = FILES.iter().flat_map(|name| read(name)).map(|scenario| scenario.title).collect();
    let different: BTreeSet<&String> = titles.iter().collect();
    assert_eq!(different.len(), titles.len(), "two scenarios have the same title");
    assert!(titles.len() >= 150, "there are {} scenarios", titles.len());
}
