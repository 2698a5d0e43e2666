//! Plays a scenario once, with one choice of sides, and writes down what was seen.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use svc_proto::s6::Status;
use svc_testkit::{kill, spawn};

use crate::listener;
use crate::observe;
use crate::scenario::{Action, Scenario, Step, Target, When};
use crate::stage::{PATIENCE, Sides, Stage, code, send, wait};

/// What a step showed; none for a step that shows nothing.
pub type Seen = Option<String>;

/// A run of a scenario.
pub struct Run {
    pub seen: Vec<Seen>,
    /// Why it could not go on after the last thing seen.
    pub broken: Option<String>,
    /// For whoever reads a failure.
    pub log: String,
}

impl Step {
    /// What upstream must show, and the part of what it showed that this is about: of a command the exit code, 0 if the
    /// scenario names none.
    pub fn expectation<'a>(&'a self, seen: &'a str) -> (&'a str, &'a str) {
        match (&self.action, &self.expected) {
            (Action::Do(_) | Action::End(_), expected) => {
                let first = seen.lines().next().unwrap_or_default();
                (expected.as_deref().unwrap_or("0"), first.strip_prefix("exit ").unwrap_or(first))
            }
            (Action::Events { letters, .. }, _) => (letters, seen),
            (Action::ScannerEnds, None) => ("0", seen),
            (Action::Elapsed(least), _) => (least, seen),
            (_, Some(expected)) => (expected, seen),
            (_, None) => (seen, seen),
        }
    }

    /// What this step must show instead of what upstream shows, with these sides.
    pub fn instead(&self, sides: Sides) -> Option<&str> {
        let counts = |when: When| match when {
            When::Supervisor => sides.our_supervisor,
            When::Tools => sides.our_tools,
            When::Either => sides.our_supervisor || sides.our_tools,
            When::Both => sides.our_supervisor && sides.our_tools,
        };
        self.insteads.iter().find(|instead| counts(instead.when)).map(|instead| instead.text.as_str())
    }
}

pub fn play(scenario: &Scenario, sides: Sides) -> Run {
    let mut stage = Stage::new(sides);
    let mut run = Run { seen: Vec::new(), broken: None, log: String::new() };
    let starts_itself = scenario.steps.iter().any(|step| match &step.action {
        Action::Start(_) => true,
        Action::Begin { command, .. } => command.contains("$SCANNER"),
        _ => false,
    });
    for step in &scenario.steps {
        let is_first_place = matches!(step.action, Action::Place { .. }) && !starts_itself && !stage.is_started();
        let started = if is_first_place { stage.start("") } else { Ok(()) };
        match started.and_then(|()| act(&mut stage, step, sides)) {
            Ok(seen) => run.seen.push(seen),
            Err(message) => {
                run.broken = Some(message);
                break;
            }
        }
    }
    run.log = stage.log_text();
    run
}

