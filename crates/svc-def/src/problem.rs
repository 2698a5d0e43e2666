//! How a problem is said: one line, with what is wrong, where, and the cure. What comes from a disk is never printed raw, so
//! that no name and no content of a file can move the cursor of somebody's terminal or break a log into two lines.

use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use svc_core::files::ORIGIN;
use svc_core::name::turns_text;

/// One thing wrong with a directory, in one line: what, where and the cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub path: PathBuf,
    /// Line and column, where that helps; both begin with 1.
    pub place: Option<(u32, u32)>,
    /// Nothing can be started as long as this is so.
    pub fatal: bool,
    pub message: String,
}

impl Problem {
    pub(crate) fn fatal(path: impl Into<PathBuf>, message: String) -> Problem {
        Problem { path: source(path.into()), place: None, fatal: true, message }
    }

    pub(crate) fn warning(path: impl Into<PathBuf>, message: String) -> Problem {
        Problem { path: source(path.into()), place: None, fatal: false, message }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, message) = (shown_with_target(&self.path), printable(self.message.as_bytes()));
        match self.place {
            Some((line, column)) => write!(f, "{path}:{line}:{column}: {message}"),
            None => write!(f, "{path}: {message}"),
        }
    }
}

/// The file that is to be corrected: where `/init` has laid out directories of links, the one of the image. It keeps the names of
/// files; somebody else's link may lead to what is not to be touched.
pub(crate) fn source(path: PathBuf) -> PathBuf {
    let is_laid_out = || path.ancestors().skip(1).take(2).any(|dir| std::fs::read_link(dir.join(ORIGIN)).is_ok());
    match std::fs::read_link(&path) {
        Ok(target) if target.is_absolute() && target.exists() => {
            if target.file_name() == path.file_name() || is_laid_out() {
                target
            } else {
                path
            }
        }
        Ok(_) | Err(_) => origin(&path).unwrap_or(path),
    }
}

fn origin(path: &Path) -> Option<PathBuf> {
    let dir = std::fs::read_link(path.parent()?.join(ORIGIN)).ok()?;
    Some(dir.join(path.file_name()?))
}

/// A path, and where it leads if it is a link: `/etc/s6/web/run -> /opt/web/start`.
fn shown_with_target(path: &Path) -> String {
    match std::fs::read_link(path) {
        Ok(target) if path.exists() => format!("{} -> {}", shown(path), shown(&target)),
        Ok(_) | Err(_) => shown(path),
    }
}

/// A path as it may be printed: `/etc/s6/web\n` comes out with a backslash and an n. What is too long to be one is cut.
pub fn shown(path: &Path) -> String {
    /// NAME_MAX and PATH_MAX.
    const LONGEST: (usize, usize) = (255, 4096);
    let bytes = path.as_os_str().as_bytes();
    let is_path = bytes.len() < LONGEST.1 && bytes.split(|&byte| byte == b'/').all(|name| name.len() <= LONGEST.0);
    if is_path { printable(bytes) } else { short(bytes) }
}

/// Bytes of a file as they may be printed, in quotes, and not more of them than help: `"5s"`.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", short(bytes).replace('"', "\\\""))
}

/// The same without quotes.
pub(crate) fn short(bytes: &[u8]) -> String {
    /// Enough to recognise a line, short enough to keep the cure on the screen.
    const MOST: usize = 60;
    match bytes.get(..MOST) {
        Some(start) if bytes.len() > MOST => printable(start) + "...",
        Some(_) | None => printable(bytes),
    }
}

/// What a terminal obeys instead of showing it.
fn is_strange(character: char) -> bool {
    character.is_control() || turns_text(character)
}

/// A text as it may be printed: on one line, and with nothing in it that a terminal obeys.
pub fn printable(bytes: &[u8]) -> String {
    // Nearly all are plain.
    let plain = std::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(is_strange));
    if let Some(plain) = plain {
        return plain.to_owned();
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_strange(character) {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("a String takes everything");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn what_is_printed_never_contains_control_bytes() {
        let path = Path::new(OsStr::from_bytes(b"/etc/s6/a\x1b[2J\n\xff caf\xc3\xa9"));
        let problem = Problem::fatal(path, "says \"\r\u{202e}\"".into());
        assert_eq!(problem.to_string(), "/etc/s6/a\\u{1b}[2J\\n\\xff café: says \"\\r\\u{202e}\"");
    }

    #[test]
    fn a_quotation_is_short() {
        assert_eq!(quoted(b"5s"), "\"5s\"");
        assert_eq!(quoted(b"say \"no\""), "\"say \\\"no\\\"\"");
        assert_eq!(quoted(&[b'x'; 100]), format!("\"{}...\"", "x".repeat(60)));
        assert_eq!(quoted(&[b'x'; 60]), format!("\"{}\"", "x".repeat(60)));
        let name = |length: usize| "x".repeat(length);
        assert_eq!(shown(Path::new(&name(255))), name(255));
        assert_eq!(shown(Path::new(&name(256))), name(60) + "...", "nothing can have this name");
    }
}
