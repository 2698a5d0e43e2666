//! The end of everything: first in order, then the rest.

use svc_core::graph::{Event, Progress, Request, RequestId};
use svc_core::roster::Happened;
use svc_core::service::{Role, State, Want};
use svc_core::{Command, Millis, Service};
use svc_sys::clock;

use super::Hub;

/// Of the time for the end, the orderly part may take this share: the rest is for those who did not stop.
const ORDERLY_SHARE: (u64, u64) = (3, 4);

/// The end of everything that has others depend on it, in order; then comes the end of the rest.
pub(super) struct Ending {
    pub(super) request: RequestId,
    /// When the rest must begin.
    pub(super) by: Millis,
    /// All there is, counted from `began`.
    left: Millis,
    began: Millis,
}

impl Hub {
    pub(super) fn is_ending(&self) -> bool {
        self.ending.is_some() || self.roster.is_stopping()
    }

    /// The end was asked for: first those that others depend on, in order.
    pub(super) fn end(&mut self, left: Millis, force: bool, quick: bool) {
        self.keep_down();
        let is_known = self.composed || !self.recovered;
        if !is_known && !force && !quick && self.members.values().any(|member| member.definition.is_managed()) {
            self.early_end.get_or_insert((clock::now(), left));
            return;
        }
        self.early_end = None;
        self.directories.complain_now();
        self.directories.end();
        self.launch_delayed();
        let nothing_up = self.engine.graph().living().into_iter().all(|id| self.engine.progress(id) == Progress::Down);
        if self.ending.is_some() && !force {
            return;
        }
        if force || quick || nothing_up || self.roster.is_stopping() {
            self.ending = None;
            return self.happened(Happened::Shutdown { left, force, quick });
        }
        let request = self.next_request();
        let now = clock::now();
        self.ending =
            Some(Ending { request, by: now + Millis(left.0 * ORDERLY_SHARE.0 / ORDERLY_SHARE.1), left, began: now });
        self.step_engine(Event::Request(request, Request::Shutdown));
    }

    /// Who is down, or about to be, when the end is asked for stays down, though its turn may be late: a finish script that has asked
    /// for it would run twice, and the second time it would be told of a stop.
    pub(super) fn keep_down(&mut self) {
        // Whose finish script has just asked has said that it is in there.
        self.read_supervisors();
        let is_down = |machine: &Service| machine.want() == Want::Up && is_down(machine.state());
        let slots = self.members.iter().filter(|(_, member)| member.machine.as_ref().is_some_and(is_down));
        for slot in slots.map(|(&slot, _)| slot).collect::<Vec<u32>>() {
            // If it is up by now, it is stopped in its turn.
            self.tell(slot, Command::AtMostOnce);
        }
    }

    /// The end that was asked for early comes when everything has been read.
    pub(super) fn end_early(&mut self) {
        if self.early_end.is_none() || self.is_reading() {
            return;
        }
        if let Some((asked, left)) = self.early_end.take() {
            self.composed = true;
            self.end(left - (clock::now() - asked), false, false);
        }
    }

    /// Everything that could be stopped in order has been, or the time for that is over.
    pub(super) fn end_rest(&mut self) {
        let Some(Ending { left, began, .. }) = self.ending.take() else { return };
        let left = left - (clock::now() - began);
        self.happened(Happened::Shutdown { left, force: false, quick: false });
    }
}

fn is_down(state: State) -> bool {
    match state {
        State::Down { .. } | State::Starting { role: Role::Finish } | State::Finish { .. } | State::Sweep { .. } => true,
        // One that waits for others to knock may be needed until they have stopped.
        State::Armed | State::Starting { role: Role::Run } | State::Up { .. } | State::Gone => false,
    }
}
