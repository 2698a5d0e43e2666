//! The keys of service.toml. This table is all there is to say about a key: the parser, the man page and the JSON Schema come
//! from it.

use svc_core::graph::Relation;
use svc_core::health::{Remedy, Senders};
use svc_core::timer::{From, Missed, Overlap};
use svc_core::{Millis, ServiceName, Signal};

use super::Instances;
use super::computed::Computed;
use super::draft::{Draft, Kind, Start};
use super::policies;
use super::probes::{self, Probe};
use super::rights;
use super::sockets::Socket;
use super::stops;
use super::values::{Field, Limit, Record};

mod admission;
mod edits;
mod policy;
mod prepare;
mod probe;
mod stop;

pub(super) struct Key {
    /// With dots where it stands in a table.
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// What holds where it is not given, in words.
    pub(super) default: &'static str,
    /// The kinds of services that it means something for.
    pub(super) within: &'static [Kind],
    pub(super) change: Change,
    pub(super) since: &'static str,
    /// One sentence.
    pub(super) about: &'static str,
    /// A value, as it is written.
    pub(super) example: &'static str,
}

/// What becomes of a running service when a rescan finds another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is restarted: the running one was made with the old value.
    Restart,
    /// The new value holds from then on, without a restart.
    Holds,
    /// Nothing: it must be taken out and put back.
    Never,
}

impl Change {
    /// What the manual says.
    pub(super) fn about(self) -> &'static str {
        match self {
            Change::Restart => "restarts it",
            Change::Holds => "holds from then on, without a restart",
            Change::Never => "is refused: take the service out and put it back",
        }
    }
}

/// Names and their values.
type Assigned = Vec<(String, String)>;

/// What a value must be, and where it goes.
pub(super) enum Shape {
    Kind(fn(&mut Draft, Kind)),
    Flag(fn(&mut Draft, bool)),
    /// Milliseconds in the end; zero is for ever.
    Span(fn(&mut Draft, Millis)),
    /// The same, and not zero.
    Pause(fn(&mut Draft, Millis)),
    Signal(fn(&mut Draft, Signal)),
    Number {
        least: i64,
        most: i64,
        set: fn(&mut Draft, i64),
    },
    /// Octal digits.
    Mask(fn(&mut Draft, String)),
    Text(fn(&mut Draft, String)),
    /// A name or a number.
    Who(fn(&mut Draft, String)),
    Whose(fn(&mut Draft, Vec<String>)),
    /// One text or a list.
    Texts(fn(&mut Draft, Vec<String>)),
    /// Names of variables.
    Variables(fn(&mut Draft, Vec<String>)),
    /// A list, or one text that is split.
    Command(fn(&mut Draft, Vec<String>)),
    Names(fn(&mut Draft, Vec<ServiceName>)),
    /// Names, each maybe with what is waited for.
    Relations(Relation),
    /// A number, or names, or where these come from.
    Instances(fn(&mut Draft, Instances)),
    Environment(fn(&mut Draft, Vec<(String, String)>)),
    /// A text or a number, as `read` writes it.
    Form {
        wanted: &'static str,
        read: fn(&str) -> Option<String>,
        set: fn(&mut Draft, String),
    },
    /// A list of known words.
    Words {
        known: fn(&str) -> bool,
        nearest: fn(&str) -> Option<&'static str>,
        set: fn(&mut Draft, Vec<String>),
    },
    /// Files of a cgroup, and what is written into them.
    Files(fn(&mut Draft, Vec<(String, String)>)),
    /// The same, where a value may be what a command prints.
    Assignments(fn(&mut Draft, Assigned, Vec<Computed>)),
    Limits(fn(&mut Draft, Vec<Limit>)),
    /// One of these words, by its place in the list.
    Word {
        known: &'static [&'static str],
        set: fn(&mut Draft, usize),
    },
    /// One text or a list, of which each must be readable.
    CheckedTexts {
        check: fn(&str) -> Result<(), String>,
        set: fn(&mut Draft, Vec<String>),
    },
    /// A text that something else must be able to read.
    Checked {
        check: fn(&str) -> Result<(), String>,
        set: fn(&mut Draft, String),
    },
    /// Addresses, each maybe with more in a table.
    Sockets(fn(&mut Draft, Vec<Socket>)),
    /// Tables with these fields; a text stands for one with the first field alone.
    Records {
        fields: &'static [Field],
        set: fn(&mut Draft, Vec<Record>),
    },
    /// A flag, or a word.
    Start(fn(&mut Draft, Start)),
    /// Whose word counts.
    Senders(fn(&mut Draft, Option<Senders>)),
    /// What is done about an unhealthy service.
    Remedy(fn(&mut Draft, Remedy)),
    /// What is looked for, by a probe of this kind.
    Probe(probes::Kind, fn(&mut Draft, Probe)),
    Policy(policies::Kind),
    /// How it is stopped.
    Stop(stops::Kind),
}

