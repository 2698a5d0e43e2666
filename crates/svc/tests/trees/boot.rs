//! A container without an engine: a root of its own (this machine's, with a tree laid over it), and a process 1 of its own.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use svc_testkit::{Tree, is_root, needs, processes, program, until};

use crate::story::{Story, trees};

/// Mounts it all in a mount namespace that goes with its last process: nothing is left to be cleaned up.
///
/// What a tree brings is copied into an empty directory, which is a layer above this machine's root; paths below `all` are only
/// used in its chroot, or made here. So no link of the machine is followed by what is written: one from `/usr/local/bin/postgres`
/// to the server would else lead a stub out of the container, over the real one.
const BOOT: &str = r#"
set -e
here=$1 tree=$2 stubs=$3 svc=$4; shift 4
mount --make-rprivate /
mount -t tmpfs none "$here/root"
cd "$here/root"
mkdir -p layer/usr/bin layer/trace layer/run layer/proc layer/dev machine upper work all
cp -a "$stubs/." "$tree/rootfs/." layer/
cp --remove-destination "$svc" layer/usr/bin/svc
[ ! -d "$tree/machine" ] || cp -a "$tree/machine/." machine/
# What this machine may have of s6, runit and daemontools is not in an image: a device 0:0 hides what is below.
mkdir -p machine/etc machine/usr/bin machine/usr/lib
cd /
for path in etc/service etc/s6 usr/lib/execline usr/bin/execlineb usr/bin/s6-* usr/bin/sv usr/bin/svlogd usr/bin/runsv* usr/bin/chpst \
    usr/bin/env[du]* usr/bin/setuidgid usr/bin/setlock usr/bin/softlimit usr/bin/multilog usr/bin/tai64n* usr/bin/svstat usr/bin/svok; do
    [ ! -e "$path" ] || mknod "$here/root/machine/$path" c 0 0
done
cd "$here/root"
mount -t overlay overlay -o "lowerdir=layer:machine:/,upperdir=upper,workdir=work" all
mount --bind "$here/trace" all/trace
mount -t tmpfs none all/run
mount -t proc proc all/proc
mount -t tmpfs -o mode=755 none all/dev
for device in null zero full random urandom tty; do
    : >"all/dev/$device"
    mount --bind "/dev/$device" "all/dev/$device"
done
ln -s /proc/self/fd all/dev/fd
for stream in 0=stdin 1=stdout 2=stderr; do ln -s "/proc/self/fd/${stream%=*}" "all/dev/${stream#*=}"; done
mkdir all/dev/shm
# This machine's: a test looks there for what a tree has left.
mount --bind /dev/shm all/dev/shm
chroot all /usr/bin/svc install --s6-overlay /
chroot all /usr/bin/svc install --my-init /
cd all
[ ! -e before-boot ] || chroot . /before-boot
exec chroot . "$@"
"#;

/// Whether such a container can be made here.
pub fn is_possible() -> bool {
    static POSSIBLE: OnceLock<bool> = OnceLock::new();
    let possible = *POSSIBLE.get_or_init(|| {
        let tree = Tree::new();
        fs::create_dir(tree.path("root")).expect("ours");
        let script = "mount --make-rprivate / && mount -t tmpfs none . && cd \"$PWD\" && mkdir u w a m && mknod m/x c 0 0
            mount -t overlay overlay -o lowerdir=m:/,upperdir=u,workdir=w a";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "sh", "-c", script]).current_dir(tree.path("root"));
        command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    });
    is_root() && needs("overlayfs in a mount namespace", possible)
}

pub struct Container {
    /// A folder that goes away with it.
    tree: Tree,
    child: Child,
}

impl Container {
    #[track_caller]
    pub fn boot(folder: &Path, story: &Story) -> Container {
        let tree = Tree::new();
        for dir in ["root", "trace"] {
            fs::create_dir(tree.path(dir)).expect("ours");
        }
        let trace = File::create(tree.path("trace").join("log")).expect("ours");
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        trace.set_permissions(everybody).expect("ours");
        let output = File::create(tree.path("output")).expect("ours");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", BOOT, "boot"]);
        command.args([tree.root().into(), folder.to_owned(), trees().join("stubs"), program()] as [PathBuf; 4]);
        command.args([
            "env",
            "-i",
            // That of an image which nobody has told of /command.
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "TERM=dumb",
        ]);
        command.args(&story.environment);
        if !story.user.is_empty() {
            command.arg("setpriv").args(&story.user);
        }
        command.args(&story.entry).args(&story.command);
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a descriptor")).stderr(output);
        Container { child: command.spawn().expect("unshare runs"), tree }
    }

    /// Process 1, as it is called here.
    #[track_caller]
    fn init(&self) -> i32 {
        let child = self.child.id() as i32;
        until("process 1", || {
            let all = processes();
            all.into_iter().find(|process| process.parent == child).map(|process| process.pid)
        })
    }

    /// Sends each signal of the story when its line has been traced.
    #[track_caller]
    pub fn signal_when(&mut self, story: &Story) {
        for (signal, text) in &story.signals {
            let begin = std::time::Instant::now();
            while !self.trace().contains(text) {
                let late = begin.elapsed() > svc_testkit::PATIENCE;
                assert!(!late, "'{text}' is not traced; trace:\n{}output:\n{}", self.trace(), self.output());
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            svc_testkit::kill(self.init(), signal);
        }
    }

    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        let begin = std::time::Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                break status;
            }
            let late = begin.elapsed() > svc_testkit::PATIENCE;
            assert!(!late, "it does not end; trace:\n{}output:\n{}", self.trace(), self.output());
            std::thread::sleep(std::time::Duration::from_millis(2));
        };
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }

    /// Where a tree has it that the memory is the host's (`before-boot` of `memory`).
    pub fn has_left_nothing(&self) -> bool {
        fs::read_dir(self.tree.path("trace/shm")).map_or(true, |mut entries| entries.next().is_none())
    }

    pub fn trace(&self) -> String {
        fs::read_to_string(self.tree.path("trace").join("log")).unwrap_or_default()
    }

    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.tree.path("output")).unwrap_or_default()).into_owned()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // The kernel ends everything in it with process 1, which goes with its parent.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