fn act(stage: &mut Stage, step: &Step, sides: Sides) -> Result<Seen, String> {
    match &step.action {
        Action::File { path, text, executable } => {
            write(&stage.path(path), text, *executable).map_err(|error| format!("{path}: {error}"))?;
        }
        Action::Place { service, listening } => stage.place(service, *listening)?,
        Action::Start(arguments) => stage.start(arguments)?,
        Action::Listen(dir) => stage.listen(dir)?,
        Action::Events { of, letters } => return events(stage, of, step.instead(sides).unwrap_or(letters)).map(Some),
        Action::Status(service) => return Ok(Some(observe::status(&stage.service(service).join("supervise/status")))),
        Action::Do(command) => {
            begin(stage, "", command)?;
            return end(stage, "").map(Some);
        }
        Action::Begin { name, command } => begin(stage, name, command)?,
        Action::End(name) => return end(stage, name).map(Some),
        Action::Subscribed { to, count } => {
            let dir = stage.path(to);
            let dir = if dir.join("event").exists() { dir.join("event") } else { dir };
            until(&format!("{count} listeners in {to}"), || listener::others(&dir) >= *count)?;
        }
        Action::Await { path, lines } => {
            let file = stage.path(path);
            let count = || fs::read(&file).map_or(0, |text| text.iter().filter(|&&byte| byte == b'\n').count());
            until(&format!("{lines} lines in {path}"), || count() >= *lines)?;
        }
        Action::Until(command) => {
            until(command.trim(), || {
                let mut shell = stage.command("/bin/sh");
                shell.args(["-c", command]).stdout(Stdio::null()).stderr(Stdio::null());
                spawn(&mut shell).and_then(|mut child| child.wait()).is_ok_and(|status| status.success())
            })?;
        }
        Action::Signal { to, signal } => {
            let pid = target(stage, to).ok_or_else(|| format!("there is nobody for {to:?}"))?;
            kill(pid, signal);
            stage.signalled = pid;
        }
        Action::Replaced(service) => {
            let is_another = || stage.supervisor(service).is_some_and(|pid| pid != stage.signalled);
            until(&format!("another supervisor of {service}"), is_another)?;
        }
        Action::ScannerEnds => {
            let status = stage.scanner_status(PATIENCE);
            return Ok(Some(status.map_or("does not end".into(), |status| code(status).to_string())));
        }
        Action::Mark => stage.marked = Instant::now(),
        Action::Elapsed(least) => {
            let (elapsed, least) = (stage.marked.elapsed().as_millis(), step.instead(sides).unwrap_or(least));
            let so_many: u128 = least.parse().map_err(|_| format!("'{least}' is no number of milliseconds"))?;
            return Ok(Some(if elapsed >= so_many { least.to_owned() } else { format!("{elapsed}") }));
        }
        Action::Raw { to, bytes } => {
            let fifo = stage.service(to);
            send(&fifo, bytes.as_bytes()).map_err(|error| format!("{}: {error}", fifo.display()))?;
        }
    }
    Ok(None)
}

fn write(path: &Path, text: &str, executable: bool) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    if executable {
        svc_testkit::executable(path, text);
        return Ok(());
    }
    // Whole, and by a new file: the old one may be read right now.
    let new = path.with_extension("new~");
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

fn events(stage: &mut Stage, of: &str, letters: &str) -> Result<String, String> {
    let listener = stage.listeners.get_mut(of).ok_or_else(|| format!("nobody listens to {of}"))?;
    let got = listener.next(letters.len(), PATIENCE);
    // What follows would wait for what does not come.
    if got == letters { Ok(got) } else { Err(format!("events of {of}: '{got}' came instead of '{letters}'")) }
}

fn begin(stage: &mut Stage, name: &str, command: &str) -> Result<(), String> {
    let file = stage.root.join(format!("said{}", name));
    let out = fs::File::create(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let log = fs::File::options().create(true).append(true).open(stage.root.join("log"));
    let mut shell = stage.command("/bin/sh");
    shell.args(["-c", command]).stdout(out).stderr(log.map_err(|error| error.to_string())?);
    let child = spawn(&mut shell).map_err(|error| format!("sh: {error}"))?;
    stage.begun.insert(name.to_owned(), (child, file));
    Ok(())
}

fn end(stage: &mut Stage, name: &str) -> Result<String, String> {
    let (child, file) = stage.begun.get_mut(name).ok_or_else(|| format!("'{name}' was not begun"))?;
    let Some(status) = wait(child, PATIENCE) else { return Err("the command does not end".into()) };
    let said = fs::read(file).unwrap_or_default();
    let said = observe::normal(&String::from_utf8_lossy(&said), &stage.root);
    stage.begun.remove(name);
    let said = if said.is_empty() { said } else { format!("\n{said}") };
    Ok(format!("exit {}{said}", code(status)))
}

fn until(what: &str, condition: impl Fn() -> bool) -> Result<(), String> {
    let begin = Instant::now();
    while !condition() {
        if begin.elapsed() > PATIENCE {
            return Err(format!("waited in vain for {what}"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn target(stage: &Stage, to: &Target) -> Option<i32> {
    match to {
        Target::Scanner => stage.scanner_pid(),
        Target::Supervisor(service) => stage.supervisor(service),
        Target::Run(service) => {
            let bytes = fs::read(stage.service(service).join("supervise/status")).ok()?;
            i32::try_from(Status::from_bytes(&bytes)?.pid).ok().filter(|&pid| pid > 0)
        }
    }
}
