//! The man page, made from the table of arguments: docs/man/svc-ctl.1 is what this prints, and a test compares them.

use std::io;

use clap_mangen::Man;

use crate::args::visible;
use crate::exit::{Code, Failure};
use crate::output::Output;

pub fn print(out: &mut Output) -> Result<Code, Failure> {
    let page = page().map_err(|error| Failure::system(format!("cannot make the man page: {error}")))?;
    out.text(&page)?;
    out.flush()?;
    Ok(Code::Done)
}

fn page() -> io::Result<String> {
    let mut command = visible();
    command.build();
    let man = Man::new(command.clone()).section("1").manual("svc").date("");
    let mut head = Vec::new();
    man.render_title(&mut head)?;
    man.render_name_section(&mut head)?;
    man.render_synopsis_section(&mut head)?;
    man.render_description_section(&mut head)?;
    let mut options = Vec::new();
    man.render_options_section(&mut options)?;
    let commands: Vec<String> = command.get_subcommands().map(section).collect::<io::Result<_>>()?;
    Ok([QUOTE, &body(&head), NAMES, &body(&options), ".SH COMMANDS\n", &commands.concat(), REST].concat())
}

/// A command as a part of the page, where clap_mangen would make a page of its own.
fn section(command: &clap::Command) -> io::Result<String> {
    let everywhere = |argument: &&clap::Arg| argument.is_global_set() || argument.get_id() == "help";
    let ids: Vec<clap::Id> = command.get_arguments().filter(everywhere).map(|argument| argument.get_id().clone()).collect();
    let shown = ids.into_iter().fold(command.clone(), |command, id| command.mut_arg(id, |argument| argument.hide(true)));
    let man = Man::new(shown);
    let mut part = Vec::new();
    man.render_synopsis_section(&mut part)?;
    part.extend_from_slice(b".PP\n");
    man.render_description_section(&mut part)?;
    man.render_options_section(&mut part)?;
    let text: String = body(&part).lines().filter(|line| !line.starts_with(".SH")).map(|line| format!("{line}\n")).collect();
    Ok(format!(".SS {}\n{text}", command.get_name().replace('-', "\\-")))
}

/// What was rendered without the definitions that roff puts before each part.
fn body(rendered: &[u8]) -> String {
    let text = String::from_utf8_lossy(rendered);
    text.lines()
        .filter(|line| !line.starts_with(".ie ") && !line.starts_with(".el "))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// How an apostrophe is written, for groff and for others.
const QUOTE: &str = r".ie \n(.g .ds Aq \(aq
.el .ds Aq '
";

const NAMES: &str = r".PP
.I NAME
is a service,
.B web/log
the logger of the service
.BR web .
A glob stands for every service that matches:
.B *
and
.B ?
do not match the / of a logger\(aqs name,
.B **
does, and
.B {a,b}
and
.B [a\-z]
work as in a shell.
Quote globs, or the shell reads them first.
Without a command, the services are listed as by
.BR status .
";

const REST: &str = r#".SH "EXIT STATUS"
With several services, the greatest weight counts: 111, then 102, 99, 1 and 0.
.TP
.B 0
Done.
.TP
.B 1
It failed; the message says why.
For
.BR health :
a service that is wanted up is not.
.TP
.B 99
The time of
.B \-\-timeout
has passed, or svc does not answer.
.TP
.B 100
Wrong usage.
.TP
.B 102
There is no such service.
.TP
.B 111
System error: no svc is running, the socket may not be used, or the connection was lost.
.SH ENVIRONMENT
.TP
.B SVC_RUN_DIR
The directory of the control socket; nothing else is tried then.
.TP
.B XDG_RUNTIME_DIR
Its directory svc is the second place to look at.
.SH FILES
The control socket is the first of these that answers:
.PP
.nf
/run/svc/control.sock
$XDG_RUNTIME_DIR/svc/control.sock
/tmp/svc\-UID/control.sock, the own uid first, and /dev/shm/svc\-UID\-N/run/svc/control.sock
@svc/control/N (in the abstract namespace; N is the number of the mount namespace)
.fi
.SH EXAMPLES
.nf
svc\-ctl
svc\-ctl restart web \(aqworker*\(aq
svc\-ctl wait \-\-ready \-\-timeout 30 postgres && ./migrate
svc\-ctl logs \-f \-n 20 web
svc\-ctl status \-\-json | jq \-r \(aq.services[] | select(.state == "failed") | .name\(aq
.fi
.SH "SEE ALSO"
docs/svc\-ctl.md and docs/openapi.yaml in the source of svc
"#;

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_in_docs_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/man/svc-ctl.1");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        let page = super::page().expect("a page in memory");
        assert!(written == page, "make it anew: cargo run -p svc-ctl --example svc-ctl -- man > docs/man/svc-ctl.1");
    }
}
