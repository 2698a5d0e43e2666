//! Definitions edited at random while they run: what `plan` says is what `apply` does, and a second `apply` has nothing to do.
//! `SVC_TEST_SEED` makes it another one, `SVC_TEST_LIVES` and `SVC_TEST_ROUNDS` longer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;

use svc_testkit::{Chance, Said, State, Tree, api::Status, until};

use crate::storm::setting;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A directory with a service.toml, or a file of its own.
    Process,
    File,
    Oneshot,
    Milestone,
    Bundle,
    Template,
    Longrun,
    SourceOneshot,
}

/// One definition. What it names are numbers of others, as a rule smaller ones.
#[derive(Clone)]
struct Entry {
    form: Form,
    command: u64,
    times: u64,
    start: bool,
    relations: Vec<(&'static str, u64, &'static str)>,
    condition: Option<(&'static str, u64, &'static str)>,
    watch: Option<(u64, bool)>,
    instances: u64,
}

impl Entry {
    fn new(dice: &mut Chance, number: u64) -> Entry {
        let form = match dice.below(16) {
            0..5 => Form::Process,
            5 | 6 => Form::File,
            7 | 8 => Form::Oneshot,
            9 => Form::Milestone,
            10 => Form::Bundle,
            11 | 12 => Form::Template,
            13 | 14 => Form::Longrun,
            _ => Form::SourceOneshot,
        };
        let mut entry = Entry {
            form,
            command: 0,
            times: 1,
            start: dice.below(4) > 0,
            relations: Vec::new(),
            condition: None,
            watch: None,
            instances: 1 + dice.below(3),
        };
        for _ in 0..dice.below(4) {
            entry.relate(dice, number);
        }
        if dice.below(4) == 0 {
            entry.admit(dice);
        }
        entry
    }

    fn relate(&mut self, dice: &mut Chance, number: u64) {
        let bond = ["stay", "follow", "start"][dice.below(3) as usize];
        let kind = ["needs", "needs", "wants", "after"][dice.below(4) as usize];
        // One in many names itself, one after it, or nobody.
        let on = if dice.below(40) == 0 { dice.below(COUNT + 3) } else { dice.below(number.max(1)) };
        if on != number || dice.below(40) == 0 {
            self.relations.push((kind, on, bond));
        }
    }

    fn admit(&mut self, dice: &mut Chance) {
        let kind = ["file", "file", "command"][dice.below(3) as usize];
        self.condition = Some((kind, dice.below(3), ["skip", "fail"][dice.below(2) as usize]));
    }

    fn is_source(&self) -> bool {
        matches!(self.form, Form::Longrun | Form::SourceOneshot)
    }

    fn edit(&mut self, dice: &mut Chance, number: u64) {
        match dice.below(12) {
            0 | 1 => self.command += 1,
            2 => self.times += 1,
            3 => self.start = !self.start,
            4..7 => self.relate(dice, number),
            7 | 8 if !self.relations.is_empty() => {
                _ = self.relations.remove(dice.below(self.relations.len() as u64) as usize)
            }
            9 if self.condition.is_some() => self.condition = None,
            9 | 10 => self.admit(dice),
            11 if self.form == Form::Template => self.instances = 1 + (self.instances + dice.below(2)) % 4,
            11 if self.form == Form::Longrun => self.form = Form::SourceOneshot,
            11 if self.form == Form::SourceOneshot => self.form = Form::Longrun,
            _ => self.watch = self.watch.xor(Some((dice.below(2), dice.below(2) == 0))),
        }
    }

