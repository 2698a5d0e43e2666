//! What users, disks and kernels may hand to svc: each gives a message with what, where and the cure, is tried again when it
//! can work, and disturbs nobody else.

mod files;
mod machine;
mod many;
mod programs;
mod repairs;
mod settings;
mod shortage;

use svc_testkit::{Status, Tree, until};

/// A healthy service, which must stay what it is.
struct Neighbour(i32);

impl Neighbour {
    const NAME: &str = "neighbour";

    /// Starts svc with it.
    fn start(tree: &mut Tree) -> Neighbour {
        tree.service(Neighbour::NAME).run("exec sleep 1000");
        tree.start();
        Neighbour(tree.await_up(Neighbour::NAME))
    }

    #[track_caller]
    fn assert_undisturbed(&self, tree: &Tree) {
        // A new svc-scan answers before it has heard of a supervisor that the machine has no time for.
        let status = tree.await_status(Neighbour::NAME, "known", |status| status.pid.is_some());
        assert_eq!((status.pid, status.restarts), (Some(self.0), 0), "log:\n{}", tree.log());
    }
}

/// Waits until a service has a problem with these words, sees that `status`, `why` and standard error say the same, and
/// returns it.
#[track_caller]
fn assert_told(tree: &Tree, name: &str, words: &[&str]) -> Status {
    let all = |text: &str| words.iter().all(|word| text.contains(word));
    let found = |status: &Status| status.problem.as_deref().is_some_and(all);
    let status = tree.await_status(name, &format!("{words:?}"), found);
    println!("{name}: {}", status.problem.as_deref().unwrap_or_default());
    let table = tree.ctl_ok(&["status"]);
    assert!(all(&table), "{words:?} is not in\n{table}");
    let why = tree.ctl_ok(&["why", name]);
    assert!(why.contains("problem:") && all(&why), "{words:?} is not in\n{why}");
    until(&format!("{words:?} on standard error; log:\n{}", tree.log()), || {
        tree.log().lines().any(|line| line.starts_with("svc-") && all(line)).then_some(())
    });
    status
}
