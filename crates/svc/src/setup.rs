//! `setup` and `vars` of a service directory, as docker-ubuntu-stack has them: what is done in front of `run` at each start.
//!
//! `vars` is written in shell, so a shell reads it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use svc_core::links;
use svc_prepare::variables;

/// How much of a `run` is looked at: it is a script of a few lines, or no script.
const MOST: u64 = 1 << 16;

/// $0 is the shell, $1 the service, $2 what its variables begin with, and then comes the program. Whatever vars sets is for setup
/// and the program. What setup writes into ./vars is read after it. A shell may go on after a mistake in what it sources, so
/// it looks first.
const FRONT: &str = r#"
read_vars() {
    set -a
    for vars in "/private/$1/vars" ./vars; do
        if [ -f "$vars" ]; then "$0" -n "$vars" || exit 100; . "$vars"; fi
    done
    set +a
}
read_vars "$1"
eval "skip=\${$2_SKIP_SETUP:-\${SKIP_$2_SETUP:-0}}"
if [ "$skip" = 0 ] && [ -x ./setup ]; then
    ./setup || { code=$?; echo "svc exec: $1: setup failed with $code: run is not started" >&2; exit $code; }
    read_vars "$1"
fi
unset vars skip code
shift 2
exec "$@"
"#;

/// The words that do it, and then become the program. A `run` that names `setup`, not only in a comment, is one of old, which does
/// it all itself.
pub(crate) fn in_front(service: &str, program: Vec<OsString>) -> Vec<OsString> {
    if program.first().is_some_and(|program| names_setup(program)) {
        return program;
    }
    let known = variables::all();
    for link in links::all(&known) {
        if let Some((name, host)) = links::resolve(&link, &known) {
            svc_sys::environment::change(format!("{name}={host}").into());
        }
    }
    // What is written for bash is read by it.
    let shell = if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" };
    let prefix = links::prefix(service);
    let prefix = if prefix.starts_with(|c: char| c.is_ascii_digit()) { format!("_{prefix}") } else { prefix };
    let words = [shell, "-c", FRONT, shell, service, &prefix];
    words.iter().map(OsString::from).chain(program).collect()
}

fn names_setup(program: &OsStr) -> bool {
    let mut text = Vec::new();
    let read = File::open(program).and_then(|file| file.take(MOST).read_to_end(&mut text));
    let mut lines = text.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii_start().starts_with(b"#"));
    read.is_ok() && text.starts_with(b"#!") && lines.any(|line| line.windows(5).any(|word| word == b"setup"))
}
