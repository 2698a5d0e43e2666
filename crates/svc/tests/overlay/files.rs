//! `fix-attrs` and `logutil-newfifo`, which change files, and `logutil-service`, which writes them.

use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use svc_testkit::{NOBODY, Said, is_root, spawn, until};

use super::{Container, command};

/// Owner, group and permissions.
fn attributes(path: &Path) -> (u32, u32, u32) {
    let data = fs::symlink_metadata(path).expect("it is there");
    (data.uid(), data.gid(), data.permissions().mode() & 0o7777)
}

#[test]
fn fix_attrs_goes_through_whole_trees() {
    if !is_root() {
        return;
    }
    let container = Container::new();
    let root = container.path("data");
    fs::create_dir_all(root.join("a/deep/er")).expect("new folders");
    for file in ["one", "two", "a/three", "a/deep/four", "a/deep/er/five", "a/.hidden"] {
        fs::write(root.join(file), "").expect("ours");
    }
    let outside = container.path("outside");
    fs::write(&outside, "").expect("ours");
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o600)).expect("ours");
    symlink(&outside, root.join("link")).expect("a link");
    let list = container.path("list");
    fs::write(&list, format!("# a comment\n\n{} true nobody 0640 0750\n", root.display())).expect("ours");
    let said = Said::by(container.command("fix-attrs").arg(&list));
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let group = nobodys_group();
    for folder in ["", "a", "a/deep", "a/deep/er"] {
        assert_eq!(attributes(&root.join(folder)), (NOBODY, group, 0o750), "{folder}");
    }
    for file in ["one", "two", "a/three", "a/deep/four", "a/deep/er/five"] {
        assert_eq!(attributes(&root.join(file)), (NOBODY, group, 0o640), "{file}");
    }
    assert_eq!(attributes(&root.join("a/.hidden")).0, 0, "hidden files only if asked for");
    assert_eq!(attributes(&root.join("link")).0, NOBODY);
    assert_eq!(attributes(&outside), (0, 0, 0o600), "a link inside is not followed");
    container.set("S6_FIX_ATTRS_HIDDEN", b"1\n");
    assert_eq!(Said::by(container.command("fix-attrs").arg(&list)).code, 0);
    assert_eq!(attributes(&root.join("a/.hidden")), (NOBODY, group, 0o640));
}

fn nobodys_group() -> u32 {
    let passwd = fs::read_to_string("/etc/passwd").expect("a list of users");
    let line = passwd.lines().find(|line| line.starts_with("nobody:")).expect("nobody");
    line.split(':').nth(3).and_then(|gid| gid.parse().ok()).expect("a number")
}

#[test]
fn a_line_of_fix_attrs_may_have_wildcards_numbers_and_a_replacement() {
    if !is_root() {
        return;
    }
    let container = Container::new();
    let root = container.path("data");
    fs::create_dir_all(root.join("dir/inner")).expect("new folders");
    for file in ["a.log", "b.log", "c.txt", "dir/inner/d.log"] {
        fs::write(root.join(file), "").expect("ours");
    }
    let lists = container.path("lists");
    fs::create_dir(&lists).expect("a new folder");
    let at = root.display();
    fs::write(
        lists.join("02"),
        format!("{at}/*.log false 12:13 0600 0700\n{at}/dir/*/d.log false no-such-user,14:15 0604 0700\n"),
    )
    .expect("ours");
    // In order: the later one counts.
    fs::write(lists.join("01"), format!("{at}/a.log false 77:77 0777 0777\n{at}/dir false root:root 0644 0711"))
        .expect("ours");
    let said = Said::by(container.command("fix-attrs").arg(&lists));
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert_eq!(attributes(&root.join("a.log")), (12, 13, 0o600));
    assert_eq!(attributes(&root.join("b.log")), (12, 13, 0o600));
    assert_eq!(attributes(&root.join("c.txt")).0, 0);
    assert_eq!(attributes(&root.join("dir/inner/d.log")), (14, 15, 0o604));
    assert_eq!(attributes(&root.join("dir")), (0, 0, 0o711));
}

