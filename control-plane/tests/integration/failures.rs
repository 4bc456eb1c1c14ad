//! Versions that are not good: what is refused here, what Envoys show, and what it costs.

use std::time::Duration;

use attache_control_plane::status::{EnvoyState, Phase, RolloutStatus};
use attache_envoy::Envoy;

use crate::guests;
use crate::load::Load;
use crate::stage::{Stage, module, says, word};

/// A version that is good, on an Envoy.
fn good(stage: &Stage) -> Envoy {
    stage.write("r.wasm", module());
    stage.declare("r", "good", "");
    let envoy = stage.start_envoy("edge");
    stage.reaches("r", Phase::Confirmed);
    envoy
}

fn reason(status: RolloutStatus) -> String {
    status.reason.unwrap()
}

/// The good version is with the Envoy again, under another generation.
fn back(stage: &Stage) {
    let status = stage.reaches_as("r", |status| {
        status.phase == Phase::Returned && status.envoys[0].state == EnvoyState::Confirmed
    });
    let serving = status.serving.unwrap();
    assert_eq!(serving.generation, status.envoys[0].acknowledged);
    assert!(serving.generation > status.declared.generation);
}

#[test]
fn what_does_not_start_is_refused_before_any_push() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare_text("r", "root_id: add-header\nconfiguration: { respond: [] }\n");
    let said = reason(stage.reaches("r", Phase::Refused));
    assert!(said.contains("respond"), "{said}");
    stage.declare_text("r", "root_id: no-such-filter\n");
    stage.reaches_as("r", |status| {
        let reason = status.reason.as_deref().unwrap_or_default();
        status.phase == Phase::Refused && reason.contains("no-such-filter")
    });
    // Half of a module.
    let stage = Stage::new();
    stage.write("s.wasm", &module()[..5_000]);
    stage.declare_text("s", "");
    let said = reason(stage.reaches("s", Phase::Refused));
    assert!(said.contains("s.wasm` is no proxy-wasm module"), "{said}");
}

#[test]
fn what_another_file_has_in_force_is_not_taken_from_it() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "groups: [edge]\n");
    stage.reaches("r", Phase::Pushed);
    // Earlier by its name, and for the same group.
    stage.write("a.wasm", module());
    stage.declare("a", "b", "");
    let deadline = std::time::Instant::now() + crate::stage::LIMIT;
    let fault = loop {
        if let Some(fault) = stage.plane.status().faults.pop() {
            break fault;
        }
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(fault.file.ends_with("/a.yaml"), "{fault:?}");
    assert!(fault.reason.contains("r.yaml` already"), "{fault:?}");
    assert!(stage.plane.rollout("a").is_none());
    assert_eq!(stage.plane.rollout("r").unwrap().phase, Phase::Pushed);
}

#[test]
fn a_suite_that_fails_refuses_a_version() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    let suite = |wanted: &str| {
        format!(
            "version: \"1\"\nplugins:\n- module: r.wasm\n  root_id: add-header\ncases:\n\
             - name: the word is in the response\n  request: {{ path: / }}\n  \
             expect: {{ response: {{ headers: {{ x-word: {wanted} }} }} }}\n"
        )
    };
    stage.write("r.suite.yaml", suite("a"));
    stage.declare("r", "a", "suites: [../r.suite.yaml]\n");
    stage.reaches("r", Phase::Pushed);
    stage.declare("r", "b", "suites: [../r.suite.yaml]\n");
    let said = reason(stage.reaches("r", Phase::Refused));
    assert!(said.contains("`the word is in the response`"), "{said}");
}

#[test]
#[ignore = "needs Envoy"]
fn a_version_that_some_workers_cannot_start_is_taken_back() {
    let stage = Stage::new();
    let envoy = good(&stage);
    let load = Load::start(envoy.listener_address("filtered").unwrap(), 4, PAUSE);
    // Canary and main thread, one of the two workers: Envoy acknowledges it, and lets requests of the other
    // worker pass without the filter, although it is to fail closed.
    stage.write("r.wasm", guests::starts_only(3));
    stage.declare_text(
        "r",
        "failure_policy: fail_closed\nfails_when: { not_confirmed_within: 5s }\n",
    );
    let said = reason(stage.reaches("r", Phase::Returned));
    assert!(guests::says_too_few(&said), "{said}");
    back(&stage);
    let (served, lost) = load.stop();
    assert_eq!(lost, 0, "{served} were answered");
    says(envoy.listener_address("filtered").unwrap(), "good");
}

#[test]
#[ignore = "needs Envoy"]
fn the_same_version_is_confirmed_when_all_workers_can_start_it() {
    let stage = Stage::new();
    let envoy = good(&stage);
    stage.write("r.wasm", guests::starts_only(4));
    stage.declare_text("r", "failure_policy: fail_closed\n");
    let wanted = attache_control_plane::Module::new("r.wasm", guests::starts_only(4));
    stage.reaches_as("r", |status| {
        status.phase == Phase::Confirmed && status.declared.module == wanted.sha256()
    });
    says(envoy.listener_address("filtered").unwrap(), "only4");
    // Envoy drops the statistics of a module with its last VM.
    let stats = envoy
        .admin("/stats?filter=attache_configured_total")
        .unwrap();
    let stats = String::from_utf8(stats.body.to_vec()).unwrap();
    assert_eq!(stats.lines().count(), 1, "{stats}");
}

#[test]
#[ignore = "needs Envoy"]
fn an_envoy_that_crashes_with_a_version_brings_the_one_before_back() {
    let stage = Stage::new();
    let envoy = good(&stage);
    stage.prove("good");
    stage.declare(
        "r",
        "bad",
        "fails_when: { not_confirmed_within: 5s, watched_for: 1h }\n",
    );
    says(envoy.listener_address("filtered").unwrap(), "bad");
    stage.reaches("r", Phase::Confirmed);
    envoy.stop().unwrap();
    let said = reason(stage.reaches("r", Phase::Returned));
    assert!(said.contains("`envoy-of-edge`"), "{said}");
    let again = stage.start_envoy("edge");
    says(again.listener_address("filtered").unwrap(), "good");
}

#[test]
#[ignore = "needs Envoy"]
fn a_trap_at_the_tenth_request_brings_the_version_before_back() {
    let stage = Stage::new();
    let envoy = good(&stage);
    let address = envoy.listener_address("filtered").unwrap();
    stage.write("r.wasm", guests::traps_at_the_tenth());
    let text = "fails_when: { not_confirmed_within: 1h, server_errors_percent: 100 }\n";
    stage.declare_text("r", text);
    says(address, "tenth");
    let load = Load::start(address, 2, PAUSE);
    let said = reason(stage.reaches("r", Phase::Returned));
    assert!(said.contains("the plugin failed"), "{said}");
    back(&stage);
    load.stop();
    assert_eq!(word(address).as_deref(), Some("good"));
}

#[test]
#[ignore = "needs Envoy"]
fn answers_of_5xx_bring_the_version_before_back() {
    let stage = Stage::new();
    let envoy = good(&stage);
    let address = envoy.listener_address("filtered").unwrap();
    let load = Load::start(address, 2, PAUSE);
    stage.write("r.wasm", guests::always_traps());
    let text = "failure_policy: fail_closed\nfails_when: { not_confirmed_within: 1h }\n";
    stage.declare_text("r", text);
    let said = reason(stage.reaches("r", Phase::Returned));
    assert!(said.contains("had a status of 5xx"), "{said}");
    back(&stage);
    load.stop();
    says(address, "good");
}

const PAUSE: Duration = Duration::from_millis(1);
