mod canary;
mod claims;
mod confirmation;
mod envoys;
mod memory;
mod probes;
mod trials;

use std::sync::Arc;

use super::*;
use crate::rollout::Module;
use crate::status::{EnvoyState, EnvoyStatus, Phase};
use crate::timestamp::Timestamp;

/// A machine, what it was told, and Envoys that count.
struct Play {
    machine: Machine,
    now: u64,
    /// Whether Envoys name their admin port.
    admin: bool,
    /// What Envoys answer to probes before a version is sent.
    answered: Option<bool>,
    meters: BTreeMap<u64, Counts>,
}

impl Play {
    fn new() -> Self {
        Self {
            machine: Machine::new(100),
            now: 0,
            admin: true,
            answered: None,
            meters: BTreeMap::new(),
        }
    }

    fn without_admin() -> Self {
        Self {
            admin: false,
            ..Self::new()
        }
    }

    fn moment(&self) -> Moment {
        let running = Duration::from_millis(self.now);
        Moment::new(Timestamp::from_milliseconds(self.now), running)
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        self.now += 1;
        self.machine.apply(self.moment(), event)
    }

    fn wish(&mut self, wish: Wish) -> Result<Vec<Action>, Denial> {
        self.machine.grant(self.moment(), "r", wish)
    }

    /// The folder holds these files.
    fn declare(&mut self, rollouts: &[&Arc<Rollout>]) -> Vec<Action> {
        self.tell(Event::Declared {
            rollouts: rollouts.iter().map(|one| Arc::clone(one)).collect(),
            faults: Vec::new(),
            present: rollouts.iter().map(|one| one.name.clone()).collect(),
        })
    }

    /// Every trial ends like this.
    fn check(&mut self, actions: &[Action], outcome: Result<(), &str>) -> Vec<Action> {
        let mut all = Vec::new();
        for action in actions {
            if let Action::Check { rollout, trial } = action {
                let refused = |reason: &str| Setback::Refused(reason.to_owned());
                let outcome = outcome.map(|()| Arc::clone(rollout)).map_err(refused);
                all.extend(self.tell(Event::Checked {
                    name: rollout.name.clone(),
                    trial: *trial,
                    outcome,
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
        self.connect_as(stream, stream, group, holds)
    }

    /// An Envoy comes on another stream than before.
    fn connect_as(
        &mut self,
        stream: u64,
        envoy: u64,
        group: &str,
        holds: Option<u64>,
    ) -> Vec<Action> {
        let admin = self.admin.then(|| "10.0.0.1:9901".parse().unwrap());
        let address = format!("10.0.0.1:{stream}");
        let node = Node::new(format!("envoy-{envoy}"), group, address).with_admin(admin);
        let id = StreamId(stream);
        let mut actions = self.tell(Event::Connected { stream: id, node });
        actions.extend(self.tell(Event::Subscribed {
            stream: id,
            plugin: "p".into(),
            holds,
        }));
        actions
    }

    fn disconnect(&mut self, stream: u64) -> Vec<Action> {
        let stream = StreamId(stream);
        self.tell(Event::Disconnected { stream })
    }

    /// Pushes go out.
    fn send(&mut self, actions: &[Action]) {
        for (stream, generation) in pushes(actions) {
            let before = self.admin.then(|| self.meter(stream).clone());
            let sent = Event::Sent {
                stream: StreamId(stream),
                plugin: "p".into(),
                generation,
                before,
                answered: self.answered,
            };
            assert!(pushes(&self.tell(sent)).is_empty());
        }
    }

    /// Every push goes out and is acknowledged.
    fn acknowledge(&mut self, actions: &[Action]) -> Vec<Action> {
        self.send(actions);
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

    fn meter(&mut self, stream: u64) -> &mut Counts {
        self.meters.entry(stream).or_insert_with(|| Counts {
            workers: 2,
            plugins: BTreeMap::from([("p".into(), PluginCounts::default())]),
            ..Counts::default()
        })
    }

    fn plugin(&mut self, stream: u64) -> &mut PluginCounts {
        self.meter(stream).plugins.get_mut("p").unwrap()
    }

    /// The Envoy's counters are read.
    fn look(&mut self, stream: u64) -> Vec<Action> {
        let counts = Ok(self.meter(stream).clone());
        let stream = StreamId(stream);
        self.tell(Event::Seen { stream, counts })
    }

    /// So many workers run what was pushed, as Envoys count it.
    fn start(&mut self, actions: &[Action], workers: u64) -> Vec<Action> {
        let mut all = Vec::new();
        for (stream, generation) in pushes(actions) {
            let configured = &mut self.plugin(stream).configured;
            *configured.entry(slot(generation)).or_default() += workers + 2;
            all.extend(self.look(stream));
        }
        all
    }

    /// All workers run what was pushed.
    fn run(&mut self, actions: &[Action]) -> Vec<Action> {
        let mut all = self.acknowledge(actions);
        all.extend(self.start(actions, 2));
        all
    }

    /// The filter fails in so many streams.
    fn fail(&mut self, stream: u64, errors: u64) -> Vec<Action> {
        self.plugin(stream).errors += errors;
        self.look(stream)
    }

    /// A version is declared, found good, runs everywhere, and was watched to its end.
    fn serve(&mut self, rollout: &Arc<Rollout>) -> Vec<Action> {
        let actions = self.pass(rollout);
        self.run(&actions);
        assert!(pushes(&self.wait(11)).is_empty());
        assert_eq!(self.phase(), Phase::Confirmed);
        actions
    }

    fn wait(&mut self, seconds: u64) -> Vec<Action> {
        self.now += seconds * 1_000;
        self.tell(Event::Tick)
    }

    fn status(&self) -> RolloutStatus {
        self.machine.rollout(self.moment(), "r").unwrap()
    }

    fn phase(&self) -> Phase {
        self.status().phase
    }

    fn reason(&self) -> String {
        self.status().reason.unwrap()
    }

    fn envoy(&self, number: u64) -> EnvoyStatus {
        let node = format!("envoy-{number}");
        let envoys = self.status().envoys;
        envoys.into_iter().find(|one| one.node == node).unwrap()
    }
}

pub(super) fn rollout(configuration: &str) -> Arc<Rollout> {
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
        probe: None,
    })
}

/// The same by another file, or for other groups.
fn named(name: &str, groups: &[&str], configuration: &str) -> Arc<Rollout> {
    let mut rollout = Rollout::clone(&rollout(configuration));
    rollout.name = name.into();
    rollout.file = format!("{name}.yaml").into();
    rollout.groups = groups.iter().map(|group| (*group).to_owned()).collect();
    Arc::new(rollout)
}

/// A version whose module counts, tried by a canary group for a minute.
fn with_canary(configuration: &str) -> Arc<Rollout> {
    let mut rollout = Rollout::clone(&named("r", &["edge", "canary"], configuration));
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

/// What the first push carries.
fn pushed(actions: &[Action]) -> &str {
    let first = actions.iter().find_map(|action| match action {
        Action::Push { rollout, .. } => Some(rollout.configuration.as_str()),
        _ => None,
    });
    first.unwrap()
}
