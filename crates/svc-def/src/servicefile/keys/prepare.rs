//! Keys of what is made ready before the command starts.

use super::super::draft::Kind;
use super::{Change, FIRST, Key, RUNNING, Shape, key};
use crate::servicefile::prepared;
use crate::servicefile::values::{Check, Field};

const LANGUAGES: &[&str] = &["variables", "jinja", "copy", "copy-if-there"];
const MODE: Field = Field { name: "mode", required: false, check: Check::Mode };

pub(super) const KEYS: &[Key] = &[
    key!(
        "env-allow",
        Shape::CheckedTexts { check: prepared::pattern, set: |draft, patterns| draft.prepared.env_allow = Some(patterns) },
        "all variables",
        RUNNING,
        Change::Restart,
        "Which variables of the environment of svc it gets, PATH aside, as patterns; [] is none of them. What env and its like set, it \
         gets as well.",
        "[\"LANG\", \"TZ\", \"WEB_*\"]"
    ),
    key!(
        "env-deny",
        Shape::CheckedTexts { check: prepared::pattern, set: |draft, patterns| draft.prepared.env_deny = patterns },
        "none",
        RUNNING,
        Change::Restart,
        "Which variables of the environment of svc it does not get, as patterns.",
        "[\"AWS_*\"]"
    ),
    key!(
        "env-dir",
        Shape::Texts(|draft, dirs| draft.prepared.env_dirs = dirs),
        "none",
        RUNNING,
        Change::Restart,
        "Directories with a file for each variable, read at each start, relative to the service directory; an empty file \
         removes one.",
        "\"/run/s6/container_environment\""
    ),
    key!(
        "links",
        Shape::CheckedTexts { check: crate::conditions::linked, set: |draft, links| draft.prepared.links = links },
        "none",
        RUNNING,
        Change::Restart,
        "Containers that it speaks to: for mysql, MYSQL_HOST is set to mysql if that is linked, and stays as it is otherwise.",
        "[\"mysql\", \"redis\"]"
    ),
    key!(
        "secret-variables",
        Shape::CheckedTexts { check: prepared::pattern, set: |draft, patterns| draft.prepared.secret_variables = patterns },
        "none",
        RUNNING,
        Change::Restart,
        "Variables X, as patterns, that are taken from the file which X_FILE or FILE__X names.",
        "[\"DB_PASSWORD\", \"API_*\"]"
    ),
    key!(
        "secrets",
        Shape::Sources { check: prepared::variable, set: |draft, secrets| draft.prepared.secrets = secrets },
        "none",
        RUNNING,
        Change::Restart,
        "Variables that are set to what a file says; a name without a slash is one of /run/secrets.",
        "{ DB_PASSWORD = \"db-password\" }"
    ),
    key!(
        "credentials",
        Shape::Sources { check: prepared::credential, set: |draft, credentials| draft.prepared.credentials = credentials },
        "none",
        RUNNING,
        Change::Restart,
        "Files that are copied to the directory CREDENTIALS_DIRECTORY, where only user can read them (mode 0400), for as long as \
         the service runs; a name without a slash is one of /run/secrets.",
        "{ \"tls.key\" = \"/private/ssl/key.pem\" }"
    ),
    key!(
        "certificates",
        Shape::Texts(|draft, places| draft.prepared.certificates = places),
        "those of the image",
        RUNNING,
        Change::Restart,
        "Files and directories with more certificates (PEM) that programs are to trust: SSL_CERT_FILE and its like name a bundle \
         of these and those that they named before, or those of the image.",
        "[\"/certs\"]"
    ),
    key!(
        "volumes",
        Shape::Records {
            fields: &[Field { name: "path", required: true, check: Check::Text }, MODE],
            set: |draft, volumes| draft.prepared.volumes = volumes
        },
        "none",
        RUNNING,
        Change::Restart,
        "Everything below these paths is made to belong to user, and to have a mode if one is given; what is right already is \
         left alone.",
        "[\"/data\", { path = \"/cache\", mode = \"0640\" }]"
    ),
    key!(
        "templates",
        Shape::Records {
            fields: &[
                Field { name: "from", required: true, check: Check::Text },
                Field { name: "to", required: true, check: Check::Text },
                Field { name: "language", required: false, check: Check::Choice(LANGUAGES) },
                MODE,
                Field { name: "owner", required: false, check: Check::Text },
            ],
            set: |draft, templates| draft.prepared.templates = templates
        },
        "none",
        RUNNING,
        Change::Restart,
        "Files that are made of templates before each start, from the variables that it gets: ${NAME} with the defaults of a \
         shell, or Jinja where the template is called .j2. With the language copy they are copies, with copy-if-there only where there \
         is something to copy.",
        "[{ from = \"web.conf.tmpl\", to = \"/etc/web.conf\", mode = \"0640\" }]"
    ),
    key!(
        "distributions",
        Shape::Records {
            fields: &[
                Field { name: "from", required: true, check: Check::Text },
                Field { name: "to", required: true, check: Check::Text },
                Field { name: "version", required: false, check: Check::Text },
                MODE,
                Field { name: "owner", required: false, check: Check::Text },
                Field { name: "how", required: false, check: Check::Choice(&["copy", "link"]) },
            ],
            set: |draft, distributions| draft.prepared.distributions = distributions
        },
        "none",
        RUNNING,
        Change::Restart,
        "Directories whose artefacts are put where the program looks for them, before each start and when the file version (which \
         is put there last) is another one: those that differ, as copies of user or links; what is gone there is removed.",
        "[{ from = \"/distribution/modules\", to = \"/data/modules\", version = \"../VERSION\" }]"
    ),
    key!(
        "json",
        Shape::Texts(|draft, wanted| draft.prepared.json = wanted),
        "none",
        RUNNING,
        Change::Restart,
        "Variables that must have JSON in them, or the absolute path of a file that has, and files (with a slash in their names): \
         where one is wrong, the log says where, and it is not started.",
        "[\"WEB_CONFIG\", \"/etc/web.json\"]"
    ),
    key!(
        "uid",
        Shape::Number { least: 0, most: 4_294_967_294, set: |draft, uid| draft.prepared.uid = Some(uid) },
        "that of user",
        RUNNING,
        Change::Restart,
        "The uid of user in place of the one in /etc/passwd, which stays as it is.",
        "\"${PUID:-1000}\""
    ),
    key!(
        "gid",
        Shape::Number { least: 0, most: 4_294_967_294, set: |draft, gid| draft.prepared.gid = Some(gid) },
        "that of user",
        RUNNING,
        Change::Restart,
        "The gid of user in place of the one in /etc/passwd, which stays as it is.",
        "\"${PGID:-1000}\""
    ),
    key!(
        "marker",
        Shape::Text(|draft, marker| draft.prepared.marker = Some(marker)),
        "none: up runs at each start",
        &[Kind::Oneshot],
        Change::Holds,
        "A file that is made when up has succeeded; where it is there, up has been done before, and is not run.",
        "\"/data/.initialised\""
    ),
];
