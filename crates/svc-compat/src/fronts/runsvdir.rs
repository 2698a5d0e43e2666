//! runsvdir: the scanner under runit's name.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use svc_sys::exit;

use crate::command::{Call, Command, Failure, Opt, Outcome};

pub(super) const COMMAND: Command = Command {
    name: "runsvdir",
    about: "run a service for each directory in a directory",
    operands: "DIR [LOG]",
    options: &[Opt::flag('P', "as in runit: each service has a process group of its own (it has in any case)")],
    notes: "\
This is svc-scan under the name that Dockerfiles of runit call. SIGTERM stops all services, also as process 1, where runit's own \
leaves them running. LOG, a place for the last messages in the list of processes, is not used: they go to standard error.",
    codes: &[],
    run,
};

/// Executes this program under the name of the scanner.
fn run(call: &Call) -> Outcome {
    let dir = CString::new(call.operand(0, "the directory")?.as_bytes());
    let dir = dir.map_err(|_| Failure::usage("a NUL byte stands in the directory"))?;
    let failed = |errno| Failure::with_code(exit::CANNOT_EXECUTE, format!("unable to become svc-scan: {errno}"));
    let exe = svc_sys::exe::open().map_err(failed)?;
    Err(failed(svc_sys::exe::execute(exe.as_fd(), &[c"svc-scan", &dir])))
}
