//! runsvdir: the scanner under runit's name.

use crate::chain;
use crate::command::{Call, Command, Opt, Outcome};

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

fn run(call: &Call) -> Outcome {
    chain::execute_own("svc-scan", [call.operand(0, "the directory")?.to_owned()])
}
