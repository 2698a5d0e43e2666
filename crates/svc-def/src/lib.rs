//! What a service directory says, and what is wrong with it.
//!
//! Reads and explains; never runs anything, never waits (a FIFO in the place of a file does not hold it up), never writes,
//! and never keeps a descriptor. Nothing here decides when a service starts: that is svc-scan's.
//!
//! It knows the classic form (`run` and the small files beside it), the sources of s6-rc (`type` and what goes with it), and
//! service.toml; `reading` tells them apart.
#![forbid(unsafe_code)]

mod calendar;
mod classic;
mod conditions;
mod elf;
mod entry;
mod errno;
pub mod execline;
mod explain;
mod image;
mod look;
mod mount;
mod naming;
mod problem;
mod program;
mod rc;
mod reading;
mod servicefile;
mod shebang;
mod user;

pub use calendar::Calendar;
pub use conditions::{
    CommandCondition, Conditions, Endpoint, EnvCondition, EnvTest, FileCondition, FileTest, Named, Otherwise,
};
pub use entry::{Entry, Identity, entry, identity, two_forms};
pub use explain::{explain_exec, explain_missing, has_no_place};
pub use image::{GROUP, Image, NO_HOME, Table, USER, no_account, no_group_of, no_line};
pub use look::shortage;
pub use naming::{Find, named, told};
pub use problem::{Problem, printable, shown};
pub use rc::{
    Cron, Facts, Files, Half, Kind, Outside, Rare, Source, Start, Timer, Values, Watched, halves, is_helped, pipelines,
};
pub use reading::{Outcome, Reading, lacks, missing_run, read, read_in, read_kept};
pub use servicefile::{
    Address, Flow, Instances, NO_STAMP, Shown, Socket, base, bundle_of, edit_stamp, edited_in, find, is_like, is_one_file,
    look_at, manual, schema, show,
};
