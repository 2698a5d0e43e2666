//! What s6's own tools find on disk (docs/decisions/0011-files-of-s6.md): bytes, modes, events and letters, and Debian's tools on
//! services that svc supervises. Promises are numbered as in docs/promises.md.
#![forbid(unsafe_code)]

mod alone;
mod control;
mod events;
mod files;
mod many;
mod places;
mod races;
mod scanner;
mod support;
mod tools;
