//! Secrets and credentials: who gets them, and for how long.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use svc_testkit::{NOBODY, Tree, is_root, until};

use crate::prepared::{file, seen};

#[test]
fn secrets_come_from_files_and_stand_nowhere_else() {
    let mut tree = Tree::new();
    let secret = file(&tree, "db", "s3cret-word\n");
    tree.set("DB_PASSWORD_FILE", &secret).set("FILE__API_KEY", &secret).set("LOG_FILE", &secret);
    let keys = format!(
        "secret-variables = [\"DB_*\", \"API_KEY\"]\nsecrets = {{ TOKEN = \"{secret}\" }}\ncredentials = {{ \"tls.key\" = \"{secret}\" }}\n{}",
        if is_root() { format!("user = \"{NOBODY}:{NOBODY}\"") } else { String::new() }
    );
    let shell = "echo \"$DB_PASSWORD $API_KEY $TOKEN\"; echo \"[$DB_PASSWORD_FILE$FILE__API_KEY] $LOG\"; \
                 cat \"$CREDENTIALS_DIRECTORY/tls.key\"; stat -c \"%a %u\" \"$CREDENTIALS_DIRECTORY/tls.key\"; id -u; \
                 ls \"$CREDENTIALS_DIRECTORY\"; stat -c %a:%u \"$CREDENTIALS_DIRECTORY\"";
    let lines = seen(&mut tree, &keys, shell, 7);
    assert_eq!(lines[..3], ["s3cret-word s3cret-word s3cret-word", "[] ", "s3cret-word"]);
    assert_eq!(lines[3], format!("400 {}", lines[4]));
    assert_eq!(lines[5], "tls.key");
    // Root without CAP_DAC_OVERRIDE must be able to write there, and to take it away.
    assert!(!is_root() || lines[6] == "750:0", "{lines:?}");
    assert!(!tree.log().contains("s3cret-word"), "{}", tree.log());
}

/// Each start makes them; a supervisor that is killed takes nothing along.
#[test]
fn credentials_are_there_as_long_as_the_service_runs() {
    let mut tree = Tree::new();
    let secret = file(&tree, "key", "s3cret\n");
    let command = |rest: &str| {
        format!("command = ['sh', '-c', 'cat $CREDENTIALS_DIRECTORY/key; {rest}']\ncredentials.key = '{secret}'\n")
    };
    tree.toml("web", &command("exec sleep 1000"));
    tree.toml("job", &(command("true") + "restart.when = 'never'"));
    tree.toml("dies", &(command("exit 3") + "restart.limit = 1"));
    tree.start();
    let copy = |name: &str| tree.root().join("run/credentials").join(name).join("key");
    tree.await_up("web");
    until("its copy", || copy("web").exists().then_some(()));
    for name in ["job", "dies"] {
        until(&format!("{name} has ended: {}", tree.log()), || {
            (tree.log().matches("s3cret").count() >= 3 && !copy(name).exists()).then_some(())
        });
    }
    tree.kill_supervisor("web");
    assert!(copy("web").exists());
    tree.ctl_ok(&["restart", "web"]);
    until("its copy again", || copy("web").exists().then_some(()));
    tree.kill_supervisor("web");
    tree.ctl_ok(&["stop", "web"]);
    until("no copy", || (!copy("web").exists()).then_some(()));
    tree.ctl_ok(&["start", "web"]);
    until("its copy once more", || copy("web").exists().then_some(()));
    assert_eq!(tree.stop(), 0);
    assert!(!tree.root().join("run/credentials/web").exists());
}

