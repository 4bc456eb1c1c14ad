use std::sync::Arc;

use super::*;
use crate::rollout::Module;
use crate::status::{EnvoyState, Phase};

/// A machine, and what it answered.
struct Play {
    machine: Machine,
    now: u64,
    files: Vec<Arc<Rollout>>,
    /// Whether Envoys name their admin port.
    admin: bool,
}

impl Play {
    fn new() -> Self {
        Self {
            machine: Machine::new(100),
            now: 0,
            files: Vec::new(),
            admin: false,
        }
    }

    fn with_admin() -> Self {
        Self {
            admin: true,
            ..Self::new()
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
        let admin = self.admin.then(|| "10.0.0.1:9901".parse().unwrap());
        let address = format!("10.0.0.1:{stream}");
        let node = Node::new(format!("envoy-{stream}"), group, address).with_admin(admin);
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
        module: Module::new("p.wasm", b"\0asm attache_configured_total".as_slice()),
        configuration: configuration.into(),
        groups: vec!["edge".into()],
        failure_policy: crate::FailurePolicy::FailReload,
        allow_on_headers_stop_iteration: false,
        environment: BTreeMap::new(),
        state_epoch: 0,
        suites: Vec::new(),
        canary: None,
        criteria: crate::Criteria::default(),
    })
}

impl Play {
    /// The counters of every Envoy that was pushed to say this.
    fn see(&mut self, actions: &[Action], sight: Sight) -> Vec<Action> {
        let mut all = Vec::new();
        for (stream, generation) in pushes(actions) {
            all.extend(self.tell(Event::Seen {
                stream: StreamId(stream),
                plugin: "p".into(),
                generation,
                sight,
            }));
        }
        all
    }

    /// All workers run what was pushed.
    fn run(&mut self, actions: &[Action]) -> Vec<Action> {
        self.acknowledge(actions);
        self.see(actions, running(2))
    }

    fn wait(&mut self, seconds: u64) -> Vec<Action> {
        self.now += seconds * 1_000;
        self.tell(Event::Tick)
    }

    fn reason(&self) -> String {
        self.machine.rollout("r").unwrap().reason.unwrap()
    }
}

/// So many of two workers run it.
fn running(running: u64) -> Sight {
    Sight {
        workers: 2,
        running,
        ..Sight::default()
    }
}

