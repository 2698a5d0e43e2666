//! `svc install DIR`: a copy of this program if there is none, and a link for each of its names.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use svc_sys::exit;

const USAGE: &str = "\
Usage: svc install DIR

Makes a link in DIR for each name of svc (svc-scan, svc-ctl, ...). The links are relative if svc itself is in DIR; where there is
no svc in DIR, this program is copied there first.
";

pub fn main(arguments: Vec<OsString>) -> u8 {
    let [_, dir] = arguments.as_slice() else {
        eprint!("{USAGE}");
        return exit::USAGE;
    };
    if dir == "--help" || dir == "-h" {
        print!("{USAGE}");
        return exit::DONE;
    }
    match install(Path::new(dir)) {
        Ok(()) => exit::DONE,
        Err((path, error)) => {
            eprintln!("svc install: {}: {error}", path.display());
            exit::SYSTEM
        }
    }
}

fn install(dir: &Path) -> Result<(), (PathBuf, std::io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    std::fs::create_dir_all(dir).map_err(at(dir))?;
    let program = dir.join("svc");
    if !program.exists() {
        std::fs::copy("/proc/self/exe", &program).map_err(at(&program))?;
    }
    for name in crate::names() {
        let link = dir.join(name);
        // A link of before is replaced; a file that somebody put there is not ours to remove.
        if std::fs::symlink_metadata(&link).is_ok_and(|data| data.is_symlink()) {
            std::fs::remove_file(&link).map_err(at(&link))?;
        }
        symlink("svc", &link).map_err(at(&link))?;
    }
    Ok(())
}
