//! What stands in a scenario file. The form is told in `scenarios/README.md`.

use std::path::Path;

/// One scenario: a title, which sides it is about, and what happens in it.
#[derive(Debug)]
pub struct Scenario {
    pub title: String,
    pub file: String,
    pub over: Over,
    pub steps: Vec<Step>,
}

/// Which of the two sides a scenario is played with in both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    pub supervisor: bool,
    pub tools: bool,
}

/// One thing that happens, and what must be seen then.
#[derive(Debug)]
pub struct Step {
    pub line: usize,
    pub action: Action,
    /// What upstream's side must show, where the scenario says so: a scenario that went wrong there proves nothing.
    pub expected: Option<String>,
    pub insteads: Vec<Instead>,
}

/// What must be seen where upstream is not to be followed.
#[derive(Debug)]
pub struct Instead {
    pub when: When,
    pub reason: String,
    pub text: String,
}

/// Which side must be ours for an `instead` to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Supervisor,
    Tools,
    Either,
    Both,
}

#[derive(Debug)]
pub enum Action {
    File {
        path: String,
        text: String,
        executable: bool,
    },
    Place {
        service: String,
        listening: bool,
    },
    Start(String),
    Listen(String),
    Events {
        of: String,
        letters: String,
    },
    Status(String),
    Do(String),
    Begin {
        name: String,
        command: String,
    },
    End(String),
    Subscribed {
        to: String,
        count: usize,
    },
    Await {
        path: String,
        lines: usize,
    },
    Until(String),
    Signal {
        to: Target,
        signal: String,
    },
    Replaced(String),
    ScannerEnds,
    Mark,
    /// Milliseconds since the mark: the least and the most.
    Elapsed(String),
    Raw {
        to: String,
        bytes: String,
    },
}

impl Action {
    /// What it gives to a shell or to the kernel to execute.
    pub fn text(&self) -> &str {
        match self {
            Action::File { text, .. } => text,
            Action::Do(command) | Action::Begin { command, .. } | Action::Until(command) => command,
            Action::Place { .. }
            | Action::Start(_)
            | Action::Listen(_)
            | Action::Events { .. }
            | Action::Status(_)
            | Action::End(_)
            | Action::Subscribed { .. }
            | Action::Await { .. }
            | Action::Signal { .. }
            | Action::Replaced(_)
            | Action::ScannerEnds
            | Action::Mark
            | Action::Elapsed(_)
            | Action::Raw { .. } => "",
        }
    }
}

/// Who gets a signal.
#[derive(Debug)]
pub enum Target {
    Scanner,
    Supervisor(String),
    Run(String),
}

/// Reads a scenario file.
pub fn read(path: &Path) -> Result<Vec<Scenario>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    parse(&file, &text)
}

/// A line of a file with what is indented below it.
struct Paragraph<'a> {
    line: usize,
    head: &'a str,
    body: Vec<&'a str>,
}

fn paragraphs<'a>(file: &str, text: &'a str) -> Result<Vec<Paragraph<'a>>, String> {
    let mut found: Vec<Paragraph> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line_number = number + 1;
        if let Some(inside) = line.strip_prefix("    ") {
            let last = found.last_mut().ok_or_else(|| format!("{file}:{line_number}: indented below nothing"))?;
            last.body.push(inside);
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            found.push(Paragraph { line: line_number, head: line.trim_end(), body: Vec::new() });
        }
    }
    Ok(found)
}

