//! Spans and times of day, as people read and write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A span in its two largest units: `3s`, `2m 5s`, `4h 12m`, `3d 2h`.
pub fn human(seconds: f64) -> String {
    // `as` saturates, and makes 0 of a NaN: a strange clock gives a strange number, never a panic.
    let seconds = seconds as u64;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86400, seconds % 86400 / 3600),
    }
}

/// The same, with tenths below a minute: what ran for `0.2s` failed in another way than what ran for none.
pub fn exact(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms}ms"),
        1000..60_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        _ => human(ms as f64 / 1000.0),
    }
}

/// Reads `5`, `1.5s`, `500ms`, `2m` or `1h`; a number alone is seconds.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wrong = || "expected a span such as 5, 1.5s, 500ms, 2m or 1h".to_string();
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let span = Duration::try_from_secs_f64(number * scale).map_err(|_| wrong())?;
    // The API counts milliseconds in 64 bits, and a timer for a thousand years helps nobody.
    if span > Duration::from_secs(1000 * 365 * 86400) { Err(wrong()) } else { Ok(span) }
}

/// The clock in milliseconds since 1970, as the API counts.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A moment in UTC: `2026-02-03T10:00:01.250Z`.
pub fn stamp(ms: u64) -> String {
    let (days, rest) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1000 % 60, rest % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The date of a day counted from 1970-01-01 (Howard Hinnant's civil_from_days, whose years begin in March).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short_and_never_panic() {
        let day = 86400.0;
        let table = [
            (0.0, "0s"),
            (3.9, "3s"),
            (125.0, "2m 5s"),
            (3599.9, "59m 59s"),
            (4.0 * 3600.0 + 12.0 * 60.0, "4h 12m"),
            (3.0 * day + 2.0 * 3600.0, "3d 2h"),
            (-5.0, "0s"),
            (f64::NAN, "0s"),
        ];
        for (seconds, text) in table {
            assert_eq!(human(seconds), text);
        }
        human(f64::INFINITY);
        assert_eq!(exact(250), "250ms");
        assert_eq!(exact(1349), "1.3s");
        assert_eq!(exact(125_000), "2m 5s");
    }

    #[test]
    fn spans_are_read_with_and_without_unit() {
        for (text, ms) in [("5", 5000), ("1.5s", 1500), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000), ("0", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "-1", "5 s", "1.2.3", "5d", "ms", "1e9", "99999999999999999999h", "inf"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_utc() {
        assert_eq!(stamp(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(stamp(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(stamp(1_770_112_801_250), "2026-02-03T10:00:01.250Z");
        stamp(u64::MAX);
    }
}
