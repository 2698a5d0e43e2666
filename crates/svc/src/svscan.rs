//! `s6-svscan` and `s6-svscanboot`: svc-scan under the names and with the options that scripts use.

use std::ffi::OsString;
use std::path::PathBuf;

use svc_compat::command::{Call, Command, Failure, Opt, Outcome, number};
use svc_core::Millis;
use svc_sys::fd;

use crate::scan;

const NOTES: &str = "\
It is svc-scan with one scan directory: services start when their directory comes, and stop when it goes, without a command. \
Their output goes through svc-log to the standard output and error of this program.

Where another svc has the run directory, this one makes its own below that: one scanner may run inside a service of another.";

const MAX: Opt = Opt::with('C', "SERVICES", "how many services there may be; svc has room for 16384").long("services-max");
const OLD_MAX: Opt = Opt::with('c', "SERVICES", "the same, without loggers, as s6 before 2.12 has it");
const NAME_MAX: Opt = Opt::with('L', "BYTES", "how long names may be; svc takes up to 251 bytes").long("name-max");
const RESCAN: Opt =
    Opt::with('t', "MS", "look at the directory again so often, where nothing tells of changes").long("timeout");
const NOTIFY: Opt =
    Opt::with('d', "FD", "write a newline there once s6-svscanctl is heard (3 or above)").long("notification-fd");
const CONSOLE: Opt =
    Opt::with('X', "FD", "taken and not needed: what svc says goes to standard error").long("console-holder");

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        name: "s6-svscan",
        about: "run a service for each directory in a scan directory",
        operands: "[DIR]",
        options: &[MAX, OLD_MAX, NAME_MAX, RESCAN, NOTIFY, CONSOLE],
        notes: NOTES,
        codes: CODES,
        run: svscan,
    },
    Command {
        name: "s6-svscanboot",
        about: "the same, where there is no process 1 that catches what services write",
        operands: "[DIR]",
        options: &[
            MAX,
            NAME_MAX,
            RESCAN,
            NOTIFY,
            CONSOLE,
            Opt::with('c', "FILE", "taken and not needed: what services write goes to standard output").long("console"),
            Opt::with('D', "DIR", "where s6 keeps the log that catches all; svc-log keeps it in memory")
                .long("catch-all-dir"),
            Opt::with('m', "MODE", "the mode of that directory").long("mode"),
            Opt::with('l', "USER", "who writes into it").long("user"),
            Opt::with('o', "DIRECTIVES", "how s6-log writes it").long("log-directives"),
        ],
        notes: NOTES,
        codes: CODES,
        run: svscan,
    },
];

const CODES: &[(u8, &str)] = &[(100, "called wrongly, or a scanner runs on the directory already")];

fn svscan(call: &Call) -> Outcome {
    if let [_, more, ..] = &*call.operands {
        return Err(Failure::usage(format!("{}: one scan directory is all it takes", more.display())));
    }
    for letter in ['C', 'L', 'X'].into_iter().chain((call.command.name == "s6-svscan").then_some('c')) {
        call.number::<u32>(letter)?;
    }
    for (letter, why) in without_effect(call.command.name) {
        if call.has(*letter) {
            call.warn(format!("-{letter} has no effect here: {why}"));
        }
    }
    let dir = PathBuf::from(call.operands.first().cloned().unwrap_or_else(|| ".".into()));
    let dir = std::path::absolute(&dir).map_err(|error| Failure::system(format!("{}: {error}", dir.display())))?;
    if !dir.is_dir() {
        return Err(Failure::system(format!("{}: no such directory: make it first", dir.display())));
    }
    let rescan = call.number::<u64>('t')?.filter(|&span| span > 0).map(Millis);
    let notify = match call.value('d') {
        None => None,
        Some(text) => Some(number::<i32>(text, "the value of -d")?),
    };
    if let Some(number) = notify.filter(|&number| number < 3 || !fd::is_open(number)) {
        return Err(Failure::usage(format!("-d {number}: must be an open descriptor, 3 or above")));
    }
    use_free_run_dir(&dir);
    scan::start_at(dir, rescan, notify).map_err(Failure::usage)
}

/// Options of s6's that have nothing to do here, and why: said at the start, so that nobody looks for what does not come.
fn without_effect(command: &str) -> &'static [(char, &'static str)] {
    const KEPT: &str = "what services write goes to standard output, and its end is kept in memory (svc-ctl logs)";
    const SCAN: &[(char, &str)] = &[('X', "what svc says goes to standard error")];
    const BOOT: &[(char, &str)] = &[('X', KEPT), ('c', KEPT), ('D', KEPT), ('m', KEPT), ('l', KEPT), ('o', KEPT)];
    if command == "s6-svscanboot" { BOOT } else { SCAN }
}

/// A scanner that was started inside another svc has a run directory of its own.
fn use_free_run_dir(dir: &std::path::Path) {
    if let Some(own) = svc_init::run_dir_beside(dir) {
        let mut setting = OsString::from(concat!("SVC_RUN_DIR", "="));
        setting.push(own);
        svc_sys::environment::change(setting);
    }
}
