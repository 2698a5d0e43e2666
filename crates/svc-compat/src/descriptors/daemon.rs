//! `s6-fdholder-daemon`: a holder with its socket, in one line.

use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::sockets::{binder_words, pass_on};

pub(super) const DAEMON: Command = Command {
    name: "s6-fdholder-daemon",
    about: "hold descriptors for clients of a Unix socket",
    operands: "PATH",
    options: &[
        Opt::with('v', "N", "how much to report: 0 nothing, 1 what goes wrong (default)"),
        Opt::flag('d', "remove what is at PATH first (default)"),
        Opt::flag('D', "fail if there is something at PATH"),
        Opt::flag('1', "print a newline on standard output, and close it, when ready"),
        Opt::with('c', "N", "serve so many clients at a time, at most 256; default: 16"),
        Opt::with('n', "N", "hold so many descriptors; default: 1000, or as many as we may have"),
        Opt::with('b', "N", "how many connections may wait"),
        Opt::with('G', "GIDS", "become a member of these groups, by number, commas between them"),
        Opt::with('g', "GID", "become this group"),
        Opt::with('u', "UID", "become this user"),
        Opt::flag('U', "become who UID, GID and GIDLIST in the environment say"),
        Opt::with('t', "MS", "send a client away that says nothing and takes no answer for so long"),
        Opt::with('T', "MS", "after SIGTERM, give clients so long"),
        Opt::with('i', "RULESDIR", "the rules are in this directory"),
        Opt::with('x', "RULESFILE", "the rules are in this file, made by s6-accessrules-cdb-from-fs"),
    ],
    notes: "The same as s6-ipcserver-socketbinder, s6-applyuidgid and s6-fdholderd behind each other; `s6-fdholderd --help` says more.",
    codes: &[],
    run: daemon,
};

fn daemon(call: &Call) -> Outcome {
    let path = call.operand(0, "the path of the socket")?;
    let rules = call.last_given(&['i', 'x']);
    let rules = rules.ok_or_else(|| Failure::usage("without rules (-i or -x) nobody could do anything"))?;
    let mut words = binder_words(call, path, &[])?;
    words.extend(chain::own_words("s6-fdholderd"));
    if call.has('1') {
        words.push("-1".into());
    }
    pass_on(call, &['v', 'c', 'n', 't', 'T'], &mut words)?;
    words.extend([format!("-{}", rules.letter).into(), rules.value.clone()]);
    chain::execute_own("s6-ipcserver-socketbinder", words)
}
