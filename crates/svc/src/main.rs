//! The multi-call binary: one program, many names. It acts by the name it was called by, through any number of symbolic links,
//! or by its first argument.
#![forbid(unsafe_code)]

mod bounded;
mod chain;
mod computed;
mod install;
mod launch;
mod manual;
mod once;
mod prepare;
mod probe;
mod said;
mod scan;
mod script;
mod setup;
mod supervise;
mod svscan;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use svc_sys::exit;

/// Ours, so that svc-init has a last word when memory is out.
#[global_allocator]
static ALLOCATOR: svc_sys::alloc::Allocator = svc_sys::alloc::Allocator;

/// What `--version` says behind the name.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("SVC_COMMIT"), " ", env!("SVC_TARGET"), ")");

/// A program by name: what it does with its arguments, its own name first.
struct Applet {
    name: &'static str,
    about: &'static str,
    main: fn(Vec<OsString>) -> u8,
    /// Whether `svc install` makes a link of this name.
    linked: bool,
}

const APPLETS: [Applet; 12] = [
    Applet { name: "svc-scan", about: "watch directories of services and run them", main: scan::main, linked: true },
    Applet { name: "svc-ctl", about: "steer and look at services", main: ctl, linked: true },
    Applet {
        name: "svc-init",
        about: "the same as svc-scan, under the name of its first process",
        main: scan::main,
        linked: true,
    },
    Applet {
        name: "svc-log",
        about: "read standard input, and write it to standard output line by line",
        main: svc_log::copy,
        linked: true,
    },
    Applet {
        name: "syslog",
        about: "read /dev/log, and write it to standard output",
        main: svc_log::syslog::main,
        linked: false,
    },
    Applet {
        name: "dockerflow",
        about: "answer the endpoints of Mozilla's Dockerflow",
        main: svc_dockerflow::main,
        linked: false,
    },
    Applet {
        name: "s6-overlay",
        about: "a step between /init and the services of an image for s6-overlay",
        main: svc_boot::s6_overlay::step,
        linked: false,
    },
    Applet {
        name: "my_init",
        about: "boot an image that was made for phusion's baseimage-docker",
        main: svc_boot::my_init::main,
        linked: false,
    },
    Applet { name: "exec", about: "change what a process has, and execute a program", main: chain::main, linked: false },
    Applet {
        name: "probe",
        about: "look whether something answers, or wait until it does",
        main: probe::main,
        linked: false,
    },
    Applet { name: "manual", about: "print the man page of a command of s6", main: manual::main, linked: false },
    Applet { name: "install", about: "make links to this program in a directory", main: install::main, linked: false },
];

/// Programs that are known by a path of their own, and are in no directory of commands: see `svc install --s6-overlay`
/// and `--my-init`; and by what /init makes in service directories.
const ENTRIES: [Applet; 7] = [
    Applet { name: "init", about: "", main: svc_boot::s6_overlay::init, linked: false },
    Applet { name: "stage0", about: "", main: svc_boot::s6_overlay::init, linked: false },
    Applet { name: "my_init", about: "", main: svc_boot::my_init::main, linked: false },
    Applet { name: "preinit", about: "", main: svc_boot::s6_overlay::preinit, linked: false },
    Applet { name: "run", about: "", main: script::beside, linked: false },
    Applet { name: "finish", about: "", main: script::beside, linked: false },
    Applet { name: "s6-overlay-forward", about: "", main: svc_boot::s6_overlay::forward_signal, linked: false },
];

/// What a name stands for.
enum Program {
    Ours(&'static Applet),
    /// One of those that scripts call.
    Theirs(&'static svc_compat::Command),
}

impl Program {
    /// By the first argument: ours also without the `svc-`.
    fn find(name: &str) -> Option<Program> {
        let ours = APPLETS.iter().find(|applet| applet.name == name || applet.name.strip_prefix("svc-") == Some(name));
        let theirs = || command(name).or_else(|| command(&format!("svc-{name}")));
        ours.map(Program::Ours).or_else(|| theirs().map(Program::Theirs))
    }

    /// By the name of a link.
    fn linked(name: &str) -> Option<Program> {
        let ours = APPLETS.iter().filter(|applet| applet.linked).chain(&ENTRIES).find(|applet| applet.name == name);
        ours.map(Program::Ours).or_else(|| command(name).map(Program::Theirs))
    }

    fn main(self, arguments: Vec<OsString>) -> u8 {
        let name = match self {
            Program::Ours(applet) => applet.name,
            Program::Theirs(command) => command.name,
        };
        // The rest is called by the name of svc, or is as old as who it stands in for.
        if name.starts_with("svc-") && arguments.get(1).is_some_and(asks_for_version) {
            return tell_version(name);
        }
        match self {
            Program::Ours(applet) => (applet.main)(arguments),
            Program::Theirs(command) => command.main(arguments),
        }
    }
}

/// svc-ctl, which knows of none of the others.
fn ctl(arguments: Vec<OsString>) -> u8 {
    /// More than it needs: a tenth of it for 10,000 services. Only what is used takes memory.
    const HEAP: usize = 256 * 1024 * 1024;
    // It has one thread, lives for a moment, and makes many small things of what it reads.
    if svc_sys::alloc::limit_of_space() == usize::MAX {
        let _ = svc_sys::alloc::use_small_heap(HEAP);
    }
    svc_ctl::main(arguments, |name| command(name).is_some())
}

/// The commands that scripts call: those of svc-compat, and those that start svc itself.
fn commands() -> impl Iterator<Item = &'static svc_compat::Command> {
    svc_compat::commands().chain(starters())
}

/// Those of them that start svc.
fn starters() -> impl Iterator<Item = &'static svc_compat::Command> {
    svscan::COMMANDS.iter().chain(supervise::COMMANDS)
}

