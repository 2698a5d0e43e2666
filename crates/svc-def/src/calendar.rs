//! When a cron expression comes next. Time zones are those of the system's files; UTC needs none.
//!
//! Where clocks go forward, a time of day that does not exist comes at the first moment after the gap; where they go back, a time
//! that comes twice is taken the first time, and `*` and steps go on through both, as with cron.

use std::path::{Path, PathBuf};

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::problem::quoted;

/// Where the files of time zones are, where TZDIR does not say otherwise.
const ZONES: &str = "/usr/share/zoneinfo";
/// Names of the zone that is there without files.
const UTC: [&str; 3] = ["UTC", "Etc/UTC", "GMT"];

pub struct Calendar {
    cron: Cron,
    zone: TimeZone,
}

impl Calendar {
    /// What keeps the two from being a calendar is told without them.
    pub fn new(expression: &str, zone: &str) -> Result<Calendar, String> {
        Ok(Calendar { cron: cron(expression)?, zone: find_zone(zone)? })
    }

    /// The first time after this one, both in milliseconds since 1970.
    pub fn next_after(&self, wall_ms: u64) -> Option<u64> {
        let start = Timestamp::from_millisecond(i64::try_from(wall_ms).ok()?).ok()?;
        let next = self.cron.find_next_occurrence(&start.to_zoned(self.zone.clone()), false).ok()?;
        let next = u64::try_from(next.timestamp().as_millisecond()).ok()?;
        // Whatever a calendar says, time goes on.
        (next > wall_ms).then_some(next)
    }
}

/// Whether this is a cron expression that comes at all.
pub(crate) fn check_cron(expression: &str) -> Result<(), String> {
    const FORM: &str = "write [SECOND] MINUTE HOUR DAY MONTH WEEKDAY, such as \"30 3 * * *\" or \"@daily\"";
    let calendar = match cron(expression) {
        Ok(cron) => Calendar { cron, zone: TimeZone::UTC },
        Err(why) => {
            return Err(format!("is {}, which is no cron expression ({why}): {FORM}", quoted(expression.as_bytes())));
        }
    };
    let now = Timestamp::from_second(1_767_225_600).map_or(0, |time| time.as_millisecond().unsigned_abs());
    match calendar.next_after(now) {
        Some(_) => Ok(()),
        None => Err(format!("is {}, and there is no such day: {FORM}", quoted(expression.as_bytes()))),
    }
}

/// Whether there is such a time zone.
pub(crate) fn check_zone(zone: &str) -> Result<(), String> {
    find_zone(zone).map(drop).map_err(|why| format!("is {}, and {why}", quoted(zone.as_bytes())))
}

fn cron(expression: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    parser.parse(expression).map_err(|error| match error {
        CronError::EmptyPattern => "it is empty".into(),
        CronError::InvalidPattern(_) => "it must have 5 or 6 parts".into(),
        // Its message ends with the part, in quotes.
        CronError::IllegalCharacters(text) => {
            format!("{} means nothing there", quoted(text.rsplit('\'').nth(1).unwrap_or(expression).as_bytes()))
        }
        CronError::ComponentError(text) => {
            let mut letters = text.trim_end_matches('.').chars();
            letters.next().map_or(String::new(), |first| first.to_lowercase().collect::<String>() + letters.as_str())
        }
        CronError::InvalidDate | CronError::InvalidTime | CronError::TimeSearchLimitExceeded => "it never comes".into(),
    })
}

fn find_zone(name: &str) -> Result<TimeZone, String> {
    if UTC.contains(&name) {
        return Ok(TimeZone::UTC);
    }
    let folder = std::env::var_os("TZDIR").map_or_else(|| PathBuf::from(ZONES), PathBuf::from);
    let shown = folder.display();
    if !folder.is_dir() {
        return Err(format!("this image has no time zones in {shown}: install tzdata, or write zone = \"UTC\""));
    }
    let is_inside =
        !name.is_empty() && Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let data = if is_inside { std::fs::read(folder.join(name)).ok() } else { None };
    let zone = data.and_then(|data| TimeZone::tzif(name, &data).ok());
    zone.ok_or_else(|| format!("{shown} has no such time zone: write one such as \"Europe/Berlin\", or \"UTC\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next times, as they are said in their zone.
    fn next(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let calendar = Calendar::new(expression, zone).expect("good");
        let mut at = from.parse::<Timestamp>().expect("a time").as_millisecond() as u64;
        (0..count)
            .map(|_| {
                at = calendar.next_after(at).expect("there is one");
                let time = Timestamp::from_millisecond(at as i64).expect("a time").to_zoned(calendar.zone.clone());
                time.strftime("%m-%d %H:%M:%S %z").to_string()
            })
            .collect()
    }

    #[test]
    fn seconds_are_optional() {
        assert_eq!(
            next("*/20 * * * * *", "UTC", "2026-01-01T00:00:05Z", 2),
            ["01-01 00:00:20 +0000", "01-01 00:00:40 +0000"]
        );
        assert_eq!(next("15 3 * * MON", "UTC", "2026-01-01T00:00:00Z", 1), ["01-05 03:15:00 +0000"]);
        assert_eq!(next("@hourly", "UTC", "2026-01-01T00:00:00.001Z", 1), ["01-01 01:00:00 +0000"]);
    }

    #[test]
    fn a_time_in_a_gap_comes_after_it_and_steps_leave_it_out() {
        let night = "2026-03-28T23:30:00Z";
        assert_eq!(next("30 2 * * *", "Europe/Berlin", night, 2), ["03-29 03:00:00 +0200", "03-30 02:30:00 +0200"]);
        let steps = next("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z", 3);
        assert_eq!(steps, ["03-29 01:30:00 +0100", "03-29 03:00:00 +0200", "03-29 03:30:00 +0200"]);
    }

    #[test]
    fn a_time_that_comes_twice_counts_once_and_steps_go_on() {
        let night = "2026-10-24T22:30:00Z";
        assert_eq!(next("30 2 * * *", "Europe/Berlin", night, 2), ["10-25 02:30:00 +0200", "10-26 02:30:00 +0100"]);
        let steps = next("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:15:00Z", 3);
        assert_eq!(steps, ["10-25 02:30:00 +0200", "10-25 02:00:00 +0100", "10-25 02:30:00 +0100"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cron = |text: &str| check_cron(text).expect_err("wrong");
        assert!(cron("61 * * * *").contains("(number out of bounds): write [SECOND]"), "{}", cron("61 * * * *"));
        assert!(cron("* * *").contains("no cron expression (it must have 5 or 6 parts)"), "{}", cron("* * *"));
        assert!(cron("").contains("no cron expression (it is empty)"), "{}", cron(""));
        assert!(cron("1 $x * * *").contains("expression (\"$X\" means nothing there)"), "{}", cron("1 $x * * *"));
        assert!(cron("0 0 30 2 *").contains("there is no such day"), "{}", cron("0 0 30 2 *"));
        let zone = |text: &str| check_zone(text).expect_err("wrong");
        for name in ["Europe/Nowhere", "../etc/passwd", "/etc/localtime", "Europe", ""] {
            assert!(zone(name).contains("has no such time zone"), "{}", zone(name));
        }
        assert_eq!(check_zone("UTC"), Ok(()));
    }
}
