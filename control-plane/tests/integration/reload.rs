use std::time::Duration;

use attache_control_plane::status::{EnvoyState, Phase};

use crate::load::Load;
use crate::stage::{Stage, module, module_with, says, word};

const PAUSE: Duration = Duration::from_millis(1);

#[test]
#[ignore = "needs Envoy"]
fn a_changed_file_takes_effect_and_no_request_is_lost() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "first", "");
    let envoy = stage.start_envoy("edge");
    let address = envoy.listener_address("filtered").unwrap();
    says(address, "first");
    let load = Load::start(address, 4, PAUSE);
    for number in 0..5 {
        let word = format!("configured-{number}");
        stage.declare("r", &word, "");
        says(address, &word);
        // Another module under the same name, with the same configuration.
        let before = stage.reaches("r", Phase::AcknowledgedUnconfirmed);
        stage.write("r.wasm", module_with(&word));
        stage.reaches_as("r", |status| {
            status.phase == Phase::AcknowledgedUnconfirmed
                && status.declared.module != before.declared.module
        });
    }
    let (good, bad) = load.stop();
    assert_eq!(bad, 0, "{good} were answered");
    assert!(good > 100, "{good}");
}

#[test]
#[ignore = "needs Envoy"]
fn groups_have_versions_of_their_own() {
    let stage = Stage::new();
    for (name, groups) in [("r", "groups: [edge]\n"), ("s", "groups: [inner]\n")] {
        stage.write(&format!("{name}.wasm"), module());
        stage.declare(name, name, groups);
    }
    let (edge, inner) = (stage.start_envoy("edge"), stage.start_envoy("inner"));
    let address = |envoy: &attache_envoy::Envoy| envoy.listener_address("filtered").unwrap();
    says(address(&edge), "r");
    says(address(&inner), "s");
    stage.declare("s", "t", "groups: [inner]\n");
    says(address(&inner), "t");
    assert_eq!(word(address(&edge)).as_deref(), Some("r"));
}

#[test]
#[ignore = "needs Envoy"]
fn what_envoy_refuses_is_taken_back() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "good", "");
    let envoy = stage.start_envoy("edge");
    let address = envoy.listener_address("filtered").unwrap();
    says(address, "good");
    stage.reaches("r", Phase::AcknowledgedUnconfirmed);
    let load = Load::start(address, 4, PAUSE);
    // A filter of this name is not in the module, which only its start can tell.
    stage.declare("r", "bad", "environment: {}\n");
    let text = std::fs::read_to_string(stage.folder.join("rollouts/r.yaml")).unwrap();
    stage.write(
        "rollouts/r.yaml",
        text.replace("add-header", "no-such-filter"),
    );
    let status = stage.reaches("r", Phase::Returned);
    let reason = status.reason.unwrap();
    assert!(
        reason.contains("Unable to create Wasm plugin marker"),
        "{reason}"
    );
    let back = stage.reaches_as("r", |status| {
        status.envoys[0].state == EnvoyState::Acknowledged
    });
    assert_eq!(
        back.serving.unwrap().generation,
        back.envoys[0].acknowledged
    );
    says(address, "good");
    let (good, bad) = load.stop();
    assert_eq!(bad, 0, "{good} were answered");
}
