//! The cgroup of a service, if its definition asks for one: `svc exec` makes it in front of the program, and we clear it away.
//!
//! Nothing is kept of it, so a successor knows it too: its place follows from that of svc-init's cgroup and the service's name.

use svc_core::definition::{Definition, Script};
use svc_core::{Millis, Program};
use svc_sys::Errno;
use svc_sys::cgroup::Tree;

/// Kills everybody in it at once, also who is made at this moment.
pub(crate) fn kill(definition: &Definition, init_pid: i32) {
    if let Some(tree) = tree(definition, init_pid) {
        // Who was found otherwise is signalled too; where the kernel (5.14) cannot do this, that must do.
        let _ = tree.kill(&definition.name);
    }
}

/// Clears it away when nobody is known to be left: what is in it all the same has slipped away while a predecessor of ours was
/// killed, and no list of descendants has it.
pub(crate) fn clear(definition: &Definition, init_pid: i32) {
    /// Only who hangs in the kernel does not die at once.
    const LONGEST: Millis = Millis::from_secs(1);
    let Some(tree) = tree(definition, init_pid) else { return };
    if tree.remove(&definition.name) == Err(Errno::BUSY) && tree.kill(&definition.name).is_ok() {
        tree.await_empty(&definition.name, LONGEST);
        remove(definition, init_pid);
    }
}

/// So many processes in it the kernel has killed because memory was out.
pub(crate) fn starved(definition: &Definition, init_pid: i32) -> u64 {
    tree(definition, init_pid).map_or(0, |tree| tree.starved(&definition.name))
}

/// Says so.
pub(crate) fn say_starved(definition: &Definition, init_pid: i32, killed: u64) {
    let (name, max) =
        (&definition.name, tree(definition, init_pid).map_or(String::new(), |tree| tree.memory_max(&definition.name)));
    svc_sys::say!(
        "svc-supervise: {name}: out of memory: the kernel has killed {killed} of its processes; its memory.max is {max}"
    );
}

/// Removes it, unless somebody is left in it who may stay.
pub(crate) fn remove(definition: &Definition, init_pid: i32) {
    if let Some(tree) = tree(definition, init_pid) {
        match tree.remove(&definition.name) {
            Ok(()) | Err(Errno::NOT_FOUND | Errno::BUSY) => {}
            Err(errno) => svc_sys::say!("svc-supervise: {}: cannot remove its cgroup: {errno}", definition.name),
        }
    }
}

fn tree(definition: &Definition, init_pid: i32) -> Option<Tree> {
    let asks = match &definition.program {
        Program::Chain(words) => asks(words, &definition.name),
        Program::Oneshot { up, down } => [up, down].into_iter().flatten().any(|script| match script {
            Script::Chain(words) => asks(words, &definition.name),
            Script::File { .. } => false,
        }),
        Program::Directory | Program::Command(_) => false,
    };
    if asks { Tree::of(init_pid) } else { None }
}

/// Whether there is a cgroup among the options of `svc exec`. Where these end only `svc exec` knows; a program with the same words
/// makes us look for a cgroup that is not there, and no more.
fn asks(words: &[Vec<u8>], service: &str) -> bool {
    words.windows(2).any(|pair| pair[0] == b"--cgroup" && pair[1] == service.as_bytes())
}
