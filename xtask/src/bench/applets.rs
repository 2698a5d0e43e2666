//! The start of a command: a chain of them, over and over, ours and s6's in turn.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::competitor::Competitor;
use super::report::{Bar, Row};
use super::{Programs, Result};

/// What scripts put in front of their daemons, in one chain that ends in the smallest program there is.
const CHAIN: [&str; 11] =
    ["s6-setuidgid", "0:0", "s6-softlimit", "-c0", "s6-setsid", "-qb", "s6-envdir", "-fn", "ENV", "s6-setlock", "LOCK"];
/// Commands in it.
const COMMANDS: f64 = 5.0;
/// At most so many times as long as s6's own take.
const MOST: f64 = 1.5;

/// One row; the chain runs `times` times each round.
pub(crate) fn run(runs: usize, times: usize, competitors: &[Competitor], programs: &Programs) -> Result<Vec<Row>> {
    let place = Place::new().map_err(|error| format!("cannot make a place for links: {error}"))?;
    let links = place.root.join("bin");
    let installed = Command::new(&programs.svc).arg("install").arg(&links).status();
    if !installed.as_ref().is_ok_and(std::process::ExitStatus::success) {
        return Err(format!("svc install: {installed:?}"));
    }
    let mut row = Row::new(format!("start of a command, in {times} chains of five"), "ms", Bar::OfS6(MOST));
    for round in 1..=runs {
        for &competitor in competitors {
            let dir = match competitor {
                Competitor::Ours => links.as_path(),
                Competitor::S6 => Path::new("/usr/bin"),
                Competitor::Runit | Competitor::Supervisor => continue,
            };
            eprintln!("commands, round {round} of {runs}: {}", competitor.name());
            row.add(competitor, Some(measure(dir, times, &place.root, &programs.stub)?));
        }
    }
    Ok(vec![row])
}

/// Milliseconds for one command of the chain.
fn measure(dir: &Path, times: usize, root: &Path, stub: &Path) -> Result<f64> {
    let words = CHAIN.map(|word| match word {
        "ENV" => root.join("env").display().to_string(),
        "LOCK" => root.join("lock").display().to_string(),
        word if word.starts_with("s6-") => dir.join(word).display().to_string(),
        word => word.to_owned(),
    });
    let begin = Instant::now();
    for _ in 0..times {
        let mut command = Command::new(&words[0]);
        let status = command.args(&words[1..]).arg(stub).arg("end").status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(format!("{}: {status} ({})", words.join(" "), status.into_raw())),
            Err(error) => return Err(format!("{}: {error}", words[0])),
        }
    }
    Ok(begin.elapsed().as_secs_f64() * 1000.0 / times as f64 / COMMANDS)
}

struct Place {
    root: PathBuf,
}

impl Place {
    fn new() -> std::io::Result<Place> {
        let root = std::env::temp_dir().join(format!("svc-bench-commands-{}", std::process::id()));
        fs::create_dir(&root)?;
        fs::create_dir(root.join("env"))?;
        fs::write(root.join("env/NAME"), "value\n")?;
        Ok(Place { root })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}
