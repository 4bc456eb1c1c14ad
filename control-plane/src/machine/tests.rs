use std::sync::Arc;

use super::*;
use crate::rollout::Module;
use crate::status::{EnvoyState, Phase};

/// A machine, and what it answered.
struct Play {
    machine: Machine,
    now: u64,
    files: Vec<Arc<Rollout>>,
}

impl Play {
    fn new() -> Self {
        Self {
            machine: Machine::new(100),
            now: 0,
            files: Vec::new(),
        }
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        self.now += 1;
        self.machine
            .apply(Timestamp::from_milliseconds(self.now), event)
    }

    /// The folder holds these files.
    fn declare(&mut self, rollouts: &[&Arc<Rollout>]) -> Vec<Action> {
        self.files = rollouts.iter().map(|one| Arc::clone(one)).collect();
        self.tell(Event::Declared {
            rollouts: self.files.clone(),
            faults: Vec::new(),
            present: self.files.iter().map(|one| one.name.clone()).collect(),
        })
    }

    /// Every trial ends like this.
    fn check(&mut self, actions: &[Action], outcome: Result<(), &str>) -> Vec<Action> {
        let mut all = Vec::new();
        for action in actions {
            if let Action::Check { rollout, trial } = action {
                all.extend(self.tell(Event::Checked {
                    name: rollout.name.clone(),
                    trial: *trial,
                    outcome: outcome.map_err(str::to_owned),
                }));
            }
        }
        all
    }

    /// A version is declared and found good.
    fn pass(&mut self, rollout: &Arc<Rollout>) -> Vec<Action> {
        let actions = self.declare(&[rollout]);
        self.check(&actions, Ok(()))
    }

    fn connect(&mut self, stream: u64, group: &str, holds: Option<u64>) -> Vec<Action> {
        let id = StreamId(stream);
        let node = Node::new(
            format!("envoy-{stream}"),
            group,
            format!("10.0.0.1:{stream}"),
        );
        self.tell(Event::Connected { stream: id, node });
        self.tell(Event::Subscribed {
            stream: id,
            plugin: "p".into(),
            holds,
        })
    }

    /// Every push is acknowledged.
    fn acknowledge(&mut self, actions: &[Action]) -> Vec<Action> {
        let mut all = Vec::new();
        for (stream, generation) in pushes(actions) {
            all.extend(self.tell(Event::Acknowledged {
                stream: StreamId(stream),
                plugin: "p".into(),
                generation,
            }));
        }
        all
    }

    fn refuse(&mut self, stream: u64, generation: u64) -> Vec<Action> {
        self.tell(Event::Refused {
            stream: StreamId(stream),
            plugin: "p".into(),
            generation,
            reason: "Unable to create Wasm plugin p".into(),
        })
    }

    fn phase(&self) -> Phase {
        self.machine.rollout("r").unwrap().phase
    }
}

fn rollout(configuration: &str) -> Arc<Rollout> {
    Arc::new(Rollout {
        name: "r".into(),
        file: "r.yaml".into(),
        plugin: "p".into(),
        root_id: "p".into(),
        module: Module::new("p.wasm", b"\0asm".as_slice()),
        configuration: configuration.into(),
        groups: vec!["edge".into()],
        failure_policy: crate::FailurePolicy::FailReload,
        allow_on_headers_stop_iteration: false,
        environment: BTreeMap::new(),
        state_epoch: 0,
    })
}

/// Streams and generations.
fn pushes(actions: &[Action]) -> Vec<(u64, u64)> {
    let pushed = |action: &Action| match action {
        Action::Push {
            stream, generation, ..
        } => Some((stream.0, *generation)),
        _ => None,
    };
    actions.iter().filter_map(pushed).collect()
}

#[test]
fn nothing_is_pushed_before_it_was_tried() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let actions = play.declare(&[&rollout("a")]);
    assert!(matches!(actions[..], [Action::Check { .. }]), "{actions:?}");
    assert_eq!(play.phase(), Phase::Validating);
    let actions = play.check(&actions, Ok(()));
    assert_eq!(pushes(&actions), [(1, 101)]);
    assert_eq!(play.phase(), Phase::Pushed);
}

#[test]
fn what_is_refused_here_leaves_the_last_good_version_alone() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let actions = play.pass(&rollout("a"));
    play.acknowledge(&actions);
    let actions = play.declare(&[&rollout("b")]);
    let actions = play.check(&actions, Err("it traps"));
    assert!(actions.is_empty());
    let status = play.machine.rollout("r").unwrap();
    assert_eq!(status.phase, Phase::Refused);
    assert_eq!(status.reason.as_deref(), Some("it traps"));
    assert_eq!(status.declared.generation, None);
    assert_eq!(status.serving.unwrap().generation, Some(101));
    assert_eq!(status.envoys[0].state, EnvoyState::Acknowledged);
}

