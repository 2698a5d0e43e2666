//! What a client's task asks the hub, and how it gets its answer.

use svc_proto::api;
use tokio::sync::{mpsc, oneshot};

/// How many lines a reader of a stream may be behind before it loses some.
pub(crate) const STREAM_ROOM: usize = 1024;

/// One request.
pub(crate) enum Ask {
    Version(oneshot::Sender<api::Version>),
    Services(oneshot::Sender<api::Services>),
    Graph(oneshot::Sender<api::Graph>),
    Boot(oneshot::Sender<api::Boot>),
    Detail { service: String, answer: oneshot::Sender<Option<api::Detail>> },
    Control { control: api::Control, answer: oneshot::Sender<Result<api::Outcomes, String>> },
    Wait { wait: api::Wait, answer: oneshot::Sender<api::Outcomes> },
    Events { lines: mpsc::Sender<Vec<u8>> },
    Logs { services: Vec<String>, lines: Option<usize>, follow: bool, answer: oneshot::Sender<Result<Logs, String>> },
    Plan(oneshot::Sender<api::Plan>),
    Apply { apply: api::Apply, answer: oneshot::Sender<Result<api::Outcomes, String>> },
    Scale { scale: api::Scale, answer: oneshot::Sender<Result<api::Scaled, NotScaled>> },
    Rescan(oneshot::Sender<api::Done>),
    Shutdown { shutdown: api::Shutdown, answer: oneshot::Sender<api::Done> },
}

impl Ask {
    /// The services that it asks for. Whoever waits for some waits until they are there, so long as they may come.
    pub(crate) fn names(&self) -> &[String] {
        match self {
            Ask::Detail { service, .. } => std::slice::from_ref(service),
            Ask::Control { control, .. } => &control.services,
            Ask::Logs { services, .. } => services,
            Ask::Scale { scale, .. } => std::slice::from_ref(&scale.template),
            Ask::Version(_) | Ask::Services(_) | Ask::Graph(_) | Ask::Boot(_) | Ask::Wait { .. } | Ask::Events { .. } => &[],
            Ask::Plan(_) | Ask::Apply { .. } | Ask::Rescan(_) | Ask::Shutdown { .. } => &[],
        }
    }
}

/// Why there is no other number of instances.
pub(crate) enum NotScaled {
    NoSuchService(String),
    Refused(String),
}

/// The lines there are, and those to come.
pub(crate) struct Logs {
    pub(crate) first: Vec<api::LogLine>,
    pub(crate) rest: Option<mpsc::Receiver<Vec<u8>>>,
}

/// A reader of a stream that may be slow: what it has no room for is counted, and told when there is room again.
pub(crate) struct Subscriber {
    lines: mpsc::Sender<Vec<u8>>,
    lost: u64,
}

impl Subscriber {
    pub(crate) fn new(lines: mpsc::Sender<Vec<u8>>) -> Subscriber {
        Subscriber { lines, lost: 0 }
    }

    /// `false` when it is gone. `lagged` makes the line that tells how many were lost.
    pub(crate) fn send(&mut self, line: Vec<u8>, lagged: impl FnOnce(u64) -> Vec<u8>) -> bool {
        if self.lost > 0 {
            match self.lines.try_send(lagged(self.lost)) {
                Ok(()) => self.lost = 0,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    self.lost += 1;
                    return true;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
            }
        }
        match self.lines.try_send(line) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.lost += 1;
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.lines.is_closed()
    }
}
