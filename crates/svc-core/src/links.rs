//! Where another service is: a link of Docker's old kind, or a variable.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

type Variable = (String, String);

/// What is known of `mysql`: its `MYSQL_HOST`. A link beats the variable: who linked a container meant that one.
pub fn resolve(alias: &str, variables: &[Variable]) -> Option<Variable> {
    let prefix = prefix(alias);
    let host = format!("{prefix}_HOST");
    if is_linked(&prefix, variables) {
        return Some((host, alias.to_owned()));
    }
    variables.iter().find(|(name, value)| *name == host && !value.is_empty()).cloned()
}

/// The names of all containers that are linked. `MYSQL_NAME=/web/mysql` has it as it was written.
pub fn all(variables: &[Variable]) -> Vec<String> {
    let named = variables.iter().filter(|(name, value)| name.ends_with("_NAME") && value.starts_with('/'));
    let alias = named.filter_map(|(name, value)| Some((name, value.rsplit('/').next()?)));
    alias.filter(|(name, alias)| **name == format!("{}_NAME", prefix(alias))).map(|(_, alias)| alias.to_owned()).collect()
}

/// `my-db` has variables that begin with `MY_DB`.
pub fn prefix(alias: &str) -> String {
    alias.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// Docker sets `MYSQL_NAME=/web/mysql` for each link, and `MYSQL_PORT_3306_TCP_ADDR` and its like for each port.
fn is_linked(prefix: &str, variables: &[Variable]) -> bool {
    variables.iter().any(|(name, value)| {
        let Some(rest) = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')) else { return false };
        let is_name = rest == "NAME" && value.starts_with('/');
        let is_port = rest.starts_with("PORT_") && (rest.ends_with("_TCP_ADDR") || rest.ends_with("_UDP_ADDR"));
        is_name || is_port
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(variables: &[(&str, &str)], alias: &str) -> Option<String> {
        let variables: Vec<Variable> = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        resolve(alias, &variables).map(|(name, value)| format!("{name}={value}"))
    }

    #[test]
    fn a_link_beats_the_variable() {
        let both = [("MYSQL_HOST", "db.example"), ("MYSQL_NAME", "/web/mysql")];
        assert_eq!(known(&both, "mysql").as_deref(), Some("MYSQL_HOST=mysql"));
        assert_eq!(known(&both[..1], "mysql").as_deref(), Some("MYSQL_HOST=db.example"));
        assert_eq!(known(&[("MY_DB_PORT_3306_TCP_ADDR", "172.17.0.2")], "my-db").as_deref(), Some("MY_DB_HOST=my-db"));
    }

    #[test]
    fn links_are_known_by_their_names() {
        let variables = [("MY_DB_NAME", "/web/my-db"), ("DB_NAME", "/srv/shop"), ("HOST_NAME", "web")];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        assert_eq!(all(&variables), ["my-db"]);
    }

    #[test]
    fn what_only_looks_like_a_link_is_none() {
        assert_eq!(known(&[("MYSQL_NAME", "shop"), ("MYSQL_PORT", "3306"), ("MYSQL_HOST", "")], "mysql"), None);
        assert_eq!(known(&[("MYSQLD_NAME", "/web/mysqld")], "mysql"), None);
    }
}
