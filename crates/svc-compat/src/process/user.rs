//! s6-setuidgid, s6-applyuidgid, s6-envuidgid, and phusion's setuser.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use svc_sys::environment;

use super::account::{self, Account};
use super::identity::Identity;
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

/// The variables that s6-envuidgid sets and s6-applyuidgid reads.
const VARIABLES: [&str; 3] = ["UID", "GID", "GIDLIST"];

const UNKNOWN: (u8, &str) = (1, "there is no such account");

pub(super) const SETUIDGID: Command = Command {
    name: "s6-setuidgid",
    about: "execute a program as another user",
    operands: "ACCOUNT|UID:GID PROG...",
    options: &[],
    notes: "Takes the uid, the gid and the supplementary groups of ACCOUNT from /etc/passwd and /etc/group. UID:GID are numbers, \
            need no such files, and mean no supplementary groups. An empty ACCOUNT changes nothing.\n\n\
            HOME and USER stay as they are.",
    codes: &[UNKNOWN],
    run: setuidgid,
};

fn setuidgid(call: &Call) -> Outcome {
    let name = call.operand(0, "the account")?;
    let program = call.program(1)?;
    if name.is_empty() {
        return chain::execute(program);
    }
    if name.as_bytes().contains(&b':') {
        numeric(name)?.assume()?;
    } else {
        let account = known(name)?;
        of(name, &account)?.assume()?;
        forget_variables();
    }
    chain::execute(program)
}

/// `UID:GID`. As in s6, 0 stands for the one there is: whoever may become root is root.
fn numeric(text: &OsStr) -> Result<Identity, Failure> {
    let ids: Option<Vec<u32>> = text.as_bytes().split(|&byte| byte == b':').map(account::number).collect();
    match ids.as_deref() {
        Some(&[uid, gid]) => Ok(Identity { uid: Some(uid), gid: Some(gid), groups: Some(Vec::new()) }),
        _ => Err(Failure::usage(format!("'{}' is neither an account nor two numbers UID:GID", text.display()))),
    }
}

fn known(name: &OsStr) -> Result<Account, Failure> {
    account::account(name)?.ok_or_else(|| Failure::with_code(1, format!("unknown user: {}", name.display())))
}

/// The account with its supplementary groups.
pub(crate) fn of(name: &OsStr, account: &Account) -> Result<Identity, Failure> {
    Ok(Identity { uid: Some(account.uid), gid: Some(account.gid), groups: Some(account::groups_of(name)?) })
}

fn forget_variables() {
    for name in VARIABLES {
        environment::change(name.into());
    }
}

pub(super) const APPLYUIDGID: Command = Command {
    name: "s6-applyuidgid",
    about: "execute a program under other ids",
    operands: "PROG...",
    options: &[
        Opt::flag('z', "take UID, GID and GIDLIST out of the environment"),
        Opt::flag('U', "use what UID, GID and GIDLIST say in the environment"),
        Opt::with('u', "UID", "the user's number"),
        Opt::with('g', "GID", "the group's number"),
        Opt::with('G', "GIDLIST", "numbers of supplementary groups, commas between them"),
    ],
    notes: "The number 0 changes nothing.",
    codes: &[],
    run: applyuidgid,
};

fn applyuidgid(call: &Call) -> Outcome {
    let program = call.program(0)?;
    let mut identity = Identity::default();
    for given in &call.given {
        let value = given.value.as_bytes();
        let number = || account::number(value).ok_or_else(|| invalid(&format!("-{}", given.letter), &given.value));
        match given.letter {
            'u' => identity.uid = Some(number()?),
            'g' => identity.gid = Some(number()?),
            'G' => identity.groups = Some(account::numbers(value).ok_or_else(|| invalid("-G", &given.value))?),
            'U' => identity = from_environment()?,
            _ => {}
        }
    }
    // As in s6: 0 is "not given".
    identity.uid = identity.uid.filter(|&uid| uid != 0);
    identity.gid = identity.gid.filter(|&gid| gid != 0);
    identity.assume()?;
    if call.has('z') {
        forget_variables();
    }
    chain::execute(program)
}

fn from_environment() -> Result<Identity, Failure> {
    let variable = |name: &str| {
        std::env::var_os(name).ok_or_else(|| Failure::usage(format!("{name} is not set: s6-envuidgid sets it")))
    };
    let [uid, gid, list] = [variable("UID")?, variable("GID")?, variable("GIDLIST")?];
    Ok(Identity {
        uid: Some(account::number(uid.as_bytes()).ok_or_else(|| invalid("UID", &uid))?),
        gid: Some(account::number(gid.as_bytes()).ok_or_else(|| invalid("GID", &gid))?),
        groups: Some(account::numbers(list.as_bytes()).ok_or_else(|| invalid("GIDLIST", &list))?),
    })
}

fn invalid(what: &str, value: &OsStr) -> Failure {
    Failure::usage(format!("{what}: '{}' is not a number", value.display()))
}