const ALL: &[Kind] = &[Kind::Process, Kind::Forking, Kind::Oneshot, Kind::Bundle, Kind::Milestone, Kind::Timer];
const RUNNING: &[Kind] = &[Kind::Process, Kind::Forking, Kind::Oneshot, Kind::Timer];
const TIMER: &[Kind] = &[Kind::Timer];
const PROCESS: &[Kind] = &[Kind::Process, Kind::Forking];
/// What goes beside the command ends with it, and the command of a forking daemon ends early.
const FOREGROUND: &[Kind] = &[Kind::Process];
/// A forking daemon is what is left behind.
const KEEPING: &[Kind] = &[Kind::Process, Kind::Oneshot, Kind::Timer];
const FIRST: &str = "0.1.0";

macro_rules! key {
    ($name:literal, $shape:expr, $default:literal, $within:expr, $change:expr, $about:literal, $example:literal) => {
        Key {
            name: $name,
            shape: $shape,
            default: $default,
            within: $within,
            change: $change,
            since: FIRST,
            about: $about,
            example: $example,
        }
    };
}

use key;

/// All keys, in the order of the manual.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    [KEYS, admission::KEYS, edits::KEYS, prepare::KEYS, probe::KEYS, policy::KEYS, stop::KEYS].into_iter().flatten()
}

