//! Modules that do not count what they configure.

use super::*;

/// A version whose module does not count, and whose answers tell it.
fn told_by(header: &str) -> Arc<Rollout> {
    let mut rollout = Rollout::clone(&with_canary(header));
    let probe = serde_json::json!({ "port": 80, "expect": { "headers": { "x-build": header } } });
    rollout.module = Module::new("p.wasm", b"\0asm of somebody else".as_slice());
    rollout.canary = None;
    rollout.probe = Some(serde_json::from_value(probe).unwrap());
    Arc::new(rollout)
}

fn round(running: &[u64], other: Option<&str>) -> Result<Round, String> {
    Ok(Round {
        workers: 2,
        running: running.iter().copied().collect(),
        answers: Share { all: 8, failed: 0 },
        other: other.map(str::to_owned),
    })
}

impl Play {
    /// Envoys answer what a version is to answer before it is sent, or do not.
    fn answering(answered: bool) -> Self {
        Self {
            answered: Some(answered),
            ..Self::new()
        }
    }

    fn probe(&mut self, stream: u64, round: Result<Round, String>) -> Vec<Action> {
        let wanted = self.machine.rollout(self.moment(), "r").unwrap().envoys;
        let generation = wanted[0].wanted.unwrap();
        self.look(stream);
        self.tell(Event::Probed {
            stream: StreamId(stream),
            plugin: "p".into(),
            generation,
            round,
        })
    }

    fn probes(&self, stream: u64) -> Vec<Probing> {
        let watch = self.machine.watch(self.moment(), StreamId(stream));
        watch.map_or_else(Vec::new, |watch| watch.probes)
    }
}

#[test]
fn a_version_is_confirmed_when_each_worker_has_answered_with_it() {
    let mut play = Play::answering(false);
    play.connect(1, "edge", None);
    let actions = play.pass(&told_by("b"));
    assert!(play.probes(1).is_empty(), "before it has acknowledged");
    play.acknowledge(&actions);
    let probes = play.probes(1);
    assert_eq!(probes[0].address, "10.0.0.1:80".parse().unwrap());
    play.probe(1, round(&[0], None));
    assert_eq!(play.phase(), Phase::Pushed);
    // Another round, in which the same worker took no connection.
    play.probe(1, round(&[1], None));
    assert_eq!(play.phase(), Phase::Confirmed);
    assert_eq!(play.envoy(1).state, EnvoyState::Confirmed);
    assert!(play.probes(1)[0].is_watched);
    play.wait(11);
    assert!(play.probes(1).is_empty());
}

#[test]
fn an_answer_of_another_version_confirms_nothing_and_fails_it_in_the_end() {
    let mut play = Play::answering(false);
    play.connect(1, "edge", None);
    let actions = play.pass(&told_by("b"));
    play.acknowledge(&actions);
    let actions = {
        play.probe(1, round(&[0, 1], None));
        play.wait(11);
        play.declare(&[&told_by("c")])
    };
    let actions = play.check(&actions, Ok(()));
    play.acknowledge(&actions);
    for _ in 0..2 {
        play.probe(1, round(&[1], Some("`x-build: b`, not `c`")));
    }
    assert_eq!(play.phase(), Phase::Pushed);
    let workers = play.envoy(1).workers.unwrap();
    assert_eq!((workers.running, workers.all), (1, 2));
    let back = play.wait(11);
    assert_eq!(play.phase(), Phase::Returned);
    assert!(
        play.reason().contains("(1 are seen to)"),
        "{}",
        play.reason()
    );
    assert_eq!(pushed(&back), "b");
}

#[test]
fn where_not_every_worker_is_seen_it_stays_unconfirmed_and_is_not_promoted() {
    let mut play = Play::answering(false);
    play.connect(1, "canary", None);
    let mut rollout = Rollout::clone(&told_by("b"));
    rollout.canary = with_canary("b").canary.clone();
    let actions = play.pass(&Arc::new(rollout));
    play.acknowledge(&actions);
    play.probe(1, round(&[0], None));
    play.wait(11);
    assert_eq!(play.phase(), Phase::AcknowledgedUnconfirmed);
    assert!(
        play.reason().contains("1 of 2 workers"),
        "{}",
        play.reason()
    );
    assert!(play.wish(Wish::Promote).is_err());
    play.probe(1, round(&[1], None));
    assert_eq!(play.phase(), Phase::Canary);
}

#[test]
fn what_cannot_be_reached_is_told_and_fails_nothing() {
    let mut play = Play::answering(false);
    play.connect(1, "edge", None);
    let actions = play.pass(&told_by("b"));
    play.acknowledge(&actions);
    play.probe(1, Err("Envoy cannot be probed".into()));
    play.wait(11);
    assert_eq!(play.phase(), Phase::AcknowledgedUnconfirmed);
    assert_eq!(play.reason(), "Envoy cannot be probed");
    assert_eq!(play.envoy(1).reason.unwrap(), "Envoy cannot be probed");
}

