//! Keys about what is done when something on disk changes.

use super::super::draft::OnChange;
use super::super::watched;
use super::{Change, FIRST, Key, PROCESS, RUNNING, Shape, key};

pub(super) const KEYS: &[Key] = &[
    key!(
        "watch",
        Shape::CheckedTexts { check: watched::pattern, set: |draft, files| draft.watch = files },
        "none",
        PROCESS,
        Change::Holds,
        "Files that it reads, relative to the service directory; the name behind the last / may have * and ? in it. What has changed \
         in them counts at svc-ctl apply and rescan.",
        "[\"/etc/web/*.conf\"]"
    ),
    key!(
        "on-change",
        Shape::Word { known: &["reload", "restart"], set: |draft, word| draft.on_change = Some(OnChange::ALL[word]) },
        "reload; restart for one with templates or distributions that has neither watch nor reload.signal",
        PROCESS,
        Change::Holds,
        "What a change in the files of watch does, or in what templates and distributions are made from: reload makes their files \
         and sends reload.signal.",
        "\"restart\""
    ),
    key!(
        "apply",
        Shape::Word { known: &["asked", "auto"], set: |draft, word| draft.applies = word == 1 },
        "asked",
        RUNNING,
        Change::Holds,
        "When a change in its files and in those of watch counts: when somebody asks (svc-ctl apply, rescan), or at once, as with \
         svc-scan --watch.",
        "\"auto\""
    ),
];
