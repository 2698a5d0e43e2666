//! Readiness and health: `svc probe` by itself, and what services are told to be by it.
#![forbid(unsafe_code)]

mod health;
mod notify;
mod program;
mod ready;
