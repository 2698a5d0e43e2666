//! Edits that name a path which is not there: what runs is not stopped for them, unless something may still make it.

use std::fs;

use svc_testkit::Tree;

const SLEEP: &str = "command = 'sleep 1000'\n";

/// Writes another service.toml, and tells nobody.
fn write(tree: &Tree, name: &str, text: &str) {
    tree.service(name).file("service.toml", text);
}

/// Each edit of web must be left alone, for this reason; web is what it was.
fn refuses(tree: &Tree, web: i32, keys: &str, key: &str, why: &str) {
    write(tree, "web", &format!("{SLEEP}{keys}"));
    let file = tree.services().join("web/service.toml");
    let told = format!("{}:2:", file.display());
    let (plan, applied) = (tree.say(&["plan"]), tree.say(&["apply"]));
    assert_eq!((plan.code, applied.code), (0, 1), "{keys}: {plan:?} {applied:?}");
    assert_eq!(plan.out, applied.out, "{keys}");
    let rest = plan.out.strip_prefix(&format!("web: nothing: {told}")).unwrap_or_else(|| panic!("{keys}: {plan:?}"));
    let column_and = rest.split_once(": ").map(|(_, message)| message);
    assert_eq!(column_and, Some(&*format!("{key}: {why}; until then it stays as it was before the edit\n")), "{keys}");
    tree.await_problem("web", &[&told, why, "until then it stays as it was before the edit"]);
    assert!(tree.ctl_ok(&["why", "web"]).contains(why), "{keys}");
    assert_eq!(tree.await_up("web"), web, "{keys}");
}

