//! The end: in order, with everything said, within its time, and nothing left behind.

mod bounds;
mod codes;
mod hooks;
mod order;
mod process1;
mod signals;