const KEYS: &[Key] = &[
    key!(
        "kind",
        Shape::Kind(|draft, kind| draft.kind = kind),
        "process",
        ALL,
        Change::Never,
        "What it is: a process runs until it is stopped, a forking one is a daemon that its command puts into the background, a \
         oneshot runs to its end and is up from then on, a bundle is a name \
         for its members, a milestone a point in time that others wait for, a timer runs again and again to its end.",
        "\"oneshot\""
    ),
    key!(
        "command",
        Shape::Command(|draft, words| draft.command = Some(words)),
        "none: a process or timer must have one",
        &[Kind::Process, Kind::Forking, Kind::Timer],
        Change::Restart,
        "The program and its arguments; one text is split into words as by a shell, with quotes and without expansions.",
        "[\"nginx\", \"-g\", \"daemon off;\"]"
    ),
    key!(
        "pid-file",
        Shape::Text(|draft, path| {
            if let Some(forking) = &mut draft.settings.forking {
                forking.pid_file = Some(path.into_bytes());
            }
        }),
        "none: the daemon is the oldest process that its command has left behind",
        &[Kind::Forking],
        Change::Holds,
        "Where the daemon writes its pid, relative to the service directory: a hint, which counts if it names a process of the \
         service.",
        "\"/run/web.pid\""
    ),
    key!(
        "sockets",
        Shape::Sockets(|draft, sockets| draft.sockets = sockets),
        "none",
        PROCESS,
        Change::Restart,
        "What svc listens on for it and holds while it restarts: ADDRESS:PORT, a PORT, udp://, /PATH, @NAME, unix-datagram:// or \
         unix-packets://. It finds them from descriptor 3 on, with LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID.",
        "[{ listen = \"0.0.0.0:80\", name = \"http\" }, { listen = \"/run/web.sock\", mode = \"0660\", group = \"www-data\" }]"
    ),
    key!(
        "up",
        Shape::Command(|draft, words| draft.up = Some(words)),
        "nothing, with success",
        &[Kind::Oneshot],
        Change::Restart,
        "What brings a oneshot up.",
        "\"migrate --all\""
    ),
    key!(
        "down",
        Shape::Command(|draft, words| draft.down = Some(words)),
        "nothing",
        &[Kind::Oneshot],
        Change::Restart,
        "What takes a oneshot down.",
        "\"umount /data\""
    ),
    key!(
        "members",
        Shape::Names(|draft, names| draft.members = Some(names)),
        "none: a bundle must have some",
        &[Kind::Bundle],
        Change::Holds,
        "The services of a bundle.",
        "[\"web\", \"worker\"]"
    ),
    key!(
        "instances",
        Shape::Instances(|draft, instances| draft.instances = Some(instances)),
        "1",
        RUNNING,
        Change::Holds,
        "Of a template (a file NAME@.toml, or a directory NAME@): how many services NAME@1, NAME@2 ... there are, or a list of \
         what stands behind the @, or one text with a *: there is one for each variable of the environment of svc that is like \
         it and not empty, with what stands for the * behind the @. ${INSTANCE} is that in every text, and NAME stands for all of them. svc-ctl scale changes a \
         number.",
        "\"${WORKERS:-2}\""
    ),
    key!(
        "start",
        Shape::Start(|draft, start| draft.start = start),
        "true",
        ALL,
        Change::Holds,
        "Whether it is started without anybody asking. One with sockets may be started on demand: when the first connection or \
         datagram comes.",
        "\"on-demand\""
    ),
    key!(
        "idle-stop",
        Shape::Pause(|draft, span| draft.idle_stop = span),
        "none: it runs until it ends by itself",
        PROCESS,
        Change::Holds,
        "One that is started on demand is stopped, until somebody comes again, when nobody has come to its sockets and nobody \
         was connected to them for this long; at the latest after twice as long.",
        "\"5m\""
    ),
    key!(
        "cron",
        Shape::Checked { check: crate::calendar::check_cron, set: |draft, cron| draft.cron = Some(cron) },
        "none: a timer has this or every",
        TIMER,
        Change::Holds,
        "When it runs: [SECOND] MINUTE HOUR DAY MONTH WEEKDAY, or @hourly, @daily, @weekly, @monthly, @yearly.",
        "\"30 3 * * *\""
    ),
    key!(
        "zone",
        Shape::Checked { check: crate::calendar::check_zone, set: |draft, zone| draft.zone = Some(zone) },
        "UTC",
        TIMER,
        Change::Holds,
        "The time zone of cron, a file below /usr/share/zoneinfo (or TZDIR).",
        "\"Europe/Berlin\""
    ),
    key!(
        "every",
        Shape::Span(|draft, span| draft.every = Some(span)),
        "none: a timer has this or cron",
        TIMER,
        Change::Holds,
        "How long from one run to the next, at least 1s.",
        "\"5m\""
    ),
    key!(
        "every-from",
        Shape::Word { known: &["start", "end"], set: |draft, at| draft.every_from = Some([From::Start, From::End][at]) },
        "start",
        TIMER,
        Change::Holds,
        "Whether every counts from start to start, or from the end of a run to the start of the next.",
        "\"end\""
    ),
    key!(
        "jitter",
        Shape::Span(|draft, span| draft.jitter = span),
        "0",
        TIMER,
        Change::Holds,
        "Each run begins later by a random time up to this; another one for each run and each container.",
        "\"30s\""
    ),
    key!(
        "overlap",
        Shape::Word {
            known: &["skip", "queue", "kill"],
            set: |draft, at| draft.overlap = [Overlap::Skip, Overlap::Queue, Overlap::Kill][at],
        },
        "skip",
        TIMER,
        Change::Holds,
        "What happens when the time comes while it runs: nothing (skip), one run follows (queue), or the running one is stopped \
         first (kill).",
        "\"queue\""
    ),
    key!(
        "missed",
        Shape::Word { known: &["skip", "run"], set: |draft, at| draft.missed = [Missed::Skip, Missed::Run][at] },
        "skip",
        TIMER,
        Change::Holds,
        "What happens when its time came while svc did not run, or the clock was set past it: nothing, or one run for all of them.",
        "\"run\""
    ),
    key!(
        "run-at-start",
        Shape::Flag(|draft, flag| draft.run_at_start = flag),
        "false",
        TIMER,
        Change::Holds,
        "Whether it also runs each time it is started.",
        "true"
    ),
    key!(
        "timeout.run",
        Shape::Span(|draft, span| draft.run_timeout = span),
        "0 (for ever)",
        TIMER,
        Change::Holds,
        "How long a run may take; after that it is stopped.",
        "\"10m\""
    ),
    key!(
        "needs",
        Shape::Relations(Relation::Needs(svc_core::graph::Bond::Stay)),
        "none",
        ALL,
        Change::Holds,
        "What is started along and must be there first; if one of these fails, this one is not started.",
        "[\"db\", { on = \"migrate\", until = \"completed\", bond = \"start\" }]"
    ),
    key!(
        "wants",
        Shape::Relations(Relation::Wants),
        "none",
        ALL,
        Change::Holds,
        "What is started along and waited for; if one of these fails, this one starts without it.",
        "[\"cache\"]"
    ),
    key!(
        "after",
        Shape::Relations(Relation::After),
        "none",
        ALL,
        Change::Holds,
        "What is waited for where somebody else has it started, and left alone otherwise.",
        "[{ on = \"metrics\", until = \"started\" }]"
    ),
    key!(
        "before",
        Shape::Relations(Relation::Before),
        "none",
        ALL,
        Change::Holds,
        "The other way round: these wait for this one.",
        "[\"web\"]"
    ),
    key!(
        "ready.fd",
        Shape::Number { least: 3, most: 1023, set: |draft, fd| draft.settings.notification_fd = Some(fd as u32) },
        "none: it counts as ready when it was started",
        PROCESS,
        Change::Restart,
        "The descriptor on which it writes a newline when it is ready.",
        "3"
    ),
    key!(
        "timeout.start",
        Shape::Span(|draft, span| draft.start_timeout = span),
        "0 (for ever)",
        &[Kind::Process, Kind::Forking, Kind::Oneshot],
        Change::Holds,
        "How long it may take until it is up (and ready, if it says so); after that the start has failed.",
        "\"30s\""
    ),
    key!(
        "timeout.stop",
        Shape::Span(|draft, span| draft.stop_timeout = span),
        "0 (for ever)",
        RUNNING,
        Change::Holds,
        "How long a stop may take before it counts as failed and others no longer wait for it; the down of a oneshot is killed \
         after it.",
        "\"1m\""
    ),
    key!(
        "timeout.kill",
        Shape::Span(|draft, span| draft.settings.timeout_kill = span),
        "0 (never); 10s for a timer",
        RUNNING,
        Change::Holds,
        "SIGKILL follows the signal that stops it after this long.",
        "\"10s\""
    ),
    key!(
        "reload.signal",
        Shape::Signal(|draft, signal| {
            draft.settings.reload_signal = signal;
            draft.reloads = true;
        }),
        "HUP",
        PROCESS,
        Change::Holds,
        "The signal of svc-ctl reload. Where it is given, another template or distribution takes no restart.",
        "\"USR1\""
    ),
    key!(
        "kill-group",
        Shape::Flag(|draft, flag| draft.settings.kill_group = flag),
        "false",
        RUNNING,
        Change::Holds,
        "The SIGKILL of timeout.kill goes to its whole process group.",
        "true"
    ),
    key!(
        "keep-descendants",
        Shape::Flag(|draft, flag| draft.settings.keep_descendants = flag),
        "false for a process, true for a oneshot",
        KEEPING,
        Change::Holds,
        "Processes that it leaves behind are left alone.",
        "true"
    ),
    key!(
        "max-deaths",
        Shape::Number { least: 0, most: 4096, set: |draft, most| draft.settings.max_death_tally = most as u16 },
        "100",
        PROCESS,
        Change::Holds,
        "How many of its deaths are remembered for s6-svdt and s6-permafailon.",
        "20"
    ),
    key!(
        "user",
        Shape::Who(|draft, user| draft.user = Some(user)),
        "the user of svc",
        RUNNING,
        Change::Restart,
        "Who it runs as: a name or uid of /etc/passwd, NAME:GROUP or UID:GID.",
        "\"www-data\""
    ),
    key!(
        "groups",
        Shape::Whose(|draft, groups| draft.groups = Some(groups)),
        "those of user in /etc/group",
        RUNNING,
        Change::Restart,
        "Its supplementary groups, names or numbers, instead of those of user.",
        "[\"ssl-cert\", 2000]"
    ),
    key!(
        "home",
        Shape::Flag(|draft, home| draft.home = home),
        "false",
        RUNNING,
        Change::Restart,
        "HOME, USER, LOGNAME and SHELL are set as the account of user has them, whatever env says.",
        "true"
    ),
    key!(
        "env",
        Shape::Assignments(|draft, env, computed| (draft.env, draft.computed) = (env, computed)),
        "the environment of svc",
        RUNNING,
        Change::Restart,
        "Variables that are set for it. A table with command, and maybe timeout (10 s), stands for what that command prints: it runs \
         at each start as the service's user, and where it fails the service is not started.",
        "{ PORT = \"${PORT:-80}\" }"
    ),
    key!(
        "env-file",
        Shape::Texts(|draft, files| draft.env_files = files),
        "none",
        RUNNING,
        Change::Restart,
        "Files with variables, NAME=VALUE a line, read at each start, relative to the service directory; env wins over them. An export \
         in front, and quotes around a value, are left out; nothing is expanded.",
        "\"/etc/default/web\""
    ),
    key!(
        "unset",
        Shape::Variables(|draft, names| draft.unset = names),
        "none",
        RUNNING,
        Change::Restart,
        "Variables that it does not get; env and home win over this.",
        "[\"DEBUG\"]"
    ),
    key!(
        "directory",
        Shape::Text(|draft, dir| draft.directory = Some(dir)),
        "the service directory",
        RUNNING,
        Change::Restart,
        "Where it runs, relative to the service directory.",
        "\"/srv/web\""
    ),
    key!(
        "umask",
        Shape::Mask(|draft, mask| draft.umask = Some(mask)),
        "that of svc",
        RUNNING,
        Change::Restart,
        "The mask for new files, octal.",
        "\"027\""
    ),
    key!(
        "nice",
        Shape::Number { least: -20, most: 19, set: |draft, nice| draft.nice = Some(nice) },
        "0",
        RUNNING,
        Change::Restart,
        "How much nicer it is than svc; negative is less nice.",
        "5"
    ),
    key!(
        "ionice",
        Shape::Form {
            wanted: "none, idle, best-effort:LEVEL or realtime:LEVEL (0 to 7)",
            read: rights::ionice,
            set: |draft, class| draft.rights.ionice = Some(class)
        },
        "that of svc",
        RUNNING,
        Change::Restart,
        "When it gets its turn at a disk; a level of 0 is first, and without a level it is 4.",
        "\"best-effort:7\""
    ),
    key!(
        "scheduler",
        Shape::Form {
            wanted: "other, batch, idle, fifo:PRIORITY or rr:PRIORITY (1 to 99)",
            read: rights::scheduler,
            set: |draft, policy| draft.rights.scheduler = Some(policy)
        },
        "that of svc",
        RUNNING,
        Change::Restart,
        "How processors are shared out to it: the policy of sched(7).",
        "\"batch\""
    ),
    key!(
        "cpu-affinity",
        Shape::Form {
            wanted: "numbers of processors",
            read: rights::cpus,
            set: |draft, cpus| draft.rights.cpus = Some(cpus)
        },
        "that of svc",
        RUNNING,
        Change::Restart,
        "The only processors that it runs on, the first being 0.",
        "\"0-3,5\""
    ),
    key!(
        "oom-score-adjust",
        Shape::Number { least: -1000, most: 1000, set: |draft, score| draft.rights.oom_score = Some(score) },
        "that of svc",
        RUNNING,
        Change::Restart,
        "How likely the kernel kills it when memory is out: -1000 never, 1000 first.",
        "500"
    ),
    key!(
        "chroot",
        Shape::Text(|draft, dir| draft.rights.chroot = Some(dir)),
        "none",
        RUNNING,
        Change::Restart,
        "The directory that it sees as /. Its program, and directory, are looked for in there; user and groups outside.",
        "\"/srv/jail\""
    ),
    key!(
        "capabilities.bounding",
        Shape::Words {
            known: svc_core::capability::is_word,
            nearest: svc_core::capability::nearest,
            set: |draft, words| draft.rights.bounding = Some(words)
        },
        "those of svc",
        RUNNING,
        Change::Restart,
        "The only capabilities (see capabilities(7)) that it can ever have, also as root: names with or without CAP_, \"all\", and \
         \"-NAME\" for all but this one.",
        "[\"NET_BIND_SERVICE\", \"CHOWN\"]"
    ),
    key!(
        "capabilities.ambient",
        Shape::Words {
            known: svc_core::capability::is_word,
            nearest: svc_core::capability::nearest,
            set: |draft, words| draft.rights.ambient = Some(words)
        },
        "none",
        RUNNING,
        Change::Restart,
        "Capabilities that it has although user is not root, such as to listen at a port below 1024.",
        "[\"NET_BIND_SERVICE\"]"
    ),
    key!(
        "no-new-privileges",
        Shape::Flag(|draft, flag| draft.rights.no_new_privileges = flag),
        "false, but true with landlock or seccomp",
        RUNNING,
        Change::Restart,
        "It gains nothing by executing a set-user-ID program such as sudo, or a file with capabilities.",
        "true"
    ),
    key!(
        "landlock.read",
        Shape::Texts(|draft, paths| draft.rights.open("read", paths)),
        "everything",
        RUNNING,
        Change::Restart,
        "Paths below which it may read. With any key of landlock all paths that none of them names are closed, those of its \
         program and libraries too. A relative path begins at directory.",
        "[\"/etc\", \"/usr/share\"]"
    ),
    key!(
        "landlock.write",
        Shape::Texts(|draft, paths| draft.rights.open("write", paths)),
        "everything",
        RUNNING,
        Change::Restart,
        "Paths below which it may read, write, make and remove.",
        "[\"/var/lib/web\", \"/dev/null\"]"
    ),
    key!(
        "landlock.exec",
        Shape::Texts(|draft, paths| draft.rights.open("exec", paths)),
        "everything",
        RUNNING,
        Change::Restart,
        "Paths below which it may read and execute: where its program is, and the libraries and interpreters that this needs.",
        "[\"/usr\", \"/lib\", \"/lib64\", \"/bin\"]"
    ),
    key!(
        "landlock.version",
        Shape::Number { least: 1, most: 99, set: |draft, version| draft.rights.landlock_version = Some(version) },
        "1",
        RUNNING,
        Change::Restart,
        "The oldest Landlock that will do. What an older one does not know stays open: before 2 nothing moves between \
         directories, before 3 any file can be cut short that can be opened, before 5 devices take every ioctl.",
        "3"
    ),
    key!(
        "seccomp",
        Shape::Form {
            wanted: "default or no-namespaces",
            read: rights::seccomp,
            set: |draft, profile| draft.rights.seccomp = Some(profile)
        },
        "none",
        RUNNING,
        Change::Restart,
        "System calls that it is refused: no-namespaces new namespaces and those of others, default also mounts, kernel modules, \
         the clock, memory of other processes, keys, bpf, io_uring and what else a service has no business with.",
        "\"default\""
    ),
    key!(
        "cgroup.own",
        Shape::Flag(|draft, flag| draft.rights.own_cgroup = flag),
        "false, but true with any other key of cgroup",
        RUNNING,
        Change::Restart,
        "It has a cgroup (version 2) of its own, and what it leaves behind is killed at once with that.",
        "true"
    ),
    key!(
        "cgroup.memory-max",
        Shape::Form {
            wanted: "a size such as \"64MiB\", a number of bytes, or \"max\"",
            read: rights::size,
            set: |draft, size| draft.rights.set("memory.max", size)
        },
        "max (no limit)",
        RUNNING,
        Change::Restart,
        "Memory of all its processes together; one that needs more is killed.",
        "\"512MiB\""
    ),
    key!(
        "cgroup.memory-high",
        Shape::Form {
            wanted: "a size such as \"64MiB\", a number of bytes, or \"max\"",
            read: rights::size,
            set: |draft, size| draft.rights.set("memory.high", size)
        },
        "max (no limit)",
        RUNNING,
        Change::Restart,
        "Above this much memory its processes are slowed down, and have to give memory back.",
        "\"400MiB\""
    ),
    key!(
        "cgroup.swap-max",
        Shape::Form {
            wanted: "a size such as \"64MiB\", a number of bytes, or \"max\"",
            read: rights::size,
            set: |draft, size| draft.rights.set("memory.swap.max", size)
        },
        "max (no limit)",
        RUNNING,
        Change::Restart,
        "Swap of all its processes together.",
        "0"
    ),
    key!(
        "cgroup.cpu-max",
        Shape::Form {
            wanted: "a number of processors such as 1.5, a part of one such as \"50%\", or \"max\"",
            read: rights::processors,
            set: |draft, quota| draft.rights.set("cpu.max", quota)
        },
        "max (no limit)",
        RUNNING,
        Change::Restart,
        "Time of processors that all its processes get together.",
        "\"50%\""
    ),
    key!(
        "cgroup.cpu-weight",
        Shape::Number { least: 1, most: 10_000, set: |draft, weight| draft.rights.set("cpu.weight", weight.to_string()) },
        "100",
        RUNNING,
        Change::Restart,
        "Its share of the processors when others want them too.",
        "50"
    ),
    key!(
        "cgroup.io-weight",
        Shape::Number { least: 1, most: 10_000, set: |draft, weight| draft.rights.set("io.weight", weight.to_string()) },
        "100",
        RUNNING,
        Change::Restart,
        "Its share of disks when others want them too.",
        "50"
    ),
    key!(
        "cgroup.pids-max",
        Shape::Form {
            wanted: "a number or \"max\"",
            read: rights::count,
            set: |draft, count| draft.rights.set("pids.max", count)
        },
        "max (no limit)",
        RUNNING,
        Change::Restart,
        "How many processes and threads it may have.",
        "100"
    ),
    key!(
        "cgroup.set",
        Shape::Files(|draft, files| files.into_iter().for_each(|(file, value)| draft.rights.set(&file, value))),
        "nothing",
        RUNNING,
        Change::Restart,
        "Other files of a cgroup's controllers, and what is written into them as it is.",
        "{ \"cpuset.cpus\" = \"0-1\", \"io.max\" = \"8:0 rbps=1048576\" }"
    ),
    key!(
        "optional",
        Shape::Words {
            known: |word| svc_core::rights::OPTIONAL.contains(&word),
            nearest: rights::nearest_optional,
            set: |draft, names| draft.rights.optional = names
        },
        "none",
        RUNNING,
        Change::Restart,
        "Keys (for capabilities, cgroup and landlock: those tables) without which it is started all the same where the kernel or \
         the container refuses them; the log says so. Possible are capabilities, cgroup, cpu-affinity, ionice, landlock, limits, \
         nice, oom-score-adjust, scheduler and seccomp.",
        "[\"nice\", \"cgroup\"]"
    ),
    key!(
        "limits",
        Shape::Limits(|draft, limits| draft.limits = limits),
        "those of svc",
        RUNNING,
        Change::Restart,
        "Limits of setrlimit(2): a number, a size, \"unlimited\", or a table with soft and hard; one value is both.",
        "{ nofile = { soft = 1024, hard = 4096 }, core = 0, as = \"512MiB\" }"
    ),
];

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    all().find(|key| key.name == name)
}

/// Whether there are keys in a table of this name.
pub(super) fn is_table(name: &str) -> bool {
    all().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// The keys that are likely to have been meant, best first.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    super::values::nearest(name, all().map(|key| key.name))
}