    fn text(&self, tree: &Tree, number: u64) -> String {
        let root = tree.root().display().to_string();
        let command = self.command;
        let mut text = match self.form {
            Form::Process | Form::File | Form::Template => {
                format!("command = 'sleep {}'\nrestart.delay = '1ms'\n", 1000 + command)
            }
            Form::Oneshot => format!("kind = 'oneshot'\nup = 'echo {command}'\ndown = 'true'\n"),
            Form::Milestone => "kind = 'milestone'\n".into(),
            Form::Bundle => format!("kind = 'bundle'\nmembers = ['n{}']\n", command % number.max(1)),
            Form::Longrun | Form::SourceOneshot => return String::new(),
        };
        let runs = !matches!(self.form, Form::Milestone | Form::Bundle);
        _ = writeln!(text, "start = {}", self.start);
        if runs {
            _ = writeln!(text, "timeout.kill = '{}s'", 10 + self.times);
        }
        if self.form == Form::Template {
            _ = writeln!(text, "instances = {}", self.instances);
        }
        for kind in ["needs", "wants", "after"] {
            let some = self.relations.iter().filter(|(other, ..)| *other == kind);
            let list: Vec<String> = some
                .map(|(_, on, bond)| match kind {
                    "needs" => format!("{{ on = 'n{on}', bond = '{bond}' }}"),
                    _ => format!("'n{on}'"),
                })
                .collect();
            _ = writeln!(text, "{kind} = [{}]", list.join(", "));
        }
        if let Some((kind, flag, otherwise)) = self.condition.filter(|_| runs) {
            let test = if kind == "file" { "" } else { "test -e " };
            _ = writeln!(text, "condition.{kind} = '{test}{root}/flag{flag}'\ncondition.otherwise = '{otherwise}'");
        }
        if let Some((file, restarts)) = self.watch.filter(|_| matches!(self.form, Form::Process | Form::File)) {
            _ = writeln!(
                text,
                "watch = '{root}/watched{file}'\non-change = '{}'",
                if restarts { "restart" } else { "reload" }
            );
            text += "reload.signal = 'WINCH'\n";
        }
        text
    }

    fn write(&self, tree: &Tree, number: u64) {
        let (name, text) = (format!("n{number}"), self.text(tree, number));
        let put = |file: std::path::PathBuf| {
            fs::write(tree.path("new"), &text).expect("ours");
            fs::rename(tree.path("new"), file).expect("ours");
        };
        let dir = match self.form {
            Form::Template => tree.services().join(format!("{name}@.toml")),
            Form::File => tree.services().join(format!("{name}.toml")),
            _ => tree.services().join(&name),
        };
        let is_new = !dir.exists();
        match self.form {
            Form::Template | Form::File => put(dir),
            Form::Process | Form::Oneshot | Form::Milestone | Form::Bundle => {
                if is_new {
                    tree.draft(&name).file("service.toml", &text);
                    tree.place(&name);
                } else {
                    put(dir.join("service.toml"));
                }
            }
            Form::Longrun | Form::SourceOneshot => {
                let service = if is_new { tree.draft(&name) } else { tree.service(&name) };
                let (kind, file, other) = match self.form {
                    Form::Longrun => ("longrun\n", "run", "up"),
                    _ => ("oneshot\n", "up", "run"),
                };
                _ = fs::remove_file(service.path().join(other));
                _ = fs::remove_dir_all(service.path().join("dependencies.d"));
                fs::create_dir(service.path().join("dependencies.d")).expect("ours");
                for (_, on, _) in &self.relations {
                    service.file(&format!("dependencies.d/n{on}"), "");
                }
                match self.form {
                    Form::Longrun => service.executable("run", "#!/bin/sh\nexec sleep 1000\n"),
                    _ => service.file("up", &format!("#!/bin/sh\necho {}\n", self.command)),
                };
                service.file(file.replace("run", "restart-delay").replace("up", "timeout-up").as_str(), "1");
                service.file("timeout-up", &format!("{}", 9000 + self.times)).file("type", kind);
                if is_new {
                    tree.place(&name);
                }
            }
        }
    }

    fn remove(&self, tree: &Tree, number: u64) {
        let path = |suffix: &str| tree.services().join(format!("n{number}{suffix}"));
        match self.form {
            Form::Template => fs::remove_file(path("@.toml")),
            Form::File => fs::remove_file(path(".toml")),
            _ => fs::remove_dir_all(path("")),
        }
        .expect("ours");
    }
}

const COUNT: u64 = 10;

/// What can be seen of a service from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Up(Option<i32>),
    Done(u64),
    Down,
    /// On the way.
    Between,
    Gone,
}

