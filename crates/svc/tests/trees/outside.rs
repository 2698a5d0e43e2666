//! Nothing that a tree brings, or does, is ever written through a link of this machine: a stub in `/usr/local/bin` once came to
//! lie over the program that the machine's link there leads to.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use svc_testkit::Tree;

use crate::plays;

fn script(path: &Path, body: &str) {
    fs::create_dir_all(path.parent().expect("it has one")).expect("ours");
    fs::write(path, format!("#!/bin/sh\n{body}\n")).expect("ours");
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("ours");
}

#[test]
fn links_of_the_machine_lead_nowhere() {
    let tree = Tree::new();
    let (rootfs, machine, real) = (tree.path("rootfs"), tree.path("machine"), tree.path("real"));
    script(&real.join("server"), "echo the real one");
    fs::create_dir(real.join("folder")).expect("ours");
    fs::create_dir_all(machine.join("usr/local/bin")).expect("ours");
    fs::create_dir(machine.join("opt")).expect("ours");
    // A program, a directory, and what svc itself writes to.
    for (link, target) in
        [("usr/local/bin/server", "server"), ("opt/folder", "folder"), ("run", "folder"), ("trace", "folder")]
    {
        symlink(real.join(target), machine.join(link)).expect("ours");
    }
    fs::create_dir_all(machine.join("usr/bin")).expect("ours");
    symlink(real.join("server"), machine.join("usr/bin/svc")).expect("ours");

    script(&rootfs.join("usr/local/bin/server"), "trace a stub");
    script(&rootfs.join("opt/folder/stub"), "trace in a folder");
    // What a tree does while it runs stays in the container too.
    script(
        &rootfs.join("main"),
        &format!("server; /opt/folder/stub; rm -rf {0}; mkdir {0} && trace gone there", real.display()),
    );
    fs::write(tree.path("expect"), "cmd /main\ntrace a stub\ntrace in a folder\ntrace gone there\n").expect("ours");
    plays(tree.root());

    assert_eq!(fs::read_to_string(real.join("server")).expect("it is there"), "#!/bin/sh\necho the real one\n");
    assert_eq!(fs::read_dir(real.join("folder")).expect("it is there").count(), 0, "something was written into it");
}
