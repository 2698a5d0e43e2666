//! Control and query: s6-svc and its family, on the files of supervise/ and event/.

mod instance;
mod instance_maker;
mod permafailon;
mod svc;
mod svdt;
mod svlink;
mod svlisten;
mod svok;
mod svperms;
mod svscanctl;
mod svstat;
mod svwait;
mod usertree_maker;

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[
    svc::COMMAND,
    svstat::COMMAND,
    svwait::COMMAND,
    svlisten::ONE,
    svlisten::MANY,
    svok::COMMAND,
    svscanctl::COMMAND,
    svlink::LINK,
    svlink::UNLINK,
    svperms::COMMAND,
    svdt::SHOW,
    svdt::CLEAR,
    permafailon::COMMAND,
    instance_maker::COMMAND,
    instance::CREATE,
    instance::DELETE,
    instance::CONTROL,
    instance::STATUS,
    instance::LIST,
    usertree_maker::COMMAND,
];
