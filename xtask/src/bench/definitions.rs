//! Definitions in number: a thousand service.toml that are read and planned, and a tree of s6-rc sources until all of it is up.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::competitor::Competitor;
use super::machine;
use super::processes;
use super::report::{Bar, Row};
use super::rounds::{MEMORY, SETTLE};
use super::tree::{self, Tree};
use super::{Programs, Result};

const FILES: usize = 1000;
/// So many oneshots, and so many processes.
const HALF: usize = 100;
/// What 0.7 of s6-rc took for as many on a machine like this: 21 ms to compile, 145 ms to initialise, 664 ms to bring up.
const OF_S6_RC: f64 = 830.0;
/// Ours is to be so many times faster.
const TIMES: f64 = 4.0;
/// The name of the process of a service that is no `run` in a directory.
const STUB: &str = "stub";
/// Nobody waits for more others than this.
const MOST_NEEDS: u64 = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// Seven rows; only ours has such files.
pub(crate) fn run(runs: usize, quick: bool, programs: &Programs) -> Result<Vec<Row>> {
    let files = if quick { 100 } else { FILES };
    let mut check = Row::new(format!("svc-ctl check of {files} service.toml"), "ms", Bar::AtMost(150.0));
    let mut plan = Row::new(format!("svc-ctl plan with {files} service.toml, one of them edited"), "ms", Bar::AtMost(150.0));
    let start = format!("start of {files} service.toml with six keys until all run");
    let mut start = Row::new(start, "ms", Bar::None);
    let mut each =
        Row::new(format!("memory a service (PSS of its supervisor, {files} service.toml)"), "KiB", Bar::AtMost(28.0));
    let mut rest = Row::new(format!("memory of the other processes ({files} service.toml)"), "KiB", Bar::AtMost(4096.0));
    let up =
        format!("s6-rc sources in memory: {HALF} oneshots and {HALF} processes with random dependencies until all are up");
    let mut up = Row::new(up, "ms", Bar::AtMost(OF_S6_RC / TIMES));
    let mut floor = Row::new("the same programs, started one after the other by a loop".into(), "ms", Bar::None);
    for round in 1..=runs {
        eprintln!("definitions, round {round} of {runs}");
        let mut dice = Dice(round as u64);
        let (checked, planned) = read(files, programs, &mut dice)?;
        check.add(Competitor::Ours, Some(checked));
        plan.add(Competitor::Ours, Some(planned));
        let running = run_files(files, programs, &mut dice)?;
        start.add(Competitor::Ours, Some(running.start));
        each.add(Competitor::Ours, Some(running.each));
        rest.add(Competitor::Ours, Some(running.rest));
        up.add(Competitor::Ours, Some(bring_up(programs, &mut dice)?));
        floor.add(Competitor::Ours, Some(loop_over(programs)?));
    }
    Ok(vec![check, plan, start, each, rest, up, floor])
}

/// Numbers that look random, the same in each run of the benchmark.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end.max(1)
    }

    /// Some of those that came before.
    fn needs(&mut self, number: usize) -> Vec<usize> {
        let count = self.below(MOST_NEEDS + 1).min(number as u64);
        let mut needs: Vec<usize> = (0..count).map(|_| self.below(number as u64) as usize).collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }
}

