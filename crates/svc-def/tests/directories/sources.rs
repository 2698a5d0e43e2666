//! Directories of the s6-rc form.

use svc_core::definition::{Language, Script};
use svc_core::{Definition, Millis, Output, Program};
use svc_def::{Kind, Outcome, Source, missing_run};

use crate::scratch::{Scratch, chmod, name, says};

fn oneshot() -> Scratch {
    let scratch = Scratch::new();
    scratch.file("type", "oneshot\n");
    scratch.file("up", "/etc/scripts/up\n");
    scratch
}

fn read(scratch: &Scratch) -> (Option<Definition>, Source) {
    let reading = scratch.read();
    assert_eq!(reading.problems, []);
    let source = reading.source.expect("a source");
    match reading.outcome {
        Outcome::Ready(definition) => (Some(*definition), source),
        Outcome::Name => (None, source),
        Outcome::Incomplete | Outcome::Template(_) | Outcome::Broken => panic!("not ready"),
    }
}

fn script(scratch: &Scratch, file: &str, language: Language) -> Option<Script> {
    Some(Script::File { path: scratch.join(file).into_os_string().into_encoded_bytes(), language })
}

#[test]
fn a_oneshot_has_scripts_and_dependencies() {
    let scratch = oneshot();
    scratch.file("down", "#!/bin/sh\nrm -f /run/x\n");
    scratch.directory("dependencies.d");
    for other in ["dependencies.d/base", "dependencies.d/net", "dependencies.d/.gitkeep"] {
        scratch.file(other, "");
    }
    scratch.file("timeout-up", "35000");
    scratch.file("timeout-down", "7\r\n");
    scratch.file("branding", "a stray file is nobody's business\n");
    let (definition, source) = read(&scratch);
    let definition = definition.expect("it runs");
    let (up, down) = (script(&scratch, "up", Language::Execline), script(&scratch, "down", Language::FirstLine));
    assert_eq!(definition.program, Program::Oneshot { up: up.clone(), down: down.clone() });
    assert!(definition.managed.is_some() && definition.settings.keep_descendants);
    assert_eq!(definition.settings.timeout_finish, Millis(7));
    assert_eq!(source.kind, Kind::Oneshot { up: up.map(Box::new), down: down.map(Box::new) });
    assert_eq!(source.dependencies, [name("base"), name("net")]);
    assert_eq!((source.timeout_up, source.timeout_down, source.essential), (Millis(35_000), Millis(7), false));
}

#[test]
fn a_milestone_is_only_a_name() {
    for up in ["", "# nothing to do\n\n"] {
        let scratch = oneshot();
        scratch.file("up", up);
        let (definition, source) = read(&scratch);
        assert_eq!((definition, source.kind), (None, Kind::Oneshot { up: None, down: None }));
    }
}

#[test]
fn a_first_line_says_what_a_script_is() {
    for (up, language) in [
        ("/etc/s6-overlay/scripts/x", Language::Execline),
        ("#!/command/execlineb -P\necho x\n", Language::Execline),
        ("#!/bin/sh\nexec /etc/x && true\n", Language::FirstLine),
        ("#!/usr/bin/with-contenv bash\necho x | cat\n", Language::FirstLine),
    ] {
        let scratch = oneshot();
        scratch.file("up", up);
        let script = script(&scratch, "up", language).map(Box::new);
        assert_eq!(read(&scratch).1.kind, Kind::Oneshot { up: script, down: None }, "{up}");
    }
    let scratch = oneshot();
    scratch.file("up", "test -e /x && touch /y\n");
    says(&scratch.warning(), &["/up: is execline, where \"&&\" is no syntax", "begin the file with #!/bin/sh"]);
}

