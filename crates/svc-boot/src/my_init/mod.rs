//! The layout of phusion's baseimage-docker: `my_init`, startup files, runit's services, scripts around their end.
//!
//! Startup files decide what the environment of everything is, so they run before svc-scan, one after the other, and svc-scan
//! begins with what they have left. What comes at the end is the `down` of one oneshot.

mod environment;
mod options;
mod steps;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use svc_core::Millis;
use svc_prepare::place::cure;
use svc_sys::{exe, exit, process, say};

use crate::children::{Children, Ended};
use crate::files::{entries, make_dir, probe, remove, writable, write};
use crate::mistakes::{self, Mistake};
use environment::Environment;
use options::Options;

const STARTUP: &str = "/etc/my_init.d";
const LAST_STARTUP: &str = "/etc/rc.local";
const PRE_SHUTDOWN: &str = "/etc/my_init.pre_shutdown.d";
const POST_SHUTDOWN: &str = "/etc/my_init.post_shutdown.d";
const SERVICES: &str = "/etc/service";
const INSECURE_KEY: &str = "/usr/sbin/enable_insecure_key";

/// What my_init ends with when a startup file has failed.
const FAILED: u8 = 1;
/// And when somebody stops it, but for the code of a main program that has ended by itself.
const INTERRUPTED: u8 = 2;

/// `my_init`: becomes svc-scan on /etc/service. `my_init --end [--quiet]` is the step at the end.
pub fn main(arguments: Vec<OsString>) -> u8 {
    let words = arguments.get(1..).unwrap_or_default();
    if words.first().is_some_and(|word| word == "--end") {
        return steps::end(words.get(1).is_some_and(|word| word == "--quiet"));
    }
    let options = match Options::parse(words) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", options::USAGE);
            return exit::DONE;
        }
        Err((code, message)) => {
            eprintln!("my_init: {message}");
            return code;
        }
    };
    match start(&options) {
        Ok(words) => {
            let errno = exe::replace_by_own(&words);
            say!("my_init: cannot become svc-scan: {errno}");
            exit::SYSTEM
        }
        Err(Stop { code, why }) => {
            if let Some(why) = why {
                say!("my_init: {why}");
            }
            give_up(code)
        }
    }
}

/// Why nothing is started.
struct Stop {
    code: u8,
    why: Option<String>,
}

impl From<String> for Stop {
    fn from(why: String) -> Stop {
        Stop { code: FAILED, why: Some(why) }
    }
}

/// Everything before svc-scan; the words to start that with.
fn start(options: &Options) -> Result<Vec<OsString>, Stop> {
    let mut children = Children::new()?;
    let mut environment = Environment::begin()?;
    if options.insecure_key {
        run(&mut children, Path::new(INSECURE_KEY), options)?;
    }
    if options.startup {
        for script in executables(&startup_dir()).into_iter().chain(executable(Path::new(LAST_STARTUP))) {
            run(&mut children, &script, options)?;
            environment.read_again()?;
        }
    }
    if let Some(why) = options.without_effect() {
        say!("my_init: {why}");
    }
    if std::env::var_os("SVC_STOP_TIMEOUT").is_none()
        && let Some(budget) = steps::budget()
    {
        svc_sys::environment::change(format!("SVC_STOP_TIMEOUT={}ms", budget.0).into());
    }
    lay_out(options).map_err(|(path, error)| Stop::from(format!("{}: {error}", path.display())))
}

fn run(children: &mut Children, script: &Path, options: &Options) -> Result<(), Stop> {
    let shown = script.display();
    if !options.quiet {
        say!("my_init: running {shown}");
    }
    match children.run(&Command::new(script), steps::patience()) {
        Ok(Ended::By(exit)) if exit.shell_code() == 0 => Ok(()),
        Ok(Ended::By(exit)) => Err(Stop::from(format!("{shown} failed ({exit}): ending"))),
        Ok(Ended::Stopped) => Err(Stop { code: INTERRUPTED, why: None }),
        Err(error) => Err(Stop::from(format!("{shown}: {error}: ending"))),
    }
}

