//! A scan directory with Debian's s6-svscan on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use svc_testkit::{Said, ServiceDir, needs, program, spawn, until};

/// Whether Debian's package s6 is there; says so if not, and fails in CI.
pub fn has_s6() -> bool {
    needs("the package s6", Path::new("/usr/bin/s6-svscan").exists())
}

/// A directory that goes with its scanner.
pub struct Scan {
    pub root: PathBuf,
    scanner: Option<Child>,
}

impl Scan {
    pub fn new() -> Scan {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        // Services trap SIGINT and SIGQUIT, which a shell takes from what it starts in the background.
        svc_sys::signals::restore_defaults();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("svc-compat-control-{}-{number}", std::process::id()));
        fs::create_dir_all(root.join("scan")).expect("a directory");
        Scan { root, scanner: None }
    }

    /// One that runs, with a service `web`; and the path of that.
    pub fn with_web() -> (Scan, String) {
        let mut scan = Scan::new();
        scan.service("web");
        scan.start(&["web"]);
        let web = scan.path("web");
        (scan, web)
    }

    pub fn dir(&self) -> PathBuf {
        self.root.join("scan")
    }

    /// A service in the scan directory; it sleeps unless it is told otherwise.
    pub fn service(&self, name: &str) -> ServiceDir {
        let service = ServiceDir::make(self.dir().join(name));
        service.run("exec sleep 1000");
        service
    }

    pub fn path(&self, name: &str) -> String {
        self.dir().join(name).to_string_lossy().into_owned()
    }

    /// Starts the scanner, and waits until these services have a supervisor.
    pub fn start(&mut self, names: &[&str]) {
        let mut command = Command::new("/usr/bin/s6-svscan");
        command.arg(self.dir()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.scanner = Some(spawn(&mut command).expect("s6-svscan runs"));
        let lock = self.dir().join(".s6-svscan/control");
        until("the scanner", || lock.exists().then_some(()));
        for name in names {
            // Its lock comes first, and its status a moment later.
            until("a supervisor", || (ours("s6-svstat", &[&self.path(name)]).code == 0).then_some(()));
        }
    }

    /// Waits until a service runs, and returns its pid.
    pub fn pid(&self, name: &str) -> i32 {
        until("a pid", || {
            let said = ours("s6-svstat", &["-o", "pid", &self.path(name)]);
            said.out.trim().parse().ok().filter(|&pid: &i32| pid > 0)
        })
    }

    /// The pid of the supervisor of a service: who holds its lock.
    pub fn supervisor(&self, name: &str) -> i32 {
        let scanner = self.scanner.as_ref().expect("it runs").id();
        let children = fs::read_to_string(format!("/proc/{scanner}/task/{scanner}/children")).expect("children");
        let is_it = |pid: &&str| {
            fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
                let words: Vec<&[u8]> = line.split(|&byte| byte == 0).collect();
                words.get(1) == Some(&name.as_bytes())
            })
        };
        children.split_whitespace().find(is_it).and_then(|pid| pid.parse().ok()).expect("a supervisor")
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        if let Some(mut scanner) = self.scanner.take() {
            let _ =
                spawn(Command::new("/usr/bin/s6-svscanctl").arg("-t").arg(self.dir())).and_then(|mut child| child.wait());
            let begin = std::time::Instant::now();
            while scanner.try_wait().is_ok_and(|status| status.is_none()) {
                if begin.elapsed() > svc_testkit::PATIENCE {
                    let _ = scanner.kill();
                    let _ = scanner.wait();
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Runs one of our commands.
#[track_caller]
pub fn ours(name: &str, arguments: &[&str]) -> Said {
    Said::by(Command::new(program()).arg(name).args(arguments))
}

/// Runs the same of Debian.
#[track_caller]
pub fn theirs(name: &str, arguments: &[&str]) -> Said {
    Said::by(Command::new(Path::new("/usr/bin").join(name)).args(arguments))
}

/// Ours, which must succeed; what it printed.
#[track_caller]
pub fn ok(name: &str, arguments: &[&str]) -> String {
    let said = ours(name, arguments);
    assert_eq!(said.code, 0, "{name} {arguments:?}: {said:?}");
    said.out
}

/// The names in a fifodir.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}
