//! Variables from directories with a file each, and who gets which.

use std::fs;
use std::path::Path;

use crate::Variable;
use crate::files;

/// The variables of a directory, a file each, as s6-envdir and with-contenv have them: one newline at the end does not count, and
/// an empty file (None) takes the variable away.
pub fn of_directory(dir: &Path) -> Result<Vec<(String, Option<String>)>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}{}", dir.display(), files::cure_of_reading(&error));
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let text = name.to_str().filter(|name| !name.contains('='));
        let name = text.ok_or_else(|| format!("{}: {} is no name of a variable", dir.display(), name.display()))?;
        if !name.starts_with('.') && dir.join(name).is_file() {
            names.push(name.to_owned());
        }
    }
    names.sort();
    names.into_iter().map(|name| content(dir, name)).collect()
}

/// What a file of variables says, or why it cannot be read.
pub fn of_file(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{}: {error}{}", file.display(), files::cure_of_reading(&error)))
}

fn content(dir: &Path, name: String) -> Result<(String, Option<String>), String> {
    let text = files::read(&dir.join(&name))?;
    if text.contains('\0') {
        return Err(format!("{}: has a NUL byte, which no variable can have", dir.join(&name).display()));
    }
    let value = (!text.is_empty()).then(|| text.strip_suffix('\n').unwrap_or(&text).to_owned());
    Ok((name, value))
}

/// Whether a name is one of those that patterns such as `WEB_*` mean.
pub fn matches(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| fast_glob::glob_match(pattern, name))
}

/// Those that are to be removed so that only the allowed ones are left. PATH stays: without it no program is found.
pub fn not_allowed<'a>(
    allowed: &'a [String],
    names: impl Iterator<Item = String> + 'a,
) -> impl Iterator<Item = String> + 'a {
    names.filter(move |name| name != "PATH" && !matches(allowed, name))
}

/// The environment of this process, as far as it is text; what is not has no place in a template.
pub fn all() -> Vec<Variable> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}
