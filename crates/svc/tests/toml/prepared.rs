//! What is made ready before a command starts: variables, secrets, files of templates, volumes, certificates.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

use svc_testkit::{NOBODY, Said, Tree, is_root, until};

/// A service that prints what it sees, a line each, into a file of its directory.
pub fn seen(tree: &mut Tree, keys: &str, shell: &str, lines: usize) -> Vec<String> {
    let here = tree.services().join("web").display().to_string();
    let command =
        format!("command = [\"sh\", \"-c\", '''cd {here}; ({shell}) >seen.new 2>&1; mv seen.new seen; exec sleep 1000''']");
    tree.toml("web", &format!("{command}\n{keys}\n"));
    fs::set_permissions(&here, fs::Permissions::from_mode(0o777)).expect("ours");
    tree.start();
    let seen = tree.await_lines("web/seen", lines);
    assert_eq!(tree.stop(), 0);
    seen
}

/// A file beside the services.
pub fn file(tree: &Tree, name: &str, content: &str) -> String {
    let path = tree.root().join(name);
    fs::create_dir_all(path.parent().expect("a directory")).expect("ours");
    fs::write(&path, content).expect("ours");
    path.display().to_string()
}

#[test]
fn who_gets_which_variables() {
    let mut tree = Tree::new();
    for (name, value) in [("WEB_PORT", "80"), ("WEB_KEY", "k"), ("AWS_KEY", "a"), ("OTHER", "o"), ("WEB_GONE", "g")] {
        tree.set(name, value);
    }
    let dir = tree.root().join("env").display().to_string();
    file(&tree, "env/FROM_DIR", "d\n\n");
    file(&tree, "env/WEB_GONE", "");
    let keys = format!("env-allow = [\"WEB_*\", \"AWS_*\"]\nenv-deny = \"*_KEY\"\nenv-dir = \"{dir}\"\nenv.ADDED = \"x\"");
    let shell = "echo \"$WEB_PORT [$WEB_KEY$AWS_KEY$OTHER$WEB_GONE]\"; printf \"%s|\\n\" \"$FROM_DIR\"; echo $ADDED";
    assert_eq!(seen(&mut tree, &keys, shell, 4), ["80 []", "d", "|", "x"]);
    let mut tree = Tree::new();
    tree.set("OTHER", "o");
    let shell = "echo \"[$OTHER$HOME] $ADDED\"; case $PATH in */*) echo path;; esac";
    let none = seen(&mut tree, "env-allow = []\nenv.ADDED = \"x\"", shell, 2);
    assert_eq!(none, ["[] x", "path"], "none of them");
}

#[test]
fn a_file_of_variables_may_be_one_for_a_shell() {
    let mut tree = Tree::new();
    let env = file(&tree, ".env", "# some\nexport A=1\nB=\"x y\"\nC='z'\nD=it's \"so\"\nE=\"\nF=$HOME\n");
    let shell = "for name in A B C D E F; do eval \"printf '%s\\n' \\\"\\$$name\\\"\"; done";
    assert_eq!(seen(&mut tree, &format!("env-file = '{env}'"), shell, 6), ["1", "x y", "z", "it's \"so\"", "\"", "$HOME"]);
}

#[test]
fn a_link_beats_the_variable_also_where_few_are_allowed() {
    let mut tree = Tree::new();
    tree.set("MYSQL_HOST", "db.example").set("MYSQL_NAME", "/web/mysql").set("REDIS_HOST", "cache.example");
    let keys = "links = [\"mysql\", \"redis\", \"smtp\"]\nenv-allow = \"NOTHING\"";
    assert_eq!(
        seen(&mut tree, keys, "echo $MYSQL_HOST; echo $REDIS_HOST; echo \"[$SMTP_HOST]\"", 3),
        ["mysql", "cache.example", "[]"]
    );
}

