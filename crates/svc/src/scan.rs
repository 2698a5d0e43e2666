//! The arguments of svc-scan, and how it becomes svc-init and its children.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use lexopt::prelude::*;
use svc_core::Millis;
use svc_proto::tail;
use svc_sys::exit;

const USAGE: &str = "\
Usage: svc-scan [OPTION...] [DIR...] [-- COMMAND [ARGUMENT...]]

Runs a service for each directory in each DIR (default /etc/s6), and COMMAND, if there is one, as the main program: when it
ends, everything is stopped, and its exit code is svc's.

Options:
      --title NAME   what ps shows for supervisors, with the service behind it (default svc-supervise; s6-supervise for
                     scripts that look for that)
      --exit-code-file FILE
                     svc's exit code is what FILE says in the end; COMMAND's own is written there when COMMAND ends by itself
      --start-failure WHAT
                     what a failure during the start means: continue (default), warn, or stop, which ends svc with 1
      --start-limit MS
                     a start that takes longer has failed; COMMAND is started then (default 0: for ever)
      --watch        what is edited in a service.toml counts at once, and not when somebody asks for it
  -h, --help         this text
  -V, --version      version, commit and target

Environment:
  SVC_RUN_DIR        where the control socket is made (default: the first of /run/svc, $XDG_RUNTIME_DIR/svc, /tmp/svc-UID
                     and /dev/shm/svc-UID-N/run/svc that can be written to)
  SVC_STOP_TIMEOUT   how long a stop may take in all, in seconds (default 8), or with a unit: 500ms, 8s, 2m
  SVC_APPLY          auto: the same as --watch
  SVC_LOG_TAIL       how much of each service's last output is kept, in bytes (default 32768), or with a unit: 64K, 1M
  SVC_PROFILES       profiles with commas between them, for condition.profile of a service.toml
  SVC_STATE_DIR      where it is kept when timers ran last (default: where the control socket is)

Signals: SIGTERM, SIGINT and SIGRTMIN+3 stop everything (a second one kills), SIGHUP looks at the directories again, SIGQUIT stops
without waiting for loggers. Exit codes: that of COMMAND or of `svc-ctl shutdown --code`, 0 after a signal; 100 usage, 111 system.
";

/// How long a stop may take where SVC_STOP_TIMEOUT says nothing: below the 10 s after which `docker stop` kills.
const STOP_TIMEOUT: Millis = Millis::from_secs(8);
const DEFAULT_DIR: &str = "/etc/s6";

/// What was typed.
#[derive(Default)]
struct Typed {
    dirs: Vec<PathBuf>,
    command: Vec<OsString>,
    title: Option<String>,
    /// For svc-init alone: start as svc-scan proper.
    worker: bool,
    run_dir: Option<PathBuf>,
    tail_bytes: Option<usize>,
    /// For svc-init alone: it re-executed itself, and this is its ledger.
    recover: Option<i32>,
    guards: Vec<i32>,
    rescan: Option<Millis>,
    notify: Option<i32>,
    exit_code_file: Option<PathBuf>,
    start: svc_scan::StartPolicy,
    /// For /init and my_init alone: their manners at the end.
    overlay: bool,
    rest: Option<Millis>,
    told: bool,
}

/// `svc-scan`: what a user starts.
pub fn main(arguments: Vec<OsString>) -> u8 {
    match parse(&arguments) {
        Ok(typed) if typed.told => exit::DONE,
        Ok(typed) if typed.worker => svc_scan::run(svc_scan::Config {
            scan_dirs: typed.dirs,
            command: typed.command,
            run_dir: typed.run_dir,
            ring_bytes: typed.tail_bytes.unwrap_or(tail::DEFAULT_BYTES),
            rescan: typed.rescan,
            notify: typed.notify,
            start: typed.start,
            version: crate::VERSION,
        }),
        Ok(typed) => match start(typed) {
            Ok(code) => code,
            Err(message) => refuse(&message),
        },
        Err(error) => refuse(&format!("{error} (see svc-scan --help)")),
    }
}

/// What `s6-svscan` starts: one scan directory, and supervisors with the name that scripts look for.
pub fn start_at(dir: PathBuf, rescan: Option<Millis>, notify: Option<i32>) -> Result<u8, String> {
    start(Typed { dirs: vec![dir], title: Some("s6-supervise".into()), rescan, notify, ..Typed::default() })
}

fn refuse(message: &str) -> u8 {
    eprintln!("svc-scan: {message}");
    exit::USAGE
}

fn parse(arguments: &[OsString]) -> Result<Typed, lexopt::Error> {
    let mut typed = Typed::default();
    let mut parser = lexopt::Parser::from_args(arguments.iter().skip(1).take_while(|word| *word != "--").cloned());
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => {
                print!("{USAGE}");
                typed.told = true;
                return Ok(typed);
            }
            Long("title") => typed.title = Some(parser.value()?.string()?),
            // svc-scan reads it, and svc-init keeps it for the next one.
            Long("watch") => svc_sys::environment::change("SVC_APPLY=auto".into()),
            Long("worker") => typed.worker = true,
            Long("run-dir") => typed.run_dir = Some(parser.value()?.into()),
            Long("tail-bytes") => typed.tail_bytes = Some(parser.value()?.parse()?),
            Long("rescan") => typed.rescan = Some(Millis(parser.value()?.parse()?)),
            Long("notify") => typed.notify = Some(parser.value()?.parse()?),
            Long("exit-code-file") => typed.exit_code_file = Some(parser.value()?.into()),
            Long("start-failure") => typed.start.failure = parser.value()?.parse_with(svc_scan::StartFailure::parse)?,
            Long("start-limit") => typed.start.limit = Millis(parser.value()?.parse()?),
            Long("overlay") => typed.overlay = true,
            Long("rest-limit") => typed.rest = Some(Millis(parser.value()?.parse()?)),
            Long("guard") => typed.guards.push(parser.value()?.parse()?),
            Long("recover") => typed.recover = Some(parser.value()?.parse()?),
            Value(dir) => typed.dirs.push(dir.into()),
            Short(_) | Long(_) => return Err(argument.unexpected()),
        }
    }
    if !typed.worker && (typed.run_dir.is_some() || typed.tail_bytes.is_some()) {
        return Err("--run-dir and --tail-bytes are for svc-scan itself: set SVC_RUN_DIR and SVC_LOG_TAIL".into());
    }
    typed.command = arguments.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    if typed.dirs.is_empty() {
        typed.dirs.push(DEFAULT_DIR.into());
    }
    Ok(typed)
}

