//! Where the control socket is: chosen by svc-scan, found by svc-ctl.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use svc_testkit::{Said, Tree, is_root, program, until};

use super::assert_said;

/// A uid of nobody's, so that /tmp/svc-UID is this test's alone.
const UID: u32 = 64321;

/// svc-ctl with nothing but this in its environment.
fn ctl(uid: u32, environment: &[(&str, &str)], words: &[&str]) -> Said {
    let mut command = Command::new(program());
    command.arg("svc-ctl").args(words).env_clear().envs(environment.iter().copied()).uid(uid).gid(uid);
    Said::by(&mut command)
}

fn tree_of(uid: u32) -> Tree {
    let mut tree = Tree::new();
    tree.run_as(uid).set("SVC_RUN_DIR", "").set("XDG_RUNTIME_DIR", "");
    tree.service("web").run("exec sleep 1000");
    tree
}

#[test]
fn without_anything_a_user_has_tmp_svc_uid() {
    if !is_root() {
        return;
    }
    let mut tree = tree_of(UID);
    tree.launch();
    let place = PathBuf::from(format!("/tmp/svc-{UID}"));
    until("the socket", || place.join("control.sock").exists().then_some(()));
    assert_said(&ctl(UID, &[], &["wait", "web"]), 0, &["web: up"]);
    // Root finds it too, unless there is one of its own.
    assert_said(&ctl(0, &[], &["status", "web"]), 0, &["web"]);
    assert_said(&ctl(0, &[("SVC_RUN_DIR", "/nowhere")], &["status"]), 111, &["/nowhere/control.sock"]);
    assert_said(&ctl(0, &[], &["--socket", &place.display().to_string(), "status"]), 0, &["web"]);
    assert_said(&ctl(0, &[], &["--socket", &place.join("control.sock").display().to_string(), "status"]), 0, &["web"]);
    tree.stop();
    assert_said(&ctl(UID, &[], &["status"]), 111, &["no svc is running here", "start one with svc-scan"]);
    let _ = fs::remove_dir_all(place);
}

#[test]
fn xdg_runtime_dir_comes_before_tmp() {
    if !is_root() {
        return;
    }
    let uid = UID + 1;
    let mut tree = tree_of(uid);
    let runtime = tree.path("runtime");
    fs::create_dir(&runtime).expect("ours");
    std::os::unix::fs::chown(&runtime, Some(uid), Some(uid)).expect("we are root");
    let runtime = runtime.display().to_string();
    tree.set("XDG_RUNTIME_DIR", &runtime).launch();
    until("the socket", || tree.path("runtime/svc/control.sock").exists().then_some(()));
    assert_said(&ctl(uid, &[("XDG_RUNTIME_DIR", &runtime)], &["wait", "web"]), 0, &["web: up"]);
    assert!(!fs::exists(format!("/tmp/svc-{uid}")).unwrap_or(true));
}

#[test]
fn somebody_elses_tmp_svc_uid_is_not_trusted() {
    if !is_root() {
        return;
    }
    let uid = UID + 2;
    let place = PathBuf::from(format!("/tmp/svc-{uid}"));
    let _ = fs::remove_dir_all(&place);
    fs::create_dir(&place).expect("ours");
    fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("ours");
    let mut tree = tree_of(uid);
    tree.launch();
    // It is root's: svc goes on without a directory, and svc-ctl does not look there either.
    until("an answer", || (ctl(uid, &[], &["wait", "web"]).code == 0).then_some(()));
    assert!(!place.join("control.sock").exists());
    tree.stop();
    let _ = fs::remove_dir_all(place);
}

#[test]
fn a_place_that_was_asked_for_and_cannot_be_written_is_refused() {
    let mut tree = Tree::new();
    tree.set("SVC_RUN_DIR", "/proc/svc");
    let said = Said::by(&mut tree.starter());
    assert_said(&said, 111, &["SVC_RUN_DIR=/proc/svc: cannot be written", "name a directory that can"]);
}

