//! What `svc exec` does last before the program: becoming a user, and limits. The commands of s6 have the same, each in its own
//! words; here are ours, with errors that say what to do.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use super::account::{self, Account};
use super::identity::Identity;
use crate::command::Failure;

/// Somebody to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    identity: Identity,
    /// Its name and account, if /etc/passwd knows it.
    account: Option<(OsString, Account)>,
}

impl User {
    /// `NAME`, `UID`, `NAME:GROUP` or `UID:GID`. Without a group it is that of the account. The account's other groups come with it,
    /// unless a number with a group says all there is.
    pub fn find(text: &OsStr) -> Result<User, String> {
        let groups_of = |name: &OsStr| account::groups_of(name).map_err(Failure::message);
        let mut parts = text.as_bytes().splitn(2, |&byte| byte == b':');
        let name = OsStr::from_bytes(parts.next().unwrap_or_default());
        let group = parts.next().map(OsStr::from_bytes);
        let known = match account::account(name).map_err(Failure::message)? {
            Some(account) => Some((name.to_owned(), account)),
            None => by_number(name)?,
        };
        let uid = known.as_ref().map(|(_, account)| account.uid).or_else(|| account::number(name.as_bytes()));
        let uid = uid.ok_or_else(|| svc_def::no_account(&name.to_string_lossy()))?;
        let (gid, groups) = match (group, &known) {
            (Some(group), Some((named, _))) if named == name => (self::group(group)?, groups_of(named)?),
            (Some(group), _) => (self::group(group)?, Vec::new()),
            (None, Some((name, account))) => (account.gid, groups_of(name)?),
            (None, None) => return Err(svc_def::no_group_of(&uid.to_string())),
        };
        Ok(User { identity: Identity { uid: Some(uid), gid: Some(gid), groups: Some(groups) }, account: known })
    }

    /// The same account under other numbers, without a change of /etc/passwd: a volume belongs to them.
    pub fn renumber(&mut self, uid: Option<u32>, gid: Option<u32>) {
        self.identity.uid = uid.or(self.identity.uid);
        self.identity.gid = gid.or(self.identity.gid);
    }

    /// Who its files belong to.
    pub fn ids(&self) -> (u32, u32) {
        // `find` leaves neither open.
        (self.identity.uid.unwrap_or(0), self.identity.gid.unwrap_or(0))
    }

    /// `HOME`, `USER`, `LOGNAME` and `SHELL` as they are after a login.
    pub fn variables(&self) -> Result<Vec<OsString>, String> {
        let (name, account) = self.account.as_ref().ok_or(svc_def::NO_HOME)?;
        let shell = if account.shell.is_empty() { b"/bin/sh".to_vec() } else { account.shell.clone() };
        let variables = [
            ("HOME", OsString::from_vec(account.home.clone())),
            ("USER", name.clone()),
            ("LOGNAME", name.clone()),
            ("SHELL", OsString::from_vec(shell)),
        ];
        Ok(variables
            .into_iter()
            .map(|(name, value)| [OsStr::new(name), OsStr::new("="), &value].into_iter().collect())
            .collect())
    }
}

fn by_number(name: &OsStr) -> Result<Option<(OsString, Account)>, String> {
    let Some(uid) = account::number(name.as_bytes()) else { return Ok(None) };
    let Some(name) = account::user_name(uid).map_err(Failure::message)?.map(OsString::from_vec) else { return Ok(None) };
    Ok(account::account(&name).map_err(Failure::message)?.map(|account| (name, account)))
}

/// The number of a group, by name or number.
fn group(name: &OsStr) -> Result<u32, String> {
    let found = account::group(name).map_err(Failure::message)?.or_else(|| account::number(name.as_bytes()));
    found.ok_or_else(|| svc_def::no_line(&svc_def::GROUP, &name.to_string_lossy()))
}

/// The supplementary groups of a list with commas; none in an empty one.
pub fn groups(list: &OsStr) -> Result<Vec<u32>, String> {
    let names = list.as_bytes().split(|&byte| byte == b',').filter(|name| !name.is_empty());
    names.map(|name| group(OsStr::from_bytes(name))).collect()
}

/// Becomes somebody, for good. `groups` take the place of the account's own.
pub fn become_user(user: Option<User>, groups: Option<Vec<u32>>) -> Result<(), String> {
    let mut identity = user.map(|user| user.identity).unwrap_or_default();
    identity.groups = groups.or(identity.groups);
    identity.assume().map_err(Failure::message)
}

