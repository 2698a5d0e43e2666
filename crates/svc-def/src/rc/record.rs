//! What was read of a source, in lines that are read again where it says something else by now. No name has a tab in it, nor the end
//! of a line.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use svc_core::definition::{Language, Script};
use svc_core::{Millis, ServiceName};

use super::{Files, Kind, Rare, Source, Start, Values};

/// No key of a service.toml has this name.
const TYPE: &str = "type";
const MARKS: &str = "marks";

impl Source {
    /// All that it says, a line each, with a tab behind what it is called: the keys of a service.toml, or files.
    pub fn written(&self) -> Cow<'_, str> {
        if let Some(facts) = &self.facts {
            return Cow::Borrowed(&facts.values.0);
        }
        let mut text = String::new();
        let mut line = |key: &str, words: &[&str]| text += &format!("{key}\t{}\n", words.join("\t"));
        let mut list = |key: &str, names: &[ServiceName]| {
            if !names.is_empty() {
                line(key, &names.iter().map(ServiceName::as_str).collect::<Vec<&str>>());
            }
        };
        list("dependencies", &self.dependencies);
        list("producer-for", self.producer_for.as_slice());
        list("consumer-for", &self.consumer_for);
        list("pipeline-name", self.pipeline_name.as_slice());
        if let Kind::Bundle { contents } = &self.kind {
            list("contents", contents);
        }
        let kind = match &self.kind {
            Kind::Oneshot { up, down } => {
                for (key, script) in [("up", up), ("down", down)] {
                    if let Some(Script::File { language, .. }) = script.as_deref() {
                        line(key, &[if *language == Language::Execline { "execline" } else { "script" }]);
                    }
                }
                "oneshot"
            }
            Kind::Longrun => "longrun",
            Kind::Bundle { .. } => "bundle",
        };
        line(TYPE, &[kind]);
        for (key, timeout) in [("timeout-up", self.timeout_up), ("timeout-down", self.timeout_down)] {
            line(key, &[&timeout.0.to_string()]);
        }
        line("flag-essential", &[&self.essential.to_string()]);
        line(MARKS, &[&self.files.written()]);
        Cow::Owned(text)
    }

    /// The source of which that was written.
    pub fn of_written(dir: &Path, text: &str) -> Option<Source> {
        let values = Values(text.into());
        let names = |key: &str| {
            let words = values.get(key).into_iter().flat_map(|words| words.split('\t'));
            words.map(|name| ServiceName::parse(name).ok()).collect::<Option<Vec<ServiceName>>>()
        };
        let script = |key: &str| {
            let language = if values.get(key)? == "execline" { Language::Execline } else { Language::FirstLine };
            Some(Box::new(Script::File { path: dir.join(key).as_os_str().as_bytes().to_vec(), language }))
        };
        let kind = match values.get(TYPE)? {
            "oneshot" => Kind::Oneshot { up: script("up"), down: script("down") },
            "longrun" => Kind::Longrun,
            "bundle" => Kind::Bundle { contents: names("contents")? },
            _ => return None,
        };
        let timeout = |key: &str| values.get(key)?.parse().ok().map(Millis);
        let rare = Rare {
            dependencies: names("dependencies")?,
            essential: values.get("flag-essential")?.parse().ok()?,
            producer_for: names("producer-for")?.pop(),
            consumer_for: names("consumer-for")?,
            pipeline_name: names("pipeline-name")?.pop(),
            files: Files::of_written(values.get(MARKS)?)?,
            ..Rare::NONE
        };
        let (timeout_up, timeout_down) = (timeout("timeout-up")?, timeout("timeout-down")?);
        Some(Source { timeout_up, timeout_down, ..Source::new(kind, Start::ByBundles, rare) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::look::Folder;

    #[test]
    fn what_is_written_of_a_source_is_read_again() {
        let root = std::env::temp_dir().join(format!("svc-def-record-{}", std::process::id()));
        let name = ServiceName::parse("a name").expect("a name");
        let sources: [&[(&str, &str)]; 4] = [
            &[("type", "longrun"), ("run", "#!/bin/sh\n"), ("dependencies", "b\nc d\n"), ("producer-for", "log")],
            &[("type", "longrun"), ("run", "#!/bin/sh\n"), ("consumer-for", "b\nc"), ("pipeline-name", "a pipe")],
            &[("type", "oneshot"), ("up", "#!/bin/sh\n"), ("down", "true"), ("timeout-up", "7"), ("timeout-down", "8")],
            &[("type", "bundle"), ("contents", "b\nc d\n"), ("flag-essential", "")],
        ];
        for files in sources {
            std::fs::create_dir_all(&root).expect("room");
            files.iter().for_each(|(file, text)| std::fs::write(root.join(file), text).expect("room"));
            let mut problems = Vec::new();
            let source = super::super::read(&Folder::list(&root), &name, &mut problems).expect("a source");
            std::fs::remove_dir_all(&root).expect("ours");
            assert_eq!(Source::of_written(&root, &source.written()), Some(source), "{files:?}");
        }
        assert_eq!(Source::of_written(&root, "type\tlongrun\n"), None);
    }
}
