//! The benchmark: every competitor in turn, several times, with the same services and the same clock.

mod applets;
mod competitor;
mod definitions;
mod logger;
mod machine;
mod processes;
mod report;
mod rounds;
mod tree;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use competitor::{ALL, Competitor};

/// Where the page is whose result `--write` replaces.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/benchmarks.md");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const TARGET: &str = "x86_64-unknown-linux-musl";

pub(crate) type Result<T> = std::result::Result<T, String>;

pub(crate) struct Options {
    runs: usize,
    services: usize,
    quick: bool,
    definitions: bool,
    only: Vec<Competitor>,
    /// Only the rows about services, for who works on those.
    services_only: bool,
    write: bool,
}

impl Options {
    /// `None`: only help was asked for.
    pub(crate) fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Option<Options>> {
        let (mut runs, mut services, mut quick, mut write) = (None, None, false, false);
        let (mut definitions, mut services_only) = (false, false);
        let mut only = ALL.to_vec();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word {
                "--runs" => runs = Some(number(word, value()?)?),
                "--services" => services = Some(number(word, value()?)?),
                "--only" => only = value()?.split(',').map(Competitor::parse).collect::<Result<_>>()?,
                "--quick" => quick = true,
                "--definitions" => definitions = true,
                "--services-only" => services_only = true,
                "--write" => write = true,
                "-h" | "--help" => return Ok(None),
                other => return Err(format!("{other}: no such option")),
            }
        }
        Ok(Some(Options {
            runs: runs.unwrap_or(if quick { 2 } else { 5 }),
            services: services.unwrap_or(if quick { 50 } else { 1000 }),
            quick,
            definitions,
            only,
            services_only,
            write,
        }))
    }
}

fn number(option: &str, text: &str) -> Result<usize> {
    let number = text.parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| format!("{option} {text}: must be a number above zero"))
}

/// The programs under measurement.
pub(crate) struct Programs {
    pub(crate) svc: PathBuf,
    pub(crate) stub: PathBuf,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    match measure(options) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<String> {
    // Whatever a competitor leaves behind becomes our child, so that "everything is gone" can be waited for.
    svc_sys::process::become_subreaper().map_err(|errno| format!("cannot become a subreaper: {errno}"))?;
    svc_sys::fd::raise_limit_of_descriptors().map_err(|errno| format!("cannot raise the limit of descriptors: {errno}"))?;
    let programs = build()?;
    let mut competitors = options.only.clone();
    competitors.retain(|competitor| competitor.is_installed());
    let before = machine::load();
    let mut rows = Vec::new();
    if options.definitions {
        competitors = vec![Competitor::Ours];
    } else {
        let mut steady = competitors.clone();
        rows = rounds::run(options, &mut steady, &programs)?;
    }
    if !options.definitions && !options.services_only {
        let lines = if options.quick { 50_000_000 } else { 1_000_000_000 };
        rows.extend(logger::run(options.runs, lines, &competitors, &programs)?);
        let chains = if options.quick { 100 } else { 1000 };
        rows.extend(applets::run(options.runs, chains, &competitors, &programs)?);
    }
    if !options.services_only {
        rows.extend(definitions::run(options.runs, options.quick, &programs)?);
    }
    let machine = machine::describe(&competitors, &programs, options, &before);
    let text = report::render(&machine, &rows, &competitors);
    if options.write {
        report::write(PAGE, &text)?;
    }
    Ok(text)
}

/// Builds svc, unless SVC_BINARY names one, and the stub.
fn build() -> Result<Programs> {
    let output = PathBuf::from(ROOT).join("target").join(TARGET).join("release");
    cargo(&["build", "--release", "--package", "xtask", "--bin", "stub", "--target", TARGET])?;
    let svc = match std::env::var_os("SVC_BINARY") {
        Some(path) => PathBuf::from(path),
        None => {
            cargo(&["static"])?;
            output.join("svc")
        }
    };
    let absolute = |path: PathBuf| path.canonicalize().map_err(|error| format!("{}: {error}", path.display()));
    Ok(Programs { svc: absolute(svc)?, stub: absolute(output.join("stub"))? })
}

fn cargo(words: &[&str]) -> Result<()> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(program).current_dir(ROOT).args(words).arg("--quiet").status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("cargo {}: {status}", words.join(" "))),
        Err(error) => Err(format!("cannot run cargo: {error}")),
    }
}
