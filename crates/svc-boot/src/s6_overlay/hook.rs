//! S6_STAGE2_HOOK: a command that may change what is started, and so runs before anything is read.

use std::path::Path;

use svc_sys::say;

use super::settings::{Failure, Settings};
use crate::children::{Children, Ended};
use crate::mistakes;

/// Runs it, if there is one. An exit code if that is the end of everything.
pub(super) fn run(children: &mut Children, settings: &Settings) -> Option<u8> {
    let (program, arguments) = settings.hook.split_first()?;
    let shown = program.display();
    let code = match children.run(mistakes::command(Path::new(program)).args(arguments), settings.kill_grace) {
        // Somebody stopped the container: that is no failure.
        Ok(Ended::Stopped) => return Some(svc_sys::exit::DONE),
        Ok(Ended::By(exit)) => exit.shell_code(),
        Err(error) => {
            say!("init: S6_STAGE2_HOOK: {shown}: {error}");
            svc_sys::exit::NOT_FOUND
        }
    };
    match (code, settings.failure) {
        (0, _) => None,
        (code, Failure::Stop) => {
            say!("init: S6_STAGE2_HOOK: {shown} failed ({code}): ending, as S6_BEHAVIOUR_IF_STAGE2_FAILS says");
            Some(code)
        }
        (code, Failure::Warn | Failure::Continue) => {
            say!("init: S6_STAGE2_HOOK: {shown} failed ({code}): going on");
            None
        }
    }
}
