//! What is done to variables and files before a program starts: variables from links, directories and files, secrets,
//! configuration from templates, artefacts of distributions, owners of volumes, certificates.
//!
//! It is called by `svc exec` in front of a program, and by programs of their own (`svc render` ...). It runs to its end: nothing
//! here stays, watches or supervises, and nothing here becomes another user. Variables are returned and not set: the caller
//! has one thread, and knows when that is safe.
#![forbid(unsafe_code)]

pub mod certificates;
pub mod distribution;
pub mod dumps;
pub mod json;
pub mod place;
pub mod render;
pub mod secrets;
pub mod template;
pub mod variables;
pub mod volumes;

mod files;

use std::os::unix::fs::MetadataExt;

/// A variable and its value.
pub type Variable = (String, String);

/// Who a file is to belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// Who this process is.
fn me() -> Owner {
    let own = std::fs::metadata("/proc/self").ok();
    own.map_or(Owner { uid: 0, gid: 0 }, |own| Owner { uid: own.uid(), gid: own.gid() })
}
