//! The helpers of s6-overlay and of phusion's base image.

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[];
