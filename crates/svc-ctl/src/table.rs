//! The table of `svc-ctl status`. No I/O.

use std::fmt::Write;

use svc_proto::api::{HealthVerdict, Problem, State, Status};

use crate::{span, words};

/// What fits every terminal; only names are shortened for it, because the rest never gets that wide.
const WIDTH: usize = 80;
/// Names are not made shorter than this, whatever the other columns need: nobody would recognise them.
const SHORTEST_NAME: usize = 12;
const GAP: usize = 2;
const HEADER: [&str; 7] = ["NAME", "STATE", "PID", "SINCE", "READY", "RESTARTS", "LAST EXIT"];
/// Numbers and spans stand at the right of their column.
const RIGHT: [bool; 7] = [false, false, true, true, false, true, false];

/// Whether long names are shortened, so that a line fits a terminal. Never for a pipe: a script needs the whole name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    Whole,
    Shortened,
}

/// A line for each service, below a header.
pub fn render(services: &[&Status], names: Names) -> String {
    let mut rows: Vec<[String; 7]> = Vec::with_capacity(services.len() + 1);
    rows.push(HEADER.map(str::to_string));
    rows.extend(services.iter().map(|status| row(status)));

    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    if names == Names::Shortened {
        let others: usize = widths[1..].iter().map(|width| width + GAP).sum();
        widths[0] = widths[0].min(WIDTH.saturating_sub(others).max(SHORTEST_NAME));
        for row in &mut rows {
            row[0] = shorten(&row[0], widths[0]);
        }
    }

    let mut text = String::with_capacity(rows.len() * (WIDTH + 1));
    for row in &rows {
        let begin = text.len();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let blanks = width - cell.chars().count();
            let (before, behind) = if RIGHT[column] { (blanks, GAP) } else { (0, blanks + GAP) };
            text.extend(std::iter::repeat_n(' ', before));
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', behind));
        }
        let end = text[begin..].trim_end().len();
        text.truncate(begin + end);
        text.push('\n');
    }
    text
}

fn row(status: &Status) -> [String; 7] {
    let none = || "-".to_string();
    [
        status.name.clone(),
        words::state(status).to_string(),
        status.pid.map_or_else(none, |pid| pid.to_string()),
        span::human(status.since_seconds),
        match (status.ready, words::verdict(status)) {
            (_, Some(HealthVerdict::Unhealthy)) => "unhealthy".into(),
            (Some(false), _) | (None, Some(HealthVerdict::Unknown)) => "no".into(),
            (Some(true), _) | (None, Some(HealthVerdict::Healthy)) => "yes".into(),
            (None, None) => none(),
        },
        status.restarts.to_string(),
        status.last_exit.as_ref().map_or_else(none, words::exit),
    ]
}

/// Keeps both ends of a name, because names of a family differ at either.
fn shorten(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.to_string();
    }
    let kept = width - 2;
    let head: String = name.chars().take(kept - kept / 2).collect();
    let tail: String = name.chars().skip(length - kept / 2).collect();
    format!("{head}..{tail}")
}

/// What is wrong, a line each: with the services of the table, and with directories that are none.
pub fn problems(services: &[&Status], directories: &[Problem]) -> String {
    let mut text = String::new();
    for status in services {
        if let Some(reason) = &status.reason {
            let _ = writeln!(text, "{}: {reason}", status.name);
        }
        if let Some(problem) = &status.problem {
            let _ = writeln!(text, "{}: {problem}", status.name);
        } else if let Some(verdict) = status.verdict.as_ref().filter(|_| status.state == State::Failed) {
            let _ = writeln!(text, "{0}: failed for good: {verdict}: svc-ctl start {0} starts it again", status.name);
        } else if status.changed {
            let _ = writeln!(
                text,
                "{}: its files have changed since: svc-ctl plan says what that does, apply does it",
                status.name
            );
        }
    }
    for problem in directories {
        let _ = writeln!(text, "{}: {}", problem.path, problem.message);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use svc_proto::api::Death;

    fn status(name: &str) -> Status {
        Status {
            name: name.into(),
            state: State::Up,
            pid: Some(12),
            since_ms: 0,
            since_seconds: 185.0,
            ready: None,
            ready_since_ms: None,
            health: None,
            wanted_up: true,
            paused: false,
            restarts: 0,
            last_exit: None,
            next_start_ms: None,
            verdict: None,
            problem: None,
            changed: false,
            supervisor_pid: Some(11),
            dir: format!("/etc/s6/{name}"),
            timer: None,
            reason: None,
        }
    }

    /// Every column as wide as it gets in practice.
    fn wide(name: &str) -> Status {
        Status {
            state: State::Finishing,
            pid: Some(4_194_304),
            since_seconds: 999.0 * 86400.0 + 23.0 * 3600.0,
            ready: Some(false),
            restarts: 12_345_678,
            last_exit: Some(Death {
                at_ms: 0,
                code: None,
                signal: Some("VTALRM".into()),
                ran_ms: 1,
                out_of_memory: false,
                watchdog: false,
            }),
            ..status(name)
        }
    }

    #[test]
    fn a_small_table_is_no_wider_than_it_must_be() {
        let killed =
            Death { at_ms: 0, code: None, signal: Some("KILL".into()), ran_ms: 1, out_of_memory: false, watchdog: false };
        let web = Status { ready: Some(true), restarts: 2, last_exit: Some(killed), ..status("web") };
        let text = render(&[&web, &Status { pid: None, state: State::Down, ..status("café/log") }], Names::Shortened);
        let expected = "\
NAME      STATE  PID  SINCE  READY  RESTARTS  LAST EXIT
web       up      12  3m 5s  yes           2  SIGKILL
café/log  down     -  3m 5s  -             0  -
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_terminal_gets_80_columns_and_a_pipe_whole_names() {
        let long = "a".repeat(120) + &"é".repeat(60) + "-0001";
        let services = [&wide(&long), &status("web")];
        for line in render(&services, Names::Shortened).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(render(&services, Names::Shortened).contains("-0001"));
        assert!(render(&services, Names::Whole).contains(&long));
    }

    #[test]
    fn problems_are_lines_below() {
        let broken = Status { problem: Some("no run file: make /etc/s6/web/run".into()), ..status("web") };
        let directory = Problem { path: "/etc/s6/x y".into(), message: "a loop of links: remove it".into() };
        let verdict = Some("its finish script said 125".into());
        let failed = Status { state: State::Failed, verdict: verdict.clone(), ..status("cron") };
        // What a back-off makes of an end is no news while it goes on.
        let waiting = Status { state: State::Waiting, verdict, ..status("worker") };
        assert_eq!(
            problems(&[&broken, &status("db"), &failed, &waiting], &[directory]),
            "web: no run file: make /etc/s6/web/run\n\
             cron: failed for good: its finish script said 125: svc-ctl start cron starts it again\n\
             /etc/s6/x y: a loop of links: remove it\n"
        );
    }
}
