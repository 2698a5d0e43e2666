//! The end: in order, with everything said, within its time, and nothing left behind. Promises are numbered as in docs/promises.md.

mod bounds;
mod codes;
mod hooks;
mod order;
mod process1;
mod signals;
