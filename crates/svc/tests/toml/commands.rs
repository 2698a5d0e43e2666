//! svc-ctl show, check and schema.

use svc_testkit::{NOBODY, Said, Tree, is_root, program};

fn check(tree: &Tree) -> Said {
    Said::by(std::process::Command::new(program()).args(["ctl", "check"]).arg(tree.services()))
}

#[test]
fn show_prints_what_is_merged_and_where_it_comes_from() {
    let mut tree = Tree::new();
    tree.draft("web")
        .file("service.toml", "nice = 1\ncommand = \"sleep '1000'\"\n[env]\nA = \"${NONE:-x\\\"y}\"\n\"b c\" = 2\n");
    std::fs::create_dir(tree.draft("web").path().join("service.toml.d")).expect("ours");
    tree.draft("web").file("service.toml.d/1.toml", "\nnice = 2\ntimeout.kill = '1s'\n");
    tree.place("web");
    tree.service("old").run("exec sleep 1000");
    tree.start();
    let dir = tree.services().join("web").display().to_string();
    let expected = [
        "# web".to_owned(),
        format!("command = \"sleep '1000'\"  # {dir}/service.toml:2"),
        format!("timeout.kill = \"1s\"  # {dir}/service.toml.d/1.toml:3"),
        format!("env = {{ A = \"${{NONE:-x\\\"y}}\", \"b c\" = 2 }}  # {dir}/service.toml:3"),
        format!("nice = 2  # {dir}/service.toml.d/1.toml:2"),
    ];
    assert_eq!(tree.ctl_ok(&["show", "web"]).lines().collect::<Vec<_>>(), expected);
    let json: serde_json::Value = serde_json::from_str(&tree.ctl_ok(&["--json", "show", "web"])).expect("JSON");
    assert_eq!(json["values"][0]["key"], "command");
    let said = tree.say(&["show", "old"]);
    assert!(said.code == 1 && said.err.contains("has no service.toml"), "{said:?}");
    assert_eq!(tree.say(&["show", "nobody"]).code, 102);
    assert_eq!(tree.stop(), 0);
}

/// A table may have values of several files.
#[test]
fn show_says_of_each_value_where_it_comes_from() {
    let mut tree = Tree::new();
    tree.draft("web").file("service.toml", "command = 'sleep 1000'\nenv = { A = 1, B = 2 }\n");
    std::fs::create_dir(tree.draft("web").path().join("service.toml.d")).expect("ours");
    tree.draft("web").file("service.toml.d/1.toml", "\n\nenv.B = 3\nenv.'b c' = 4\n");
    let base = "kind = 'timer'\ncommand = 'true'\ncron = '@daily'\nzone = 'UTC'\n";
    std::fs::create_dir_all(tree.draft("hourly").file("service.toml", base).path().join("service.toml.d")).expect("ours");
    tree.draft("hourly").file("service.toml.d/1.toml", "every = '1h'\n");
    tree.place("hourly");
    tree.place("web");
    tree.start();
    let dir = tree.services().join("web").display().to_string();
    let expected = [
        "# web".to_owned(),
        format!("command = \"sleep 1000\"  # {dir}/service.toml:1"),
        format!("env.A = 1  # {dir}/service.toml:2"),
        format!("env.B = 3  # {dir}/service.toml.d/1.toml:3"),
        format!("env.\"b c\" = 4  # {dir}/service.toml.d/1.toml:4"),
    ];
    assert_eq!(tree.ctl_ok(&["show", "web"]).lines().collect::<Vec<_>>(), expected);
    let dir = tree.services().join("hourly").display().to_string();
    let expected = [
        "# hourly".to_owned(),
        format!("kind = \"timer\"  # {dir}/service.toml:1"),
        format!("command = \"true\"  # {dir}/service.toml:2"),
        format!(
            "every = \"1h\"  # {dir}/service.toml.d/1.toml:1, in place of cron ({dir}/service.toml:3), zone ({dir}/service.toml:4)"
        ),
    ];
    assert_eq!(tree.ctl_ok(&["show", "hourly"]).lines().collect::<Vec<_>>(), expected);
    let json: serde_json::Value = serde_json::from_str(&tree.ctl_ok(&["--json", "show", "hourly"])).expect("JSON");
    assert_eq!(json["values"][2]["replaces"][1]["key"], "zone");
    assert_eq!(tree.stop(), 0);
}

