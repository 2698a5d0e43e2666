//! s6-svc and its family against the supervisor and scanner of s6 itself, as Debian packages them.
#![forbid(unsafe_code)]

mod daemontools;
mod events;
mod instances;
mod linking;
mod looking;
mod scan;
mod steering;
mod sv;
mod waiting;