/// A version whose module counts, tried by a canary group.
fn with_canary(configuration: &str) -> Arc<Rollout> {
    let mut rollout = Rollout::clone(&rollout(configuration));
    rollout.groups = vec!["edge".into(), "canary".into()];
    rollout.canary = Some(
        serde_json::from_value(serde_json::json!({ "group": "canary", "for": "60s" })).unwrap(),
    );
    Arc::new(rollout)
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
    assert!(matches!(actions[0], Action::Check { .. }), "{actions:?}");
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
    assert!(pushes(&actions).is_empty());
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
    assert!(pushes(&play.check(&old, Ok(()))).is_empty());
    let actions = play.check(&new, Ok(()));
    let Action::Push { rollout, .. } = &actions[0] else {
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
    let Action::Push { rollout, .. } = &actions[0] else {
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
    assert!(pushes(&play.refuse(1, 101)).is_empty());
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
    assert!(pushes(&play.declare(&[])).is_empty());
    assert_eq!(play.phase(), Phase::Withdrawn);
    assert_eq!(pushes(&play.connect(2, "edge", None)), [(2, 101)]);
    // The same file again is nothing new.
    assert!(pushes(&play.declare(&[&first])).is_empty());
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

#[test]
fn a_version_is_confirmed_when_every_worker_of_every_envoy_runs_it() {
    let mut play = Play::with_admin();
    play.connect(1, "edge", None);
    play.connect(2, "edge", None);
    let actions = play.pass(&rollout("a"));
    play.acknowledge(&actions);
    assert_eq!(play.phase(), Phase::Pushed);
    play.see(&actions[..1], running(2));
    play.see(&actions[1..], running(1));
    assert_eq!(play.phase(), Phase::Pushed);
    assert_eq!(
        play.reason(),
        "2 of 2 Envoys have acknowledged it, 1 run it"
    );
    play.see(&actions[1..], running(2));
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn a_worker_that_never_runs_it_brings_the_last_good_version_back() {
    let mut play = Play::with_admin();
    play.connect(1, "edge", None);
    let actions = play.pass(&rollout("a"));
    play.run(&actions);
    let actions = play.pass(&rollout("b"));
    play.acknowledge(&actions);
    play.see(&actions, running(1));
    assert!(pushes(&play.wait(9)).is_empty());
    assert_eq!(pushes(&play.wait(2)), [(1, 103)]);
    assert_eq!(play.phase(), Phase::Returned);
    assert_eq!(
        play.reason(),
        "1 of 2 workers of Envoy `envoy-1` run it after 10 s"
    );
}

#[test]
fn an_envoy_that_never_answers_brings_the_last_good_version_back() {
    let mut play = Play::with_admin();
    play.connect(1, "edge", None);
    let actions = play.pass(&rollout("a"));
    play.run(&actions);
    play.pass(&rollout("b"));
    assert_eq!(pushes(&play.wait(11)), [(1, 103)]);
    assert_eq!(
        play.reason(),
        "Envoy `envoy-1` has not answered within 10 s"
    );
}

#[test]
fn failures_of_the_plugin_bring_the_last_good_version_back_while_it_is_watched() {
    let mut play = Play::with_admin();
    play.connect(1, "edge", None);
    let first = play.pass(&rollout("a"));
    play.run(&first);
    play.wait(11);
    let actions = play.pass(&rollout("b"));
    play.run(&actions);
    assert_eq!(play.phase(), Phase::Confirmed);
    let failing = Sight {
        plugin_failures: 1,
        ..running(2)
    };
    assert_eq!(pushes(&play.see(&actions, failing)), [(1, 103)]);
    assert_eq!(play.phase(), Phase::Returned);
    // What has passed its time is good, whatever comes.
    let last = play.pass(&rollout("c"));
    play.run(&last);
    play.wait(11);
    assert!(pushes(&play.see(&last, failing)).is_empty());
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn server_errors_count_by_how_much_their_share_has_grown() {
    let share = |failed, all| Share { all, failed };
    for (before, after, back) in [
        (share(0, 1_000), share(6, 100), true),
        (share(0, 1_000), share(5, 100), false),
        (share(100, 1_000), share(15, 100), false),
        (share(0, 1_000), share(10, 19), false),
    ] {
        let mut play = Play::with_admin();
        play.connect(1, "edge", None);
        let actions = play.pass(&rollout("a"));
        play.run(&actions);
        let actions = play.pass(&rollout("b"));
        play.run(&actions);
        let sight = Sight {
            requests: after,
            requests_before: before,
            ..running(2)
        };
        play.see(&actions, sight);
        assert_eq!(
            play.phase() == Phase::Returned,
            back,
            "{before:?} {after:?}"
        );
    }
}

#[test]
fn a_canary_group_tries_a_version_for_the_others() {
    let mut play = Play::with_admin();
    play.connect(1, "edge", None);
    play.connect(2, "canary", None);
    let actions = play.pass(&with_canary("a"));
    assert_eq!(pushes(&actions), [(2, 101)]);
    play.run(&actions);
    assert_eq!(play.phase(), Phase::Canary);
    assert!(pushes(&play.wait(59)).is_empty());
    let actions = play.wait(2);
    assert_eq!(pushes(&actions), [(1, 101)]);
    play.run(&actions);
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn what_fails_with_the_canary_group_never_reaches_the_others() {
    let mut play = Play::with_admin();
    play.connect(1, "edge", None);
    play.connect(2, "canary", None);
    let first = play.pass(&with_canary("a"));
    play.run(&first);
    let others = play.wait(61);
    play.run(&others);
    let actions = play.pass(&with_canary("b"));
    assert_eq!(pushes(&actions), [(2, 102)]);
    play.run(&actions);
    let failing = Sight {
        plugin_failures: 1,
        ..running(2)
    };
    // The others are not touched by the return either, but for the generation that all have then.
    let back = play.see(&actions, failing);
    assert_eq!(play.phase(), Phase::Returned);
    assert!(
        pushes(&back)
            .iter()
            .all(|(_, generation)| *generation == 103)
    );
    let status = play.machine.rollout("r").unwrap();
    assert_eq!(status.serving.unwrap().configuration, play.declared_first());
}

impl Play {
    fn declared_first(&self) -> String {
        with_canary("a").version(None).configuration
    }
}

#[test]
fn what_is_unconfirmed_is_never_promoted() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "canary", None);
    let actions = play.pass(&with_canary("a"));
    play.acknowledge(&actions);
    assert_eq!(play.phase(), Phase::AcknowledgedUnconfirmed);
    assert!(pushes(&play.wait(1_000)).is_empty());
    let now = Timestamp::from_milliseconds(play.now);
    let denial = play.machine.grant(now, "r", Wish::Promote).unwrap_err();
    assert!(denial.to_string().contains("never promoted"), "{denial}");
}

#[test]
fn an_operator_promotes_and_takes_back() {
    let mut play = Play::with_admin();
    play.connect(1, "edge", None);
    play.connect(2, "canary", None);
    let actions = play.pass(&with_canary("a"));
    play.run(&actions);
    let now = Timestamp::from_milliseconds(play.now);
    let actions = play.machine.grant(now, "r", Wish::Promote).unwrap();
    assert_eq!(pushes(&actions), [(1, 101)]);
    play.run(&actions);
    play.wait(11);
    let denial = play.machine.grant(now, "r", Wish::Undo).unwrap_err();
    assert!(matches!(denial, Denial::NotNow(_)), "{denial}");
    let actions = play.pass(&with_canary("b"));
    play.run(&actions);
    let actions = play.wait(61);
    play.run(&actions);
    play.wait(11);
    let now = Timestamp::from_milliseconds(play.now);
    let back = play.machine.grant(now, "r", Wish::Undo).unwrap();
    assert_eq!(pushes(&back), [(1, 103), (2, 103)]);
    assert_eq!(play.phase(), Phase::Returned);
    assert_eq!(
        play.machine.grant(now, "x", Wish::Undo).unwrap_err(),
        Denial::Unknown
    );
}

#[test]
fn another_start_serves_what_was_good_and_tries_again_what_was_on_its_way() {
    let mut play = Play::with_admin();
    play.connect(1, "edge", None);
    let (first, second) = (rollout("a"), rollout("b"));
    let actions = play.pass(&first);
    play.run(&actions);
    play.wait(11);
    let module = first.module.bytes().to_vec();
    let again = |play: &Play| {
        let text = serde_json::to_string(&play.machine.memory()).unwrap();
        let memory: Memory = serde_json::from_str(&text).unwrap();
        Play {
            machine: Machine::remembering(memory.with_modules(|_| Some(module.clone())), 0),
            now: play.now,
            files: Vec::new(),
            admin: true,
        }
    };
    let mut good = again(&play);
    assert!(pushes(&good.declare(&[&first])).is_empty());
    assert!(pushes(&good.connect(1, "edge", Some(101))).is_empty());
    assert_eq!(pushes(&good.connect(2, "edge", None)), [(2, 101)]);
    play.pass(&second);
    let mut interrupted = again(&play);
    // The Envoy may have had the other one meanwhile.
    assert_eq!(
        pushes(&interrupted.connect(1, "edge", Some(102))),
        [(1, 103)]
    );
    let actions = interrupted.declare(&[&second]);
    let actions = interrupted.check(&actions, Ok(()));
    assert_eq!(pushes(&actions), [(1, 104)]);
    // A version that was taken back is not tried again.
    interrupted.refuse(1, 104);
    assert_eq!(interrupted.phase(), Phase::Returned);
    let mut returned = again(&interrupted);
    assert!(returned.declare(&[&second]).is_empty());
    assert_eq!(returned.phase(), Phase::Returned);
}
