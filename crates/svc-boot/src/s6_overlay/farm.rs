//! Service directories in /run whose files are links to those of the image: a real directory of its own with the real path that
//! scripts look for, and nothing in /run that would have to be executed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::files::{Failed, link, make_dir};
use crate::mistakes::{self, Mistake};

/// What s6 itself keeps in a service directory, with its mode; it belongs to whoever runs there.
const OF_THE_SUPERVISOR: [(&str, u32); 2] = [("supervise", 0o700), ("event", 0o3730)];

/// Links everything in `from` into `to`, but for `left_out`; what is there already is replaced, as a later layer does.
pub(super) fn plant(from: &Path, to: &Path, left_out: &[&str]) -> Result<(), Failed> {
    make_dir(to)?;
    let failed = |error| (from.to_owned(), error);
    for entry in fs::read_dir(from).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if OF_THE_SUPERVISOR.iter().map(|(name, _)| name).chain(left_out).any(|other| name == *other) {
            continue;
        }
        let path = to.join(&name);
        // A file of a lower layer.
        let _ = fs::remove_file(&path);
        link(&from.join(&name), &path)?;
    }
    Ok(())
}

/// Makes the directories of the supervisor, as s6 has them: scripts of images give them to another user with `chown -R`, which does
/// not go through the links that svc-supervise would make.
pub(super) fn make_room(dir: &Path) -> Result<(), Failed> {
    for (name, mode) in OF_THE_SUPERVISOR {
        let path = dir.join(name);
        make_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(|error| (path, error))?;
    }
    Ok(())
}

/// A service of services.d, with its logger. Its programs may lack the executable bit, which is mended here and told.
pub(super) fn plant_service(from: &Path, to: &Path) -> Result<(), Failed> {
    plant(from, to, &["log"])?;
    make_room(to)?;
    for program in ["run", "finish"] {
        repair(&from.join(program), &to.join(program))?;
    }
    mistakes::look_at_check(&[from.to_owned()]);
    let log = from.join("log");
    if log.is_dir() {
        plant_service(&log, &to.join("log"))?;
    }
    Ok(())
}

/// Puts what runs it in the place of a link to a program that cannot be executed: beside a script a link to svc, which runs it by its
/// first line, as this place may be one where nothing can be executed; a copy of anything else.
fn repair(program: &Path, place: &Path) -> Result<(), Failed> {
    let Some(mistake) = mistakes::find(program) else { return Ok(()) };
    match mistake {
        // What cannot be run in any case, svc-scan says.
        Mistake::CarriageReturn => Ok(()),
        Mistake::NotExecutable if !mistakes::is_script_or_program(program) => Ok(()),
        Mistake::NotExecutable | Mistake::NoLink => {
            mistakes::tell(program, mistake);
            let failed = |error| (place.to_owned(), error);
            fs::remove_file(place).map_err(failed)?;
            if !mistakes::is_script(program) {
                fs::copy(program, place).map_err(failed)?;
                return fs::set_permissions(place, fs::Permissions::from_mode(0o755)).map_err(failed);
            }
            let name = place.file_name().unwrap_or_default().to_string_lossy();
            let script = place.with_file_name(format!(".{name}"));
            // Of a lower layer.
            let _ = fs::remove_file(&script);
            link(program, &script)?;
            link(&std::env::current_exe().map_err(failed)?, place)
        }
    }
}
