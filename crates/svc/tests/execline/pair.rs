//! One script, run by Debian's execline and by ours, each in a directory of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use svc_testkit::{needs, program, spawn};

/// Where Debian has the commands.
const THEIRS: &str = "/usr/lib/execline/bin";

/// What every script gets.
const ARGUMENTS: [&str; 3] = ["a b", "", "c"];
const INPUT: &[u8] = b"one\ntwo words\n\nlast";

/// Whether there is something to compare with.
pub fn debian() -> bool {
    needs("Debian's execline (apt-get install execline)", Path::new(THEIRS).join("execlineb").exists())
}

/// A new directory for a test, below one for all tests of this run.
pub fn scratch() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let dir =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("execline-{}", std::process::id())).join(number.to_string());
    fs::create_dir_all(&dir).expect("room in target/");
    dir
}

/// A directory with links to the svc under test.
pub fn ours() -> &'static Path {
    static LINKS: OnceLock<PathBuf> = OnceLock::new();
    LINKS.get_or_init(|| {
        let dir = scratch().join("bin");
        fs::create_dir(&dir).expect("ours");
        // `install` takes the program that is there, so that it is not copied once more.
        std::os::unix::fs::symlink(program(), dir.join("svc")).expect("a link");
        let status = Command::new(program()).arg("install").arg(&dir).status().expect("svc runs");
        assert!(status.success(), "svc install {}", dir.display());
        dir
    })
}

/// What came of a script.
#[derive(Debug, PartialEq, Eq)]
pub struct Result {
    pub code: Option<i32>,
    pub out: String,
    /// What it left in its directory; of environments that it wrote there with `env -0`, the variables in order.
    pub files: BTreeMap<String, Vec<String>>,
}

/// A result, and what was said besides.
pub struct Run {
    pub result: Result,
    pub err: String,
}

/// The options in a script's first line: `#!-S1 -W`. None: -P.
fn options(script: &str) -> Vec<&str> {
    match script.strip_prefix("#!") {
        Some(rest) => rest.lines().next().unwrap_or_default().split_whitespace().collect(),
        None => vec!["-P"],
    }
}

pub fn run(bin: &Path, script: &str) -> Run {
    let dir = scratch();
    let file = dir.join("script");
    fs::write(&file, script).expect("ours");
    // A script that never ends is a failure, not a test that never ends.
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "120"]).arg(bin.join("execlineb")).args(options(script)).arg("script").args(ARGUMENTS);
    command.current_dir(&dir).env_clear().env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("V", "v w ");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command).expect("timeout runs");
    // Less than a pipe holds; who does not read it is not in our way.
    let _ = child.stdin.take().expect("piped").write_all(INPUT);
    let output = child.wait_with_output().expect("our child");
    let plain = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).replace(&bin.display().to_string(), "BIN");
        text.replace(&dir.display().to_string(), "DIR")
    };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&dir).expect("ours").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_fifo = !entry.file_type().is_ok_and(|kind| kind.is_file());
        if name != "script" && !is_fifo {
            let text = plain(&fs::read(entry.path()).expect("ours"));
            files.insert(name, variables(&text));
        }
    }
    let result = Result { code: output.status.code(), out: plain(&output.stdout), files };
    let _ = fs::remove_dir_all(&dir);
    Run { result, err: plain(&output.stderr) }
}

/// The variables of an environment in order, without those that name processes and are never the same.
fn variables(text: &str) -> Vec<String> {
    let kept = text.split('\0').filter(|line| !line.starts_with("!=") && !line.starts_with("?="));
    let mut lines: Vec<String> = kept.map(str::to_owned).collect();
    lines.sort();
    lines
}

/// What is different between the two, in words.
pub fn difference(script: &str) -> Option<String> {
    let (theirs, mine) = (run(Path::new(THEIRS), script), run(ours(), script));
    // Debian's multisubstitute takes a directive that is called wrongly (an empty block, say) for an error of its own, 111; it is
    // one of usage, 100.
    let confused = theirs.err.contains("multisubstitute: fatal: unknown error with directive");
    // What POSIX leaves undefined (a `*` with nothing before it) glibc refuses and musl takes as it stands.
    let undefined = theirs.err.contains("unable to regcomp") && !mine.err.contains("regcomp");
    (theirs.result != mine.result && !confused && !undefined).then(|| {
        format!(
            "--- script\n{script}\n--- Debian's\n{:#?}\n{}\n--- ours\n{:#?}\n{}",
            theirs.result, theirs.err, mine.result, mine.err
        )
    })
}

/// The code in a table of one that a signal kills.
pub const KILLED: i32 = -1;

/// Runs scripts that are to end with these codes, under both.
#[track_caller]
pub fn compare(cases: &[(&str, i32)]) {
    let theirs = debian();
    let mut wrong = Vec::new();
    for (script, code) in cases {
        let mine = run(ours(), script);
        if mine.result.code.unwrap_or(KILLED) != *code {
            wrong.push(format!("--- script\n{script}\n--- must end with {code}\n{:#?}\n{}", mine.result, mine.err));
        }
        if theirs {
            wrong.extend(difference(script));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}
