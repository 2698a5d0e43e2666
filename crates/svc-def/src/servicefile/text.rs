//! Texts of a service.toml: words as a shell splits them, times and sizes.

use svc_core::Millis;

/// Splits a line into words as a shell does, quotes and backslashes included, and without any expansion.
pub(super) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        None => return Err(format!("has a {letter} that is never closed")),
                        Some(end) if end == letter => break,
                        Some('\\') if letter == '"' => match letters.next() {
                            Some(escaped @ ('"' | '\\')) => word.push(escaped),
                            Some(other) => word.extend(['\\', other]),
                            None => return Err("has a \" that is never closed".into()),
                        },
                        Some(inside) => word.push(inside),
                    }
                }
            }
            '\\' => match letters.next() {
                Some(escaped) => word.get_or_insert_default().push(escaped),
                None => return Err("ends with a backslash".into()),
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZES: [(&str, u64); 10] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// `1.5s`, `500ms`, `2m`; 0 without a unit.
pub(super) fn span(text: &str) -> Option<Millis> {
    if text.trim() == "0" { Some(Millis::ZERO) } else { amount(text, &TIMES).map(Millis) }
}

/// `64MiB`, `1.5GB`; 0 without a unit.
pub(super) fn size(text: &str) -> Option<u64> {
    if text.trim() == "0" { Some(0) } else { amount(text, &SIZES) }
}

/// A number, maybe with a fraction, and its unit.
fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = (&text[..end], text[end..].trim_start());
    let factor = units.iter().find(|(known, _)| *known == unit)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // More digits than nanoseconds of a day need are a mistake.
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(factor) / 10_u128.pow(fraction.len() as u32);
    whole.checked_mul(factor)?.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_by_a_shell() {
        let words = |line: &str| split(line).map(|words| words.join("|"));
        assert_eq!(words(" nginx  -g 'daemon off;' "), Ok("nginx|-g|daemon off;".into()));
        assert_eq!(words(r#"a "b \"c\" \n" d\ e '' f"g"h"#), Ok(r#"a|b "c" \n|d e||fgh"#.into()));
        assert_eq!(words("echo $HOME *"), Ok("echo|$HOME|*".into()), "nothing is expanded");
        assert_eq!(words(""), Ok(String::new()));
        assert!(words("a 'b").is_err_and(|error| error.contains("never closed")));
        assert!(words("a \"b").is_err() && words("a \"b\\").is_err() && words("a\\").is_err());
    }

    #[test]
    fn times_and_sizes_have_units() {
        for (text, millis) in [("1.5s", 1500), ("500ms", 500), ("2m", 120_000), ("1 h", 3_600_000), ("0", 0), ("0.001s", 1)]
        {
            assert_eq!(span(text), Some(Millis(millis)), "{text}");
        }
        for (text, bytes) in [("64MiB", 64 << 20), ("1kB", 1000), ("1.5KiB", 1536), ("7B", 7)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for bad in ["5", "", "s", "-1s", "1,5s", "5 s m", "1.s", "99999999999999999999s", "5S"] {
            assert_eq!(span(bad), None, "{bad}");
        }
        assert_eq!(size("1mb"), None);
    }
}
