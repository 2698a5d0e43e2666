//! posix-cd and posix-umask: cd and umask as POSIX has them as programs, with a program to execute behind.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use svc_sys::{exit, user};

use super::places::octal;
use super::program::{Changes, become_program};
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub const POSIX_CD: Command = Command {
    name: "posix-cd",
    about: "change the working directory as POSIX says, then execute a program",
    operands: "[DIR PROG...]",
    options: &[
        Opt::flag('L', "take .. as the directory before in the path: the default"),
        Opt::flag('P', "take .. as what it is in the file system"),
    ],
    notes: "Without DIR it is that of HOME, - is that of OLDPWD, and others are looked for in CDPATH. PROG finds the directory in \
            PWD, and the one before in OLDPWD.",
    codes: &[],
    run: cd,
};

pub const POSIX_UMASK: Command = Command {
    name: "posix-umask",
    about: "print or set the mask for new files as POSIX says, then execute a program",
    operands: "[MASK PROG...]",
    options: &[Opt::flag('S', "print it in letters")],
    notes: "MASK is octal, or says in letters what new files may have: u=rwx,g-w,o=",
    codes: &[(1, "MASK cannot be understood")],
    run: umask,
};

fn cd(call: &Call) -> Outcome {
    let (dir, mut says) = match call.operands.first() {
        Some(word) if word == "-" => (std::env::var_os("OLDPWD"), true),
        Some(word) => (Some(word.clone()), false),
        None => (std::env::var_os("HOME"), false),
    };
    let dir = dir.filter(|dir| !dir.is_empty());
    let dir = dir.ok_or_else(|| Failure::usage("there is no directory to change to: DIR, HOME or OLDPWD is empty"))?;
    let before = std::env::current_dir();
    let before = before.map_err(|error| Failure::system(format!("unable to get the working directory: {error}")))?;
    let mut target = PathBuf::from(&dir);
    if let Some(found) = in_cdpath(&target) {
        (target, says) = (found, true);
    }
    let failed = |error: std::io::Error| Failure::system(format!("unable to change to {}: {error}", dir.display()));
    let is_physical = call.last(&['L', 'P']) == Some('P');
    if !is_physical {
        let base = std::env::var_os("PWD").map_or_else(|| before.clone(), PathBuf::from);
        target = without_dots(&base.join(target)).map_err(failed)?;
    }
    std::env::set_current_dir(&target).map_err(failed)?;
    if is_physical {
        target = std::env::current_dir().map_err(failed)?;
    }
    if says {
        println!("{}", target.display());
    }
    let mut changes = Changes::one(OsStr::new("OLDPWD"), before.as_os_str());
    changes.set(OsStr::new("PWD"), target.as_os_str());
    become_program(call.operands.get(1..).unwrap_or_default(), changes)
}

/// The first directory of this name below one of CDPATH.
fn in_cdpath(dir: &Path) -> Option<PathBuf> {
    let begins_at_known_place =
        matches!(dir.components().next()?, Component::RootDir | Component::CurDir | Component::ParentDir);
    if begins_at_known_place {
        return None;
    }
    let list = std::env::var_os("CDPATH")?;
    let places = list.as_bytes().split(|&byte| byte == b':');
    let mut candidates =
        places.map(|place| Path::new(OsStr::from_bytes(if place.is_empty() { b"." } else { place })).join(dir));
    candidates.find(|candidate| candidate.is_dir())
}

/// The path with `.` and `..` taken out, each directory before a `..` being there.
fn without_dots(path: &Path) -> std::io::Result<PathBuf> {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !std::fs::metadata(&result)?.is_dir() {
                    return Err(std::io::ErrorKind::NotADirectory.into());
                }
                result.pop();
            }
            Component::RootDir | Component::Prefix(_) | Component::Normal(_) => result.push(component),
        }
    }
    Ok(result)
}

