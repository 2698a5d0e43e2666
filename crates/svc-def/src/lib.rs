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
mod explain;
mod look;
mod mount;
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
pub use problem::{Problem, shown};
pub use rc::{Cron, Facts, Half, Kind, Outside, Rare, Source, Start, Timer, Values, halves, pipelines};
pub use reading::{Outcome, Reading, missing_run, read};
pub use servicefile::{
    Address, Flow, Instances, Shown, Socket, bundle_of, edit_stamp, edited_in, find, is_like, is_one_file, manual, schema,
    show,
};