fn seen(tree: &Tree) -> BTreeMap<String, Seen> {
    let look = |status: Status| {
        let seen = match status.state {
            State::Up => Seen::Up(status.pid),
            State::Done => Seen::Done(status.restarts),
            state if is_on_the_way(state) => Seen::Between,
            _ => Seen::Down,
        };
        (status.name, seen)
    };
    tree.list().expect("an answer").services.into_iter().map(look).collect()
}

/// Who is on the way, up or down.
fn unsettled(tree: &Tree) -> Vec<String> {
    let services = tree.list().expect("an answer").services.into_iter();
    services.filter(|status| is_on_the_way(status.state)).map(|status| status.name).collect()
}

fn is_on_the_way(state: State) -> bool {
    use State::{Draining, Finishing, Starting, Stopping, Waiting};
    matches!(state, Starting | Waiting | Stopping | Draining | Finishing)
}

/// The steps of a plan, and what else was said.
fn steps(said: &str) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let (mut steps, mut others) = (BTreeMap::new(), BTreeSet::new());
    for line in said.lines().filter(|line| !line.starts_with(' ')) {
        let Some((name, rest)) = line.trim_start_matches("svc-ctl: ").split_once(": ") else { continue };
        match rest.split_once(": ") {
            Some((word @ ("start" | "stop" | "restart" | "reload" | "nothing"), _)) => {
                _ = steps.insert(name.into(), word.into())
            }
            _ => _ = others.insert(name.into()),
        }
    }
    (steps, others)
}

/// In what a plan and what came of it differ. `knows`: no command of a condition may say something else than before.
fn differences(
    plan: &str,
    apply: &Said,
    seen: [&BTreeMap<String, Seen>; 3],
    knows: bool,
    bundles: &BTreeSet<String>,
) -> Vec<String> {
    let (steps, _) = steps(plan);
    let (_, complaints) = self::steps(&apply.err);
    let (_, told) = self::steps(&format!("{}{}", apply.out, apply.err));
    let names: BTreeSet<&String> = seen.iter().flat_map(|seen| seen.keys()).chain(steps.keys()).collect();
    let mut wrong = Vec::new();
    for name in names {
        let [first, before, after] = seen.map(|seen| seen.get(name).copied().unwrap_or(Seen::Gone));
        let did = |before: Seen, after: Seen| match (before, after) {
            (before, after) if before == after => "nothing",
            (Seen::Gone, Seen::Down) | (Seen::Down, Seen::Gone) => "nothing",
            (Seen::Gone | Seen::Down, Seen::Up(_) | Seen::Done(_)) => "start",
            (_, Seen::Down | Seen::Gone) => "stop",
            (Seen::Between, _) | (_, Seen::Between) => "nothing",
            _ => "restart",
        };
        let planned = steps.get(name).map_or("nothing", |step| match &**step {
            "reload" => "nothing",
            // Nobody sees that of what has no process.
            "restart" if after == Seen::Up(None) && before == after => "nothing",
            step => step,
        });
        // What is on the way by itself may get there before anything is planned.
        if bundles.contains(name) || before == Seen::Between {
            continue;
        }
        // What comes or goes may do so before anybody plans.
        let done = [did(before, after), did(first, after)];
        // What did not work out is told.
        let fails = ["start", "restart"].contains(&planned) && after == Seen::Down && complaints.contains(name);
        let leaves = planned == "stop" && after == Seen::Gone;
        let is_so = if planned == "nothing" { done[0] == planned } else { leaves || done.contains(&planned) };
        if !is_so && !fails && (knows || done[0] != "nothing" && !told.contains(name)) {
            wrong.push(format!("{name}: {planned}, and it was {} ({first:?}, {before:?}, {after:?})", done[0]));
        }
    }
    wrong
}

