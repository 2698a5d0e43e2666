//! `svc-ctl why`: everything that explains what a service is doing.

use svc_proto::api::{Detail, Graph, HealthVerdict, Node, Stream};

use crate::client::encode;
use crate::exit::{Code, Failure};
use crate::{span, words};

use super::deps::part_of;
use super::{Session, choose, complain_of_unknown};

pub async fn run(session: &mut Session, typed: &[String]) -> Result<Code, Failure> {
    let chosen = choose(session, typed).await?;
    // Of what it is part is one line among others, and no reason to say nothing.
    let nodes = session.client.get("/v1/graph").await.map_or_else(|_| Vec::new(), |Graph { nodes, .. }| nodes);
    let mut code = chosen.code;
    let mut first = true;
    for name in &chosen.names {
        match session.client.get::<Detail>(&format!("/v1/services/{}", encode(name))).await {
            Ok(detail) if session.json => session.out.json(&detail)?,
            Ok(detail) => {
                if !first {
                    session.out.text("\n")?;
                }
                let bundles: Vec<&str> = part_of(&nodes, name).collect();
                session.out.text(&explain(&detail, &bundles, of_template(&nodes, &bundles, name), span::now_ms()))?;
                first = false;
            }
            Err(Failure::Told { code: Code::NoSuchService, message }) => {
                complain_of_unknown(session, &[name], &message).await;
                code = code.max(Code::NoSuchService);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(code)
}

/// What is wrong with the template that an instance is of.
fn of_template<'a>(nodes: &'a [Node], bundles: &[&str], name: &str) -> Option<&'a str> {
    let (template, _) = name.split_once('@').filter(|(template, _)| bundles.contains(template))?;
    nodes.iter().find(|node| node.name == template)?.problem.as_deref()
}

fn explain(detail: &Detail, bundles: &[&str], of_template: Option<&str>, now_ms: u64) -> String {
    let status = &detail.status;
    let mut lines = vec![format!("{}: {}", status.name, words::sentence(status, now_ms))];
    if let Some(reason) = &status.reason {
        lines.push(format!("  {reason}"));
    }
    if let Some(problem) = words::problem(status) {
        lines.push(format!("  problem: {problem}"));
    }
    if let Some(problem) = of_template.filter(|problem| status.problem.as_deref() != Some(*problem)) {
        lines.push(format!("  problem of its template: {problem}"));
    }
    if let Some(health) = &status.health {
        if let Some(probe) = &health.probe {
            // What is known of this run, or what was last seen of an earlier one.
            let known = matches!(health.verdict, Some(HealthVerdict::Healthy | HealthVerdict::Unhealthy));
            lines.push(format!("  {}: {probe}", if known { "health check" } else { "last health check" }));
        }
        if let Some(says) = &health.says {
            lines.push(format!("  says: {says}"));
        }
        if let Some(excess) = &health.excess {
            let ago = span::human(now_ms.saturating_sub(excess.at_ms) as f64 / 1000.0);
            let (used, limit) = (words::size(excess.used_bytes), words::size(excess.limit_bytes));
            let at = span::stamp(excess.at_ms);
            lines.push(format!("  memory: {at}, {ago} ago, its processes used {used}, and memory.limit is {limit}"));
        }
    }
    lines.push(match status.supervisor_pid {
        Some(pid) => format!("  directory: {} (supervisor pid {pid})", status.dir),
        None => format!("  directory: {} (no supervisor)", status.dir),
    });
    if !bundles.is_empty() {
        lines.push(format!("  part of: {}", bundles.join(", ")));
    }
    if let Some(timer) = &status.timer {
        lines.push(format!("  runs: {}", timer.schedule));
        let next = timer.next_run_ms.map_or("none yet".into(), span::stamp);
        lines.push(format!("  next run: {next}"));
        lines.push(match (timer.last_run_ms, &timer.last_exit) {
            (None, _) => "  last run: none".into(),
            (Some(at_ms), None) => format!("  last run: {}", span::stamp(at_ms)),
            (Some(at_ms), Some(death)) if status.pid.is_some() || death.at_ms + 50 < at_ms => {
                format!("  last run: {}, not over; the one before: {}", span::stamp(at_ms), words::end(death))
            }
            (Some(at_ms), Some(death)) => format!("  last run: {}, {}", span::stamp(at_ms), words::end(death)),
        });
    }
    match detail.memory_kills {
        0 => {}
        1 => lines.push("  out of memory: the kernel has killed one of its processes".into()),
        some => lines.push(format!("  out of memory: the kernel has killed {some} of its processes")),
    }
    match (detail.deaths.len() as u64, detail.death_count) {
        (_, 0) => lines.push("  it has never ended".into()),
        (0, all) => lines.push(format!("  ends: {all}, none of which is kept (max-death-tally)")),
        (listed, all) if listed < all => lines.push(format!("  the last {listed} of {all} ends:")),
        (_, all) => lines.push(format!("  {all} {}:", if all == 1 { "end" } else { "ends" })),
    }
    for death in &detail.deaths {
        let ago = span::human(now_ms.saturating_sub(death.at_ms) as f64 / 1000.0);
        lines.push(format!("    {}  {ago:>7} ago  {}", span::stamp(death.at_ms), words::end(death)));
    }
    if !detail.last_lines.is_empty() {
        let errors = detail.last_lines.iter().any(|line| line.stream == Stream::Stderr);
        lines.push(format!("  last lines on standard {}:", if errors { "error" } else { "output" }));
    }
    for line in &detail.last_lines {
        lines.push(format!("    {}  {}", span::stamp(line.at_ms), line.line));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use svc_proto::api::{Death, LogLine, State, Status};

    #[test]
    fn a_service_that_keeps_failing_is_explained() {
        let death = Death { at_ms: 7_000, code: Some(1), signal: None, ran_ms: 200, out_of_memory: false, watchdog: false };
        let detail = Detail {
            status: Status {
                name: "web".into(),
                state: State::Waiting,
                pid: None,
                since_ms: 7_000,
                since_seconds: 3.0,
                ready: None,
                ready_since_ms: None,
                health: None,
                wanted_up: true,
                paused: false,
                restarts: 4,
                last_exit: Some(death.clone()),
                next_start_ms: Some(10_700),
                verdict: None,
                problem: None,
                changed: false,
                supervisor_pid: Some(11),
                dir: "/etc/s6/web".into(),
                timer: None,
                reason: None,
            },
            deaths: vec![death],
            death_count: 5,
            memory_kills: 2,
            last_lines: vec![LogLine {
                service: "web".into(),
                at_ms: 6_900,
                stream: Stream::Stderr,
                line: "bind: address already in use".into(),
            }],
        };
        let expected = "\
web: waiting to be started again, down for 3s, restarted 4 times, next start in 700ms
  directory: /etc/s6/web (supervisor pid 11)
  part of: sites
  out of memory: the kernel has killed 2 of its processes
  the last 1 of 5 ends:
    1970-01-01T00:00:07.000Z       3s ago  exit 1 after 200ms
  last lines on standard error:
    1970-01-01T00:00:06.900Z  bind: address already in use
";
        assert_eq!(explain(&detail, &["sites"], None, 10_000), expected);
    }
}
