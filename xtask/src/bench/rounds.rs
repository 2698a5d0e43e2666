//! What is measured, in which order: every competitor in each round, so that what disturbs one disturbs all.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use svc_core::{Pid, Signal};
use svc_sys::process;

use super::competitor::Competitor;
use super::report::{Bar, Row};
use super::tree::{self, Tree};
use super::{Options, Programs, Result};
use super::{machine, processes};

/// Services in the tree that is watched while it idles, and whose services are then killed.
const FEW: usize = 100;
/// How many of them are killed a round; they have been up for longer than any restart delay.
const KILLED: usize = 20;
const BETWEEN_KILLS: Duration = Duration::from_millis(40);
/// supervisord calls a program running after a second.
pub(crate) const SETTLE: Duration = Duration::from_secs(3);
const ASKED: usize = 5;
/// Where files are in memory, on nearly every machine.
pub(crate) const MEMORY: &str = "/dev/shm";

/// How much is measured at once.
struct Extent {
    services: usize,
    few: usize,
    idle: Duration,
    flood: usize,
}

/// The rows, with a list of values for each competitor.
struct Rows {
    start: Row,
    restart: Row,
    each: Row,
    rest: Row,
    all: Row,
    stop: Row,
    start_in_memory: Row,
    stop_in_memory: Row,
    status: Row,
    idle: Row,
    log: Row,
    size: Row,
}

impl Rows {
    fn new(extent: &Extent) -> Rows {
        let (many, few) = (extent.services, extent.few);
        let seconds = extent.idle.as_secs();
        Rows {
            start: Row::new(format!("start of {many} services until all run"), "ms", Bar::OfS6(0.35)),
            restart: Row::new("SIGKILL of a service until the next one runs".into(), "ms", Bar::AtMost(2.0)),
            each: Row::new(format!("memory a service (PSS of its supervisor, {many} services)"), "KiB", Bar::AtMost(28.0)),
            rest: Row::new("memory of the other processes together (PSS)".into(), "KiB", Bar::AtMost(4096.0)),
            all: Row::new("memory of all of them (PSS)".into(), "KiB", Bar::None),
            stop: Row::new(format!("stop of {many} services until all is gone"), "ms", Bar::OfS6(0.4)),
            start_in_memory: Row::new(format!("start of {many} services, their files in memory"), "ms", Bar::OfS6(0.35)),
            stop_in_memory: Row::new(format!("stop of {many} services, their files in memory"), "ms", Bar::OfS6(0.4)),
            status: Row::new(format!("status of {many} services"), "ms", Bar::AtMost(15.0)),
            idle: Row::new(format!("context switches a second, {few} services, over {seconds} s"), "", Bar::AtMost(0.0)),
            log: Row::new("log lines from one service to standard output".into(), "MB/s", Bar::None),
            size: Row::new("programs and libraries on disk".into(), "KiB", Bar::None),
        }
    }

    fn into_list(self) -> Vec<Row> {
        let Rows { start, restart, each, rest, all, stop, start_in_memory, stop_in_memory, status, idle, log, size } = self;
        vec![start, restart, each, rest, all, stop, start_in_memory, stop_in_memory, status, idle, log, size]
    }
}

/// Leaves out, from there on, a competitor that fails; ours may not.
pub(crate) fn run(options: &Options, competitors: &mut Vec<Competitor>, programs: &Programs) -> Result<Vec<Row>> {
    let extent = Extent {
        services: options.services,
        few: FEW.min(options.services),
        idle: Duration::from_secs(if options.quick { 1 } else { 10 }),
        flood: if options.quick { 10_000_000 } else { 200_000_000 },
    };
    let mut rows = Rows::new(&extent);
    for &competitor in &*competitors {
        rows.size.add(competitor, machine::size(competitor, programs));
    }
    for round in 1..=options.runs {
        for competitor in competitors.clone() {
            eprintln!("round {round} of {}: {}", options.runs, competitor.name());
            let measured = many(competitor, programs, &extent, &mut rows)
                .and_then(|()| in_memory(competitor, programs, &extent, &mut rows))
                .and_then(|()| few(competitor, programs, &extent, &mut rows))
                .and_then(|()| log(competitor, programs, &extent, &mut rows));
            match measured {
                Err(message) if competitor != Competitor::Ours => {
                    eprintln!("xtask: {message}: left out from here on");
                    competitors.retain(|&other| other != competitor);
                }
                measured => measured?,
            }
        }
    }
    Ok(rows.into_list())
}

