//! What is executed for a service: which program, and with which words.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use svc_core::definition::{Definition, Language, Program, Script};
use svc_sys::Errno;

/// A program and its arguments, its own name first.
pub(crate) struct Words {
    /// None: svc itself, as `svc exec`, which executes something else in the end.
    pub(crate) path: Option<CString>,
    pub(crate) arguments: Vec<CString>,
}

impl Words {
    pub(crate) fn of_run(definition: &Definition) -> Result<Words, Errno> {
        Ok(match &definition.program {
            Program::Directory => of_run(definition),
            Program::Command(words) => {
                let path = look_up(words.first().map_or(&[], Vec::as_slice))?;
                Words { path: Some(path), arguments: words.iter().map(|word| c_string(word)).collect() }
            }
            Program::Chain(words) => Words::of_chain(&definition.name, words),
            Program::Oneshot { up, .. } => of_script(definition, up.as_ref()),
        })
    }

    /// `exit` is what `finish` is told of the end of `run`. None where there is nothing to be run.
    pub(crate) fn of_finish(definition: &Definition, exit: Vec<CString>) -> Option<Words> {
        match &definition.program {
            Program::Directory => Some(of_file(definition, c"finish", exit)),
            Program::Command(_) | Program::Chain(_) => None,
            Program::Oneshot { down, .. } => down.as_ref().map(|script| of_script(definition, Some(script))),
        }
    }

    /// What `svc exec` is to change, and to execute, for a service whose name it puts into what it says.
    pub(crate) fn of_chain(service: &str, words: &[Vec<u8>]) -> Words {
        let front = [c"svc".to_owned(), c"exec".to_owned(), c_string(format!("--for={service}").as_bytes())];
        Words { path: None, arguments: front.into_iter().chain(words.iter().map(|word| c_string(word))).collect() }
    }

    /// The same behind a lock on the descriptor `number`: it is waited for by a program in front, so that the supervisor can go
    /// on and stop it. `service` has a name in what that says.
    pub(crate) fn behind_lock(self, number: i32, service: &str) -> Words {
        let lock = [format!("--for={service}"), format!("--lock={number}")].map(|word| c_string(word.as_bytes()));
        let (front, rest) = match self.path {
            None => (Vec::new(), self.arguments.into_iter().skip(2).collect::<Vec<_>>()),
            Some(path) => {
                let mut words = self.arguments.into_iter();
                let name = words.next().unwrap_or_default();
                (vec![c"--arg0".to_owned(), name, c"--".to_owned(), path], words.collect())
            }
        };
        let arguments = [vec![c"svc".to_owned(), c"exec".to_owned()], lock.to_vec(), front, rest].concat();
        Words { path: None, arguments }
    }
}

/// `run`, behind its `setup` and its variables if it has any.
fn of_run(definition: &Definition) -> Words {
    let name = c_string(definition.name.as_bytes());
    let words = of_file(definition, c"run", vec![name.clone()]);
    let private = Path::new("/private").join(&definition.name).join("vars");
    if definition.managed.is_some() || !(is_executable(Path::new("setup")) || private.is_file()) {
        return words;
    }
    let front = [c"svc", c"exec", c"--setup"].map(CStr::to_owned);
    let rest = [name.clone(), c"--".to_owned(), c"./run".to_owned(), name];
    Words { path: None, arguments: [front.to_vec(), rest.to_vec()].concat() }
}

/// `run` or `finish`. Those of an s6-rc source need not be executable.
fn of_file(definition: &Definition, name: &CStr, arguments: Vec<CString>) -> Words {
    let path = c_string(&[b"./", name.to_bytes()].concat());
    if definition.managed.is_some() && needs_help(Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()))) {
        let front = [c"svc", c"exec", c"--script", c"--"].map(CStr::to_owned);
        return Words { path: None, arguments: [front.to_vec(), vec![path], arguments].concat() };
    }
    Words { path: Some(path), arguments: [vec![name.to_owned()], arguments].concat() }
}

/// Whether the kernel would not execute a script though what its first line names can: it is not executable, or that
/// interpreter is not there, and may be one that svc is itself.
fn needs_help(path: &Path) -> bool {
    use std::io::Read;
    if !is_executable(path) {
        return true;
    }
    let mut head = [0; 256];
    let length = std::fs::File::open(path).and_then(|mut file| file.read(&mut head)).unwrap_or(0);
    let Some(line) = head[..length].strip_prefix(b"#!") else { return false };
    let word = line.trim_ascii_start().split(u8::is_ascii_whitespace).next().unwrap_or_default();
    !Path::new(std::ffi::OsStr::from_bytes(word)).exists()
}

/// `up` or `down`, which find the name of their service in RC_NAME; where there is none, nothing is done, and successfully.
fn of_script(definition: &Definition, script: Option<&Script>) -> Words {
    let name = c_string(format!("RC_NAME={}", definition.name).as_bytes());
    let (language, path) = match script {
        None => (c"--execline", c"/dev/null".to_owned()),
        Some(Script::File { path, language: Language::Execline }) => (c"--execline", c_string(path)),
        Some(Script::File { path, language: Language::FirstLine }) => (c"--script", c_string(path)),
        Some(Script::Chain(words)) => return Words::of_chain(&definition.name, words),
    };
    let front = [c"svc", c"exec", c"--env"].map(CStr::to_owned);
    Words { path: None, arguments: [front.to_vec(), vec![name, language.to_owned(), c"--".to_owned(), path]].concat() }
}

/// Finds a command as a shell would: in PATH unless it contains a slash. What exists and cannot be executed is a better
/// answer than that nothing exists.
fn look_up(word: &[u8]) -> Result<CString, Errno> {
    if word.contains(&b'/') {
        return Ok(c_string(word));
    }
    let path =
        std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin".into());
    let found = std::env::split_paths(&path)
        .map(|dir| if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir })
        .map(|dir| dir.join(std::ffi::OsStr::from_bytes(word)))
        .find(|path| is_executable(path));
    found.map(|path| c_string(path.as_os_str().as_bytes())).ok_or(Errno::NOT_FOUND)
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Words come from argument lists and checked names, which contain no NUL byte.
pub(crate) fn c_string(bytes: &[u8]) -> CString {
    CString::new(bytes).unwrap_or_default()
}
