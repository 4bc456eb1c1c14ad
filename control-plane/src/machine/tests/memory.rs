//! What another start of the program knows.

use super::*;

/// The program ends, and begins again; what it has of a module it may have lost.
fn again(play: &Play, bytes: impl FnMut(&str) -> Option<Vec<u8>>) -> Play {
    let text = serde_json::to_string(&play.machine.memory()).unwrap();
    let memory: Memory = serde_json::from_str(&text).unwrap();
    Play {
        machine: Machine::remembering(memory.with_modules(bytes), 0),
        now: 0,
        admin: true,
        answered: None,
        meters: play.meters.clone(),
    }
}

fn bytes() -> Vec<u8> {
    rollout("a").module.bytes().to_vec()
}

#[test]
fn another_start_serves_what_was_good() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let first = rollout("a");
    play.serve(&first);
    let mut play = again(&play, |_| Some(bytes()));
    assert!(pushes(&play.declare(&[&first])).is_empty());
    assert!(pushes(&play.connect(1, "edge", Some(101))).is_empty());
    // This one may have refused it meanwhile.
    assert_eq!(pushes(&play.connect(2, "edge", None)), [(2, 102)]);
    assert_eq!(pushes(&play.connect(3, "edge", None)), [(3, 102)]);
    play.disconnect(3);
    // That it was confirmed is known from before; of these Envoys nobody has seen it.
    assert_eq!(play.phase(), Phase::Confirmed);
    assert_eq!(
        (
            play.status().served_by.envoys,
            play.status().served_by.confirmed
        ),
        (2, 0)
    );
    let reason = play.reason();
    assert!(
        reason.contains("every worker ran it; of 2 Envoys"),
        "{reason}"
    );
}

#[test]
fn what_was_on_its_way_is_tried_and_sent_anew() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    let second = rollout("b");
    play.serve(&rollout("a"));
    play.pass(&second);
    let mut play = again(&play, |_| Some(bytes()));
    // The Envoy may have had the other one meanwhile.
    let back = play.connect(1, "edge", Some(102));
    assert_eq!((pushes(&back), pushed(&back)), (vec![(1, 103)], "a"));
    let trial = play.declare(&[&second]);
    let actions = play.check(&trial, Ok(()));
    assert_eq!((pushes(&actions), pushed(&actions)), (vec![(1, 104)], "b"));
    // A version that was taken back is not tried again.
    play.refuse(1, 104);
    assert_eq!(play.phase(), Phase::Returned);
    let mut play = again(&play, |_| Some(bytes()));
    assert!(play.declare(&[&second]).is_empty());
    assert_eq!(play.phase(), Phase::Returned);
}

#[test]
fn a_module_that_is_lost_takes_no_other_version_with_it() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let mut other = Rollout::clone(&rollout("b"));
    other.module = Module::new("q.wasm", b"\0asm other".as_slice());
    let refused = Arc::new(other);
    let trial = play.declare(&[&refused]);
    play.check(&trial, Err("it traps"));
    let good = rollout("a").module.sha256().to_owned();
    let mut play = again(&play, |sha256| (sha256 == good).then(bytes));
    assert_eq!(pushes(&play.connect(2, "edge", None)), [(2, 102)]);
    // The file is read anew, and tried anew.
    let trial = play.declare(&[&refused]);
    assert!(matches!(trial[0], Action::Check { .. }), "{trial:?}");
}

#[test]
fn what_was_taken_back_stays_so_for_envoys_that_have_not_heard_of_it() {
    let mut play = Play::new();
    play.connect(1, "edge", None);
    play.serve(&rollout("a"));
    let actions = play.pass(&rollout("b"));
    play.run(&actions);
    let back = play.fail(1, 1);
    assert_eq!(pushes(&back), [(1, 103)]);
    let mut play = again(&play, |_| Some(bytes()));
    let back = play.connect(1, "edge", Some(102));
    assert_eq!(pushes(&back).len(), 1);
    assert_eq!(pushed(&back), "a");
    assert!(pushes(&back)[0].1 > 103, "103 is what it may have refused");
    // Both generations of the good version are known again.
    assert!(pushes(&play.connect(2, "edge", Some(101))).is_empty());
    assert!(pushes(&play.connect(3, "edge", Some(103))).is_empty());
}
