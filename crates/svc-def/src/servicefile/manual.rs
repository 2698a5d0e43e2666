//! service.toml(5), from the table of keys.

use super::keys::{self, Shape};
use super::probes;
use super::values::{Check, Field};

/// The man page.
pub fn manual() -> String {
    let mut page = String::from(HEAD);
    for key in keys::all() {
        page += &format!(".TP\n.B {}\n{}\n", escaped(key.name), escaped(key.about));
        let kinds: Vec<&str> = key.within.iter().map(|kind| kind.name()).collect();
        page += &format!(
            ".br\nValue: {}; for: {}. Default: {}. A change {}. Since {}.\n.br\nExample: {} = {}\n",
            escaped(&value(&key.shape)),
            kinds.join(", "),
            escaped(key.default),
            key.change.about(),
            key.since,
            escaped(key.name),
            escaped(key.example)
        );
    }
    page + TAIL
}

fn value(shape: &Shape) -> String {
    match shape {
        Shape::Word { known, .. } => return format!("one of {}", known.join(", ")),
        Shape::Number { least, most, .. } => return format!("a number from {least} to {most}"),
        Shape::Policy(kind) => return kind.about(),
        Shape::Records { fields, .. } => return tables(fields),
        Shape::Kind(_) => "process, forking, oneshot, bundle, milestone or timer",
        Shape::Checked { .. } => "a text",
        Shape::CheckedTexts { .. } => "a text, or a list of texts",
        Shape::Flag(_) => "true or false",
        Shape::Span(_) => "a time with its unit (ms, s, m, h, d), or 0",
        Shape::Pause(_) => "a time with its unit (ms, s, m, h, d)",
        Shape::Signal(_) => "a signal: \"TERM\", \"SIGTERM\", \"RTMIN+3\" or \"15\"",
        Shape::Mask(_) => "octal digits in quotes",
        Shape::Text(_) => "a text",
        Shape::Who(_) => "a text or a number",
        Shape::Whose(_) => "a list of names and numbers",
        Shape::Texts(_) => "a text, or a list of texts",
        Shape::Variables(_) => "a list of names",
        Shape::Command(_) => "a list of words, or one text",
        Shape::Names(_) => "a list of services",
        Shape::Relations(svc_core::graph::Relation::Needs(_)) => {
            "a list of services, or of tables with on, until (started, ready, healthy, completed; ready if not given) and bond (start, \
             stay, follow; stay if not given)"
        }
        Shape::Relations(_) => {
            "a list of services, or of tables with on and until (started, ready, healthy, completed; ready if not given)"
        }
        Shape::Instances(_) => "a number, a list of names, or a text with a *",
        Shape::Assignments(_) => "a table of texts, numbers, true and false, and of tables with command and timeout",
        Shape::Sources { .. } => "a table of files",
        Shape::Form { wanted, .. } => wanted,
        Shape::Words { .. } => "a list of names",
        Shape::Files(_) => "a table of files",
        Shape::Limits(_) => "a table of limits",
        Shape::Sockets(_) => {
            "a list of addresses, or of tables with listen, name (listen if not given), mode, user, group (of a path), backlog (4096), \
             reuse-port, dual-stack (an address of IPv6 takes IPv4 too)"
        }
        Shape::Stop(kind) => kind.about(),
        Shape::Start(_) => "true, false or \"on-demand\"",
        Shape::Senders(_) => "true (as \"main\"), \"main\" or \"all\"",
        Shape::Remedy(_) => "report, restart, reload or stop-container",
        Shape::Probe(probes::Kind::Exec, _) => "a list of words, or one text",
        Shape::Probe(probes::Kind::Http, _) => {
            "a URL, or a table with url, status (a number, a range such as \"200-299\", or a list), header (a table) and body (a \
             regular expression)"
        }
        Shape::Probe(probes::Kind::Tcp | probes::Kind::Unix | probes::Kind::File | probes::Kind::Log, _) => "a text",
    }
    .to_owned()
}

/// The fields of a table of a list, those first that it must have.
fn tables(fields: &[Field]) -> String {
    let one = |field: &Field| match field.check {
        Check::Text => field.name.to_owned(),
        Check::Mode => format!("{} (octal digits in quotes)", field.name),
        Check::Choice(names) => format!("{} ({})", field.name, names.join(", ")),
    };
    let all = |required| fields.iter().filter(move |field| field.required == required).map(one).collect::<Vec<String>>();
    let (must, may) = (all(true), all(false).join(", "));
    let alone = if must.len() == 1 { format!("; a text is a table with {} alone", must[0]) } else { String::new() };
    format!("a list of tables with {}, and maybe {may}{alone}", must.join(" and "))
}

/// Text of a man page: hyphens and backslashes are to be copied as they are.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

const HEAD: &str = r#".\" Written by UPDATE_DOCS=1 cargo test -p svc-def servicefile: change the table of keys, not this page.
.TH service.toml 5 "" "svc" "File formats"
.SH NAME
service.toml \- a service of svc in one file
.SH SYNOPSIS
.I SCANDIR/NAME/service.toml
.br
.I SCANDIR/NAME/service.toml.d/*.toml
.br
.I SCANDIR/NAME.toml
.br
.I SCANDIR/NAME.toml.d/*.toml
.SH DESCRIPTION
A service directory with a file service.toml in it says in this file all there is to say about the service; so does a file NAME.toml
in a scan directory, which runs in the directory that it stands in. Where NAME ends in @ it is a template. The file is TOML. A key
that is not listed here is an error, and so is a file of another form beside it (run, type, and those that go with them). Every
error is told at once, with file, line and column.
.PP
The files in service.toml.d are merged over service.toml in the order of their names: a value takes the place of the one before,
lists included; tables grow together. Of several keys of which a service has one (ready.tcp and its kind, health.tcp and its kind, cron
and every) that of the last file counts, and what earlier files say that means something beside the replaced one alone goes with it:
zone with cron, every\-from with every, ready.interval and ready.timeout with what they are for, idle\-stop with start = "on\-demand".
.PP
In every text, ${NAME} stands for a variable of the environment of svc, which must be set, and ${NAME:\-TEXT} for TEXT where it is
not set, or empty. Numbers and flags may be written as such a text. $${ stands for ${.
.PP
A time has a unit: "500ms", "1.5s", "2m", "1h", "1d"; the longest is "365000d". A size has one too: "64MiB", "10kB".
.PP
After a change, svc\-ctl rescan applies it. Each key says below what a change of its value does to a running service. A file
that is wrong changes nothing: the service goes on as it was.
.PP
With bond = "stay", stopping what is needed stops this service too; if that only restarts or fails, this one runs on. "follow" also
restarts it when that restarts, and stops it when that fails. "start" asks for it at the start only.
.SH KEYS
"#;

const TAIL: &str = r".SH SEE ALSO
.BR svc\-ctl (1),
.BR svc\-service (5),
.BR svc\-scan (8),
.BR setrlimit (2),
.BR signal (7)
";