/// Start, memory, status and stop.
fn many(competitor: Competitor, programs: &Programs, extent: &Extent, rows: &mut Rows) -> Result<()> {
    let mut tree = Tree::lay_out(competitor, programs, extent.services)?;
    let began = tree.start()?;
    let running = tree.await_running(extent.services)?;
    let last = running.iter().map(|running| running.at).max().unwrap_or(began);
    rows.start.add(competitor, Some(tree::milliseconds(began, last)));

    std::thread::sleep(SETTLE);
    let (mut each, mut rest) = (0.0, 0.0);
    for process in processes::overhead() {
        let kibibytes = process.pss().unwrap_or(0.0);
        *(if competitor.is_supervisor(&process.name) { &mut each } else { &mut rest }) += kibibytes;
    }
    rows.each.add(competitor, (each > 0.0).then_some(each / extent.services as f64));
    rows.rest.add(competitor, Some(rest));
    rows.all.add(competitor, Some(each + rest));

    for _ in 0..ASKED {
        rows.status.add(competitor, Some(tree.time_status()?));
    }
    rows.stop.add(competitor, Some(tree.stop()?));
    Ok(())
}

/// Start and stop where no file is on a disk: s6 makes its files while it starts, and waits for the disk then.
fn in_memory(competitor: Competitor, programs: &Programs, extent: &Extent, rows: &mut Rows) -> Result<()> {
    let memory = Path::new(MEMORY);
    // supervisord makes no files, and takes a minute.
    if competitor == Competitor::Supervisor || !machine::is_in_memory(memory) {
        rows.start_in_memory.add(competitor, None);
        rows.stop_in_memory.add(competitor, None);
        return Ok(());
    }
    let mut tree = Tree::lay_out_in(memory, competitor, programs, extent.services)?;
    let began = tree.start()?;
    let running = tree.await_running(extent.services)?;
    let last = running.iter().map(|running| running.at).max().unwrap_or(began);
    rows.start_in_memory.add(competitor, Some(tree::milliseconds(began, last)));
    std::thread::sleep(SETTLE);
    rows.stop_in_memory.add(competitor, Some(tree.stop()?));
    Ok(())
}

/// Idling, then restarts.
fn few(competitor: Competitor, programs: &Programs, extent: &Extent, rows: &mut Rows) -> Result<()> {
    let mut tree = Tree::lay_out(competitor, programs, extent.few)?;
    tree.start()?;
    let running = Tree::by_name(&tree.await_running(extent.few)?);
    std::thread::sleep(SETTLE);

    let switches = || processes::overhead().iter().filter_map(processes::Process::switches).sum::<f64>();
    let before = switches();
    std::thread::sleep(extent.idle);
    rows.idle.add(competitor, Some((switches() - before) / extent.idle.as_secs_f64()));

    let mut killed = Vec::new();
    for (name, running) in running.iter().take(KILLED) {
        killed.push((name, tree::now()));
        let Some(pid) = Pid::new(running.pid) else { continue };
        process::signal_child(pid, Signal::KILL).map_err(|errno| format!("{name}: cannot be killed: {errno}"))?;
        std::thread::sleep(BETWEEN_KILLS);
    }
    let again = Tree::by_name(&tree.await_running(killed.len())?);
    for (name, at) in killed {
        let again = again.get(name).ok_or_else(|| format!("{name}: did not come back"))?;
        rows.restart.add(competitor, Some(tree::milliseconds(at, again.at)));
    }
    tree.stop().map(drop)
}

/// How fast lines come from a service through whoever reads it to standard output.
fn log(competitor: Competitor, programs: &Programs, extent: &Extent, rows: &mut Rows) -> Result<()> {
    let mut tree = Tree::lay_out(competitor, programs, 1)?;
    let logs = competitor.add_logger(&tree.service(0)).map_err(|error| format!("cannot make a logger: {error}"))?;
    if !logs {
        rows.log.add(competitor, None);
        return Ok(());
    }
    let mut output = tree.start_flood(extent.flood)?;
    let mut buffer = vec![0; 1 << 20];
    let (mut total, mut began) = (0, None);
    while total < extent.flood {
        let length = output.read(&mut buffer).map_err(|error| format!("cannot read the lines: {error}"))?;
        if length == 0 {
            return Err(format!("{}: its output ended after {total} bytes", competitor.name()));
        }
        began.get_or_insert_with(Instant::now);
        total += length;
    }
    let took = began.map_or(Duration::ZERO, |began: Instant| began.elapsed());
    rows.log.add(competitor, Some(total as f64 / 1e6 / took.as_secs_f64()));
    drop(output);
    tree.stop().map(drop)
}
