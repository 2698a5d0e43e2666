//! `tree`: the processes of each service, from /proc: the children of its supervisor, and theirs.

use std::collections::BTreeMap;
use std::fs;

use svc_proto::api::Services;

use crate::exit::{Code, Failure};

use super::Session;
use super::status::narrow;

/// One process, as /proc has it.
struct Process {
    parent: i32,
    command: String,
    /// Its own memory, in KiB: what is shared is counted for each.
    resident_kib: u64,
    /// Processor time, in hundredths of a second.
    ticks: u64,
}

pub async fn run(session: &mut Session, typed: &[String]) -> Result<Code, Failure> {
    let mut answer: Services = session.client.services().await?;
    let code = if typed.is_empty() { Code::Done } else { narrow(&mut answer, typed) };
    let processes = processes();
    for status in &answer.services {
        let Some(supervisor) = status.supervisor_pid else { continue };
        let mut lines = Vec::new();
        let (memory, ticks) = below(&processes, supervisor, 1, &mut lines);
        if session.json {
            session.out.json(&serde_json::json!({
                "service": status.name, "supervisor": supervisor, "resident_kib": memory, "cpu_ms": ticks * 10,
                "processes": lines.iter().map(|line| line.pid).collect::<Vec<_>>(),
            }))?;
            continue;
        }
        session.out.line(&format!("{}  {}  {}", status.name, size(memory), time(ticks)))?;
        for Line { depth, pid } in lines {
            let process = &processes[&pid];
            let indent = "  ".repeat(depth);
            let (memory, time) = (size(process.resident_kib), time(process.ticks));
            session.out.line(&format!("{indent}{pid}  {memory}  {time}  {}", process.command))?;
        }
    }
    Ok(code)
}

struct Line {
    depth: usize,
    pid: i32,
}

/// What lives below a process, each with its depth; the memory and the time of all together.
fn below(processes: &BTreeMap<i32, Process>, parent: i32, depth: usize, lines: &mut Vec<Line>) -> (u64, u64) {
    let (mut memory, mut ticks) = (0, 0);
    for (&pid, process) in processes.iter().filter(|(_, process)| process.parent == parent) {
        lines.push(Line { depth, pid });
        let (more, longer) = below(processes, pid, depth + 1, lines);
        memory += process.resident_kib + more;
        ticks += process.ticks + longer;
    }
    (memory, ticks)
}

fn processes() -> BTreeMap<i32, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(|pid| Some((pid, read(pid)?))).collect()
}

fn read(pid: i32) -> Option<Process> {
    /// The same on every machine that we build for.
    const PAGE_KIB: u64 = 4;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // A name may have any letters in it, brackets too.
    let (front, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> = line
        .split(|&byte| byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| shown(&String::from_utf8_lossy(word)))
        .collect();
    let command = match words.is_empty() {
        true => front.split_once('(').map_or_else(String::new, |(_, name)| format!("({})", shown(name))),
        false => words.join(" "),
    };
    let resident_kib = number(21)? * PAGE_KIB;
    Some(Process { parent: fields.get(1)?.parse().ok()?, command, resident_kib, ticks: number(11)? + number(12)? })
}

/// What would move the cursor is escaped; quotes are not.
fn shown(text: &str) -> String {
    let escaped = |letter: char| match letter {
        '\'' | '"' | '\\' => letter.to_string(),
        _ => letter.escape_debug().to_string(),
    };
    text.chars().map(escaped).collect()
}

fn size(kib: u64) -> String {
    if kib < 10 * 1024 { format!("{kib} KiB") } else { format!("{} MiB", kib / 1024) }
}

fn time(ticks: u64) -> String {
    format!("{}.{:02} s", ticks / 100, ticks % 100)
}
