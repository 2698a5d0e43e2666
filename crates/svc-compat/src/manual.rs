//! The man page of a command, made from its table.

use std::fmt::Write;

use crate::command::Command;

/// The page in roff, section 1.
pub fn page(command: &Command) -> String {
    let mut text = format!(".TH {} 1 \"\" \"svc\" \"svc\"\n", escape(&command.name.to_uppercase()));
    let _ = write!(text, ".SH NAME\n{} \\- {}\n", escape(command.name), escape(command.about));
    let _ = write!(text, ".SH SYNOPSIS\n.B {}\n", escape(command.name));
    let rest = command.synopsis().split_off(command.name.len());
    let _ = writeln!(text, "{}", escape(rest.trim_start()));
    if !command.listed().is_empty() {
        text += ".SH OPTIONS\n";
    }
    for option in command.listed() {
        let long = if option.long.is_empty() { String::new() } else { format!(", --{}", option.long) };
        let value = option.value.map_or(String::new(), |value| format!(" \\fI{}\\fR", escape(value)));
        let _ =
            write!(text, ".TP\n\\fB{}\\fR{value}\n{}\n", escape(&format!("-{}{long}", option.letter)), escape(option.about));
    }
    if !command.notes.is_empty() {
        text += ".SH NOTES\n";
        for paragraph in command.notes.split("\n\n") {
            let _ = write!(text, ".PP\n{}\n", escape(paragraph));
        }
    }
    text += ".SH EXIT STATUS\n0 on success, 100 when called wrongly, 111 when the system would not.\n";
    for (code, meaning) in command.codes {
        let _ = write!(text, ".TP\n\\fB{code}\\fR\n{}\n", escape(meaning));
    }
    text += ".SH SEE ALSO\n.BR svc (1)\n";
    text
}

/// Text as roff takes it: no request by accident, a dash that stays one.
fn escape(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
    });
    lines.collect::<Vec<String>>().join("\n")
}
