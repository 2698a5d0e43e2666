//! The classic form: a directory with `run`, `finish`, `down` and the small files of `svc_core::files`. Looks and reads; what
//! the answers mean for the service is `reading`'s.

use std::path::Path;

use svc_core::files::{FILES, File, Invalid, Kind};
use svc_core::policy::{Ends, Essential};
use svc_core::restart::{ONE, When};
use svc_core::{Millis, Settings};

use crate::look::{self, Folder, Look, Trouble};
use crate::problem::{Problem, quoted, shown, source};
use crate::program::{Fault, Inspection, inspect};

/// Whether there is a `run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    Absent,
    Present,
}

pub(crate) fn check_run(dir: &Folder, problems: &mut Vec<Problem>) -> Run {
    if !dir.may_have("run") {
        return Run::Absent;
    }
    let path = dir.join("run");
    match inspect(&path) {
        Inspection::Absent => Run::Absent,
        Inspection::Present(faults) => {
            let problem = |fault: Fault| Problem {
                path: source(path.clone()),
                place: None,
                fatal: fault.certain,
                message: fault.message,
            };
            problems.extend(faults.into_iter().map(problem));
            Run::Present
        }
    }
}

/// A service works without its `finish`, so nothing about it is fatal.
pub(crate) fn check_finish(dir: &Folder, problems: &mut Vec<Problem>) {
    if !dir.may_have("finish") {
        return;
    }
    let path = dir.join("finish");
    if let Inspection::Present(faults) = inspect(&path) {
        let without =
            |fault: Fault| Problem::warning(&path, format!("{} (until then the service runs without it)", fault.message));
        problems.extend(faults.into_iter().map(without));
    }
}

/// Whether a file is there whose being there is all it says; `before` where that cannot be found out.
pub(crate) fn flag(dir: &Folder, name: &str, before: bool, problems: &mut Vec<Problem>) -> bool {
    match dir.look(name) {
        Look::Absent => false,
        Look::Here(_) => true,
        Look::Trouble(trouble) => {
            let taken = if before { "there" } else { "absent" };
            problems.push(Problem::warning(dir.join(name), format!("{} (taken as {taken})", trouble.message())));
            before
        }
    }
}

/// Reads the file that makes a service essential: empty, or with the code that the container is to end with and `failure` where
/// only failures count, in any order.
pub(crate) fn essential(dir: &Folder, before: Option<Essential>, problems: &mut Vec<Problem>) -> Option<Essential> {
    const MOST: usize = 64;
    let path = dir.join("essential");
    let trouble = match dir.look("essential") {
        Look::Absent => return None,
        // Whatever it is, being there says it.
        Look::Here(metadata) if !metadata.is_file() => return Some(Essential { code: None, ends: Ends::All }),
        Look::Here(_) => match look::head(&path, MOST) {
            Ok((_, content)) => match read_essential(&content) {
                Ok(essential) => return Some(essential),
                Err(word) => format!(
                    "{} is neither an exit code from 0 to 255 nor failure: the whole file counts as empty; write one of them, \
                     both or nothing",
                    quoted(&word)
                ),
            },
            Err(trouble) => trouble.message(),
        },
        Look::Trouble(trouble) => {
            let taken = if before.is_some() { "there" } else { "absent" };
            problems.push(Problem::warning(path, format!("{} (taken as {taken})", trouble.message())));
            return before;
        }
    };
    problems.push(Problem::warning(path, trouble));
    Some(Essential { code: None, ends: Ends::All })
}

fn read_essential(content: &[u8]) -> Result<Essential, Vec<u8>> {
    let mut essential = Essential { code: None, ends: Ends::All };
    for word in content.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        match std::str::from_utf8(word) {
            Ok("failure") => essential.ends = Ends::Failures,
            Ok(text) => essential.code = Some(text.parse().map_err(|_| word.to_vec())?),
            Err(_) => return Err(word.to_vec()),
        }
    }
    Ok(essential)
}

/// Reads the small files. A broken one leaves its setting as it was: as `previous` has it, or the default.
pub(crate) fn settings(dir: &Folder, previous: Option<&Settings>, problems: &mut Vec<Problem>) -> Settings {
    let mut settings = previous.cloned().unwrap_or_default();
    for file in &FILES {
        let outcome = match content(file, dir) {
            Ok(content) => file
                .apply(content.as_deref(), &mut settings)
                .map_err(|invalid| refusal(file, invalid, content.as_deref().unwrap_or_default())),
            Err(refusal) => Err(refusal),
        };
        if let Err(Refusal { what, cure }) = outcome {
            let verb = if previous.is_some() { "keeping" } else { "using" };
            let value = value(file, &settings);
            problems.push(Problem::warning(dir.join(file.name), format!("{what}: {verb} {value}; {cure}")));
        }
    }
    settings
}

/// Why a small file does not count.
struct Refusal {
    what: String,
    cure: String,
}

