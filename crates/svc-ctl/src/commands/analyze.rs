//! `analyze`: what the last start of everything waited for, and how long each service took.

use svc_proto::api::{Boot, FirstStart, NodeKind};

use crate::exit::{Code, Failure};

use super::Session;

const HEADER: [&str; 6] = ["NAME", "WANTED", "BEGAN", "THERE", "TOOK", "WAITED FOR"];

pub async fn run(session: &mut Session) -> Result<Code, Failure> {
    let boot: Boot = session.client.get("/v1/boot").await?;
    if session.json {
        session.out.json(&boot)?;
        return Ok(Code::Done);
    }
    for line in lines(&boot) {
        session.out.line(&line)?;
    }
    Ok(Code::Done)
}

fn lines(boot: &Boot) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(match (boot.settled_after_ms, boot.incomplete) {
        (Some(ms), _) => format!("the start was over {} after svc began", span(ms)),
        (None, false) => "the start is not over yet".into(),
        (None, true) => "svc-scan has been started again since the start: \"?\" is what nobody remembers".into(),
    });
    let last = boot.chain.first().and_then(|name| Some((name, find(boot, name)?.there_after_ms?)));
    if let Some((name, at)) = last {
        lines.push(format!("the last service of it was {name}, after {}; each line waited for the next one:", span(at)));
        lines.extend(boot.chain.iter().filter_map(|name| find(boot, name)).enumerate().map(link));
    }
    lines.push("all services, slowest first:".into());
    lines.extend(table(boot));
    lines
}

fn find<'a>(boot: &'a Boot, name: &str) -> Option<&'a FirstStart> {
    boot.services.iter().find(|service| service.name == name)
}

/// `    db was ready at 1.199 s, 1.150 s after it began`.
fn link((depth, service): (usize, &FirstStart)) -> String {
    let indent = "  ".repeat(depth + 1);
    let what = match service.kind {
        NodeKind::Oneshot => "done",
        NodeKind::Bundle | NodeKind::Milestone => "whole",
        NodeKind::Longrun | NodeKind::Process | NodeKind::Forking | NodeKind::Timer => "up",
    };
    let took = took(service).map_or_else(String::new, |took| format!(", {} after it began", span(took)));
    let healthy = service.healthy_after_ms.filter(|_| service.kind.is_longrun());
    let healthy = healthy.map_or_else(String::new, |at| format!(", healthy at {}", span(at)));
    format!("{indent}{}  {what} at {}{took}{healthy}", service.name, cell(service.there_after_ms, service))
}

/// How long it took from its own start until others could go on.
fn took(service: &FirstStart) -> Option<u64> {
    Some(service.there_after_ms?.saturating_sub(service.began_after_ms?))
}

fn table(boot: &Boot) -> Vec<String> {
    let mut services: Vec<&FirstStart> = boot.services.iter().filter(|service| service.kind != NodeKind::Bundle).collect();
    // Who is not there yet is the slowest of all.
    services.sort_by_key(|service| {
        let never = service.began_after_ms.is_some() && service.there_after_ms.is_none() && !service.recovered;
        std::cmp::Reverse((never, took(service), service.there_after_ms))
    });
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(services.into_iter().map(|service| {
        let waited = service.waited_for.clone().unwrap_or_default();
        [
            service.name.clone(),
            cell(service.wanted_after_ms, service),
            cell(service.began_after_ms, service),
            cell(service.there_after_ms, service),
            cell(took(service), service),
            if service.later { "(later than the start)".into() } else { waited },
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = |row: &[String; 6]| {
        let name = format!("{:<width$}", row[0], width = widths[0]);
        let times = (1..5).map(|column| format!("  {:>width$}", row[column], width = widths[column])).collect::<String>();
        format!("{name}{times}  {}", row[5]).trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A span; `-` for what has not happened, `?` for what is not known any more.
fn cell(ms: Option<u64>, service: &FirstStart) -> String {
    match (ms, service.recovered) {
        (Some(ms), _) => span(ms),
        (None, true) => "?".into(),
        (None, false) => "-".into(),
    }
}

/// Milliseconds count here, up to a minute.
fn span(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms}ms"),
        1000..60_000 => format!("{}.{:03}s", ms / 1000, ms % 1000),
        _ => crate::span::human(ms as f64 / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, times: [Option<u64>; 3], waited_for: Option<&str>) -> FirstStart {
        let [wanted_after_ms, began_after_ms, there_after_ms] = times;
        FirstStart {
            name: name.into(),
            kind: NodeKind::Longrun,
            wanted_after_ms,
            began_after_ms,
            there_after_ms,
            healthy_after_ms: None,
            waited_for: waited_for.map(str::to_owned),
            later: false,
            recovered: false,
        }
    }

    #[test]
    fn the_chain_comes_first_and_the_slowest_before_the_others() {
        let services = vec![
            FirstStart { healthy_after_ms: Some(1206), ..service("db", [Some(3), Some(5), Some(1205)], None) },
            FirstStart { recovered: true, ..service("old", [None, None, None], None) },
            service("stuck", [Some(3), Some(6), None], None),
            service("web", [Some(3), Some(1206), Some(1208)], Some("db")),
        ];
        let chain = vec!["web".into(), "db".into()];
        let boot = Boot { began_ms: 0, settled_after_ms: Some(1209), incomplete: false, chain, services };
        assert_eq!(
            lines(&boot),
            [
                "the start was over 1.209s after svc began",
                "the last service of it was web, after 1.208s; each line waited for the next one:",
                "  web  up at 1.208s, 2ms after it began",
                "    db  up at 1.205s, 1.200s after it began, healthy at 1.206s",
                "all services, slowest first:",
                "NAME   WANTED   BEGAN   THERE    TOOK  WAITED FOR",
                "stuck     3ms     6ms       -       -",
                "db        3ms     5ms  1.205s  1.200s",
                "web       3ms  1.206s  1.208s     2ms  db",
                "old         ?       ?       ?       ?",
            ]
        );
    }
}
