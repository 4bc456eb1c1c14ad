//! The control plane ends and begins again.

use std::fs;
use std::time::{Duration, Instant};

use attache_control_plane::status::{EnvoyState, Phase};

use crate::load::Load;
use crate::stage::{LIMIT, Stage, module, says, word};

const PAUSE: Duration = Duration::from_millis(1);

#[test]
#[ignore = "needs Envoy"]
fn another_start_goes_on_with_what_served() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "fails_when: { watched_for: 0s }\n");
    let envoy = stage.start_envoy("edge");
    let address = envoy.listener_address("filtered").unwrap();
    let before = stage.reaches("r", Phase::Confirmed);
    let load = Load::start(address, 4, PAUSE);
    kept(&stage, "confirmed");
    let stage = stage.begin_again();
    let after = stage.reaches_as("r", |status| {
        status
            .envoys
            .iter()
            .any(|one| one.state == EnvoyState::Acknowledged)
    });
    assert_eq!(after.phase, Phase::Confirmed);
    assert_eq!(after.serving, before.serving);
    assert_eq!(after.envoys[0].acknowledged, before.envoys[0].acknowledged);
    stage.declare("r", "b", "");
    says(address, "b");
    stage.reaches("r", Phase::Confirmed);
    let (served, lost) = load.stop();
    assert_eq!(lost, 0, "{served} were answered");
}

#[test]
#[ignore = "needs Envoy"]
fn an_envoy_that_starts_first_gets_the_last_good_version_although_the_file_is_broken() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "fails_when: { watched_for: 0s }\n");
    let envoy = stage.start_envoy("edge");
    stage.reaches("r", Phase::Confirmed);
    kept(&stage, "confirmed");
    envoy.stop().unwrap();
    fs::remove_file(stage.folder.join("r.wasm")).unwrap();
    let stage = stage.begin_again();
    let envoy = stage.start_envoy("edge");
    let address = envoy.listener_address("filtered").unwrap();
    assert_eq!(word(address).as_deref(), Some("a"));
    let faults = stage.plane.status().faults;
    assert!(
        faults[0].reason.contains("cannot read the module"),
        "{faults:?}"
    );
}

/// Waits until the folder of the state says this.
fn kept(stage: &Stage, word: &str) {
    let path = stage.folder.join("state/state.json");
    let deadline = Instant::now() + LIMIT;
    while !fs::read_to_string(&path)
        .is_ok_and(|text| text.contains(word) && text.contains("\"interrupted\": false"))
    {
        assert!(Instant::now() < deadline, "`{word}` was never kept");
        std::thread::sleep(Duration::from_millis(5));
    }
}
