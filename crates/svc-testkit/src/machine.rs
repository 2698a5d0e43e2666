//! What a test has to work with: the program under test, and what this machine has and allows.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// The svc under test: what SVC_BINARY names (a release build, in CI), or the one cargo built beside the test. Where not every
/// user can execute it, or a test may mount something over it, it is a copy.
pub fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| reachable(built())).clone()
}

fn built() -> PathBuf {
    if let Some(path) = std::env::var_os("SVC_BINARY") {
        let path = PathBuf::from(path);
        assert!(path.is_absolute() && path.exists(), "SVC_BINARY={}: must be the absolute path of svc", path.display());
        return path;
    }
    // target/debug/deps/test-0123 -> target/debug/svc
    let test = std::env::current_exe().expect("this test has a path");
    let folder = test.ancestors().nth(2).expect("target/PROFILE/deps");
    let built = folder.join("svc");
    assert!(built.exists(), "{} is not built: run `cargo build --workspace` first, or set SVC_BINARY", built.display());
    built
}

/// The program, or a copy of it in a place that every user can reach and no test hides. One copy for each build.
fn reachable(program: PathBuf) -> PathBuf {
    let searchable = |dir: &Path| dir.metadata().is_ok_and(|data| data.permissions().mode() & 0o001 != 0);
    if !program.starts_with("/tmp") && program.ancestors().skip(1).all(searchable) {
        return program;
    }
    let data = program.metadata().expect("it is there");
    let copy = PathBuf::from(format!("/var/tmp/svc-under-test-{}-{}-{}", data.ino(), data.len(), data.mtime()));
    if !copy.exists() {
        // Whole or not at all: several test programs may do this at the same time.
        let new = copy.with_extension(std::process::id().to_string());
        fs::copy(&program, &new).expect("room in /var/tmp");
        fs::rename(&new, &copy).expect("ours");
    }
    copy
}

/// For tests that need something not every machine has: says loudly that the test is skipped, and fails where CI=true.
///
/// Returns whether to go on.
pub fn needs(what: &str, there: bool) -> bool {
    if !there {
        eprintln!("SKIPPED: {}: needs {what}", std::thread::current().name().unwrap_or("a test"));
        assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI nothing is skipped: {what} is missing");
    }
    there
}

/// How often, or how long: `full` is what a promise says, for SVC_TEST_FULL=1, and takes hours in all; `normal` is for every
/// day.
pub fn amount(normal: u64, full: u64) -> u64 {
    if std::env::var("SVC_TEST_FULL").as_deref() == Ok("1") { full } else { normal }
}

/// A port of 127.0.0.1 where nobody listens, another one each time. It is none of those that the kernel gives away by itself, so
/// nobody else is given it meanwhile, and nobody who connects to it meets himself.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time begin in different places.
    let begin = (std::process::id() % 100) as u16 * 100;
    let ports = std::iter::repeat_with(|| 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok() && UdpSocket::bind(("127.0.0.1", *port)).is_ok();
    ports.take(10_000).find(free).expect("a port that is free")
}

/// A user who is neither root nor anybody else here.
pub const NOBODY: u32 = 65534;

/// Whether this test may become somebody else, mount and so on; says so if not.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    needs("root", fs::metadata("/proc/self").is_ok_and(|data| data.uid() == 0))
}

/// What a program said, and its exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Runs it to its end. One that does not end fails the test, and says which it was.
    #[track_caller]
    pub fn by(command: &mut Command) -> Said {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A program that this test has written is busy while a child of another test, which is not executed yet, has it open.
        let mut child = crate::until("a program that nobody writes", || match crate::spawn(command) {
            Ok(child) => Some(child),
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => None,
            Err(error) => panic!("{command:?}: {error}"),
        });
        let read = |mut from: Box<dyn std::io::Read + Send>| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                let _ = from.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        };
        let out = read(Box::new(child.stdout.take().expect("piped")));
        let err = read(Box::new(child.stderr.take().expect("piped")));
        let begin = std::time::Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("our child") {
                break status;
            }
            if begin.elapsed() > 2 * crate::PATIENCE {
                let _ = child.kill();
                panic!("{command:?} does not end");
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        };
        let [out, err] = [out, err].map(|reader| reader.join().expect("no panic there"));
        Said { code: status.code().unwrap_or(-1), out, err }
    }
}
