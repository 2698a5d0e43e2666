//! A scan directory of a test's own, and the svc that runs on it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use svc_proto::api::{self, EventKind, Services, Status};
use svc_proto::place;

use crate::control::{self, Events};
use crate::{Said, ServiceDir, processes, program, spawn, until};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A folder with a scan directory in it, and maybe a svc that runs there. Dropping it kills what runs and removes the folder.
pub struct Tree {
    root: PathBuf,
    child: Option<Child>,
    events: Option<Events>,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    command: Vec<String>,
    /// Words to put in front of svc: `setpriv ...`, `unshare ...`, `prlimit ...`.
    wrapper: Vec<String>,
    /// Where standard output goes, if not into the log.
    stdout: Option<Stdio>,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::new()
    }
}

impl Tree {
    pub fn new() -> Tree {
        // Tests that were started in the background of a shell are still about services that trap SIGINT and SIGHUP.
        svc_sys::signals::restore_defaults();
        let root = new_folder();
        fs::create_dir(root.join("services")).expect("a folder for the test");
        fs::create_dir(root.join("run")).expect("a run directory");
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("ours");
        Tree {
            root,
            child: None,
            events: None,
            environment: Vec::new(),
            arguments: Vec::new(),
            command: Vec::new(),
            wrapper: Vec::new(),
            stdout: None,
        }
    }

    /// The folder of this test.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The scan directory.
    pub fn services(&self) -> PathBuf {
        self.root.join("services")
    }

