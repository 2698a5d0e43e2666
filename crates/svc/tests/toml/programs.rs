//! What is executed, as whom, and with what around it.

use svc_testkit::{NOBODY, Said, State, Tree, is_root, until};

use crate::prepared;

/// A line each of what this shell command prints when the service runs it.
pub fn seen(keys: &str, shell: &str, lines: usize) -> Vec<String> {
    let mut tree = Tree::new();
    tree.set("FROM_SVC", "a b").set("DEBUG", "1").set("OVER", "svc");
    tree.draft("web").file("vars", "# some\n\nFILE=x y=z\nBOTH=file\nOVER=file\n");
    prepared::seen(&mut tree, keys, shell, lines)
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
        env-file = ["vars", "/dev/null"]
        unset = ["DEBUG"]
        directory = "/"
    "#;
    let lines = seen(
        keys,
        r#"echo "$PORT $ON"; echo "$TEXT"; echo "$FILE $BOTH $OVER"; echo "$${DEBUG-none} $FROM_SVC"; echo "$OLDPWD""#,
        5,
    );
    assert_eq!(lines, ["80 true", "a b c", "x y=z env file", "none a b", "/"]);
}

#[test]
fn masks_limits_and_niceness_are_set() {
    let keys = r#"
        umask = "027"
        nice = 3
        limits = { nofile = { soft = 100, hard = 200 }, core = 0, fsize = "64MiB", cpu = "2m" }
    "#;
    let shell = "umask; nice; grep -E 'open files|core file|file size|cpu time' /proc/self/limits | tr -s ' '";
    let base: i32 = Said::by(&mut std::process::Command::new("nice")).out.trim().parse().expect("nice prints a number");
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
fn each_limit_is_that_of_the_kernel() {
    let keys = r#"
        limits = { as = "256MiB", core = "1MiB", cpu = "1h", data = "64MiB", fsize = "1GiB", locks = 77, memlock = "8KiB", msgqueue = "4KiB",
                   nofile = 99, nproc = 4000, rss = "128MiB", rttime = "50ms", sigpending = 500, stack = { soft = "1MiB", hard = "2MiB" } }
    "#;
    let lines = seen(keys, "grep -v Limit /proc/self/limits | tr -s ' '", 16);
    for limit in [
        "Max address space 268435456 268435456 bytes",
        "Max core file size 1048576 1048576 bytes",
        "Max cpu time 3600 3600 seconds",
        "Max data size 67108864 67108864 bytes",
        "Max file size 1073741824 1073741824 bytes",
        "Max file locks 77 77 locks",
        "Max locked memory 8192 8192 bytes",
        "Max msgqueue size 4096 4096 bytes",
        "Max open files 99 99 files",
        "Max processes 4000 4000 processes",
        "Max resident set 134217728 134217728 bytes",
        "Max realtime timeout 50000 50000 us",
        "Max pending signals 500 500 signals",
        "Max stack size 1048576 2097152 bytes",
    ] {
        assert!(lines.iter().any(|line| line.trim() == limit), "{limit} in {lines:?}");
    }
}

/// These go up only, which not every root may: where it may not, that is told.
#[test]
fn the_limits_of_priorities_are_set_or_refused_with_a_cure() {
    const SYS_RESOURCE: u64 = 1 << 24;
    if crate::rights::set(std::process::id() as i32, "CapEff") & SYS_RESOURCE != 0 {
        let keys = "limits = { nice = 30, rtprio = { soft = 10, hard = 20 } }";
        let lines = seen(keys, "grep priority /proc/self/limits | tr -s ' '", 2);
        let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
        assert_eq!(lines, ["Max nice priority 30 30", "Max realtime priority 10 20"]);
        return;
    }
    let mut tree = Tree::new();
    for name in ["nice", "rtprio"] {
        tree.toml(name, &format!("command = 'sleep 1000'\nlimits.{name} = 30"));
    }
    tree.start();
    for name in ["nice", "rtprio"] {
        crate::rights::why_says(&tree, name, &format!("cannot set the limit {name}: "));
        crate::rights::why_says(&tree, name, &format!("docker run --ulimit {name}=..., or --cap-add SYS_RESOURCE"));
    }
    assert_eq!(tree.stop(), 0);
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
    let lines = seen("user = \"nobody\"", shell, 4);
    assert_eq!(lines[..2], [fields[2], fields[3]]);
    assert_eq!(lines[3], format!("{} nobody nobody {}", fields[5], fields[6]));
    let named = lines[3].clone();
    let elsewhere = "user = \"nobody\"\nenv = { HOME = \"/elsewhere\", USER = \"x\" }";
    let own = named.replacen(fields[5], "/elsewhere", 1).replacen(" nobody", " x", 1);
    assert_eq!(seen(elsewhere, shell, 4)[3], own, "what it says itself wins, and the rest is of the account");
    let out = format!("{} ", std::env::var("HOME").unwrap_or_default());
    assert!(seen("user = \"nobody\"\nhome = false", shell, 4)[3].starts_with(&out), "nothing is changed");
    assert!(seen(&format!("user = \"{NOBODY}:{NOBODY}\""), shell, 4)[3].starts_with(&out), "numbers are no account");
    let lines = seen("user = \"54321:54322\"\ngroups = [2, \"daemon\"]", shell, 4);
    assert_eq!(lines[..2], ["54321", "54322"]);
    assert_eq!(lines[2], "54322 1 2");
    let lines = seen(&format!("user = \"{NOBODY}:{NOBODY}\""), shell, 4);
    assert_eq!(lines[2], NOBODY.to_string(), "no other group is kept");
    let all = std::fs::read_to_string("/etc/group").expect("/etc/group");
    let member = all.lines().find_map(|line| {
        let (front, members) = line.rsplit_once(':')?;
        Some((front.split(':').nth(2)?, members.split(',').find(|name| !name.is_empty())?))
    });
    if !svc_testkit::needs("somebody in /etc/group who is in a group", member.is_some()) {
        return;
    }
    let (gid, member) = member.expect("looked at");
    let has = |keys: &str| seen(keys, shell, 4)[2].split(' ').any(|group| group == gid);
    let user = format!("user = \"{member}:daemon\"");
    assert!(has(&user), "the other groups of an account come with it, whatever its own is");
    assert!(!has(&format!("{user}\ngroups = []")), "those that are named take their place");
}

#[test]
fn what_the_kernel_or_the_image_refuses_is_told() {
    let mut tree = Tree::new();
    tree.toml("stranger", "command = 'sleep 1000'\nuser = 'no-such-account'");
    tree.toml("program", "command = 'no-such-program'");
    tree.toml("home", "command = 'sleep 1000'\nuser = '54321:54321'\nhome = true");
    tree.toml("file", "command = 'sleep 1000'\nenv-file = 'none'");
    tree.start();
    for words in [
        "svc exec: stranger: there is no account no-such-account in /etc/passwd: make it, or give UID:GID",
        "svc exec: program: no-such-program: no program of this name is in PATH",
        "svc exec: home: this uid has no account in /etc/passwd, and so no home",
        "services/file/none: No such file or directory (os error 2): put it there, or correct the name",
    ] {
        until(&format!("{words} in\n{}", tree.log()), || tree.log().contains(words).then_some(()));
    }
    let cause = "/stranger/service.toml: its program was not executed (exit code 111): there is no account no-such-account";
    for verb in ["status", "why"] {
        until(&format!("{cause} in {verb}"), || tree.ctl_ok(&[verb, "stranger"]).contains(cause).then_some(()));
    }
    assert!(!tree.ctl_ok(&["why", "stranger"]).contains("(svc-ctl why)"), "it is asked already");
    assert_eq!(tree.stop(), 0);
}

/// The kernel's answer is EACCES, and the mode of a program that is not there was to be looked at.
#[test]
fn a_program_that_is_nowhere_is_not_said_to_lack_a_mode_because_path_has_a_closed_directory() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let (closed, open) = (tree.path("closed"), tree.path("open"));
    for dir in [&closed, &open] {
        std::fs::create_dir(dir).expect("ours");
    }
    std::fs::write(open.join("there"), "").expect("ours");
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("ours");
    let path = format!("{}:{}", closed.display(), open.display());
    for (name, program) in [("nowhere", "absent"), ("mode", "there")] {
        tree.toml(name, &format!("command = '{program}'\nuser = 'nobody'\nenv.PATH = '{path}'"));
    }
    tree.start();
    let (who, shut) = (format!("uid {NOBODY}"), closed.display());
    for words in [
        &format!(
            "absent: no program of this name is in PATH, as far as {who} may search it (not {shut}): install it, or give"
        ),
        "there: no program of this name in PATH may be executed: see the mode of the one that is meant",
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
    svc_testkit::fifo(tree.services().join("web/go"));
    tree.start();
    tree.await_status("web", "up", |status| status.state == State::Up && status.ready == Some(false));
    assert_eq!(tree.status("edge").map(|status| status.state), Some(State::Waiting), "{}", tree.log());
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
        let said = Said::by(std::process::Command::new(svc_testkit::program()).args(arguments)).err;
        assert!(said.contains("a limit is NAME=SOFT[:HARD]"), "{name}: {said}");
    }
}
