//! s6-rc's commands, on the service manager: what they ask for, svc does; what they compile, svc reads as it is.

mod change;
mod database;
mod graph;
mod sources;

use crate::command::{Command, Opt};

const VERBOSITY: Opt = Opt::with('v', "LEVEL", "accepted: svc's log says what there is to say");
const LIVE: Opt = Opt::with('l', "LIVE", "accepted: the live state is that of the running svc");

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        name: "s6-rc",
        about: "start, stop and list services with dependencies",
        operands: "COMMAND [NAME...]",
        options: &[
            Opt::flag('u', "the names are to be up (the default)"),
            Opt::flag('d', "the names are to be down, and what depends on them"),
            Opt::flag('D', "the same, essential services included"),
            Opt::flag('p', "and everything else the other way round"),
            Opt::flag('a', "add all services that are up to the names"),
            Opt::flag('e', "leave essential services out of lists"),
            Opt::flag('b', "accepted: nobody has to wait for a lock here"),
            Opt::flag('E', "accepted: nothing is printed that this would leave out"),
            Opt::flag('q', "accepted: nothing is printed that this would leave out"),
            Opt::flag('X', "accepted: nothing is printed that this would leave out"),
            Opt::with('t', "MS", "give up after so many milliseconds (0: never)"),
            Opt::with('n', "MS", "change nothing, and print what would be done"),
            VERBOSITY,
            LIVE,
        ],
        notes: "Commands: change (start or stop NAME...), start and stop (the same with -u and -d), reload, list (the services of \
                NAME..., or those that are up with -a; with -d those that are not among them), listall (with what they depend on; \
                with -d what depends on them), diff (what is not as it should be), help.\n\nA stop during a start does not wait \
                for it: it takes it back.",
        codes: &[(1, "some services did not get where they should"), (2, "timed out"), (3, "there is no such service")],
        run: change::run,
    },
    Command {
        name: "s6-rc-db",
        about: "say what is known of services with dependencies",
        operands: "COMMAND [NAME...]",
        options: &[
            Opt::flag('u', "of what comes before (the default)"),
            Opt::flag('d', "of what comes after"),
            Opt::flag('b', "accepted: there is no lock to wait for"),
            VERBOSITY,
            LIVE,
            Opt::with('c', "COMPILED", "accepted: svc reads the sources"),
        ],
        notes: "Commands: check, list all|services|oneshots|longruns|bundles, type NAME, timeout NAME, contents BUNDLE, \
                dependencies NAME..., all-dependencies NAME..., atomics NAME..., pipeline NAME, script NAME, flags NAME, help.",
        codes: &[(1, "the command has no meaning for this service"), (3, "there is no such service")],
        run: database::run,
    },
    Command {
        name: "s6-rc-compile",
        about: "check source directories of services",
        operands: "DEST SOURCE...",
        options: &[
            VERBOSITY,
            Opt::with('h', "USER", "accepted: there is no fdholder to open to anybody"),
            Opt::flag('b', "accepted: there is no lock to wait for"),
        ],
        notes: "svc reads the sources as they are, so nothing is compiled: this checks them, and leaves their names in DEST for \
                s6-rc-init.",
        codes: &[(1, "something is wrong with the sources")],
        run: sources::compile,
    },
    Command {
        name: "s6-rc-init",
        about: "see that the running svc knows the sources of a database",
        operands: "SCANDIR",
        options: &[
            Opt::with('c', "COMPILED", "what s6-rc-compile made (default /etc/s6-rc/compiled)"),
            LIVE,
            Opt::with('p', "PREFIX", "accepted: services keep their names"),
            Opt::with('t', "MS", "accepted: there is nothing to wait for"),
            Opt::flag('b', "accepted: there is no lock to wait for"),
            Opt::flag('d', "accepted: there is no live directory to replace"),
        ],
        notes: "Supervisors are started by svc itself. Here is only checked that its scan directories are those of the database.",
        codes: &[],
        run: sources::init,
    },
    Command {
        name: "s6-rc-update",
        about: "have the running svc look at its sources again",
        operands: "[COMPILED]",
        options: &[
            VERBOSITY,
            LIVE,
            Opt::with('t', "MS", "accepted: svc knows its own times"),
            Opt::with('f', "CONVFILE", "accepted: a service that has another name is another service"),
            Opt::flag('n', "accepted: svc-ctl graph shows what there is"),
            Opt::flag('b', "accepted: there is no lock to wait for"),
        ],
        notes: "Services whose definition has not changed keep running.",
        codes: &[],
        run: sources::update,
    },
];