pub fn parse(file: &str, text: &str) -> Result<Vec<Scenario>, String> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut over = Over { supervisor: true, tools: true };
    for paragraph in paragraphs(file, text)? {
        let at = |message: String| format!("{file}:{}: {message}", paragraph.line);
        let (word, rest) = paragraph.head.split_once(' ').unwrap_or((paragraph.head, ""));
        match (word, scenarios.last_mut()) {
            ("==", _) => {
                let title = rest.to_owned();
                scenarios.push(Scenario { title, file: file.into(), over, steps: Vec::new() });
            }
            ("over", last) => {
                let said = Over { supervisor: rest.contains("supervisor"), tools: rest.contains("tools") };
                match last {
                    Some(scenario) => scenario.over = said,
                    None => over = said,
                }
            }
            (_, None) => return Err(at("before the first scenario".into())),
            ("instead", Some(scenario)) => {
                let instead = instead(rest, &paragraph.body).map_err(at)?;
                let step = scenario.steps.last_mut().ok_or_else(|| at("instead of nothing".into()))?;
                step.insteads.push(instead);
            }
            (_, Some(scenario)) => scenario.steps.push(step(word, rest, &paragraph).map_err(at)?),
        }
    }
    Ok(scenarios)
}

fn instead(rest: &str, body: &[&str]) -> Result<Instead, String> {
    let (when, reason) = rest.split_once(':').ok_or("instead SIDE: REASON")?;
    let when = match when {
        "supervisor" => When::Supervisor,
        "tools" => When::Tools,
        "either" => When::Either,
        "both" => When::Both,
        other => return Err(format!("'{other}' is none of supervisor, tools, either, both")),
    };
    if reason.trim().is_empty() {
        return Err("an instead needs a reason".into());
    }
    Ok(Instead { when, reason: reason.trim().into(), text: body.join("\n") })
}

fn step(word: &str, rest: &str, paragraph: &Paragraph) -> Result<Step, String> {
    let (rest, expected) = match rest.rsplit_once(" => ") {
        Some((rest, expected)) => (rest.trim_end(), Some(expected.to_owned())),
        None => (rest, None),
    };
    let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("'{text}' is no number"));
    let inside = |head: &str| {
        let lines = head.lines().chain(paragraph.body.iter().copied());
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let action = match word {
        "file" => Action::File { path: rest.into(), text: inside(""), executable: false },
        "script" => Action::File { path: rest.into(), text: inside("#!/bin/sh"), executable: true },
        "program" => Action::File { path: rest.into(), text: inside(""), executable: true },
        "place" => Action::Place { service: rest.into(), listening: true },
        "place-quietly" => Action::Place { service: rest.into(), listening: false },
        "start" => Action::Start(rest.into()),
        "listen" => Action::Listen(rest.into()),
        "events" => Action::Events { of: first.into(), letters: second.into() },
        "status" => Action::Status(rest.into()),
        "do" => Action::Do(inside(rest)),
        "begin" => Action::Begin { name: first.into(), command: inside(second) },
        "end" => Action::End(rest.into()),
        "subscribed" => Action::Subscribed { to: first.into(), count: number(second)? as usize },
        "await" => Action::Await { path: first.into(), lines: if second.is_empty() { 1 } else { number(second)? as usize } },
        "until" => Action::Until(inside(rest)),
        "signal" => signal(rest)?,
        "replaced" => Action::Replaced(rest.into()),
        "scanner" if rest == "ends" => Action::ScannerEnds,
        "mark" => Action::Mark,
        "elapsed" => Action::Elapsed(rest.into()),
        "raw" => Action::Raw { to: first.into(), bytes: second.into() },
        other => return Err(format!("'{other}' is no step")),
    };
    Ok(Step { line: paragraph.line, action, expected, insteads: Vec::new() })
}

/// `signal scanner TERM`, `signal supervisor web HUP`, `signal run web USR1`.
fn signal(rest: &str) -> Result<Action, String> {
    let words: Vec<&str> = rest.split(' ').collect();
    let (to, signal) = match words.as_slice() {
        ["scanner", signal] => (Target::Scanner, signal),
        ["supervisor", service, signal] => (Target::Supervisor((*service).into()), signal),
        ["run", service, signal] => (Target::Run((*service).into()), signal),
        _ => return Err("signal scanner SIGNAL, or signal supervisor|run SERVICE SIGNAL".into()),
    };
    Ok(Action::Signal { to, signal: (*signal).into() })
}
