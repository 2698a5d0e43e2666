//! Service directories, written as tests want them.

use std::fs;
use std::path::{Path, PathBuf};

/// A service directory under construction.
pub struct ServiceDir {
    pub(crate) path: PathBuf,
}

impl ServiceDir {
    pub fn make(path: PathBuf) -> ServiceDir {
        fs::create_dir_all(&path).expect("a service directory");
        ServiceDir { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `run`, as a shell script: `#!/bin/sh` is put in front.
    pub fn run(&self, body: &str) -> &ServiceDir {
        self.script("run", body)
    }

    pub fn finish(&self, body: &str) -> &ServiceDir {
        self.script("finish", body)
    }

    pub fn script(&self, name: &str, body: &str) -> &ServiceDir {
        self.executable(name, &format!("#!/bin/sh\n{body}\n"))
    }

    /// An executable file with exactly this content, put there whole.
    pub fn executable(&self, name: &str, content: &str) -> &ServiceDir {
        crate::executable(&self.path.join(name), content);
        self
    }

    pub fn file(&self, name: &str, content: &str) -> &ServiceDir {
        fs::write(self.path.join(name), content).expect("written");
        self
    }

    pub fn remove(&self, name: &str) -> &ServiceDir {
        fs::remove_file(self.path.join(name)).expect("removed");
        self
    }
}
