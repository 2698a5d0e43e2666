//! What programs beside a supervisor know of a service: the files in its `supervise/`, the fifos in its `event/`, and how to
//! wait for what it says there.

pub(crate) mod block;
pub(crate) mod fifodir;
pub(crate) mod link;
pub(crate) mod supervise;
pub(crate) mod watch;
pub(crate) mod wish;

use std::time::{SystemTime, UNIX_EPOCH};

use svc_core::Millis;
use svc_proto::s6::Stamp;

use crate::command::{Call, Failure};

/// The wall clock, as stamps have it.
pub(crate) fn stamp_now() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp::from_unix_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// When the milliseconds of an option are over; never where it is missing, or 0.
pub(crate) fn deadline(call: &Call, letter: char) -> Result<Option<Millis>, Failure> {
    let wait: Option<u32> = call.number(letter)?;
    Ok(wait.filter(|&wait| wait > 0).map(|wait| svc_sys::clock::now() + Millis(u64::from(wait))))
}
