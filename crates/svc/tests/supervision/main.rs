//! One service and its supervisor, with real processes: what a service directory says
//! (docs/service-directories.md), and the promises of docs/promises.md that are about supervision, by their numbers.

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
