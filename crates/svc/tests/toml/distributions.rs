//! Files that are made again while a service runs: of templates that have changed, and of a distribution that is another one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use svc_testkit::{Tree, is_root, kill, until};

/// A service that writes down when it starts and is reloaded, and what its file says then.
fn reloads(file: &Path, keys: &str) -> String {
    let file = file.display();
    let shell = format!("trap \"cat {file} >>seen\" HUP; echo up >>seen; while :; do sleep 1000 & wait $!; done");
    format!("command = ['sh', '-c', '''{shell}''']\n{keys}\n")
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("one")).expect("ours");
    let new = path.with_extension("svc-test-new");
    fs::write(&new, text).expect("ours");
    fs::rename(new, path).expect("ours");
}

#[test]
fn another_template_or_environment_is_rendered_on_apply_and_reloaded() {
    let mut tree = Tree::new();
    let (from, to, vars) = (tree.path("web.tmpl"), tree.path("web.conf"), tree.path("vars"));
    write(&from, "one ${WHO}\n");
    write(&vars, "WHO=a\n");
    let keys = format!(
        "templates = [{{ from = '{}', to = '{}' }}]\nenv-file = '{}'\nreload.signal = 'HUP'",
        from.display(),
        to.display(),
        vars.display()
    );
    tree.toml("web", &reloads(&to, &keys));
    tree.toml(
        "plain",
        &format!("command = 'sleep 1000'\n{}", keys.replace("reload.signal = 'HUP'", "").replace("web.conf", "b")),
    );
    let told = keys.replace("reload.signal = 'HUP'", "on-change = 'reload'").replace("web.conf", "c");
    tree.toml("told", &reloads(&tree.path("c"), &told));
    tree.start();
    tree.await_lines("web/seen", 1);
    tree.await_lines("told/seen", 1);
    let plain = tree.await_up("plain");
    assert_eq!(tree.ctl_ok(&["plan"]), "nothing has changed\n");
    write(&from, "two ${WHO}\n");
    let (plan, changed) = (tree.ctl_ok(&["plan"]), format!("{} has changed\n", from.display()));
    assert!(plan.contains(&format!("web: reload: {changed}")), "{plan}");
    assert!(plan.contains(&format!("plain: restart: {changed}")), "no signal for that is known: {plan}");
    assert!(plan.contains(&format!("told: reload: {changed}")), "it says so itself: {plan}");
    assert_eq!(fs::read_to_string(&to).expect("there"), "one a\n", "a plan does nothing");
    tree.ctl_ok(&["apply"]);
    assert_eq!(fs::read_to_string(&to).expect("there"), "two a\n", "apply waits for it");
    assert_eq!(tree.await_lines("web/seen", 2), ["up", "two a"]);
    assert_eq!(tree.await_lines("told/seen", 2), ["up", "two a"]);
    tree.await_status("plain", "restarted", |status| status.pid.is_some_and(|pid| pid != plain));
    write(&vars, "WHO=b\n");
    let plan = tree.ctl_ok(&["plan"]);
    assert!(plan.contains(&format!("web: reload: {} has changed", vars.display())), "{plan}");
    tree.ctl_ok(&["apply"]);
    assert_eq!(tree.await_lines("web/seen", 3), ["up", "two a", "two b"]);
    // A start makes them of what there is: that is no edit any more. What was written in the last milliseconds may come too late.
    write(&vars, "WHO=c\n");
    assert!(tree.status("web").expect("known").changed);
    let mut lines = 3;
    until("a start that has read it", || {
        tree.ctl_ok(&["restart", "web"]);
        lines += 1;
        tree.await_lines("web/seen", lines);
        (!tree.status("web").expect("known").changed).then_some(())
    });
    assert_eq!(fs::read_to_string(&to).expect("there"), "two c\n");
    let plan = tree.ctl_ok(&["plan"]);
    assert!(!plan.contains("web: "), "{plan}");
    write(&vars, "WHO=b\n");
    assert!(tree.ctl_ok(&["plan"]).contains(&format!("web: reload: {} has changed", vars.display())));
    tree.ctl_ok(&["apply"]);
    let web = tree.await_up("web");
    until("two b", || (tree.lines("web/seen").last().map(String::as_str) == Some("two b")).then_some(()));
    // One that cannot be rendered is told, and what runs goes on with what it has.
    write(&from, "three ${NONE}\n");
    let said = tree.say(&["apply"]);
    let why = format!("its files cannot be made: {}:1: NONE is not set", from.display());
    assert!(said.code != 0 && said.err.contains(&format!("web: {why}")), "{said:?}");
    let told = format!("not reloaded: {why}");
    until("a line", || tree.log().contains(&format!("svc-scan: web: {told}")).then_some(()));
    tree.await_problem("web", &[&told]);
    assert_eq!(tree.await_up("web"), web);
    assert_eq!(fs::read_to_string(&to).expect("there"), "two b\n");
    write(&from, "three ${WHO}\n");
    tree.ctl_ok(&["apply"]);
    assert_eq!(tree.status("web").and_then(|status| status.problem), None, "mended");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_distribution_is_put_in_place_and_updated_while_its_server_runs() {
    let mut tree = Tree::new();
    let (from, to) = (tree.path("distribution"), tree.path("data/modules"));
    for (name, text) in [("modules/a.txt", "a1\n"), ("modules/deep/b.txt", "b1\n"), ("VERSION", "1.0\n")] {
        write(&from.join(name), text);
    }
    let owner = if is_root() { "owner = 'nobody'" } else { "how = 'copy'" };
    let keys = format!(
        "distributions = [{{ from = '{}/modules', to = '{}', version = '../VERSION', mode = '0640', {owner} }}]\n\
         apply = 'auto'\nreload.signal = 'HUP'",
        from.display(),
        to.display()
    );
    tree.toml("server", &reloads(&to.join("a.txt"), &keys));
    tree.start();
    let server = tree.await_up("server");
    tree.await_lines("server/seen", 1);
    assert_eq!(fs::read_to_string(to.join("deep/b.txt")).expect("before the start"), "b1\n");
    let metadata = fs::metadata(to.join("a.txt")).expect("there");
    assert_eq!(metadata.mode() & 0o7777, 0o640);
    assert!(!is_root() || metadata.uid() != 0, "it belongs to its owner");
    let told = format!("{}: put 2 of 2 files in place, removed 0, version 1.0", to.display());
    until(&told, || tree.log().contains(&told).then_some(()));
    // What the server has made itself stays.
    write(&to.join("own.txt"), "own\n");
    write(&from.join("modules/a.txt"), "a2\n");
    fs::remove_dir_all(from.join("modules/deep")).expect("there");
    write(&from.join("VERSION"), "2.0\n");
    assert_eq!(tree.await_lines("server/seen", 2), ["up", "a2"]);
    assert!(!to.join("deep/b.txt").exists() && to.join("own.txt").exists());
    // One that is half-written changes nothing, and says what is missing.
    write(&from.join("modules/c.omod"), "PK\x03\x04 broken off");
    write(&from.join("modules/a.txt"), "a3\n");
    write(&from.join("VERSION"), "3.0\n");
    until("a line", || tree.log().contains("c.omod: is no whole archive").then_some(()));
    until("another", || tree.log().contains("svc-scan: server: not reloaded: ").then_some(()));
    assert_eq!(fs::read_to_string(to.join("a.txt")).expect("there"), "a2\n");
    write(&from.join("modules/c.omod"), "PK\x05\x06 an empty archive");
    write(&from.join("VERSION"), "3.1\n");
    assert_eq!(tree.await_lines("server/seen", 3), ["up", "a2", "a3"]);
    assert_eq!(tree.await_up("server"), server, "it has run all the time");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_distribution_may_be_linked_and_not_copied() {
    let mut tree = Tree::new();
    let (from, to) = (tree.path("distribution"), tree.path("modules"));
    write(&from.join("a.txt"), "a1\n");
    let keys = |to: &Path, how: &str| {
        format!(
            "command = 'sleep 1000'\ndistributions = [{{ from = '{}', to = '{}', how = '{how}' }}]",
            from.display(),
            to.display()
        )
    };
    let copies = tree.path("copies");
    tree.toml("links", &keys(&to, "link"));
    tree.toml("copies", &keys(&copies, "copy"));
    tree.start();
    until("both", || (to.join("a.txt").exists() && copies.join("a.txt").exists()).then_some(()));
    let is_link = |path: &Path| fs::symlink_metadata(path).expect("there").is_symlink();
    assert_eq!(fs::read_link(to.join("a.txt")).expect("a link"), from.join("a.txt"));
    assert!(!is_link(&copies.join("a.txt")));
    assert_eq!(tree.stop(), 0);
}

/// A server that cannot load its artefacts again: it has one line for each start, and says there what it has found.
fn restarts(from: &Path, to: &Path, apply: &str) -> String {
    let (from, to) = (from.display(), to.display());
    format!(
        "command = ['sh', '-c', 'cat {to}/*.txt >>seen; exec sleep 1000']\n\
         distributions = [{{ from = '{from}/modules', to = '{to}', version = '../VERSION' }}]\napply = '{apply}'\n"
    )
}

#[test]
fn a_server_that_must_restart_goes_on_until_a_new_distribution_is_whole() {
    let mut tree = Tree::new();
    let (from, to) = (tree.path("distribution"), tree.path("modules"));
    for (name, text) in [("modules/a.txt", "a1\n"), ("VERSION", "1.0\n")] {
        write(&from.join(name), text);
    }
    tree.toml("server", &restarts(&from, &to, "auto"));
    tree.toml("web", "command = 'sleep 1000'\nneeds = [{ on = 'server', bond = 'follow' }]");
    tree.start();
    assert_eq!(tree.await_lines("server/seen", 1), ["a1"]);
    let (server, web) = (tree.await_up("server"), tree.await_up("web"));
    write(&from.join("modules/a.txt"), "a2\n");
    write(&from.join("modules/b.omod"), "PK\x03\x04 broken off");
    write(&from.join("VERSION"), "2.0\n");
    until("a line", || tree.log().contains("svc-scan: server: not restarted: ").then_some(()));
    assert!(tree.log().contains("b.omod: is no whole archive"), "{}", tree.log());
    assert_eq!((tree.await_up("server"), tree.await_up("web")), (server, web), "both go on");
    assert_eq!(fs::read_to_string(to.join("a.txt")).expect("there"), "a1\n", "with what they have");
    let said = tree.say(&["apply"]);
    assert_eq!((said.code, said.out.as_str()), (0, "nothing has changed\n"), "it was told: {said:?}");
    // It dies: what is in place is whole, and the other one still is not.
    kill(server, "KILL");
    assert_eq!(tree.await_lines("server/seen", 2), ["a1", "a1"]);
    until("a line", || tree.log().contains(": starting with what is in place, version 1.0").then_some(()));
    tree.await_up("server");
    write(&from.join("modules/b.omod"), "PK\x05\x06 an empty archive");
    write(&from.join("VERSION"), "2.1\n");
    assert_eq!(tree.await_lines("server/seen", 3), ["a1", "a1", "a2"]);
    tree.await_status("web", "restarted", |status| status.pid.is_some_and(|pid| pid != web));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn apply_says_whether_a_service_that_was_restarted_for_a_distribution_came_up() {
    let mut tree = Tree::new();
    let (from, to) = (tree.path("distribution"), tree.path("modules"));
    for (name, text) in [("modules/a.txt", "a1\n"), ("VERSION", "1.0\n")] {
        write(&from.join(name), text);
    }
    tree.toml("server", &restarts(&from, &to, "asked"));
    tree.toml("web", "command = 'sleep 1000'\nneeds = [{ on = 'server', bond = 'follow' }]");
    tree.start();
    tree.await_lines("server/seen", 1);
    let (server, web) = (tree.await_up("server"), tree.await_up("web"));
    write(&from.join("modules/a.txt"), "a2\n");
    write(&from.join("VERSION"), "\n");
    assert!(tree.ctl_ok(&["plan"]).contains("server: restart: "));
    let said = tree.say(&["apply"]);
    assert!(said.code != 0 && said.err.contains("server: its files cannot be made"), "{said:?}");
    assert!(said.err.contains("web: its files cannot be made"), "it would have followed: {said:?}");
    assert_eq!((tree.await_up("server"), tree.await_up("web")), (server, web));
    write(&from.join("VERSION"), "2.0\n");
    tree.ctl_ok(&["apply"]);
    assert_ne!(tree.await_up("server"), server, "apply waits for the restart");
    assert_ne!(tree.await_up("web"), web, "and for that of those who follow");
    assert_eq!(tree.await_lines("server/seen", 2), ["a1", "a2"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn all_distributions_of_a_service_are_put_or_none() {
    let mut tree = Tree::new();
    let (from, to) = (tree.path("distribution"), tree.path("to"));
    for (name, text) in [("modules/a.txt", "a1\n"), ("config/b.zip", "PK\x03\x04 broken off")] {
        write(&from.join(name), text);
    }
    let one = |name: &str| format!("{{ from = '{0}/{name}', to = '{1}/{name}' }}", from.display(), to.display());
    let keys = format!("distributions = [{}, {}]", one("modules"), one("config"));
    tree.toml("server", &format!("command = 'sleep 1000'\n{keys}"));
    tree.start();
    until("a reason", || tree.ctl_ok(&["why", "server"]).contains("b.zip: is no whole archive").then_some(()));
    assert!(!to.join("modules/a.txt").exists());
    write(&from.join("config/b.zip"), "PK\x05\x06");
    let is_there = |name: &str| to.join(name).exists();
    until("both to be put", || (is_there("modules/a.txt") && is_there("config/b.zip")).then_some(()));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_distribution_that_is_not_there_holds_up_the_start() {
    let mut tree = Tree::new();
    let from = tree.path("distribution");
    let keys = format!(
        "distributions = [{{ from = '{}', to = '{}', version = 'VERSION' }}]",
        from.display(),
        tree.path("to").display()
    );
    tree.toml("server", &format!("command = 'sleep 1000'\n{keys}"));
    tree.start();
    let await_why = |words: &str| until(words, || tree.ctl_ok(&["why", "server"]).contains(words).then_some(()));
    await_why("distribution: there is no such directory: mount the distribution there");
    write(&from.join("a"), "a");
    await_why("VERSION: No such file or directory (os error 2): the distribution is not mounted, or half-written");
    write(&from.join("VERSION"), "1");
    until("it to be put", || tree.path("to/a").exists().then_some(()));
    assert_eq!(tree.stop(), 0);
}
