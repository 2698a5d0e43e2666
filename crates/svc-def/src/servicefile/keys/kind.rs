//! What a service is, and what is executed.

use super::{ALL, Change, FIRST, Key, Kind, PROCESS, RUNNING, Shape, key};

pub(super) const KEYS: &[Key] = &[
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
];
