//! What is seen of versions that are good.

use attache_control_plane::Module;
use attache_control_plane::status::{EnvoyState, Phase};

use crate::guests;
use crate::stage::{Made, Stage, module, says, word};

#[test]
#[ignore = "needs Envoy"]
fn a_version_is_confirmed_by_every_worker_of_every_listener() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "");
    let envoy = stage.make(Made {
        listeners: 2,
        workers: 3,
        ..Made::of("edge")
    });
    for word in ["b", "c", "d"] {
        let before = stage.reaches("r", Phase::Confirmed).declared;
        stage.declare("r", word, "");
        let status = stage.reaches_as("r", |status| {
            status.phase == Phase::Confirmed && status.declared != before
        });
        assert_eq!(status.serving.as_ref(), Some(&status.declared));
        assert_eq!(status.envoys.len(), 1, "{status:#?}");
        assert_eq!(status.envoys[0].state, EnvoyState::Confirmed);
        let workers = status.envoys[0].workers.unwrap();
        assert_eq!((workers.running, workers.all), (3, 3));
        // Confirmed means that no answer is that of another version, on whatever worker.
        for name in ["filtered", "filtered-1"] {
            let address = envoy.listener_address(name).unwrap();
            for _ in 0..20 {
                assert_eq!(crate::stage::word(address).as_deref(), Some(word));
            }
        }
    }
}

#[test]
#[ignore = "needs Envoy"]
fn an_envoy_that_asks_by_two_sources_is_confirmed_for_each() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "");
    let envoy = stage.make(Made {
        listeners: 2,
        sources: 2,
        ..Made::of("edge")
    });
    let status = stage.reaches_as("r", |status| {
        status.phase == Phase::Confirmed && status.envoys.len() == 2
    });
    assert_ne!(status.envoys[0].wanted, status.envoys[1].wanted);
    // Canary, main thread and two workers, for each: one worker of one listener is missing.
    for (starts, phase) in [(7, Phase::Returned), (8, Phase::Confirmed)] {
        stage.write("r.wasm", guests::starts_only(starts));
        stage.declare_text("r", "fails_when: { not_confirmed_within: 5s }\n");
        let module = Module::new("r.wasm", guests::starts_only(starts));
        let status = stage.reaches_as("r", |status| {
            status.phase == phase && status.declared.module == module.sha256()
        });
        let reason = status.reason.unwrap();
        let missing = guests::says_too_few(&reason);
        assert_eq!(missing, phase == Phase::Returned, "{reason}");
    }
    for name in ["filtered", "filtered-1"] {
        says(envoy.listener_address(name).unwrap(), "only8");
    }
}

#[test]
#[ignore = "needs Envoy"]
fn without_an_admin_port_nothing_is_confirmed() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "");
    let _envoy = stage.make(Made {
        admin: false,
        ..Made::of("edge")
    });
    let status = stage.reaches("r", Phase::AcknowledgedUnconfirmed);
    let reason = status.reason.unwrap();
    assert!(reason.contains("names no admin port"), "{reason}");
}

#[test]
#[ignore = "needs Envoy"]
fn a_canary_group_goes_first() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    let more = "groups: [canary, edge]\n";
    let trial = format!("{more}canary: {{ group: canary, for: 1h }}\n");
    stage.declare("r", "a", more);
    let (canary, edge) = (stage.start_envoy("canary"), stage.start_envoy("edge"));
    let address = |envoy: &attache_envoy::Envoy| envoy.listener_address("filtered").unwrap();
    let (canary, edge) = (address(&canary), address(&edge));
    stage.reaches_as("r", |status| {
        status.phase == Phase::Confirmed
            && status
                .envoys
                .iter()
                .all(|one| one.state == EnvoyState::Confirmed)
            && status.envoys.len() == 2
    });
    stage.declare("r", "b", &trial);
    stage.reaches("r", Phase::Canary);
    says(canary, "b");
    assert_eq!(word(edge).as_deref(), Some("a"));
    let wish = attache_control_plane::Wish::Promote;
    stage.plane.wish("r", wish).unwrap();
    stage.reaches("r", Phase::Confirmed);
    assert_eq!(word(edge).as_deref(), Some("b"));
    // Another one comes as far, and is taken back by hand.
    stage.declare("r", "c", &trial);
    stage.reaches("r", Phase::Canary);
    assert_eq!(word(edge).as_deref(), Some("b"));
    stage
        .plane
        .wish("r", attache_control_plane::Wish::Undo)
        .unwrap();
    says(canary, "b");
    assert_eq!(stage.reaches("r", Phase::Returned).envoys.len(), 2);
}
