//! What my_init is called with.

use std::ffi::OsString;

use svc_sys::{exit, process};

use super::FAILED;

pub(super) const USAGE: &str = "\
Usage: my_init [OPTION...] [--] [MAIN_COMMAND...]

Boots an image that was made for phusion's baseimage-docker: startup files, the services of /etc/service, and MAIN_COMMAND, whose
exit code is the container's.

Options:
      --quiet                 say only what is wrong
      --skip-startup-files    do not run /etc/my_init.d/* and /etc/rc.local
      --skip-runit            start no services; MAIN_COMMAND must be given
      --enable-insecure-key   run /usr/sbin/enable_insecure_key of the image first
      --no-kill-all-on-exit   taken: svc ends only what it has started, in any case
  -h, --help                  this text
";

#[derive(Default)]
pub(super) struct Options {
    pub(super) quiet: bool,
    pub(super) startup: bool,
    pub(super) runit: bool,
    pub(super) insecure_key: bool,
    kill_all: bool,
    pub(super) command: Vec<OsString>,
}

impl Options {
    /// None: only help was asked for. What is wrong has an exit code.
    pub(super) fn parse(words: &[OsString]) -> Result<Option<Options>, (u8, String)> {
        let mut options = Options { startup: true, runit: true, kill_all: true, ..Options::default() };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            match word.to_str() {
                Some("--quiet") => options.quiet = true,
                Some("--skip-startup-files") => options.startup = false,
                Some("--skip-runit") => options.runit = false,
                Some("--enable-insecure-key") => options.insecure_key = true,
                Some("--no-kill-all-on-exit") => options.kill_all = false,
                Some("-h" | "--help") => return Ok(None),
                Some("--") => {
                    options.command = rest.by_ref().cloned().collect();
                }
                Some(word) if word.starts_with('-') => {
                    return Err((exit::USAGE, format!("there is no option {word}\n\n{USAGE}")));
                }
                Some(_) | None => {
                    options.command = [word].into_iter().chain(rest.by_ref()).cloned().collect();
                }
            }
        }
        if !options.runit && options.command.is_empty() {
            return Err((FAILED, "with --skip-runit there must be a main command, or there is nothing to run".into()));
        }
        Ok(Some(options))
    }

    /// What was asked for and is not done.
    pub(super) fn without_effect(&self) -> Option<&'static str> {
        let first = process::id() == 1;
        (!self.kill_all && first).then_some(
            "--no-kill-all-on-exit has no effect: when process 1 ends, the kernel ends everything in the container",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Option<Options>, (u8, String)> {
        Options::parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn options_stand_before_the_command() {
        let options = parse(&["--quiet", "--skip-runit", "--", "sh", "-c", "--quiet"]).ok().flatten().expect("valid");
        assert!(options.quiet && options.startup && !options.runit);
        assert_eq!(options.command, ["sh", "-c", "--quiet"]);
        let options = parse(&["sh", "--", "x"]).ok().flatten().expect("valid");
        assert_eq!(options.command, ["sh", "--", "x"]);
        assert_eq!(parse(&["--skip-runit"]).err().map(|(code, _)| code), Some(FAILED));
        assert_eq!(parse(&["--nope"]).err().map(|(code, _)| code), Some(exit::USAGE));
    }
}
