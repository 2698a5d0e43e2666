//! Conditions of a service.toml: what must hold where it is to run, as people write it. Whether it does is svc-scan's to find out.

use svc_core::endpoint;

use crate::problem::{printable, quoted};

/// What must hold for a service; if it does not, the service is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    pub env: Vec<EnvCondition>,
    pub files: Vec<FileCondition>,
    pub command: Option<CommandCondition>,
    /// One of those that are not denied must be there, and none of the others.
    pub profiles: Vec<Named>,
    /// Others that must be linked, or be named by a variable.
    pub links: Vec<Named>,
    pub arch: Vec<Named>,
    pub otherwise: Otherwise,
}

impl Conditions {
    pub(crate) fn are_none(&self) -> bool {
        let Conditions { env, files, command, profiles, links, arch, otherwise: _ } = self;
        env.is_empty() && files.is_empty() && command.is_none() && profiles.is_empty() && links.is_empty() && arch.is_empty()
    }
}

/// What happens to what depends on a service that is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// It starts, as if the service were there.
    #[default]
    Skip,
    /// What needs it is blocked.
    Fail,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvCondition {
    pub not: bool,
    pub name: String,
    pub test: EnvTest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvTest {
    Set,
    Equals(String),
    /// An extended regular expression.
    Matches(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCondition {
    pub not: bool,
    pub test: FileTest,
    /// Relative to the service directory.
    pub path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileTest {
    Exists,
    NotEmpty,
    Directory,
    Executable,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandCondition {
    pub not: bool,
    /// The words behind `svc exec`.
    pub chain: Vec<Vec<u8>>,
    /// As it is written.
    pub words: Vec<String>,
}

/// A name that must be there, or must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub not: bool,
    pub name: String,
}

/// What the machines are called that svc is built for, and what else people call them.
const MACHINES: [(&str, &str); 12] = [
    ("x86_64", "x86_64"),
    ("amd64", "x86_64"),
    ("aarch64", "aarch64"),
    ("arm64", "aarch64"),
    ("arm", "arm"),
    ("armv7", "arm"),
    ("riscv64", "riscv64"),
    ("powerpc64", "powerpc64"),
    ("ppc64le", "powerpc64"),
    ("s390x", "s390x"),
    ("x86", "x86"),
    ("386", "x86"),
];

/// Takes off the sign that turns it round.
fn denied(text: &str) -> (bool, &str) {
    text.strip_prefix('!').map_or((false, text), |rest| (true, rest.trim_start()))
}

/// `NAME`, `NAME=VALUE`, `NAME=~EXPRESSION`, each maybe behind a `!`.
pub(crate) fn env(text: &str) -> Result<EnvCondition, String> {
    let (not, rest) = denied(text);
    let (name, test) = match rest.split_once('=') {
        None => (rest, EnvTest::Set),
        Some((name, value)) => match value.strip_prefix('~') {
            None => (name, EnvTest::Equals(value.into())),
            Some(expression) => {
                endpoint::check_regex(expression)
                    .map_err(|what| format!("has {}, which is no regular expression: it {what}", quoted(text.as_bytes())))?;
                (name, EnvTest::Matches(expression.into()))
            }
        },
    };
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(format!("has {}, and must have NAME, NAME=VALUE or NAME=~EXPRESSION", quoted(text.as_bytes())));
    }
    Ok(EnvCondition { not, name: name.into(), test })
}

/// A path, maybe behind what it must be, and maybe behind a `!`.
pub(crate) fn file(text: &str) -> Result<FileCondition, String> {
    const TESTS: [(&str, FileTest); 4] = [
        ("exists", FileTest::Exists),
        ("not-empty", FileTest::NotEmpty),
        ("directory", FileTest::Directory),
        ("executable", FileTest::Executable),
    ];
    let (not, rest) = denied(text);
    let (test, path) = match rest.split_once(':').filter(|(word, _)| !word.contains('/')) {
        None => (FileTest::Exists, rest),
        Some((word, path)) => match TESTS.iter().find(|(known, _)| *known == word) {
            Some((_, test)) => (*test, path),
            None => {
                let known: Vec<&str> = TESTS.iter().map(|(name, _)| *name).collect();
                return Err(format!(
                    "has {}, which is unknown: write PATH, or one of {} in front of :PATH",
                    quoted(word.as_bytes()),
                    known.join(", ")
                ));
            }
        },
    };
    if path.is_empty() {
        return Err(format!("has {}, which names no file", quoted(text.as_bytes())));
    }
    Ok(FileCondition { not, test, path: path.into() })
}

pub(crate) fn profile(text: &str) -> Result<Named, String> {
    let (not, name) = denied(text);
    if name.is_empty() || name.contains([',', ' ']) {
        return Err(format!("has {}, and must have the name of a profile", quoted(text.as_bytes())));
    }
    Ok(Named { not, name: name.into() })
}

pub(crate) fn link(text: &str) -> Result<Named, String> {
    let (not, name) = denied(text);
    linked(name).map(|()| Named { not, name: name.into() })
}

/// The name of a container, as variables of others have it.
pub(crate) fn linked(name: &str) -> Result<(), String> {
    if name.is_empty() || name.contains(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)) {
        return Err(format!("has {}, and must have the name that a container is linked by", quoted(name.as_bytes())));
    }
    Ok(())
}

pub(crate) fn arch(text: &str) -> Result<Named, String> {
    let (not, name) = denied(text);
    match MACHINES.iter().find(|(known, _)| *known == name) {
        Some((_, machine)) => Ok(Named { not, name: (*machine).into() }),
        None => {
            let known: Vec<&str> = MACHINES.iter().map(|(name, _)| *name).collect();
            Err(format!("has {}, which is unknown: there are {}", quoted(text.as_bytes()), known.join(", ")))
        }
    }
}

/// An endpoint outside that must answer before a service starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// HOST:PORT.
    Tcp(String),
    Http(endpoint::Url),
    /// A name that must have an address.
    Dns(String),
    /// A socket that must take a connection.
    Unix(String),
    File(String),
}

/// `tcp://HOST:PORT`, `http://HOST:PORT/PATH`, `dns:NAME`, `unix:PATH`, `file:PATH`.
pub(crate) fn wait_for(text: &str) -> Result<(String, Endpoint), String> {
    const FORM: &str = "write tcp://HOST:PORT, http://HOST:PORT/PATH, dns:NAME, unix:PATH or file:PATH";
    let fault = || format!("has {}, which is no endpoint: {FORM}", quoted(text.as_bytes()));
    let path = |path: &str| {
        let absolute = path.starts_with('/');
        absolute
            .then(|| path.to_owned())
            .ok_or_else(|| format!("has {}, whose path must begin with /", quoted(text.as_bytes())))
    };
    let (kind, rest) = text.split_once(':').ok_or_else(fault)?;
    let told = |what: String| format!("has {}: {what}", quoted(text.as_bytes()));
    let found = match kind {
        "tcp" => {
            let place = rest.strip_prefix("//").unwrap_or(rest).trim_end_matches('/');
            let place = endpoint::place(place).map_err(told)?;
            return Ok((place.clone(), Endpoint::Tcp(place)));
        }
        "http" | "https" => Endpoint::Http(endpoint::Url::parse(text).map_err(told)?),
        "dns" if !rest.is_empty() && !rest.contains(['/', ':', ' ']) => Endpoint::Dns(rest.into()),
        "unix" => Endpoint::Unix(path(rest)?),
        "file" => Endpoint::File(path(rest.strip_prefix("//").unwrap_or(rest))?),
        _ => return Err(fault()),
    };
    Ok((printable(text.as_bytes()), found))
}
