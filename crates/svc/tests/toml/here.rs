//! `svc-ctl check --here`: what this container can do, which is what a service meets.

use std::process::Command;

use svc_testkit::{Said, Tree, is_root, program};

use crate::rights::why_says;

/// What each key can, and what is said of it.
fn here(mut command: Command) -> Vec<(String, bool, String)> {
    let said = Said::by(command.args(["ctl", "--json", "check", "--here"]));
    assert!(said.code == 0 && said.err.is_empty(), "{said:?}");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let row =
        |row: &serde_json::Value| (text(&row["keys"][0]), row["can"].as_bool().expect("yes or no"), text(&row["detail"]));
    let answer: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    answer["here"].as_array().expect("a list").iter().map(row).collect()
}

/// A uid that no other test has, nor anybody here.
const ALONE: u32 = 64331;

fn stranger(uid: u32) -> Command {
    let mut command = Command::new(program());
    command.args(["exec", "--user", &format!("{uid}:{uid}"), "--"]).arg(program());
    command
}

#[test]
fn it_says_what_can_be_done_and_what_helps_if_not() {
    let all = here(Command::new(program()));
    let landlock = all.iter().find(|(key, ..)| key == "landlock.read").expect("Landlock");
    match svc_sys::landlock::version() {
        Ok(version) => assert!(landlock.1 && landlock.2 == format!("version {version}"), "{landlock:?}"),
        Err(_) => assert!(!landlock.1, "{landlock:?}"),
    }
    let seccomp = all.iter().find(|(key, ..)| key == "seccomp").expect("seccomp");
    assert_eq!(seccomp.1, svc_sys::seccomp::is_there(), "{seccomp:?}");
    let helps = ["docker run", "take Linux", "must", "boot with"];
    for (key, can, detail) in all {
        assert!(can || helps.iter().any(|word| detail.contains(word)), "{key}: {detail}");
    }
    let text = Said::by(Command::new(program()).args(["ctl", "check", "--here"])).out;
    assert!(
        text.lines().any(|line| line.starts_with("no new privileges ") && line.ends_with("yes  [no-new-privileges]")),
        "{text}"
    );
}

#[test]
fn with_a_directory_it_says_what_the_services_in_there_ask_for() {
    let tree = Tree::new();
    tree.toml("web", "command = 'x'\nseccomp = 'default'\nnice = -1\noptional = ['nice']");
    tree.toml("db", "command = 'x'\nnice = -2\ncgroup.pids-max = 5");
    tree.toml("plain", "command = 'x'");
    let said = Said::by(Command::new(program()).args(["ctl", "check", "--here"]).arg(tree.services()));
    assert!(said.code == 0 && said.err.is_empty(), "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    let ends = |what: &str, end: &str| lines.iter().any(|line| line.starts_with(what) && line.ends_with(end));
    assert!(
        ends("be less nice ", "[nice: db, web (optional)]") && ends("filter system calls ", "[seccomp: web]"),
        "{said:?}"
    );
    assert!(ends("limit processes ", "[cgroup.pids-max: db]") && ends("a cgroup for each ", "[cgroup.own: db]"), "{said:?}");
    assert_eq!(lines.len(), 5, "and kill a service at once: {said:?}");
    let json = Said::by(Command::new(program()).args(["ctl", "--json", "check", "--here"]).arg(tree.services())).out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let nice = json["here"].as_array().and_then(|rows| rows.iter().find(|row| row["keys"][0] == "nice"));
    assert_eq!(nice.map(|row| row["services"].clone()), Some(serde_json::json!(["db", "web (optional)"])), "{json}");
    let alone = svc_testkit::Tree::new();
    let said = Said::by(Command::new(program()).args(["ctl", "check", "--here"]).arg(alone.services()));
    assert_eq!(said.out, "no service.toml asks for anything that a container may refuse\n");
}

/// Keys, and what a service asks for by them.
const ASKED: [(&str, &str); 7] = [
    ("user", "user = '65533:65533'"),
    ("capabilities.ambient", "user = '65533:65533'\ncapabilities.ambient = ['NET_BIND_SERVICE']"),
    ("limits", "limits.rtprio = 99"),
    ("nice", "nice = -1"),
    ("scheduler", "scheduler = 'fifo:1'"),
    ("oom-score-adjust", "oom-score-adjust = -1000"),
    ("chroot", "chroot = '/'"),
];

#[track_caller]
fn assert_met(tree: &mut Tree, said: &[(String, bool, String)]) {
    for (key, keys) in ASKED {
        let name = key.replace('.', "-");
        tree.toml(&name, &format!("command = 'sleep 1000'\nrestart.when = 'never'\n{keys}\n"));
    }
    tree.start();
    for (key, _) in ASKED {
        let (_, can, detail) = said.iter().find(|(said, ..)| said == key).expect(key);
        let name = key.replace('.', "-");
        match can {
            true => {
                let asleep =
                    |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "sleep\n");
                svc_testkit::until(&format!("a sleeping {name}; log:\n{}", tree.log()), || {
                    tree.status(&name)?.pid.filter(asleep)
                });
            }
            // The number differs, and so does what is optional.
            false => {
                why_says(tree, &name, detail.split(": ").last().expect("a cure").split(", or make").next().expect("some"))
            }
        }
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_service_meets_what_was_said() {
    let said = here(Command::new(program()));
    assert_met(&mut Tree::new(), &said);
}

#[test]
fn a_stranger_is_told_what_a_stranger_meets() {
    if !is_root() {
        return;
    }
    let said = here(stranger(10001));
    for key in ["user", "capabilities.ambient", "nice", "scheduler", "chroot"] {
        assert!(said.iter().any(|(said, can, _)| said == key && !can), "{key} in {said:?}");
    }
    let mut tree = Tree::new();
    tree.run_as(10001);
    assert_met(&mut tree, &said);
    let place = here(stranger(ALONE)).into_iter().find(|(key, ..)| key == "SVC_RUN_DIR").expect("a place");
    assert!(place.1 && place.2.ends_with("/svc-64331"), "{place:?}");
    assert!(!std::path::Path::new("/tmp/svc-64331").exists(), "a look leaves nothing behind");
}
