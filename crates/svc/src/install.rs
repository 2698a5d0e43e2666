//! `svc install DIR`: a copy of this program if there is none, and a link for each of its names, or for its own ones.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use svc_sys::exit;

const USAGE: &str = "\
Usage: svc install [--own] DIR

Makes a link in DIR to svc for each name: its own (svc-scan, svc-ctl ...), and those of the commands of s6, execline, s6-overlay,
runit and daemontools, which `svc manual` lists. The links lead to DIR/svc; where there is none, this program is copied there first.
A link that is there is replaced, a file is not.

Options:
      --own   only svc's own names
  -h, --help  this text

Some of the other names are those of programs that a system may have (service, halt, setuidgid ...). Give these links a directory of
their own, such as /command, and let PATH end with it.
";

pub fn main(arguments: Vec<OsString>) -> u8 {
    let words = arguments.get(1..).unwrap_or_default();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{USAGE}");
        return exit::DONE;
    }
    let (dir, names): (_, Vec<&str>) = match words {
        [option, dir] if option == "--own" => (dir, crate::own_names().collect()),
        [dir] if !dir.as_encoded_bytes().starts_with(b"-") => (dir, crate::names().collect()),
        _ => {
            eprint!("{USAGE}");
            return exit::USAGE;
        }
    };
    match install(Path::new(dir), &names) {
        Ok(()) => exit::DONE,
        Err((path, error)) => {
            eprintln!("svc install: {}: {error}", path.display());
            exit::SYSTEM
        }
    }
}

fn install(dir: &Path, names: &[&str]) -> Result<(), (PathBuf, std::io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    std::fs::create_dir_all(dir).map_err(at(dir))?;
    let program = dir.join("svc");
    if !program.exists() {
        std::fs::copy("/proc/self/exe", &program).map_err(at(&program))?;
    }
    for name in names {
        let link = dir.join(name);
        // A link of before is replaced; a file that somebody put there is not ours to remove.
        if std::fs::symlink_metadata(&link).is_ok_and(|data| data.is_symlink()) {
            std::fs::remove_file(&link).map_err(at(&link))?;
        }
        symlink("svc", &link).map_err(at(&link))?;
    }
    Ok(())
}
