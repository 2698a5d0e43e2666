//! `svc install DIR`: a copy of this program if there is none, and a link for each of its names, or for its own ones.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use svc_sys::exit;

const USAGE: &str = "\
Usage: svc install [--own] [--to PROGRAM] DIR
       svc install --s6-overlay ROOT
       svc install --my-init ROOT
       svc install --ubuntu-stack ROOT

Makes a link in DIR to svc for each name: its own (svc-scan, svc-ctl ...), and those of the commands of s6, execline, s6-overlay,
runit and daemontools, which `svc manual` lists. The links lead to DIR/svc; where there is none, this program is copied there first.
A link that is there is replaced, a file is not.

Options:
      --own         only svc's own names
      --to PROGRAM  have the links lead to PROGRAM, as it is written here (../usr/bin/svc): DIR needs no svc
      --s6-overlay  everything that images for s6-overlay look for, below ROOT: /usr/bin, /command, /init,
                    /package/admin/s6-overlay, and execlineb and with-contenv in a /bin of its own; a program that is there already, such as an image's own with-contenv, stays
      --my-init     the same for images of phusion's baseimage-docker: /usr/bin, /command, and /sbin/my_init, /sbin/setuser and
                    /usr/bin/sv, which are replaced
      --ubuntu-stack
                    the same for images of docker-ubuntu-stack: /command, and in /usr/bin svc's own names and those of s6, where
                    jobs of cron find them; programs of s6 there and of execline in /opt/execline/bin are replaced
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
        && let Some(links) = layout(option.to_str().unwrap_or_default(), Path::new(root))
    {
        return finished(install_layout(Path::new(root), &links));
    }
    let (names, words): (Vec<&str>, _) = match words {
        [option, rest @ ..] if option == "--own" => (crate::own_names().collect(), rest),
        _ => (crate::names().collect(), words),
    };
    match words {
        [option, program, dir] if option == "--to" => finished(link_to(Path::new(program), Path::new(dir), &names)),
        [dir] if !dir.as_encoded_bytes().starts_with(b"-") => finished(install(Path::new(dir), &names)),
        _ => {
            eprint!("{USAGE}");
            exit::USAGE
        }
    }
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
    link_to(Path::new("svc"), dir, names)
}

fn link_to(program: &Path, dir: &Path, names: &[&str]) -> Result<(), (PathBuf, std::io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    std::fs::create_dir_all(dir).map_err(at(dir))?;
    for name in names {
        let link = dir.join(name);
        // A link of before is replaced; a file that somebody put there is not ours to remove.
        if std::fs::symlink_metadata(&link).is_ok_and(|data| data.is_symlink()) {
            std::fs::remove_file(&link).map_err(at(&link))?;
        }
        symlink(program, &link).map_err(at(&link))?;
    }
    Ok(())
}

/// A link that images of a convention name by its path.
struct Link {
    path: String,
    target: &'static str,
    /// It takes the place of a program.
    replaces: bool,
}

/// Where /sbin is a link, only the whole path leads to the same place.
fn layout(option: &str, root: &Path) -> Option<Vec<Link>> {
    let link = |path: &str, target, replaces| Link { path: path.to_owned(), target, replaces };
    match option {
        "--s6-overlay" => {
            let mut links = vec![
                link("init", "usr/bin/svc", true),
                link("usr/bin/with-contenv", "svc", false),
                link("usr/bin/execlineb", "svc", false),
                link("package/admin/s6-overlay/libexec/preinit", "../../../../usr/bin/svc", false),
                link("package/admin/s6-overlay/libexec/stage0", "../../../../usr/bin/svc", false),
            ];
            // s6-overlay 2 has them here; where it is not /usr/bin by another name.
            if root.join("bin").symlink_metadata().is_ok_and(|data| data.is_dir()) {
                links
                    .extend(["execlineb", "with-contenv"].map(|name| link(&format!("bin/{name}"), "../usr/bin/svc", false)));
            }
            Some(links)
        }
        // runit's own sv does not understand our supervisors.
        "--my-init" => Some(vec![
            link("sbin/my_init", "/usr/bin/svc", true),
            link("sbin/setuser", "/usr/bin/svc", true),
            link("usr/bin/sv", "svc", true),
        ]),
        // Nor do those of s6, if they are older than its formats.
        "--ubuntu-stack" => {
            let s6 = crate::names().filter(|name| name.starts_with("s6-") || *name == "ucspilogd");
            let in_bin = s6.map(|name| link(&format!("usr/bin/{name}"), "svc", true));
            let there = |name: &&str| root.join("opt/execline/bin").join(name).symlink_metadata().is_ok();
            let execline = crate::names().filter(there);
            let in_opt = execline.map(|name| link(&format!("opt/execline/bin/{name}"), "/usr/bin/svc", true));
            Some(in_bin.chain(in_opt).collect())
        }
        _ => None,
    }
}

/// What images of a convention look for, as far as scripts name it.
fn install_layout(root: &Path, links: &[Link]) -> Result<(), (PathBuf, std::io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let own: Vec<&str> = crate::own_names().collect();
    install(&root.join("usr/bin"), &own)?;
    let command = root.join("command");
    std::fs::create_dir_all(&command).map_err(at(&command))?;
    // No `svc` there: `ln -sf /command/* /usr/bin/` would put it over what it leads to.
    let commands = crate::names().map(|name| (command.join(name), "../usr/bin/svc", false));
    let links = links.iter().map(|link| (root.join(&link.path), link.target, link.replaces));
    for (link, target, replaces) in commands.chain(links) {
        let dir = link.parent().unwrap_or(root);
        std::fs::create_dir_all(dir).map_err(at(dir))?;
        // Layers put their own programs in these places. What is a link, or the convention's own, is replaced.
        let there = std::fs::symlink_metadata(&link);
        if there.as_ref().is_ok_and(|data| data.is_symlink() || replaces) {
            std::fs::remove_file(&link).map_err(at(&link))?;
        } else if there.is_ok() {
            continue;
        }
        symlink(target, &link).map_err(at(&link))?;
    }
    Ok(())
}
