//! A cgroup (version 2) for the program: made below the one that svc was started in, with what it limits, and entered. The
//! service's supervisor removes it when nothing of the service is left.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use svc_core::{Pid, rights};
use svc_sys::cgroup::{self, Tree};
use svc_sys::{Errno, procfs};

#[derive(Default)]
pub(super) struct Cgroup {
    /// The service's name.
    pub(super) name: Option<String>,
    /// Who the service runs as may make others below it.
    pub(super) delegate: bool,
    /// Files of the kernel, and what is written into each.
    pub(super) files: Vec<(String, String)>,
}

impl Cgroup {
    pub(super) fn set(&mut self, text: &str) -> Result<(), String> {
        match text.split_once('=').filter(|(file, _)| rights::is_controller_file(file)) {
            Some((file, value)) => self.files.push((file.to_owned(), value.to_owned())),
            None => return Err(format!("{text}: write FILE=VALUE, such as memory.max=64M")),
        }
        Ok(())
    }

    /// `user`: the numbers of who the service runs as, if that is another one.
    pub(super) fn enter(&self, user: Option<(u32, u32)>) -> Result<(), String> {
        let Some(name) = &self.name else {
            let is_alone = self.files.is_empty() && !self.delegate;
            return if is_alone { Ok(()) } else { Err("--cgroup-set and --cgroup-delegate need --cgroup".into()) };
        };
        let init = procfs::ancestor("svc-init").ok_or("only a service of svc can have a cgroup: this is none")?;
        let tree = Tree::of(init.raw()).ok_or(ABSENT)?;
        let _turn = turn(&tree);
        self.share_out(&tree, init)?;
        let leaf = make(&tree, name)?;
        let entered = self.fill(&leaf).and_then(|()| match user.filter(|_| self.delegate) {
            Some(user) => hand_over(&leaf, user),
            None => Ok(()),
        });
        if entered.is_err() {
            // Nobody is in it; what cannot be removed now is when the service has ended.
            let _ = tree.remove(name);
        }
        entered
    }

    fn fill(&self, leaf: &Path) -> Result<(), String> {
        for (file, value) in &self.files {
            let path = leaf.join(file);
            cgroup::write(&path, value).map_err(|error| {
                let cure = match error {
                    Errno::INVALID | Errno::RANGE => format!(": it does not take {value:?}"),
                    Errno::NOT_FOUND => ": this kernel has no such file".to_owned(),
                    _ => String::new(),
                };
                format!("{}: {error}{cure}", path.display())
            })?;
        }
        let procs = leaf.join("cgroup.procs");
        cgroup::write(&procs, "0").map_err(|error| format!("{}: {error}", procs.display()))
    }

    fn controllers(&self) -> BTreeSet<&str> {
        self.files.iter().filter_map(|(file, _)| file.split('.').next()).collect()
    }

    /// Makes the place for all leaves, and lets them have the controllers that this one needs.
    fn share_out(&self, tree: &Tree, init: Pid) -> Result<(), String> {
        let wanted = self.controllers();
        let there = read(&tree.base().join("cgroup.controllers"))?;
        let there: BTreeSet<&str> = there.split_whitespace().collect();
        let missing: Vec<&str> = wanted.difference(&there).copied().collect();
        if !missing.is_empty() {
            return Err(self::missing(tree.base(), &missing.join(", ")));
        }
        let services = tree.services();
        for dir in [tree.base(), &services] {
            directory(&services)?;
            let file = dir.join("cgroup.subtree_control");
            let active = read(&file)?;
            let active: BTreeSet<&str> = active.split_whitespace().collect();
            let more: Vec<String> = wanted.difference(&active).map(|name| format!("+{name}")).collect();
            if !more.is_empty() {
                if dir == tree.base() {
                    make_room(tree, init)?;
                }
                enable(&file, &more.join(" "))?;
            }
        }
        Ok(())
    }
}

/// One at a time: who makes room finds others in the list that enter their leaves meanwhile, and would take them out again.
fn turn(tree: &Tree) -> Option<File> {
    let dir = File::open(tree.base()).ok()?;
    dir.lock().ok()?;
    Some(dir)
}