#[test]
fn an_edit_that_newly_names_a_path_that_is_not_there_stops_nothing_whatever_the_key() {
    let mut tree = Tree::new();
    tree.toml("web", SLEEP);
    tree.start();
    let web = tree.await_up("web");
    let dir = tree.services().join("web");
    let own = |name: &str| format!("{} does not exist: make it, or correct the name", dir.join(name).display());
    let gone = "/nonexistent does not exist: make it, or correct the name";
    let root = tree.root().join("root");
    fs::create_dir(&root).expect("ours");
    let root = root.display();
    fs::write(dir.join("file"), "").expect("ours");
    let kind = |name: &str, is: &str, must: &str| {
        format!("{} is {is}, and must be {must}: correct the name", dir.join(name).display())
    };
    for (keys, key, why) in [
        ("directory = '/nonexistent'", "directory", gone.to_owned()),
        ("directory = '${NOBODY_SETS_THIS:-/nonexistent}'", "directory", gone.to_owned()),
        ("directory = 'sub'", "directory", own("sub")),
        ("directory = 'file'", "directory", kind("file", "a file", "a directory")),
        ("env-file = 'web.env'", "env-file", own("web.env")),
        ("env-file = '.'", "env-file", kind(".", "a directory", "a file")),
        ("env-dir = '/nonexistent'", "env-dir", gone.to_owned()),
        ("certificates = ['/etc', '/nonexistent']", "certificates", gone.to_owned()),
        ("volumes = [{ path = '/nonexistent', mode = '0640' }]", "volumes", gone.to_owned()),
        ("secrets = { A = '/nonexistent' }", "secrets", gone.to_owned()),
        ("secrets.A = 'nosuch'", "secrets", gone.replace("/nonexistent", "/run/secrets/nosuch")),
        ("credentials = { a = '/nonexistent' }", "credentials", gone.to_owned()),
        ("templates = [{ from = '/nonexistent', to = 'web.conf' }]", "templates", gone.to_owned()),
        ("templates = [{ from = 'file', to = '/nonexistent/web.conf' }]", "templates", gone.to_owned()),
        ("distributions = [{ from = '/nonexistent', to = 'put' }]", "distributions", gone.to_owned()),
        ("json = '/nonexistent'", "json", gone.to_owned()),
        ("chroot = '/nonexistent'", "chroot", gone.to_owned()),
        (&format!("directory = '/in'\nchroot = '{root}'"), "directory", gone.replace("/nonexistent", &format!("{root}/in"))),
        ("landlock.read = ['/', '/nonexistent']", "landlock.read", gone.to_owned()),
        ("landlock.write = ['sub']", "landlock.write", own("sub")),
        ("landlock.exec = ['/usr', '/nonexistent']", "landlock.exec", gone.to_owned()),
        (
            "env.A = { command = '/tmp/nonexistent/tool' }",
            "env.A",
            "/tmp/nonexistent/tool: does not exist, nor does its directory: create /tmp/nonexistent with a program in it"
                .into(),
        ),
        // Conditions that hold, and an account, also where the environment says which.
        ("directory = '/nonexistent'\ncondition.file = '/etc'", "directory", gone.to_owned()),
        (
            "user = '${NOBODY_SETS_THIS:-nosuch}'",
            "user",
            "there is no account nosuch in /etc/passwd: make it, or give UID:GID".into(),
        ),
    ] {
        refuses(&tree, web, keys, key, &why);
    }
    write(&tree, "web", SLEEP);
    assert_eq!(tree.ctl_ok(&["apply"]).trim(), "nothing has changed");
    assert_eq!(tree.await_up("web"), web);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_refused_path_counts_as_soon_as_it_is_there_and_watched_edits_are_refused_too() {
    let mut tree = Tree::new();
    tree.toml("web", SLEEP);
    tree.toml("many@", &format!("{SLEEP}instances = 2"));
    tree.argument("--watch");
    tree.start();
    let pids = ["web", "many@1", "many@2"].map(|name| tree.await_up(name));
    let many = tree.services().join("many@");
    fs::create_dir(many.join("d1")).expect("ours");
    let missing = tree.root().join("missing").display().to_string();
    write(&tree, "web", &format!("{SLEEP}directory = '{missing}'"));
    write(&tree, "many@", &format!("{SLEEP}instances = 2\ndirectory = 'd${{INSTANCE}}'"));
    tree.await_problem("web", &["does not exist: make it, or correct the name; until then it stays"]);
    tree.await_problem("many", &[&format!("{}/d2 does not exist", many.display()), "until then it stays"]);
    assert_eq!(["web", "many@1", "many@2"].map(|name| tree.await_up(name)), pids);
    // It goes on as it was, also for the next svc-scan.
    tree.kill_scan();
    assert_eq!(["web", "many@1", "many@2"].map(|name| tree.await_up(name)), pids);
    fs::create_dir(&missing).expect("ours");
    fs::create_dir(many.join("d2")).expect("ours");
    let said = tree.ctl_ok(&["apply"]);
    assert!(said.contains("web: restart: ") && said.contains("many@2: restart: "), "{said}");
    let place = |name: &str| fs::read_link(format!("/proc/{}/cwd", tree.await_up(name))).ok();
    assert_eq!((place("web"), place("many@2")), (Some(missing.into()), Some(many.join("d2"))));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_comes_before_its_start_may_still_make_a_path_that_an_edit_names() {
    let mut tree = Tree::new();
    let root = tree.root().display().to_string();
    let makes = |dir: &str| format!("kind = 'oneshot'\nup = 'mkdir -p {root}/{dir}'");
    let runs_in = |dir: &str, keys: &str| format!("{SLEEP}directory = '{root}/{dir}'\n{keys}");
    let place = |tree: &Tree, name: &str| {
        let cwd = fs::read_link(format!("/proc/{}/cwd", tree.await_up(name))).expect("it runs");
        cwd.file_name().expect("a name").to_string_lossy().into_owned()
    };
    let (v1, v2, v3) = (makes("v1"), makes("v2"), format!("{}\nbefore = ['lone']", makes("v3")));
    tree.toml("prep", &v1);
    tree.toml("all", "kind = 'bundle'\nmembers = ['prep']");
    tree.toml("web", &runs_in("v1", "needs = ['prep']"));
    tree.toml("far", &runs_in("v1", "needs = ['all']"));
    tree.toml("lone", SLEEP);
    let text = tree.services();
    tree.start();
    ["web", "far", "lone"].iter().for_each(|name| _ = tree.await_up(name));
    // The oneshot is edited too, ...
    write(&tree, "prep", &v2);
    write(&tree, "web", &runs_in("v2", "needs = ['prep']"));
    write(&tree, "far", &runs_in("v2", "needs = ['all']"));
    let said = tree.say(&["apply"]);
    assert_eq!((place(&tree, "web"), place(&tree, "far")), ("v2".to_owned(), "v1".to_owned()));
    // (Nobody waits for a bundle when one in it is done once more.)
    assert!(said.code == 1 && said.out.contains("far: nothing: ") && said.out.contains("web: restart: "), "{said:?}");
    tree.ctl_ok(&["apply"]);
    assert_eq!(place(&tree, "far"), "v2");
    // ... or is new, ...
    tree.toml("more", &v3);
    write(&tree, "lone", &runs_in("v3", "needs = ['more']"));
    tree.ctl_ok(&["apply"]);
    assert_eq!(place(&tree, "lone"), "v3");
    // ... or puts itself before; an edit of it that is refused makes nothing.
    let lone = tree.await_up("lone");
    write(&tree, "more", &format!("{v3}\nuser = 'nosuch'"));
    write(&tree, "lone", &runs_in("v4", "needs = ['more']"));
    let said = tree.say(&["apply"]);
    assert_eq!((said.code, said.out.matches(": nothing: ").count()), (1, 2), "{said:?}");
    assert_eq!(tree.await_up("lone"), lone);
    write(&tree, "more", &format!("{}\nbefore = ['lone']", makes("v4")));
    write(&tree, "lone", &runs_in("v4", ""));
    tree.ctl_ok(&["apply"]);
    assert_eq!(place(&tree, "lone"), "v4");
    // svc itself puts files somewhere first.
    fs::create_dir_all(text.join("lone/from/etc")).expect("ours");
    ["conf", "etc/other"].iter().for_each(|name| fs::write(text.join("lone/from").join(name), "").expect("ours"));
    let keys = "distributions = [{ from = 'from', to = 'put' }]\ntemplates = [{ from = 'from/conf', to = 'put/etc/conf' }]\n\
                landlock.read = ['put', 'put/etc/conf', '/']\nlandlock.exec = ['/']\noptional = ['landlock']";
    write(&tree, "lone", &format!("{SLEEP}{keys}"));
    tree.ctl_ok(&["apply"]);
    assert!(text.join("lone/put/etc/conf").exists() && place(&tree, "lone") == "lone");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_was_named_before_or_does_not_run_or_is_turned_away_is_taken_as_it_is() {
    let mut tree = Tree::new();
    let variables = tree.root().join("variables");
    fs::write(&variables, "A=1\n").expect("ours");
    let text = |keys: &str| format!("{SLEEP}env-file = '{}'\n{keys}", variables.display());
    tree.toml("web", &text(""));
    tree.toml("idle", &format!("{SLEEP}start = false"));
    tree.toml("gone", SLEEP);
    let late = tree.root().join("late");
    tree.toml("late", &format!("{SLEEP}directory = '{}'", late.display()));
    tree.start();
    let web = tree.await_up("web");
    tree.await_up("gone");
    tree.await_problem("late", &["cannot go to the directory"]);
    fs::remove_file(&variables).expect("ours");
    write(&tree, "web", &text("nice = 1"));
    write(&tree, "idle", &format!("{SLEEP}start = false\ndirectory = '/nonexistent'"));
    write(&tree, "gone", &format!("{SLEEP}directory = '/nonexistent'\ncondition.file = '/nonexistent'"));
    write(&tree, "late", &format!("{SLEEP}directory = '{}'\nnice = 1", late.display()));
    let plan = tree.ctl_ok(&["plan"]);
    assert!(plan.contains("web: restart: ") && plan.contains("idle: nothing: it is not up"), "{plan}");
    assert!(plan.contains("gone: stop: its conditions no longer hold"), "{plan}");
    fs::write(&variables, "A=2\n").expect("ours");
    fs::create_dir(&late).expect("ours");
    tree.ctl_ok(&["apply"]);
    assert_ne!(tree.await_up("web"), web);
    tree.await_up("late");
    tree.await_status("gone", "stopped", |status| status.pid.is_none());
    tree.say(&["start", "--no-wait", "idle"]);
    tree.await_problem("idle", &["cannot go to the directory /nonexistent"]);
    assert_eq!(tree.stop(), 0);
}
