//! Programs that look at files: s6-ls, s6-linkname, s6-overlay-stat.

use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use svc_sys::exit;

use super::output::put;
use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::process::account;

pub(super) const LS: Command = Command {
    name: "s6-ls",
    about: "print the names in a directory",
    operands: "DIR",
    options: &[
        Opt::flag('0', "a NUL byte after each name, and no newline"),
        Opt::flag('a', "those too that begin with a dot, but not . and .."),
        Opt::flag('A', "all names, . and .. too"),
        Opt::with('x', "NAME", "leave out this one"),
    ],
    notes: "",
    codes: &[],
    run: ls,
};

fn ls(call: &Call) -> Outcome {
    let dir = Path::new(call.operand(0, "the directory")?);
    let failed = |error| Failure::system(format!("unable to read {}: {error}", dir.display()));
    let entries = fs::read_dir(dir).map_err(failed)?;
    let mut names =
        entries.map(|entry| Ok(entry?.file_name().into_vec())).collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
    match call.last(&['a', 'A']) {
        None => names.retain(|name| !name.starts_with(b".")),
        Some('A') => names.splice(..0, [b".".to_vec(), b"..".to_vec()]).for_each(drop),
        Some(_) => {}
    }
    if let Some(left_out) = call.value('x') {
        names.retain(|name| name != left_out.as_bytes());
    }
    let end: &[u8] = if call.has('0') { b"\0" } else { b"\n" };
    put(&names.iter().flat_map(|name| [name, end]).collect::<Vec<&[u8]>>().concat())?;
    Ok(exit::DONE)
}

pub(super) const LINKNAME: Command = Command {
    name: "s6-linkname",
    about: "print what a symbolic link points to",
    operands: "LINK",
    options: &[Opt::flag('n', "no newline at the end"), Opt::flag('f', "the path of what is at the end of all links")],
    notes: "",
    codes: &[],
    run: |call| {
        let link = Path::new(call.operand(0, "the link")?);
        let target = if call.has('f') { fs::canonicalize(link) } else { fs::read_link(link) };
        let target = target.map_err(|error| Failure::system(format!("unable to resolve {}: {error}", link.display())))?;
        let end: &[u8] = if call.has('n') { b"" } else { b"\n" };
        put(&[target.as_os_str().as_bytes(), end].concat())?;
        Ok(exit::DONE)
    },
};

pub(super) const OVERLAY_STAT: Command = Command {
    name: "s6-overlay-stat",
    about: "print owner and permissions of a file as variables",
    operands: "FILE",
    options: &[Opt::NONE],
    notes: "Prints uid, user, gid, group and perms, for `eval` in a shell or `envfile` in execline. The names are empty where \
            /etc/passwd and /etc/group have none.",
    codes: &[],
    run: |call| {
        let path = Path::new(call.operand(0, "the file")?);
        let data =
            fs::metadata(path).map_err(|error| Failure::system(format!("unable to look at {}: {error}", path.display())))?;
        let name = |name: Option<Vec<u8>>| String::from_utf8_lossy(&name.unwrap_or_default()).into_owned();
        let (user, group) = (name(account::user_name(data.uid())?), name(account::group_name(data.gid())?));
        let perms: String =
            PERMISSIONS.iter().enumerate().filter(|(bit, _)| data.mode() & 1 << bit != 0).map(|(_, name)| *name).collect();
        let (uid, gid) = (data.uid(), data.gid());
        put(format!("uid={uid}\nuser={user}\ngid={gid}\ngroup={group}\nperms={perms}\n").as_bytes())?;
        Ok(exit::DONE)
    },
};

/// What s6-overlay calls the bits of a mode, from the lowest on.
const PERMISSIONS: [&str; 12] = ["ox", "ow", "or", "gx", "gw", "gr", "ux", "uw", "ur", "os", "gs", "us"];
