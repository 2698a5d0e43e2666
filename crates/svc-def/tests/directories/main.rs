//! Service directories as people break them: each in a scratch directory of its own, read for real, and its message checked
//! for what is wrong and for the cure.

mod documents;
mod entries;
mod explanations;
mod probes;
mod programs;
mod readings;
mod registry;
mod scratch;
mod servicefile;
mod sources;
mod stops;
mod table;