/// As root, and as a user to whom the pipe of standard error does not belong: so few descriptors are open then that svc's own
/// program may be where svc-scan's have their places.
#[test]
fn where_nothing_can_be_written_there_is_an_abstract_socket() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    let user = format!("setpriv --reuid={UID} --regid={UID} --clear-groups");
    let copy = format!("/var/tmp/svc-read-only-{}", std::process::id());
    for user in ["", &user] {
        // A network namespace of its own has abstract names of its own. The user may not reach where svc was built.
        let script = format!(
            "cp -a {services} {copy} && cp {svc} {copy}/.svc || exit 9
             for place in /run /tmp /dev/shm; do mount -t tmpfs -o ro none $place || exit 9; done
             unset SVC_RUN_DIR XDG_RUNTIME_DIR
             svc=\"{user} {copy}/.svc\"
             $svc svc-scan {copy} & pid=$!
             until $svc svc-ctl wait web; do sleep 0.05; done
             ls -A /run /tmp /dev/shm
             grep -c '@svc/control' /proc/net/unix
             $svc svc-ctl shutdown --code 5; wait $pid; echo code $?; rm -r {copy}",
            services = tree.services().display(),
            svc = program().display(),
        );
        let said = Said::by(Command::new("timeout").args(["120", "unshare", "-m", "-n", "sh", "-c", &script]));
        let _ = fs::remove_dir_all(&copy);
        assert_said(&said, 0, &["web: up (pid ", "code 5"]);
    }
}

/// The memory is the host's here, as it is with --ipc host: nobody else may look, and nothing stays.
#[test]
fn where_only_memory_can_be_written_it_has_one_directory_and_nothing_stays() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    let copy = format!("/var/tmp/svc-in-memory-{}", std::process::id());
    for uid in [0, UID + 3] {
        let script = format!(
            "cp -a {services} {copy} && cp {svc} {copy}/.svc && chown -R {uid} {copy} || exit 9
             for place in /run /tmp; do mount -t tmpfs -o ro none $place || exit 9; done
             mount -t tmpfs host /dev/shm || exit 9
             unset SVC_RUN_DIR XDG_RUNTIME_DIR
             svc=\"setpriv --reuid={uid} --regid={uid} --clear-groups {copy}/.svc\"
             ours=/dev/shm/svc-{uid}-$(stat -L -c %i /proc/self/ns/mnt)
             life() {{
                 $svc svc-scan {copy} & pid=$!
                 until $svc svc-ctl wait web; do sleep 0.05; done
                 stat -c '%F %a %u' $ours
                 test -S $ours/run/svc/control.sock && echo there; {copy}/.svc svc-ctl list; {copy}/.svc s6-svstat {copy}/web
                 $svc svc-ctl shutdown --code 5; wait $pid; echo code $?
             }}
             killed=/dev/shm/svc-{uid}-1 lives=/dev/shm/svc-{uid}-2
             for dir in $killed $lives; do mkdir -p $dir/run/svc; touch $dir/run/svc/lock; chown -R {uid} $dir; done
             exec 9<$lives/run/svc/lock; flock 9
             life; test -e $ours && echo left; test -e $killed && echo left
             test -e $lives && echo the other lives; rm -r $lives
             mkdir -p {copy}/.trap && ln -s {copy}/.trap $ours && life; ls -A {copy}/.trap; rm $ours
             mkdir -m 777 $ours; life; ls -A $ours; rmdir $ours; rm -r {copy}",
            services = tree.services().display(),
            svc = program().display(),
        );
        let said = Said::by(Command::new("timeout").args(["120", "unshare", "-m", "-n", "sh", "-c", &script]));
        let _ = fs::remove_dir_all(&copy);
        let used = format!("svc-init: no place but memory can be written to by {uid}: using /dev/shm/svc-{uid}-");
        assert_said(&said, 0, &["there\n", &used, "is shared", "mount a tmpfs at /run", "code 5"]);
        assert!(said.out.contains(&format!("directory 700 {uid}\nthere\n")), "{}", said.out);
        assert!(!said.out.contains("left") && said.out.contains("the other lives"), "{}", said.out);
        // What somebody else has prepared is neither used nor taken away.
        assert_eq!(said.out.matches("there\n").count(), 1, "{}", said.out);
        assert_eq!(said.out.matches("code 5").count(), 3, "{}", said.out);
    }
}
