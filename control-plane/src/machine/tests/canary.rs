//! A group that tries a version for the others.

use super::*;
use crate::rollout::FailurePolicy;

/// A good version on an Envoy of each group.
fn good() -> Play {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "canary", None);
    let first = play.pass(&with_canary("a"));
    play.run(&first);
    let others = play.wait(61);
    play.run(&others);
    play.wait(11);
    assert_eq!(play.phase(), Phase::Confirmed);
    play
}

#[test]
fn a_canary_group_tries_a_version_for_the_others() {
    let mut play = Play::new();
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
fn what_fails_with_the_canary_group_touches_nobody_else() {
    let mut play = good();
    let actions = play.pass(&with_canary("b"));
    assert_eq!(pushes(&actions), [(2, 102)]);
    play.run(&actions);
    let back = play.fail(2, 1);
    assert_eq!(pushes(&back), [(2, 103)]);
    assert_eq!(pushed(&back), "a");
    assert_eq!(play.phase(), Phase::Returned);
    play.run(&back);
    let status = play.status();
    assert_eq!(play.envoy(1).acknowledged, Some(101));
    assert_eq!(
        (status.served_by.envoys, status.served_by.confirmed),
        (2, 2)
    );
}

#[test]
fn a_canary_that_ends_with_the_version_is_a_failure() {
    let mut play = good();
    let actions = play.pass(&with_canary("b"));
    play.run(&actions);
    assert_eq!(play.phase(), Phase::Canary);
    // Its Envoys crash, and do not come back.
    play.disconnect(2);
    assert!(pushes(&play.wait(9)).is_empty());
    assert_eq!(play.phase(), Phase::Canary);
    assert!(pushes(&play.wait(2)).is_empty());
    assert_eq!(play.phase(), Phase::Returned);
    assert!(play.reason().contains("`envoy-2`"), "{}", play.reason());
    assert!(pushes(&play.wait(1_000)).is_empty());
}

#[test]
fn a_canary_that_begins_anew_has_crashed_with_the_version() {
    let mut play = good();
    let actions = play.pass(&with_canary("b"));
    play.run(&actions);
    play.disconnect(2);
    let actions = play.connect_as(3, 2, "canary", None);
    // It gets what was good before.
    assert_eq!(pushes(&actions).len(), 1);
    assert_eq!(pushed(&actions), "a");
    assert_eq!(play.phase(), Phase::Returned);
}

#[test]
fn without_an_envoy_of_the_canary_group_nothing_is_promoted() {
    let mut play = good();
    play.disconnect(2);
    assert!(pushes(&play.pass(&with_canary("b"))).is_empty());
    assert!(pushes(&play.wait(1_000)).is_empty());
    assert_eq!(play.phase(), Phase::Pushed);
    assert!(play.wish(Wish::Promote).is_err());
}

#[test]
fn an_envoy_that_joins_the_canary_group_has_to_run_it_too() {
    let mut play = good();
    let actions = play.pass(&with_canary("b"));
    play.run(&actions);
    play.wait(55);
    let late = play.connect(3, "canary", None);
    assert_eq!(pushes(&late), [(3, 102)]);
    assert!(pushes(&play.wait(6)).is_empty());
    let others = play.run(&late);
    assert_eq!(pushes(&others), [(1, 102)]);
}

#[test]
fn a_file_that_is_gone_ends_the_trial() {
    let mut play = good();
    let actions = play.pass(&with_canary("b"));
    play.run(&actions);
    let back = play.declare(&[]);
    assert_eq!(pushes(&back), [(2, 103)]);
    assert_eq!(pushed(&back), "a");
    assert!(
        pushes(&play.wait(1_000))
            .iter()
            .all(|(stream, _)| *stream == 2)
    );
    assert_eq!(play.phase(), Phase::Withdrawn);
}

#[test]
fn what_is_overtaken_on_its_way_does_not_stay() {
    let mut play = good();
    // The canary group is sent a version; before it answers, another canary group is declared.
    let overtaken = play.pass(&with_canary("b"));
    assert_eq!(pushes(&overtaken), [(2, 102)]);
    let mut other = Rollout::clone(&with_canary("c"));
    other.canary.as_mut().unwrap().group = "edge".into();
    let actions = play.pass(&Arc::new(other));
    assert_eq!(pushes(&actions), [(1, 103), (2, 104)]);
    assert_eq!(pushed(&actions[1..]), "a");
}

#[test]
fn what_is_unconfirmed_is_never_promoted() {
    let mut play = Play::without_admin();
    play.connect(1, "edge", None);
    play.connect(2, "canary", None);
    let actions = play.pass(&with_canary("a"));
    play.acknowledge(&actions);
    assert_eq!(play.phase(), Phase::AcknowledgedUnconfirmed);
    assert!(pushes(&play.wait(1_000)).is_empty());
    let denial = play.wish(Wish::Promote).unwrap_err();
    assert!(denial.to_string().contains("never promoted"), "{denial}");
}

#[test]
fn an_operator_promotes_and_takes_back() {
    let mut play = good();
    let actions = play.pass(&with_canary("b"));
    play.run(&actions);
    let others = play.wish(Wish::Promote).unwrap();
    assert_eq!(pushes(&others), [(1, 102)]);
    assert_eq!(play.phase(), Phase::Pushed);
    play.run(&others);
    assert_eq!(play.phase(), Phase::Confirmed);
    let back = play.wish(Wish::Undo).unwrap();
    assert_eq!(pushes(&back), [(1, 103), (2, 103)]);
    assert_eq!(pushed(&back), "a");
    assert_eq!(play.phase(), Phase::Returned);
}

#[test]
fn a_clock_that_is_set_ends_no_waiting_time() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "canary", None);
    let actions = play.pass(&with_canary("a"));
    play.run(&actions);
    let running = Duration::from_millis(play.now + 1);
    let tomorrow = Timestamp::from_milliseconds(86_400_000);
    let set = Moment::new(tomorrow, running);
    assert!(pushes(&play.machine.apply(set, Event::Tick)).is_empty());
    let status = play.machine.rollout(set, "r").unwrap();
    assert_eq!(status.phase, Phase::Canary);
    // The end of the trial is told by the clock as it is now.
    assert!(status.canary.unwrap().until.unwrap() > tomorrow);
    assert_eq!(pushes(&play.wait(61)), [(1, 101)]);
}