/// What cgroups(7) has whom it is delegated to own; limits stay those of who set them.
fn hand_over(leaf: &Path, (uid, gid): (u32, u32)) -> Result<(), String> {
    for file in ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
        let path = leaf.join(file);
        std::os::unix::fs::chown(&path, Some(uid), Some(gid))
            .map_err(|error| format!("{}: cannot be given to uid {uid}: {error}", path.display()))?;
    }
    Ok(())
}

fn enable(file: &Path, controllers: &str) -> Result<(), String> {
    cgroup::write(file, controllers).map_err(|errno| {
        let cure = match errno {
            Errno::NOT_SUPPORTED => ": it is a threaded one, or below one: whoever made it must make another",
            errno => refused(errno),
        };
        format!("{}: {errno}{cure}", file.display())
    })
}

/// A cgroup that shares out controllers must have no process of its own, so ours move into a leaf. Others are not ours to move. The
/// kernel refuses memory and io only: with the others it takes the processes for threads, and can use nothing below.
fn make_room(tree: &Tree, init: Pid) -> Result<(), String> {
    /// Processes that are made meanwhile are where their parents were.
    const ROUNDS: usize = 100;
    // That of the whole machine may have both.
    if !tree.base().join("cgroup.type").exists() {
        return Ok(());
    }
    for _ in 0..ROUNDS {
        let there = members(tree.base())?;
        if there.is_empty() {
            return Ok(());
        }
        if !move_ours(tree, init, &there)? {
            return Err(format!(
                "{}: processes that are not svc's are in it ({}): start svc in a cgroup of its own",
                tree.base().display(),
                shown(&there)
            ));
        }
    }
    Err(format!("{}: new processes come into it all the time", tree.base().display()))
}

/// Whether there was one of ours to move.
fn move_ours(tree: &Tree, init: Pid, there: &[i32]) -> Result<bool, String> {
    let ours: Vec<Pid> = there
        .iter()
        .filter_map(|&pid| Pid::new(pid))
        .filter(|pid| *pid == init || procfs::descends(*pid, init.raw()))
        .collect();
    directory(&tree.own())?;
    let procs = tree.own().join("cgroup.procs");
    for pid in &ours {
        match cgroup::write(&procs, &pid.to_string()) {
            Ok(()) | Err(Errno::NO_SUCH_PROCESS) => {}
            Err(errno) => return Err(format!("{}: {errno}{}", procs.display(), refused(errno))),
        }
    }
    Ok(!ours.is_empty())
}

/// A leaf that nothing has been written to yet. What an earlier life has left is empty, or it is not ours.
fn make(tree: &Tree, name: &str) -> Result<std::path::PathBuf, String> {
    let leaf = tree.leaf(name);
    let _ = tree.remove(name);
    // The supervisor of another service may have removed what is above meanwhile, with the last leaf; it is as it was before.
    directory(&tree.services())?;
    directory(&leaf)?;
    Ok(leaf)
}

fn directory(path: &Path) -> Result<(), String> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(format!("{}: {error}{}", path.display(), refused(Errno::from(&error))))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn members(dir: &Path) -> Result<Vec<i32>, String> {
    Ok(read(&dir.join("cgroup.procs"))?.lines().filter_map(|line| line.parse().ok()).collect())
}

fn shown(pids: &[i32]) -> String {
    const FEW: usize = 3;
    let names = pids.iter().take(FEW).map(|pid| match Pid::new(*pid) {
        Some(pid) => format!("{} {pid}", procfs::name(pid)),
        None => "one outside of this container".to_owned(),
    });
    names.collect::<Vec<String>>().join(", ")
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

pub(super) const ABSENT: &str = "there is no cgroup of version 2 here: the machine must have them, and /sys/fs/cgroup be mounted \
                                 (docker run --cgroupns private, or --volume /sys/fs/cgroup:/sys/fs/cgroup)";

pub(super) fn missing(base: &Path, controllers: &str) -> String {
    format!(
        "{} has no controller {controllers}: whoever made this container must share it out (a machine that has it in version 1 \
         cannot)",
        base.display()
    )
}

pub(super) fn refused(errno: Errno) -> &'static str {
    match errno {
        Errno::READ_ONLY => {
            ": docker mounts it read-only: docker run --privileged, or --cgroupns private with a runtime that delegates it"
        }
        Errno::NOT_ALLOWED | Errno::NOT_PERMITTED => ": it is not delegated to this user: svc must run as its owner",
        _ => "",
    }
}
