//! Killing processes of ours, at any time and in any order: no service notices, no line is lost, control comes back.

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
