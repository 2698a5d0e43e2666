//! What is executed, as whom, and with what around it.

use svc_testkit::{NOBODY, State, Tree, is_root, until};

use crate::Files;

/// A line each of what this shell command prints when the service runs it.
pub fn seen(keys: &str, shell: &str, lines: usize) -> Vec<String> {
    let mut tree = Tree::new();
    tree.set("FROM_SVC", "a b").set("DEBUG", "1");
    let here = tree.services().join("web").display().to_string();
    let command =
        format!("command = [\"sh\", \"-c\", '''cd {here}; ({shell}) >seen.new 2>&1; mv seen.new seen; exec sleep 1000''']");
    tree.draft("web")
        .file("service.toml", &format!("{command}\n{keys}\n"))
        .file("vars", "# some\n\nFILE=x y=z\nBOTH=file\n");
    tree.place("web");
    std::fs::set_permissions(&here, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("ours");
    tree.start();
    let seen = tree.await_lines("web/seen", lines);
    assert_eq!(tree.stop(), 0);
    seen
}

#[test]
fn a_command_is_words_or_a_line_that_is_split() {
    let mut tree = Tree::new();
    tree.set("WORDS", "a b");
    tree.toml(
        "line",
        r#"command = '''sh -c 'printf "%s\n" "$@" >seen; exec sleep 1000' name "x y" ${WORDS} ${NONE:-d} $${NONE}'''"#,
    );
    tree.start();
    assert_eq!(tree.await_lines("line/seen", 4), ["x y", "a b", "d", "${NONE}"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn the_environment_is_that_of_svc_with_changes() {
    let keys = r#"
        env = { PORT = 80, ON = true, TEXT = "${FROM_SVC} c", BOTH = "env" }
        env-file = ["vars"]
        unset = ["DEBUG"]
        directory = "/"
    "#;
    let lines = seen(
        keys,
        r#"echo "$PORT $ON"; echo "$TEXT"; echo "$FILE $BOTH"; echo "$${DEBUG-none} $FROM_SVC"; echo "$OLDPWD""#,
        5,
    );
    assert_eq!(lines, ["80 true", "a b c", "x y=z env", "none a b", "/"]);
}

#[test]
fn masks_limits_and_niceness_are_set() {
    let keys = r#"
        umask = "027"
        nice = 3
        limits = { nofile = { soft = 100, hard = 200 }, core = 0, fsize = "64MiB", cpu = "2m" }
    "#;
    let shell = "umask; nice; grep -E 'open files|core file|file size|cpu time' /proc/self/limits | tr -s ' '";
    let base: i32 = std::process::Command::new("nice")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok()?.trim().parse().ok())
        .expect("nice prints a number");
    let lines = seen(keys, shell, 6);
    assert_eq!(lines[0], "0027");
    assert_eq!(lines[1], (base + 3).min(19).to_string());
    for limit in [
        "Max cpu time 120 120 seconds",
        "Max file size 67108864 67108864 bytes",
        "Max core file size 0 0 bytes",
        "Max open files 100 200 files",
    ] {
        assert!(lines.iter().any(|line| line.trim() == limit), "{limit} in {lines:?}");
    }
}

#[test]
fn a_user_has_groups_and_a_home() {
    if !is_root() {
        return;
    }
    let account = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let line = account.lines().find(|line| line.starts_with("nobody:")).expect("nobody").to_owned();
    let fields: Vec<&str> = line.split(':').collect();
    let shell = "id -u; id -g; id -G; echo \"$HOME $USER $LOGNAME $SHELL\"";
    let lines = seen("user = \"nobody\"\nhome = true", shell, 4);
    assert_eq!(lines[..2], [fields[2], fields[3]]);
    assert_eq!(lines[3], format!("{} nobody nobody {}", fields[5], fields[6]));
    let lines = seen("user = \"54321:54322\"\ngroups = [2, \"daemon\"]", shell, 4);
    assert_eq!(lines[..2], ["54321", "54322"]);
    assert_eq!(lines[2], "54322 1 2");
    let lines = seen(&format!("user = \"{NOBODY}:{NOBODY}\""), shell, 4);
    assert_eq!(lines[2], NOBODY.to_string(), "no other group is kept");
}

#[test]
fn what_the_kernel_or_the_image_refuses_is_told() {
    let mut tree = Tree::new();
    tree.toml("stranger", "command = 'sleep 1000'\nuser = 'no-such-account'");
    tree.toml("limits", "command = 'sleep 1000'\nlimits = { nofile = { soft = 20, hard = 10 } }");
    tree.toml("program", "command = 'no-such-program'");
    tree.toml("home", "command = 'sleep 1000'\nuser = '54321:54321'\nhome = true");
    tree.toml("file", "command = 'sleep 1000'\nenv-file = 'none'");
    tree.start();
    for words in [
        "svc exec: there is no account no-such-account in /etc/passwd: make it, or give UID:GID",
        "svc exec: cannot set the limit nofile: EINVAL: Invalid argument: the soft limit must not be above the hard one",
        "svc exec: no-such-program: no program of this name is in PATH",
        "svc exec: this uid has no account in /etc/passwd, and so no home",
        "svc exec: none: No such file or directory",
    ] {
        until(&format!("{words} in\n{}", tree.log()), || tree.log().contains(words).then_some(()));
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_service_says_when_it_is_ready() {
    let mut tree = Tree::new();
    tree.toml("web", "command = ['sh', '-c', 'read line <go; echo >&4; exec sleep 1000']\nready.fd = 4");
    tree.toml("edge", "command = 'sleep 1000'\nneeds = ['web']");
    std::process::Command::new("mkfifo").arg(tree.services().join("web/go")).status().expect("mkfifo");
    tree.start();
    tree.await_status("web", "up", |status| status.state == State::Up && status.ready == Some(false));
    assert_eq!(tree.status("edge").map(|status| status.state), Some(State::Down), "{}", tree.log());
    std::fs::write(tree.services().join("web/go"), "\n").expect("written");
    tree.await_status("web", "ready", |status| status.ready == Some(true));
    tree.await_up("edge");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn so_many_deaths_are_remembered() {
    let mut tree = Tree::new();
    tree.toml("web", "command = 'true'\nmax-deaths = 2");
    tree.start();
    tree.await_status("web", "three starts", |status| status.restarts >= 3);
    let detail = tree.detail("web").expect("a detail");
    assert_eq!(detail.deaths.len(), 2);
    assert!(detail.death_count >= 3);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn the_limits_of_a_file_are_those_of_svc_exec() {
    let schema: serde_json::Value = serde_json::from_str(&svc_def::schema()).expect("JSON");
    for name in schema["properties"]["limits"]["properties"].as_object().expect("limits").keys() {
        let arguments = ["exec", "--limit", &format!("{name}=x"), "true"];
        let output = std::process::Command::new(svc_testkit::program()).args(arguments).output().expect("svc runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("a limit is NAME=SOFT[:HARD]"), "{name}: {said}");
    }
}
