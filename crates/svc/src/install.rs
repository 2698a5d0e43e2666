//! `svc install DIR`: a copy of this program if there is none, and a link for each of its names, or for its own ones.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use svc_sys::exit;

const USAGE: &str = "\
Usage: svc install [--own] DIR
       svc install --s6-overlay ROOT
       svc install --my-init ROOT

Makes a link in DIR to svc for each name: its own (svc-scan, svc-ctl ...), and those of the commands of s6, execline, s6-overlay,
runit and daemontools, which `svc manual` lists. The links lead to DIR/svc; where there is none, this program is copied there first.
A link that is there is replaced, a file is not.

Options:
      --own         only svc's own names
      --s6-overlay  everything that images for s6-overlay look for, below ROOT: /usr/bin, /command, /init, and
                    /package/admin/s6-overlay; a program that is there already, such as an image's own with-contenv, stays
      --my-init     the same for images of phusion's baseimage-docker: /usr/bin, /command, and /sbin/my_init, /sbin/setuser and
                    /usr/bin/sv, which are replaced
  -h, --help        this text

Some of the other names are those of programs that a system may have (service, halt, setuidgid ...). Give these links a directory of
their own, such as /command, and let PATH end with it.
";

pub fn main(arguments: Vec<OsString>) -> u8 {
    let words = arguments.get(1..).unwrap_or_default();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{USAGE}");
        return exit::DONE;
    }
    if let [option, root] = words
        && let Some((_, links, replaced)) = LAYOUTS.iter().find(|(name, ..)| option == *name)
    {
        return finished(install_layout(Path::new(root), links, replaced));
    }
    let (dir, names): (_, Vec<&str>) = match words {
        [option, dir] if option == "--own" => (dir, crate::own_names().collect()),
        [dir] if !dir.as_encoded_bytes().starts_with(b"-") => (dir, crate::names().collect()),
        _ => {
            eprint!("{USAGE}");
            return exit::USAGE;
        }
    };
    finished(install(Path::new(dir), &names))
}

fn finished(outcome: Result<(), (PathBuf, std::io::Error)>) -> u8 {
    match outcome {
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

/// For each layout: links that are named by their paths and where they lead, and those of them that take the place of a program.
/// Where /sbin is a link, only the whole path leads to the same place.
type Layout = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

const LAYOUTS: [Layout; 2] = [
    (
        "--s6-overlay",
        &[
            ("init", "usr/bin/svc"),
            ("usr/bin/with-contenv", "svc"),
            ("usr/bin/execlineb", "svc"),
            ("package/admin/s6-overlay/libexec/preinit", "../../../../usr/bin/svc"),
            ("package/admin/s6-overlay/libexec/stage0", "../../../../usr/bin/svc"),
        ],
        &["init"],
    ),
    // runit's own sv does not understand our supervisors.
    (
        "--my-init",
        &[("sbin/my_init", "/usr/bin/svc"), ("sbin/setuser", "/usr/bin/svc"), ("usr/bin/sv", "svc")],
        &["sbin/my_init", "sbin/setuser", "usr/bin/sv"],
    ),
];

/// What images of a convention look for, as far as scripts name it.
fn install_layout(root: &Path, links: &[(&str, &str)], replaced: &[&str]) -> Result<(), (PathBuf, std::io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let own: Vec<&str> = crate::own_names().collect();
    install(&root.join("usr/bin"), &own)?;
    let command = root.join("command");
    std::fs::create_dir_all(&command).map_err(at(&command))?;
    let commands = crate::names().chain(["svc"]).map(|name| (command.join(name), "../usr/bin/svc"));
    for (link, target) in commands.chain(links.iter().map(|(link, target)| (root.join(link), *target))) {
        let dir = link.parent().unwrap_or(root);
        std::fs::create_dir_all(dir).map_err(at(dir))?;
        // Layers put their own programs in these places. What is a link, or the convention's own, is replaced.
        let there = std::fs::symlink_metadata(&link);
        if there.as_ref().is_ok_and(|data| data.is_symlink() || replaced.iter().any(|path| link == root.join(path))) {
            std::fs::remove_file(&link).map_err(at(&link))?;
        } else if there.is_ok() {
            continue;
        }
        symlink(target, &link).map_err(at(&link))?;
    }
    Ok(())
}