/// Where startup files are: also where the container, or a file of its environment, says so.
fn startup_dir() -> PathBuf {
    let Some(dir) = std::env::var_os("ENV_INIT_DIRECTORY").filter(|dir| !dir.is_empty()).map(PathBuf::from) else {
        return STARTUP.into();
    };
    if !dir.is_dir() {
        say!(
            "my_init: ENV_INIT_DIRECTORY is {}, which is no directory: no startup file but {LAST_STARTUP} is run",
            dir.display()
        );
    }
    dir
}

/// What is to be run of a directory, in the order of the names. A script that only lacks its mode is told of, and is not run: to
/// take the mode away is a way to turn it off.
fn executables(dir: &Path) -> Vec<PathBuf> {
    entries(dir).into_iter().filter_map(|name| executable(&dir.join(name))).collect()
}

fn executable(path: &Path) -> Option<PathBuf> {
    if !path.is_file() {
        return None;
    }
    let mistake = mistakes::find(path);
    match mistake {
        Some(Mistake::NotExecutable) if mistakes::is_script(path) => {
            let shown = path.display();
            say!("my_init: {shown}: is not executable, and so is passed over: chmod +x {shown} if it is to run");
            None
        }
        Some(Mistake::NotExecutable) => None,
        Some(mistake @ Mistake::CarriageReturn) => {
            mistakes::tell(path, mistake);
            Some(path.to_owned())
        }
        Some(Mistake::NoLink) | None => Some(path.to_owned()),
    }
}

/// The step at the end, if there is anything for it to do, and the words that start svc-scan.
fn lay_out(options: &Options) -> Result<Vec<OsString>, crate::files::Failed> {
    let nowhere = |why: String| (PathBuf::from("/run"), std::io::Error::other(format!("{why}: {}", cure())));
    let (run, trouble) = writable(probe).map_err(nowhere)?;
    if let Some(trouble) = trouble {
        say!("my_init: {trouble}: using {}: {}", run.display(), cure());
    }
    let run = run.join("my_init");
    remove(&run)?;
    let (units, code) = (run.join("units"), run.join("exitcode"));
    make_dir(&units)?;
    write(&code, format!("{INTERRUPTED}\n").as_bytes())?;
    let mut words: Vec<OsString> = ["svc-scan", "--title=runsv", "--exit-code-file"].map(OsString::from).into();
    words.push(code.into());
    words.push(format!("--rest-limit={}", steps::rest().0).into());
    if options.runit {
        words.push(SERVICES.into());
    }
    let at_the_end = [PRE_SHUTDOWN, POST_SHUTDOWN].iter().any(|dir| !entries(Path::new(dir)).is_empty());
    if at_the_end || !options.runit {
        let step = units.join("my_init");
        make_dir(&step)?;
        write(&step.join("type"), b"oneshot\n")?;
        write(&step.join("up"), b"")?;
        let end: &[u8] =
            if options.quiet { b"/proc/self/exe my_init --end --quiet\n" } else { b"/proc/self/exe my_init --end\n" };
        write(&step.join("down"), end)?;
        words.push(units.into());
    }
    if !options.command.is_empty() {
        words.push("--".into());
        words.extend(options.command.iter().cloned());
    }
    Ok(words)
}

/// Ends with this code. What startup files have left running is ended by svc-init, which knows how.
fn give_up(code: u8) -> u8 {
    if process::has_children()
        && let Ok((run, _)) = writable(probe)
    {
        let none = run.join("my_init");
        if make_dir(&none).is_ok() {
            let words = ["svc-scan".into(), none.into(), "--".into(), "/proc/self/exe".into(), "exit".into()];
            exe::replace_by_own(&words.into_iter().chain([code.to_string().into()]).collect::<Vec<OsString>>());
        }
    }
    code
}

/// A number of seconds in a variable of phusion's.
fn seconds(name: &str) -> Option<Millis> {
    std::env::var(name).ok()?.trim().parse().ok().map(Millis::from_secs)
}
