//! What a tree is started with and what must come of it: the file `expect`.

use std::fs;
use std::path::{Path, PathBuf};

/// One line is one thing; an empty line and what begins with # say nothing.
#[derive(Default)]
pub struct Story {
    name: String,
    pub environment: Vec<String>,
    /// What is process 1; /init if nothing is said.
    pub entry: Vec<String>,
    pub command: Vec<String>,
    /// Options of setpriv, for another user.
    pub user: Vec<String>,
    /// A signal, and what must have been traced before it is sent.
    pub signals: Vec<(String, String)>,
    code: i32,
    /// In this order in the trace, others in between.
    trace: Vec<String>,
    /// In the output, anywhere.
    output: Vec<String>,
    /// In neither.
    never: Vec<String>,
}

pub fn trees() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/trees").canonicalize().expect("tests/trees")
}

impl Story {
    #[track_caller]
    pub fn read(folder: &Path) -> Story {
        let path = folder.join("expect");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut story = Story { name: folder.display().to_string(), entry: vec!["/init".into()], ..Story::default() };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let words = || rest.split_whitespace().map(str::to_owned);
            match word {
                "env" => story.environment.push(rest.to_owned()),
                "entry" => story.entry = words().collect(),
                "cmd" => story.command = words().collect(),
                "user" => story.user = words().collect(),
                "signal" => {
                    let (signal, text) = rest.split_once(" when ").expect("signal NAME when TEXT");
                    story.signals.push((signal.to_owned(), text.to_owned()));
                }
                "code" => story.code = rest.parse().expect("a code"),
                "trace" => story.trace.push(rest.to_owned()),
                "log" => story.output.push(rest.to_owned()),
                "never" => story.never.push(rest.to_owned()),
                other => panic!("{}: {other}: no such word", path.display()),
            }
        }
        story
    }

    #[track_caller]
    pub fn compare(&self, code: i32, trace: &str, output: &str) {
        let all = format!("{}: exit {code}\n--- trace:\n{trace}--- output:\n{output}---", self.name);
        let mut lines = trace.lines();
        for wanted in &self.trace {
            assert!(lines.any(|line| line.contains(wanted)), "'{wanted}' is not in the trace, or not in its place\n{all}");
        }
        for wanted in &self.output {
            assert!(output.contains(wanted), "'{wanted}' is not in the output\n{all}");
        }
        for unwanted in &self.never {
            assert!(!output.contains(unwanted) && !trace.contains(unwanted), "'{unwanted}' is there\n{all}");
        }
        assert_eq!(code, self.code, "{all}");
    }
}
