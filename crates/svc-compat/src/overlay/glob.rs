//! Paths with wildcards, as the shell expands them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a pattern stands for, in order; the pattern itself if nothing is like it.
pub fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str();
        let is_plain = !part.as_bytes().iter().any(|byte| b"*?[\\".contains(byte));
        found = found.into_iter().flat_map(|dir| if is_plain { vec![dir.join(part)] } else { like(&dir, part) }).collect();
    }
    found.retain(|path| fs::symlink_metadata(path).is_ok());
    if found.is_empty() { vec![pattern.to_owned()] } else { found }
}

/// The entries of a directory whose names are like this.
fn like(dir: &Path, pattern: &OsStr) -> Vec<PathBuf> {
    let place = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    names.retain(|name| {
        // A dot in front must be asked for.
        let hidden = name.as_bytes().starts_with(b".") && !pattern.as_bytes().starts_with(b".");
        !hidden && matches(pattern.as_bytes(), name.as_bytes())
    });
    names.sort_unstable();
    names.into_iter().map(|name| dir.join(name)).collect()
}

/// Whether a name is like a pattern of `*`, `?`, `[...]` and `\` in front of what stands for itself.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], rest) => rest.is_empty(),
        ([b'*', after @ ..], _) => (0..=name.len()).any(|skipped| matches(after, &name[skipped..])),
        ([_, ..], []) => false,
        ([b'?', after @ ..], [_, rest @ ..]) => matches(after, rest),
        ([b'\\', byte, after @ ..], [first, rest @ ..]) => byte == first && matches(after, rest),
        ([b'[', set @ ..], [first, rest @ ..]) => match one_of(set, *first) {
            Some((is_one, after)) => is_one && matches(after, rest),
            None => *first == b'[' && matches(set, rest),
        },
        ([byte, after @ ..], [first, rest @ ..]) => byte == first && matches(after, rest),
    }
}

/// Whether a byte is in a set, of which the opening bracket is gone, and what stands behind the set; none if it does not end.
fn one_of(set: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, set) = match set {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    // A closing bracket in the first place stands for itself.
    let end = 1 + set.get(1..)?.iter().position(|&byte| byte == b']')?;
    let (mut members, mut is_one) = (&set[..end], false);
    while let [first, rest @ ..] = members {
        match rest {
            [b'-', last, rest @ ..] => {
                is_one |= (*first..=*last).contains(&byte);
                members = rest;
            }
            _ => {
                is_one |= *first == byte;
                members = rest;
            }
        }
    }
    Some((is_one != negated, &set[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_like_patterns_as_in_a_shell() {
        let like = |pattern: &str, name: &str| matches(pattern.as_bytes(), name.as_bytes());
        for (pattern, name) in [
            ("*", "a"),
            ("a*c", "abbc"),
            ("a*c", "ac"),
            ("?", "x"),
            ("[a-c]x", "bx"),
            ("[!a]", "b"),
            ("[]]", "]"),
            ("\\*", "*"),
        ] {
            assert!(like(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("a*c", "abb"), ("?", ""), ("[a-c]", "d"), ("[!a]", "a"), ("\\*", "a"), ("[a", "a"), ("a", "ab")]
        {
            assert!(!like(pattern, name), "{pattern} {name}");
        }
        assert!(like("[a", "[a"));
    }
}