fn umask(call: &Call) -> Outcome {
    let before = user::set_umask(0o077);
    user::set_umask(before);
    let Some((text, words)) = call.operands.split_first() else {
        println!("{}", if call.has('S') { in_letters(before) } else { format!("{before:04o}") });
        return Ok(exit::DONE);
    };
    let mask = octal(text).map(|mask| mask & 0o777).or_else(|| from_letters(text, before));
    let mask = mask.ok_or_else(|| {
        let message = format!("MASK is octal, or such as u=rwx,g-w,o=: not '{}'", text.display());
        Failure::with_code(exit::FAILED, message)
    })?;
    user::set_umask(mask);
    become_program(words, Changes::default())
}

/// A mask as what it leaves to users, groups and others.
fn in_letters(mask: u32) -> String {
    let of = |who: char, bits: u32| {
        let letters =
            [('r', 4), ('w', 2), ('x', 1)].into_iter().filter(|(_, bit)| bits & bit == 0).map(|(letter, _)| letter);
        format!("{who}={}", letters.collect::<String>())
    };
    [of('u', mask >> 6), of('g', mask >> 3), of('o', mask)].join(",")
}

/// The mask that follows from `before` by clauses such as `u+rw-x,go=`.
fn from_letters(text: &OsStr, before: u32) -> Option<u32> {
    let mut modes = !before & 0o777;
    for clause in text.to_str()?.split(',').filter(|clause| !clause.is_empty()) {
        let actions = clause.find(['+', '-', '='])?;
        let (who, mut rest) = clause.split_at(actions);
        let who = if who.is_empty() { 0o777 } else { who.chars().try_fold(0, |all, letter| Some(all | whose(letter)?))? };
        while let Some(operator) = rest.chars().next() {
            let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |end| end + 1);
            let permissions = permissions(&rest[1..end], modes)? & who;
            match operator {
                '+' => modes |= permissions,
                '-' => modes &= !permissions,
                _ => modes = modes & !who | permissions,
            }
            rest = &rest[end..];
        }
    }
    Some(!modes & 0o777)
}

/// The bits that belong to a letter.
fn whose(letter: char) -> Option<u32> {
    match letter {
        'u' => Some(0o700),
        'g' => Some(0o070),
        'o' => Some(0o007),
        'a' => Some(0o777),
        _ => None,
    }
}

/// What letters allow, for users, groups and others alike: `rwx`, or what one of them has.
fn permissions(letters: &str, modes: u32) -> Option<u32> {
    let bits = match letters {
        "u" => modes >> 6 & 7,
        "g" => modes >> 3 & 7,
        "o" => modes & 7,
        letters => letters.chars().try_fold(0, |all, letter| {
            Some(
                all | match letter {
                    'r' => 4,
                    'w' => 2,
                    'x' | 'X' => 1,
                    's' | 't' => 0,
                    _ => return None,
                },
            )
        })?,
    };
    Some(bits * 0o111)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_in_letters() {
        assert_eq!(in_letters(0o022), "u=rwx,g=rx,o=rx");
        assert_eq!(in_letters(0o777), "u=,g=,o=");
        for (text, before, mask) in [
            ("u=rwx,g=rx,o=", 0o000, 0o027),
            ("g+w", 0o022, 0o002),
            ("a-x", 0o000, 0o111),
            ("=rw", 0o000, 0o111),
            ("go=u", 0o077, 0o000),
            ("u-w+x,o=g", 0o122, 0o222),
            ("", 0o022, 0o022),
        ] {
            assert_eq!(from_letters(OsStr::new(text), before), Some(mask), "{text}");
        }
        for bad in ["u", "z=r", "u=y", "u=rg", "8"] {
            assert_eq!(from_letters(OsStr::new(bad), 0o022), None, "{bad}");
        }
    }

    #[test]
    fn dots_are_taken_out_of_a_path_that_is_there() {
        assert_eq!(without_dots(Path::new("/usr/./bin/../lib/")).ok(), Some(PathBuf::from("/usr/lib")));
        assert_eq!(without_dots(Path::new("/..")).ok(), Some(PathBuf::from("/")));
        assert!(without_dots(Path::new("/no such thing/..")).is_err());
    }
}
