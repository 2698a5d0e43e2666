//! Whether the kernel will execute a file, found out by looking at it: its mode, its first line or header, its interpreter and
//! its loader. Executes nothing. Everything it says is a phrase to be put behind the path.

use std::env::consts::ARCH;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::elf::{self, Elf, NotElf};
use crate::errno;
use crate::look::{self, Look, Trouble, look};
use crate::problem::{quoted, shown, source};
use crate::shebang::{self, Shebang};
use crate::user::{self, Execution};

/// One reason why a file will not do what its owner wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What execve(2) will say, or zero where it will say nothing.
    pub(crate) errno: i32,
    /// The kernel is sure to refuse. Otherwise it knows things that we cannot see: access lists, binfmt_misc.
    pub(crate) certain: bool,
    pub(crate) message: String,
}

pub(crate) enum Inspection {
    Absent,
    /// It is there, with these faults: none is the usual case.
    Present(Vec<Fault>),
}

pub(crate) fn inspect(path: &Path) -> Inspection {
    let metadata = match look(path) {
        Look::Absent => return Inspection::Absent,
        Look::Trouble(trouble) => return Inspection::Present(vec![trouble.into()]),
        Look::Here(metadata) => metadata,
    };
    let path = &source(path.to_owned());
    if !metadata.is_file() {
        let kind = look::kind(&metadata);
        let message = format!("is {kind}, and must be a program or a script: move it away and put a file there");
        return Inspection::Present(vec![certain(errno::EACCES, message)]);
    }
    let mut faults = Vec::new();
    let execution = user::execution(&metadata);
    match execution {
        Execution::Allowed => {}
        Execution::Forbidden => {
            // A link may lead to what is none, and is not to become one.
            let cure = match path.is_symlink() {
                true => "let the link lead to a program, or make that one (chmod +x)".to_owned(),
                false => format!("chmod +x {}", shown(path)),
            };
            faults.push(certain(errno::EACCES, format!("is not executable ({}): {cure}", user::ownership(&metadata))));
        }
        Execution::NotForUs => {
            faults.push(uncertain(errno::EACCES, user::not_for(&user::who(), &metadata, path)));
        }
    }
    match look::head(path, HEAD) {
        Ok((file, head)) => faults.extend(content_fault(path, &file, &head, 0)),
        // A program may be executable and not readable; a script may not.
        Err(trouble) => faults.push(Fault { certain: execution != Execution::Allowed, ..trouble.into() }),
    }
    Inspection::Present(faults)
}

/// What keeps a script from being run by its first line as svc reads it: a mode does not matter then, nor a carriage return.
pub(crate) fn fault_of_first_line(path: &Path) -> Option<String> {
    let (_, mut head) = look::head(path, HEAD).ok()?;
    let end = head.iter().position(|&byte| byte == b'\n').unwrap_or(head.len());
    if head[..end].ends_with(b"\r") {
        head.remove(end - 1);
    }
    script_fault(path, &head, 0).filter(|fault| fault.certain).map(|fault| fault.message)
}

/// Enough for the kernel's 256 bytes of a script, and for the header and loader of nearly every program.
const HEAD: usize = 4096;

/// The kernel follows this many scripts that are each other's interpreters (exec_binprm).
const MAX_INTERPRETERS: usize = 5;

fn certain(errno: i32, message: String) -> Fault {
    Fault { errno, certain: true, message }
}

fn uncertain(errno: i32, message: String) -> Fault {
    Fault { errno, certain: false, message }
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Fault {
        certain(trouble.errno, trouble.message())
    }
}

/// What is wrong with the bytes of a file that may be executed.
fn content_fault(path: &Path, file: &File, head: &[u8], depth: usize) -> Option<Fault> {
    if head.is_empty() {
        let message = "is empty: write a script that begins with #!/bin/sh";
        return Some(certain(errno::ENOEXEC, message.into()));
    }
    match elf::parse(head) {
        Ok(elf) => elf_fault(&elf, file),
        Err(NotElf::Truncated) => {
            let message = "begins like a program and ends within its header: copy it again";
            Some(certain(errno::ENOEXEC, message.into()))
        }
        Err(NotElf::OtherFormat) => script_fault(path, head, depth),
    }
}

fn elf_fault(elf: &Elf, file: &File) -> Option<Fault> {
    if !elf.runs_on(ARCH) {
        // Uncertain, because the host's kernel may have an emulator registered, which a container cannot see.
        let message = format!("is built for {}, this machine is {ARCH}: use a build for {ARCH}", elf.machine());
        return Some(uncertain(errno::ENOEXEC, message));
    }
    if !elf.runnable {
        let message = "is an object file or a core dump, not a program: link it, or copy the program that was meant";
        return Some(certain(errno::ENOEXEC, message.into()));
    }
    let range = elf.loader.clone()?;
    // A longer name is no path (PATH_MAX).
    let mut name = vec![0; usize::try_from(range.end - range.start).ok().filter(|length| *length <= 4096)?];
    file.read_exact_at(&mut name, range.start).ok()?;
    let loader = Path::new(OsStr::from_bytes(name.split(|&byte| byte == 0).next()?));
    match look(loader) {
        Look::Here(_) => None,
        Look::Absent => Some(certain(errno::ENOENT, missing_loader(loader))),
        Look::Trouble(trouble) => {
            let message = format!("needs its loader {}, which {}", shown(loader), trouble.message());
            Some(Fault { errno: trouble.errno, certain: true, message })
        }
    }
}

