use std::time::Duration;

use attache_control_plane::status::Phase;

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
        let before = stage.reaches("r", Phase::Confirmed);
        stage.write("r.wasm", module_with(&word));
        stage.reaches_as("r", |status| {
            status.phase == Phase::Confirmed && status.declared.module != before.declared.module
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