fn start(typed: Typed) -> Result<u8, String> {
    let scan_dirs = typed.dirs.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>();
    let scan_dirs =
        scan_dirs.map_err(|error| format!("cannot find the current directory: {error}: name directories with /"))?;
    let stop_timeout = match setting("SVC_STOP_TIMEOUT")? {
        Some(text) => Millis(amount(&text, &SPANS).ok_or_else(|| {
            format!("SVC_STOP_TIMEOUT={text}: must be a number of seconds, or a time such as 500ms, 8s or 2m")
        })?),
        None => STOP_TIMEOUT,
    };
    let ring_bytes = match setting("SVC_LOG_TAIL")? {
        Some(text) => {
            let bytes = amount(&text, &SIZES)
                .ok_or_else(|| format!("SVC_LOG_TAIL={text}: must be a number of bytes, or a size such as 64K or 1M"))?;
            // Whole pages, for mapping.
            (bytes as usize).clamp(tail::LEAST_BYTES, 1 << 26).next_multiple_of(tail::PAGE)
        }
        None => tail::DEFAULT_BYTES,
    };
    if let Some(text) = setting("SVC_APPLY")?.filter(|text| text != "auto") {
        return Err(format!("SVC_APPLY={text}: must be auto, or not be set"));
    }
    let title = typed.title.clone().map_or("svc-supervise", |title| &*title.leak());
    let config = svc_init::Config {
        arguments: own_arguments(&scan_dirs, &typed, title),
        rescan: typed.rescan,
        notify: typed.notify,
        scan_dirs,
        scan_options: typed.start.words(),
        exit_code_file: typed.exit_code_file,
        command: typed.command,
        stop_timeout,
        rest: typed.rest,
        overlay: typed.overlay,
        ring_bytes,
        supervisor_title: title,
        recover: typed.recover,
        guards: typed.guards,
        supervise: svc_supervise::run,
        keep_log: svc_log::run,
    };
    Ok(svc_init::run(config))
}

/// What svc-init executes itself with: the same, with absolute paths.
fn own_arguments(scan_dirs: &[PathBuf], typed: &Typed, title: &str) -> Vec<CString> {
    let mut words: Vec<OsString> = vec!["--title".into(), title.into()];
    words.extend(typed.rescan.map(|rescan| format!("--rescan={}", rescan.0).into()));
    words.extend(typed.rest.map(|rest| format!("--rest-limit={}", rest.0).into()));
    words.extend(typed.overlay.then(|| "--overlay".into()));
    // In one word: the first that begins with / is the first directory.
    words.extend(typed.exit_code_file.iter().map(|file| {
        let mut word = OsString::from("--exit-code-file=");
        word.push(file);
        word
    }));
    words.extend(typed.start.words().into_iter().map(OsString::from));
    words.extend(scan_dirs.iter().map(|dir| dir.clone().into_os_string()));
    if !typed.command.is_empty() {
        words.push("--".into());
        words.extend_from_slice(&typed.command);
    }
    words.into_iter().filter_map(|word| CString::new(word.into_vec()).ok()).collect()
}

fn setting(name: &str) -> Result<Option<String>, String> {
    match std::env::var_os(name) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => value.into_string().map(Some).map_err(|value| format!("{name}={}: is not text", value.display())),
    }
}

/// Units and what one of them is; the first for a bare number.
const SPANS: [(&str, u64); 4] = [("", 1000), ("s", 1000), ("ms", 1), ("m", 60_000)];
const SIZES: [(&str, u64); 5] = [("", 1), ("K", 1 << 10), ("KiB", 1 << 10), ("M", 1 << 20), ("MiB", 1 << 20)];

/// A number with a unit, `1.5s` included.
fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let factor = units.iter().find(|(name, _)| *name == unit).map(|&(_, factor)| factor)?;
    (0.0..1e12).contains(&number).then_some((number * factor as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_units() {
        assert_eq!(amount("8", &SPANS), Some(8000));
        assert_eq!(amount("1.5s", &SPANS), Some(1500));
        assert_eq!(amount("500ms", &SPANS), Some(500));
        assert_eq!(amount("64K", &SIZES), Some(65536));
        for wrong in ["", "s", "-1", "1h", "1 s x", "ten"] {
            assert_eq!(amount(wrong, &SPANS), None, "{wrong}");
        }
    }

    #[test]
    fn what_stands_behind_two_dashes_is_not_ours() {
        let words = ["svc-scan", "a", "--", "sh", "-c", "--help"].map(OsString::from);
        let typed = parse(&words).expect("valid");
        assert_eq!(typed.dirs, [PathBuf::from("a")]);
        assert_eq!(typed.command, ["sh", "-c", "--help"]);
        assert!(parse(&["svc-scan", "--nope"].map(OsString::from)).is_err());
    }
}