/// How long `check` takes without svc, and `plan` with one.
fn read(files: usize, programs: &Programs, dice: &mut Dice) -> Result<(f64, f64)> {
    let mut tree = Tree::lay_out(Competitor::Ours, programs, 0)?;
    let services = tree.place.services();
    let command = "command = [\"sleep\", \"1000\"]\nstart = false";
    write_files(&services, files, command, dice).map_err(|error| format!("{}: {error}", services.display()))?;
    let (run_dir, dir) = (tree.place.root.join("run"), services.display().to_string());
    let control = |words: &[&str]| {
        let mut command = Command::new(&programs.svc);
        command.arg("svc-ctl").args(words).env("SVC_RUN_DIR", &run_dir).stdin(Stdio::null());
        command
    };
    let checked = time(control(&["check", &dir]))?;
    tree.start()?;
    let (began, all) = (Instant::now(), format!("{files} services"));
    // svc says how many it has found.
    while !control(&["rescan"]).output().is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(&all)) {
        if began.elapsed() > PATIENCE {
            return Err(format!("svc has not found {all} after {PATIENCE:?}"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let edited = services.join("service-0000/service.toml");
    let text = fs::read_to_string(&edited).and_then(|text| fs::write(&edited, format!("{text}nice = 1\n")));
    text.map_err(|error| format!("{}: {error}", edited.display()))?;
    let planned = time(control(&["plan"]))?;
    tree.stop()?;
    Ok((checked, planned))
}

/// What a thousand of them cost that run.
struct Running {
    start: f64,
    each: f64,
    rest: f64,
}

fn run_files(files: usize, programs: &Programs, dice: &mut Dice) -> Result<Running> {
    let mut tree = Tree::lay_out(Competitor::Ours, programs, 0)?;
    let services = tree.place.services();
    let command = format!("command = [\"{}\"]", tree.place.root.join("stub").display());
    write_files(&services, files, &command, dice).map_err(|error| format!("{}: {error}", services.display()))?;
    let began = tree.start()?;
    let running = tree.await_running(files)?;
    let last = running.iter().map(|running| running.at).max().unwrap_or(began);
    std::thread::sleep(SETTLE);
    let (mut each, mut rest) = (0.0, 0.0);
    for process in processes::overhead().iter().filter(|process| process.name != STUB) {
        let supervises = Competitor::Ours.is_supervisor(&process.name);
        *(if supervises { &mut each } else { &mut rest }) += process.pss().unwrap_or(0.0);
    }
    tree.stop()?;
    Ok(Running { start: tree::milliseconds(began, last), each: each / files as f64, rest })
}

fn write_files(services: &Path, files: usize, command: &str, dice: &mut Dice) -> std::io::Result<()> {
    for number in 0..files {
        let needs: Vec<String> = dice.needs(number).iter().map(|need| format!("\"service-{need:04}\"")).collect();
        let dir = services.join(format!("service-{number:04}"));
        fs::create_dir(&dir)?;
        let text = format!(
            "{command}\nneeds = [{}]\ntimeout.kill = \"5s\"\nrestart.delay = \"2s\"\n\
             env = {{ PORT = \"${{PORT:-8080}}\", NUMBER = \"{number}\" }}\nlimits.nofile = 1024\n",
            needs.join(", ")
        );
        fs::write(dir.join("service.toml"), text)?;
    }
    Ok(())
}

fn time(mut command: Command) -> Result<f64> {
    let began = Instant::now();
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let took = began.elapsed();
    match output.status.success() {
        true => Ok(took.as_secs_f64() * 1e3),
        false => Err(format!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr))),
    }
}

/// From the start of svc until a process runs that needs all others. In memory, if there is such a place: ext4 looks for a minute at
/// every inode that was deleted before it makes a new one, and what was measured before has deleted thousands.
fn bring_up(programs: &Programs, dice: &mut Dice) -> Result<f64> {
    let memory = Path::new(MEMORY);
    let folder = if machine::is_in_memory(memory) { memory.to_owned() } else { std::env::temp_dir() };
    let mut tree = Tree::lay_out_in(&folder, Competitor::Ours, programs, 0)?;
    let services = tree.place.services();
    write_sources(&services, &tree.place.root.join("stub"), dice)
        .map_err(|error| format!("{}: {error}", services.display()))?;
    let began = tree.start()?;
    let running = tree.await_running(HALF + 1)?;
    let last = running.iter().map(|running| running.at).max().unwrap_or(began);
    tree.stop()?;
    Ok(tree::milliseconds(began, last))
}

fn write_sources(services: &Path, stub: &Path, dice: &mut Dice) -> std::io::Result<()> {
    let all: Vec<String> = (0..2 * HALF).map(|number| format!("source-{number:03}")).collect();
    let put = |name: &str, oneshot: bool, needs: &[&String]| {
        let dir = services.join(name);
        fs::create_dir_all(dir.join("dependencies.d"))?;
        for need in needs {
            fs::write(dir.join("dependencies.d").join(need), "")?;
        }
        if oneshot {
            fs::write(dir.join("up"), "true\n")?;
        } else {
            fs::hard_link(stub, dir.join("run"))?;
        }
        fs::write(dir.join("type"), if oneshot { "oneshot\n" } else { "longrun\n" })
    };
    for (number, name) in all.iter().enumerate() {
        let needs: Vec<&String> = dice.needs(number).into_iter().map(|need| &all[need]).collect();
        put(name, number % 2 == 0, &needs)?;
    }
    put("the-last", false, &all.iter().collect::<Vec<_>>())
}

/// The least that anybody could need: no dependencies, no supervisors.
fn loop_over(programs: &Programs) -> Result<f64> {
    let mut tree = Tree::lay_out(Competitor::Ours, programs, 0)?;
    let fifo = tree.place.root.join("fifo");
    let failed = |error: std::io::Error| format!("cannot start a program: {error}");
    let began = tree::now();
    for _ in 0..HALF {
        Command::new("true").status().map_err(failed)?;
    }
    for _ in 0..=HALF {
        Command::new(&programs.stub).env("BENCH_FIFO", &fifo).spawn().map_err(failed)?;
    }
    let running = tree.await_running(HALF + 1)?;
    let last = running.iter().map(|running| running.at).max().unwrap_or(began);
    Ok(tree::milliseconds(began, last))
}
