//! Envoys that come and go.

use super::*;

#[test]
fn an_envoy_that_comes_back_with_what_serves_is_not_pushed_to() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    play.disconnect(1);
    assert_eq!(play.envoy(1).state, EnvoyState::Disconnected);
    assert!(play.connect_as(2, 1, "edge", Some(101)).is_empty());
    assert_eq!(play.status().envoys.len(), 1);
    assert_eq!(play.envoy(1).state, EnvoyState::Confirmed);
    assert_eq!(pushes(&play.connect(3, "edge", Some(99))), [(3, 101)]);
}

#[test]
fn a_connection_that_is_lost_on_the_way_fails_nothing() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&rollout("b"));
    play.acknowledge(&actions);
    play.disconnect(1);
    play.wait(8);
    // It has the version, and its counters are still compared with where they stood.
    assert!(pushes(&play.connect_as(2, 1, "edge", Some(102))).is_empty());
    *play.meter(2) = play.meter(1).clone();
    *play.plugin(2).configured.entry(2).or_default() += 4;
    play.look(2);
    assert_eq!(play.phase(), Phase::Confirmed);
    assert!(pushes(&play.wait(30)).is_empty());
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn an_acknowledgement_that_was_lost_with_its_connection_is_made_up_for() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let actions = play.pass(&rollout("a"));
    play.send(&actions);
    play.disconnect(1);
    play.connect_as(2, 1, "edge", Some(101));
    *play.meter(2) = play.meter(1).clone();
    *play.plugin(2).configured.entry(1).or_default() += 4;
    play.look(2);
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn what_an_envoy_may_have_refused_is_sent_as_something_new() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&rollout("b"));
    play.send(&actions);
    play.disconnect(1);
    // It comes back with the version before: whether it saw the other one, nobody knows.
    let again = play.connect_as(2, 1, "edge", Some(101));
    assert_eq!(pushes(&again), [(2, 103)]);
    assert_eq!(pushed(&again), "b");
    play.run(&again);
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn an_envoy_that_goes_away_with_a_new_version_brings_the_one_before_back() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "edge", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&rollout("b"));
    play.run(&actions);
    play.disconnect(2);
    assert!(pushes(&play.wait(9)).is_empty());
    assert_eq!(pushes(&play.wait(2)), [(1, 103)]);
    assert_eq!(play.phase(), Phase::Returned);
}

#[test]
fn an_envoy_that_has_each_plugin_on_a_stream_of_its_own_is_known_again_for_each() {
    let mut play = Play::new();
    let subscribe = |play: &mut Play, stream: u64, plugin: &str, holds| {
        let admin = Some("10.0.0.1:9901".parse().unwrap());
        let node = Node::new("one", "edge", format!("10.0.0.1:{stream}")).with_admin(admin);
        let stream = StreamId(stream);
        play.tell(Event::Connected { stream, node });
        play.tell(Event::Subscribed {
            stream,
            plugin: plugin.into(),
            holds,
        })
    };
    subscribe(&mut play, 1, "p", None);
    subscribe(&mut play, 2, "q", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&rollout("b"));
    play.run(&actions);
    play.disconnect(1);
    play.disconnect(2);
    // It crashed, and asks for the other plugin first.
    subscribe(&mut play, 3, "q", None);
    let back = subscribe(&mut play, 4, "p", None);
    assert_eq!(pushed(&back), "a");
    assert_eq!(play.phase(), Phase::Returned);
}

#[test]
fn a_version_that_crashes_its_envoy_before_it_answers_is_not_sent_for_ever() {
    let mut play = Play::new();
    let mut actions = play.pass(&rollout("a"));
    for stream in 1..20 {
        actions = play.connect_as(stream, 7, "edge", None);
        if pushes(&actions).is_empty() {
            break;
        }
        play.send(&actions);
        play.wait(3);
        play.disconnect(stream);
    }
    assert!(pushes(&actions).is_empty());
    assert_eq!(play.phase(), Phase::Refused);
}

