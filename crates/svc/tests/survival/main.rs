//! Killing processes of ours, at any time and in any order: no service notices, no line is lost, control comes back.
//! Invariants and promises are numbered as in docs/promises.md.

mod chaos;
mod commands;
mod common;
mod init;
mod limits;
mod logs;
mod quiet;
mod scan;
mod states;
mod supervisors;
