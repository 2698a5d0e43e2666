//! What goes over the sockets: packets between our own processes, the JSON of the control API, the memory that supervisors
//! leave behind for their successors, the bytes of s6's files, and the messages of the system log. No I/O, but for a
//! number of the kernel's in `place::abstract_name`.
#![forbid(unsafe_code)]

pub mod api;
pub mod checks;
pub mod codec;
pub mod definition;
pub mod handover;
pub mod json;
pub mod label;
pub mod ledger;
pub mod link;
pub mod notify;
pub mod place;
mod policy;
pub mod s6;
pub mod syslog;
pub mod tail;
