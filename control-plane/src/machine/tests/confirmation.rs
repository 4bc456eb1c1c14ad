//! What makes a version run, fail, and go.

use super::*;

#[test]
fn a_version_is_confirmed_when_every_worker_of_every_envoy_runs_it() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "edge", None);
    let actions = play.pass(&rollout("a"));
    play.acknowledge(&actions);
    assert_eq!(play.phase(), Phase::Pushed);
    play.start(&actions[..1], 2);
    play.start(&actions[1..], 1);
    assert_eq!(play.phase(), Phase::Pushed);
    assert_eq!(
        play.reason(),
        "2 of 2 Envoys have acknowledged it, 1 run it"
    );
    // The last worker follows.
    *play.plugin(2).configured.get_mut(&1).unwrap() += 1;
    play.look(2);
    assert_eq!(play.phase(), Phase::Confirmed);
    assert_eq!(play.envoy(2).workers.unwrap().running, 2);
}

#[test]
fn counters_say_nothing_before_the_acknowledgement() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let actions = play.pass(&rollout("a"));
    play.send(&actions);
    play.start(&actions, 2);
    assert_eq!(play.phase(), Phase::Pushed);
    assert_eq!(play.envoy(1).state, EnvoyState::Sent);
}

#[test]
fn a_worker_that_never_runs_it_brings_the_last_good_version_back() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&rollout("b"));
    play.acknowledge(&actions);
    play.start(&actions, 1);
    assert!(pushes(&play.wait(9)).is_empty());
    let back = play.wait(2);
    assert_eq!(pushes(&back), [(1, 103)]);
    assert_eq!(pushed(&back), "a");
    assert_eq!(play.phase(), Phase::Returned);
    let said = "1 of 2 workers of Envoy `envoy-1` run it after 10 s";
    assert!(play.reason().starts_with(said), "{}", play.reason());
}

#[test]
fn a_version_that_no_worker_runs_fails_where_others_were_counted() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&rollout("b"));
    play.acknowledge(&actions);
    play.look(1);
    assert_eq!(pushes(&play.wait(11)), [(1, 103)]);
    assert_eq!(play.phase(), Phase::Returned);
}

#[test]
fn an_envoy_that_never_answers_brings_the_last_good_version_back() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    play.pass(&rollout("b"));
    assert_eq!(pushes(&play.wait(11)), [(1, 103)]);
    let said = "Envoy `envoy-1` has not answered within 10 s";
    assert!(play.reason().starts_with(said), "{}", play.reason());
}

#[test]
fn what_cannot_be_asked_is_unconfirmed_and_not_failed() {
    for fault in ["admin", "counter", "workers"] {
        let mut play = Play::new();
        play.connect(1, "edge", None);
        let actions = play.pass(&rollout("a"));
        play.acknowledge(&actions);
        match fault {
            "admin" => {
                play.tell(Event::Seen {
                    stream: StreamId(1),
                    counts: Err("the admin endpoint at 10.0.0.1:9901 cannot be asked".into()),
                });
            }
            "counter" => {
                play.look(1);
            }
            _ => {
                play.meter(1).workers = 0;
                play.start(&actions, 2);
            }
        }
        assert_eq!(play.phase(), Phase::Pushed, "{fault}");
        assert!(pushes(&play.wait(11)).is_empty(), "{fault}");
        assert_eq!(play.phase(), Phase::AcknowledgedUnconfirmed, "{fault}");
    }
}

#[test]
fn without_an_admin_port_nothing_is_confirmed() {
    let mut play = Play::without_admin();
    play.connect(1, "edge", None);
    let actions = play.pass(&rollout("a"));
    play.acknowledge(&actions);
    assert_eq!(play.phase(), Phase::AcknowledgedUnconfirmed);
    assert!(play.reason().contains("names no admin port"));
}

#[test]
fn what_one_envoy_refuses_is_taken_back_from_all_as_a_new_generation() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "edge", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&rollout("b"));
    assert_eq!(pushes(&actions), [(1, 102), (2, 102)]);
    play.acknowledge(&actions[..1]);
    let actions = play.refuse(2, 102);
    assert_eq!(pushes(&actions), [(1, 103), (2, 103)]);
    assert_eq!(pushed(&actions), "a");
    let status = play.status();
    assert_eq!(status.phase, Phase::Returned);
    let reason = "Envoy `envoy-2` refused it: Unable to create Wasm plugin p";
    let said = status.reason.unwrap();
    assert!(said.starts_with(reason), "{said}");
    assert_eq!(status.serving.unwrap().generation, Some(103));
}

#[test]
fn what_is_refused_with_nothing_before_it_is_not_pushed_again() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.pass(&rollout("a"));
    assert!(pushes(&play.refuse(1, 101)).is_empty());
    assert_eq!(play.phase(), Phase::Refused);
    assert!(play.reason().contains("each Envoy keeps what it has"));
    assert!(pushes(&play.connect(2, "edge", None)).is_empty());
}

