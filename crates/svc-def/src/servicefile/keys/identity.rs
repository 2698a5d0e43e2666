//! Who it is, and what it finds around it.

use super::{Change, FIRST, Key, RUNNING, Shape, key};

pub(super) const KEYS: &[Key] = &[
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
        "those of user in /etc/group; none for UID:GID",
        RUNNING,
        Change::Restart,
        "Its supplementary groups, names or numbers, instead of those of user. A group behind the name in user leaves those as they are.",
        "[\"ssl-cert\", 2000]"
    ),
    key!(
        "home",
        Shape::Flag(|draft, home| draft.home = Some(home)),
        "true with user, unless that is UID:GID",
        RUNNING,
        Change::Restart,
        "HOME, USER, LOGNAME and SHELL are set as the account of user has them; what unset, env and its kin say wins.",
        "false"
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
        "Variables that it does not get; env wins over this.",
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
];