#[test]
fn a_version_that_is_still_watched_stays_where_the_next_does_not_go_yet() {
    let mut play = good();
    let actions = play.pass(&with_canary("b"));
    play.run(&actions);
    let others = play.wish(Wish::Promote).unwrap();
    play.run(&others);
    // Within the time for which it is watched, the canary group tries another.
    let actions = play.pass(&with_canary("c"));
    assert_eq!(pushes(&actions), [(2, 103)]);
    play.run(&actions);
    // The one still fails for what it does.
    let back = play.fail(1, 1);
    assert_eq!(pushes(&back), [(1, 104)]);
    assert_eq!(pushed(&back), "a");
    assert_eq!(play.phase(), Phase::Canary);
}

#[test]
fn a_version_that_was_watched_to_its_end_meanwhile_is_good() {
    let mut play = good();
    let actions = play.pass(&with_canary("b"));
    play.run(&actions);
    let others = play.wish(Wish::Promote).unwrap();
    play.run(&others);
    let actions = play.pass(&with_canary("c"));
    play.run(&actions);
    play.wait(11);
    assert!(pushes(&play.fail(1, 1)).is_empty());
    let back = play.fail(2, 1);
    assert_eq!(pushes(&back), [(2, 104)]);
    assert_eq!(pushed(&back), "b");
}

#[test]
fn whom_a_trial_waits_for_is_named() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.pass(&with_canary("a"));
    play.tell(Event::Tick);
    let reason = play.reason();
    assert!(reason.contains("its canary group, `canary`,"), "{reason}");
}

#[test]
fn what_fails_open_is_called_unseen_without_a_probe() {
    let mut play = good();
    let mut rollout = Rollout::clone(&with_canary("b"));
    rollout.failure_policy = FailurePolicy::FailOpen;
    let actions = play.pass(&Arc::new(rollout));
    play.run(&actions);
    assert_eq!(play.phase(), Phase::Canary);
    let reason = play.reason();
    assert!(reason.contains("which only a `probe` sees"), "{reason}");
    let others = play.wait(61);
    play.run(&others);
    play.wait(11);
    assert_eq!(play.phase(), Phase::Confirmed);
    let reason = play.reason();
    assert!(reason.ends_with("which only a `probe` sees"), "{reason}");
}

/// Another good version behind that, which went by way of the canary group.
fn tried() -> Play {
    let mut play = good();
    let actions = play.pass(&with_canary("b"));
    play.run(&actions);
    let others = play.wait(61);
    play.run(&others);
    play.wait(11);
    play
}

#[test]
fn what_is_taken_back_beside_a_refused_version_is_said() {
    let mut play = tried();
    let trial = play.declare(&[&with_canary("c")]);
    play.check(&trial, Err("it is bad"));
    assert_eq!(play.phase(), Phase::Refused);
    play.wish(Wish::Undo).unwrap();
    assert_eq!(play.phase(), Phase::Refused);
    let reason = play.reason();
    assert!(
        reason.contains("it is bad; an operator took back what served"),
        "{reason}"
    );
}

#[test]
fn what_is_taken_back_when_its_file_is_gone_is_not_said_to_serve_on() {
    let mut play = tried();
    play.declare(&[]);
    assert_eq!(play.phase(), Phase::Withdrawn);
    play.wish(Wish::Undo).unwrap();
    let reason = play.reason();
    assert!(
        reason.contains("an operator took back what served"),
        "{reason}"
    );
    assert!(!reason.contains("serves on"), "{reason}");
}
