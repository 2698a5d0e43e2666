//! One service and its supervisor, with real processes: the contract of a service directory (s6-contract.md section 1) and
//! the promises of section 8 that are about supervision. A promise's number stands above its test.

mod crashes;
mod descendants;
mod files;
mod finish;
mod isolation;
mod locks;
mod loggers;
mod namespaces;
mod readiness;
mod restarts;
mod status;
mod stopping;
mod support;
mod surroundings;
mod tally;
mod timing;
mod verbs;
mod waits;
