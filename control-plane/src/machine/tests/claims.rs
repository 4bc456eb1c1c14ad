//! Two rollouts, one plugin.

use super::*;

/// The state of a rollout.
fn of(play: &Play, name: &str) -> RolloutStatus {
    play.machine.rollout(play.moment(), name).unwrap()
}

/// The phases of all rollouts, by name.
fn names(play: &Play) -> Vec<String> {
    let status = play.machine.status(play.moment());
    status.rollouts.into_iter().map(|one| one.name).collect()
}

fn faults(play: &Play) -> Vec<String> {
    let status = play.machine.status(play.moment());
    status.faults.into_iter().map(|one| one.file).collect()
}

#[test]
fn a_file_that_is_renamed_takes_over_and_nothing_is_sent_twice() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let renamed = named("s", &["edge"], "a");
    let trial = play.declare(&[&renamed]);
    // Until the new one has something, the old one serves.
    assert!(pushes(&trial).is_empty());
    assert_eq!(pushes(&play.connect(2, "edge", None)), [(2, 101)]);
    let actions = play.check(&trial, Ok(()));
    assert_eq!(pushes(&actions), [(1, 102), (2, 102)]);
    play.run(&actions);
    for _ in 0..20 {
        assert!(pushes(&play.wait(1)).is_empty());
    }
    assert_eq!(of(&play, "s").phase, Phase::Confirmed);
    // The old one is of no use any more.
    assert_eq!(names(&play), ["s"]);
}

#[test]
fn a_renamed_file_that_fails_goes_back_to_what_the_old_one_said() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let trial = play.declare(&[&named("s", &["edge"], "b")]);
    let actions = play.check(&trial, Ok(()));
    assert_eq!(pushed(&actions), "b");
    let back = play.refuse(1, pushes(&actions)[0].1);
    assert_eq!(pushed(&back), "a");
    assert!(pushes(&play.wait(5)).is_empty());
    assert_eq!(names(&play), ["r", "s"]);
}

#[test]
fn what_meets_another_is_refused_whichever_file_comes_first() {
    for name in ["a", "z"] {
        let mut play = Play::new();
        play.connect(1, "edge", None);
        let first = rollout("a");
        play.serve(&first);
        let other = named(name, &[], "b");
        let actions = play.declare(&[&first, &other]);
        assert!(play.check(&actions, Ok(())).is_empty());
        assert_eq!(faults(&play), [format!("{name}.yaml")]);
        assert_eq!(names(&play), ["r"]);
    }
}

#[test]
fn a_file_that_widens_its_groups_over_another_keeps_what_it_had() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "inner", None);
    let (edge, inner) = (named("r", &["edge"], "a"), named("s", &["inner"], "a"));
    let trials = play.declare(&[&edge, &inner]);
    let actions = play.check(&trials, Ok(()));
    assert_eq!(pushes(&actions), [(1, 101), (2, 102)]);
    play.run(&actions);
    let wide = named("r", &[], "b");
    assert!(pushes(&play.declare(&[&wide, &inner])).is_empty());
    assert_eq!(faults(&play), ["r.yaml"]);
    assert_eq!(of(&play, "r").phase, Phase::Confirmed);
    // The other one makes room, in the same moment or later.
    let trials = play.declare(&[&wide]);
    let actions = play.check(&trials, Ok(()));
    assert_eq!(pushes(&actions), [(1, 103), (2, 103)]);
    assert_eq!(pushed(&actions), "b");
}

#[test]
fn a_file_that_cannot_be_read_keeps_its_envoys() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let other = named("s", &["edge"], "b");
    let actions = play.tell(Event::Declared {
        rollouts: vec![other],
        faults: Vec::new(),
        present: vec!["r".into(), "s".into()],
    });
    assert!(play.check(&actions, Ok(())).is_empty());
    assert_eq!(faults(&play), ["s.yaml"]);
}

#[test]
fn groups_that_change_hands_in_one_moment_do() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "inner", None);
    let trials = play.declare(&[&named("r", &["edge"], "a"), &named("s", &["inner"], "b")]);
    let actions = play.check(&trials, Ok(()));
    play.run(&actions);
    play.wait(11);
    let trials = play.declare(&[&named("r", &["inner"], "a"), &named("s", &["edge"], "b")]);
    assert!(faults(&play).is_empty());
    let first = play.check(&trials[..1], Ok(()));
    play.run(&first);
    let second = play.check(&trials[1..], Ok(()));
    play.run(&second);
    for _ in 0..20 {
        assert!(pushes(&play.wait(1)).is_empty());
    }
    assert_eq!(of(&play, "r").envoys[0].node, "envoy-2");
    assert_eq!(of(&play, "r").phase, Phase::Confirmed);
    assert_eq!(of(&play, "s").phase, Phase::Confirmed);
}

#[test]
fn a_file_of_another_plugin_leaves_the_envoys_of_the_first_what_they_have() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let mut other = Rollout::clone(&rollout("b"));
    other.plugin = "q".into();
    let actions = play.declare(&[&Arc::new(other)]);
    assert!(pushes(&play.check(&actions, Ok(()))).is_empty());
    assert_eq!(names(&play), ["r", "r (p)"]);
    assert_eq!(of(&play, "r (p)").phase, Phase::Withdrawn);
    assert_eq!(pushes(&play.connect(2, "edge", None)), [(2, 101)]);
}

#[test]
fn a_file_that_changes_its_plugin_twice_leaves_both_what_they_have() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "inner", None);
    play.serve(&named("r", &["edge"], "a"));
    let mut other = Rollout::clone(&rollout("b"));
    other.plugin = "q".into();
    let other = Arc::new(other);
    let actions = play.declare(&[&other]);
    play.check(&actions, Ok(()));
    play.serve(&named("r", &["inner"], "c"));
    let actions = play.declare(&[&other]);
    play.check(&actions, Ok(()));
    assert_eq!(names(&play), ["r", "r (p)", "r (p, 2)", "r (q)"]);
    assert_eq!(pushed(&play.connect(3, "edge", None)), "a");
    assert_eq!(pushed(&play.connect(4, "inner", None)), "c");
}
