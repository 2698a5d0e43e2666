//! The names of capabilities(7), and lists of them as people write them.

use alloc::string::String;

use crate::graph::distance;

/// Each at its number, without `CAP_`.
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

pub const SETGID: u8 = 6;
pub const SETUID: u8 = 7;
pub const SETPCAP: u8 = 8;
pub const SYS_CHROOT: u8 = 18;
pub const SYS_ADMIN: u8 = 21;
pub const SYS_NICE: u8 = 23;
pub const SYS_RESOURCE: u8 = 24;

/// The word for all there are.
pub const ALL: &str = "all";

/// The number of a name, with or without `CAP_`, in letters of any size.
pub fn number(name: &str) -> Option<u8> {
    let prefix = name.get(..4).filter(|prefix| prefix.eq_ignore_ascii_case("CAP_"));
    let name = prefix.map_or(name, |_| &name[4..]);
    NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)).map(|at| at as u8)
}

/// The known name that looks most like this one.
pub fn nearest(name: &str) -> Option<&'static str> {
    let upper: String = name.trim_start_matches('-').to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    let most = (bare.len() / 3).max(1);
    let found = NAMES.iter().map(|known| (distance(bare, known), *known)).filter(|(far, _)| *far <= most);
    found.min().map(|(_, known)| known)
}

/// Whether this is a word of a list: a name, `all`, or either behind a `-`.
pub fn is_word(word: &str) -> bool {
    let bare = word.strip_prefix('-').unwrap_or(word);
    bare == ALL || number(bare).is_some()
}

/// The capabilities that a list stands for, a bit each, out of `all`. Names add and `-NAME` takes away, in their order; a list
/// that begins with taking away begins with all. What is named and not in `all` stays named: who carries it out will be
/// refused. None if a word is unknown.
pub fn chosen<'a>(words: impl Iterator<Item = &'a str>, all: u64) -> Option<u64> {
    let mut set = None;
    for word in words {
        let (bare, takes) = word.strip_prefix('-').map_or((word, false), |bare| (bare, true));
        let bits = if bare == ALL { all } else { 1 << number(bare)? };
        let before = set.unwrap_or(if takes { all } else { 0 });
        set = Some(if takes { before & !bits } else { before | bits });
    }
    Some(set.unwrap_or(0))
}

/// The names of the bits of a set.
pub fn names(set: u64) -> impl Iterator<Item = &'static str> {
    NAMES.iter().enumerate().filter(move |(number, _)| set & (1 << number) != 0).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_every_spelling() {
        assert_eq!(number("NET_BIND_SERVICE"), Some(10));
        assert_eq!(number("cap_net_bind_service"), Some(10));
        assert_eq!((number("CHECKPOINT_RESTORE"), number("CAP_"), number("")), (Some(40), None, None));
        assert_eq!(nearest("CAP_NET_BIND_SERVCE"), Some("NET_BIND_SERVICE"));
        assert_eq!(nearest("-sys_admn"), Some("SYS_ADMIN"));
        assert_eq!(nearest("wholly"), None);
    }

    #[test]
    fn lists_add_and_take_away() {
        let set = |words: &[&str]| chosen(words.iter().copied(), 0b111);
        assert_eq!(set(&[]), Some(0));
        assert_eq!(set(&["CHOWN", "FOWNER"]), Some(0b1001), "what is not there stays named");
        assert_eq!(set(&["all", "-DAC_OVERRIDE"]), Some(0b101));
        assert_eq!(set(&["-CAP_CHOWN"]), Some(0b110), "taking away begins with all");
        assert_eq!(set(&["CHOWN", "-all", "DAC_OVERRIDE"]), Some(0b10));
        assert_eq!(set(&["CHWON"]), None);
        assert!(names(0b101).eq(["CHOWN", "DAC_READ_SEARCH"]));
        assert!(is_word("-all") && is_word("cap_chown") && !is_word("-") && !is_word("none"));
    }
}
