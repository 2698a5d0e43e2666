//! The man page of a command, made from its table.

use std::fmt::Write;

use crate::command::Command;

/// What pages say of their age: that of the manual of this version.
const DATE: &str = "2026-11-20";

/// How long lines of roff are at most, if no word is longer.
const WIDTH: usize = 80;

/// The page in roff, section 1.
pub fn page(command: &Command) -> String {
    let mut text = format!(".TH {} 1 {DATE} \"svc\" \"svc\"\n", escape(&command.name.to_uppercase()));
    let _ = writeln!(text, ".SH NAME\n{}", escape(&format!("{} - {}", command.name, command.about)));
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
        let paragraphs: Vec<String> = command.notes.split("\n\n").map(escape).collect();
        let _ = writeln!(text, "{}", paragraphs.join("\n.PP\n"));
    }
    text += ".SH EXIT STATUS\n0 on success, 100 when called wrongly, 111 when the system would not.\n";
    for (code, meaning) in command.codes {
        let _ = write!(text, ".TP\n\\fB{code}\\fR\n{}\n", escape(meaning));
    }
    text += ".SH SEE ALSO\n.BR svc (1)\n";
    text
}

/// Text as roff takes it: no request by accident, a dash that stays one, a sentence a line, no line too long.
fn escape(text: &str) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        let ends_sentence = line.ends_with(['.', '?']);
        let word = word.replace('\\', "\\e").replace('-', "\\-");
        if !line.is_empty() && (ends_sentence || line.len() + 1 + word.len() > WIDTH) {
            lines.push(std::mem::take(&mut line));
        }
        if line.is_empty() && word.starts_with(['.', '\'']) {
            line += "\\&";
        } else if !line.is_empty() {
            line += " ";
        }
        line += &word;
    }
    lines.push(line);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_request_and_no_long_line() {
        assert_eq!(escape("a-b. 'c\\ .d? e"), "a\\-b.\n\\&'c\\e .d?\ne");
        let text = escape(&"word ".repeat(100));
        assert!(text.lines().all(|line| line.len() <= WIDTH) && text.lines().count() == 7, "{text}");
    }

    #[test]
    fn a_page_has_all_that_the_table_has() {
        for command in crate::commands() {
            let page = page(command);
            let letters = command.listed().iter().map(|option| format!("\\fB\\-{}", option.letter));
            for part in letters.chain([".SH NAME".into(), ".SH SYNOPSIS".into(), ".SH EXIT STATUS".into()]) {
                assert!(page.contains(&part), "{}: no {part}", command.name);
            }
        }
    }
}
