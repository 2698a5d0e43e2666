//! The end of everything: first in order, then the rest.

use svc_core::Millis;
use svc_core::graph::{Event, Progress, Request, RequestId};
use svc_core::roster::Happened;
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
