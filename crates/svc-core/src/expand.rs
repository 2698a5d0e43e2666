//! Variables in a text: `${NAME}`, with the defaults and demands of a shell. Texts of a service.toml and templates mean the same.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Where variables come from.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is wrong with a text, and in which of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub line: usize,
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.what)
    }
}

/// A text with its variables put in.
#[derive(Debug, PartialEq, Eq)]
pub struct Expanded {
    pub text: String,
    /// There was at least one.
    pub has_variables: bool,
}

/// Puts variables in. `$${` stands for `${`; every other `$` for itself. All faults are told at once: who writes a text wants to cure
/// them in one go.
pub fn expand(text: &str, variable: Variable<'_>) -> Result<Expanded, Vec<Fault>> {
    let (mut expanded, mut rest, mut line, mut faults) = (String::with_capacity(text.len()), text, 1, Vec::new());
    let mut has_variables = false;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        line += lines(before);
        if let Some(before) = before.strip_suffix('$') {
            expanded += before;
            expanded += "${";
            rest = after;
            continue;
        }
        expanded += before;
        let Some((inside, after)) = closed(after) else {
            faults.push(Fault { line, what: "a ${ without its }: write $${ for the two letters themselves".into() });
            rest = after;
            continue;
        };
        match expression(inside, variable) {
            Ok(value) => expanded += &value,
            Err(what) => faults.push(Fault { line, what }),
        }
        line += lines(inside);
        (rest, has_variables) = (after, true);
    }
    expanded += rest;
    if faults.is_empty() { Ok(Expanded { text: expanded, has_variables }) } else { Err(faults) }
}

fn lines(text: &str) -> usize {
    text.bytes().filter(|&byte| byte == b'\n').count()
}

/// What stands before the `}` that closes it, and what follows: there may be another expression inside.
fn closed(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' if text[..at].ends_with('$') => depth += 1,
            '}' if depth == 0 => return Some((&text[..at], &text[at + 1..])),
            '}' => depth -= 1,
            _other => {}
        }
    }
    None
}

/// The name that an expression begins with, and what follows. A name may have others in it: `${${INSTANCE}_PORT}`.
fn name<'a>(inside: &'a str, variable: Variable<'_>) -> Result<(String, &'a str), String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (mut name, mut rest) = (String::new(), inside);
    loop {
        let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
        name += &rest[..end];
        rest = &rest[end..];
        match rest.strip_prefix("${").and_then(closed) {
            Some((inner, after)) => {
                name += &expression(inner, variable)?;
                rest = after;
            }
            None => break,
        }
    }
    let is_one = !name.is_empty() && name.chars().all(is_name) && !name.starts_with(|c: char| c.is_ascii_digit());
    if is_one { Ok((name, rest)) } else { Err(unknown(inside)) }
}

fn expression(inside: &str, variable: Variable<'_>) -> Result<String, String> {
    let (name, rest) = name(inside, variable)?;
    // Without the colon a variable that is empty counts as set.
    let (counts_empty, operator) = match rest.strip_prefix(':') {
        Some(operator) => (false, operator),
        None => (true, rest),
    };
    let set = variable(&name).filter(|value| counts_empty || !value.is_empty());
    let inner = |text: &str| match expand(text, variable) {
        Ok(expanded) => Ok(expanded.text),
        Err(faults) => Err(faults.into_iter().map(|fault| fault.what).collect::<Vec<_>>().join("; ")),
    };
    match (operator.chars().next(), set) {
        (None, Some(value)) if rest.is_empty() => Ok(value),
        (None, None) if rest.is_empty() => {
            let name = start(&name);
            Err(format!("{name} is not set: set it, or write ${{{name}:-TEXT}} for what holds then"))
        }
        (Some('-' | '?'), Some(value)) => Ok(value),
        (Some('-'), None) => inner(&operator[1..]),
        (Some('+'), Some(_)) => inner(&operator[1..]),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), None) => {
            let message = &operator[1..];
            let name = start(&name);
            Err(format!("{name} is not set: {}", if message.is_empty() { "it is needed here" } else { message }))
        }
        (None | Some(_), Some(_) | None) => Err(unknown(inside)),
    }
}

/// Enough of a text to find it.
fn start(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn unknown(inside: &str) -> String {
    let inside = start(inside);
    format!(
        "${{{inside}}} is nothing that is known: there are ${{NAME}}, ${{NAME:-TEXT}}, ${{NAME:+TEXT}} and ${{NAME:?MESSAGE}}; $${{ is ${{ itself"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str) -> Result<String, Vec<Fault>> {
        let set = [("PORT", "80"), ("EMPTY", ""), ("INSTANCE", "A"), ("A_PORT", "8001")];
        let variable = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        expand(text, &variable).map(|expanded| expanded.text)
    }

    #[test]
    fn variables_are_put_in() {
        for (text, expanded) in [
            ("listen ${PORT}${PORT};", "listen 8080;"),
            ("$uri $PORT $$ $ $1", "$uri $PORT $$ $ $1"),
            ("$${PORT}", "${PORT}"),
            ("[${EMPTY}] [${EMPTY:-x}] [${EMPTY-x}] [${NONE:-}]", "[] [x] [] []"),
            ("${NONE:-a ${PORT} b}", "a 80 b"),
            ("[${PORT:+on}] [${NONE:+on}]", "[on] []"),
            ("${PORT:?needed}", "80"),
            ("${${INSTANCE}_PORT} ${${INSTANCE}_NONE:-${PORT}}", "8001 80"),
        ] {
            assert_eq!(put(text), Ok(expanded.to_owned()), "{text}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let faults = put("a\n${NONE}\n${EMPTY:?must be given}\n\n${1}\n${PORT").expect_err("four faults");
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [2, 3, 5, 6]);
        assert!(faults[0].what.starts_with("NONE is not set: set it, or write ${NONE:-TEXT}"), "{}", faults[0]);
        assert_eq!(faults[1].what, "EMPTY is not set: must be given");
        assert!(faults[2].what.contains("nothing that is known"), "{}", faults[2]);
        assert!(faults[3].what.contains("without its }"), "{}", faults[3]);
        for bad in ["${", "${}", "${A", "${A B}", "${${PORT}}", "${${NONE}}", "${${INSTANCE}_NONE}"] {
            assert!(put(bad).is_err(), "{bad}");
        }
    }
}
