//! From the text of a template to the text of a file. No file is touched here.
//!
//! Two languages: `${NAME}` of envsubst, with the defaults and demands of a shell, and that of Jinja for conditions and loops.

use std::fmt;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use crate::Variable;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `${NAME}`, `${NAME:-TEXT}`, `${NAME:+TEXT}` and `${NAME:?MESSAGE}`.
    Variables,
    Jinja,
    /// Nothing is put in.
    Copy,
    /// The same, and where there is nothing to copy there is nothing to do.
    CopyIfThere,
}

impl Language {
    pub const NAMES: [(&'static str, Language); 4] = [
        ("variables", Language::Variables),
        ("jinja", Language::Jinja),
        ("copy", Language::Copy),
        ("copy-if-there", Language::CopyIfThere),
    ];

    /// By the end of its name, as editors do.
    pub fn of(file_name: &str) -> Language {
        let ends = [".j2", ".jinja", ".jinja2"];
        if ends.iter().any(|end| file_name.ends_with(end)) { Language::Jinja } else { Language::Variables }
    }
}

/// What is wrong with a template, and where.
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

/// The text with everything put in, or everything that is wrong with it.
pub fn render(text: &str, language: Language, variables: &[Variable]) -> Result<String, Vec<Fault>> {
    match language {
        Language::Variables => substitute(text, variables),
        Language::Copy | Language::CopyIfThere => Ok(text.to_owned()),
        Language::Jinja => jinja(text, variables).map_err(|fault| vec![fault]),
    }
}

fn value<'a>(variables: &'a [Variable], name: &str) -> Option<&'a str> {
    variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// All faults are told at once: who writes a template wants to cure them in one go.
fn substitute(text: &str, variables: &[Variable]) -> Result<String, Vec<Fault>> {
    let (mut rendered, mut rest, mut line, mut faults) = (String::with_capacity(text.len()), text, 1, Vec::new());
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        line += lines(before);
        if let Some(before) = before.strip_suffix('$') {
            rendered += before;
            rendered += "${";
            rest = after;
            continue;
        }
        rendered += before;
        let Some((inside, after)) = closed(after) else {
            faults.push(Fault { line, what: "a ${ without its }: write $${ for the two letters themselves".into() });
            rest = after;
            continue;
        };
        match expression(inside, variables) {
            Ok(value) => rendered += &value,
            Err(what) => faults.push(Fault { line, what }),
        }
        line += lines(inside);
        rest = after;
    }
    rendered += rest;
    if faults.is_empty() { Ok(rendered) } else { Err(faults) }
}

fn lines(text: &str) -> usize {
    text.bytes().filter(|&byte| byte == b'\n').count()
}

/// What stands before the `}` that closes it, and what follows: a default may have an expression in it.
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

fn expression(inside: &str, variables: &[Variable]) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = inside.find(|c: char| !is_name(c)).unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(unknown(inside));
    }
    // Without the colon a variable that is empty counts as set.
    let (counts_empty, operator) = match rest.strip_prefix(':') {
        Some(operator) => (false, operator),
        None => (true, rest),
    };
    let set = value(variables, name).filter(|value| counts_empty || !value.is_empty());
    let inner = |text: &str| {
        substitute(text, variables).map_err(|faults| faults.into_iter().map(|f| f.what).collect::<Vec<_>>().join("; "))
    };
    match (operator.chars().next(), set) {
        (None, Some(value)) if rest.is_empty() => Ok(value.to_owned()),
        (None, None) if rest.is_empty() => {
            Err(format!("{name} is not set: set it, or write ${{{name}:-TEXT}} for what holds then"))
        }
        (Some('-' | '?'), Some(value)) => Ok(value.to_owned()),
        (Some('-'), None) => inner(&operator[1..]),
        (Some('+'), Some(_)) => inner(&operator[1..]),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), None) => {
            let message = &operator[1..];
            Err(format!("{name} is not set: {}", if message.is_empty() { "it is needed here" } else { message }))
        }
        (None | Some(_), Some(_) | None) => Err(unknown(inside)),
    }
}

fn unknown(inside: &str) -> String {
    format!(
        "${{{inside}}} is nothing that is known: there are ${{NAME}}, ${{NAME:-TEXT}}, ${{NAME:+TEXT}} and ${{NAME:?MESSAGE}}; $${{ is ${{ itself"
    )
}