#[test]
fn the_answer_to_an_older_trial_changes_nothing() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let old = play.declare(&[&rollout("a")]);
    let new = play.declare(&[&rollout("b")]);
    assert!(play.check(&old, Ok(())).is_empty());
    let actions = play.check(&new, Ok(()));
    let [Action::Push { rollout, .. }] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(rollout.configuration, "b");
}

#[test]
fn other_groups_and_other_plugins_get_nothing() {
    let mut play = Play::new();
    play.connect(1, "inner", None);
    play.connect(2, "edge", None);
    play.tell(Event::Connected {
        stream: StreamId(3),
        node: Node::new("other", "edge", "10.0.0.1:3"),
    });
    let actions = play.pass(&rollout("a"));
    assert_eq!(pushes(&actions), [(2, 101)]);
    assert_eq!(play.machine.rollout("r").unwrap().envoys.len(), 1);
}

#[test]
fn what_one_envoy_refuses_is_taken_back_from_all_as_a_new_generation() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "edge", None);
    let actions = play.pass(&rollout("a"));
    play.acknowledge(&actions);
    let actions = play.pass(&rollout("b"));
    assert_eq!(pushes(&actions), [(1, 102), (2, 102)]);
    play.acknowledge(&actions[..1]);
    let actions = play.refuse(2, 102);
    assert_eq!(pushes(&actions), [(1, 103), (2, 103)]);
    let [Action::Push { rollout, .. }, _] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(rollout.configuration, "a");
    let status = play.machine.rollout("r").unwrap();
    assert_eq!(status.phase, Phase::Returned);
    let reason = "Envoy `envoy-2` refused it: Unable to create Wasm plugin p";
    assert_eq!(status.reason.as_deref(), Some(reason));
    assert_eq!(status.serving.unwrap().generation, Some(103));
}

#[test]
fn what_is_refused_with_nothing_before_it_is_not_pushed_again() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.pass(&rollout("a"));
    assert!(play.refuse(1, 101).is_empty());
    assert_eq!(play.phase(), Phase::Refused);
    assert!(play.connect(2, "edge", None).is_empty());
}

#[test]
fn an_envoy_that_comes_back_with_what_serves_is_not_pushed_to() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let actions = play.pass(&rollout("a"));
    play.acknowledge(&actions);
    play.tell(Event::Disconnected {
        stream: StreamId(1),
    });
    let gone = play.machine.rollout("r").unwrap();
    assert_eq!(gone.envoys[0].state, EnvoyState::Disconnected);
    assert!(play.connect(1, "edge", Some(101)).is_empty());
    assert_eq!(pushes(&play.connect(2, "edge", Some(99))), [(2, 101)]);
    let back = play.machine.rollout("r").unwrap();
    assert_eq!(back.envoys.len(), 2);
    assert_eq!(back.envoys[0].state, EnvoyState::Acknowledged);
}

#[test]
fn a_file_that_is_gone_takes_nothing_away() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let first = rollout("a");
    let actions = play.pass(&first);
    play.acknowledge(&actions);
    assert!(play.declare(&[]).is_empty());
    assert_eq!(play.phase(), Phase::Withdrawn);
    assert_eq!(pushes(&play.connect(2, "edge", None)), [(2, 101)]);
    // The same file again is nothing new.
    assert!(play.declare(&[&first]).is_empty());
    assert_eq!(play.phase(), Phase::AcknowledgedUnconfirmed);
}

#[test]
fn neighbouring_pushes_are_counted_in_different_slots() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let mut last = 0;
    for number in 0..40_u32 {
        let actions = play.pass(&rollout(&number.to_string()));
        let [(1, generation)] = pushes(&actions)[..] else {
            panic!("{actions:?}");
        };
        assert_ne!(last % 10, generation % 10);
        last = generation;
        play.acknowledge(&actions);
    }
}

#[test]
fn history_is_bounded_and_ends_with_the_latest() {
    let mut play = Play::new();
    for number in 0..300_u32 {
        let actions = play.declare(&[&rollout(&number.to_string())]);
        play.check(&actions, Err("no"));
    }
    let history = play.machine.history("r").unwrap();
    assert_eq!(history.entries.len(), 200);
    assert_eq!(history.entries.last().unwrap().phase, Phase::Refused);
}