/// What is wrong with one is told once, and not of those that name it; and svc says the same.
#[test]
fn who_names_a_classic_directory_is_told_that_it_has_no_place() {
    let mut tree = Tree::new();
    tree.service("old").run("exec sleep 1000");
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['old']");
    tree.toml("lax", "command = 'sleep 1000'\nafter = ['old']");
    tree.toml("old2", "command = 'sleep 1000'\nneeds = ['old3']");
    tree.toml("typo", "comand = 'sleep 1000'");
    tree.toml("more", "command = 'sleep 1000'\nneeds = ['typo']\nafter = ['typo']");
    let place = "names old, a classic directory, which has no place in the order: give it a service.toml";
    let said = check(&tree);
    let file = |name: &str| format!("{}/{name}/service.toml:2:10", tree.services().display());
    let errors: Vec<&str> = said.out.lines().filter(|line| line.starts_with("error: ") && !line.contains("typo/")).collect();
    assert_eq!(
        errors,
        [
            format!("error: {}: old2 names old3, which does not exist: define it, or remove the dependency", file("old2")),
            format!("error: {}: web {place}", file("web")),
        ]
    );
    assert!(said.out.contains(&format!("warning: {}: lax {place}, and goes on without\n", file("lax"))), "{said:?}");
    tree.start();
    tree.await_problem("web", &[place]);
    tree.await_problem("lax", &[place, "goes on without"]);
    tree.await_up("lax");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn check_says_everything_without_svc() {
    let tree = Tree::new();
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['db']\nwants = ['cache']");
    tree.toml("db", "command = 'sleep 1000'");
    let said = check(&tree);
    assert_eq!(said.code, 0, "{said:?}");
    let file = tree.services().join("web/service.toml:3:10");
    let warning = format!("{}: web names cache, which does not exist, and goes on without", file.display());
    assert_eq!(said.out, format!("warning: {warning}\n2 services, 0 things that must be cured\n"));
    let json = Said::by(std::process::Command::new(program()).args(["ctl", "--json", "check"]).arg(tree.services()));
    let json: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!((&json["services"], &json["errors"]), (&2.into(), &serde_json::json!([])));
    assert_eq!(json["warnings"][0], warning);
    tree.toml("a", "kind = 'milestone'\nneeds = ['b']");
    tree.toml("b", "kind = 'milestone'\nneeds = ['a']");
    tree.toml("typo", "comand = 'x'\nnice = 'y'");
    tree.toml("lost", "command = 'sleep 1000'\nneeds = ['dbb']");
    tree.service("classic").file("run", "#!/bin/sh\n");
    tree.service("web2").file("down", "");
    tree.draft("rc").file("type", "longrum");
    tree.place("rc");
    tree.toml("absent", "command = 'no-such-program -x'\nready.exec = ['test', '--', 'x']");
    tree.toml("elsewhere", "command = 'bin/none'\ndirectory = '/srv'\nuser = 'nobody'");
    let copy = "{ from = '/private/none.pem', to = '/x', language = 'copy-if-there' }";
    tree.toml("unmade", &format!("command = 'sleep 1000'\ntemplates = [{copy}, {{ from = 'none.tmpl', to = '/y' }}]"));
    for (name, keys) in
        [("asked", "condition.env = 'NOBODY'"), ("path", "env.PATH = '/opt/bin'"), ("root", "chroot = '/srv'")]
    {
        tree.toml(name, &format!("command = 'no-such-program'\n{keys}"));
    }
    tree.draft("reader").file("type", "longrun").run("exec cat").file("consumer-for", "nobody");
    tree.place("reader");
    tree.draft("writer").file("type", "longrun").run("exec sleep 1000").file("producer-for", "nobody");
    tree.place("writer");
    for (producer, consumer, pipeline) in
        [("one", "one-log", "pipe"), ("two", "two-log", "pipe"), ("three", "three-log", "one")]
    {
        tree.draft(producer).file("type", "longrun").run("exec sleep 1000").file("producer-for", consumer);
        tree.place(producer);
        let log = tree.draft(consumer);
        log.file("type", "longrun").run("exec cat").file("consumer-for", producer).file("pipeline-name", pipeline);
        tree.place(consumer);
    }
    tree.toml("pipes", "kind = 'bundle'\nmembers = ['pipe']");
    tree.draft("cut").file("type", "longrun").run("exec sleep 1000").file("producer-for", "one");
    tree.place("cut");
    let said = check(&tree);
    assert_eq!(said.code, 1);
    for words in [
        "typo/service.toml:1:1: \"comand\" is no key",
        "typo/service.toml:2:8: nice is \"y\"",
        "classic/run: is not executable",
        "web2/run: does not exist",
        "rc/type: is \"longrum\"",
        "/lost/service.toml:2:10: lost names dbb, which does not exist: did you mean db?",
        "/absent/service.toml:1:1: command: no-such-program: no program of this name is in PATH: install it, or give its whole path",
        "/elsewhere/service.toml:1:1: command: /srv/bin/none: ",
        "/unmade/none.tmpl is not in this image: mount it, or put it there",
        "/reader/consumer-for: reader names nobody, which does not exist",
        "/writer/producer-for: writer names nobody, which does not exist",
        "error: two-log: its pipeline-name pipe is also the pipeline-name of one-log: write another one",
        "error: three-log: its pipeline-name one is also the name of a service: write another one",
        "error: cut: is producer-for one, which is not consumer-for cut: add the name to its consumer-for",
        "error: a -> b -> a wait for each other: remove one of these dependencies: see ",
        "/a/service.toml:2:10, ",
        "/b/service.toml:2:10\n",
    ] {
        assert!(said.out.contains(words), "{words} in\n{}", said.out);
    }
    assert!(!said.out.contains("names pipe"), "a bundle may have a pipeline in it: {}", said.out);
    assert_eq!(said.out.matches("templates: ").count(), 1, "one that may be missing is no mistake: {}", said.out);
    let of_path = "/path/service.toml:1:1: command: no-such-program: no program of this name is in PATH";
    assert!(said.out.contains(of_path), "its own PATH has it no more: {}", said.out);
    assert_eq!(said.out.matches("no-such-program: ").count(), 2, "the others may find it where they look: {}", said.out);
    let said = tree.say(&["check", "-v", &tree.services().display().to_string()]);
    for line in ["absent: runs no-such-program -x as the user of svc in", "elsewhere: runs bin/none as nobody in /srv\n"] {
        assert!(said.out.contains(line), "{line} in\n{}", said.out);
    }
    let empty = Said::by(std::process::Command::new(program()).args(["ctl", "check", "/no/such/directory"]));
    assert_eq!(empty.code, 111);
}

#[test]
fn the_schema_is_printed_without_svc() {
    let said = Said::by(std::process::Command::new(program()).args(["ctl", "schema"]));
    assert_eq!((said.code, said.out.as_str()), (0, svc_def::schema().as_str()));
}

/// s6-overlay brings units of its own, and layers add to them.
#[test]
fn check_knows_what_s6_overlay_brings() {
    let trees = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/trees");
    let check = |root: &std::path::Path| {
        let dir = root.join("etc/s6-overlay/s6-rc.d");
        let path = format!("{}:/usr/bin:/bin", trees.join("stubs/usr/local/bin").display());
        Said::by(std::process::Command::new(program()).args(["ctl", "check"]).arg(dir).env("PATH", path))
    };
    for right in ["v3_spine", "v3_bundles", "v3_addon", "v3_pipeline", "v3_optional"] {
        let said = check(&trees.join(right).join("rootfs"));
        assert!(said.code == 0 && said.out.ends_with("services, 0 things that must be cured\n"), "{right}: {said:?}");
    }
    // What is wrong is told all the same.
    let tree = Tree::new();
    let sources = tree.root().join("etc/s6-overlay/s6-rc.d");
    for (name, content) in [
        ("user/contents.d/web", ""),
        ("user/contents.d/gone", ""),
        ("web/type", "longrun"),
        ("web/run", "#!/bin/sh\nexec sleep 1000\n"),
        ("web/dependencies.d/base", ""),
        ("web/dependencies.d/bas", ""),
        ("circle/type", "oneshot"),
        ("circle/up", "true"),
        ("circle/dependencies.d/legacy-services", ""),
        ("base/contents.d/circle", ""),
    ] {
        let path = sources.join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("ours");
        std::fs::write(&path, content).expect("ours");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    }
    let said = check(tree.root());
    assert_eq!(said.code, 1, "{said:?}");
    for words in [
        "/user/contents.d/gone: user names gone, which does not exist",
        "/web/dependencies.d/bas: web names bas, which does not exist",
        "/circle/dependencies.d/legacy-services",
    ] {
        assert!(said.out.contains(words), "{words}: {said:?}");
    }
    assert!(!said.out.contains("names base,") && said.out.contains("2 services, 3 things"), "{said:?}");
}

/// What a service needs and the image has not: an error where nothing can bring it, a warning where something may be mounted.
#[test]
fn check_sees_what_an_image_lacks() {
    let tree = Tree::new();
    let runs = "command = 'sleep 1000'\n";
    let account = "there is no account nosuch in /etc/passwd: make it, or give UID:GID";
    let program = "no program of this name is in PATH: install it, or give its whole path";
    let mount = "is not in this image: mount it, or put it there";
    let group = "there is no group nosuch in /etc/group: make it, or give its number";
    let outside = "stand in the run directory, where a service with chroot does not come to: put the files into its root, or go \
                   without chroot";
    let jailed = "/bin/sh: is not in /srv, where it is looked for: put it there";
    let cases: &[(&str, &str, Result<String, String>)] = &[
        ("user", "user = 'nosuch'", Err(account.into())),
        ("user", "user = '${NOBODY_SETS_THIS:-nosuch}'", Ok(account.into())),
        ("user", "user = 59999", Err("no account has the uid 59999: say its group too, as in 59999:59999".into())),
        ("user", "user = '0:nosuch'", Err(group.into())),
        ("groups", "groups = ['nosuch']", Err(group.into())),
        ("sockets", "sockets = [{ listen = '/run/x', group = 'nosuch' }]", Err(group.into())),
        (
            "sockets",
            "sockets = [{ listen = '/run/x', user = 'nosuch' }]",
            Err("there is no user nosuch in /etc/passwd: make it, or give its number".into()),
        ),
        ("templates", "templates = [{ from = '/etc/passwd', to = '/x', owner = 'nosuch' }]", Err(account.into())),
        ("directory", "directory = '/nonexistent'", Ok(format!("/nonexistent {mount}"))),
        ("chroot", "chroot = '/nonexistent'", Ok(format!("/nonexistent {mount}"))),
        ("env-file", "env-file = '/nonexistent'", Ok(format!("/nonexistent {mount}"))),
        ("landlock.read", "landlock.read = ['/etc', '/nonexistent']", Ok(format!("/nonexistent {mount}"))),
        ("landlock.exec", "landlock.exec = 'none'\ndirectory = '/srv'", Ok(format!("/srv/none {mount}"))),
        ("secrets", "secrets = { A = 'nosuch' }", Ok(format!("/run/secrets/nosuch {mount}"))),
        ("credentials", "credentials = { a = '/nonexistent' }", Ok(format!("/nonexistent {mount}"))),
        ("certificates", "certificates = '/etc/passwd'\nchroot = '/srv'", Err(outside.into())),
        ("credentials", "credentials = { a = '/etc/passwd' }\nchroot = '/srv'", Err(outside.into())),
        ("ready.exec", "ready.exec = '/bin/sh'\nchroot = '/srv'", Err(jailed.into())),
        ("health.exec", "health.exec = 'nosuch'", Err(format!("nosuch: {program}"))),
        ("ready.exec", "ready.exec = 'nosuch'", Err(format!("nosuch: {program}"))),
        ("stop.command", "stop.command = 'nosuch'", Err(format!("nosuch: {program}"))),
        ("stop.drain", "stop.drain = { wait = '1s', until = 'nosuch' }", Err(format!("nosuch: {program}"))),
        ("env.T", "env.T = { command = 'nosuch' }", Err(format!("nosuch: {program}"))),
        ("condition.command", "condition.command = ['!', 'nosuch']", Ok(format!("nosuch: {program}"))),
    ];
    for (at, (_, keys, _)) in cases.iter().enumerate() {
        tree.toml(&format!("s{at}"), &format!("{runs}{keys}"));
    }
    tree.toml("data", "command = '/etc/passwd'");
    tree.toml("mounted", "command = '/run/nosuch/program'\nlandlock.exec = '/run/nosuch'");
    tree.toml("volume", "command = '/nosuch/bin/program'\nvolumes = [{ path = '/nosuch', mode = '0755' }]");
    tree.toml("other", "command = 'nosuch'\nuser = 'nosuch'\ncondition.env = 'NOBODY'");
    tree.toml("numbers", &format!("{runs}user = '59999:59999'\ngroups = [59998]"));
    tree.toml("one", &format!("{runs}sockets = ['127.0.0.1:1']"));
    tree.toml("two", &format!("{runs}sockets = ['127.0.0.1:1', 'udp://127.0.0.1:1']"));
    tree.toml("three", &format!("{runs}sockets = ['127.0.0.1:1']\ncondition.profile = 'x'"));
    tree.toml("four@", &format!("{runs}sockets = ['127.0.0.1:4${{INSTANCE}}']\ninstances = 2"));
    tree.toml("five@", &format!("{runs}sockets = ['127.0.0.1:5']\ninstances = 2"));
    let said = check(&tree);
    assert_eq!(said.code, 1, "{said:?}");
    let says = |words: &str| assert!(said.out.contains(&format!("{words}\n")), "{words}\nin {}", said.out);
    for (at, (key, keys, lacks)) in cases.iter().enumerate() {
        let (level, what) = match lacks {
            Ok(what) => ("warning", what),
            Err(what) => ("error", what),
        };
        let line = said.out.lines().find(|line| line.contains(&format!("/s{at}/service.toml:2:")));
        let line = line.unwrap_or_else(|| panic!("{keys}: nothing in {}", said.out));
        assert!(line.starts_with(level) && line.ends_with(&format!(": {key}: {what}")), "{keys}: {line}");
    }
    let both = |one, other, port| {
        format!("error: {one} and {other} both listen on 127.0.0.1:{port}: choose another address for one of the two")
    };
    says(&both("two", "one", 1));
    says(&both("five@2", "five@1", 5));
    says("error: s6 and s5 both listen on /run/x: choose another address for one of the two");
    assert_eq!(said.out.matches("both listen on").count(), 3, "{}", said.out);
    let of = |name: &str| {
        let lines = said.out.lines().filter(|line| line.contains(&format!("/{name}/service.toml")));
        lines.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect::<Vec<String>>()
    };
    assert_eq!((of("data"), of("mounted")), (vec!["error".to_owned()], vec!["warning".to_owned()]), "{}", said.out);
    assert_eq!(of("volume"), ["warning", "warning"], "the volume, and what is in it: {}", said.out);
    for right in ["other", "numbers", "one", "three"] {
        assert_eq!(of(right), [""; 0], "{right}: {}", said.out);
    }
}

/// A variable that svc makes for the program is not there yet when svc puts variables into a command.
#[test]
fn check_warns_of_variables_that_a_command_would_have_too_soon() {
    let tree = Tree::new();
    let makes = "templates = [{ from = '/etc/passwd', to = '/x', language = 'copy' }]\n\
        secrets = { DB = '/etc/passwd' }\nsecret-variables = ['API']\ncredentials = { key = '/etc/passwd' }\n";
    let cases = [
        ("a", "${SVC_RENDERED:-}/etc/web.conf", Some("SVC_RENDERED")),
        ("b", "${DB:+set}", Some("DB")),
        ("c", "${API-none}", Some("API")),
        ("d", "${CREDENTIALS_DIRECTORY:-}/key", Some("CREDENTIALS_DIRECTORY")),
        ("e", "$${SVC_RENDERED:-} $DB ${DBS:-}", None),
    ];
    for (name, words, _) in cases {
        tree.toml(name, &format!("command = \"sh -c 'echo {words}'\"\n{makes}"));
    }
    let said = check(&tree);
    assert_eq!(said.code, 0, "{said:?}");
    for (name, _, variable) in cases {
        let lines: Vec<&str> = said.out.lines().filter(|line| line.contains(&format!("/{name}/service.toml"))).collect();
        let wanted = variable.map(|variable| {
            format!(
                "/{name}/service.toml:1:1: command: ${{{variable}}} is put in before svc makes {variable} for the service: write \
                 $${{{variable}}} for a shell that is to do it"
            )
        });
        let is_told = |wanted: &String| lines.iter().all(|line| line.starts_with("warning: ") && line.ends_with(wanted));
        assert!(lines.len() == usize::from(wanted.is_some()) && wanted.iter().all(is_told), "{name}: {said:?}");
    }
}

/// As whom something runs decides what it reaches, and whether it has a home. Something else may be mounted over /tmp, where this is.
#[test]
fn check_sees_what_the_user_of_a_service_cannot_reach() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    let place = |name: &str, dir: u32, file: u32| {
        let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
        let path = tree.path(name).join("p");
        std::fs::create_dir(tree.path(name)).expect("ours");
        std::fs::copy("/bin/true", &path).expect("ours");
        std::fs::set_permissions(&path, mode(file)).expect("ours");
        std::fs::set_permissions(tree.path(name), mode(dir)).expect("ours");
        path.display().to_string()
    };
    let [closed, own, listed, open] =
        [("closed", 0o700, 0o755), ("own", 0o755, 0o744), ("listed", 0o750, 0o755), ("open", 0o711, 0o755)]
            .map(|(name, dir, file)| place(name, dir, file));
    let folder = |path: &str| path.trim_end_matches("/p").to_owned();
    let door = |path: &str| {
        let folder = folder(path);
        format!("command: {path}: cannot be reached, because uid {NOBODY} may not search {folder}: chmod a+x {folder}")
    };
    let home = "home: this uid has no account in /etc/passwd, and so no home: add the account, or set HOME as a variable";
    let cases = [
        (format!("command = '{closed}'\nuser = 'nobody'"), "warning", door(&closed)),
        (format!("command = '{closed}'\nuser = '{NOBODY}:{NOBODY}'"), "warning", door(&closed)),
        (
            format!("command = '{own}'\nuser = 'nobody'"),
            "warning",
            format!("command: {own}: is not executable by uid {NOBODY} ("),
        ),
        (format!("command = '{listed}'\nuser = 'nobody'"), "warning", door(&listed)),
        (format!("command = '{listed}'\nuser = 'nobody'\ngroups = ['root']"), "", String::new()),
        (format!("command = '{open}'\nuser = 'nobody'"), "", String::new()),
        (format!("command = '{closed}'\nuser = 'root'"), "", String::new()),
        (format!("command = '{closed}'"), "", String::new()),
        (format!("command = '{open}'\nuser = '4711:4711'\nhome = true"), "error", home.to_owned()),
        (format!("command = '{open}'\nuser = 'nobody'\nhome = true"), "", String::new()),
    ];
    for (at, (text, ..)) in cases.iter().enumerate() {
        tree.toml(&format!("s{at}"), text);
    }
    let said = check(&tree);
    for (at, (text, level, what)) in cases.iter().enumerate() {
        let lines: Vec<&str> = said.out.lines().filter(|line| line.contains(&format!("/s{at}/service.toml:"))).collect();
        match lines[..] {
            [] => assert_eq!(*level, "", "{text}: {said:?}"),
            [line] => assert!(!level.is_empty() && line.starts_with(level) && line.contains(what), "{text}: {line}"),
            _ => panic!("{text}: {lines:?}"),
        }
    }
}

