//! A cgroup for each service that asks for one: made, limited, killed and removed; and what of svc moves for it.

use std::fs;
use std::path::{Path, PathBuf};

use svc_testkit::{Tree, is_root, kill, needs, until};

use crate::rights::why_says;

/// A cgroup in which svc is started; it goes with this.
struct Base(PathBuf);

impl Base {
    /// None where there is no cgroup of version 2 that may be written to.
    fn make(name: &str) -> Option<Base> {
        let above = svc_sys::cgroup::own().filter(|_| is_root())?;
        let base = above.join(format!("svc-test-{}-{name}", std::process::id()));
        needs("a cgroup of version 2 that root may write to", fs::create_dir(&base).is_ok()).then_some(Base(base))
    }

    /// Lets svc start in it.
    fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        let script = format!("echo $$ >'{}/cgroup.procs' && exec \"$0\" \"$@\"", self.0.display());
        tree.wrapper(&["sh", "-c", &script]);
        tree
    }

    fn leaf(&self, tree: &Tree, service: &str) -> PathBuf {
        self.0.join(format!("svc-{}.services/{service}.service", tree.init_pid()))
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        let below: Vec<PathBuf> = fs::read_dir(&self.0).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        // What is left of a failed test is not removed by this, and disturbs nobody.
        for dir in below.iter().filter(|path| path.is_dir()).chain([&self.0]) {
            let _ = fs::remove_dir(dir);
        }
    }
}

fn members(dir: &Path) -> Vec<i32> {
    fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect()
}

#[track_caller]
fn gone(path: &Path, log: &Tree) {
    until(&format!("the end of {}; log:\n{}", path.display(), log.log()), || (!path.exists()).then_some(()));
}

#[test]
fn a_service_has_a_leaf_as_long_as_it_lives() {
    let Some(base) = Base::make("leaf") else { return };
    let mut tree = base.tree();
    tree.toml("web", "command = ['sh', '-c', 'sleep 1000 & exec sleep 1001']\ncgroup.own = true\nuser = 'nobody'");
    tree.toml("other", "command = 'sleep 1000'");
    tree.start();
    let pid = tree.await_up("web");
    let leaf = base.leaf(&tree, "web");
    until("two processes in its cgroup", || (members(&leaf).len() == 2).then_some(()));
    assert!(members(&leaf).contains(&pid));
    assert!(members(&base.0).contains(&tree.init_pid()), "who needs no controller moves nobody");
    tree.ctl_ok(&["restart", "web"]);
    until("its cgroup again", || members(&leaf).contains(&tree.status("web")?.pid?).then_some(()));
    tree.ctl_ok(&["stop", "web"]);
    gone(&leaf, &tree);
    gone(leaf.parent().expect("what is above"), &tree);
    tree.ctl_ok(&["start", "web"]);
    until("its cgroup again", || (members(&leaf).len() == 2).then_some(()));
    assert_eq!(tree.stop(), 0);
    gone(leaf.parent().expect("what is above"), &tree);
}