#[test]
fn a_longrun_needs_no_mode_bits() {
    let scratch = Scratch::new();
    scratch.file("type", "longrun\r\n");
    chmod(&scratch.file("run", "#!/bin/sh\nexec sleep 1000\n"), 0o644);
    scratch.file("notification-fd", "3\n");
    scratch.file("producer-for", "web-log\n");
    scratch.file("dependencies", "# older form\nbase\n\n  net \n");
    let (definition, source) = read(&scratch);
    let definition = definition.expect("it runs");
    assert_eq!((definition.program, definition.output), (Program::Directory, Output::Logger));
    assert_eq!(definition.settings.notification_fd, Some(3));
    assert_eq!((&source.kind, source.producer_for.clone()), (&Kind::Longrun, Some(name("web-log"))));
    assert_eq!(source.dependencies, [name("base"), name("net")]);
}

#[test]
fn of_a_list_in_two_forms_the_directory_counts_and_the_file_is_told() {
    let scratch = oneshot();
    scratch.directory("dependencies.d");
    scratch.file("dependencies.d/base", "");
    scratch.file("dependencies", "net\n");
    says(
        &scratch.warning(),
        &["/dependencies: is not read, for dependencies.d is there: move its names there, or remove it"],
    );
    assert_eq!(scratch.read().source.expect("a source").dependencies, [name("base")]);
}

#[test]
fn a_consumer_may_have_several_producers() {
    let scratch = Scratch::new();
    scratch.file("type", "longrun");
    scratch.program("run", "#!/bin/sh\nexec cat\n");
    scratch.file("consumer-for", "b\na\n");
    scratch.file("pipeline-name", "pipe\n");
    let (_, source) = read(&scratch);
    assert_eq!((&source.consumer_for, &source.pipeline_name), (&vec![name("a"), name("b")], &Some(name("pipe"))));
}

#[test]
fn a_bundle_is_a_name_for_others() {
    let scratch = Scratch::new();
    scratch.file("type", "bundle\n");
    scratch.directory("contents.d");
    scratch.file("contents.d/web", "");
    scratch.file("flag-essential", "");
    let (definition, source) = read(&scratch);
    assert_eq!((definition, source.essential, source.kind), (None, true, Kind::Bundle { contents: vec![name("web")] }));
}

#[test]
fn what_is_wrong_is_told_with_its_cure() {
    let scratch = oneshot();
    scratch.file("type", "oneshoot\n");
    says(&scratch.fatal(), &["/type: is \"oneshoot\": write oneshot, longrun or bundle"]);
    scratch.file("type", "");
    says(&scratch.fatal(), &["/type: is empty: write oneshot"]);

    let scratch = Scratch::new();
    scratch.file("type", "oneshot");
    says(&scratch.fatal(), &["/up: does not exist, and a oneshot needs one"]);
    let scratch = Scratch::new();
    scratch.file("type", "longrun");
    says(&scratch.fatal(), &["/run: does not exist, and a longrun needs one"]);

    let scratch = oneshot();
    scratch.file("dependencies.d", "web\n");
    says(&scratch.fatal(), &["/dependencies.d: is a file, and must be a directory"]);
    let scratch = oneshot();
    scratch.file("dependencies", "a/b\n");
    says(&scratch.fatal(), &["/dependencies: \"a/b\" is no name: the name contains /"]);
    let scratch = oneshot();
    scratch.file("timeout-up", "5s\n");
    says(&scratch.warning(), &["/timeout-up: must be milliseconds, and is \"5s\": using 0 (never)"]);
    let scratch = oneshot();
    scratch.file("producer-for", "x\n");
    says(&scratch.warning(), &["/producer-for: has no meaning in a oneshot"]);
    let scratch = Scratch::new();
    scratch.file("type", "longrun");
    scratch.program("run", "#!/bin/sh\n");
    scratch.file("producer-for", "a\nb\n");
    says(&scratch.fatal(), &["/producer-for: has more than one name"]);

    let scratch = Scratch::new();
    scratch.directory("dependencies.d");
    assert!(matches!(scratch.read().outcome, Outcome::Incomplete), "another layer may bring the rest");
    let said = missing_run(scratch.path()).to_string();
    says(&said, &["/type: does not exist, and dependencies.d is part of an s6-rc source"]);
}
