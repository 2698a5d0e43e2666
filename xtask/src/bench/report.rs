//! The table.

use std::fmt::Write;

use super::Result;
use super::competitor::{ALL, Competitor};

/// Everything below this line is replaced by `--write`.
const MARK: &str = "<!-- written by `cargo xtask bench --write`; everything below is replaced -->";

/// What ours must reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bar {
    AtMost(f64),
    /// At most this part of what s6 needs.
    OfS6(f64),
    /// At least so many times what s6 reaches.
    AtLeastTimesS6(f64),
    None,
}

/// One measure, with the values of each competitor in the order they came.
pub(crate) struct Row {
    name: String,
    unit: &'static str,
    bar: Bar,
    values: [Vec<f64>; ALL.len()],
}

impl Row {
    pub(crate) fn new(name: String, unit: &'static str, bar: Bar) -> Row {
        Row { name, unit, bar, values: Default::default() }
    }

    /// `None`: this competitor has no such thing.
    pub(crate) fn add(&mut self, competitor: Competitor, value: Option<f64>) {
        self.values[competitor as usize].extend(value);
    }

    fn median(&self, competitor: Competitor) -> Option<f64> {
        median(&self.values[competitor as usize])
    }

    /// Whether ours reaches the bar; unknown without a value to compare.
    fn holds(&self) -> Option<bool> {
        let ours = self.median(Competitor::Ours)?;
        match self.bar {
            Bar::AtMost(most) => Some(ours <= most),
            Bar::OfS6(part) => Some(ours <= part * self.median(Competitor::S6)?),
            Bar::AtLeastTimesS6(times) => Some(ours >= times * self.median(Competitor::S6)?),
            Bar::None => None,
        }
    }

    fn ratio(&self) -> Option<f64> {
        let s6 = self.median(Competitor::S6).filter(|&s6| s6 > 0.0)?;
        Some(self.median(Competitor::Ours)? / s6)
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

pub(crate) fn render(machine: &str, rows: &[Row], competitors: &[Competitor]) -> String {
    let mut text = format!("{machine}\n| median |");
    for competitor in competitors {
        let _ = write!(text, " {} |", competitor.name());
    }
    text += " ours / s6 | bar | holds |\n|---|";
    text += &"---:|".repeat(competitors.len() + 1);
    text += "---|---|\n";
    for row in rows {
        let unit = if row.unit.is_empty() { String::new() } else { format!(", {}", row.unit) };
        let _ = write!(text, "| {}{unit} |", row.name);
        for &competitor in competitors {
            let _ = write!(text, " {} |", row.median(competitor).map_or("–".into(), digits));
        }
        let bar = match row.bar {
            Bar::AtMost(most) => format!("≤ {}", digits(most)),
            Bar::OfS6(part) => format!("≤ {part} × s6"),
            Bar::AtLeastTimesS6(times) => format!("≥ {times} × s6"),
            Bar::None => "–".into(),
        };
        let holds = row.holds().map_or("–", |holds| if holds { "yes" } else { "**no**" });
        let ratio = row.ratio().map_or("–".into(), |ratio| format!("{ratio:.2}"));
        let _ = writeln!(text, " {ratio} | {bar} | {holds} |");
    }
    text += "\nEvery value, lowest first:\n\n";
    for row in rows {
        let _ = writeln!(text, "- {}", row.name);
        for &competitor in competitors {
            let mut values = row.values[competitor as usize].clone();
            values.sort_by(f64::total_cmp);
            if !values.is_empty() {
                let values: Vec<String> = values.into_iter().map(digits).collect();
                let _ = writeln!(text, "  - {}: {}", competitor.name(), values.join(" "));
            }
        }
    }
    text
}

/// Three digits that count.
fn digits(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        value if value < 1.0 => format!("{value:.3}"),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// Puts the result into the page, in place of the one before.
pub(crate) fn write(path: &str, result: &str) -> Result<()> {
    let page = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let (head, _) = page.split_once(MARK).ok_or_else(|| format!("{path}: has no line {MARK}"))?;
    std::fs::write(path, format!("{head}{MARK}\n\n{result}")).map_err(|error| format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_stands_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_bar_may_be_a_part_of_s6() {
        let mut row = Row::new("start".into(), "ms", Bar::OfS6(0.35));
        row.add(Competitor::Ours, Some(35.0));
        assert_eq!(row.holds(), None);
        row.add(Competitor::S6, Some(100.0));
        assert_eq!(row.holds(), Some(true));
        row.add(Competitor::Ours, Some(36.0));
        assert_eq!(row.holds(), Some(false));
    }

    #[test]
    fn a_bar_may_be_a_multiple_of_s6() {
        let mut row = Row::new("lines".into(), "MB/s", Bar::AtLeastTimesS6(1.5));
        row.add(Competitor::Ours, Some(300.0));
        assert_eq!(row.holds(), None);
        row.add(Competitor::S6, Some(200.0));
        assert_eq!(row.holds(), Some(true));
        row.add(Competitor::S6, Some(210.0));
        assert_eq!(row.holds(), Some(false));
    }
}
