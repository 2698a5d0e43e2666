//! Who we are, and what a mode lets us do. Only for messages and warnings: the kernel decides, and it also knows of access
//! lists and file systems with rules of their own.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::problem::shown;

/// What /proc says about this process, or files of accounts about another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    /// CAP_DAC_OVERRIDE is in effect: modes do not bind us. Root in a container may be without it.
    overrides: bool,
}

impl User {
    /// `None` where there is no /proc to ask.
    pub(crate) fn own() -> Option<User> {
        User::parse(&std::fs::read_to_string("/proc/self/status").ok()?)
    }

    fn parse(status: &str) -> Option<User> {
        const CAP_DAC_OVERRIDE: u64 = 1 << 1;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        // Real, effective, saved and file system id: the last one is what opens files.
        let fs_id = |name: &str| field(name)?.split_whitespace().nth(3)?.parse::<u32>().ok();
        let capabilities = field("CapEff:").and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
        Some(User {
            uid: fs_id("Uid:")?,
            gid: fs_id("Gid:")?,
            groups: field("Groups:")?.split_whitespace().filter_map(|id| id.parse().ok()).collect(),
            overrides: capabilities.unwrap_or(0) & CAP_DAC_OVERRIDE != 0,
        })
    }

    /// Somebody whom modes bind.
    pub(crate) fn new(uid: u32, gid: u32, groups: Vec<u32>) -> User {
        User { uid, gid, groups, overrides: false }
    }

    /// Whether the mode lets us execute the file, or search the directory.
    pub(crate) fn may_enter(&self, file: &Metadata) -> bool {
        self.may_execute(file.mode(), file.uid(), file.gid())
    }

    pub(crate) fn who(&self) -> String {
        format!("uid {}", self.uid)
    }

    /// Whether the mode lets us execute the file.
    fn may_execute(&self, mode: u32, owner: u32, group: u32) -> bool {
        let bit = match self {
            User { overrides: true, .. } => 0o111,
            User { uid, .. } if *uid == owner => 0o100,
            User { gid, groups, .. } if *gid == group || groups.contains(&group) => 0o010,
            User { .. } => 0o001,
        };
        mode & bit != 0
    }
}

/// Whether a file's mode lets us execute it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Execution {
    Allowed,
    /// It lets others, not us. An access list may still allow it, so this is no proof.
    NotForUs,
    /// It lets nobody, not even root.
    Forbidden,
}

pub(crate) fn execution(file: &Metadata) -> Execution {
    match file.mode() & 0o111 {
        0 => Execution::Forbidden,
        // The usual case is decided without asking /proc.
        0o111 => Execution::Allowed,
        _ => match User::own() {
            Some(user) if !user.may_enter(file) => Execution::NotForUs,
            Some(_) | None => Execution::Allowed,
        },
    }
}

/// The subject of a sentence: `uid 1000`.
pub(crate) fn who() -> String {
    match User::own() {
        Some(user) => user.who(),
        None => "this user".into(),
    }
}

/// What to say of a file that somebody may not execute, whom its mode leaves out.
pub(crate) fn not_for(who: &str, file: &Metadata, path: &Path) -> String {
    format!("is not executable by {who} ({}): chmod a+x {}", ownership(file), shown(path))
}

/// What a mode and an owner look like in a message.
pub(crate) fn ownership(file: &Metadata) -> String {
    format!("mode {:04o}, owner {}:{}", file.mode() & 0o7777, file.uid(), file.gid())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32, capabilities: &str) -> User {
        let status = format!("Name:\tx\nUid:\t0\t0\t0\t{uid}\nGid:\t5\t5\t5\t5\nGroups:\t7 8 \nCapEff:\t{capabilities}\n");
        User::parse(&status).expect("a complete status")
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let somebody = user(1000, "0000000000000000");
        assert!(somebody.may_execute(0o100, 1000, 0));
        assert!(!somebody.may_execute(0o011, 1000, 5), "the owner is not asked as group or other");
        assert!(somebody.may_execute(0o010, 0, 8));
        assert!(!somebody.may_execute(0o101, 0, 7), "a member is not asked as other");
        assert!(somebody.may_execute(0o001, 0, 0));
        assert!(!somebody.may_execute(0o110, 0, 0));
    }

    #[test]
    fn root_needs_the_capability_and_one_bit() {
        let root = user(0, "000001ffffffffff");
        assert!(root.may_execute(0o100, 1000, 1000));
        assert!(!root.may_execute(0o666, 1000, 1000));
        let root_of_cap_drop_all = user(0, "0000000000000000");
        assert!(!root_of_cap_drop_all.may_execute(0o700, 1000, 1000));
    }

    #[test]
    fn half_a_status_is_no_answer() {
        assert_eq!(User::parse("Uid:\t0\t0\t0\t0\n"), None);
        assert_eq!(User::parse(""), None);
        assert!(User::own().is_some(), "tests run where there is a /proc");
    }
}
