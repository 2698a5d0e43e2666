//! svlogd of runit: what its options and the file `config` in each directory mean.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use svc_core::Millis;

use crate::command::{Call, Command, Failure, Opt, Outcome, number};

use super::archives::Most;
use super::engine::{self, Ended, Engine, OnHangup, Plan};
use super::input::Input;
use super::logdir::{Family, Logdir, Settings};
use super::pattern::Pattern;
use super::processor::Processor;
use super::script::{Action, Changes, Kind, Script, Selection, Step, Target};
use super::sinks::{Remote, Sinks};
use super::stamp::{Scale, Stamps, Style};

pub(super) const COMMAND: Command = Command {
    name: "svlogd",
    about: "write lines to rotated files (the program of runit)",
    operands: "DIR...",
    options: &[
        Opt::flag('t', "a stamp in front of each line; twice and three times: one that people can read"),
        Opt::flag('v', "say more"),
        Opt::with('r', "C", "write this character in place of those that cannot be printed"),
        Opt::with('R', "XYZ", "and in place of these (default _)"),
        Opt::with('l', "BYTES", "patterns see so much of a line (default 1000)"),
        Opt::with('b', "BYTES", "the size of the buffer, which finds itself"),
    ],
    notes: "\
DIR/config is read at the start and at SIGHUP, a line each: sBYTES and nFILES (0: no limit), NFILES (that many stay when the
disk is full), tSECONDS, !SHELL, pPREFIX, +PATTERN and -PATTERN for the files, ePATTERN and EPATTERN for standard error, and
uADDRESS[:PORT] or UADDRESS[:PORT] to send lines by UDP, also or only. A directory that is missing is made.

It is s6-log otherwise: what is killed loses no line, and no file is larger than its limit unless one line is.",
    codes: &[],
    run,
};

/// Longer lines become several.
const LONGEST: usize = 1 << 20;

fn run(call: &Call) -> Outcome {
    if call.operands.is_empty() {
        return Err(Failure::usage("the directories are missing"));
    }
    let unable = |what: &str, error: std::io::Error| Failure::system(format!("unable to {what}: {error}"));
    let mut signals = engine::take_signals().map_err(|error| unable("take signals", error))?;
    let mut input = Input::open().map_err(|error| unable("read standard input", error))?;
    loop {
        let (plan, sinks) = prepare(call)?;
        let engine = Engine::new(plan, sinks, input, signals).map_err(|error| unable("read standard input", error))?;
        let ended;
        (ended, input, signals) = engine.run();
        match ended {
            Ended::Finished => return Ok(0),
            Ended::Reload => {}
        }
    }
}

/// Reads what each directory says, and opens it. One that cannot be opened is left out, as long as there is another.
fn prepare(call: &Call) -> Result<(Plan, Sinks), Failure> {
    let looks_at = call.number::<usize>('l')?.unwrap_or(1000);
    let single = |text: &OsStr| match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(Failure::usage(format!("the value of -r must be one character, not '{}'", text.display()))),
    };
    let by = call.value('r').map(single).transpose()?;
    let others = call.value('R').map(|text| text.as_bytes().to_vec());
    let replace = (by.is_some() || others.is_some()).then(|| (by.unwrap_or(b'_'), others.unwrap_or_default()));
    let stamps = call.count('t');
    let (stamp, human) = (stamps == 1, stamps > 1);
    let style = Style::Universal(if stamps > 2 { b'T' } else { b'_' });

    let mut sinks = Sinks { dirs: Vec::new(), stdout: None, alerts: Vec::new(), statuses: Vec::new(), remotes: Vec::new() };
    let mut steps = Vec::new();
    let now = svc_sys::clock::now();
    for dir in &call.operands {
        let opened = Config::read(Path::new(dir), looks_at)
            .and_then(|config| Logdir::open(config.settings.clone(), now).map(|dir| (config, dir)));
        let (config, dir) = match opened {
            Ok(opened) => opened,
            Err(problem) => {
                call.warn(problem);
                continue;
            }
        };
        sinks.dirs.push(dir);
        let action = |target| Action { stamp, human, prefix: config.prefix.clone(), target };
        let mut actions = Vec::new();
        if !config.remote_only {
            actions.push(action(Target::Dir(sinks.dirs.len() - 1)));
        }
        if let Some(to) = config.remote {
            let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
            let socket =
                UdpSocket::bind(any).map_err(|error| Failure::system(format!("unable to make a socket: {error}")))?;
            sinks.remotes.push(Remote { socket, to });
            actions.push(action(Target::Remote { index: sinks.remotes.len() - 1, most: looks_at }));
        }
        let alert = action(Target::Alert { before: b"", most: None, cut_from: 0 });
        let rules = |first, rules: Vec<Kind>| {
            let kinds = std::iter::once(first).chain(rules);
            kinds.map(|kind| Selection { kind, looks_at, with_stamp: false }).collect::<Vec<Selection>>()
        };
        if !config.for_errors.is_empty() {
            steps.push(Step { selections: rules(Kind::None, config.for_errors), actions: vec![alert] });
        }
        steps.push(Step { selections: rules(Kind::Again, config.for_files), actions });
    }
    if sinks.dirs.is_empty() {
        return Err(Failure::system("none of the directories can be written to"));
    }
    let plan = Plan {
        program: COMMAND.name,
        quiet: false,
        script: Script { steps },
        changes: Changes { replace },
        stamps: Stamps::new(Scale::Daemontools, style),
        line_limit: LONGEST,
        nul_ends: false,
        blocking: true,
        protected: false,
        on_hangup: OnHangup::Reload,
        patience: Some(Millis::ZERO),
        notify: None,
    };
    Ok((plan, sinks))
}

