//! Paths that stay open when Landlock closes all others.

use std::path::PathBuf;

use svc_sys::Errno;
use svc_sys::landlock::{self, Access, Ruleset};

#[derive(Default)]
pub(super) struct Paths {
    pub(super) open: Vec<(Access, PathBuf)>,
    /// The version that the kernel must have; with an older one, what it does not know stays open too.
    pub(super) least: Option<u32>,
}

/// The version of Landlock, and the kernel that brought it.
const KERNELS: [(u32, &str); 7] = [(1, "5.13"), (2, "5.19"), (3, "6.2"), (4, "6.7"), (5, "6.10"), (6, "6.12"), (7, "6.15")];

impl Paths {
    /// `read:PATH`, `write:PATH` or `exec:PATH`.
    pub(super) fn add(&mut self, text: &str) -> Result<(), String> {
        let wrong = || format!("{text}: write read:PATH, write:PATH or exec:PATH");
        let (access, path) = text.split_once(':').filter(|(_, path)| !path.is_empty()).ok_or_else(wrong)?;
        let access = match access {
            "read" => Access::Read,
            "write" => Access::Write,
            "exec" => Access::Execute,
            _ => return Err(wrong()),
        };
        self.open.push((access, path.into()));
        Ok(())
    }

    /// What closes everything, if anything is to be closed.
    pub(super) fn ruleset(&self) -> Result<Option<Ruleset>, String> {
        if self.open.is_empty() {
            return Ok(None);
        }
        let version = landlock::version().map_err(absent)?;
        if let Some(least) = self.least.filter(|least| version < *least) {
            let kernel = KERNELS.iter().find(|(known, _)| *known == least);
            let kernel = kernel.map_or("a newer Linux".to_owned(), |(_, kernel)| format!("Linux {kernel}"));
            return Err(format!("the kernel has version {version} of Landlock, and {least} is asked for: take {kernel}"));
        }
        Ruleset::new(version).map_err(absent).map(Some)
    }

    /// Opens the paths, as who we still are. One that is missing is nothing that a kernel refuses.
    pub(super) fn open(&self, rules: &Ruleset) -> Result<(), String> {
        let missing = |path: &PathBuf, errno| format!("{}: {errno}: landlock names it, so it must be there", path.display());
        let mut open = self.open.iter();
        open.try_for_each(|(access, path)| rules.allow(path, *access).map_err(|errno| missing(path, errno)))
    }
}

fn absent(errno: Errno) -> String {
    let cure = match errno {
        Errno::NOT_IMPLEMENTED => {
            ": the kernel has none (Linux 5.13 has), or a sandbox hides it: docker run --security-opt seccomp=..."
        }
        Errno::NOT_SUPPORTED => ": it is switched off: boot with lsm=landlock,...",
        Errno::NOT_PERMITTED => ": a sandbox forbids it: docker run --security-opt seccomp=...",
        _ => "",
    };
    format!("cannot close paths by Landlock: {errno}{cure}")
}