#[test]
fn who_has_nothing_to_render_is_told_so() {
    let mut tree = Tree::new();
    tree.toml("web", "command = 'sleep 1000'");
    tree.start();
    tree.await_up("web");
    assert_eq!(tree.ctl_ok(&["render", "web"]), "web: has no templates and no distributions\n");
    assert_eq!(tree.ctl_ok(&["render"]), "");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn templates_are_rendered_when_something_changes() {
    let mut tree = Tree::new();
    tree.set("PORT", "80").set("HOSTS", "a b");
    let plain = tree.root().join("web.conf");
    let rich = tree.root().join("hosts.conf");
    file(&tree, "hosts.j2", "{% for host in HOSTS | split(\" \") %}\nserver {{ host }};\n{% endfor %}\n");
    fs::write(&plain, "old").expect("ours");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o604)).expect("ours");
    let keys = format!(
        "templates = [{{ from = \"web.tmpl\", to = \"{0}\" }}, {{ from = \"{1}/hosts.j2\", to = \"{2}\", mode = \"0640\" }}]\nenv.NAME = \"web\"",
        plain.display(),
        tree.root().display(),
        rich.display()
    );
    tree.draft("web")
        .file("service.toml", &format!("command = 'sleep 1000'\n{keys}"))
        .file("web.tmpl", "${NAME}: ${PORT}\n");
    tree.place("web");
    tree.start();
    tree.ctl_ok(&["wait", "--up", "web"]);
    let text = |path: &std::path::Path| fs::read_to_string(path).unwrap_or_default();
    until("both files", || (text(&plain) == "web: 80\n" && text(&rich) == "server a;\nserver b;\n").then_some(()));
    assert_eq!(fs::metadata(&plain).expect("there").mode() & 0o777, 0o604, "the mode that it had");
    assert_eq!(fs::metadata(&rich).expect("there").mode() & 0o777, 0o640);
    let written = fs::metadata(&plain).expect("there").ino();
    tree.ctl_ok(&["restart", "web"]);
    assert_eq!(fs::metadata(&plain).expect("there").ino(), written, "what would not change is not written");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn the_language_of_a_template_may_be_said() {
    let mut tree = Tree::new();
    tree.set("PORT", "80");
    let (plain, rich) = (tree.root().join("plain"), tree.root().join("rich"));
    let template = |from: &str, to: &std::path::Path, language: &str| {
        format!("{{ from = '{from}', to = '{}', language = '{language}' }}", to.display())
    };
    let templates = [template("t.j2", &plain, "variables"), template("t.conf", &rich, "jinja")].join(", ");
    let text = "{{ PORT }} ${PORT}\n";
    tree.draft("web").file("service.toml", &format!("command = 'sleep 1000'\ntemplates = [{templates}]"));
    tree.draft("web").file("t.j2", text).file("t.conf", text);
    tree.place("web");
    tree.start();
    until("both files", || (plain.exists() && rich.exists()).then_some(()));
    let read = |path: &std::path::Path| fs::read_to_string(path).expect("made whole");
    assert_eq!((read(&plain), read(&rich)), ("{{ PORT }} 80\n".into(), "80 ${PORT}\n".into()));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_missing_variable_is_named_with_its_file_and_line() {
    let mut tree = Tree::new();
    let to = tree.root().join("out").display().to_string();
    let keys = format!("command = 'sleep 1000'\ntemplates = [{{ from = \"t\", to = \"{to}\" }}]");
    tree.draft("web").file("service.toml", &keys).file("t", "a\n${DB_HOST:?the database} ${NONE}\n");
    tree.place("web");
    tree.start();
    for words in ["t:2: DB_HOST is not set: the database", "t:2: NONE is not set: set it, or write ${NONE:-TEXT}"] {
        until(words, || tree.log().contains(words).then_some(()));
    }
    assert!(!std::path::Path::new(&to).exists());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn mounted_files_are_left_alone_where_somebody_says_so() {
    let mut tree = Tree::new();
    tree.set("SVC_SKIP_RENDER", "db,web");
    let to = file(&tree, "out", "mounted");
    let keys = format!("command = 'sleep 1000'\ntemplates = [{{ from = \"t\", to = \"{to}\" }}]");
    tree.draft("web").file("service.toml", &keys).file("t", "${NONE}");
    tree.place("web");
    tree.start();
    until("a line", || tree.log().contains("as SVC_SKIP_RENDER says").then_some(()));
    tree.ctl_ok(&["wait", "--up", "web"]);
    assert_eq!(fs::read_to_string(&to).expect("there"), "mounted");
    let mut diff = Command::new(svc_testkit::program());
    diff.args(["svc-ctl", "render", "--diff"]).env("SVC_RUN_DIR", tree.run_dir()).env("SVC_SKIP_RENDER", "web");
    let said = Said::by(&mut diff);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "what is left alone would not change: {said:?}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn templates_are_made_all_or_none() {
    let mut tree = Tree::new();
    let (one, two) = (tree.root().join("one"), tree.root().join("two"));
    let templates = format!(
        "templates = [{{ from = \"a\", to = \"{}\" }}, {{ from = \"b\", to = \"{}\" }}, {{ from = \"c\", to = \"/never\" }}]",
        one.display(),
        two.display()
    );
    let draft = tree.draft("web");
    draft.file("service.toml", &format!("command = 'sleep 1000'\n{templates}"));
    draft.file("a", "right\n").file("b", "${NONE}\n").file("c", "${PORT\n");
    tree.place("web");
    tree.start();
    for words in ["b:1: NONE is not set", "c:1: "] {
        until(words, || tree.log().contains(words).then_some(()));
    }
    assert!(!one.exists() && !two.exists());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_file_with_a_secret_is_for_its_user_alone_and_no_diff_shows_it() {
    let mut tree = Tree::new();
    let secret = file(&tree, "token", "s3cret-word\n");
    let (new, old) = (tree.root().join("new"), file(&tree, "old", "password=old-word\n"));
    fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).expect("ours");
    fs::set_permissions(tree.root(), fs::Permissions::from_mode(0o755)).expect("ours");
    let user = if is_root() { format!("user = \"{NOBODY}:{NOBODY}\"") } else { String::new() };
    let templates = format!(
        "templates = [{{ from = \"t\", to = \"{0}\" }}, {{ from = \"t\", to = \"{old}\" }}, {{ from = \"u\", to = \"{0}.plain\" }}]",
        new.display()
    );
    let keys = format!("command = 'sleep 1000'\nsecrets = {{ TOKEN = \"{secret}\" }}\n{user}\n{templates}");
    tree.draft("web").file("service.toml", &keys).file("t", "password=${TOKEN}\n").file("u", "plain\n");
    tree.place("web");
    tree.start();
    tree.ctl_ok(&["wait", "--up", "web"]);
    // They are made in the process that becomes the program; this one comes last.
    until("the files", || std::path::Path::new(&format!("{}.plain", new.display())).exists().then_some(()));
    let looks = |path: &str| fs::metadata(path).map(|data| (data.mode() & 0o777, data.uid())).expect("there");
    let (path, me) = (new.display().to_string(), fs::metadata(&secret).expect("there").uid());
    assert_eq!(looks(&path), (0o640, if is_root() { NOBODY } else { me }));
    assert_eq!(looks(&format!("{path}.plain")), (0o644, me), "as its template");
    assert_eq!(looks(&old), (0o644, me), "what was there keeps its mode");
    let warned = format!("{old}: has a secret in it, and everybody may read it");
    until(&warned, || tree.log().contains(&warned).then_some(()));
    for changed in ["password=older-word\n", ""] {
        fs::write(&new, changed).expect("ours");
        let diff = tree.ctl_ok(&["render", "--diff"]);
        assert!(diff.contains("+(a secret)\n") && !diff.contains("-word"), "{diff}");
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn no_diff_shows_what_a_template_makes_of_a_secret() {
    let mut tree = Tree::new();
    let secret = file(&tree, "token", "s3cret\n");
    let (to, pin) = (tree.root().join("out"), tree.root().join("pin"));
    let keys = format!(
        "command = 'sleep 1000'\nsecrets = {{ TOKEN = \"{secret}\", PIN = \"{}\" }}\n\
         templates = [{{ from = \"t.j2\", to = \"{}\" }}, {{ from = \"pin.j2\", to = \"{}\" }}]",
        file(&tree, "number", "7\n"),
        to.display(),
        pin.display()
    );
    let draft = tree.draft("web");
    draft
        .file("service.toml", &keys)
        .file("t.j2", "a={{ TOKEN | upper }}\nport=80\n")
        .file("pin.j2", "pin={{ PIN | int + 70 }}\n");
    tree.place("web");
    tree.start();
    until("the files", || pin.exists().then_some(()));
    let mode = |path: &std::path::Path| fs::metadata(path).expect("there").mode() & 0o777;
    assert_eq!((mode(&to), mode(&pin)), (0o640, 0o640), "a secret is in both, also where none can be made without it");
    fs::write(&secret, "an0ther\n").expect("ours");
    fs::write(tree.services().join("web/t.j2"), "a={{ TOKEN | upper }}\nport=81\n").expect("ours");
    let diff = tree.ctl_ok(&["render", "--diff"]);
    assert!(diff.contains("+(a secret)\n+port=81\n"), "{diff}");
    // A line that is no more has an older one.
    fs::write(tree.services().join("web/t.j2"), "port=80\n").expect("ours");
    fs::write(tree.services().join("web/pin.j2"), "none\n").expect("ours");
    let later = tree.ctl_ok(&["render", "--diff"]);
    for shown in ["S3CRET", "AN0THER", "77"] {
        assert!(!diff.contains(shown) && !later.contains(shown), "{diff}{later}");
    }
    assert!(later.contains("-(a secret)\n") && later.contains("+none\n"), "{later}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_file_is_made_where_its_link_leads_also_if_nothing_is_there_yet() {
    let mut tree = Tree::new();
    let (link, end) = (tree.root().join("link.conf"), tree.root().join("place/end.conf"));
    fs::create_dir(tree.root().join("place")).expect("ours");
    std::os::unix::fs::symlink("middle.conf", &link).expect("ours");
    std::os::unix::fs::symlink("place/end.conf", tree.root().join("middle.conf")).expect("ours");
    let keys = format!("command = 'sleep 1000'\ntemplates = [{{ from = \"t\", to = \"{}\" }}]", link.display());
    tree.draft("web").file("service.toml", &keys).file("t", "one\n");
    tree.place("web");
    tree.start();
    until("the file", || (fs::read_to_string(&end).ok()? == "one\n").then_some(()));
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    // Looking changes nothing, not even the time of a directory.
    let changed = || fs::metadata(tree.root().join("place")).expect("there").mtime_nsec();
    let before = changed();
    fs::write(tree.services().join("web/t"), "two\n").expect("ours");
    assert!(tree.ctl_ok(&["render", "--diff"]).contains("+two\n"));
    assert_eq!(changed(), before);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_link_of_somebody_else_is_not_followed() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let (link, victim) = (tree.root().join("data/conf"), file(&tree, "victim", "mine\n"));
    fs::create_dir(tree.root().join("data")).expect("ours");
    std::os::unix::fs::symlink(&victim, &link).expect("ours");
    std::os::unix::fs::lchown(&link, Some(NOBODY), Some(NOBODY)).expect("root");
    let keys = format!("command = 'sleep 1000'\ntemplates = [{{ from = \"t\", to = \"{}\" }}]", link.display());
    tree.draft("web").file("service.toml", &keys).file("t", "theirs\n");
    tree.place("web");
    tree.start();
    let words = format!("{}: is a link of uid {NOBODY}, which is not followed", link.display());
    until(&words, || tree.log().contains(&words).then_some(()));
    assert_eq!(fs::read_to_string(&victim).expect("there"), "mine\n");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_is_copied_may_be_any_bytes() {
    let mut tree = Tree::new();
    let (from, to) = (tree.root().join("key.p12"), tree.root().join("copy.p12"));
    let bytes = b"\x30\x82\xff\0${NONE}";
    fs::write(&from, bytes).expect("ours");
    let keys = format!(
        "command = 'sleep 1000'\ntemplates = [{{ from = \"{}\", to = \"{}\", language = \"copy\", mode = \"0400\" }}]",
        from.display(),
        to.display()
    );
    tree.toml("web", &keys);
    tree.start();
    until("the file", || (fs::read(&to).ok()? == bytes).then_some(()));
    fs::write(&from, "PRIVATE KEY").expect("ours");
    let diff = tree.ctl_ok(&["render", "--diff"]);
    assert!(diff.contains("+(a secret)") && !diff.contains("PRIVATE"), "{diff}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn values_of_variables_stand_in_no_list_of_processes() {
    let mut tree = Tree::new();
    tree.set("TOKEN", "hush");
    tree.toml("setup", "kind = 'oneshot'\nmarker = '../marker'\nenv.TOKEN = '${TOKEN}'\nup = 'sleep 1000'");
    tree.start();
    until("its program", || tree.find_process("sleep 1000"));
    let shown = tree.ctl_ok(&["tree"]);
    assert!(shown.contains(" --once ../marker --env TOKEN=... -- sleep 1000"), "{shown}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn volumes_belong_to_the_user_under_other_numbers() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    tree.set("PUID", "4711");
    file(&tree, "data/deep/file", "x");
    let (data, right) = (tree.root().join("data"), tree.root().join("data/deep/right"));
    fs::write(&right, "y").expect("ours");
    chown(&right, Some(4711), Some(4712)).expect("root");
    let keys = format!(
        "user = \"nobody\"\nuid = \"${{PUID:-1000}}\"\ngid = 4712\nhome = true\nvolumes = [{{ path = \"{}\", mode = \"0640\" }}]",
        data.display()
    );
    let lines = seen(&mut tree, &keys, "id -u; id -g; echo $USER", 3);
    assert_eq!(lines, ["4711", "4712", "nobody"]);
    for (path, mode) in [(data.join("deep/file"), 0o640), (data.join("deep"), 0o750), (right.clone(), 0o640)] {
        let metadata = fs::metadata(&path).expect("there");
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (4711, 4712, mode), "{}", path.display());
    }
    until("a word about it", || tree.log().contains("changed the owner of 3 and the mode of").then_some(()));
}

#[test]
fn certificates_are_added_to_a_bundle_of_its_own() {
    let mut tree = Tree::new();
    let one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    file(&tree, "certs/a.pem", one);
    file(&tree, "certs/b.crt", one);
    // What stands around one may be in any encoding.
    fs::write(tree.root().join("certs/c.cer"), [b"# caf\xe9\n", one.as_bytes()].concat()).expect("ours");
    file(&tree, "certs/README", "no certificate");
    let keys = format!("certificates = \"{}\"", tree.root().join("certs").display());
    let lines = seen(
        &mut tree,
        &keys,
        "grep -cx AAAA \"$SSL_CERT_FILE\"; [ \"$SSL_CERT_FILE\" = \"$CURL_CA_BUNDLE\" ] && echo same",
        2,
    );
    assert_eq!(lines, ["1", "same"]);
}

#[test]
fn certificates_begin_with_the_bundle_that_is_named_already() {
    let mut tree = Tree::new();
    let one = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
    let added = file(&tree, "added.pem", &one("AAAA"));
    let own = file(&tree, "own.pem", &one("BBBB"));
    let node = file(&tree, "node.pem", &one("CCCC"));
    let keys = format!(
        "certificates = \"{added}\"\nenv = {{ SSL_CERT_FILE = \"{own}\", NODE_EXTRA_CA_CERTS = \"{node}\", GIT_SSL_CAINFO = \"\", CURL_CA_BUNDLE = \"\", REQUESTS_CA_BUNDLE = \"\" }}"
    );
    let lines = seen(
        &mut tree,
        &keys,
        "grep -x '....' \"$SSL_CERT_FILE\"; [ \"$SSL_CERT_FILE\" = \"$NODE_EXTRA_CA_CERTS\" ] && echo same",
        4,
    );
    assert_eq!(lines, ["BBBB", "CCCC", "AAAA", "same"]);
}

#[test]
fn what_cannot_be_made_ready_is_told() {
    let mut tree = Tree::new();
    let bad = file(&tree, "bad.pem", "x");
    let nothing = tree.root().join("nothing").display().to_string();
    let here = tree.root().display().to_string();
    let pipe = tree.root().join("pipe").display().to_string();
    svc_testkit::fifo(&pipe);
    let der = tree.root().join("der.crt").display().to_string();
    fs::write(&der, b"\x30\x82\xff").expect("ours");
    for (name, key) in [
        ("secret", format!("secrets = {{ A = \"{nothing}\" }}")),
        ("volume", format!("volumes = [{{ path = \"{nothing}\", mode = \"0640\" }}]")),
        ("certificate", format!("certificates = \"{bad}\"")),
        ("template", format!("templates = [{{ from = \"{nothing}\", to = \"/x\" }}]")),
        ("directory", format!("templates = [{{ from = \"{bad}\", to = \"{here}\" }}]")),
        ("pipe", format!("templates = [{{ from = \"{pipe}\", to = \"{nothing}\" }}]")),
        ("bytes", format!("templates = [{{ from = \"{der}\", to = \"{nothing}\" }}]")),
        ("der", format!("certificates = \"{der}\"")),
        ("bundle", format!("certificates = \"{der}\"\nenv.SSL_CERT_FILE = \"{nothing}\"")),
        ("variables", "env-file = \"none.env\"".to_owned()),
    ] {
        tree.toml(name, &format!("command = 'sleep 1000'\n{key}"));
    }
    tree.start();
    for words in [
        format!("cannot read the secret {nothing}: No such file or directory (os error 2): mount the secret there"),
        format!("{nothing}: No such file or directory (os error 2): there is nothing: mount the volume"),
        format!("{bad}: has no certificate in PEM form"),
        format!(
            "svc exec: bundle: {nothing}: No such file or directory (os error 2): put it there, or correct the name (SSL_CERT_FILE names it)"
        ),
        format!("svc exec: template: {nothing}: No such file or directory (os error 2): put it there, or correct the name"),
        format!("{here}: is there, and is no file: name the file that is to be made"),
        format!("{pipe}: is a pipe or a device, and must be a file"),
        format!("{der}: is not UTF-8: language = \"copy\" takes it as it is"),
        format!("{der}: has no certificate in PEM form"),
        "/variables/none.env: No such file or directory (os error 2): put it there, or correct the name".to_owned(),
    ] {
        until(&format!("{words} in\n{}", tree.log()), || tree.log().contains(&words).then_some(()));
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_has_a_marker_is_done_once() {
    let mut tree = Tree::new();
    let up = "up = [\"sh\", \"-c\", \"echo did >>../did; [ -e ../good ]\"]";
    tree.toml("setup", &format!("kind = 'oneshot'\nmarker = \"../marker\"\n{up}\ndown = \"true\""));
    tree.start();
    until("a failure", || (tree.lines("did").len() == 1 && tree.status("setup")?.last_exit.is_some()).then_some(()));
    let marker = tree.services().join("marker");
    assert!(!marker.exists(), "it has failed");
    fs::write(tree.services().join("good"), "").expect("ours");
    tree.ctl_ok(&["start", "setup"]);
    assert!(marker.exists());
    assert_eq!(tree.lines("did").len(), 2);
    tree.ctl_ok(&["stop", "setup"]);
    tree.ctl_ok(&["start", "setup"]);
    assert_eq!(tree.lines("did").len(), 2, "done before");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_could_not_be_marked_is_not_done() {
    let mut tree = Tree::new();
    tree.toml("setup", "kind = 'oneshot'\nmarker = '../none/marker'\nup = ['sh', '-c', 'echo did >>../did']");
    tree.start();
    until("a line", || tree.log().contains("/none: is no directory, so ").then_some(()));
    assert!(tree.lines("did").is_empty(), "{}", tree.log());
    // A directory is no mark of anything.
    tree.toml("wrong", "kind = 'oneshot'\nmarker = '..'\nup = ['sh', '-c', 'echo did >>../did']");
    until("a line", || tree.log().contains(": is a directory: name a file in it as the marker").then_some(()));
    fs::create_dir(tree.services().join("none")).expect("ours");
    tree.ctl_ok(&["start", "setup"]);
    assert_eq!(tree.lines("did"), ["did"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn services_in_one_directory_have_files_of_their_own() {
    let mut tree = Tree::new();
    for name in ["one", "two"] {
        file(&tree, name, name);
        let key = tree.root().join(name).display().to_string();
        let pem = file(
            &tree,
            &format!("{name}.pem"),
            &format!("-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n"),
        );
        file(&tree, &format!("services/{name}.tmpl"), "rendered\n");
        let shell = format!(
            "cat $CREDENTIALS_DIRECTORY/key >seen-{name}; grep -x -e one -e two $SSL_CERT_FILE >>seen-{name}; cat {name}.out >>seen-{name}; exec sleep 1000"
        );
        tree.one_file(name, &format!(
            "command = ['sh', '-c', '{shell}']\ndirectory = '..'\ncredentials = {{ key = '{key}' }}\ncertificates = '{pem}'\n\
             templates = [{{ from = '{name}.tmpl', to = '../{name}.out' }}]"
        ));
    }
    tree.start();
    for name in ["one", "two"] {
        let seen = tree.await_lines(&format!("../seen-{name}"), 2);
        assert_eq!(seen, [format!("{name}{name}"), "rendered".to_owned()]);
    }
    // Looked at from where they are, too.
    file(&tree, "services/two.tmpl", "again\n");
    let diff = tree.ctl_ok(&["render", "--diff"]);
    assert!(diff.contains("-rendered\n+again\n") && diff.matches("@@").count() == 2, "{diff}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_signal_reaches_what_is_done_once() {
    let mut tree = Tree::new();
    tree.toml("setup", "kind = 'oneshot'\nmarker = \"../marker\"\nup = 'sleep 1000'");
    tree.start();
    let pid = until("a process", || tree.find_process("sleep 1000"));
    assert_eq!(tree.stop(), 0);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(!tree.services().join("marker").exists());
}

#[test]
fn render_shows_what_would_change_and_reloads_who_uses_it() {
    let mut tree = Tree::new();
    let (from, to) = (file(&tree, "web.tmpl", "one\n"), tree.root().join("web.conf"));
    let shell = "trap \"echo reloaded >>../reloads\" HUP; sleep 1000 & echo up >ready; while :; do wait; done";
    let templates = format!("templates = [{{ from = \"{from}\", to = \"{}\" }}]", to.display());
    tree.toml("web", &format!("command = [\"sh\", \"-c\", '''{shell}''']\n{templates}"));
    tree.toml("other", "command = 'sleep 1000'");
    tree.start();
    tree.await_lines("web/ready", 1);
    assert_eq!(tree.ctl_ok(&["render", "--diff"]), "");
    fs::write(&from, "two\n").expect("ours");
    let diff = tree.ctl_ok(&["render", "--diff", "web"]);
    assert!(diff.contains("-one\n+two\n"), "{diff}");
    assert_eq!(fs::read_to_string(&to).expect("there"), "one\n");
    let said = tree.ctl_ok(&["render", "--diff", "--json", "web"]);
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["service"], "web");
    assert!(said["diff"].as_str().is_some_and(|diff| diff.contains("+two\n")), "{said}");
    let said = tree.ctl_ok(&["render"]);
    assert!(said.contains("web"), "{said}");
    assert_eq!(fs::read_to_string(&to).expect("there"), "two\n");
    tree.await_lines("reloads", 1);
    assert_eq!(tree.ctl_ok(&["render"]), "", "nothing to do");
    fs::write(&from, "${NONE}\n").expect("ours");
    let said = tree.say(&["render"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.starts_with(&format!("svc-ctl: web: {from}:1: NONE is not set")), "{}", said.err);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn keys_are_copied_with_their_owner_and_mode_where_there_are_any() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let key = file(&tree, "private/key.pem", "-----BEGIN ${NOT_A_VARIABLE}-----\n");
    let to = tree.root().join("key.pem").display().to_string();
    let none = tree.root().join("ca.pem").display().to_string();
    let keys = format!(
        "[[templates]]\nfrom = \"{key}\"\nto = \"{to}\"\nlanguage = \"copy\"\nowner = \"{NOBODY}\"\nmode = \"0400\"\n\
         [[templates]]\nfrom = \"{none}\"\nto = \"{none}.copy\"\nlanguage = \"copy-if-there\""
    );
    let shell = format!("cat {to}; stat -c %u:%a {to}; ls {none}.copy 2>/dev/null || echo none");
    let wanted = ["-----BEGIN ${NOT_A_VARIABLE}-----".to_owned(), format!("{NOBODY}:400"), "none".into()];
    assert_eq!(seen(&mut tree, &keys, &shell, 3), wanted);
}
