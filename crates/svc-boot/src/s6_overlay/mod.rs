//! The layout of s6-overlay 2 and 3: `/init`, and the steps between it and the services.
//!
//! `/init` makes the places that scripts know (`places`), runs the stage-2 hook (`hook`), lays out the sources (`sources`), and
//! becomes svc-scan. fix-attrs, cont-init.d, services.d and cont-finish.d are steps (`steps`).

mod farm;
mod hook;
mod places;
mod settings;
mod sources;
mod steps;

use std::ffi::OsString;

use svc_sys::exit;

use places::Places;
use settings::{Failure, Settings};

use crate::children::Children;

pub use steps::forward_signal;

/// `/init`: becomes svc-scan on what the image has. The words behind its name are the main program.
pub fn init(arguments: Vec<OsString>) -> u8 {
    let mut children = match Children::new() {
        Ok(children) => children,
        Err(message) => {
            svc_sys::say!("init: {message}");
            return exit::SYSTEM;
        }
    };
    let settings = Settings::read(|name| std::env::var_os(name));
    settings.explain();
    let places = match Places::make(&settings) {
        Ok(places) => places,
        Err(message) => {
            svc_sys::say!("init: {message}");
            return exit::USAGE;
        }
    };
    if let Some(code) = hook::run(&mut children, &settings) {
        return code;
    }
    let tree = sources::Tree::read(&settings);
    let longest = tree.longest_stop();
    if let Err(error) = tree.lay_out(&places) {
        svc_sys::say!("init: {error}");
        return exit::SYSTEM;
    }
    if std::env::var_os("SVC_STOP_TIMEOUT").is_none() {
        svc_sys::environment::change(format!("SVC_STOP_TIMEOUT={}ms", settings.budget(longest).0).into());
    }
    let command = arguments.into_iter().skip(1).collect();
    let errno = svc_sys::exe::replace_by_own(&words(&settings, &places, command));
    svc_sys::say!("init: cannot become svc-scan: {errno}");
    exit::SYSTEM
}

/// What svc-scan is started with.
fn words(settings: &Settings, places: &Places, command: Vec<OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["svc-scan".into(), "--title=s6-supervise".into()];
    words.extend(["--exit-code-file".into(), places.exit_code().into()]);
    words.extend(match settings.failure {
        Failure::Continue => None,
        Failure::Warn => Some(OsString::from("--start-failure=warn")),
        Failure::Stop => Some(OsString::from("--start-failure=stop")),
    });
    if let Some(limit) = settings.start_limit {
        words.push(format!("--start-limit={}", limit.0).into());
    }
    words.extend([places.services().into(), places.units().into()]);
    if !command.is_empty() {
        words.push("--".into());
        words.extend(settings.arg0.iter().cloned());
        words.extend(command);
    }
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