    pub fn run_dir(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Everything svc and its services wrote to their standard output and error, in one file.
    pub fn log(&self) -> String {
        let mut text = Vec::new();
        if let Ok(mut file) = File::open(self.root.join("log")) {
            let _ = file.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// A service directory (made if need be); `web/log` for a logger.
    pub fn service(&self, name: &str) -> ServiceDir {
        ServiceDir::make(self.services().join(name))
    }

    /// A service directory that svc does not see yet, so that it can be put there whole with [`Tree::place`].
    pub fn draft(&self, name: &str) -> ServiceDir {
        ServiceDir::make(self.root.join("drafts").join(name))
    }

    /// Moves a draft into the scan directory.
    #[track_caller]
    pub fn place(&self, name: &str) -> ServiceDir {
        let path = self.services().join(name);
        fs::rename(self.root.join("drafts").join(name), &path).expect("a draft");
        ServiceDir { path }
    }

    /// A service with this service.toml, put there whole.
    #[track_caller]
    pub fn toml(&self, name: &str, text: &str) -> ServiceDir {
        self.draft(name).file("service.toml", text);
        self.place(name)
    }

    /// A file NAME.toml in the scan directory, put there whole; what is there already is replaced.
    #[track_caller]
    pub fn one_file(&self, name: &str, text: &str) {
        replace(&self.services().join(format!("{name}.toml")), text);
    }

    /// Writes another service.toml in the place of one, as editors do, and has it applied.
    #[track_caller]
    pub fn edit(&self, name: &str, text: &str) {
        replace(&self.services().join(name).join("service.toml"), text);
        self.ctl_ok(&["rescan"]);
    }

    /// The lines of a file below the scan directory, `web/seen`; none if it is not there.
    pub fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.services().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until a file below the scan directory has so many lines at least.
    #[track_caller]
    pub fn await_lines(&self, file: &str, count: usize) -> Vec<String> {
        until(&format!("{count} lines in {file}; log:\n{}", self.log()), || {
            Some(self.lines(file)).filter(|lines| lines.len() >= count)
        })
    }

    pub fn set(&mut self, name: &str, value: &str) -> &mut Tree {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// An option for svc-scan.
    pub fn argument(&mut self, word: &str) -> &mut Tree {
        self.arguments.push(word.into());
        self
    }

    /// The main program, behind `--`.
    pub fn command(&mut self, words: &[&str]) -> &mut Tree {
        self.command = words.iter().map(|word| (*word).into()).collect();
        self
    }

    pub fn wrapper(&mut self, words: &[&str]) -> &mut Tree {
        self.wrapper = words.iter().map(|word| (*word).into()).collect();
        self
    }

    /// Lets standard output of the next start go there and not into the log: `io::pipe()`, `Stdio::null()` ...
    pub fn stdout(&mut self, to: impl Into<Stdio>) -> &mut Tree {
        self.stdout = Some(to.into());
        self
    }

    /// The command line that starts svc, for tests that start it in a way of their own.
    pub fn starter(&self) -> Command {
        let svc = program();
        let mut words: Vec<std::ffi::OsString> = self.wrapper.iter().map(Into::into).collect();
        words.push(svc.into());
        words.push("svc-scan".into());
        words.extend(self.arguments.iter().map(Into::into));
        words.push(self.services().into());
        if !self.command.is_empty() {
            words.push("--".into());
            words.extend(self.command.iter().map(Into::into));
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        // A stop that is cut short because the machine is slow would be another one: who tests that sets a time.
        command.env("SVC_STOP_TIMEOUT", "100").env("SVC_RUN_DIR", self.run_dir()).envs(self.environment.iter().cloned());
        command
    }

    /// Starts svc and returns when it answers. The first events are not missed: `expect` sees them from the beginning of the
    /// subscription, and `status` tells what was before.
    pub fn start(&mut self) -> &mut Tree {
        self.launch();
        self.await_control();
        self
    }

    /// Starts svc without waiting for anything.
    pub fn launch(&mut self) -> &mut Tree {
        assert!(self.child.is_none(), "svc runs already");
        let log = File::options().create(true).append(true).open(self.root.join("log")).expect("a log");
        let mut command = self.starter();
        let stdout = self.stdout.take().unwrap_or_else(|| log.try_clone().expect("a descriptor").into());
        command.stdin(Stdio::null()).stdout(stdout).stderr(log);
        command.process_group(0);
        self.child = Some(spawn(&mut command).expect("svc starts"));
        self
    }

    /// Waits until the control socket answers, and subscribes to events.
    #[track_caller]
    pub fn await_control(&mut self) {
        let socket = self.socket();
        self.events = Some(until("the control socket", || Events::subscribe(&socket).ok()));
    }

    pub fn socket(&self) -> PathBuf {
        self.run_dir().join(place::SOCKET)
    }

    /// The process that was started: svc-init, unless there is a wrapper that forks.
    pub fn init_pid(&self) -> i32 {
        self.child.as_ref().expect("svc runs").id() as i32
    }

    /// `svc-ctl` with these words.
    pub fn ctl(&self, words: &[&str]) -> Output {
        let mut command = Command::new(program());
        command.arg("svc-ctl").args(words).env("SVC_RUN_DIR", self.run_dir());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        spawn(&mut command).and_then(Child::wait_with_output).expect("svc-ctl runs")
    }

    /// `svc-ctl` with these words: what it said.
    pub fn say(&self, words: &[&str]) -> Said {
        Said::by(Command::new(program()).arg("svc-ctl").args(words).env("SVC_RUN_DIR", self.run_dir()))
    }

    /// The same as another user.
    pub fn say_as(&self, uid: u32, words: &[&str]) -> Said {
        let mut command = Command::new(program());
        command.arg("svc-ctl").args(words).env("SVC_RUN_DIR", self.run_dir()).uid(uid).gid(uid);
        Said::by(&mut command)
    }

    /// Lets svc run as another user, to whom everything here belongs.
    pub fn run_as(&mut self, uid: u32) -> &mut Tree {
        let all = [self.root.clone(), self.services(), self.run_dir()];
        all.iter().for_each(|path| std::os::unix::fs::chown(path, Some(uid), Some(uid)).expect("we are root"));
        let [user, group] = [format!("--reuid={uid}"), format!("--regid={uid}")];
        self.wrapper(&["setpriv", &user, &group, "--clear-groups"])
    }

    /// `svc-ctl` that must succeed; its standard output.
    #[track_caller]
    pub fn ctl_ok(&self, words: &[&str]) -> String {
        let output = self.ctl(words);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "svc-ctl {words:?}: {:?}\n{out}{err}\nlog:\n{}", output.status, self.log());
        out.into_owned()
    }

    /// All services, straight from the socket.
    pub fn list(&self) -> std::io::Result<Services> {
        control::get(&self.socket(), "/v1/services")
    }

    /// One service; none if there is none, or svc does not answer.
    pub fn status(&self, name: &str) -> Option<Status> {
        self.list().ok()?.services.into_iter().find(|status| status.name == name)
    }

    /// Everything that is known of one service.
    pub fn detail(&self, name: &str) -> Option<api::Detail> {
        control::get(&self.socket(), &format!("/v1/services/{}", name.replace('/', "%2F"))).ok()
    }

    /// Asks for something without waiting for it to happen.
    #[track_caller]
    pub fn order(&self, verb: api::Verb, services: &[&str]) -> api::Outcomes {
        let services = services.iter().map(|&name| name.to_owned()).collect();
        let control = api::Control { wait: false, ..api::Control::new(verb, services) };
        self.post("/v1/control", &control)
    }

    /// Any request with a body.
    #[track_caller]
    pub fn post<T: serde::de::DeserializeOwned>(&self, path: &str, body: &impl serde::Serialize) -> T {
        control::post(&self.socket(), path, body).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// Waits until a service's status is as wanted: looks once more after each event.
    #[track_caller]
    pub fn await_status(&self, name: &str, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        until(&format!("{name}: {what}; log:\n{}", self.log()), || self.status(name).filter(|status| wanted(status)))
    }

    /// Waits until the problem of a service has all these words in it.
    #[track_caller]
    pub fn await_problem(&self, name: &str, words: &[&str]) -> String {
        let has = |text: &String| words.iter().all(|word| text.contains(word));
        until(&format!("{words:?} of {name}; log:\n{}", self.log()), || self.status(name)?.problem.filter(has))
    }

    /// Waits until it is up, and returns its pid.
    #[track_caller]
    pub fn await_up(&self, name: &str) -> i32 {
        let status = self.await_status(name, "up", |status| status.state == api::State::Up && status.pid.is_some());
        status.pid.expect("just asked for")
    }

    /// Something of it runs, such as the `up` of a oneshot, which is not up by that.
    #[track_caller]
    pub fn await_running(&self, name: &str) -> i32 {
        self.await_status(name, "running", |status| status.pid.is_some()).pid.expect("just asked for")
    }

    /// Takes events of one service until these have come in this order. Others of that service in between fail the test.
    #[track_caller]
    pub fn expect(&mut self, service: &str, kinds: &[EventKind]) -> Vec<api::Change> {
        let events = self.events.as_mut().expect("svc was started with start()");
        let mut got = Vec::new();
        for &kind in kinds {
            let change = events.next_of(service);
            assert_eq!(change.event, kind, "{service}: after {got:?}");
            got.push(change);
        }
        got
    }

    pub fn events(&mut self) -> &mut Events {
        self.events.as_mut().expect("svc was started with start()")
    }

    /// The processes of ours by title: `svc-scan`, `svc-log`, `svc-supervise web`.
    #[track_caller]
    pub fn process(&self, title: &str) -> i32 {
        until(title, || self.find_process(title))
    }

    pub fn find_process(&self, title: &str) -> Option<i32> {
        processes::descendants(self.init_pid())
            .into_iter()
            .filter(|process| !process.is_zombie())
            .find(|process| process.title() == title || process.title().starts_with(&format!("{title} --")))
            .map(|process| process.pid)
    }

    /// svc-init itself, where a wrapper that forks stands in front of it.
    #[track_caller]
    pub fn svc_init(&self) -> i32 {
        let child = self.init_pid();
        until("svc-init", || {
            // What it forks has its name for a moment, but it had it first: so it is looked at last.
            let below = processes::descendants(child);
            let all = processes::processes();
            let own = all.into_iter().filter(|process| process.pid == child);
            own.chain(below).find(|process| process.name == "svc-init").map(|process| process.pid)
        })
    }

    /// All living processes of ours but svc-init: svc-scan, svc-log and the supervisors.
    pub fn daemons(&self) -> Vec<processes::Process> {
        let init = self.svc_init();
        let is_ours = |process: &processes::Process| {
            ["svc-scan", "svc-log", "svc-supervise"].iter().any(|name| process.title().starts_with(name))
        };
        let mut all = processes::processes();
        all.retain(|process| process.parent == init && !process.is_zombie() && is_ours(process));
        all
    }

    /// The supervisor of a service; none while there is none.
    pub fn supervisor(&self, service: &str) -> Option<i32> {
        self.find_process(&format!("svc-supervise {service}"))
    }

    /// SIGKILL to the supervisor of a service, and waits for the next one to have taken over.
    #[track_caller]
    pub fn kill_supervisor(&self, service: &str) {
        let old = until(&format!("the supervisor of {service}"), || self.supervisor(service));
        processes::kill(old, "KILL");
        self.await_status(service, "a new supervisor", |status| status.supervisor_pid.is_some_and(|pid| pid != old));
        // It is known before it has its name.
        until("the name of the new supervisor", || self.supervisor(service));
    }

    /// SIGKILL to svc-scan, and waits for the next one to answer.
    #[track_caller]
    pub fn kill_scan(&mut self) {
        let old = self.process("svc-scan");
        processes::kill(old, "KILL");
        until("another svc-scan", || self.find_process("svc-scan").filter(|&pid| pid != old));
        self.await_control();
    }

    pub fn signal(&self, signal: &str) {
        processes::kill(self.init_pid(), signal);
    }

    /// Whether it was started, and its end not taken in yet.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// SIGTERM, and the exit code (128 + signal if svc was killed).
    #[track_caller]
    pub fn stop(&mut self) -> i32 {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for svc to end.
    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        let status = self.wait_within(crate::PATIENCE).unwrap_or_else(|| panic!("svc did not end; log:\n{}", self.log()));
        use std::os::unix::process::ExitStatusExt;
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }

    pub fn wait_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let child = self.child.as_mut().expect("svc runs");
        let begin = std::time::Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("our child") {
                self.child = None;
                self.events = None;
                return Some(status);
            }
            if begin.elapsed() > time {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// One that is not there yet: a test that was killed may have left others behind.
fn new_folder() -> PathBuf {
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("svc-test-{}-{number}", std::process::id()));
        match fs::create_dir(&root) {
            Ok(()) => return root,
            Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{}: {error}", root.display()),
        }
    }
}

/// As editors do: nobody sees half of it.
#[track_caller]
fn replace(file: &Path, text: &str) {
    let name = file.file_name().expect("a file").display();
    let new = file.with_file_name(format!(".{name}.new"));
    fs::write(&new, text).expect("ours");
    fs::rename(new, file).expect("ours");
}

impl Drop for Tree {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of {}:\n{}---", self.root.display(), self.log());
        }
        if let Some(child) = &mut self.child {
            // Whatever is left: supervisors and services may be in sessions of their own.
            for process in processes::descendants(child.id() as i32) {
                processes::kill(process.pid, "KILL");
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}
