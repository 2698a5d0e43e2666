//! `s6-accessrules-cdb-from-fs` and `s6-accessrules-fs-from-cdb`: rules from a directory into a file and back.

use std::ffi::OsStr;
use std::fs;
use std::io::{Error, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use svc_sys::exit;

use super::cdb::{self, Cdb};
use super::rules::{read_rule, write_rule};
use crate::command::{Call, Command, Failure, Outcome};

pub(super) const CDB_FROM_FS: Command = Command {
    name: "s6-accessrules-cdb-from-fs",
    about: "write the access rules of a directory into a file",
    operands: "FILE DIR",
    options: &[],
    notes: "FILE is replaced at once, and only by a whole one. `s6-ipcserver-access --help` tells what rules look like.",
    codes: &[],
    run: cdb_from_fs,
};

pub(super) const FS_FROM_CDB: Command = Command {
    name: "s6-accessrules-fs-from-cdb",
    about: "write the access rules of a file into a new directory",
    operands: "DIR FILE",
    options: &[],
    notes: "",
    codes: &[],
    run: fs_from_cdb,
};

fn failed(path: &Path) -> impl Fn(Error) -> Failure {
    let path = path.display().to_string();
    move |error| Failure::system(format!("{path}: {error}"))
}

/// What is in a directory and not hidden, in order.
fn inside(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(dir).and_then(|entries| entries.collect::<Result<Vec<_>, Error>>()).map_err(failed(dir))?;
    let visible = entries.into_iter().filter(|entry| !entry.file_name().as_bytes().starts_with(b"."));
    let mut paths: Vec<PathBuf> = visible.map(|entry| entry.path()).collect();
    paths.sort_unstable();
    Ok(paths)
}

fn cdb_from_fs(call: &Call) -> Outcome {
    let file = Path::new(call.operand(0, "the file to write")?);
    let dir = Path::new(call.operand(1, "the directory of the rules")?);
    let mut records = Vec::new();
    for kind in inside(dir)? {
        for rule in inside(&kind)? {
            let data = read_rule(&rule).and_then(|verdict| verdict.pack()).map_err(failed(&rule))?;
            let key = rule.strip_prefix(dir).unwrap_or(&rule).as_os_str().as_bytes().to_vec();
            records.extend(data.map(|data| (key, data)));
        }
    }
    let content = cdb::make(&records).map_err(failed(file))?;
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(name);
    let written = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).and_then(|mut new| {
        new.write_all(&content)?;
        new.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&new, file)) {
        let _ = fs::remove_file(&new);
        return Err(failed(file)(error));
    }
    Ok(exit::DONE)
}

fn fs_from_cdb(call: &Call) -> Outcome {
    let dir = Path::new(call.operand(0, "the directory to make")?);
    let file = Path::new(call.operand(1, "the file of the rules")?);
    let cdb = Cdb::open(file).map_err(failed(file))?;
    let records = cdb.records().map_err(failed(file))?;
    fs::DirBuilder::new().mode(0o755).create(dir).map_err(failed(dir))?;
    for (key, data) in records {
        let path = Path::new(OsStr::from_bytes(key));
        // What is in a file must not lead out of the directory.
        let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
        let written =
            if stays { write_rule(&dir.join(path), data, key) } else { Err(Error::other("a rule with such a name")) };
        if let Err(error) = written {
            let _ = fs::remove_dir_all(dir);
            return Err(failed(file)(error));
        }
    }
    Ok(exit::DONE)
}