#[test]
fn relative_names_of_files_begin_at_the_service_directory_wherever_it_runs() {
    let mut tree = Tree::new();
    let keys = "directory = 'sub'\ncredentials.key = './key'\njson = './key'";
    let draft = tree.draft("web");
    draft.file(
        "service.toml",
        &format!("command = 'sh -c \"cat $CREDENTIALS_DIRECTORY/key >seen; exec sleep 1000\"'\n{keys}"),
    );
    draft.file("key", "{}\n");
    std::fs::create_dir(draft.path().join("sub")).expect("ours");
    tree.place("web");
    tree.start();
    assert_eq!(tree.await_lines("web/sub/seen", 1), ["{}"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn credentials_stand_in_the_run_directory_though_the_service_does_not_know_of_it() {
    let mut tree = Tree::new();
    let secret = file(&tree, "key", "s3cret\n");
    let certificate = file(&tree, "own.pem", "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n");
    for (name, hides) in [
        ("allow", "env-allow = ['LANG']"),
        ("deny", "env-deny = ['SVC_*']"),
        ("unset", "unset = ['SVC_RUN_DIR']"),
        ("other", "env.SVC_RUN_DIR = '/tmp'"),
    ] {
        let shell = "echo $CREDENTIALS_DIRECTORY >../said-$0; echo $SSL_CERT_FILE >>../said-$0; exec sleep 1000";
        tree.toml(
            name,
            &format!(
                "command = ['sh', '-c', '{shell}', '{name}']\ncredentials.key = '{secret}'\ncertificates = ['{certificate}']\n{hides}"
            ),
        );
    }
    tree.start();
    for name in ["allow", "deny", "unset", "other"] {
        let lines = tree.await_lines(&format!("said-{name}"), 2);
        let copy = tree.run_dir().join("credentials").join(name);
        assert_eq!(lines[0], copy.to_string_lossy(), "{name}");
        assert!(lines[1].starts_with(&*tree.run_dir().to_string_lossy()), "{name}: {lines:?}");
        tree.ctl_ok(&["stop", name]);
        assert!(!copy.exists(), "{name}");
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn credentials_that_the_service_could_not_read_keep_it_from_starting_with_the_cure() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let secret = file(&tree, "key", "s3cret\n");
    std::fs::set_permissions(tree.run_dir(), std::fs::Permissions::from_mode(0o700)).expect("ours");
    let jail = tree.path("jail");
    std::fs::create_dir(&jail).expect("ours");
    let keys = format!("command = 'sleep 1000'\nstart = false\ncredentials.key = '{secret}'\n");
    tree.toml("other", &format!("{keys}user = '{NOBODY}:{NOBODY}'"));
    tree.toml("jailed", &format!("{keys}chroot = '{}'", jail.display()));
    tree.toml("root", &keys);
    let said = tree.say(&["check", &tree.services().to_string_lossy()]);
    let hint = "credentials: stand in the run directory, where a service with chroot does not come to";
    assert!(said.code == 1 && said.out.contains(hint), "{said:?}");
    tree.start();
    let closed = format!("its user must come through {0}: chmod a+x {0}", tree.run_dir().display());
    for (name, cure) in [("other", closed), ("jailed", format!("is not in {}, its root: ", jail.display()))] {
        let said = tree.say(&["start", name]);
        assert!(said.code == 1 && said.err.contains("could not be started: "), "{said:?}");
        // What its process says of itself may come later than its end.
        tree.await_status(name, &cure, |status| status.problem.as_ref().is_some_and(|problem| problem.contains(&cure)));
    }
    tree.ctl_ok(&["start", "root"]);
    std::fs::set_permissions(tree.run_dir(), std::fs::Permissions::from_mode(0o711)).expect("ours");
    tree.ctl_ok(&["start", "other"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_down_has_the_secrets_and_credentials_that_its_up_had() {
    let mut tree = Tree::new();
    let secret = file(&tree, "key", "s3cret");
    let words =
        |word: &str| format!("{word} = ['sh', '-c', 'echo {word} $S $(cat $CREDENTIALS_DIRECTORY/key) >>../said']\n");
    let keys = format!("secrets.S = '{secret}'\ncredentials.key = '{secret}'\n");
    tree.toml("disk", &("kind = 'oneshot'\n".to_owned() + &words("up") + &words("down") + &keys));
    tree.start();
    tree.ctl_ok(&["wait", "--up", "disk"]);
    let copy = tree.root().join("run/credentials/disk");
    assert!(!copy.exists(), "nothing of it runs");
    tree.ctl_ok(&["stop", "disk"]);
    let said = std::fs::read_to_string(tree.services().join("said")).expect("both have run");
    assert_eq!((said.as_str(), copy.exists()), ("up s3cret s3cret\ndown s3cret s3cret\n", false));
    assert_eq!(tree.stop(), 0);
}

/// `docker run --cap-drop ALL --cap-add CHOWN --cap-add SETUID --cap-add SETGID`.
#[test]
fn root_with_few_capabilities_hands_over_credentials() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    let secret = file(&tree, "key", "s3cret\n");
    let few = "-all,+chown,+setuid,+setgid";
    let script = "cat $CREDENTIALS_DIRECTORY/key; stat -c %a:%u $CREDENTIALS_DIRECTORY/key";
    for _ in 0..2 {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", few, "--inh-caps", few, "--"]).arg(svc_testkit::program());
        command.args(["exec", "--user", &format!("{NOBODY}:{NOBODY}"), "--credential", &format!("key={secret}")]);
        command.args(["sh", "-c", script]).env("SVC_RUN_DIR", tree.root());
        let said = svc_testkit::Said::by(&mut command);
        assert_eq!((said.code, said.out), (0, format!("s3cret\n400:{NOBODY}\n")), "{}", said.err);
    }
}
