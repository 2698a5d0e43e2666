//! Becoming somebody else, for good.

use std::collections::BTreeSet;

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, getegid, getgroups, getresgid, getresuid, setgid, setgroups, setuid};

use crate::command::Failure;

/// Who to become; what is none stays as it is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// Supplementary groups. The gid is added in front, where the system expects it.
    pub groups: Option<Vec<u32>>,
}

impl Identity {
    /// Becomes it: groups, gid, uid, in that order, because after the last one nothing else can be changed. Somebody who may not
    /// change anything may still become who he is. What was not lost that should have been is an error.
    pub(crate) fn assume(&self) -> Result<(), Failure> {
        if let Some(groups) = &self.groups {
            let first = self.gid.map_or_else(getegid, Gid::from_raw);
            assume_groups(first, groups)?;
        }
        if let Some(gid) = self.gid {
            setgid(Gid::from_raw(gid)).map_err(|errno| refused("change to gid", gid, errno))?;
            let now = getresgid().map_err(|errno| refused("look whether this is gid", gid, errno))?;
            if [now.real, now.effective, now.saved].iter().any(|now| now.as_raw() != gid) {
                return Err(Failure::system(format!("unable to give up the group that this program has beside gid {gid}")));
            }
        }
        if let Some(uid) = self.uid {
            assume_uid(uid)?;
        }
        Ok(())
    }
}

fn assume_groups(first: Gid, others: &[u32]) -> Result<(), Failure> {
    let others = others.iter().copied().map(Gid::from_raw).filter(|group| *group != first);
    let wanted: Vec<Gid> = std::iter::once(first).chain(others).collect();
    let Err(errno) = setgroups(&wanted) else { return Ok(()) };
    let raw = |groups: Vec<Gid>| groups.into_iter().map(Gid::as_raw).collect::<BTreeSet<u32>>();
    let mut now = raw(getgroups().unwrap_or_default());
    now.insert(getegid().as_raw());
    if errno == Errno::EPERM && now == raw(wanted) {
        return Ok(());
    }
    Err(Failure::system(format!("unable to set supplementary groups: {errno}{}", cure(errno))))
}

fn assume_uid(uid: u32) -> Result<(), Failure> {
    let was_root = Uid::effective().is_root();
    setuid(Uid::from_raw(uid)).map_err(|errno| refused("change to uid", uid, errno))?;
    let now = getresuid().map_err(|errno| refused("look whether this is uid", uid, errno))?;
    let kept = [now.real, now.effective, now.saved].iter().any(|now| now.as_raw() != uid);
    if kept || (was_root && uid != 0 && setuid(Uid::from_raw(0)).is_ok()) {
        return Err(Failure::system(format!("unable to give up root for uid {uid}: the way back is still open")));
    }
    Ok(())
}

fn refused(what: &str, id: u32, errno: Errno) -> Failure {
    Failure::system(format!("unable to {what} {id}: {errno}{}", cure(errno)))
}

/// What helps, where it is known.
fn cure(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM if !Uid::effective().is_root() => {
            " (only root with CAP_SETUID and CAP_SETGID may: start the container as root, or leave the user as it is)"
        }
        Errno::EPERM => " (only root with CAP_SETUID and CAP_SETGID may: docker run --cap-add SETUID --cap-add SETGID)",
        Errno::EINVAL => " (the user namespace of this container does not know the number)",
        _ => "",
    }
}