#[test]
fn nothing_is_promoted_while_an_envoy_of_the_canary_group_may_have_crashed() {
    let mut play = Play::new();
    for (stream, group) in [(1, "edge"), (2, "canary"), (3, "canary")] {
        play.connect(stream, group, None);
    }
    let actions = play.pass(&with_canary("a"));
    play.run(&actions);
    play.wait(56);
    play.disconnect(3);
    assert!(pushes(&play.wait(6)).is_empty());
    assert!(
        play.reason().contains("`envoy-3` is gone"),
        "{}",
        play.reason()
    );
    assert!(pushes(&play.wait(6)).is_empty());
    assert_eq!(play.phase(), Phase::Refused);
}

#[test]
fn so_many_envoys_may_go_away_as_the_rollout_says() {
    let mut lenient = Rollout::clone(&rollout("b"));
    lenient.criteria.envoys_lost = 0;
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "edge", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&Arc::new(lenient));
    play.run(&actions);
    play.disconnect(2);
    assert!(pushes(&play.wait(11)).is_empty());
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn an_envoy_that_is_seen_on_a_new_connection_before_the_old_one_ends_is_not_lost() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&rollout("b"));
    play.run(&actions);
    // What is tried goes there once more, to be counted from a known point on.
    let again = play.connect_as(2, 1, "edge", Some(102));
    assert_eq!(pushes(&again), [(2, 103)]);
    play.run(&again);
    play.disconnect(1);
    assert!(pushes(&play.wait(30)).is_empty());
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn an_envoy_is_watched_as_long_as_something_can_be_learned() {
    let mut play = Play::new();
    let every = |play: &Play| {
        let watch = play.machine.watch(play.moment(), StreamId(1));
        watch.map(|watch| watch.every)
    };
    play.connect(1, "edge", None);
    assert_eq!(every(&play), None);
    let actions = play.pass(&rollout("a"));
    assert_eq!(every(&play), None);
    play.acknowledge(&actions);
    assert_eq!(every(&play), Some(SOON));
    play.wait(2);
    assert_eq!(every(&play), Some(WATCHED));
    play.start(&actions, 2);
    assert_eq!(every(&play), Some(WATCHED));
    play.wait(11);
    assert_eq!(every(&play), None);
}

#[test]
fn an_envoy_that_asks_from_two_sources_is_counted_for_each() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    // The same Envoy by its name and host, while the other stream is open.
    play.connect_as(2, 1, "edge", None);
    let actions = play.pass(&rollout("a"));
    assert_eq!(pushes(&actions), [(1, 101), (2, 102)]);
    play.acknowledge(&actions);
    // What one source has started, both streams see.
    for stream in [1, 2] {
        play.plugin(stream).configured.insert(1, 4);
        play.look(stream);
    }
    assert_eq!(play.phase(), Phase::Pushed);
    for stream in [1, 2] {
        play.plugin(stream).configured.insert(2, 4);
        play.look(stream);
    }
    assert_eq!(play.phase(), Phase::Confirmed);
    // Another Envoy has what the first source has.
    assert_eq!(pushes(&play.connect(3, "edge", None)), [(3, 101)]);
    assert_eq!(pushes(&play.connect_as(4, 3, "edge", None)), [(4, 102)]);
}

#[test]
fn many_that_speak_at_once_are_looked_at_together_and_none_is_forgotten() {
    let mut play = Play::without_admin();
    play.pass(&rollout("a"));
    let mut sent = Vec::new();
    for stream in 1..=400 {
        sent.extend(pushes(&play.connect(stream, "edge", None)));
    }
    // A tick comes each 100 ms.
    play.now += 100;
    sent.extend(pushes(&play.tell(Event::Tick)));
    let streams: std::collections::BTreeSet<u64> = sent.iter().map(|(stream, _)| *stream).collect();
    assert_eq!((sent.len(), streams.len()), (400, 400));
}
