//! Whether an expression holds.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::unistd::{AccessFlags, Gid, Uid, access};
use svc_sys::fd;
use svc_sys::regex::Regex;

use super::parse::Expression;
use crate::command::{Failure, number};

impl Expression<'_> {
    pub(super) fn holds(&self) -> Result<bool, Failure> {
        match self {
            Expression::Not(inner) => inner.holds().map(|holds| !holds),
            Expression::And(both) => Ok(both[0].holds()? && both[1].holds()?),
            Expression::Or(both) => Ok(both[0].holds()? || both[1].holds()?),
            Expression::Word(word) => Ok(!word.is_empty()),
            Expression::One(operator, word) => one(operator, word),
            Expression::Two(operator, [left, right]) => two(operator, left, right),
        }
    }
}

fn path(word: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(word))
}

fn one(operator: &[u8], word: &[u8]) -> Result<bool, Failure> {
    let file = |holds: fn(&Metadata) -> bool| path(word).metadata().is_ok_and(|data| holds(&data));
    let may = |flags| access(path(word), flags).is_ok();
    Ok(match operator {
        b"-n" => !word.is_empty(),
        b"-z" => word.is_empty(),
        b"-v" => std::env::var_os(OsStr::from_bytes(word)).is_some(),
        b"-t" => {
            let number = number(OsStr::from_bytes(word), "what stands after -t")?;
            fd::borrow(number).is_some_and(|fd| nix::unistd::isatty(fd) == Ok(true))
        }
        b"-e" => may(AccessFlags::F_OK),
        b"-r" => may(AccessFlags::R_OK),
        b"-w" => may(AccessFlags::W_OK),
        b"-x" => may(AccessFlags::X_OK),
        b"-h" | b"-L" => fs::symlink_metadata(path(word)).is_ok_and(|data| data.is_symlink()),
        b"-f" => file(Metadata::is_file),
        b"-d" => file(Metadata::is_dir),
        b"-b" => file(|data| data.file_type().is_block_device()),
        b"-c" => file(|data| data.file_type().is_char_device()),
        b"-p" => file(|data| data.file_type().is_fifo()),
        b"-S" => file(|data| data.file_type().is_socket()),
        b"-s" => file(|data| data.len() > 0),
        b"-u" => file(|data| data.mode() & 0o4000 != 0),
        b"-g" => file(|data| data.mode() & 0o2000 != 0),
        b"-k" => file(|data| data.mode() & 0o1000 != 0),
        b"-O" | b"-U" => file(|data| data.uid() == Uid::effective().as_raw()),
        b"-G" => file(|data| data.gid() == Gid::effective().as_raw()),
        b"-N" => file(|data| (data.mtime(), data.mtime_nsec()) > (data.atime(), data.atime_nsec())),
        _ => return Err(unknown(operator)),
    })
}

fn two(operator: &[u8], left: &[u8], right: &[u8]) -> Result<bool, Failure> {
    let numbers = || Ok::<_, Failure>((integer(left, operator)?, integer(right, operator)?));
    let changed = |word| path(word).metadata().ok().map(|data| (data.mtime(), data.mtime_nsec()));
    let same = |word| path(word).metadata().ok().map(|data| (data.dev(), data.ino()));
    Ok(match operator {
        b"=" => left == right,
        b"!=" => left != right,
        b"<" => left < right,
        b"<=" => left <= right,
        b">" => left > right,
        b">=" => left >= right,
        b"=~" => {
            let regex = Regex::new(right).map_err(|why| {
                Failure::usage(format!("'{}' is not a regular expression: {why}", String::from_utf8_lossy(right)))
            })?;
            regex.is_match(left)
        }
        b"-eq" => numbers().map(|(left, right)| left == right)?,
        b"-ne" => numbers().map(|(left, right)| left != right)?,
        b"-gt" => numbers().map(|(left, right)| left > right)?,
        b"-ge" => numbers().map(|(left, right)| left >= right)?,
        b"-lt" => numbers().map(|(left, right)| left < right)?,
        b"-le" => numbers().map(|(left, right)| left <= right)?,
        // A file that is there is newer than one that is not.
        b"-nt" => changed(left).is_some_and(|left| changed(right).is_none_or(|right| left > right)),
        b"-ot" => changed(left).is_none_or(|left| changed(right).is_some_and(|right| left < right)),
        b"-ef" => same(left).is_some_and(|left| same(right) == Some(left)),
        _ => return Err(unknown(operator)),
    })
}

/// The parser lets no other through.
fn unknown(operator: &[u8]) -> Failure {
    Failure::usage(format!("'{}' is no operator", String::from_utf8_lossy(operator)))
}

/// A number, with a sign or without; what follows it does not count, as with s6.
fn integer(word: &[u8], operator: &[u8]) -> Result<i64, Failure> {
    let sign = usize::from(matches!(word, [b'+' | b'-', ..]));
    let digits = word[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let parsed = std::str::from_utf8(&word[..sign + digits]).ok().filter(|_| digits > 0).and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| {
        let [word, operator] = [word, operator].map(String::from_utf8_lossy);
        Failure::usage(format!("'{word}', beside {operator}, is not a number"))
    })
}
