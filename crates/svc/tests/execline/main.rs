//! execline: the same scripts under Debian's execline and under ours, written by hand and made up at random; and what is ours
//! alone.
#![forbid(unsafe_code)]

mod corpus;
mod fallback;
mod grammar;
mod hand;
mod own;
mod pair;
mod random;
