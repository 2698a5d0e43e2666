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
    if text.trim().is_empty() {
        return Err(" is empty, and must have JSON in it: write {} at least".to_owned());
    }
    let wrong = |error: serde_json::Error| {
        let quotes = if lacks_quotes(text) { " (it has no double quotes: has a shell eaten them?)" } else { "" };
        format!(" is no JSON: {error}{quotes}: correct it; python3 -m json.tool shows the place")
    };
    serde_json::from_str::<serde_json::Value>(text).map(drop).map_err(wrong)
}

/// Whether it has words that are JSON only in quotes, and no quotes at all.
fn lacks_quotes(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    let is_bare = |word: &str| word.starts_with(char::is_alphabetic) && !["true", "false", "null"].contains(&word);
    !text.contains(['"', '\'']) && words.any(is_bare)
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
        let eaten = " (it has no double quotes: has a shell eaten them?): correct it";
        for (value, asked) in [
            ("{token: secret}", true),
            ("[one, 2]", true),
            ("secret", true),
            ("[1,]", false),
            ("[true, 1e3,]", false),
            ("{'token': 'secret'}", false),
            ("{\"token\": secret}", false),
        ] {
            let told = said(value);
            assert!(told.starts_with("CONFIG is no JSON: ") && told.contains(eaten) == asked, "{value}: {told}");
        }
        assert!(said("{token: secret}").starts_with("CONFIG is no JSON: key must be a string at line 1 column 2 ("));
        for empty in ["", " \n"] {
            assert_eq!(said(empty), "CONFIG is empty, and must have JSON in it: write {} at least");
        }
        let told = said(&file);
        assert!(told.starts_with(&format!("CONFIG: {file} is no JSON: trailing comma at line 1 column 20")), "{told}");
        assert!(!told.contains("secret"), "{told}");
        assert!(check(&file, &[]).is_err_and(|what| what.starts_with(&file)));
        std::fs::remove_file(&file).expect("ours");
        assert!(said(&file).contains("No such file"), "{}", said(&file));
        assert!(check("OTHER", &[]).is_err_and(|what| what.contains("OTHER is not set")));
    }
}
