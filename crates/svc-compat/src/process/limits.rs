//! Limits on what a process may use: s6-softlimit, and what the others have of it.

use std::ffi::OsStr;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use svc_sys::exe::Prepared;

use crate::chain;
use crate::command::{Command, Failure, Opt, number};

/// What a limit is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amount {
    Number(u64),
    /// The most there may be, `=`: for a soft limit the hard one, for a hard one none at all.
    Most,
}

impl Amount {
    pub(crate) fn parse(text: &OsStr, letter: char) -> Result<Amount, Failure> {
        if text == "=" { Ok(Amount::Most) } else { number(text, &format!("the limit after -{letter}")).map(Amount::Number) }
    }
}

/// Which of the two limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Soft,
    Hard,
    Both,
}

/// What an option's letter limits.
pub(crate) fn resources(letter: char) -> &'static [Resource] {
    match letter {
        'a' => &[Resource::RLIMIT_AS],
        'c' => &[Resource::RLIMIT_CORE],
        'd' => &[Resource::RLIMIT_DATA],
        'f' => &[Resource::RLIMIT_FSIZE],
        'l' => &[Resource::RLIMIT_MEMLOCK],
        'm' => &[Resource::RLIMIT_DATA, Resource::RLIMIT_STACK, Resource::RLIMIT_MEMLOCK, Resource::RLIMIT_AS],
        'o' => &[Resource::RLIMIT_NOFILE],
        'P' => &[Resource::RLIMIT_RTPRIO],
        'p' => &[Resource::RLIMIT_NPROC],
        'r' => &[Resource::RLIMIT_RSS],
        's' => &[Resource::RLIMIT_STACK],
        't' => &[Resource::RLIMIT_CPU],
        _ => &[],
    }
}

/// Sets one limit. A soft one is never set above the hard one.
pub(crate) fn set(resource: Resource, which: Which, amount: Amount) -> Result<(), Failure> {
    let failed = |what| move |errno| Failure::system(format!("unable to {what} limit {resource:?}: {errno}"));
    let (mut soft, mut hard) = getrlimit(resource).map_err(failed("read"))?;
    if which != Which::Soft {
        hard = match amount {
            Amount::Number(number) => number,
            Amount::Most => RLIM_INFINITY,
        };
    }
    if which != Which::Hard {
        soft = match amount {
            Amount::Number(number) => number.min(hard),
            Amount::Most => hard,
        };
    }
    setrlimit(resource, soft, hard).map_err(failed("set"))
}

pub(crate) const OPTIONS: [Opt; 12] = [
    Opt::with('a', "BYTES", "memory of all kinds"),
    Opt::with('c', "BYTES", "a core file"),
    Opt::with('d', "BYTES", "the data segment"),
    Opt::with('f', "BYTES", "a file that is written"),
    Opt::with('l', "BYTES", "locked memory"),
    Opt::with('m', "BYTES", "the same as -d, -s, -l and -a together"),
    Opt::with('o', "N", "open files"),
    Opt::with('p', "N", "processes of the user"),
    Opt::with('r', "BYTES", "memory that is not swapped out (Linux has no use for it)"),
    Opt::with('s', "BYTES", "the stack"),
    Opt::with('t', "SECONDS", "time of the processor"),
    Opt::with('P', "N", "the highest real-time priority"),
];

const S6_OPTIONS: [Opt; 14] = {
    let [a, c, d, f, l, m, o, p, r, s, t, priority] = OPTIONS;
    [
        Opt::flag('h', "set hard limits with the options that follow"),
        Opt::flag('H', "set hard and soft limits with the options that follow"),
        a,
        c,
        d,
        f,
        l,
        m,
        o,
        p,
        r,
        s,
        t,
        priority,
    ]
};

pub(super) const SOFTLIMIT: Command = Command {
    name: "s6-softlimit",
    about: "execute a program with other limits",
    operands: "PROG...",
    options: &S6_OPTIONS,
    notes: "Sets soft limits, but never above the hard ones. '=' stands for the hard limit. Where hard limits are set, '=' stands for \
            none.",
    codes: &[],
    run: |call| {
        let program = call.program(0)?;
        // Before the limits, which may leave no memory for it.
        let prepared = Prepared::new(program).map_err(|errno| chain::failure(&program[0], errno))?;
        let mut which = Which::Soft;
        for given in &call.given {
            match given.letter {
                'h' => which = Which::Hard,
                'H' => which = Which::Both,
                letter => {
                    let amount = Amount::parse(&given.value, letter)?;
                    resources(letter).iter().try_for_each(|&resource| set(resource, which, amount))?;
                }
            }
        }
        prepared.execute();
        // Says why not, unless it is one of our own.
        chain::execute(program)
    },
};
