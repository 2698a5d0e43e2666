//! What goes over the sockets: packets between our own processes, the JSON of the control API, and the memory that
//! supervisors leave behind for their successors. No I/O.
#![forbid(unsafe_code)]

pub mod api;
pub mod codec;
pub mod definition;
pub mod handover;
pub mod label;
pub mod ledger;
pub mod link;
pub mod tail;
