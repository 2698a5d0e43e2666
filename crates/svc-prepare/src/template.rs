//! From the text of a template to the text of a file. No file is touched here.
//!
//! Two languages: `${NAME}` of envsubst, with the defaults and demands of a shell, and that of Jinja for conditions and loops.

use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, UndefinedBehavior, Value, filters};
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
    // With it an error says what is undefined.
    environment.set_debug(true);
    environment.add_filter("split", split);
    environment.add_filter("lines", lines);
    // The lines of a configuration file are those of its template, without empty ones where a condition stood.
    let mut lines = SyntaxConfig::builder();
    lines.keep_trailing_newline(true).trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(lines.build().expect("the delimiters are the usual ones"));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    let pairs = || variables.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    let context = Value::from_pairs(pairs().chain([("env".to_owned(), Value::from_pairs(pairs()))]));
    environment.render_str(text, context).map_err(|error| fault(&error))
}

/// The engine's own tell of no string where nothing is given, and not of what is missing.
fn split(text: &Value, by: Option<Arc<str>>, most: Option<i64>) -> Result<Value, Error> {
    given(text).and_then(|()| filters::split(text, by, most))
}

fn lines(text: &Value) -> Result<Value, Error> {
    given(text).and_then(|()| filters::lines(text))
}

/// Undefined has no attributes, and the error says what is undefined.
fn given(value: &Value) -> Result<(), Error> {
    if value.is_undefined() { value.get_attr("").map(drop) } else { Ok(()) }
}

fn fault(error: &Error) -> Fault {
    let what = match (missing(error), error.detail()) {
        (Some(name), _) => {
            format!("{name} is not set: set it, or write {{{{ {name} | default(\"TEXT\") }}}} for what holds then")
        }
        (None, Some(detail)) => format!("{}: {detail}", error.kind()),
        (None, None) => error.kind().to_string(),
    };
    Fault { line: error.line().unwrap_or(1), what }
}

/// What the engine has found to be undefined. It has no other word for it than its message.
fn missing(error: &Error) -> Option<&str> {
    let expression = error.detail()?.split_once("` is undefined")?.0.rsplit('`').next()?;
    if expression.starts_with("(...)") {
        return None;
    }
    let key = |ends: [&str; 2]| expression.strip_prefix(ends[0])?.strip_suffix(ends[1]);
    Some([["env.", ""], ["env[\"", "\"]"], ["env['", "']"]].into_iter().find_map(key).unwrap_or(expression))
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
        for given in
            ["{% for host in NONE | split(' ') %}{{ host }}{% endfor %}", "{{ NONE | length }}", "{{ NONE | upper }}"]
        {
            let faults = rich(given).expect_err("a fault");
            assert!(faults[0].what.starts_with("NONE is not set"), "{}", faults[0]);
        }
        let faults = rich("{{ NONE | default('x') | items }}").expect_err("a fault");
        assert!(!faults[0].what.contains("NONE"), "{}", faults[0]);
        let faults = rich("a\n{% if %}").expect_err("a fault");
        assert_eq!(faults[0].line, 2);
    }

    /// Whatever else stands on its line, and has a default.
    #[test]
    fn nobody_else_is_blamed_for_what_jinja_misses() {
        for (given, name) in [
            ("{{ PORT }} {{ NONE | default('80') }} {{ env.HOST }}", "HOST"),
            ("{% if DEBUG is defined %}debug{% endif %} listen {{ HOST }};", "HOST"),
            ("{% for h in NONE | split(' ') %}x {{ HOST | default('80') }}{% endfor %}", "NONE"),
            ("{{ NONE | split(' ') }} {{ HOST | default('80') }}", "NONE"),
            ("{{ env.NONE | split(' ') }} {{ HOST | default('80') }}", "NONE"),
            ("{{ env[\"NONE\"] | split(',') }}", "NONE"),
            ("{{ env['NONE'] }}", "NONE"),
            ("{{ NONE.split(' ') }}", "NONE"),
            ("{{ NONE | upper }} {{ HOST | default('x') }}", "NONE"),
            ("{{ NONE | int + 1 }}", "NONE"),
            ("{{ NONE + 1 }}", "NONE"),
            ("{{ PORT ~ NONE }}", "NONE"),
            ("{{ HOST | default('x') ~ NONE }}", "NONE"),
            ("{% if NONE %}x{% endif %}{{ HOST | default('x') }}", "NONE"),
            ("{% if NONE == 'a' %}x{% endif %}", "NONE"),
            ("{% set x = NONE | trim %}{{ HOST | default('x') }}", "NONE"),
            ("{% for a in NONE %}{{ a }}{% endfor %}", "NONE"),
            ("{{ PORT | replace('8', NONE) }}", "NONE"),
            ("{{ PORT | default(NONE) | replace(NONE, 'x') }}", "NONE"),
            ("{{ HOST | default('x') | replace('x', NONE) }}", "NONE"),
            ("{{ (HOST | default('x') ~ '') if NONE else 'b' }}", "NONE"),
            ("{{ NONE | join(',') }}", "NONE"),
            ("{{ NONE | lines }}", "NONE"),
            ("{{ NONE | length }} {{ HOST | default('x') }}", "NONE"),
            ("{{ HOST | default(NONE) }}", "NONE"),
            ("{{ NONE\n | split(' ') }}", "NONE"),
        ] {
            let faults = rich(given).expect_err(given);
            let cure = format!("{name} is not set: set it, or write {{{{ {name} | default(\"TEXT\") }}}}");
            assert!(faults[0].what.starts_with(&cure), "{given}: {}", faults[0]);
        }
    }

    #[test]
    fn the_language_is_that_of_the_name() {
        assert_eq!(Language::of("nginx.conf.j2"), Language::Jinja);
        assert_eq!(Language::of("nginx.conf.tmpl"), Language::Variables);
    }
}
