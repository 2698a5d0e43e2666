//! A definition as svc-scan keeps it: the bytes that its supervisor is sent, and beside them what is asked for all the time. With a
//! thousand services there is no room for more; whoever must know the rest has it read from the bytes.

use std::rc::Rc;

use svc_core::definition::Script;
use svc_core::{Definition, Program, Settings};

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

/// Behind what it runs, in the bytes: what is so of it. Behind those how many deaths are remembered.
const HEAD: usize = 5;
const MANAGED: u16 = 1 << 0;
const DOWN: u16 = 1 << 1;
const SAYS_READY: u16 = 1 << 2;
const HAS_CHECKS: u16 = 1 << 3;
const HAS_HEALTH: u16 = 1 << 4;
const ON_DEMAND: u16 = 1 << 5;
const FORKS: u16 = 1 << 6;
const MADE: u16 = 1 << 7;

/// A copy of it is the same bytes once more.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Held(Rc<[u8]>);

impl Held {
    pub(crate) fn new(definition: &Definition) -> Held {
        let Definition { program, down, managed, settings, .. } = definition;
        let is_chain = |half: &Option<Script>| matches!(half, Some(Script::Chain(_)));
        let runs = match program {
            Program::Directory => 0,
            Program::Command(_) => 1,
            Program::Chain(_) => 2,
            Program::Oneshot { up, down } if is_chain(up) || is_chain(down) => 3,
            Program::Oneshot { .. } => 4,
        };
        let marks = [
            (MANAGED, managed.is_some()),
            (DOWN, *down),
            (SAYS_READY, settings.says_ready()),
            (HAS_CHECKS, settings.checks.is_some()),
            (HAS_HEALTH, settings.has_health()),
            (ON_DEMAND, settings.on_demand.is_some()),
            (FORKS, settings.forking.is_some()),
            (MADE, program.made_by().is_some()),
        ];
        let marks: u16 = marks.into_iter().filter(|(_, is_so)| *is_so).map(|(mark, _)| mark).sum();
        let mut bytes = vec![runs];
        bytes.extend(marks.to_le_bytes());
        bytes.extend(settings.max_death_tally.to_le_bytes());
        bytes.extend(svc_proto::definition::encode(definition));
        Held(bytes.into())
    }

    /// As its supervisor is sent it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0[HEAD..]
    }

    pub(crate) fn whole(&self) -> Definition {
        svc_proto::definition::decode(self.bytes()).expect("only `new` makes them, of a definition")
    }

    pub(crate) fn settings(&self) -> Settings {
        self.whole().settings
    }

    pub(crate) fn runs(&self) -> Runs {
        match self.0[0] {
            0 => Runs::Directory,
            1 => Runs::Command,
            2 => Runs::Chain,
            number => Runs::Oneshot { chain: number == 3 },
        }
    }

    pub(crate) fn is_oneshot(&self) -> bool {
        matches!(self.runs(), Runs::Oneshot { .. })
    }

    /// Whether its supervisor is told what it is to be, and has no files that it reads itself.
    pub(crate) fn is_chain(&self) -> bool {
        match self.runs() {
            Runs::Chain => true,
            Runs::Oneshot { chain } => chain,
            Runs::Directory | Runs::Command => false,
        }
    }

    fn is(&self, mark: u16) -> bool {
        u16::from_le_bytes([self.0[1], self.0[2]]) & mark != 0
    }

    pub(crate) fn max_death_tally(&self) -> u16 {
        u16::from_le_bytes([self.0[3], self.0[4]])
    }

    /// It starts and stops as the graph says.
    pub(crate) fn is_managed(&self) -> bool {
        self.is(MANAGED)
    }

    pub(crate) fn is_down(&self) -> bool {
        self.is(DOWN)
    }

    pub(crate) fn says_ready(&self) -> bool {
        self.is(SAYS_READY)
    }

    pub(crate) fn has_checks(&self) -> bool {
        self.is(HAS_CHECKS)
    }

    pub(crate) fn has_health(&self) -> bool {
        self.is(HAS_HEALTH)
    }

    pub(crate) fn is_on_demand(&self) -> bool {
        self.is(ON_DEMAND)
    }

    pub(crate) fn forks(&self) -> bool {
        self.is(FORKS)
    }

    /// Files are made for it.
    pub(crate) fn is_made(&self) -> bool {
        self.is(MADE)
    }
}