fn missing_loader(loader: &Path) -> String {
    let name = loader.file_name().map(OsStr::as_bytes).unwrap_or_default();
    let base = if name.starts_with(b"ld-musl") {
        "a musl base, such as Alpine"
    } else if name.starts_with(b"ld-linux") || name.starts_with(b"ld64.so") || name.starts_with(b"ld.so") {
        "a glibc base, such as Debian"
    } else {
        "an image that has it"
    };
    format!("needs {}, which is not in this image: use a static binary or {base}", shown(loader))
}

fn script_fault(path: &Path, head: &[u8], depth: usize) -> Option<Fault> {
    match shebang::parse(head) {
        Shebang::None => Some(certain(errno::ENOEXEC, no_shebang(path, head))),
        Shebang::Empty => {
            let message = "names no interpreter behind its #!: begin with #!/bin/sh";
            Some(certain(errno::ENOEXEC, message.into()))
        }
        Shebang::TooLong => {
            let most = shebang::KERNEL_BUFFER;
            let message = format!("has a first line that is too long: the kernel reads {most} bytes, use a shorter path");
            Some(certain(errno::ENOEXEC, message))
        }
        Shebang::Interpreter { path: interpreter, argument } => {
            interpreter_fault(path, interpreter, depth).or_else(|| argument_fault(path, interpreter, argument))
        }
    }
}

fn no_shebang(path: &Path, head: &[u8]) -> String {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let path = shown(path);
    if head.strip_prefix(BYTE_ORDER_MARK).is_some_and(|rest| rest.starts_with(b"#!")) {
        format!(
            "begins with a byte order mark, so the kernel does not see its #!: \
             save it without one (sed -i '1s/^\\xef\\xbb\\xbf//' {path})"
        )
    } else if head.trim_ascii_start().starts_with(b"#!") {
        "has blanks or empty lines before its #!: make #! the first two bytes of the file".into()
    } else if head.contains(&0) {
        format!(
            "is neither a script nor a program for Linux: use a build for {ARCH}, or a script that begins with #!/bin/sh"
        )
    } else {
        "has no #! line, so the kernel does not know what to run it with: begin it with #!/bin/sh".into()
    }
}

fn interpreter_fault(script: &Path, name: &[u8], depth: usize) -> Option<Fault> {
    // The kernel resolves a relative one from the working directory, which is the service directory.
    let interpreter: PathBuf = script.parent().unwrap_or(Path::new("/")).join(OsStr::from_bytes(name));
    let there = shown(Path::new(OsStr::from_bytes(name)));
    let metadata = match look(&interpreter) {
        Look::Here(metadata) => metadata,
        Look::Absent => return Some(certain(errno::ENOENT, missing_interpreter(script, name))),
        Look::Trouble(trouble) => {
            let message = format!("needs the interpreter {there}, which {}", trouble.message());
            return Some(Fault { errno: trouble.errno, certain: true, message });
        }
    };
    if !metadata.is_file() {
        let kind = look::kind(&metadata);
        let message = format!("needs the interpreter {there}, which is {kind}: name a program, such as #!/bin/sh");
        return Some(certain(errno::EACCES, message));
    }
    let not_executable = || format!("needs the interpreter {there}, which is not executable: chmod a+x {there}");
    match user::execution(&metadata) {
        Execution::Allowed => {}
        Execution::NotForUs => return Some(uncertain(errno::EACCES, not_executable())),
        Execution::Forbidden => return Some(certain(errno::EACCES, not_executable())),
    }
    if depth == MAX_INTERPRETERS {
        let message =
            format!("needs the interpreter {there} behind {depth} others: the kernel follows no more, so name a program");
        return Some(certain(errno::ELOOP, message));
    }
    // One that cannot be read can still run.
    let (file, head) = look::head(&interpreter, HEAD).ok()?;
    let fault = content_fault(&interpreter, &file, &head, depth + 1)?;
    Some(Fault { message: format!("its interpreter {there} cannot run: {}", fault.message), ..fault })
}

fn missing_interpreter(script: &Path, name: &[u8]) -> String {
    let there = shown(Path::new(OsStr::from_bytes(name)));
    if name.ends_with(b"\r") {
        return format!(
            "the first line ends with a carriage return, so the kernel looks for an interpreter named \"{there}\": {}",
            unix_line_ends(script)
        );
    }
    if !name.contains(&b'/') {
        return format!("names the interpreter {there} without its directory: write its whole path, such as #!/bin/sh");
    }
    format!(
        "needs the interpreter {there}, which is not in this image: install it, or begin with one that is, such as #!/bin/sh"
    )
}

fn argument_fault(script: &Path, interpreter: &[u8], argument: &[u8]) -> Option<Fault> {
    if !argument.ends_with(b"\r") {
        return None;
    }
    // The kernel does not mind, and the interpreter hardly ever accepts it.
    let interpreter = shown(Path::new(OsStr::from_bytes(interpreter)));
    let message = format!(
        "the first line ends with a carriage return, so {interpreter} gets the argument {}: {}",
        quoted(argument),
        unix_line_ends(script)
    );
    Some(uncertain(0, message))
}

fn unix_line_ends(script: &Path) -> String {
    format!("save it with Unix line ends (sed -i 's/\\r$//' {})", shown(script))
}