#[test]
fn what_is_returned_to_is_sent_until_it_runs() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "edge", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&rollout("b"));
    play.run(&actions);
    let back = play.fail(1, 1);
    assert_eq!(pushes(&back), [(1, 103), (2, 103)]);
    // The one refuses even that, the other runs it.
    play.run(&back[1..]);
    play.send(&back[..1]);
    assert!(pushes(&play.refuse(1, 103)).is_empty());
    assert!(
        play.reason().contains(
            "of 2 Envoys that are to run what serves, 1 have acknowledged it, and on 1 every"
        ),
        "{}",
        play.reason()
    );
    assert!(pushes(&play.wait(9)).is_empty());
    let again = play.wait(2);
    assert_eq!(pushes(&again), [(1, 104)]);
    play.acknowledge(&again);
    play.start(&again, 1);
    // Not so soon a second time.
    assert!(pushes(&play.wait(11)).is_empty());
    let again = play.wait(11);
    assert_eq!(pushes(&again), [(1, 105)]);
    play.run(&again);
    assert!(pushes(&play.wait(1_000)).is_empty());
    assert_eq!(play.phase(), Phase::Returned);
    assert_eq!(play.envoy(1).state, EnvoyState::Confirmed);
    assert_eq!(play.envoy(2).acknowledged, Some(103));
}

#[test]
fn failures_of_the_plugin_bring_the_last_good_version_back_while_it_is_watched() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&rollout("b"));
    play.run(&actions);
    assert_eq!(play.phase(), Phase::Confirmed);
    assert_eq!(pushes(&play.fail(1, 1)), [(1, 103)]);
    assert_eq!(play.phase(), Phase::Returned);
    // What has passed its time is good, whatever comes.
    play.serve(&rollout("c"));
    assert!(pushes(&play.fail(1, 1)).is_empty());
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn failures_of_a_bad_version_are_not_those_of_its_mending() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let actions = play.pass(&rollout("bad"));
    play.run(&actions);
    play.fail(1, 30);
    assert_eq!(play.phase(), Phase::Refused);
    let mending = play.pass(&rollout("mended"));
    play.acknowledge(&mending);
    // Until the workers follow, the bad one goes on failing, and its VMs are restarted.
    play.plugin(1).errors += 5;
    play.plugin(1).restarts += 2;
    play.plugin(1).failed_restarts += 3;
    *play.plugin(1).configured.get_mut(&1).unwrap() += 2;
    assert!(pushes(&play.look(1)).is_empty());
    play.start(&mending, 2);
    assert_eq!(play.phase(), Phase::Confirmed);
    assert!(pushes(&play.wait(11)).is_empty());
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn failures_are_nobodys_while_workers_still_run_the_version_before() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let actions = play.pass(&rollout("bad"));
    play.run(&actions);
    play.fail(1, 30);
    let mending = play.pass(&rollout("mended"));
    play.acknowledge(&mending);
    play.start(&mending, 1);
    // One worker takes two seconds, and goes on to fail.
    for _ in 0..4 {
        play.now += 500;
        assert!(pushes(&play.fail(1, 5)).is_empty());
    }
    assert_eq!(play.phase(), Phase::Pushed);
    *play.plugin(1).configured.get_mut(&2).unwrap() += 1;
    play.look(1);
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn a_version_whose_counters_were_not_read_as_it_went_out_is_sent_once_more() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let actions = play.pass(&rollout("a"));
    let unread = Event::Sent {
        stream: StreamId(1),
        plugin: "p".into(),
        generation: 101,
        before: None,
        answered: None,
    };
    play.tell(unread);
    play.tell(Event::Acknowledged {
        stream: StreamId(1),
        plugin: "p".into(),
        generation: 101,
    });
    assert!(pushes(&play.start(&actions, 2)).is_empty());
    let again = play.wait(1);
    assert_eq!(pushes(&again), [(1, 102)]);
    play.run(&again);
    assert_eq!(play.phase(), Phase::Confirmed);
}

#[test]
fn what_nobody_sees_any_more_is_neither_good_nor_promoted() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "canary", None);
    let actions = play.pass(&with_canary("a"));
    play.run(&actions);
    assert_eq!(play.phase(), Phase::Canary);
    play.tell(Event::Seen {
        stream: StreamId(2),
        counts: Err("the admin endpoint cannot be asked".into()),
    });
    assert!(pushes(&play.wait(61)).is_empty());
    assert!(
        play.reason().contains("cannot be asked"),
        "{}",
        play.reason()
    );
    let others = play.look(2);
    assert_eq!(pushes(&others), [(1, 101)]);
}

