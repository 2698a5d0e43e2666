//! What it means when not everything that is to be up comes up: the choice, and its words on the command line.

use svc_core::Millis;

/// What to do about a failure during the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartFailure {
    /// What failed is told like any other failure.
    #[default]
    Continue,
    /// It is summed up in a line.
    Warn,
    /// svc ends with 1.
    Stop,
}

impl StartFailure {
    const ALL: [StartFailure; 3] = [StartFailure::Continue, StartFailure::Warn, StartFailure::Stop];

    fn word(self) -> &'static str {
        match self {
            StartFailure::Continue => "continue",
            StartFailure::Warn => "warn",
            StartFailure::Stop => "stop",
        }
    }

    pub fn parse(text: &str) -> Result<StartFailure, String> {
        let found = StartFailure::ALL.into_iter().find(|choice| choice.word() == text);
        found.ok_or_else(|| format!("{text}: must be continue, warn or stop"))
    }
}

/// How a start is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StartPolicy {
    pub failure: StartFailure,
    /// Zero: it may take for ever.
    pub limit: Millis,
}

impl StartPolicy {
    /// The options that say it.
    pub fn words(self) -> Vec<String> {
        let failure = (self.failure != StartFailure::Continue).then(|| format!("--start-failure={}", self.failure.word()));
        let limit = (self.limit > Millis::ZERO).then(|| format!("--start-limit={}", self.limit.0));
        failure.into_iter().chain(limit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_choice_is_read_as_it_is_written() {
        for failure in StartFailure::ALL {
            assert_eq!(StartFailure::parse(failure.word()), Ok(failure));
        }
        assert!(StartFailure::parse("perhaps").is_err_and(|error| error.contains("must be continue, warn or stop")));
        assert!(StartPolicy::default().words().is_empty());
        let strict = StartPolicy { failure: StartFailure::Stop, limit: Millis(5000) };
        assert_eq!(strict.words(), ["--start-failure=stop", "--start-limit=5000"]);
    }
}
