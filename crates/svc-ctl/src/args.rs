//! The command line, as one table: parsing, help, completion scripts and the man page are made from it.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use svc_core::Signal;
use svc_proto::api::{Scale, Until};

use crate::span;

/// Look at and steer the services that svc supervises
#[derive(Parser)]
#[command(
    name = "svc-ctl",
    version,
    max_term_width = 100,
    after_help = "NAME is a service, web/log the logger of web, and 'web*' (quoted) every service that matches.\n\
                  Exit codes: 0 done, 1 failed, 99 timed out, 100 wrong usage, 102 no such service, 111 system error."
)]
pub struct Cli {
    /// Print the answer of the API as JSON: one document, or a line each for logs and events
    #[arg(long, global = true)]
    pub json: bool,
    /// The control socket, or its directory; without it SVC_RUN_DIR and the usual places are tried
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub socket: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand)]
pub enum Command {
    /// List services and what is wrong with them (the default command)
    Status(AnyNames),
    /// Start services and wait until they are up, and ready if they say so
    Start(Change),
    /// Stop services and wait until nothing of them is left
    Stop {
        /// Stop what needs these services before, instead of refusing
        #[arg(long)]
        dependents: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Stop services and start them again
    Restart(Change),
    /// Send services their reload signal
    Reload(SomeNames),
    /// Start services, and do not start them again when they end
    Once(Change),
    /// Run timers now, or oneshots once more, and wait for the end
    Run(Change),
    /// Stop the processes of services where they are (SIGSTOP)
    Pause(SomeNames),
    /// Let paused services go on (SIGCONT)
    Continue(SomeNames),
    /// Send a signal to the main process of services
    Kill {
        /// TERM, SIGTERM, RTMIN+3 or 15
        #[arg(value_name = "SIGNAL", value_parser = signal, value_hint = ValueHint::Other)]
        signal: String,
        #[command(flatten)]
        names: SomeNames,
    },
    /// Wait until services have reached a state
    Wait {
        #[command(flatten)]
        until: UntilFlag,
        /// Return when one of the services is there, not all
        #[arg(long)]
        any: bool,
        #[command(flatten)]
        timeout: Timeout,
        #[command(flatten)]
        names: SomeNames,
    },
    /// Print what services wrote
    Logs {
        /// Go on printing what comes
        #[arg(short, long)]
        follow: bool,
        /// Print the last N lines only
        #[arg(short = 'n', long, value_name = "N", value_hint = ValueHint::Other)]
        lines: Option<u64>,
        #[command(flatten)]
        names: AnyNames,
    },
    /// Print changes of services as they happen
    Events(AnyNames),
    /// Say what services are doing, how they ended before, and what they complained about
    Why(SomeNames),
    /// Succeed if every service that is wanted up is up, and ready and healthy if it says so
    Health {
        /// Say nothing of services: the exit code says it
        #[arg(short, long)]
        quiet: bool,
        #[command(flatten)]
        names: AnyNames,
    },
    /// Print what depends on what
    Graph {
        /// Print a picture for graphviz
        #[arg(long)]
        dot: bool,
        /// Print a picture for mermaid
        #[arg(long, conflicts_with = "dot")]
        mermaid: bool,
        /// text, dot or mermaid
        #[arg(long, value_name = "FORMAT", value_parser = ["text", "dot", "mermaid"], conflicts_with_all = ["dot", "mermaid"])]
        format: Option<String>,
    },
    /// Print what the service.toml of services says with its drop-ins, and where each value comes from
    Show(SomeNames),
    /// Make the files that services have templates for, and reload those services whose files have changed
    Render {
        /// Print what would change, and leave everything as it is
        #[arg(long)]
        diff: bool,
        #[command(flatten)]
        names: AnyNames,
    },
    /// Say everything that is wrong with the services in directories, without svc
    Check {
        /// Check this container against Mozilla's Dockerflow instead
        #[arg(long, conflicts_with = "dirs")]
        dockerflow: bool,
        /// Also say what would run, as whom and where
        #[arg(short, long, conflicts_with = "dockerflow")]
        verbose: bool,
        /// Say which of the things that a definition may ask for this container can do, and what helps if not; with DIR those that
        /// its services ask for
        #[arg(long, conflicts_with_all = ["dockerflow", "verbose"])]
        here: bool,
        /// Directories of services; none: /etc/s6, and those of images for s6-overlay and my_init
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        dirs: Vec<PathBuf>,
    },
    /// Print the JSON Schema of service.toml, for editors
    Schema,
    /// Say what an edit on disk would do: start, stop, restart, reload or nothing, and why
    Plan,
    /// Do what plan says, and wait until what is started is up
    Apply {
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Say what services need, and who needs them
    Deps(SomeNames),
    /// Say what the last start of everything waited for, and how long each service took
    Analyze,
    /// Print the processes of services, with their memory and the time that they have used
    Tree(AnyNames),
    /// Change how many instances of a template there are, and wait until the new ones are up, or the others gone
    Scale {
        /// Also take away instances that others need, and stop those
        #[arg(long)]
        dependents: bool,
        #[command(flatten)]
        waiting: Waiting,
        /// The template worker@ with 5 instances; worker= for as many as its file says
        #[arg(value_name = "NAME=N", required = true, value_parser = scale, value_hint = ValueHint::Other)]
        scales: Vec<Scale>,
    },
    /// Look through the service directories again, and apply what has changed in a service.toml
    Rescan,
    /// Stop all services and end svc, and so the container
    Shutdown {
        /// The exit code of svc, 0 if nobody names one
        #[arg(long, value_name = "N", value_hint = ValueHint::Other)]
        code: Option<u8>,
        /// Kill at once instead of stopping in order
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Print the completion script of a shell: source it, or put it where the shell looks for it
    Completions {
        #[arg(value_name = "SHELL", value_parser = shell())]
        shell: Shell,
    },
    /// Print the names of services that begin with a text, for completion scripts
    #[command(hide = true)]
    CompleteNames {
        #[arg(default_value = "", allow_hyphen_values = true)]
        beginning: String,
    },
    /// Print the man page
    #[command(hide = true)]
    Man,
}

/// The table without the commands that only scripts call, for texts that people read. clap's generators show hidden ones.
pub fn visible() -> clap::Command {
    let whole = Cli::command();
    clap::Command::new("svc-ctl")
        .version(env!("CARGO_PKG_VERSION"))
        .about(whole.get_about().cloned().unwrap_or_default())
        .args(whole.get_arguments().cloned())
        .subcommands(whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned())
        .subcommand_value_name("COMMAND")
        .disable_help_subcommand(true)
}

impl Command {
    /// What a bare `svc-ctl` does.
    pub fn status_of_all() -> Command {
        Command::Status(AnyNames { names: Vec::new() })
    }
}

#[derive(Args)]
pub struct AnyNames {
    /// Services or globs; none: all
    #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub names: Vec<String>,
}

#[derive(Args)]
pub struct SomeNames {
    /// Services or globs
    #[arg(value_name = "NAME", required = true, value_parser = NonEmptyStringValueParser::new())]
    pub names: Vec<String>,
}

/// The arguments of a command that waits for its result.
#[derive(Args)]
pub struct Change {
    #[command(flatten)]
    pub waiting: Waiting,
    #[command(flatten)]
    pub names: SomeNames,
}

#[derive(Args)]
pub struct Waiting {
    /// Return at once, without the result
    #[arg(long, conflicts_with = "timeout")]
    pub no_wait: bool,
    #[command(flatten)]
    pub timeout: Timeout,
}

#[derive(Args)]
pub struct Timeout {
    /// Wait no longer than this (5, 1.5s, 500ms, 2m, 1h); without it, as long as it takes
    #[arg(long, value_name = "DUR", value_parser = span::parse, value_hint = ValueHint::Other)]
    pub timeout: Option<Duration>,
}

#[derive(Args)]
#[group(multiple = false)]
pub struct UntilFlag {
    /// Up: the run script was executed (the default)
    #[arg(long)]
    up: bool,
    /// Up, and ready if it says when it is
    #[arg(long)]
    ready: bool,
    /// Ready, and its health check says that it is well
    #[arg(long)]
    healthy: bool,
    /// The main process is gone
    #[arg(long)]
    down: bool,
    /// Gone, its finish script done, and nothing left of it
    #[arg(long)]
    finished: bool,
}

impl UntilFlag {
    pub fn until(&self) -> Until {
        match self {
            UntilFlag { ready: true, .. } => Until::Ready,
            UntilFlag { healthy: true, .. } => Until::Healthy,
            UntilFlag { down: true, .. } => Until::Down,
            UntilFlag { finished: true, .. } => Until::Finished,
            UntilFlag { .. } => Until::Up,
        }
    }
}

/// Checked here, so that a typing error is wrong usage whether or not the service exists.
fn signal(text: &str) -> Result<String, String> {
    match Signal::parse(text) {
        Some(_) => Ok(text.to_string()),
        None => Err("expected a signal such as TERM, SIGTERM, RTMIN+3 or 15".into()),
    }
}

/// NAME=N, or NAME= for what the definition says.
fn scale(text: &str) -> Result<Scale, String> {
    let expected = || "expected NAME=N, such as worker=5, or worker= for as many as its file says".to_string();
    let (template, count) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(expected)?;
    let instances = if count.is_empty() { None } else { Some(count.parse().map_err(|_| expected())?) };
    Ok(Scale { template: template.into(), instances, dependents: false })
}

/// The shells whose scripts complete the names of services. clap knows more, but for those it would be the options only.
fn shell() -> impl clap::builder::TypedValueParser<Value = Shell> {
    use clap::builder::TypedValueParser;
    clap::builder::PossibleValuesParser::new(["bash", "zsh", "fish"])
        .map(|name| name.parse::<Shell>().expect("each of the three is a shell of clap_complete"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wait_waits_for_up_unless_told() {
        let until = |arguments: &[&str]| match Cli::try_parse_from(arguments).map(|cli| cli.command) {
            Ok(Some(Command::Wait { until, .. })) => Some(until.until()),
            Ok(_) | Err(_) => None,
        };
        assert_eq!(until(&["svc-ctl", "wait", "web"]), Some(Until::Up));
        assert_eq!(until(&["svc-ctl", "wait", "--finished", "web"]), Some(Until::Finished));
        assert_eq!(until(&["svc-ctl", "wait", "--down", "--up", "web"]), None);
        assert_eq!(until(&["svc-ctl", "wait"]), None);
    }

    #[test]
    fn a_signal_is_checked_before_it_is_sent() {
        assert!(Cli::try_parse_from(["svc-ctl", "kill", "USR1", "web"]).is_ok());
        assert!(Cli::try_parse_from(["svc-ctl", "kill", "NOPE", "web"]).is_err());
        assert!(Cli::try_parse_from(["svc-ctl", "kill", "web"]).is_err());
    }
}
