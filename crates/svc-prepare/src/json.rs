//! Configuration that must be JSON, looked at before the program has to. No message repeats any of it: it may have secrets in it.

use std::path::Path;

use crate::{Variable, files};

/// Looks at a variable, which has JSON in it, or the absolute path of a file that has; or at a file, which is named with a slash.
pub fn check(wanted: &str, variables: &[Variable]) -> Result<(), String> {
    if wanted.contains('/') {
        return parse(&files::read(Path::new(wanted))?).map_err(|what| format!("{wanted}{what}"));
    }
    let value = variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let value = value.ok_or_else(|| format!("{wanted} is not set, and must have JSON in it: set it, to {{}} at least"))?;
    if value.starts_with('/') {
        return check(value, &[]).map_err(|what| format!("{wanted}: {what}"));
    }
    parse(value).map_err(|what| format!("{wanted}{what}"))
}

fn parse(text: &str) -> Result<(), String> {
    let wrong = |error: serde_json::Error| {
        let quotes = if text.contains('"') { "" } else { " (it has no double quotes: a shell has eaten them)" };
        format!(" is no JSON: {error}{quotes}: correct it; python3 -m json.tool shows the place")
    };
    serde_json::from_str::<serde_json::Value>(text).map(drop).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_is_wrong_is_told_without_what_it_says() {
        let file = format!("/tmp/svc-json-{}", std::process::id());
        std::fs::write(&file, "{\"token\": \"secret\",}").expect("ours");
        let said = |value: &str| check("CONFIG", &[("CONFIG".into(), value.into())]).err().unwrap_or_default();
        assert_eq!(said("{\"token\": \"secret\"}"), "");
        assert!(
            said("{token: secret}")
                .starts_with("CONFIG is no JSON: key must be a string at line 1 column 2 (it has no double")
        );
        assert!(said("").starts_with("CONFIG is no JSON: EOF while parsing a value at line 1 column 0"), "{}", said(""));
        let told = said(&file);
        assert!(told.starts_with(&format!("CONFIG: {file} is no JSON: trailing comma at line 1 column 20")), "{told}");
        assert!(!told.contains("secret"), "{told}");
        assert!(check(&file, &[]).is_err_and(|what| what.starts_with(&file)));
        std::fs::remove_file(&file).expect("ours");
        assert!(said(&file).contains("No such file"), "{}", said(&file));
        assert!(check("OTHER", &[]).is_err_and(|what| what.contains("OTHER is not set")));
    }
}
