//! The layout of s6-overlay 2 and 3: `/init`, and the steps between it and the services.
//!
//! `/init` makes the places that scripts know (`places`), runs the stage-2 hook (`hook`), lays out the sources (`sources`), and
//! becomes svc-scan. fix-attrs, cont-init.d, services.d and cont-finish.d are steps (`steps`).

mod bare;
mod farm;
mod hook;
mod memory;
mod path;
mod places;
mod settings;
mod sources;
mod steps;

use std::ffi::OsString;

use svc_core::Millis;
use svc_sys::exit;

use places::Places;
use settings::{Failure, Settings};

use crate::children::Children;
use crate::files::{give_up, writable};
use crate::guard;

pub use steps::forward_signal;

/// `/init`: becomes svc-scan on what the image has. The words behind its name are the main program.
pub fn init(arguments: Vec<OsString>) -> u8 {
    svc_sys::exe::read_ahead();
    let mut children = match Children::new() {
        Ok(children) => children,
        Err(message) => {
            svc_sys::say!("init: {message}");
            return exit::SYSTEM;
        }
    };
    let settings = Settings::read(|name| std::env::var_os(name));
    settings.explain();
    path::complete();
    let command = arguments.into_iter().skip(1).collect();
    let (run, trouble) = match writable(places::begin) {
        Ok(found) => found,
        Err(nowhere) => return bare::boot(&mut children, &settings, &nowhere, command),
    };
    let code = match Places::make(run, trouble, &settings) {
        Ok(places) => boot(&mut children, &settings, &places, command),
        Err(message) => {
            svc_sys::say!("init: {message}");
            exit::SYSTEM
        }
    };
    give_up();
    code
}

/// Returns where nothing came of it.
fn boot(children: &mut Children, settings: &Settings, places: &Places, command: Vec<OsString>) -> u8 {
    if let Some(code) = hook::run(children, settings) {
        return code;
    }
    let tree = sources::Tree::read(settings);
    let longest = tree.longest_stop();
    let may_write = tree.runs_scripts() || !settings.hook.is_empty();
    if let Err(error) = tree.lay_out(places) {
        svc_sys::say!("init: {error}");
        return exit::SYSTEM;
    }
    become_scan(settings, longest, words(settings, places, command, may_write))
}

/// Becomes svc-scan, which has the time for its end that the image needs.
fn become_scan(settings: &Settings, longest: Millis, words: Vec<OsString>) -> u8 {
    if std::env::var_os("SVC_STOP_TIMEOUT").is_none() {
        svc_sys::environment::change(format!("SVC_STOP_TIMEOUT={}ms", settings.budget(longest).0).into());
    }
    let errno = svc_sys::exe::replace_by_own(&words);
    svc_sys::say!("init: cannot become svc-scan: {errno}");
    exit::SYSTEM
}

/// What svc-scan is started with. The main program has the environment as scripts have left it, where there are some.
fn words(settings: &Settings, places: &Places, command: Vec<OsString>, may_write: bool) -> Vec<OsString> {
    let mut words = options(settings);
    words.extend(["--exit-code-file".into(), places.exit_code().into()]);
    words.extend([places.services().into(), places.units().into()]);
    if !command.is_empty() {
        words.push("--".into());
        if may_write {
            words.extend(["/proc/self/exe".into(), "with-contenv".into()]);
        }
        words.extend(settings.arg0.iter().cloned());
        words.extend(command);
    }
    words
}

/// svc-scan, and what variables have to say to it.
fn options(settings: &Settings) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["svc-scan".into(), "--title=s6-supervise".into(), "--overlay".into()];
    words.extend(match settings.failure {
        Failure::Continue => None,
        Failure::Warn => Some(OsString::from("--start-failure=warn")),
        Failure::Stop => Some(OsString::from("--start-failure=stop")),
    });
    words.extend(settings.start_limit.map(|limit| format!("--start-limit={}", limit.0).into()));
    words
}

/// `svc s6-overlay STEP`: one of the steps, called by a oneshot.
pub fn step(arguments: Vec<OsString>) -> u8 {
    let settings = Settings::read(|name| std::env::var_os(name));
    match arguments.get(1).and_then(|word| word.to_str()) {
        Some("fix-attrs") => steps::fix_attrs(&settings),
        Some("cont-init") => steps::cont_init(&settings),
        Some("cont-finish") => steps::cont_finish(&settings),
        Some("services-up") => steps::services_up(&settings, &Places::find()),
        Some("guard") => guard::main(),
        Some("services-down") => steps::services_down(&settings, &Places::find()),
        Some(_) | None => {
            eprintln!(
                "svc s6-overlay: a step of /init, for nobody else: fix-attrs, cont-init, cont-finish, services-up or services-down"
            );
            exit::USAGE
        }
    }
}

/// `preinit`: what s6-overlay does before its stage 0 is done by `/init`. Scripts that call both find both.
pub fn preinit(_arguments: Vec<OsString>) -> u8 {
    exit::DONE
}
