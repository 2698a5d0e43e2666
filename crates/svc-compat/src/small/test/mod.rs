//! s6-test and eltest: an expression as words, and whether it holds.

mod eval;
mod parse;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use svc_sys::exit;

use crate::command::{Call, Command, Failure, Opt, Outcome};

const NOTES: &str = "\
Without words it does not hold. A word alone holds unless it is empty. A word that is not an operator, and begins with a \
backslash, stands for what follows the backslash: so nothing that is substituted can become an operator.

-e -f -d -h -L -b -c -p -S FILE: it exists; it is a regular file, a directory, a symbolic link (two letters), a block device, a \
character device, a fifo, a socket.

-r -w -x -s -u -g -k -O -U -G -N FILE: we may read, write, execute it; it is not empty; it has the setuid, setgid, sticky bit; it \
belongs to our user (two letters), our group; it was changed since it was read.

A -nt B, A -ot B, A -ef B: file A is newer than B, older than B, the same as B.

-n WORD, -z WORD, -v NAME, -t FD: WORD is not empty, WORD is empty, the variable NAME is set, FD is a terminal.

A = B, A != B, A < B, A <= B, A > B, A >= B: words, compared by their bytes. A =~ B: A matches the extended regular expression B.

A -eq B, and -ne, -gt, -ge, -lt, -le: numbers.

! X, ( X ), X -a Y, X -o Y: not, brackets, and, or; the earlier ones bind closer.";

const CODES: &[(u8, &str)] = &[(0, "it holds"), (1, "it does not")];

const fn command(name: &'static str) -> Command {
    Command {
        name,
        about: "say by the exit code whether an expression holds",
        operands: "WORD...",
        options: &[Opt::NONE],
        notes: NOTES,
        codes: CODES,
        run,
    }
}

pub(super) const S6_TEST: Command = command("s6-test");
pub(super) const ELTEST: Command = command("eltest");

fn run(call: &Call) -> Outcome {
    if call.operands.is_empty() {
        return Ok(exit::FAILED);
    }
    let words: Vec<&[u8]> = call.operands.iter().map(OsString::as_os_str).map(OsStrExt::as_bytes).collect();
    let expression = parse::parse(&words).map_err(|wrong| match wrong.0 {
        at if at < words.len() => {
            Failure::usage(format!("'{}' (word {}) cannot stand there", String::from_utf8_lossy(words[at]), at + 1))
        }
        _ => Failure::usage("the expression ends too early"),
    })?;
    Ok(if expression.holds()? { exit::DONE } else { exit::FAILED })
}
