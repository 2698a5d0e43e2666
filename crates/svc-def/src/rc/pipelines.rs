//! What is wrong with pipelines: no directory tells that alone.

use std::collections::BTreeMap;

use svc_core::ServiceName;

use super::Source;

/// An end of a pipeline of which the other end does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Half<'a> {
    pub other: &'a ServiceName,
    pub problem: String,
    /// What is to be said of the other end, if that has been cut off just now.
    pub cut: String,
}

/// Producers and consumers that this one names, and that do not name it. One that is not there is one that does not.
pub fn halves<'a>(
    name: &ServiceName,
    source: &'a Source,
    find: &dyn Fn(&ServiceName) -> Option<&'a Source>,
) -> Vec<Half<'a>> {
    let consumer = source.producer_for.iter().filter(|consumer| {
        // One that is not there is missed as every dependency is.
        find(consumer).is_some_and(|other| !other.consumer_for.contains(name))
    });
    let consumer = consumer.map(|other| Half {
        other,
        problem: format!("is producer-for {other}, which is not consumer-for {name}: add the name to its consumer-for"),
        cut: format!("is no longer consumer-for {name}, which is producer-for {other}: change both"),
    });
    let stranger = source
        .consumer_for
        .iter()
        .find(|producer| find(producer).is_none_or(|other| other.producer_for.as_ref() != Some(name)));
    let producer = stranger.map(|other| Half {
        other,
        problem: format!("is consumer-for {other}, which is not producer-for {name}: write the name into its producer-for"),
        cut: format!("is no longer producer-for {name}, which is consumer-for {other}: change both"),
    });
    consumer.chain(producer).collect()
}

/// The names of whole pipelines, each with the service that gives it; and what is to be said of a service whose name for one is
/// taken: that pipeline has no name.
pub fn pipelines<'a>(
    units: impl Iterator<Item = (&'a ServiceName, &'a Source)>,
    is_service: &dyn Fn(&ServiceName) -> bool,
) -> (BTreeMap<&'a ServiceName, &'a ServiceName>, BTreeMap<&'a ServiceName, String>) {
    let mut names: BTreeMap<&ServiceName, &ServiceName> = BTreeMap::new();
    let mut taken = BTreeMap::new();
    for (name, source) in units {
        let Some(pipeline) = &source.pipeline_name else { continue };
        let whose = match names.get(pipeline) {
            _ if is_service(pipeline) => "the name of a service".to_owned(),
            Some(other) => format!("the pipeline-name of {other}"),
            None => {
                names.insert(pipeline, name);
                continue;
            }
        };
        taken.insert(
            name,
            format!("its pipeline-name {pipeline} is also {whose}: write another one; until then its pipeline has no name"),
        );
    }
    (names, taken)
}