#[test]
fn a_wrong_line_of_fix_attrs_is_named_and_the_others_are_obeyed() {
    let container = Container::new();
    let file = container.path("file");
    fs::write(&file, "").expect("ours");
    let data = fs::metadata(&file).expect("it is there");
    let (at, owner) = (file.display(), format!("{}:{}", data.uid(), data.gid()));
    let list = container.path("list");
    let lines = [
        format!("{at} perhaps {owner} 0600 0700"),
        format!("{at} false no-such-user 0600 0700"),
        format!("{at} false {owner} rw 0700"),
        format!("{at} false {owner}"),
        format!("/no/such/file false {owner} 0600 0700"),
        format!("{at} false {owner} 0612 0700"),
    ];
    fs::write(&list, lines.join("\n")).expect("ours");
    let said = Said::by(container.command("fix-attrs").stdin(Stdio::null()).arg(&list));
    assert_eq!(said.code, 1);
    for number in 1..=5 {
        assert!(said.err.contains(&format!("list, line {number}: ")), "{number}: {said:?}");
    }
    assert!(!said.err.contains("line 6"), "{said:?}");
    assert_eq!(attributes(&file).2, 0o612);
}

#[test]
fn logutil_newfifo_replaces_what_was_there() {
    let container = Container::new();
    let path = container.path("fifo");
    for before in ["nothing", "file", "folder"] {
        match before {
            "file" => drop(File::create(&path).expect("ours")),
            "folder" => fs::create_dir_all(path.join("inner")).expect("ours"),
            _ => {}
        }
        let said = Said::by(command("logutil-newfifo").args(["-m", "0622"]).arg(&path));
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{before}");
        assert!(fs::symlink_metadata(&path).expect("it is there").file_type().is_fifo(), "{before}");
        assert_eq!(attributes(&path).2, 0o622, "{before}");
        fs::remove_file(&path).expect("ours");
    }
    assert_eq!(Said::by(command("logutil-newfifo").args(["-m", "rw"]).arg(&path)).code, 100);
    assert_eq!(Said::by(command("logutil-newfifo").args(["-o", "no-such-user"]).arg(&path)).code, 1);
    assert!(!path.exists(), "nothing was made for an owner who is not there");
    if is_root() {
        assert_eq!(Said::by(command("logutil-newfifo").args(["-o", "nobody"]).arg(&path)).code, 0);
        assert_eq!(attributes(&path), (NOBODY, nobodys_group(), 0o600));
    }
}

/// Feeds it two lines, and returns what it said.
fn log(command: &mut Command, container: &Container) -> Said {
    let input = container.path("input");
    fs::write(&input, "one\ntwo\n").expect("ours");
    let errors = container.path("errors");
    command
        .stdin(File::open(&input).expect("it is there"))
        .stdout(Stdio::null())
        .stderr(File::create(&errors).expect("ours"));
    let mut child = spawn(command).expect("it starts");
    let status = until("its end", || child.try_wait().expect("our child"));
    Said { code: status.code().unwrap_or(-1), out: String::new(), err: fs::read_to_string(&errors).expect("ours") }
}

#[test]
fn logutil_service_writes_as_nobody() {
    let container = Container::new();
    let dir = container.path("log");
    fs::create_dir(&dir).expect("a new folder");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).expect("ours");
    // A newline at the end, as container_environment holds values, made upstream's s6-log die of a syntax error.
    for (script, first) in
        [(None, "  one"), (Some("n3 s5000 T\n"), "  one"), (Some("T\n 1 n0\ts100000\n"), "one"), (Some("\n"), "one")]
    {
        let file = container.path("env/S6_LOGGING_SCRIPT");
        match script {
            Some(script) => fs::write(&file, script).expect("ours"),
            None => drop(fs::remove_file(&file)),
        }
        let said = log(container.command("logutil-service").arg(&dir), &container);
        assert_eq!(said.code, 0, "{script:?}: {said:?}");
        let lines = fs::read_to_string(dir.join("current")).expect("a log");
        assert!(lines.lines().count() == 2 && lines.contains(first), "{script:?}: {lines}");
        if is_root() {
            assert_eq!(fs::metadata(dir.join("current")).expect("a log").uid(), NOBODY, "{script:?}");
        }
        fs::remove_file(dir.join("current")).expect("ours");
    }
}
