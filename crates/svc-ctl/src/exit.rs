//! Exit codes, and the failures that lead to them.

/// How a run of svc-ctl ends. Ordered by weight: of several services' codes the greatest is the run's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    Done,
    Failed,
    TimedOut,
    NoSuchService,
    Usage,
    System,
}

impl Code {
    /// The numbers are those of s6's programs, which scripts know: 99 timed out, 100 wrong usage, 111 system call failed.
    pub fn number(self) -> u8 {
        match self {
            Code::Done => 0,
            Code::Failed => 1,
            Code::TimedOut => 99,
            Code::Usage => 100,
            Code::NoSuchService => 102,
            Code::System => 111,
        }
    }
}

/// Why a command ends before its work is done.
#[derive(Debug)]
pub enum Failure {
    /// Nobody reads standard output any more.
    ReaderGone,
    /// svc ended the connection while a request was under way; the text is the cause.
    Lost(String),
    /// `message` is one line for standard error: what, where and the cure.
    Told { code: Code, message: String },
}

impl Failure {
    pub fn usage(message: String) -> Failure {
        Failure::Told { code: Code::Usage, message }
    }

    pub fn system(message: String) -> Failure {
        Failure::Told { code: Code::System, message }
    }

    pub fn timed_out(message: String) -> Failure {
        Failure::Told { code: Code::TimedOut, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_code_wins() {
        let worst = |codes: &[Code]| codes.iter().copied().fold(Code::Done, Code::max).number();
        assert_eq!(worst(&[]), 0);
        assert_eq!(worst(&[Code::Done, Code::Failed]), 1);
        assert_eq!(worst(&[Code::TimedOut, Code::Failed]), 99);
        assert_eq!(worst(&[Code::TimedOut, Code::NoSuchService, Code::Done]), 102);
        assert_eq!(worst(&[Code::System, Code::NoSuchService]), 111);
    }
}
