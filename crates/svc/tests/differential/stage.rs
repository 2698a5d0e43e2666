//! Where a scenario is played: a folder with a scan directory, the scanner that runs on it, and everybody who was started there.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::libc::O_NONBLOCK;
use svc_testkit::{kill, processes, program, spawn};

use crate::listener::Listener;

/// How long anything may take before a scenario is given up.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Who does what in a run of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sides {
    pub our_supervisor: bool,
    pub our_tools: bool,
}

impl Sides {
    pub const THEIRS: Sides = Sides { our_supervisor: false, our_tools: false };
}

impl std::fmt::Display for Sides {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let whose = |ours| if ours { "ours" } else { "theirs" };
        write!(f, "supervisor: {}, tools: {}", whose(self.our_supervisor), whose(self.our_tools))
    }
}

/// The directory with the links of `svc install`, made once for each build.
pub fn links() -> &'static Path {
    static LINKS: OnceLock<PathBuf> = OnceLock::new();
    LINKS.get_or_init(|| {
        let program = program();
        let data = program.metadata().expect("the program");
        let dir = PathBuf::from(format!("/var/tmp/svc-links-{}-{}-{}", data.ino(), data.len(), data.mtime()));
        if !dir.exists() {
            // Whole or not at all: several test programs may do this at the same time.
            let new = dir.with_extension(std::process::id().to_string());
            fs::create_dir_all(&new).expect("a directory for links");
            // Where there is a svc, install makes links to it, and no copy.
            symlink(&program, new.join("svc")).expect("a link");
            let mut install = spawn(Command::new(&program).arg("install").arg(&new)).expect("svc runs");
            let status = install.wait().expect("our child");
            assert!(status.success(), "svc install: {status}");
            if fs::rename(&new, &dir).is_err() {
                let _ = fs::remove_dir_all(&new);
            }
        }
        dir
    })
}

/// A folder, who runs in it, and who listens there. Dropping it ends everybody and removes the folder.
pub struct Stage {
    pub root: PathBuf,
    sides: Sides,
    scanner: Option<Child>,
    ended: Option<ExitStatus>,
    pub listeners: HashMap<String, Listener>,
    pub begun: HashMap<String, (Child, PathBuf)>,
    pub marked: Instant,
    /// Who was last sent a signal.
    pub signalled: i32,
}

/// What every process of a stage has in its environment, and nobody else.
const MARK: &str = "T";