pub(super) const ENVUIDGID: Command = Command {
    name: "s6-envuidgid",
    about: "put the ids of an account into the environment",
    operands: "ACCOUNT PROG...",
    options: &[
        Opt::flag('u', "ACCOUNT is a user: set only UID"),
        Opt::flag('g', "ACCOUNT is a group: set only GID"),
        Opt::flag('B', "ACCOUNT is USER:GROUP, either may be missing: set UID and GID"),
        Opt::flag('n', "take a number for a name that is not known (with -B, unless -u or -g is given)"),
        Opt::flag('i', "fail if ACCOUNT is unknown (this is the default)"),
        Opt::with('D', "UID:GID:GIDLIST", "what to set if ACCOUNT is unknown"),
    ],
    notes: "Sets UID, GID and GIDLIST, and executes PROG.",
    codes: &[UNKNOWN],
    run: envuidgid,
};

/// What an account's name stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    Account,
    User,
    Group,
    Both,
}

fn envuidgid(call: &Call) -> Outcome {
    let (mut naming, mut numbers_too, mut fallback) = (Naming::Account, false, None);
    for given in &call.given {
        match given.letter {
            'u' => naming = Naming::User,
            'g' => naming = Naming::Group,
            'B' => naming = Naming::Both,
            'n' => {
                numbers_too = true;
                naming = if naming == Naming::Account { Naming::Both } else { naming };
            }
            'i' => fallback = None,
            'D' => fallback = Some(defaults(&given.value)?),
            _ => {}
        }
    }
    let name = call.operand(0, "the account")?;
    let program = call.program(1)?;
    let bytes = name.as_bytes();
    let (user, group) = match naming {
        Naming::Account | Naming::User => (Some(bytes), None),
        Naming::Group => (None, Some(bytes)),
        Naming::Both => match bytes.iter().position(|&byte| byte == b':') {
            Some(at) => (
                Some(&bytes[..at]).filter(|user| !user.is_empty()),
                Some(&bytes[at + 1..]).filter(|group| !group.is_empty()),
            ),
            None => (Some(bytes), None),
        },
    };
    // What is not asked for is 0, unless a default says otherwise.
    let (mut uid, mut gid, mut list) = fallback.clone().unwrap_or_default();
    let number = |name: &[u8]| account::number(name).filter(|_| numbers_too);
    let unknown = |what: &str, name: &[u8]| match fallback {
        Some(_) => Ok(()),
        None => Err(Failure::with_code(1, format!("unknown {what}: {}", String::from_utf8_lossy(name)))),
    };
    if let Some(name) = group {
        match account::group(OsStr::from_bytes(name))?.or_else(|| number(name)) {
            Some(found) => gid = found,
            None => unknown("group", name)?,
        }
    }
    if let Some(name) = user {
        match account::account(OsStr::from_bytes(name))? {
            Some(found) => {
                uid = found.uid;
                if naming == Naming::Account {
                    (gid, list) = (found.gid, account::groups_of(OsStr::from_bytes(name))?);
                }
            }
            None => match number(name) {
                Some(found) => uid = found,
                None => unknown("user", name)?,
            },
        }
    }
    if naming != Naming::Group {
        environment::change(format!("UID={uid}").into());
    }
    if naming != Naming::User {
        environment::change(format!("GID={gid}").into());
    }
    if naming == Naming::Account {
        let list: Vec<String> = list.iter().map(u32::to_string).collect();
        environment::change(format!("GIDLIST={}", list.join(",")).into());
    }
    chain::execute(program)
}

/// `UID:GID:GIDLIST`; what is missing or empty is 0, or no groups.
fn defaults(text: &OsStr) -> Result<(u32, u32, Vec<u32>), Failure> {
    let mut parts = text.as_bytes().splitn(3, |&byte| byte == b':');
    let mut id = || match parts.next() {
        None | Some([]) => Some(0),
        Some(digits) => account::number(digits),
    };
    let (uid, gid) = (id(), id());
    let list = account::numbers(parts.next().unwrap_or_default());
    match (uid, gid, list) {
        (Some(uid), Some(gid), Some(list)) => Ok((uid, gid, list)),
        _ => Err(Failure::usage(format!("-D: '{}' is not UID:GID:GIDLIST in numbers", text.display()))),
    }
}

pub(super) const SETUSER: Command = Command {
    name: "setuser",
    about: "execute a program as another user, with the user's HOME",
    operands: "ACCOUNT PROG...",
    options: &[Opt::NONE],
    notes: "Takes the uid, the gid and the groups of ACCOUNT from /etc/passwd and /etc/group, and sets USER, HOME and UID.",
    codes: &[(1, "anything went wrong")],
    run: setuser,
};

/// Exit code 1 for everything, as phusion's has it.
fn setuser(call: &Call) -> Outcome {
    let (Ok(name), Ok(program)) = (call.operand(0, "the account"), call.program(1)) else {
        return Err(Failure::with_code(1, format!("usage: {}", call.command.synopsis())));
    };
    let one = |failure: Failure| Failure::with_code(1, failure.message());
    let account = account::account(name).map_err(one)?;
    let account = account.ok_or_else(|| Failure::with_code(1, format!("user {} not found", name.display())))?;
    of(name, &account).and_then(|identity| identity.assume()).map_err(one)?;
    let home = OsString::from_vec(account.home);
    for (variable, value) in [("USER", name), ("HOME", &home), ("UID", OsStr::new(&account.uid.to_string()))] {
        environment::change([OsStr::new(variable), OsStr::new("="), value].into_iter().collect());
    }
    chain::execute(program).map_err(one)
}
