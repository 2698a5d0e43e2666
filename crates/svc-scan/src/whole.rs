//! Files that the next svc-scan reads: whole or not at all, and for nobody else, as there may be secrets in them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Makes the folder too.
pub(crate) fn write(file: &Path, content: &[u8]) -> io::Result<()> {
    let new = file.with_file_name(format!(".{}.new", file.file_name().unwrap_or_default().to_string_lossy()));
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
    let written = written.and_then(|mut open| open.write_all(content));
    written.inspect_err(|_| _ = fs::remove_file(&new))?;
    fs::rename(new, file)
}