impl Stage {
    pub fn new(sides: Sides) -> Stage {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("svc-differential-{}-{number:04}", std::process::id()));
        for name in ["services", "drafts", "run"] {
            fs::create_dir_all(root.join(name)).expect("a folder for the scenario");
        }
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("ours");
        Stage {
            root,
            sides,
            scanner: None,
            ended: None,
            listeners: HashMap::new(),
            begun: HashMap::new(),
            marked: Instant::now(),
            signalled: 0,
        }
    }

    /// A path of a scenario: of a service that was not placed yet, or below the scan directory.
    pub fn path(&self, name: &str) -> PathBuf {
        let (first, draft) = (name.split('/').next().unwrap_or(name), self.root.join("drafts").join(name));
        if self.root.join("services").join(first).exists() { self.root.join("services").join(name) } else { draft }
    }

    pub fn service(&self, name: &str) -> PathBuf {
        self.root.join("services").join(name)
    }

    /// A command, with the tools of this run in its PATH.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = match self.sides.our_tools {
            true => format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", links().display()),
            false => "/usr/bin:/bin:/usr/sbin:/sbin".to_owned(),
        };
        command.env_clear().env("PATH", path).env(MARK, &self.root).env("LC_ALL", "C");
        command.env("SVC_RUN_DIR", self.root.join("run")).env("SCANNER", self.scanner_program());
        command.current_dir(self.root.join("services")).stdin(Stdio::null());
        command
    }

    fn scanner_program(&self) -> PathBuf {
        if self.sides.our_supervisor { links().join("s6-svscan") } else { "/usr/bin/s6-svscan".into() }
    }

    fn log(&self) -> File {
        File::options().create(true).append(true).open(self.root.join("log")).expect("a log")
    }

    /// Starts the scanner, and returns when it takes commands and signals.
    pub fn start(&mut self, arguments: &str) -> Result<(), String> {
        let program = self.scanner_program();
        let mut command = self.command(&program);
        command.args(arguments.split_whitespace()).arg(self.root.join("services"));
        command.stdout(self.log()).stderr(self.log());
        self.scanner = Some(spawn(&mut command).map_err(|error| format!("{}: {error}", program.display()))?);
        let control = self.service(".s6-svscan/control");
        let begin = Instant::now();
        while send(&control, b"").is_err() || !self.scanner_pid().is_some_and(takes_signals) {
            if self.scanner_status(Duration::ZERO).is_some() || begin.elapsed() > PATIENCE {
                return Err("the scanner does not listen at .s6-svscan/control".into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    pub fn is_started(&self) -> bool {
        self.scanner.is_some()
    }

    /// Puts a service into the scan directory and has the scanner look; with listeners in it and in its logger if asked for.
    pub fn place(&mut self, name: &str, listening: bool) -> Result<(), String> {
        let draft = self.root.join("drafts").join(name);
        if listening {
            self.listeners.insert(name.to_owned(), listen(&draft.join("event"))?);
        }
        if listening && draft.join("log").is_dir() {
            self.listeners.insert(format!("{name}/log"), listen(&draft.join("log/event"))?);
        }
        fs::rename(&draft, self.service(name)).map_err(|error| format!("{name}: {error}"))?;
        if self.is_started() {
            send(&self.service(".s6-svscan/control"), b"a").map_err(|error| format!("the scanner's control: {error}"))?;
        }
        Ok(())
    }

    pub fn listen(&mut self, dir: &str) -> Result<(), String> {
        let listener = listen(&self.path(dir))?;
        self.listeners.insert(dir.to_owned(), listener);
        Ok(())
    }

    /// Who has the lock of a service: its supervisor.
    pub fn supervisor(&self, service: &str) -> Option<i32> {
        let inode = self.service(service).join("supervise/lock").metadata().ok()?.ino();
        let locks = fs::read_to_string("/proc/locks").ok()?;
        // 1: POSIX  ADVISORY  WRITE 1234 08:01:5678 0 EOF
        locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find_map(|words| {
            let is_it = words.get(5)?.rsplit(':').next()?.parse() == Ok(inode);
            if is_it && words[1] == "POSIX" { words[4].parse().ok() } else { None }
        })
    }

    pub fn scanner_pid(&self) -> Option<i32> {
        self.scanner.as_ref().map(|child| child.id() as i32)
    }

    /// How the scanner ended; none if it has not, within this time.
    pub fn scanner_status(&mut self, patience: Duration) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = wait(self.scanner.as_mut()?, patience);
        }
        self.ended
    }

    /// Everybody who belongs to this scenario, wherever they have gone.
    fn everybody(&self) -> Vec<i32> {
        let mark = format!("{MARK}={}", self.root.display());
        let ours = |pid: i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|&byte| byte == 0).any(|word| word == mark.as_bytes())
        };
        processes()
            .into_iter()
            .filter(|process| !process.is_zombie() && ours(process.pid))
            .map(|process| process.pid)
            .collect()
    }

    /// What the processes of this scenario said that nobody compared.
    pub fn log_text(&self) -> String {
        fs::read(self.root.join("log")).map_or_else(|_| String::new(), |text| String::from_utf8_lossy(&text).into_owned())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The scanner first, or it would start again who is killed.
        if let (Some(pid), None) = (self.scanner_pid(), self.ended) {
            kill(pid, "KILL");
        }
        let begin = Instant::now();
        loop {
            let left = self.everybody();
            if left.is_empty() || begin.elapsed() > PATIENCE {
                break;
            }
            left.iter().for_each(|&pid| kill(pid, "KILL"));
            std::thread::sleep(Duration::from_millis(1));
        }
        let begun = self.begun.values_mut().map(|(child, _)| child);
        for child in self.scanner.iter_mut().chain(begun) {
            // One that is just being executed has no environment, and so was not among them.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn listen(dir: &Path) -> Result<Listener, String> {
    Listener::new(dir).map_err(|error| format!("{}: {error}", dir.display()))
}

/// Whether a process has something else in mind than to die of SIGTERM: it has for the other signals, too, then.
fn takes_signals(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let masks = status.lines().filter_map(|line| line.strip_prefix("SigBlk:").or(line.strip_prefix("SigCgt:")));
    masks.filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok()).any(|mask| mask & 1 << 14 != 0)
}

/// Writes to a FIFO, if somebody reads it.
pub fn send(fifo: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::options().write(true).custom_flags(O_NONBLOCK).open(fifo)?;
    if !bytes.is_empty() {
        file.write_all(bytes)?;
    }
    Ok(())
}

/// Waits for a child, this long.
pub fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let begin = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if begin.elapsed() >= patience {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// An exit code as a shell says it.
pub fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
