//! The user's side of svc: arguments, requests, rendering and exit codes. The multi-call binary calls [`main`] when its name
//! is `svc-ctl`.
//!
//! What a service is doing it knows only by what the API says (`svc_proto::api`): it signals no process and keeps no state of its
//! own, so that it works for any uid that can reach the socket. Definitions are read here too (`svc_def`), where somebody asks
//! what they say: `check`, `show`, `render`.
#![forbid(unsafe_code)]

mod args;
pub mod ask;
mod check;
mod check_overlay;
mod client;
mod commands;
mod completions;
mod dockerflow;
mod exit;
mod here;
mod manual;
mod names;
mod output;
mod places;
pub mod span;
mod table;
mod words;

use std::ffi::OsString;

use clap::Parser;

use args::{Cli, Command};
use client::Client;
use commands::Session;
use exit::{Code, Failure};
use output::Output;

pub use commands::verdict;
pub use places::run_directories;

/// Runs `svc-ctl` with its arguments, the name it was called by first, and returns its exit code. `is_ours`: whether svc has a
/// command of this name.
pub fn main(mut arguments: Vec<OsString>, is_ours: fn(&str) -> bool) -> u8 {
    // What help shows can be typed.
    if let Some(name) = arguments.first_mut().filter(|name| *name == "ctl") {
        *name = "svc ctl".into();
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error).number(),
    };
    match run(cli, is_ours) {
        Ok(code) => code.number(),
        // The reader has what it wanted (`svc-ctl status | head -1`), so that is a success.
        Err(Failure::ReaderGone) => Code::Done.number(),
        Err(Failure::Lost(cause)) => {
            output::complain(&format!("connection to svc lost ({cause}): if svc is still running, ask again"));
            Code::System.number()
        }
        Err(Failure::Told { code, message }) => {
            output::complain(&message);
            code.number()
        }
    }
}

/// Prints what clap has to say: help and version are successes, everything else is wrong usage.
fn refuse(error: &clap::Error) -> Code {
    // Nobody is left to tell when printing fails.
    let _ = error.print();
    if error.use_stderr() { Code::Usage } else { Code::Done }
}

fn run(cli: Cli, is_ours: fn(&str) -> bool) -> Result<Code, Failure> {
    let mut out = Output::new();
    let command = cli.command.unwrap_or_else(Command::status_of_all);
    match command {
        Command::Completions { shell } => completions::print(shell, &mut out),
        Command::Man => manual::print(&mut out),
        Command::Check { dockerflow: true, .. } => dockerflow::run(cli.json, &mut out),
        Command::Check { here: true, dirs, .. } => here::run(&dirs, cli.json, &mut out),
        Command::Check { dirs, verbose, dockerflow: false, here: false } => {
            check::run(&dirs, verbose, cli.json, is_ours, &mut out)
        }
        Command::Schema => {
            out.text(&svc_def::schema())?;
            out.flush()?;
            Ok(Code::Done)
        }
        command => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .build()
                .map_err(|error| Failure::system(format!("cannot set up an event loop: {error}")))?;
            runtime.block_on(async {
                let client = Client::new(cli.socket);
                let mut session = Session { client, out, json: cli.json };
                commands::run(command, &mut session).await
            })
        }
    }
}
