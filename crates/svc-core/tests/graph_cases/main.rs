//! Single cases of the graph: what the peers promise, and what can be asked.

mod bench;
mod dinit;
mod peers;
mod questions;
