//! Files that are made again while a service runs: of templates that have changed, and of a distribution that is another one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use svc_testkit::{Tree, is_root, until};

use crate::Files;

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
    tree.start();
    tree.await_lines("web/seen", 1);
    let (web, plain) = (tree.await_up("web"), tree.await_up("plain"));
    assert_eq!(tree.ctl_ok(&["plan"]), "nothing has changed\n");
    write(&from, "two ${WHO}\n");
    let (plan, changed) = (tree.ctl_ok(&["plan"]), format!("{} has changed\n", from.display()));
    assert!(plan.contains(&format!("web: reload: {changed}")), "{plan}");
    assert!(plan.contains(&format!("plain: restart: {changed}")), "no signal for that is known: {plan}");
    assert_eq!(fs::read_to_string(&to).expect("there"), "one a\n", "a plan does nothing");
    tree.ctl_ok(&["apply"]);
    assert_eq!(fs::read_to_string(&to).expect("there"), "two a\n", "apply waits for it");
    assert_eq!(tree.await_lines("web/seen", 2), ["up", "two a"]);
    tree.await_status("plain", "restarted", |status| status.pid.is_some_and(|pid| pid != plain));
    write(&vars, "WHO=b\n");
    let plan = tree.ctl_ok(&["plan"]);
    assert!(plan.contains(&format!("web: reload: {} has changed", vars.display())), "{plan}");
    tree.ctl_ok(&["apply"]);
    assert_eq!(tree.await_lines("web/seen", 3), ["up", "two a", "two b"]);
    // One that cannot be rendered is told, and what runs goes on with what it has.
    write(&from, "three ${NONE}\n");
    let said = tree.say(&["apply"]);
    assert!(said.code != 0 && said.err.contains("web: its files cannot be made"), "{said:?}");
    until("a line", || tree.log().contains(":1: NONE is not set").then_some(()));
    assert!(tree.log().contains("svc-scan: web: not reloaded: "), "{}", tree.log());
    assert_eq!(tree.await_up("web"), web);
    assert_eq!(fs::read_to_string(&to).expect("there"), "two b\n");
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
    assert!(tree.log().contains(&format!("{}: put 2 of 2 files in place, removed 0, version 1.0", to.display())));
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
    let words = "VERSION: No such file or directory (os error 2): the distribution is not mounted, or half-written";
    until(words, || tree.ctl_ok(&["why", "server"]).contains(words).then_some(()));
    write(&from.join("a"), "a");
    write(&from.join("VERSION"), "1");
    tree.await_up("server");
    assert!(tree.path("to/a").exists());
    assert_eq!(tree.stop(), 0);
}
