//! Children that have ended.

use svc_core::service::{Daemon, Event, Role, State};
use svc_core::{Exit, Output, Pid};
use svc_sys::process::{self, Reap};
use svc_sys::{poll, say};

use super::Driver;
use crate::{daemon, leaf};

/// So many ended children a turn: where they end faster than they can be taken, commands and deadlines have their turn too.
const REAP_TURN: usize = 256;

impl Driver {
    /// The last one whom a service was allowed to leave behind may have ended.
    pub(super) fn tidy(&self) {
        if self.settings.keep_descendants && matches!(self.machine.state(), State::Down { .. } | State::Armed) {
            leaf::remove(&self.definition, self.init_pid);
        }
    }

    /// Takes every child that has ended. The main process is taken only after its end is written down: until then it stays
    /// for whoever comes after us.
    pub(super) fn reap(&mut self) {
        for _ in 0..REAP_TURN {
            let Reap::One(ended) = process::peek() else { return };
            if Some(ended.pid) == self.machine.pid() {
                self.ended(ended.pid, ended.exit, || {
                    process::reap_one(ended.pid);
                });
            } else {
                self.ends_look(ended.pid, ended.exit);
                process::reap_one(ended.pid);
                self.ends_errand(ended.pid, ended.exit);
            }
        }
        process::look_at_children_again();
    }

    /// The main process, or finish, has ended; `reap` takes it, where that is ours to do.
    pub(super) fn ended(&mut self, pid: Pid, exit: Exit, reap: impl FnOnce()) {
        self.read_launch(poll::readable);
        self.read_readiness();
        self.adopted.take_if(|adopted| adopted.pid == pid);
        if let Some(main) = self.successor(pid, exit) {
            let (row, mark) = (self.row, self.machine.start_mark(Role::Run));
            self.feed_then(Event::Forked(main), || {
                row.set_spawned(main, mark);
                reap();
            });
            self.remains.forget(main);
            self.knows_orphans = false;
            if !self.is_own_child(main) {
                self.adopt(main);
            }
            return;
        }
        if let State::Up { .. } = self.machine.state() {
            let starved = leaf::starved(&self.definition, self.init_pid).saturating_sub(self.starved_before);
            if starved > 0 {
                leaf::say_starved(&self.definition, self.init_pid, starved);
                self.machine.starve();
            }
            self.last_group = Some(pid);
            // How many deaths are remembered is read when there is one.
            self.reread();
            if self.definition.output == Output::Inherit {
                // From here on `^C` is for svc-init again.
                process::pass_terminal(pid.raw(), self.init_pid);
            }
        }
        self.look_who_was_served();
        self.feed_then(Event::Exited(exit), reap);
    }

    /// Who goes on as the service where the main process has put it into the background.
    pub(super) fn successor(&mut self, ended: Pid, exit: Exit) -> Option<Pid> {
        let forking = self.settings.forking.as_ref().filter(|_| self.machine.may_have_forked(exit, &self.settings))?;
        let left = svc_sys::procfs::children(process::id()).into_iter().chain(self.remains.others());
        // A probe is none of the service, though it is left behind like one.
        let left = left.filter(|&pid| !self.is_probe(pid));
        let found = daemon::successor(ended, forking, left);
        let missing = found.is_none() && self.machine.daemon() == Daemon::Launching;
        let why = missing.then(|| match daemon::is_named(ended, forking) {
            true => "its pid-file names the command itself, so nobody goes on as the service: have it name the daemon",
            false => "left no process behind: does it stay in the foreground?",
        });
        // It is started once a second, and this is said once.
        if let Some(why) = why.filter(|_| self.told_missing != why) {
            let name = &self.definition.name;
            say!("svc-supervise: {name}: forking, and its command ended with 0 and {why}");
        }
        self.told_missing = why;
        found
    }
}
