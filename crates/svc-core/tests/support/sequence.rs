//! Sequences of events for one machine, told as sentences: when this comes, it does that.

use svc_core::definition::{OnDemand, Settings};
use svc_core::service::{
    Action, Actions, Command, Event, NOTHING_TO_DO, Note, Role, Service, Stage, State, Stop, Target, Trouble,
};
use svc_core::{Exit, Millis, Pid, Signal};

#[derive(Clone)]
pub struct Sequence {
    pub service: Service,
    pub settings: Settings,
    now: Millis,
    next_pid: i32,
    done: Vec<Action>,
}

/// Down, and not to be started by itself. Every sequence begins at 10 s.
pub fn down() -> Sequence {
    begin(false)
}

/// Down, and to be started as soon as the first deadline comes.
pub fn wanted() -> Sequence {
    begin(true)
}

fn begin(up: bool) -> Sequence {
    let now = Millis::from_secs(10);
    Sequence { service: Service::new(now, up), settings: Settings::default(), now, next_pid: 100, done: Vec::new() }
}

/// It is started on demand.
pub fn on_demand(mut it: Sequence) -> Sequence {
    it.settings.on_demand = Some(OnDemand { idle_stop: Millis::from_secs(60) });
    it
}

/// `run` was started at 10 s.
pub fn up() -> Sequence {
    let mut it = wanted();
    it.when(Event::Deadline).when_spawned();
    it
}

/// `run` was started at 10 s, ended at 20 s, and `finish` runs.
pub fn finishing() -> Sequence {
    let mut it = up();
    it.after(10_000).when(Event::Exited(Exit::Code(1))).when_spawned();
    it
}

/// The same, and `finish` has ended; two processes are left.
pub fn sweeping() -> Sequence {
    let mut it = finishing();
    it.when(Event::Exited(Exit::Code(0))).when(Event::Swept { left: 2 });
    it
}

impl Sequence {
    /// Time goes by; nothing happens.
    pub fn after(&mut self, millis: u64) -> &mut Sequence {
        self.now = self.now + Millis(millis);
        self
    }

    pub fn when(&mut self, event: Event) -> &mut Sequence {
        let mut actions = Actions::default();
        self.service.step(self.now, event, &self.settings, &mut actions);
        self.done = actions.drain().collect();
        self
    }

    pub fn asked(&mut self, command: Command) -> &mut Sequence {
        self.when(Event::Command(command))
    }

    pub fn when_spawned(&mut self) -> &mut Sequence {
        self.next_pid += 1;
        let pid = Pid::new(self.next_pid).expect("positive");
        self.when(Event::Spawned(pid))
    }

    pub fn when_it_cannot_start(&mut self, retry: Millis) -> &mut Sequence {
        self.when(Event::SpawnFailed { retry, trouble: Trouble { stage: Stage::Exec, errno: 2 } })
    }

    /// There is no `finish`.
    pub fn when_it_has_nothing_to_do(&mut self) -> &mut Sequence {
        let trouble = Trouble { stage: Stage::Exec, errno: NOTHING_TO_DO };
        self.when(Event::SpawnFailed { retry: Millis::ZERO, trouble })
    }

    /// `run` ends, there is no `finish`, and nothing is left.
    pub fn when_it_ends_without_a_trace(&mut self) -> &mut Sequence {
        self.when(Event::Exited(Exit::Code(0))).does(&[say(Note::Exited), Action::Spawn(Role::Finish)]);
        self.when_it_cannot_start(Millis::ZERO).does(&[Action::Sweep(Signal::TERM)]);
        self.when(Event::Swept { left: 0 })
    }

    /// A supervisor is killed now, and another one takes over from what was written down.
    pub fn when_resumed(&mut self) -> &mut Sequence {
        self.service = Service::from_words(&self.service.to_words()).expect("just written");
        let mut actions = Actions::default();
        self.service.resume(&mut actions, &self.settings);
        self.done = actions.drain().collect();
        self
    }

    pub fn now(&self) -> Millis {
        self.now
    }

    /// What came of the last event.
    pub fn done(&self) -> &[Action] {
        &self.done
    }

    /// Exactly this came of the last event.
    #[track_caller]
    pub fn does(&mut self, expected: &[Action]) -> &mut Sequence {
        assert_eq!(self.done, expected, "in {:?}", self.service.state());
        self
    }

    #[track_caller]
    pub fn does_nothing(&mut self) -> &mut Sequence {
        self.does(&[])
    }

    /// The next wake-up comes so long from now.
    #[track_caller]
    pub fn waits(&mut self, millis: u64) -> &mut Sequence {
        let left = self.service.deadline().map(|at| at - self.now);
        assert_eq!(left, Some(Millis(millis)), "in {:?}", self.service.state());
        self
    }

    #[track_caller]
    pub fn waits_for_nothing(&mut self) -> &mut Sequence {
        assert_eq!(self.service.deadline(), None, "in {:?}", self.service.state());
        self
    }

    #[track_caller]
    pub fn is_down(&mut self) -> &mut Sequence {
        assert!(matches!(self.service.state(), State::Down { .. }), "is {:?}", self.service.state());
        self
    }

    /// `run` lives, and has (not) been told to stop.
    #[track_caller]
    pub fn is_up(&mut self, stopping: bool) -> &mut Sequence {
        let state = self.service.state();
        assert!(matches!(state, State::Up { stop, .. } if (stop != Stop::No) == stopping), "is {state:?}");
        self
    }
}

pub fn to_main(signal: Signal) -> Action {
    Action::Signal { target: Target::Main, signal }
}

pub fn to_group(signal: Signal) -> Action {
    Action::Signal { target: Target::Group, signal }
}

pub fn say(note: Note) -> Action {
    Action::Publish(note)
}