/// What a directory says about itself.
struct Config {
    settings: Settings,
    prefix: Vec<u8>,
    for_files: Vec<Kind>,
    for_errors: Vec<Kind>,
    remote: Option<SocketAddr>,
    remote_only: bool,
}

impl Config {
    fn read(dir: &Path, looks_at: usize) -> Result<Config, String> {
        let settings = Settings {
            path: dir.into(),
            family: Family::Svlogd,
            size: 1_000_000,
            tolerance: 0,
            most: Most { files: 10, bytes: u64::MAX },
            least: None,
            period: None,
            retry: Millis(3000),
            processor: None,
            program: COMMAND.name,
            quiet: false,
        };
        let mut config = Config {
            settings,
            prefix: Vec::new(),
            for_files: Vec::new(),
            for_errors: Vec::new(),
            remote: None,
            remote_only: false,
        };
        let file = dir.join("config");
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(format!("unable to read {}: {error}", file.display())),
        };
        for line in text.split(|&byte| byte == b'\n') {
            config
                .line(line)
                .map_err(|problem| format!("{}: {}: {problem}", file.display(), String::from_utf8_lossy(line)))?;
        }
        config.settings.tolerance = (looks_at as u64).min(config.settings.size / 2);
        Ok(config)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let Some((first, rest)) = line.split_first() else { return Ok(()) };
        let number =
            || number::<u64>(OsStr::from_bytes(rest), "what follows the letter").map_err(|_| "a number must follow");
        let settings = &mut self.settings;
        let pattern = || Pattern::StarsAndPluses(rest.to_vec());
        match first {
            b'#' => {}
            b's' => settings.size = Some(number()?).filter(|size| *size > 0).unwrap_or(u64::MAX),
            b'n' => {
                let files = usize::try_from(number()?).map_err(|_| "too many")?;
                settings.most.files = if files == 0 { usize::MAX } else { files };
            }
            b'N' => settings.least = Some(usize::try_from(number()?).map_err(|_| "too many")?),
            b't' => settings.period = Some(number()?).filter(|seconds| *seconds > 0).map(Millis::from_secs),
            b'!' => settings.processor = (!rest.is_empty()).then(|| Processor::Shell(OsString::from_vec(rest.to_vec()))),
            b'p' => self.prefix = rest.to_vec(),
            b'+' => self.for_files.push(Kind::Select(pattern())),
            b'-' => self.for_files.push(Kind::Deselect(pattern())),
            b'e' => self.for_errors.push(Kind::Select(pattern())),
            b'E' => self.for_errors.push(Kind::Deselect(pattern())),
            b'u' | b'U' => {
                self.remote = Some(address(&String::from_utf8_lossy(rest))?);
                self.remote_only = *first == b'U';
            }
            _ => return Err("there is no such setting".into()),
        }
        Ok(())
    }
}

/// An address with or without a port; that of syslog without.
fn address(text: &str) -> Result<SocketAddr, String> {
    const SYSLOG: u16 = 514;
    let found = text.to_socket_addrs().or_else(|_| (text, SYSLOG).to_socket_addrs());
    found.ok().and_then(|mut found| found.next()).ok_or_else(|| "no address".into())
}
