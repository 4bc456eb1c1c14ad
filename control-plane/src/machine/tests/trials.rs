//! What is declared, and tried before anything is pushed.

use super::*;

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
    play.serve(&rollout("a"));
    let actions = play.declare(&[&rollout("b")]);
    let actions = play.check(&actions, Err("it traps"));
    assert!(pushes(&actions).is_empty());
    let status = play.status();
    assert_eq!(status.phase, Phase::Refused);
    assert_eq!(status.reason.as_deref(), Some("it traps"));
    assert_eq!(status.declared.generation, None);
    assert_eq!(status.serving.unwrap().generation, Some(101));
    assert_eq!(status.envoys[0].state, EnvoyState::Confirmed);
}

#[test]
fn the_answer_to_an_older_trial_changes_nothing() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let old = play.declare(&[&rollout("a")]);
    let new = play.declare(&[&rollout("b")]);
    assert!(pushes(&play.check(&old, Ok(()))).is_empty());
    let actions = play.check(&new, Ok(()));
    assert_eq!(pushed(&actions), "b");
}

#[test]
fn a_trial_goes_on_whatever_becomes_of_the_version_before() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "canary", None);
    let first = play.pass(&with_canary("a"));
    play.run(&first);
    // The canary group has run the first to its end, while the second is still being tried.
    let trial = play.declare(&[&with_canary("b")]);
    let others = play.wait(61);
    assert_eq!(pushes(&others), [(1, 101)]);
    assert_eq!(play.phase(), Phase::Validating);
    play.run(&others);
    assert_eq!(play.phase(), Phase::Validating);
    let actions = play.check(&trial, Ok(()));
    assert_eq!(pushed(&actions), "b");
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
    assert_eq!(play.status().envoys.len(), 1);
}

#[test]
fn a_file_that_is_gone_takes_nothing_away() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let first = rollout("a");
    play.serve(&first);
    assert!(pushes(&play.declare(&[])).is_empty());
    assert_eq!(play.phase(), Phase::Withdrawn);
    assert_eq!(pushes(&play.connect(2, "edge", None)), [(2, 101)]);
    // The same file again is nothing new.
    assert!(
        play.declare(&[&first])
            .iter()
            .all(|action| matches!(action, Action::Save))
    );
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn a_file_that_declares_the_version_before_again_ends_what_is_on_its_way() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "edge", None);
    let first = rollout("a");
    play.serve(&first);
    let second = play.pass(&rollout("b"));
    assert_eq!(pushes(&second), [(1, 102), (2, 102)]);
    play.run(&second[..1]);
    let back = play.declare(&[&first]);
    // Each of them may have the other version, or get it yet.
    assert_eq!(pushes(&back), [(1, 103), (2, 103)]);
    assert_eq!(pushed(&back), "a");
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn pushes_that_follow_each_other_are_counted_in_different_slots() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let mut last = Vec::new();
    for number in 0..40_u32 {
        let actions = play.pass(&rollout(&number.to_string()));
        let [(1, generation)] = pushes(&actions)[..] else {
            panic!("{actions:?}");
        };
        let slot = generation % 10;
        assert!(!last.contains(&slot), "{last:?} {slot}");
        last.push(slot);
        if last.len() > 3 {
            last.remove(0);
        }
        // Another rollout takes numbers as well.
        let other = named("s", &["inner"], &number.to_string());
        let newest = rollout(&number.to_string());
        let trials = play.declare(&[&newest, &other]);
        play.check(&trials, Ok(()));
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
