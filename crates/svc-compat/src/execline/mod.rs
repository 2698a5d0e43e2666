//! execline: the language, and its commands as chain-loaders.
//!
//! The pure parts are the lexer, blocks, substitution, the transformation of values and the stack of positional parameters; a
//! room for each family of commands stands on them.

mod block;
mod capture;
mod case;
mod condition;
mod defining;
mod descriptors;
mod envfile;
mod environment;
mod execlineb;
mod frame;
mod loops;
mod places;
mod positionals;
mod posix;
mod program;
mod sequence;
mod standard_input;
mod substitute;
mod transform;
mod trap;
mod trying;
mod wait;

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[
    execlineb::EXECLINEB,
    sequence::BACKGROUND,
    capture::BACKTICK,
    case::CASE,
    places::CD,
    defining::DEFINE,
    positionals::DOLLARAT,
    positionals::ELGETOPT,
    defining::ELGETPOSITIONALS,
    defining::ELGLOB,
    environment::EMPTYENV,
    envfile::ENVFILE,
    trying::EXEC,
    places::EXECLINE_CD,
    places::EXECLINE_UMASK,
    trying::EXIT,
    environment::EXPORT,
    environment::EXPORT_ARRAY,
    descriptors::FDBLOCK,
    descriptors::FDCLOSE,
    descriptors::FDMOVE,
    descriptors::FDRESERVE,
    descriptors::FDSWAP,
    standard_input::FORBACKTICKX,
    sequence::FOREGROUND,
    standard_input::FORSTDIN,
    loops::FORX,
    capture::GETCWD,
    capture::GETPID,
    descriptors::HEREDOC,
    places::HOMEOF,
    condition::IF,
    condition::IFELSE,
    condition::IFTE,
    condition::IFTHENELSE,
    defining::IMPORTAS,
    loops::LOOPWHILEX,
    defining::MULTIDEFINE,
    defining::MULTISUBSTITUTE,
    sequence::PIPELINE,
    descriptors::PIPERW,
    posix::POSIX_CD,
    posix::POSIX_UMASK,
    descriptors::REDIRFD,
    positionals::RUNBLOCK,
    positionals::SHIFT,
    trap::TRAP,
    trying::TRYEXEC,
    places::UMASK,
    environment::UNEXPORT,
    wait::WAIT,
    capture::WITHSTDINAS,
];
