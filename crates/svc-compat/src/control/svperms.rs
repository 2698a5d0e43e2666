//! s6-svperms: who may see, steer and listen to a service.

use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use nix::unistd::{Gid, Uid, User, chown};
use svc_sys::exit;

use crate::command::{Call, Command, Failure, Opt, Outcome, number};
use crate::process::account;
use crate::servicedir::supervise;

pub(super) const COMMAND: Command = Command {
    name: "s6-svperms",
    about: "show or change who may use a service directory",
    operands: "SERVICEDIR...",
    options: &[
        Opt::flag('v', "show it, also after a change"),
        Opt::flag('u', "only the owner may see its status and steer it"),
        Opt::with('g', "GROUP", "this group may see its status"),
        Opt::with('G', "GROUP", "this group may see its status and steer it"),
        Opt::flag('o', "everybody may see its status"),
        Opt::with('O', "GROUP", "everybody may see its status, and this group may steer it"),
        Opt::flag('e', "everybody may listen to its events"),
        Opt::with('E', "GROUP", "this group may listen to its events"),
    ],
    notes: "\
A group is a name, or a colon and a number: `:100`. Without an option the command shows what is.

It changes what a supervisor has made. Whether that lasts beyond the supervisor is up to who makes `supervise/` anew.",
    codes: &[(1, "a mode is not one of those that this command sets")],
    run,
};

/// Who, apart from the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    Group(Gid),
    Everybody,
}

/// What is to be changed.
#[derive(Default)]
struct Change {
    /// Who may see, and which group may steer.
    supervise: Option<(Who, Option<Gid>)>,
    events: Option<Who>,
}

fn run(call: &Call) -> Outcome {
    let change = change(call)?;
    if call.operands.is_empty() {
        return Err(Failure::usage("no service directory is given"));
    }
    let show = call.has('v') || (change.supervise.is_none() && change.events.is_none());
    let mut code = exit::DONE;
    for dir in call.operands.iter().map(Path::new) {
        if let Some((see, steer)) = change.supervise {
            change_supervise(dir, see, steer)?;
        }
        if let Some(listen) = change.events {
            change_events(dir, listen)?;
        }
        if show {
            for line in [show_status(dir), show_control(dir), show_events(dir)] {
                match line {
                    Ok(line) => println!("{} {line}", dir.display()),
                    Err(message) => {
                        call.warn(message);
                        code = exit::FAILED;
                    }
                }
            }
        }
    }
    Ok(code)
}

fn change(call: &Call) -> Result<Change, Failure> {
    let mut change = Change::default();
    for given in &call.given {
        let group = || group(&given.value.to_string_lossy());
        match given.letter {
            'u' => change.supervise = Some((Who::Nobody, None)),
            'g' => change.supervise = Some((Who::Group(group()?), None)),
            'G' => change.supervise = group().map(|group| Some((Who::Group(group), Some(group))))?,
            'o' => change.supervise = Some((Who::Everybody, None)),
            'O' => change.supervise = Some((Who::Everybody, Some(group()?))),
            'e' => change.events = Some(Who::Everybody),
            'E' => change.events = Some(Who::Group(group()?)),
            _ => {}
        }
    }
    Ok(change)
}

fn group(text: &str) -> Result<Gid, Failure> {
    if let Some(digits) = text.strip_prefix(':') {
        return number(digits.as_ref(), "the number of a group").map(Gid::from_raw);
    }
    let known = account::group(text.as_ref())?;
    known.map(Gid::from_raw).ok_or_else(|| Failure::usage(format!("there is no group {text}")))
}

fn name(gid: u32) -> String {
    let known = account::group_name(gid).ok().flatten();
    known.map_or_else(|| gid.to_string(), |name| String::from_utf8_lossy(&name).into_owned())
}

/// The first group of the owner of a file: whom it belongs to when no group has rights.
fn group_of_owner(path: &Path) -> Result<Gid, Failure> {
    let owner = fs::metadata(path).map_err(|error| cannot("look at", path, &error))?.uid();
    let user = User::from_uid(Uid::from_raw(owner)).ok().flatten();
    Ok(user.map_or(Gid::from_raw(0), |user| user.gid))
}

fn set(path: &Path, group: Option<Gid>, mode: u32) -> Result<(), Failure> {
    let group = group.map_or_else(|| group_of_owner(path), Ok)?;
    chown(path, None, Some(group)).map_err(|errno| cannot("give a group to", path, &errno.into()))?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|error| cannot("change the mode of", path, &error))
}

fn change_supervise(dir: &Path, see: Who, steer: Option<Gid>) -> Result<(), Failure> {
    let folder = supervise::place(dir).join("supervise");
    match see {
        Who::Nobody => set(&folder, None, 0o700)?,
        Who::Group(group) => set(&folder, Some(group), 0o710)?,
        Who::Everybody => set(&folder, None, 0o711)?,
    }
    set(&folder.join("control"), steer, if steer.is_some() { 0o620 } else { 0o600 })
}

fn change_events(dir: &Path, listen: Who) -> Result<(), Failure> {
    let folder = supervise::place(dir).join("event");
    match listen {
        Who::Group(group) => set(&folder, Some(group), 0o3730),
        Who::Everybody | Who::Nobody => set(&folder, None, 0o1733),
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::system(format!("unable to {what} {}: {error}", path.display()))
}

fn look(path: &Path) -> Result<(Metadata, u32), String> {
    let data = fs::metadata(path).map_err(|error| format!("unable to look at {}: {error}", path.display()))?;
    let mode = data.permissions().mode() & 0o7777;
    Ok((data, mode))
}

fn wrong(path: &Path, mode: u32) -> String {
    format!("{} has the mode {mode:o}, which none of the options gives", path.display())
}

fn show_status(dir: &Path) -> Result<String, String> {
    let path = supervise::place(dir).join("supervise");
    let (data, mode) = look(&path)?;
    if !data.is_dir() {
        return Err(format!("{} is not a directory", path.display()));
    }
    match mode & !0o2000 {
        0o700 => Ok("status: owner".into()),
        0o710 => Ok(format!("status: group {}", name(data.gid()))),
        0o711 => Ok("status: public".into()),
        _ => Err(wrong(&path, mode)),
    }
}

fn show_control(dir: &Path) -> Result<String, String> {
    let path = supervise::place(dir).join("supervise/control");
    let (data, mode) = look(&path)?;
    if !data.file_type().is_fifo() {
        return Err(format!("{} is not a fifo", path.display()));
    }
    match mode {
        0o600 => Ok("control: owner".into()),
        0o620 => Ok(format!("control: group {}", name(data.gid()))),
        _ => Err(wrong(&path, mode)),
    }
}

fn show_events(dir: &Path) -> Result<String, String> {
    let path = supervise::place(dir).join("event");
    let (data, mode) = look(&path)?;
    if !data.is_dir() {
        return Err(format!("{} is not a directory", path.display()));
    }
    match mode {
        0o3730 => Ok(format!("events: group {}", name(data.gid()))),
        0o1733 => Ok("events: public".into()),
        _ => Err(wrong(&path, mode)),
    }
}