/// Limits by name, as in setrlimit(2), without `RLIMIT_`.
const LIMITS: [(&str, Resource); 16] = [
    ("as", Resource::RLIMIT_AS),
    ("core", Resource::RLIMIT_CORE),
    ("cpu", Resource::RLIMIT_CPU),
    ("data", Resource::RLIMIT_DATA),
    ("fsize", Resource::RLIMIT_FSIZE),
    ("locks", Resource::RLIMIT_LOCKS),
    ("memlock", Resource::RLIMIT_MEMLOCK),
    ("msgqueue", Resource::RLIMIT_MSGQUEUE),
    ("nice", Resource::RLIMIT_NICE),
    ("nofile", Resource::RLIMIT_NOFILE),
    ("nproc", Resource::RLIMIT_NPROC),
    ("rss", Resource::RLIMIT_RSS),
    ("rtprio", Resource::RLIMIT_RTPRIO),
    ("rttime", Resource::RLIMIT_RTTIME),
    ("sigpending", Resource::RLIMIT_SIGPENDING),
    ("stack", Resource::RLIMIT_STACK),
];

/// A limit to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    name: &'static str,
    resource: Resource,
    soft: u64,
    /// None: the soft one is also the hard one.
    hard: Option<u64>,
}

impl Limit {
    /// `NAME=SOFT[:HARD]`: numbers, or `unlimited`.
    pub fn parse(text: &str) -> Result<Limit, String> {
        let wrong = || format!("{text}: a limit is NAME=SOFT[:HARD], such as nofile=1024:4096");
        let (name, values) = text.split_once('=').ok_or_else(wrong)?;
        let Some(&(name, resource)) = LIMITS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = LIMITS.iter().map(|(name, _)| *name).collect();
            return Err(format!("{name}: no such limit; there are {}", known.join(", ")));
        };
        let amount = |text: &str| if text == "unlimited" { Some(RLIM_INFINITY) } else { text.parse().ok() };
        let (soft, hard) = values.split_once(':').map_or((values, None), |(soft, hard)| (soft, Some(hard)));
        let soft = amount(soft).ok_or_else(wrong)?;
        let hard = hard.map(|hard| amount(hard).ok_or_else(wrong)).transpose()?;
        Ok(Limit { name, resource, soft, hard })
    }

    pub fn set(&self) -> Result<(), String> {
        let hard = self.hard.unwrap_or(self.soft);
        setrlimit(self.resource, self.soft, hard).map_err(|errno| {
            let (name, most) = (self.name, getrlimit(self.resource).map_or(0, |(_, hard)| hard));
            let cure = match errno {
                nix::errno::Errno::EPERM => {
                    format!(": the most there may be is {most} (docker run --ulimit {name}=..., or --cap-add SYS_RESOURCE)")
                }
                nix::errno::Errno::EINVAL => ": the soft limit must not be above the hard one".to_owned(),
                _ => String::new(),
            };
            format!("cannot set the limit {name}: {errno}{cure}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let limit = Limit::parse("nofile=1:unlimited").expect("a limit");
        assert_eq!((limit.name, limit.soft, limit.hard), ("nofile", 1, Some(RLIM_INFINITY)));
        assert_eq!(Limit::parse("core=0").map(|limit| limit.hard), Ok(None));
        for bad in ["nofile", "nofile=x", "nofile=1:", "files=1", "nofile=-1"] {
            assert!(Limit::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        let root = User::find(OsStr::new("root")).expect("root");
        assert_eq!(User::find(OsStr::new("0")).map(|user| user.identity), Ok(root.identity.clone()));
        assert!(root.variables().expect("an account").contains(&"USER=root".into()));
        let stranger = User::find(OsStr::new("54321:54322")).expect("numbers");
        assert_eq!((stranger.identity.uid, stranger.identity.gid), (Some(54321), Some(54322)));
        assert_eq!(stranger.identity.groups, Some(Vec::new()));
        assert!(stranger.variables().is_err());
        assert!(User::find(OsStr::new("54321")).is_err_and(|error| error.contains("54321:54321")));
        assert!(User::find(OsStr::new("no-such-account")).is_err_and(|error| error.contains("/etc/passwd")));
    }
}