#[test]
fn envoys_that_nobody_can_ask_and_that_come_and_go_do_not_begin_the_watch_anew() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let actions = play.pass(&rollout("a"));
    play.run(&actions);
    play.admin = false;
    for stream in 2..5 {
        play.wait(3);
        let actions = play.connect(stream, "edge", None);
        play.acknowledge(&actions);
        play.tell(Event::Tick);
        assert_eq!(play.phase(), Phase::AcknowledgedUnconfirmed);
        // It had nothing before, and so takes nothing with it.
        let had = play
            .machine
            .subscribers
            .delivery(StreamId(stream), "p")
            .unwrap();
        had.want_nothing();
        play.disconnect(stream);
        play.tell(Event::Tick);
        assert_eq!(play.phase(), Phase::Confirmed);
    }
    play.wait(2);
    let before = play.machine.history("r").unwrap().entries.len();
    assert_eq!(play.reason(), "every worker runs it");
    assert_eq!(before, 3, "validating, pushed, confirmed");
}

#[test]
fn restarts_that_may_be_those_of_the_version_before_make_another_push_necessary() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&rollout("b"));
    play.run(&actions);
    let back = play.fail(1, 1);
    // It is acknowledged, and until its workers follow a VM of the bad one restarts and goes with its statistics.
    play.acknowledge(&back);
    let plugin = play.plugin(1);
    plugin.restarts += 1;
    plugin.configured.clear();
    play.start(&back, 2);
    assert_eq!(play.envoy(1).state, EnvoyState::Acknowledged);
    let again = play.wait(2);
    assert_eq!(pushes(&again), [(1, 104)]);
    assert_eq!(pushed(&again), "a");
    play.run(&again);
    assert_eq!(play.envoy(1).state, EnvoyState::Confirmed);
    assert!(pushes(&play.wait(100)).is_empty());
}

#[test]
fn a_vm_that_restarts_before_all_workers_run_it_fails_a_version() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&rollout("b"));
    play.acknowledge(&actions);
    play.plugin(1).restarts += 1;
    let back = play.start(&actions, 2);
    assert_eq!(pushes(&back), [(1, 103)]);
    assert!(play.reason().contains("the plugin failed 1 times"));
}

#[test]
fn a_restart_that_fails_is_a_failure() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&rollout("b"));
    play.run(&actions);
    play.plugin(1).failed_restarts += 1;
    assert_eq!(pushes(&play.look(1)), [(1, 103)]);
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
        let mut play = Play::new();
        play.connect(1, "edge", None);
        play.serve(&rollout("a"));
        play.meter(1).requests = before;
        let actions = play.pass(&rollout("b"));
        play.run(&actions);
        play.meter(1).requests = share(before.failed + after.failed, before.all + after.all);
        play.look(1);
        let returned = play.phase() == Phase::Returned;
        assert_eq!(returned, back, "{before:?} {after:?}");
    }
}

#[test]
fn a_percentile_counts_once_it_is_that_of_the_version() {
    let mut slow = Rollout::clone(&rollout("b"));
    slow.criteria.p99_above = Some(Duration::from_millis(50));
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    play.meter(1).p99 = Some(Duration::from_millis(80));
    let actions = play.pass(&Arc::new(slow));
    play.run(&actions);
    play.wait(5);
    assert!(pushes(&play.look(1)).is_empty());
    // What was read then is of the interval before.
    assert!(pushes(&play.wait(2)).is_empty());
    assert_eq!(pushes(&play.look(1)), [(1, 103)]);
    assert!(play.reason().contains("80 ms, above 50 ms"));
}

#[test]
fn what_was_not_watched_to_its_end_is_not_what_is_returned_to() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let second = play.pass(&rollout("b"));
    play.run(&second);
    let third = play.pass(&rollout("c"));
    let back = play.refuse(1, pushes(&third)[0].1);
    assert_eq!(pushed(&back), "a");
}

#[test]
fn an_operator_takes_back_what_was_good() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let denial = play.wish(Wish::Undo).unwrap_err();
    assert!(matches!(denial, Denial::NotNow(_)), "{denial}");
    play.serve(&rollout("b"));
    let back = play.wish(Wish::Undo).unwrap();
    assert_eq!(pushes(&back), [(1, 103)]);
    assert_eq!(pushed(&back), "a");
    assert_eq!(play.phase(), Phase::Returned);
    let now = play.moment();
    let unknown = play.machine.grant(now, "x", Wish::Undo);
    assert_eq!(unknown.unwrap_err(), Denial::Unknown);
}

#[test]
fn a_return_says_how_many_have_nothing_to_go_back_to() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.connect(2, "inner", None);
    play.connect(3, "inner", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&named("r", &["edge", "inner"], "b"));
    assert_eq!(pushes(&actions).len(), 3);
    play.run(&actions);
    let back = play.fail(1, 1);
    assert_eq!(pushes(&back).len(), 1);
    assert_eq!(play.phase(), Phase::Returned);
    let reason = play.reason();
    assert!(reason.contains("; 2 of its Envoys"), "{reason}");
}
