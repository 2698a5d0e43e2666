//! What s6's own tools find on disk (s6-contract.md, sections 2 and 3): bytes, modes, events and letters, and Debian's tools on
//! services that svc supervises. A promise's number stands above its test.
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