#[test]
fn a_plan_is_what_apply_does_and_a_second_one_does_nothing() {
    let seed = setting("SVC_TEST_SEED", 1);
    for salt in 0..setting("SVC_TEST_LIVES", 2) {
        let mut dice = Chance::seeded(seed + salt);
        let mut tree = Tree::new();
        (0..2).for_each(|file| fs::write(tree.path(&format!("watched{file}")), "0").expect("ours"));
        let mut all: BTreeMap<u64, Entry> = (0..COUNT).map(|number| (number, Entry::new(&mut dice, number))).collect();
        all.iter().for_each(|(number, entry)| entry.write(&tree, *number));
        tree.start();
        for round in 0..setting("SVC_TEST_ROUNDS", 6) {
            let name = format!("n{}", dice.below(COUNT));
            match dice.below(4) {
                0 => _ = tree.say(&["stop", "--dependents", "--timeout", "120", &name]),
                1 => _ = tree.say(&["start", "--timeout", "120", &name]),
                _ => {}
            }
            until("nothing comes or goes", || unsettled(&tree).is_empty().then_some(()));
            let first = seen(&tree);
            let mut bundles: BTreeSet<String> = BTreeSet::new();
            let mut edits = Vec::new();
            let (mut knows, mut comes) = (true, false);
            for _ in 0..1 + dice.below(3) {
                let number = dice.below(COUNT);
                match (dice.below(12), all.get_mut(&number)) {
                    (0, Some(entry)) => {
                        entry.remove(&tree, number);
                        all.remove(&number);
                        edits.push(format!("n{number} is gone"));
                        comes = true;
                    }
                    (_, None) => {
                        let entry = Entry::new(&mut dice, number);
                        entry.write(&tree, number);
                        edits.push(format!("n{number} is new: {}", entry.text(&tree, number)));
                        all.insert(number, entry);
                        comes = true;
                    }
                    (1 | 2, _) => {
                        let flag = dice.below(3);
                        let file = tree.path(&format!("flag{flag}"));
                        if file.exists() { fs::remove_file(file) } else { fs::write(file, "") }.expect("ours");
                        edits.push(format!("flag {flag}"));
                        knows = false;
                    }
                    (3, _) => {
                        let file = tree.path(&format!("watched{}", dice.below(2)));
                        fs::write(file, format!("{salt} {round}")).expect("ours");
                        edits.push("watched".into());
                    }
                    (_, Some(entry)) => {
                        let before = entry.text(&tree, number);
                        entry.edit(&mut dice, number);
                        entry.write(&tree, number);
                        knows &= entry.condition.is_none_or(|(kind, ..)| kind == "file");
                        edits.push(format!(
                            "n{number}, a source: {}:\n{before}---\n{}",
                            entry.is_source(),
                            entry.text(&tree, number)
                        ));
                    }
                }
            }
            let plan = tree.say(&["plan"]);
            let before = seen(&tree);
            let apply = tree.say(&["apply", "--timeout", "120"]);
            let after = seen(&tree);
            let open = unsettled(&tree);
            let again = tree.say(&["apply", "--timeout", "120"]);
            let is_bundle = |entry: &Entry| matches!(entry.form, Form::Bundle | Form::Template);
            // They are up when all in them is, and nobody starts them.
            bundles.extend(all.iter().filter(|(_, entry)| is_bundle(entry)).map(|(number, _)| format!("n{number}")));
            let mut wrong = differences(&plan.out, &apply, [&first, &before, &after], knows, &bundles);
            if apply.code == 99 || !open.is_empty() {
                wrong.push(format!("it does not end: {open:?}"));
            }
            if !comes && !apply.out.starts_with(&plan.out) {
                wrong.push("another plan".into());
            }
            let broken = |said: &str| {
                let words: BTreeSet<String> = steps(said).0.into_values().collect();
                words.is_empty() || words.len() == 1 && words.contains("nothing")
            };
            let last = seen(&tree);
            let other = last.iter().filter(|(name, seen)| ![Some(*seen), Some(&Seen::Between)].contains(&after.get(*name)));
            let other: Vec<_> = other.map(|(name, seen)| (name, after.get(name), seen)).collect();
            if !broken(&again.out) || !other.is_empty() {
                wrong.push(format!("a second one has something to do: {other:?}"));
            }
            let graph = tree.say(&["graph"]).out;
            assert!(
                wrong.is_empty(),
                "SVC_TEST_SEED={}, round {round}: {wrong:#?}\nedits: {}\nplan: {}\napply: {}{}\nagain: {}{}\n{graph}\nlog:\n{}",
                seed + salt,
                edits.join("\n"),
                plan.out,
                apply.out,
                apply.err,
                again.out,
                again.err,
                tree.log()
            );
        }
        assert_eq!(tree.stop(), 0);
    }
}
