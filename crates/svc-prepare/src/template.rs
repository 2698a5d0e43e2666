//! From the text of a template to the text of a file. No file is touched here.
//!
//! Two languages: `${NAME}` of envsubst, with the defaults and demands of a shell, and that of Jinja for conditions and loops.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};
use svc_core::expand::{Fault, expand};

use crate::Variable;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `${NAME}`, `${NAME:-TEXT}`, `${NAME:+TEXT}` and `${NAME:?MESSAGE}`.
    Variables,
    Jinja,
    /// Nothing is put in: the template is any bytes.
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

    pub(crate) fn is_copy(self) -> bool {
        match self {
            Language::Copy | Language::CopyIfThere => true,
            Language::Variables | Language::Jinja => false,
        }
    }

    /// By the end of its name, as editors do.
    pub fn of(file_name: &str) -> Language {
        let ends = [".j2", ".jinja", ".jinja2"];
        if ends.iter().any(|end| file_name.ends_with(end)) { Language::Jinja } else { Language::Variables }
    }
}

/// The text with everything put in, or everything that is wrong with it.
pub fn render(text: &str, language: Language, variables: &[Variable]) -> Result<String, Vec<Fault>> {
    match language {
        Language::Copy | Language::CopyIfThere => Ok(text.to_owned()),
        Language::Variables => expand(text, &|name| value(variables, name).map(str::to_owned)).map(|expanded| expanded.text),
        Language::Jinja => jinja(text, variables).map_err(|fault| vec![fault]),
    }
}

fn value<'a>(variables: &'a [Variable], name: &str) -> Option<&'a str> {
    variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
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

    fn rich(text: &str) -> Result<String, Vec<Fault>> {
        render(text, Language::Jinja, &variables())
    }

    #[test]
    fn variables_are_put_in() {
        let plain = |text: &str| render(text, Language::Variables, &variables());
        assert_eq!(plain("listen ${PORT};\n"), Ok("listen 80;\n".to_owned()));
        assert_eq!(plain("a\n${NONE}").map_err(|faults| faults[0].line), Err(2));
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
