//! `cargo xtask`: tasks of the developers that are no tests.
#![forbid(unsafe_code)]

mod bench;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask bench [OPTION...]

Measures svc beside Debian's s6, runit and supervisor (those that are installed), and prints a table in Markdown.

Options:
      --runs N       how often each is measured, in turn (default 5)
      --services N   how many services (default 1000)
      --quick        a smoke run: 2 runs, 50 services, short measurements
      --definitions  only the rows of definitions: service.toml and s6-rc sources
      --only A,B     of ours, s6, runit and supervisor only these
      --services-only  only the rows about services, without those of log lines and commands
      --write        put the result into docs/benchmarks.md as well
  -h, --help         this text

Environment:
  SVC_BINARY         the svc to measure (default: what `cargo static` builds, which is built first)

Exit codes: 0 measured, whatever the numbers are; 1 the benchmark itself failed; 100 usage.
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut words = words.iter().map(String::as_str);
    match words.next() {
        Some("bench") => match bench::Options::parse(words) {
            Ok(Some(options)) => bench::run(&options),
            Ok(None) => help(),
            Err(message) => refuse(&message),
        },
        Some("-h" | "--help" | "help") => help(),
        Some(other) => refuse(&format!("{other}: no such task")),
        None => refuse("which task?"),
    }
}

fn help() -> ExitCode {
    print!("{USAGE}");
    ExitCode::SUCCESS
}

fn refuse(message: &str) -> ExitCode {
    eprintln!("xtask: {message}\n\n{USAGE}");
    ExitCode::from(100)
}
