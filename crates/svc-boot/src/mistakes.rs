//! Scripts that do not run as they are: how they are run all the same, and what is said about them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
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
    /// The first line names a program that svc is itself, in a place where the image has no link of that name. That is no mistake of
    /// the image's: nothing is said of it.
    NoLink,
}

/// Interpreters that svc is itself.
pub(crate) const OURS: [&str; 2] = ["execlineb", "with-contenv"];

/// Looks at a script; none if nothing is wrong, or if it is no file that can be read.
pub(crate) fn find(path: &Path) -> Option<Mistake> {
    let data = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let head = head(path);
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.starts_with(b"#!") && line.ends_with(b"\r") {
        return Some(Mistake::CarriageReturn);
    }
    if data.permissions().mode() & 0o111 == 0 {
        return Some(Mistake::NotExecutable);
    }
    let interpreter = interpreter(&head)?;
    let is_ours = OURS.iter().any(|name| interpreter.file_name().is_some_and(|file| file == *name));
    (is_ours && !interpreter.exists()).then_some(Mistake::NoLink)
}

/// Whether it has a first line that names an interpreter.
pub(crate) fn is_script(path: &Path) -> bool {
    head(path).starts_with(b"#!")
}

/// Whether the kernel would not run a script because of its first line.
pub(crate) fn is_refused(path: &Path) -> bool {
    match find(path) {
        Some(Mistake::CarriageReturn) => true,
        Some(Mistake::NoLink) => false,
        Some(Mistake::NotExecutable) | None => interpreter(&head(path)).is_some_and(|interpreter| {
            let data = fs::metadata(interpreter).ok().filter(fs::Metadata::is_file);
            data.is_none_or(|data| data.permissions().mode() & 0o111 == 0)
        }),
    }
}

/// What the first line names, as the kernel reads it.
fn interpreter(head: &[u8]) -> Option<&Path> {
    let line = head.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let word = line.trim_ascii().split(u8::is_ascii_whitespace).next()?;
    Some(Path::new(OsStr::from_bytes(word)))
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
        Mistake::NoLink => {}
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
        Some(Mistake::NotExecutable | Mistake::NoLink) if is_script(path) => {
            let mut command = Command::new("/proc/self/exe");
            command.args(["exec", "--script"]).arg(path);
            command
        }
        Some(Mistake::NotExecutable | Mistake::NoLink) => by_shell(path),
        Some(Mistake::CarriageReturn) | None => Command::new(path),
    }
}

/// The same where a shell would have called it, which runs itself what the kernel does not know.
pub(crate) fn command_of_shell(path: &Path) -> Command {
    if find(path).is_some() || is_script_or_program(path) {
        return command(path);
    }
    let cure = format!("begin {} with #!/bin/sh, or with what it is written for", path.display());
    complain(path, "has no #! in its first line: run by /bin/sh", &cure);
    by_shell(path)
}

fn by_shell(path: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg(path);
    command
}