/// The first bytes of a small file; `None` where there is none.
fn content(file: &File, dir: &Folder) -> Result<Option<Vec<u8>>, Refusal> {
    /// Only the first line counts.
    const MOST: usize = 4096;
    let refusal = |trouble: Trouble| Refusal { what: trouble.what, cure: trouble.cure };
    let metadata = match dir.look(file.name) {
        Look::Absent => return Ok(None),
        Look::Trouble(trouble) => return Err(refusal(trouble)),
        Look::Here(metadata) => metadata,
    };
    if file.kind == Kind::Flag || file.kind == Kind::FlagWithPath && !metadata.is_file() {
        return Ok(Some(Vec::new()));
    }
    if !metadata.is_file() {
        let what = format!("is {}, and must be a file with {} in it", look::kind(&metadata), contents(file.kind));
        return Err(Refusal { what, cure: format!("move it away, and {}", cure(file.kind)) });
    }
    match look::head(&dir.join(file.name), MOST) {
        Ok((_, bytes)) => Ok(Some(bytes)),
        Err(trouble) => Err(refusal(trouble)),
    }
}

fn refusal(file: &File, invalid: Invalid, content: &[u8]) -> Refusal {
    let line = content.split(|&byte| byte == b'\n').next().unwrap_or(content).trim_ascii();
    let what = match line {
        [] => format!("{invalid}, and is empty"),
        _ => match invalid {
            Invalid::Number | Invalid::Signal | Invalid::Path | Invalid::Word(_) | Invalid::Count { .. } => {
                format!("{invalid}, and is {}", quoted(line))
            }
            Invalid::TooLarge { .. } => format!("{invalid}, it is {}", quoted(line)),
        },
    };
    Refusal { what, cure: cure(file.kind) }
}

/// What belongs into a file of this kind.
fn contents(kind: Kind) -> &'static str {
    match kind {
        Kind::Number { .. } => "a number",
        Kind::Milliseconds => "milliseconds",
        Kind::Signal => "the name of a signal",
        Kind::Flag => "anything or nothing",
        Kind::FlagWithPath => "nothing or a path",
        Kind::Word(_) => "one word",
        Kind::Count { .. } => "one number, or two",
    }
}

fn cure(kind: Kind) -> String {
    match kind {
        Kind::Number { max: u32::MAX } => "write a plain number, such as 100".into(),
        Kind::Number { max } => format!("write a plain number up to {max}, such as 3"),
        Kind::Milliseconds => "write milliseconds, such as 5000".into(),
        Kind::Signal => "write one that kill -l knows, such as TERM".into(),
        Kind::Flag => "an empty file will do".into(),
        Kind::FlagWithPath => "an empty file will do, or write a shorter path".into(),
        Kind::Word(known) => format!("write one word, such as {}", known.last().unwrap_or(&"")),
        Kind::Count { .. } => "write a number, such as 5, or 5 60000".into(),
    }
}

/// The value that a file's setting has, in words. (A getter beside the setter in `svc_core::files` would make the names here
/// unnecessary; until then a test holds this list and the table together.)
fn value(file: &File, settings: &Settings) -> String {
    let descriptor = |fd: Option<u32>| fd.map_or("none".into(), |fd| fd.to_string());
    let span = |span: Millis| if span == Millis::ZERO { "0 (never)".into() } else { span.0.to_string() };
    let restart = settings.restart().cloned().unwrap_or_default();
    let flag = |set: bool| if set { "it as set" } else { "it as not set" }.to_owned();
    match file.name {
        "notification-fd" => descriptor(settings.notification_fd),
        "lock-fd" => descriptor(settings.lock_fd),
        "timeout-finish" => span(settings.timeout_finish),
        "timeout-kill" => span(settings.timeout_kill),
        "flag-timeout-killpg" => flag(settings.kill_group),
        "max-death-tally" => settings.max_death_tally.to_string(),
        "down-signal" => settings.down_signal.to_string(),
        "reload-signal" => settings.reload_signal.to_string(),
        "flag-newpidns" => flag(settings.new_pid_namespace),
        "keep-descendants" => flag(settings.keep_descendants),
        "forking" => flag(settings.forking.is_some()),
        "restart" => match restart.when {
            When::Unsaid | When::Always => "always".into(),
            When::OnFailure => "on-failure".into(),
            When::Never => "never".into(),
        },
        "restart-delay" => restart.delay.0.to_string(),
        "restart-max-delay" if restart.factor == ONE => "no growth".into(),
        "restart-max-delay" => restart.max_delay.0.to_string(),
        "restart-limit" if restart.limit == 0 => "no limit".into(),
        "restart-limit" => format!("{} {}", restart.limit, restart.window.0),
        _ => UNLISTED.into(),
    }
}

const UNLISTED: &str = "the value it had";

/// Settings that exclude each other.
pub(crate) fn check_descriptors(dir: &Path, settings: &Settings, problems: &mut Vec<Problem>) {
    if let (Some(notification), Some(lock)) = (settings.notification_fd, settings.lock_fd)
        && notification == lock
    {
        let other = shown(&dir.join("notification-fd"));
        let message = format!("asks for descriptor {lock}, and so does {other}: write another number into one of them");
        problems.push(Problem::fatal(dir.join("lock-fd"), message));
    }
    let others = [("keep-descendants", settings.keep_descendants), ("flag-newpidns", settings.new_pid_namespace)];
    for (other, _) in others.into_iter().filter(|(_, set)| *set && settings.forking.is_some()) {
        let reason = if other == "flag-newpidns" {
            "nothing is left of a PID namespace when its run ends"
        } else {
            "what run leaves behind is the service"
        };
        let message = format!("excludes {}: {reason}: remove one of the two", shown(&dir.join(other)));
        problems.push(Problem::fatal(dir.join("forking"), message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_table_has_a_value_in_words() {
        for file in &FILES {
            assert_ne!(value(file, &Settings::default()), UNLISTED, "{}", file.name);
        }
    }
}