#[test]
fn a_user_may_make_cgroups_below_a_delegated_leaf_and_nowhere_else() {
    let Some(base) = Base::make("delegate") else { return };
    let mut tree = base.tree();
    tree.start();
    for (name, key) in [("web", "delegate"), ("own", "own")] {
        let leaf = base.leaf(&tree, name);
        let script = "cd $LEAF && mkdir below && echo $$ >below/cgroup.procs; exec sleep 1000";
        let keys = format!("user = '65533:65533'\nenv.LEAF = '{}'\ncgroup.{key} = true", leaf.display());
        tree.toml(name, &format!("command = ['sh', '-c', '{script}']\nrestart.when = 'never'\n{keys}"));
    }
    let (web, own) = (tree.await_up("web"), tree.await_up("own"));
    let (leaf, other) = (base.leaf(&tree, "web"), base.leaf(&tree, "own"));
    until("it to have moved", || members(&leaf.join("below")).contains(&web).then_some(()));
    until("its sleep", || fs::read_to_string(format!("/proc/{own}/comm")).ok().filter(|name| name == "sleep\n"));
    assert!(members(&other).contains(&own) && !other.join("below").exists(), "{}", tree.log());
    tree.ctl_ok(&["stop", "web", "own"]);
    gone(&leaf, &tree);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_makes_processes_all_the_time_is_killed_at_once() {
    let Some(base) = Base::make("kill") else { return };
    let mut tree = base.tree();
    // Each lives for a moment and makes the next in a session of its own, deaf to every signal that can be ignored.
    let next = "#!/bin/sh\ntrap '' TERM HUP INT\necho x >>made\nsleep 0.01\nsetsid ./next &\n";
    tree.draft("web").file(
        "service.toml",
        "command = ['sh', '-c', './next & exec sleep 1000']\ncgroup.own = true\ntimeout.kill = '100ms'",
    );
    tree.draft("web").executable("next", next);
    tree.place("web");
    tree.start();
    tree.await_lines("web/made", 5);
    let leaf = base.leaf(&tree, "web");
    // A successor of its supervisor knows the cgroup too.
    tree.kill_supervisor("web");
    until("a new supervisor", || tree.supervisor("web"));
    tree.ctl_ok(&["stop", "web"]);
    gone(&leaf, &tree);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_a_oneshot_leaves_stays_in_its_leaf() {
    let Some(base) = Base::make("oneshot") else { return };
    let mut tree = base.tree();
    tree.toml("once", "kind = 'oneshot'\nup = ['sh', '-c', 'sleep 1000 & echo $! >left']\ncgroup.own = true");
    tree.start();
    let left: i32 = tree.await_lines("once/left", 1)[0].parse().expect("a pid");
    let leaf = base.leaf(&tree, "once");
    // Who wrote that may not have ended yet.
    until("nobody else in it", || (members(&leaf) == [left]).then_some(()));
    kill(left, "KILL");
    gone(&leaf, &tree);
    // One that leaves nobody behind leaves no leaf, and neither does one that is taken down.
    let text = "kind = 'oneshot'\nup = 'true'\ndown = ['sh', '-c', 'sleep 0.1 & exit 0']\ncgroup.own = true";
    tree.toml("plain", text);
    tree.ctl_ok(&["rescan"]);
    tree.ctl_ok(&["start", "plain"]);
    let leaf = base.leaf(&tree, "plain");
    gone(&leaf, &tree);
    tree.ctl_ok(&["stop", "plain"]);
    gone(&leaf, &tree);
    assert_eq!(tree.stop(), 0);
}

/// A controller that is there to be tried, and one of its files.
fn controller(base: &Base) -> Option<(&'static str, &'static str)> {
    let above = base.0.parent().expect("a cgroup above");
    let known = fs::read_to_string(above.join("cgroup.controllers")).unwrap_or_default();
    let found = [("pids", "pids.max"), ("memory", "memory.max"), ("hugetlb", "hugetlb.2MB.max")];
    let found = found.into_iter().find(|(name, _)| known.split_whitespace().any(|there| there == *name))?;
    fs::write(above.join("cgroup.subtree_control"), format!("+{}", found.0)).ok().map(|()| found)
}

#[test]
fn svc_makes_room_for_controllers_and_moves_nobody_else() {
    let Some(base) = Base::make("room") else { return };
    let Some((controller, file)) = controller(&base) else {
        needs("a controller of cgroups of version 2", false);
        return;
    };
    let mut tree = base.tree();
    tree.toml("web", &format!("command = 'sleep 1000'\ncgroup.set = {{ '{file}' = 4194304 }}"));
    tree.toml("bad", &format!("command = 'sleep 1000'\ncgroup.set = {{ '{file}' = 'x' }}"));
    tree.toml("none", &format!("command = 'sleep 1000'\ncgroup.set = {{ '{controller}.nothing' = 1 }}"));
    tree.toml("alien", "command = 'sleep 1000'\ncgroup.set = { 'nonsense.max' = 1 }");
    tree.start();
    let leaf = base.leaf(&tree, "web");
    until(&format!("somebody in {}; log:\n{}", leaf.display(), tree.log()), || (!members(&leaf).is_empty()).then_some(()));
    assert_eq!(fs::read_to_string(leaf.join(file)).expect("a file").trim(), "4194304");
    assert!(members(&base.0).is_empty(), "no process beside controllers");
    let own = base.0.join(format!("svc-{}", tree.init_pid()));
    assert!(members(&own).contains(&tree.init_pid()), "svc itself has moved");
    why_says(&tree, "bad", ": it does not take \"x\", or make cgroup optional");
    why_says(&tree, "none", ": this kernel has no such file, or make cgroup optional");
    why_says(&tree, "alien", "has no controller nonsense: whoever made this container must share it out");
    // svc-scan and supervisors that come later find everything where it is.
    kill(tree.process("svc-scan"), "KILL");
    tree.kill_supervisor("web");
    until("a new supervisor", || tree.supervisor("web"));
    until("an answer", || tree.list().ok());
    tree.ctl_ok(&["restart", "web"]);
    until("its cgroup again", || members(&leaf).contains(&tree.status("web")?.pid?).then_some(()));
    assert_eq!(tree.stop(), 0);
    gone(&leaf, &tree);
}

/// Each makes room for controllers at the same time, and may find the others on their way into their leaves.
#[test]
fn who_starts_beside_others_stays_in_its_cgroup() {
    let Some(base) = Base::make("beside") else { return };
    let Some((_, file)) = controller(&base) else {
        needs("a controller of cgroups of version 2", false);
        return;
    };
    let mut tree = base.tree();
    let names: Vec<String> = (0..24).map(|number| format!("web{number}")).collect();
    for name in &names {
        tree.toml(name, &format!("command = 'sleep 1000'\ncgroup.set = {{ '{file}' = 4194304 }}"));
    }
    tree.start();
    let pids: Vec<i32> = names.iter().map(|name| tree.await_up(name)).collect();
    for (name, pid) in names.iter().zip(pids) {
        assert_eq!(members(&base.leaf(&tree, name)), [pid], "{name}; log:\n{}", tree.log());
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn others_in_the_same_cgroup_are_named_and_left_alone() {
    let Some(base) = Base::make("others") else { return };
    let Some((_, file)) = controller(&base) else {
        needs("a controller of cgroups of version 2", false);
        return;
    };
    let mut other = svc_testkit::spawn(std::process::Command::new("sleep").arg("1000")).expect("sleep");
    fs::write(base.0.join("cgroup.procs"), other.id().to_string()).expect("ours");
    let mut tree = base.tree();
    tree.toml("web", &format!("command = 'sleep 1000'\ncgroup.set = {{ '{file}' = 1 }}"));
    tree.toml("can", &format!("command = 'sleep 1000'\ncgroup.set = {{ '{file}' = 1 }}\noptional = ['cgroup']"));
    tree.start();
    why_says(&tree, "web", &format!("processes that are not svc's are in it (sleep {})", other.id()));
    tree.await_up("can");
    assert_eq!(members(&base.0), [other.id() as i32]);
    assert_eq!(tree.stop(), 0);
    other.kill().and_then(|()| other.wait()).expect("ours");
}

#[test]
fn each_key_of_cgroup_is_written_where_the_controller_is_there() {
    /// Keys of `cgroup`, a value of each, the file of the kernel, and what stands in that then.
    const KEYS: [(&str, &str, &str, &str); 7] = [
        ("memory-max", "'64MiB'", "memory.max", "67108864"),
        ("memory-high", "'32MiB'", "memory.high", "33554432"),
        ("swap-max", "0", "memory.swap.max", "0"),
        ("cpu-max", "'50%'", "cpu.max", "50000 100000"),
        ("cpu-weight", "50", "cpu.weight", "50"),
        ("io-weight", "50", "io.weight", "default 50"),
        ("pids-max", "40", "pids.max", "40"),
    ];
    let Some(base) = Base::make("keys") else { return };
    for controller in ["memory", "cpu", "io", "pids"] {
        // What cannot be shared out to the test is refused to services, which is looked at as well.
        let _ = fs::write(base.0.with_file_name("cgroup.subtree_control"), format!("+{controller}"));
    }
    let there = fs::read_to_string(base.0.join("cgroup.controllers")).expect("a cgroup");
    let mut tree = base.tree();
    for (key, value, ..) in KEYS {
        tree.toml(key, &format!("command = 'sleep 1000'\ncgroup.{key} = {value}"));
    }
    tree.start();
    for (key, _, file, content) in KEYS {
        let (controller, leaf) = (file.split('.').next().expect("a name"), base.leaf(&tree, key));
        if !there.split_whitespace().any(|known| known == controller) {
            why_says(&tree, key, &format!("has no controller {controller}: whoever made this container must share it out"));
            continue;
        }
        until(&format!("{key}; log:\n{}", tree.log()), || {
            let is_written = fs::read_to_string(leaf.join(file)).is_ok_and(|text| text.trim() == content);
            // Swap and disks are not counted by every kernel.
            let is_refused =
                || tree.log().contains(&format!("{file}: No such file")) && tree.log().contains("has no such file");
            (is_written && !members(&leaf).is_empty() || is_refused()).then_some(())
        });
    }
    assert_eq!(tree.stop(), 0);
}