/// Every variable is known by its name, and all of them as `env`.
fn jinja(text: &str, variables: &[Variable]) -> Result<String, Fault> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // The lines of a configuration file are those of its template, without empty ones where a condition stood.
    let mut lines = SyntaxConfig::builder();
    lines.keep_trailing_newline(true).trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(lines.build().expect("the delimiters are the usual ones"));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    let pairs = || variables.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    let context = Value::from_pairs(pairs().chain([("env".to_owned(), Value::from_pairs(pairs()))]));
    environment.render_str(text, context).map_err(|error| fault(&error, text, variables))
}

fn fault(error: &minijinja::Error, text: &str, variables: &[Variable]) -> Fault {
    let line = error.line().unwrap_or(1);
    let what = match (error.kind(), missing(text, line, variables)) {
        (ErrorKind::UndefinedError, Some(name)) => {
            format!("{name} is not set: set it, or write {{{{ {name} | default(\"TEXT\") }}}} for what holds then")
        }
        _ => match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        },
    };
    Fault { line, what }
}

/// The engine says where something is undefined, and not what: a name on that line which no variable has.
fn missing(text: &str, line: usize, variables: &[Variable]) -> Option<String> {
    let line = text.lines().nth(line - 1)?;
    let environment = Environment::new();
    let parsed = environment.template_from_str(text).ok()?;
    let mut names: Vec<String> = parsed.undeclared_variables(true).into_iter().collect();
    names.sort();
    let bare = |name: &str| name.strip_prefix("env.").unwrap_or(name).to_owned();
    let in_line = |name: &String| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == name);
    names.iter().map(|name| bare(name)).find(|name| value(variables, name).is_none() && in_line(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Vec<Variable> {
        [("PORT", "80"), ("EMPTY", ""), ("HOSTS", "a b")].map(|(name, value)| (name.into(), value.into())).into()
    }

    fn plain(text: &str) -> Result<String, Vec<Fault>> {
        render(text, Language::Variables, &variables())
    }

    fn rich(text: &str) -> Result<String, Vec<Fault>> {
        render(text, Language::Jinja, &variables())
    }

    #[test]
    fn variables_are_put_in() {
        for (text, rendered) in [
            ("listen ${PORT};", "listen 80;"),
            ("$uri $PORT $$ $", "$uri $PORT $$ $"),
            ("$${PORT}", "${PORT}"),
            ("[${EMPTY}] [${EMPTY:-x}] [${EMPTY-x}]", "[] [x] []"),
            ("${NONE:-a ${PORT} b}", "a 80 b"),
            ("[${PORT:+on}] [${NONE:+on}]", "[on] []"),
            ("${PORT:?needed}", "80"),
        ] {
            assert_eq!(plain(text), Ok(rendered.to_owned()), "{text}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let faults = plain("a\n${NONE}\n${EMPTY:?must be given}\n\n${1}\n${PORT").expect_err("four faults");
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [2, 3, 5, 6]);
        assert!(faults[0].what.starts_with("NONE is not set: set it, or write ${NONE:-TEXT}"), "{}", faults[0]);
        assert_eq!(faults[1].what, "EMPTY is not set: must be given");
        assert!(faults[2].what.contains("nothing that is known"), "{}", faults[2]);
        assert!(faults[3].what.contains("without its }"), "{}", faults[3]);
    }

    #[test]
    fn conditions_and_loops() {
        let text = "{% for host in HOSTS | split(\" \") %}\nserver {{ host }}:{{ PORT }};\n{% endfor %}\n{% if env.NONE is defined %}\nno\n{% endif %}\n{{ NONE | default(\"x\") }}\n";
        assert_eq!(rich(text), Ok("server a:80;\nserver b:80;\nx\n".to_owned()));
    }

    #[test]
    fn what_jinja_misses_is_named() {
        let faults = rich("a\nb {{ PORT }}\nc {{ DB_HOST }}\n").expect_err("a fault");
        assert_eq!(faults[0].line, 3);
        assert!(faults[0].what.starts_with("DB_HOST is not set"), "{}", faults[0]);
        let faults = rich("a {{ env.SECRET }}\n").expect_err("a fault");
        assert!(faults[0].what.starts_with("SECRET is not set"), "{}", faults[0]);
        let faults = rich("a\n{% if %}").expect_err("a fault");
        assert_eq!(faults[0].line, 2);
    }

    #[test]
    fn the_language_is_that_of_the_name() {
        assert_eq!(Language::of("nginx.conf.j2"), Language::Jinja);
        assert_eq!(Language::of("nginx.conf.tmpl"), Language::Variables);
    }
}
