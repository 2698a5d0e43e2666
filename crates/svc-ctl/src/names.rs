//! From what the user typed to names of services: globs and suggestions. No I/O.

use fast_glob::glob_match;

use crate::exit::Failure;

/// Whether this asks for every service of a kind. `!` is not among the characters: services are chosen, never excluded.
pub fn is_glob(typed: &str) -> bool {
    typed.contains(['*', '?', '[', '{'])
}

/// One name or glob of the command line. `*` does not match the `/` of a logger's name; `**` does.
pub fn matches(typed: &str, name: &str) -> bool {
    if typed == name {
        return true;
    }
    // A leading `!` would turn the meaning of the whole around, for names that really begin with one.
    match typed.strip_prefix('!') {
        Some(_) => is_glob(typed) && glob_match(format!("\\{typed}"), name),
        None => is_glob(typed) && glob_match(typed, name),
    }
}

/// Refuses globs that cannot be read, before they silently match nothing.
pub fn check(typed: &[String]) -> Result<(), Failure> {
    for glob in typed.iter().filter(|typed| is_glob(typed)) {
        if let Err(error) = fast_glob::validate(glob) {
            return Err(Failure::usage(format!("{glob}: cannot read this glob: {error}")));
        }
    }
    Ok(())
}

/// What globs and names stand for among the services there are.
#[derive(Debug, PartialEq, Eq)]
pub struct Expanded {
    /// In the order typed, each once.
    pub names: Vec<String>,
    pub unmatched: Vec<String>,
}

/// Expands everything that was typed; a plain name that is not there is unmatched as well.
pub fn expand(typed: &[String], known: &[&str]) -> Expanded {
    let mut expanded = Expanded { names: Vec::new(), unmatched: Vec::new() };
    let mut taken = std::collections::HashSet::new();
    for typed in typed {
        let mut found = false;
        for name in known.iter().filter(|name| matches(typed, name)) {
            found = true;
            if taken.insert(*name) {
                expanded.names.push(name.to_string());
            }
        }
        if !found {
            expanded.unmatched.push(typed.clone());
        }
    }
    expanded
}

/// The service that was probably meant: the nearest by edit distance, else the only one that begins alike.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1);
    let near = known
        .iter()
        .map(|candidate| (strsim::osa_distance(name, candidate), *candidate))
        .filter(|&(distance, _)| distance <= limit)
        .min();
    if let Some((_, candidate)) = near {
        return Some(candidate);
    }
    let mut alike = known.iter().filter(|candidate| name.len() > 1 && candidate.starts_with(name));
    alike.next().filter(|_| alike.next().is_none()).copied()
}

/// The message for a name that nobody has.
pub fn unknown(typed: &str, known: &[&str]) -> String {
    if is_glob(typed) {
        return format!("{typed}: no service matches this glob");
    }
    match nearest(typed, known) {
        Some(name) => format!("{typed}: no such service; did you mean {name}?"),
        None => format!("{typed}: no such service; svc-ctl status lists them all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 6] = ["web", "web/log", "web-2", "postgres", "a[1]", "!x"];

    fn expanded(typed: &[&str]) -> Expanded {
        expand(&typed.iter().map(|typed| typed.to_string()).collect::<Vec<_>>(), &KNOWN)
    }

    #[test]
    fn a_star_does_not_reach_loggers() {
        assert_eq!(expanded(&["web*"]).names, ["web", "web-2"]);
        assert_eq!(expanded(&["*/log"]).names, ["web/log"]);
        assert_eq!(expanded(&["**"]).names, KNOWN);
        assert_eq!(expanded(&["{web,post*}"]).names, ["web", "postgres"]);
    }

    #[test]
    fn each_service_comes_once_in_the_order_typed() {
        assert_eq!(expanded(&["web-2", "web*", "web"]).names, ["web-2", "web"]);
    }

    #[test]
    fn what_matches_nothing_is_told() {
        let expanded = expanded(&["web", "zz*", "db"]);
        assert_eq!(expanded.names, ["web"]);
        assert_eq!(expanded.unmatched, ["zz*", "db"]);
    }

    #[test]
    fn odd_names_are_themselves() {
        assert_eq!(expanded(&["a[1]"]).names, ["a[1]"]);
        assert_eq!(expanded(&["!x"]).names, ["!x"]);
        assert_eq!(expanded(&["!*"]).names, ["!x"]);
    }

    #[test]
    fn globs_are_checked() {
        assert!(check(&["web*".into(), "plain".into()]).is_ok());
        assert!(check(&["[web".into()]).is_err());
        assert!(check(&["{web".into()]).is_err());
    }

    #[test]
    fn a_typing_error_is_understood() {
        assert_eq!(nearest("wbe", &KNOWN), Some("web"));
        assert_eq!(nearest("postgers", &KNOWN), Some("postgres"));
        assert_eq!(nearest("post", &KNOWN), Some("postgres"));
        assert_eq!(nearest("redis", &KNOWN), None);
        assert!(unknown("wbe", &KNOWN).ends_with("did you mean web?"));
    }
}
