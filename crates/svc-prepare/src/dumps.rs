//! The environment as files: what shells source, what programs parse, and the directory that `variables::of_directory` reads.

use std::fs;
use std::path::Path;

use crate::files::{self, Like};
use crate::{Owner, Variable};

/// A file for each variable. A newline at the end of a value is doubled: one does not count when it is read.
pub fn to_directory(dir: &Path, variables: &[Variable]) -> Result<(), String> {
    for (name, value) in variables.iter().filter(|(name, _)| !name.contains('/') && !name.starts_with('.')) {
        let newline = if value.ends_with('\n') { "\n" } else { "" };
        let path = dir.join(name);
        fs::write(&path, format!("{value}{newline}")).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Lines that a shell sources. A name that no shell can have gets underscores.
pub fn for_shell(variables: &[Variable]) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let line = |(name, value): &Variable| {
        let name: String = name.chars().map(letter).collect();
        format!("export {name}='{}'\n", value.replace('\'', r"'\''"))
    };
    variables.iter().map(line).collect()
}

/// One object, a member for each variable.
pub fn json(variables: &[Variable]) -> String {
    let members = variables.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
    serde_json::Value::Object(members.collect()).to_string()
}

/// Writes such a file, whole or not at all. One that is there keeps its owner and mode; a new one can be read by `group` only.
pub fn write(path: &Path, content: &str, group: Option<u32>) -> Result<(), String> {
    let owner = group.map(|gid| Owner { uid: 0, gid });
    let like = fs::metadata(path).map_or(Like { owner, mode: 0o640 }, |data| Like::of(&data));
    files::write(path, content.as_bytes(), like)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_is_more_than_text() {
        let variables = [("A-B".to_owned(), "it's $HOME\n\"\\\u{1}ü".to_owned()), ("C".to_owned(), String::new())];
        assert_eq!(for_shell(&variables), "export A_B='it'\\''s $HOME\n\"\\\u{1}ü'\nexport C=''\n");
        assert_eq!(json(&variables), r#"{"A-B":"it's $HOME\n\"\\\u0001ü","C":""}"#);
    }
}
