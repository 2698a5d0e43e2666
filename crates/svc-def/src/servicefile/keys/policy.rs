//! Keys about what becomes of a service that has ended.

use svc_core::restart::{ONE, When};

use super::{Change, FIRST, Key, PROCESS, RUNNING, Shape, key};
use crate::servicefile::policies::Kind;

const WHEN: [When; 3] = [When::Always, When::OnFailure, When::Never];

pub(super) const KEYS: &[Key] = &[
    key!(
        "success-exits",
        Shape::Policy(Kind::Exits(|draft, exits| draft.settings.policy_mut().success = Some(exits))),
        "[0]",
        RUNNING,
        Change::Holds,
        "Which ends are a success: exit codes, and signals that it died of. All others are failures.",
        "[0, 143, \"TERM\"]"
    ),
    key!(
        "restart.when",
        Shape::Word {
            known: &["always", "on-failure", "never"],
            set: |draft, at| draft.settings.policy_mut().restart.when = WHEN.get(at).copied().unwrap_or_default(),
        },
        "always; never for an essential service without restart.limit",
        PROCESS,
        Change::Holds,
        "Whether it is started again when it has ended without anybody having asked for that.",
        "\"on-failure\""
    ),
    key!(
        "restart.never-on",
        Shape::Policy(Kind::Exits(|draft, exits| draft.settings.policy_mut().restart.never_on = exits)),
        "none",
        PROCESS,
        Change::Holds,
        "After these ends it is not started again, whatever restart.when says.",
        "[2, \"ABRT\"]"
    ),
    key!(
        "restart.always-on",
        Shape::Policy(Kind::Exits(|draft, exits| draft.settings.policy_mut().restart.always_on = exits)),
        "none",
        PROCESS,
        Change::Holds,
        "After these ends it is started again, whatever restart.when says; restart.never-on comes first.",
        "[75, \"HUP\"]"
    ),
    key!(
        "restart.delay",
        Shape::Pause(|draft, span| draft.settings.policy_mut().restart.delay = span),
        "1s",
        PROCESS,
        Change::Holds,
        "Two starts are at least so far apart, from start to start: what ran for longer is started again at once.",
        "\"500ms\""
    ),
    key!(
        "restart.factor",
        Shape::Policy(Kind::Share {
            least: ONE,
            most: 100 * ONE,
            set: |draft, factor| draft.settings.policy_mut().restart.factor = factor,
        }),
        "1 (no back-off)",
        PROCESS,
        Change::Holds,
        "The delay grows by this factor with each end in a row.",
        "2"
    ),
    key!(
        "restart.max-delay",
        Shape::Pause(|draft, span| draft.settings.policy_mut().restart.max_delay = span),
        "1m",
        PROCESS,
        Change::Holds,
        "The delay grows no longer than this.",
        "\"5m\""
    ),
    key!(
        "restart.jitter",
        Shape::Policy(Kind::Share {
            least: 0,
            most: ONE,
            set: |draft, jitter| draft.settings.policy_mut().restart.jitter = jitter,
        }),
        "0",
        PROCESS,
        Change::Holds,
        "The delay is made longer or shorter by chance, by at most this share of it: 0.2 makes 8 to 12 seconds of 10.",
        "0.2"
    ),
    key!(
        "restart.reset-after",
        Shape::Pause(|draft, span| draft.settings.policy_mut().restart.reset_after = span),
        "1m",
        PROCESS,
        Change::Holds,
        "When it ran for so long, its end is the first of a new row.",
        "\"10m\""
    ),
    key!(
        "restart.limit",
        Shape::Number { least: 1, most: 16, set: |draft, limit| draft.settings.policy_mut().restart.limit = limit as u8 },
        "none",
        PROCESS,
        Change::Holds,
        "When it has ended so many times within restart.window, it is not started again. A start that somebody asks for begins \
         to count anew. For one that is started on demand: also after so many starts in a row in which it has taken nobody (10 if \
         not given).",
        "5"
    ),
    key!(
        "restart.window",
        Shape::Pause(|draft, span| draft.settings.policy_mut().restart.window = span),
        "10s",
        PROCESS,
        Change::Holds,
        "The time that restart.limit looks back.",
        "\"1m\""
    ),
    key!(
        "restart.at-limit",
        Shape::Policy(Kind::AtLimit),
        "fail",
        PROCESS,
        Change::Holds,
        "What happens at the limit: fail leaves it down as failed, stop-container ends the container too (with its own code, or \
         the one given), and run runs a command as the service's user first, which is killed after 5 s.",
        "{ run = \"alert 'web keeps ending'\" }"
    ),
    key!(
        "essential",
        Shape::Policy(Kind::Essential),
        "false",
        PROCESS,
        Change::Holds,
        "The container ends when it has ended and is not started again: at its first end, or as restart.* says. The container's \
         exit code is its own (128+N if signal N killed it), or code. With on = \"failure\" a success leaves the container alone.",
        "{ code = 3, on = \"failure\" }"
    ),
];
