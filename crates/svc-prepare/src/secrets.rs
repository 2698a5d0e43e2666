//! Secrets from files: into a variable of one program, or into files that only its user can read. They never stand in arguments,
//! and no message repeats them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::files::{self, Like};
use crate::variables::matches;
use crate::{Owner, Variable};

/// Where engines put secrets; a name without a slash is looked for there.
pub const DEFAULT: &str = "/run/secrets";
/// A secret is a password or a key. What is longer is the wrong file.
const MOST: u64 = 1 << 20;

/// The file that is meant: one of `/run/secrets`, unless it has a place of its own.
pub fn place(file: &str) -> PathBuf {
    if file.contains('/') { PathBuf::from(file) } else { Path::new(DEFAULT).join(file) }
}

/// The value of a variable that is kept in a file; one newline at its end does not count.
pub fn value(file: &Path) -> Result<String, String> {
    let bytes = bytes(file)?;
    let text =
        String::from_utf8(bytes).map_err(|_| format!("{}: is not UTF-8, so it can be no variable", file.display()))?;
    if text.contains('\0') {
        return Err(format!("{}: has a NUL byte, which no variable can have", file.display()));
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn bytes(file: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| {
        let cure = match error.kind() {
            std::io::ErrorKind::NotFound => {
                ": mount the secret there (docker run --mount, secrets: of compose), or correct the name"
            }
            std::io::ErrorKind::PermissionDenied => {
                ": svc's user may not read it: start svc as root, or give the secret another mode"
            }
            _ => "",
        };
        format!("cannot read the secret {}: {error}{cure}", file.display())
    };
    let metadata = fs::metadata(file).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > MOST {
        return Err(format!("{}: is no secret: a file of at most {MOST} bytes is one", file.display()));
    }
    fs::read(file).map_err(failed)
}

/// What becomes of `DB_PASSWORD_FILE=/run/secrets/db` and `FILE__DB_PASSWORD=/run/secrets/db`: the variables to set, and the names of
/// those to remove.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FromFiles {
    pub set: Vec<Variable>,
    pub unset: Vec<String>,
}

/// Looks for variables that name the file of another one; only for those that are asked for, because `LOG_FILE` is no secret.
pub fn of_variables(wanted: &[String], variables: &[Variable]) -> Result<FromFiles, String> {
    let mut found = FromFiles::default();
    for (pointer, file) in variables.iter().filter(|(_, file)| !file.is_empty()) {
        let name = pointer.strip_prefix("FILE__").or_else(|| pointer.strip_suffix("_FILE")).filter(|name| !name.is_empty());
        let Some(name) = name.filter(|name| matches(wanted, name)) else { continue };
        let given = variables.iter().any(|(known, value)| known == name && !value.is_empty());
        if given || found.set.iter().any(|(known, _)| known == name) {
            return Err(format!("{name} is given twice, by {pointer} too: remove one of the two"));
        }
        let value = value(Path::new(file)).map_err(|what| format!("{pointer}: {what}"))?;
        found.set.push((name.to_owned(), value));
        found.unset.push(pointer.clone());
    }
    Ok(found)
}

/// Copies secrets to where only one user can read them, under other names if need be.
pub fn hand_over(dir: &Path, secrets: &[(String, PathBuf)], owner: Option<Owner>) -> Result<(), String> {
    // It stays our own: root without CAP_DAC_OVERRIDE could neither write into a user's, nor take it away in the end.
    match owner {
        Some(owner) => files::make_directory(dir, Some(Owner { uid: crate::me().uid, ..owner }), 0o750)?,
        None => files::make_directory(dir, None, 0o700)?,
    }
    for (name, file) in secrets {
        files::write(&dir.join(name), &bytes(file)?, Like { owner, mode: 0o400 })?;
    }
    Ok(())
}