#[test]
fn one_round_with_another_answer_fails_nothing_and_two_in_a_row_do() {
    let mut play = Play::answering(false);
    play.connect(1, "edge", None);
    let actions = play.pass(&told_by("b"));
    play.acknowledge(&actions);
    play.wait(11);
    let other = || round(&[0], Some("status 503 without `x-build`"));
    for between in [Err("no answer".into()), round(&[0], None)] {
        play.probe(1, other());
        assert_eq!(play.phase(), Phase::AcknowledgedUnconfirmed);
        let reason = play.envoy(1).reason.unwrap();
        assert!(reason.contains("it is asked again"), "{reason}");
        play.probe(1, between);
        assert_eq!(play.phase(), Phase::AcknowledgedUnconfirmed);
    }
    play.probe(1, other());
    play.probe(1, other());
    assert_eq!(play.phase(), Phase::Refused);
}

#[test]
fn answers_that_were_the_same_before_tell_nothing() {
    let mut play = Play::answering(true);
    play.connect(1, "edge", None);
    let actions = play.pass(&told_by("b"));
    play.acknowledge(&actions);
    assert!(play.probes(1).is_empty());
    play.probe(1, round(&[0, 1], None));
    assert_eq!(play.phase(), Phase::AcknowledgedUnconfirmed);
    assert!(play.reason().contains("before it was sent"));
    // But no other push has the number of this one.
    let mut play = Play::answering(true);
    play.connect(1, "edge", None);
    let actions = play.pass(&told_by("$ATTACHE_GENERATION"));
    play.acknowledge(&actions);
    assert_eq!(play.probes(1).len(), 1);
    play.probe(1, round(&[0, 1], None));
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn an_envoy_that_asks_by_two_sources_is_not_probed_for_either_while_it_does() {
    for header in ["b", "$ATTACHE_GENERATION"] {
        let mut play = Play::answering(false);
        play.connect(1, "edge", None);
        play.connect_as(2, 1, "edge", None);
        let actions = play.pass(&told_by(header));
        play.acknowledge(&actions);
        assert!(play.probes(1).is_empty());
        assert!(play.probes(2).is_empty());
        play.probe(1, round(&[0, 1], None));
        assert_eq!(play.phase(), Phase::AcknowledgedUnconfirmed);
        assert!(play.reason().contains("several sources"));
        // The other one is gone.
        play.disconnect(2);
        assert_eq!(play.probes(1).len(), 1);
    }
}

#[test]
fn who_does_not_show_it_at_once_is_probed_less_and_less() {
    let mut play = Play::answering(false);
    play.connect(1, "edge", None);
    let actions = play.pass(&told_by("b"));
    play.acknowledge(&actions);
    play.probe(1, round(&[0], None));
    assert_eq!(play.probes(1).len(), 1, "at once again");
    for (passed, pause) in [(2, 1), (11, 5)] {
        play.wait(passed);
        play.probe(1, round(&[0], None));
        play.wait(pause - 1);
        assert!(play.probes(1).is_empty());
        play.wait(1);
        assert_eq!(play.probes(1).len(), 1);
    }
}

#[test]
fn an_envoy_that_nobody_knows_how_to_probe_stays_unconfirmed() {
    let mut play = Play::answering(false);
    play.connect(1, "edge", None);
    let mut rollout = Rollout::clone(&told_by("b"));
    let probe = serde_json::json!({ "expect": { "status": 200 } });
    rollout.probe = Some(serde_json::from_value(probe).unwrap());
    let actions = play.pass(&Arc::new(rollout));
    play.acknowledge(&actions);
    assert_eq!(play.phase(), Phase::AcknowledgedUnconfirmed);
    assert!(play.reason().contains("`attache.probe_port`"));
}

#[test]
fn a_version_that_no_longer_answers_while_it_is_watched_is_taken_back() {
    for counts in [false, true] {
        // What is confirmed by counters need not answer otherwise than what ran before.
        let mut play = Play::answering(counts);
        play.connect(1, "edge", None);
        play.serve(&rollout("a"));
        let mut rollout = Rollout::clone(&told_by("b"));
        if counts {
            rollout.module = rollout_that_counts();
        }
        let actions = play.pass(&Arc::new(rollout));
        play.run(&actions);
        play.probe(1, round(&[0, 1], None));
        assert_eq!(play.phase(), Phase::Confirmed);
        assert!(play.probes(1)[0].is_watched);
        // One answer may be that of an upstream.
        let gone = || round(&[], Some("status 200 without `x-build`"));
        play.probe(1, gone());
        play.probe(1, round(&[], None));
        play.probe(1, gone());
        assert_eq!(play.phase(), Phase::Confirmed);
        let back = play.probe(1, gone());
        assert_eq!(play.phase(), Phase::Returned);
        assert!(play.reason().contains("no longer answers"));
        assert_eq!(pushed(&back), "a");
    }
}

fn rollout_that_counts() -> Module {
    rollout("a").module.clone()
}
