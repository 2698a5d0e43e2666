//! Names of living services, completed by a real bash on a real svc.

use std::process::Command;

use svc_testkit::{Said, Tree, has_program, needs, program};

/// What bash offers for a line, its last word being completed.
fn offers(tree: &Tree, line: &str) -> Vec<String> {
    let svc_ctl = tree.path("bin/svc-ctl").display().to_string();
    let script = format!(
        "source <({svc_ctl} completions bash)
         COMP_LINE={line:?}; COMP_POINT=${{#COMP_LINE}}; read -ra COMP_WORDS <<<\"$COMP_LINE\"
         [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
         COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
         _svc_ctl_live svc-ctl \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let path = format!("{}:{}", tree.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    let said = Said::by(Command::new("bash").args(["-c", &script]).env("SVC_RUN_DIR", tree.run_dir()).env("PATH", path));
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let mut offers: Vec<String> = said.out.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    offers.sort();
    offers
}

#[test]
fn living_names_are_completed_in_bash() {
    if !needs("bash", has_program("bash")) {
        return;
    }
    let mut tree = Tree::new();
    for name in ["web-1", "web-2", "db"] {
        tree.service(name).run("exec sleep 1000");
    }
    tree.service("broken");
    tree.start();
    assert_eq!(Said::by(Command::new(program()).args(["install"]).arg(tree.path("bin"))).code, 0);
    for name in ["web-1", "web-2", "db"] {
        tree.await_up(name);
    }
    tree.await_status("broken", "there", |_| true);
    assert_eq!(offers(&tree, "svc-ctl restart we"), ["web-1", "web-2"]);
    assert_eq!(offers(&tree, "svc-ctl status "), ["broken", "db", "web-1", "web-2"]);
    assert_eq!(offers(&tree, "svc-ctl restar"), ["restart"]);
    assert!(offers(&tree, "svc-ctl kill US").contains(&"USR1".to_owned()));
    assert_eq!(offers(&tree, "svc-ctl kill USR1 d"), ["db"]);
    std::fs::remove_dir_all(tree.services().join("web-1")).expect("ours");
    svc_testkit::until("it to go", || tree.status("web-1").is_none().then_some(()));
    assert_eq!(offers(&tree, "svc-ctl why web"), ["web-2"]);
}
