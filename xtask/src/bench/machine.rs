//! Where and with what was measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::competitor::{ALL, Competitor};
use super::{Options, Programs};

/// Whether this is where a tmpfs is mounted that programs may be executed from.
pub(crate) fn is_in_memory(folder: &Path) -> bool {
    let mounts = read("/proc/mounts");
    // The last one that was mounted there is the one that is seen.
    let mut fields = mounts.lines().rev().map(|line| line.split(' ').collect::<Vec<&str>>());
    let seen = fields.find(|fields| fields.get(1).is_some_and(|place| Path::new(place) == folder));
    seen.is_some_and(|fields| fields[2] == "tmpfs" && !fields.get(3).is_some_and(|flags| flags.contains("noexec")))
}

/// What the result begins with.
pub(crate) fn describe(competitors: &[Competitor], programs: &Programs, options: &Options, before: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = first_number(&read("/proc/meminfo")) / 1024 / 1024;
    let cpu = read("/proc/cpuinfo");
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let mut versions = vec![output(&programs.svc.display().to_string(), &["--version"])];
    for package in competitors.iter().filter_map(|competitor| competitor.packages().first()) {
        versions.push(format!("{package} {}", output("dpkg-query", &["-W", "-f", "${Version}", package])));
    }
    let quick = if options.quick { " --quick" } else { "" };
    let only = if options.only.len() < ALL.len() {
        let names: Vec<&str> = options.only.iter().map(|competitor| competitor.name()).collect();
        format!(" --only {}", names.join(","))
    } else {
        String::new()
    };
    let is_busy = before.parse().is_ok_and(|load: f64| load > cores as f64 / 2.0);
    let busy = if is_busy { " (**others were at work: compare columns, not with other days**)" } else { "" };
    format!(
        "- Date: {}\n- Machine: {cores} cores ({}), {memory} GiB, Linux {}\n- Load average: {before} before, {} after{busy}\n\
         - Versions: {}\n- Command: `cargo xtask bench{quick} --runs {} --services {}{only}`\n",
        output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        cpu.trim_start_matches(['\t', ' ', ':']),
        read("/proc/sys/kernel/osrelease").trim(),
        load(),
        versions.join("; "),
        options.runs,
        options.services,
    )
}

/// How busy the machine was of late.
pub(crate) fn load() -> String {
    read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned()
}

/// Programs and libraries of a competitor, in KiB.
pub(crate) fn size(competitor: Competitor, programs: &Programs) -> Option<f64> {
    let files = match competitor {
        Competitor::Ours => programs.svc.display().to_string(),
        Competitor::S6 | Competitor::Runit | Competitor::Supervisor => {
            competitor.packages().iter().map(|package| output("dpkg-query", &["-L", package]) + "\n").collect()
        }
    };
    let is_program = |path: &&str| ["/bin/", "/sbin/", "/lib/", "svc"].iter().any(|part| path.contains(part));
    let sizes = files.lines().filter(is_program).filter_map(|path| fs::symlink_metadata(path).ok());
    let bytes: u64 = sizes.filter(fs::Metadata::is_file).map(|data| data.len()).sum();
    (bytes > 0).then_some(bytes as f64 / 1024.0)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn first_number(text: &str) -> u64 {
    text.split_ascii_whitespace().find_map(|word| word.parse().ok()).unwrap_or(0)
}

fn output(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}