fn command(name: &str) -> Option<&'static svc_compat::Command> {
    commands().find(|command| command.name == name)
}

/// All names that links may have.
fn names() -> impl Iterator<Item = &'static str> {
    linked_applets().chain(commands().map(|command| command.name))
}

/// Those of them that nobody else has.
fn own_names() -> impl Iterator<Item = &'static str> {
    linked_applets().chain(supervise::COMMANDS.iter().map(|command| command.name).filter(|name| name.starts_with("svc-")))
}

fn linked_applets() -> impl Iterator<Item = &'static str> {
    APPLETS.iter().filter(|applet| applet.linked).map(|applet| applet.name)
}

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.starts_with(&["svc".into(), "exec".into()]) {
        // As supervisors call it, at each start: nobody has to look for a link of that name.
        return ExitCode::from(chain::main(arguments.split_off(1)));
    }
    if let Some(program) = called(arguments.first()) {
        return ExitCode::from(program.main(arguments));
    }
    if !arguments.is_empty() {
        arguments.remove(0);
    }
    ExitCode::from(dispatch(arguments))
}

fn asks_for_version(word: &OsString) -> bool {
    word == "--version" || word == "-V"
}

fn tell_version(name: &str) -> u8 {
    println!("{name} {VERSION}");
    exit::DONE
}

/// Acts by the first argument.
fn dispatch(arguments: Vec<OsString>) -> u8 {
    let Some(first_word) = arguments.first() else {
        eprint!("{}", usage());
        return exit::USAGE;
    };
    let first = first_word.to_string_lossy().into_owned();
    if let Some(command) = daemontools(&first, arguments.len()) {
        return command.main(["svc".into()].into_iter().chain(arguments).collect());
    }
    match first.as_str() {
        _ if asks_for_version(first_word) => tell_version("svc"),
        "--help" | "-h" | "help" => {
            print!("{}", usage());
            exit::DONE
        }
        name => match Program::find(name) {
            Some(program) => program.main(arguments),
            None => {
                eprintln!("svc: {name}: no such program\n\n{}", usage());
                exit::USAGE
            }
        },
    }
}

/// The svc of daemontools, if this is how it is called: its letters, and a service behind them. `-h` alone asks for help.
fn daemontools(first: &str, words: usize) -> Option<&'static svc_compat::Command> {
    let letters = first.strip_prefix('-').filter(|letters| !letters.is_empty() && words > 1)?;
    let command = svc_compat::find("daemontools-svc")?;
    letters.chars().all(|letter| command.options.iter().any(|option| option.letter == letter)).then_some(command)
}

fn usage() -> String {
    let mut text =
        String::from("svc: a process supervisor for containers\n\nUsage: svc PROGRAM [ARGUMENT...]\n\nPrograms:\n");
    let own = supervise::COMMANDS.iter().filter(|command| command.name.starts_with("svc-"));
    let own = own.map(|command| (command.name, command.about));
    for (name, about) in APPLETS.iter().map(|applet| (applet.name, applet.about)).chain(own) {
        text += &format!("  {name:14} {about}\n");
    }
    text += "\nand those of s6, execline, runit and daemontools: `svc manual` lists them.\n";
    text +=
        "\n  --version      version, commit and target\n  --help         this text; `svc PROGRAM --help` says more of one\n";
    text
}

/// The program that the name stands for by which this one was called; or, where a link has a name of its own, that of the
/// first link behind it which is one of ours.
fn called(word: Option<&OsString>) -> Option<Program> {
    /// The kernel's own limit on links in one path.
    const MAX_LINKS: usize = 40;
    let mut path = PathBuf::from(word?);
    let ours = |path: &Path| Program::linked(path.file_name()?.to_str()?);
    if let Some(program) = ours(&path) {
        return Some(program);
    }
    if path.components().count() == 1 {
        let dirs = std::env::var_os("PATH")?;
        path = std::env::split_paths(&dirs).map(|dir| dir.join(&path)).find(|path| path.exists())?;
    }
    let mut target = path.read_link();
    for _ in 0..MAX_LINKS {
        path = path.parent()?.join(target.ok()?);
        target = path.read_link();
        // A file at the end may be a copy of svc, whatever it is called: /proc/self/exe leads to /init where that was copied.
        if let Some(program) = ours(&path).filter(|_| target.is_ok()) {
            return Some(program);
        }
    }
    None
}
