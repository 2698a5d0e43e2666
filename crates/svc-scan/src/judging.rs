//! Whether the conditions of a service hold here.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use svc_core::links;
use svc_def::{Conditions, EnvCondition, EnvTest, FileCondition, FileTest, Named};
use svc_sys::regex::Regex;

/// The profiles that are chosen, with commas.
const PROFILES: &str = "SVC_PROFILES";

/// What is known without running anything; why it does not hold, as it may be printed.
pub(crate) fn judge(conditions: &Conditions, dir: &Path) -> Result<(), String> {
    known(conditions, dir).map_err(|why| svc_def::printable(why.as_bytes()))
}

fn known(conditions: &Conditions, dir: &Path) -> Result<(), String> {
    let chosen = std::env::var(PROFILES).unwrap_or_default();
    let chosen: Vec<&str> = chosen.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let said = if chosen.is_empty() { "none is chosen".to_owned() } else { format!("it is {}", chosen.join(", ")) };
    named(&conditions.profiles, &chosen).map_err(|what| format!("{PROFILES} {what}: {said}"))?;
    let machine = std::env::consts::ARCH;
    named(&conditions.arch, &[machine]).map_err(|what| format!("the architecture {what}: it is {machine}"))?;
    for condition in &conditions.env {
        env(condition, std::env::var_os(&condition.name).map(|value| value.to_string_lossy().into_owned()))?;
    }
    if !conditions.links.is_empty() {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let variables: Vec<(String, String)> = variables.collect();
        conditions.links.iter().try_for_each(|named| link(named, &variables))?;
    }
    conditions.files.iter().try_for_each(|condition| file(condition, dir))
}

fn named(wanted: &[Named], there: &[&str]) -> Result<(), String> {
    let is_there = |named: &&Named| there.contains(&named.name.as_str());
    if let Some(denied) = wanted.iter().filter(|named| named.not).find(is_there) {
        return Err(format!("must not be {}", denied.name));
    }
    let asked: Vec<&Named> = wanted.iter().filter(|named| !named.not).collect();
    if asked.is_empty() || asked.iter().copied().any(|named| is_there(&named)) {
        return Ok(());
    }
    let names: Vec<&str> = asked.iter().map(|named| named.name.as_str()).collect();
    Err(format!("must be {}", names.join(" or ")))
}

fn env(condition: &EnvCondition, value: Option<String>) -> Result<(), String> {
    let EnvCondition { not, name, test } = condition;
    let holds = match (test, &value) {
        (EnvTest::Set, value) => value.is_some(),
        (EnvTest::Equals(wanted), Some(value)) => value == wanted,
        (EnvTest::Matches(expression), Some(value)) => match Regex::new(expression.as_bytes()) {
            Ok(regex) => regex.is_match(value.as_bytes()),
            Err(why) => return Err(format!("{name}=~{expression}: is no regular expression: {why}")),
        },
        (EnvTest::Equals(_) | EnvTest::Matches(_), None) => false,
    };
    if holds != *not {
        return Ok(());
    }
    let is = value.map_or("is not set".into(), |value| format!("is \"{value}\""));
    Err(match (test, not) {
        (EnvTest::Set, false) => format!("{name} is not set"),
        (EnvTest::Set, true) => format!("{name} is set"),
        (EnvTest::Equals(_), true) => format!("{name} {is}"),
        (EnvTest::Equals(wanted), false) => format!("{name} {is}, and not \"{wanted}\""),
        (EnvTest::Matches(expression), true) => format!("{name} {is}, which matches {expression}"),
        (EnvTest::Matches(expression), false) => format!("{name} {is}, which does not match {expression}"),
    })
}

fn link(named: &Named, variables: &[(String, String)]) -> Result<(), String> {
    let Named { not, name } = named;
    match (links::resolve(name, variables), not) {
        (Some(_), false) | (None, true) => Ok(()),
        (Some((variable, host)), true) => Err(format!("{name} is there: {variable} is \"{host}\"")),
        (None, false) => Err(format!("{name} is not linked, and {}_HOST is not set", links::prefix(name))),
    }
}

fn file(condition: &FileCondition, dir: &Path) -> Result<(), String> {
    let FileCondition { not, test, path } = condition;
    let found = std::fs::metadata(dir.join(path)).ok();
    let holds = found.as_ref().is_some_and(|data| match test {
        FileTest::Exists => true,
        FileTest::NotEmpty => match data.is_dir() {
            true => std::fs::read_dir(dir.join(path)).is_ok_and(|mut entries| entries.next().is_some()),
            false => data.len() > 0,
        },
        FileTest::Directory => data.is_dir(),
        FileTest::Executable => data.is_file() && data.permissions().mode() & 0o111 != 0,
    });
    if holds != *not {
        return Ok(());
    }
    let what = match test {
        FileTest::Exists => "there",
        FileTest::NotEmpty => "not empty",
        FileTest::Directory => "a directory",
        FileTest::Executable => "executable",
    };
    Err(match (not, found.is_some()) {
        (true, _) => format!("{path} is {what}"),
        (false, false) => format!("{path} does not exist"),
        (false, true) if *test == FileTest::NotEmpty => format!("{path} is empty"),
        (false, true) => format!("{path} is not {what}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_set_equal_or_match() {
        let test = |not, test, value: Option<&str>| {
            env(&EnvCondition { not, name: "MODE".into(), test }, value.map(str::to_owned)).err().unwrap_or_default()
        };
        let equals = |text: &str| EnvTest::Equals(text.into());
        let matches = |text: &str| EnvTest::Matches(text.into());
        assert_eq!(test(false, EnvTest::Set, Some("")), "");
        assert_eq!(test(false, EnvTest::Set, None), "MODE is not set");
        assert_eq!(test(true, EnvTest::Set, Some("x")), "MODE is set");
        assert_eq!(test(false, equals("a"), Some("a")), "");
        assert_eq!(test(false, equals("a"), Some("b")), "MODE is \"b\", and not \"a\"");
        assert_eq!(test(true, equals("a"), None), "");
        assert_eq!(test(true, equals("a"), Some("a")), "MODE is \"a\"");
        assert_eq!(test(false, matches("^pro"), Some("production")), "");
        assert_eq!(test(false, matches("^pro$"), Some("production")), "MODE is \"production\", which does not match ^pro$");
    }

    #[test]
    fn one_of_the_names_is_enough_and_none_that_is_denied() {
        let list = |text: &str| -> Vec<Named> {
            let one = |word: &str| Named { not: word.starts_with('!'), name: word.trim_start_matches('!').into() };
            text.split(' ').filter(|word| !word.is_empty()).map(one).collect()
        };
        let told = |wanted: &str, there: &[&str]| named(&list(wanted), there).err().unwrap_or_default();
        assert_eq!(told("", &[]), "");
        assert_eq!(told("web worker", &["worker"]), "");
        assert_eq!(told("web worker", &["db"]), "must be web or worker");
        assert_eq!(told("!debug", &[]), "");
        assert_eq!(told("web !debug", &["web", "debug"]), "must not be debug");
    }
}
