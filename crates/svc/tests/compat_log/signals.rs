//! When loggers end, and when they rotate.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};

use svc_testkit::{kill, until};

use super::{Place, all, fifo, logs, ours};

struct Logger {
    place: Place,
    keeper: File,
    child: Child,
}

impl Logger {
    /// Runs, and has all its directories.
    fn start(name: &str, words: &[&str]) -> Logger {
        let place = Place::new(&format!("signals-{name}"));
        let (path, keeper) = fifo(&place);
        let mut command = ours("s6-log", words);
        command.current_dir(place.path()).stdin(Stdio::from(OwnedFd::from(File::open(&path).expect("a pipe"))));
        let child = command.spawn().expect("it starts");
        let current = place.join("one/current");
        until("the directory", || current.exists().then_some(()));
        Logger { place, keeper, child }
    }

    fn say(&mut self, text: &str) {
        self.keeper.write_all(text.as_bytes()).expect("a pipe");
    }

    fn text(&self) -> String {
        String::from_utf8(all(&self.place.join("one"))).expect("ASCII")
    }

    fn await_text(&self, wanted: &str) {
        until(&format!("{wanted:?}"), || (self.text() == wanted).then_some(()));
    }

    fn signal(&self, name: &str) {
        kill(self.child.id() as i32, name);
    }

    fn end(&mut self) {
        assert!(self.child.wait().expect("our child").success());
    }

    /// What nobody has read.
    fn left(&mut self) -> String {
        use std::os::fd::AsFd;
        let mut buffer = [0; 1000];
        self.say("!");
        let count = svc_sys::fd::read(self.keeper.as_fd(), &mut buffer).expect("a pipe");
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }
}

#[test]
fn sigterm_ends_it_after_the_line_that_has_begun() {
    let mut logger = Logger::start("term", &["-t", "120000", "./one"]);
    logger.say("one\nt");
    logger.await_text("one\n");
    logger.signal("TERM");
    logger.say("wo\nthree\n");
    logger.end();
    // Whether the signal or the rest came first is not ours to say: what is not written is where it was.
    let text = logger.text();
    assert!(text.starts_with("one\ntwo\n"), "{text}");
    assert_eq!(text + &logger.left(), "one\ntwo\nthree\n!");
    assert_eq!(logs(&logger.place.join("one"))[0].mode, 0o744);
}

#[test]
fn sigterm_waits_no_longer_than_it_is_told() {
    let mut logger = Logger::start("patience", &["-t", "50", "./one"]);
    logger.say("one\nt");
    logger.await_text("one\n");
    logger.signal("TERM");
    logger.end();
    assert_eq!((logger.text().as_str(), logger.left().as_str()), ("one\nt\n", "!"));
}

#[test]
fn between_lines_signals_end_it_at_once() {
    for signal in ["TERM", "HUP"] {
        let mut logger = Logger::start(signal, &["-t", "0", "./one"]);
        logger.say("one\n");
        logger.await_text("one\n");
        logger.signal(signal);
        logger.end();
        assert_eq!(logger.left(), "!");
    }
}

#[test]
fn a_protected_one_ends_at_sighup_only() {
    let mut logger = Logger::start("protected", &["-p", "./one"]);
    logger.signal("TERM");
    logger.say("one\n");
    logger.await_text("one\n");
    logger.signal("HUP");
    logger.end();
}

#[test]
fn sigalrm_finishes_what_is_not_empty() {
    let mut logger = Logger::start("alarm", &["./one"]);
    for number in 1..=3 {
        logger.say("line\n");
        logger.await_text(&"line\n".repeat(number));
        logger.signal("ALRM");
        let dir = logger.place.join("one");
        until("a finished file", || (logs(&dir).len() == number + 1).then_some(()));
    }
    logger.signal("ALRM");
    logger.say("last\n");
    logger.await_text("line\nline\nline\nlast\n");
    assert_eq!(logs(&logger.place.join("one")).len(), 4, "an empty file was finished");
    assert!(logs(&logger.place.join("one"))[..3].iter().all(|log| log.mode == 0o744 && log.name.ends_with(".s")));
    logger.signal("TERM");
    logger.end();
}

#[test]
fn a_period_finishes_files_too() {
    let mut logger = Logger::start("period", &["R1", "./one"]);
    logger.say("line\n");
    let dir = logger.place.join("one");
    until("a finished file", || (logs(&dir).len() == 2).then_some(()));
    logger.signal("TERM");
    logger.end();
}

#[test]
fn a_directory_has_one_writer() {
    let mut logger = Logger::start("lock", &["./one"]);
    for program in ["s6-log", "multilog"] {
        let made = super::feed(ours(program, &["./one"]).current_dir(logger.place.path()), b"");
        assert_eq!(made.code, Some(111));
        assert!(made.err.contains("another logger writes there"), "{}", made.err);
    }
    if svc_testkit::needs("s6-log", svc_testkit::has_program("s6-log")) {
        let made = super::feed(super::theirs("s6-log", &["./one"]).current_dir(logger.place.path()), b"");
        assert_eq!(made.code, Some(111), "Debian's takes it: {}", made.err);
    }
    logger.signal("TERM");
    logger.end();
}

#[test]
fn readiness_is_told_when_all_is_open() {
    let place = Place::new("ready");
    let script = format!("{} s6-log -d 3 ./one 3>&1 </dev/null; ls one/lock", svc_testkit::program().display());
    let made = super::feed(super::theirs("sh", &["-c", &script]).current_dir(place.path()), b"");
    assert_eq!((made.out.as_str(), made.err.as_str()), ("\none/lock\n", ""));
}

#[test]
fn an_idle_one_sleeps() {
    let mut logger = Logger::start("idle", &["t", "./one"]);
    logger.say("one\nunfinished");
    let dir = logger.place.join("one/current");
    until("the first line", || std::fs::metadata(&dir).is_ok_and(|data| data.len() > 0).then_some(()));
    let pid = logger.child.id() as i32;
    let mut before = svc_testkit::switches(pid);
    // The line that has begun is looked at a few times; then nothing.
    until("quiet", || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        let now = svc_testkit::switches(pid);
        let is_quiet = now == before;
        before = now;
        is_quiet.then_some(())
    });
    logger.signal("TERM");
    logger.say("\n");
    logger.end();
}