/// /init runs by its first line what has no executable bit.
#[test]
fn check_warns_of_a_run_that_init_runs_all_the_same() {
    let tree = Tree::new();
    let services = tree.root().join("etc/services.d");
    for (name, text) in [("bits", "#!/bin/sh\n"), ("env", "#!/usr/bin/with-contenv sh\n"), ("wrong", "#!/no/such/shell\n")] {
        std::fs::create_dir_all(services.join(name)).expect("ours");
        std::fs::write(services.join(name).join("run"), text).expect("ours");
    }
    let said = Said::by(std::process::Command::new(program()).args(["ctl", "check"]).arg(&services));
    assert!(said.out.contains("warning: ") && said.out.contains("/bits/run: is not executable"), "{said:?}");
    assert!(
        said.out.contains("error: ") && said.out.contains("/wrong/run: needs the interpreter /no/such/shell"),
        "{said:?}"
    );
    assert!(!said.out.contains("needs the interpreter /usr/bin/with-contenv"), "{said:?}");
    assert!(said.code == 1 && said.out.ends_with("3 services, 1 thing that must be cured\n"), "{said:?}");
}

#[test]
fn check_says_that_nobody_knows_whether_one_is_healthy() {
    let tree = Tree::new();
    tree.one_file("a", "command = 'sleep 1000'");
    tree.one_file("checked", "command = 'sleep 1000'\nhealth.exec = 'true'");
    tree.one_file("job", "kind = 'oneshot'\nup = 'true'");
    for (name, on) in [("b", "a"), ("c", "checked"), ("d", "job")] {
        let needs = format!("{{ on = '{on}', until = 'healthy' }}");
        tree.one_file(name, &format!("command = 'sleep 1000'\nneeds = [{needs}]"));
    }
    let said = check(&tree);
    let what = "b waits for a to be healthy, but a has no health check: give it one, or wait for ready";
    let expected = format!(
        "error: {}: {what}\n6 services, 1 thing that must be cured\n",
        tree.services().join("b.toml:2:17").display()
    );
    assert_eq!((said.code, &*said.out), (1, &*expected));
}
