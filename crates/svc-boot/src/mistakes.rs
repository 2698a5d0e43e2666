//! Scripts that do not run as they are: how they are run all the same, and what is said about them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::complain;

/// What keeps the kernel from running a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    NotExecutable,
    /// The first line ends in a carriage return, which the kernel takes for part of the interpreter's name.
    CarriageReturn,
}

/// Looks at a script; none if nothing is wrong, or if it is no file that can be read.
pub(crate) fn find(path: &Path) -> Option<Mistake> {
    let data = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let head = head(path);
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.starts_with(b"#!") && line.ends_with(b"\r") {
        return Some(Mistake::CarriageReturn);
    }
    (data.permissions().mode() & 0o111 == 0).then_some(Mistake::NotExecutable)
}

/// Whether it has a first line that names an interpreter.
pub(crate) fn is_script(path: &Path) -> bool {
    head(path).starts_with(b"#!")
}

/// Whether it lacks nothing but the executable bit.
pub(crate) fn is_script_or_program(path: &Path) -> bool {
    let head = head(path);
    head.starts_with(b"#!") || head.starts_with(b"\x7fELF")
}

fn head(path: &Path) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        let _ = file.take(512).read_to_end(&mut bytes);
    }
    bytes
}

/// The check of s6-notifyoncheck, which runs it as it is.
pub(crate) fn look_at_check(layers: &[PathBuf]) {
    let check = layers.iter().rev().map(|layer| layer.join("data/check")).find(|path| path.exists());
    if let Some(path) = check.filter(|path| find(path) == Some(Mistake::NotExecutable)) {
        let cure = format!("chmod +x {}", path.display());
        complain(&path, "is not executable, so s6-notifyoncheck never finds the service ready", &cure);
    }
}

/// Says what is wrong, with its cure.
pub(crate) fn tell(path: &Path, mistake: Mistake) {
    let path_shown = path.display();
    match mistake {
        Mistake::NotExecutable => complain(
            path,
            "is not executable: run all the same",
            &format!("chmod +x {path_shown}, or COPY --chmod=755 in the Dockerfile"),
        ),
        Mistake::CarriageReturn => complain(
            path,
            "has line ends of Windows: no interpreter has a carriage return in its name",
            &format!("sed -i 's/\\r$//' {path_shown}, and eol=lf in .gitattributes"),
        ),
    }
}

/// The command that runs a script: by its first line where it is not executable. Says so.
pub(crate) fn command(path: &Path) -> Command {
    let mistake = find(path);
    if let Some(mistake) = mistake {
        tell(path, mistake);
    }
    match mistake {
        Some(Mistake::NotExecutable) if is_script(path) => {
            let mut command = Command::new("/proc/self/exe");
            command.args(["exec", "--script"]).arg(path);
            command
        }
        Some(Mistake::NotExecutable) => {
            let mut command = Command::new("/bin/sh");
            command.arg(path);
            command
        }
        Some(Mistake::CarriageReturn) | None => Command::new(path),
    }
}
