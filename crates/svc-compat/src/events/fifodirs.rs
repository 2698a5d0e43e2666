//! s6-mkfifodir, s6-ftrig-notify and s6-cleanfifodir.

use std::io;
use std::path::Path;

use nix::unistd::Gid;
use svc_sys::exit;

use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::servicedir::fifodir;

pub(super) const MAKE: Command = Command {
    name: "s6-mkfifodir",
    about: "make a directory in which programs can listen for events",
    operands: "FIFODIR",
    options: &[
        Opt::flag('f', "give it its mode even if it exists"),
        Opt::with('g', "GID", "only the members of this group may listen; otherwise everybody may"),
    ],
    notes: "One that exists and belongs to the caller is success.",
    codes: &[],
    run: make,
};

pub(super) const NOTIFY: Command = Command {
    name: "s6-ftrig-notify",
    about: "send events to all who listen in a fifodir",
    operands: "FIFODIR MESSAGE",
    options: &[],
    notes: "Each byte of the message is an event. That nobody listens is no error; who listens and does not read misses it.",
    codes: &[],
    run: notify,
};

pub(super) const CLEAN: Command = Command {
    name: "s6-cleanfifodir",
    about: "remove from a fifodir what listeners left behind that were killed",
    operands: "FIFODIR",
    options: &[],
    notes: "Notifying does the same by the way.",
    codes: &[],
    run: clean,
};

fn done(what: &str, path: &Path, result: io::Result<()>) -> Outcome {
    match result {
        Ok(()) => Ok(exit::DONE),
        Err(error) => Err(Failure::system(format!("unable to {what} {}: {error}", path.display()))),
    }
}

fn make(call: &Call) -> Outcome {
    let path = Path::new(call.operand(0, "the fifodir")?);
    let group = call.number('g')?.map(Gid::from_raw);
    done("make", path, fifodir::make(path, group, call.has('f')))
}

fn notify(call: &Call) -> Outcome {
    let path = Path::new(call.operand(0, "the fifodir")?);
    let message = call.operand(1, "the message")?;
    done("notify", path, fifodir::notify(path, message.as_encoded_bytes()).map(drop))
}

fn clean(call: &Call) -> Outcome {
    let path = Path::new(call.operand(0, "the fifodir")?);
    done("clean", path, fifodir::clean(path))
}
