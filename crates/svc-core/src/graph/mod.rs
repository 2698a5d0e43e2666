//! The graph: in which order nodes start and stop. Pure, as everything here.
//!
//! A [`Graph`] is a checked set of definitions: every name is known, nothing waits for itself. An [`Engine`] holds one and
//! what is known of each node. Its driver (svc-scan) gives it what supervisors report and what users ask for with
//! [`Engine::step`], performs the actions that come out in their order, and sleeps until [`Engine::deadline`].
//!
//! **No transactions.** Each node has a wish and a progress, and the engine makes them agree node by node: one that is
//! wished up starts as soon as nothing holds it, one that is to go stops as soon as nobody above it lives. A request only
//! changes wishes and then watches until the nodes it is about have settled. So requests may overlap, a later one that
//! turns a node round supersedes the earlier one, and a stop never waits for a start: it takes back the wish.
//!
//! **Edges** wait. A hard dependency (`needs`) is started along, and its failure is the failure of the dependent; a soft one
//! (`wants`) is started along, and waited for until it is there or has settled otherwise; an order (`after`, `before`) waits
//! only for a node that somebody else wants up. Each names the [`Condition`] it waits for. As all of them wait, a cycle over
//! any of them is refused.
//!
//! **Failure** reaches hard dependents and nobody else. A node that failed because of another goes on by itself when that
//! one is started again: it is still wished up.
//!
//! **The supervisor's side of the contract**: each [`Action::Stop`] is answered by exactly one [`Event::Stopped`], even if
//! nothing ran any more; what is reported between the two is of no interest. `Died` says that the supervisor starts it again
//! by itself, `Failed` that it does not. What was started or stopped behind the engine's back is taken as it is.
//!
//! **Work.** A change costs the edges of the node that changed. A node that waits remembers for which edge, and looks no
//! further while that one has not come: ten thousand members of a bundle cost ten thousand looks, not their square.

mod advance;
mod apply;
mod ask;
mod build;
mod definition;
mod engine;
mod order;
mod plan;
mod query;
mod request;
mod state;
mod stop;

pub use build::{Edge, Graph, Problem, Strength, distance};
pub use definition::{Admission, Bond, Condition, Dependency, Id, Kind, Node, Relation};
pub use engine::{Action, Engine, Event};
pub use plan::{Change, Step, Why};
pub use query::{Blocker, Hindrance, Link};
pub use request::{Dependents, Outcome, Refusal, Request, RequestId};
pub use state::{Level, Progress, Reason, Wish};
