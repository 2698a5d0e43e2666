//! Services with a service.toml in a running system: what each key does, order, changes, and what a broken edit does not do.
#![forbid(unsafe_code)]

mod admission;
mod analyzing;
mod applying;
mod asking;
mod cgroups;
mod changes;
mod coming;
mod commands;
mod computed;
mod crossing;
mod delays;
mod distributions;
mod files;
mod graph;
mod here;
mod keys;
mod memory;
mod missing;
mod peers;
mod plugins;
mod prepared;
mod programs;
mod recovery;
mod refused;
mod restarts;
mod rights;
mod secrets;
mod starts;
mod stopping;
mod stops;
#[path = "../../../svc-def/tests/directories/table.rs"]
mod table;
mod templates;
mod timers;
mod turned_away;
