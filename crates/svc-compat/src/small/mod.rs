//! The small programs that scripts call.
//!
//! s6-nuke is left out on purpose: it kills every process there is, and those of a host whose processes a container sees as well.

mod copy;
mod files;
mod lines;
mod look;
mod output;
mod test;
mod variables;
mod wait;
mod words;

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[
    test::S6_TEST,
    test::ELTEST,
    words::ECHO,
    words::TRUE,
    words::FALSE,
    words::BASENAME,
    words::DIRNAME,
    words::SEQ,
    wait::PAUSE,
    wait::SLEEP,
    wait::MAXIMUMTIME,
    wait::NICE,
    wait::CLOCK,
    files::MKDIR,
    files::MKFIFO,
    files::CHMOD,
    files::CHOWN,
    files::LN,
    files::RENAME,
    files::TOUCH,
    files::RMRF,
    files::SYNC,
    files::HIERCOPY,
    look::LS,
    look::LINKNAME,
    look::OVERLAY_STAT,
    lines::CAT,
    lines::SORT,
    lines::FORMAT_FILTER,
    lines::HEAD,
    lines::TAIL,
    variables::ENV,
    variables::PRINTENV,
    variables::DUMPENV,
];
