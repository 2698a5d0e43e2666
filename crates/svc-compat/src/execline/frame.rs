//! Positional parameters in the environment: `#`, `0`, `1` and so on, and the stack that they are pushed to.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::program::{Changes, refused};
use crate::command::Failure;

/// What the names of variables begin with that execlineb pushes.
pub const POSITIONAL: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "#"];
/// And those that elgetopt pushes.
pub const OPTIONS: &[&str] = &["ELGETOPT_"];

/// A number as variables and arguments have them: digits only.
pub fn decimal(text: &OsStr) -> Option<u32> {
    text.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// The variable, which must be there.
pub fn variable(name: &str) -> Result<OsString, Failure> {
    std::env::var_os(name).ok_or_else(|| {
        let cure = "the positional parameters are variables only below execlineb without -P, -S and -s";
        refused(format!("{name} is not set: {cure}"))
    })
}

/// The number of positional parameters.
pub fn count() -> Result<u32, Failure> {
    let text = variable("#")?;
    decimal(&text).ok_or_else(|| refused(format!("# must be a number, not '{}'", text.display())))
}

/// The name of a variable taken apart: `NAME` or `NAME:LEVEL`. None: a level that is no number.
fn level(name: &[u8]) -> Option<(&[u8], u32)> {
    match name.iter().skip(1).position(|&byte| byte == b':') {
        None => Some((name, 0)),
        Some(colon) => {
            let digits = &name[colon + 2..];
            let number = if digits.is_empty() { None } else { decimal(OsStr::from_bytes(digits)) };
            number.map(|number| (&name[..=colon], number))
        }
    }
}

fn named(base: &[u8], level: u32) -> OsString {
    let mut name = base.to_vec();
    if level > 0 {
        name.extend(format!(":{level}").bytes());
    }
    OsString::from_vec(name)
}

/// The variables of `environment` whose names begin with one of `prefixes`, each one level deeper.
pub fn push(environment: impl Iterator<Item = (OsString, OsString)>, prefixes: &[&str]) -> Changes {
    shift_levels(environment, prefixes, |level| level.checked_add(1))
}

/// The same, each one level higher: those on top are dropped.
pub fn pop(environment: impl Iterator<Item = (OsString, OsString)>, prefixes: &[&str]) -> Changes {
    shift_levels(environment, prefixes, |level| level.checked_sub(1))
}

fn shift_levels(
    environment: impl Iterator<Item = (OsString, OsString)>,
    prefixes: &[&str],
    shift: impl Fn(u32) -> Option<u32>,
) -> Changes {
    let mut changes = Changes::default();
    let mut new = Vec::new();
    for (name, value) in environment {
        if !prefixes.iter().any(|prefix| name.as_bytes().starts_with(prefix.as_bytes())) {
            continue;
        }
        // One with a level that is none of ours, `1:x`, stays as it is; and so does `1:0`, which nobody pushed.
        let Some((base, old)) = level(name.as_bytes()).filter(|(base, level)| *level > 0 || base.len() == name.len()) else {
            continue;
        };
        changes.unset(&name);
        if let Some(level) = shift(old) {
            new.push((named(base, level), value));
        }
    }
    for (name, value) in new {
        changes.set(&name, &value);
    }
    changes
}

/// The positional parameters, from `0` on.
pub fn positional() -> Result<Vec<OsString>, Failure> {
    (0..=count()?).map(|number| variable(&number.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> impl Iterator<Item = (OsString, OsString)> {
        let variables =
            [("#", "2"), ("0", "p"), ("1", "a"), ("1:1", "b"), ("1:2", "c"), ("1:x", "d"), ("1a", "e"), ("A", "f")];
        variables.into_iter().map(|(name, value)| (name.into(), value.into()))
    }

    #[test]
    fn pushing_makes_room_for_new_ones() {
        let expected = ["#", "0", "1", "1:1", "1:2", "1a", "#:1=2", "0:1=p", "1:1=a", "1:2=b", "1:3=c", "1a:1=e"];
        assert_eq!(push(environment(), POSITIONAL).assignments(), expected);
    }

    #[test]
    fn popping_brings_the_old_ones_back() {
        let expected = ["#", "0", "1", "1:1", "1:2", "1a", "1=b", "1:1=c"];
        assert_eq!(pop(environment(), POSITIONAL).assignments(), expected);
        assert!(pop(environment(), OPTIONS).assignments().is_empty());
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!(decimal(OsStr::new("12")), Some(12));
        for bad in ["", "-1", "+1", "1x", " 1", "99999999999"] {
            assert_eq!(decimal(OsStr::new(bad)), None, "{bad}");
        }
    }
}
