//! A definition as svc-scan keeps it: the bytes that its supervisor is sent, and beside them what is asked for all the time. With a
//! thousand services there is no room for more; whoever must know the rest has it read from the bytes.

use std::rc::Rc;

use svc_core::definition::Script;
use svc_core::graph::Wish;
use svc_core::policy::Essential;
use svc_core::{Definition, Output, Program, Settings};

/// What is executed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runs {
    Directory,
    Command,
    Chain,
    /// `chain`: a half of it is one.
    Oneshot {
        chain: bool,
    },
}

/// A copy of it is the same bytes once more.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Held {
    bytes: Rc<[u8]>,
    pub(crate) runs: Runs,
    pub(crate) output: Output,
    pub(crate) managed: Option<Wish>,
    pub(crate) essential: Option<Essential>,
    pub(crate) max_death_tally: u16,
    pub(crate) down: bool,
    pub(crate) says_ready: bool,
    pub(crate) has_checks: bool,
    pub(crate) has_health: bool,
    pub(crate) on_demand: bool,
    pub(crate) forks: bool,
    /// Files are made for it.
    pub(crate) is_made: bool,
}

impl Held {
    pub(crate) fn new(definition: &Definition) -> Held {
        let Definition { program, output, down, essential, managed, settings, name: _, dir: _ } = definition;
        let is_chain = |half: &Option<Script>| matches!(half, Some(Script::Chain(_)));
        Held {
            bytes: svc_proto::definition::encode(definition).into(),
            runs: match program {
                Program::Directory => Runs::Directory,
                Program::Command(_) => Runs::Command,
                Program::Chain(_) => Runs::Chain,
                Program::Oneshot { up, down } => Runs::Oneshot { chain: is_chain(up) || is_chain(down) },
            },
            output: *output,
            managed: *managed,
            essential: *essential,
            max_death_tally: settings.max_death_tally,
            down: *down,
            says_ready: settings.says_ready(),
            has_checks: settings.checks.is_some(),
            has_health: settings.has_health(),
            on_demand: settings.on_demand.is_some(),
            forks: settings.forking.is_some(),
            is_made: program.made_by().is_some(),
        }
    }

    /// As its supervisor is sent it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn whole(&self) -> Definition {
        svc_proto::definition::decode(&self.bytes).expect("only `new` makes them, of a definition")
    }

    pub(crate) fn settings(&self) -> Settings {
        self.whole().settings
    }

    pub(crate) fn is_oneshot(&self) -> bool {
        matches!(self.runs, Runs::Oneshot { .. })
    }

    /// Whether its supervisor is told what it is to be, and has no files that it reads itself.
    pub(crate) fn is_chain(&self) -> bool {
        match self.runs {
            Runs::Chain => true,
            Runs::Oneshot { chain } => chain,
            Runs::Directory | Runs::Command => false,
        }
    }
}
