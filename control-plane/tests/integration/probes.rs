//! Modules of others, which count nothing: their workers are told by answers.

use std::time::{Duration, Instant};

use attache_control_plane::Module;
use attache_control_plane::status::{Phase, RolloutStatus};
use attache_envoy::Envoy;
use attache_envoy::http1::exchange;

use crate::guests;
use crate::load::Load;
use crate::stage::{LIMIT, Made, PLUGIN, Stage, says, word};

/// A rollout of a module, which is told by a header.
fn probed(stage: &Stage, envoy: &Envoy, module: &[u8], header: &str, more: &str) -> String {
    let port = envoy.listener_address("filtered").unwrap().port();
    let probe = format!("probe: {{ port: {port}, expect: {{ headers: {{ {header} }} }} }}\n");
    declared(stage, module, &format!("{probe}{more}"))
}

/// The sha256 of the module.
fn declared(stage: &Stage, module: &[u8], text: &str) -> String {
    // Under a name of its own, so that text and module change at one blow.
    let sha256 = Module::new("", module).sha256().to_owned();
    stage.write(&format!("{sha256}.wasm"), module);
    let text = format!("version: \"1\"\nplugin: {PLUGIN}\nmodule: ../{sha256}.wasm\n{text}");
    stage.write("rollouts/r.yaml", text);
    sha256
}

fn reaches(stage: &Stage, sha256: &str, phase: Phase) -> RolloutStatus {
    stage.reaches_as("r", |status| {
        status.phase == phase && status.declared.module == sha256
    })
}

/// An Envoy that runs a module of somebody else, of which nobody can tell more than that it was acknowledged.
fn untold(stage: &Stage) -> Envoy {
    let first = declared(
        stage,
        &guests::bare("first"),
        "fails_when: { watched_for: 0s }\n",
    );
    let envoy = stage.make(Made {
        spread: true,
        ..Made::of("edge")
    });
    let status = reaches(stage, &first, Phase::AcknowledgedUnconfirmed);
    let reason = status.reason.unwrap();
    assert!(reason.contains("names no `probe`"), "{reason}");
    says(envoy.listener_address("filtered").unwrap(), "first");
    envoy
}

#[test]
#[ignore = "needs Envoy"]
fn a_module_that_does_not_count_is_confirmed_when_each_worker_has_answered() {
    let stage = Stage::new();
    let envoy = untold(&stage);
    let load = Load::start(envoy.listener_address("filtered").unwrap(), 4, PAUSE);
    for word in ["second", "third"] {
        let header = format!("x-word: {word}");
        let module = probed(&stage, &envoy, &guests::bare(word), &header, "");
        let status = reaches(&stage, &module, Phase::Confirmed);
        let workers = status.envoys[0].workers.unwrap();
        assert_eq!((workers.running, workers.all), (2, 2));
    }
    let (served, lost) = load.stop();
    assert_eq!(lost, 0, "{served} were answered");
}

#[test]
#[ignore = "needs Envoy"]
fn a_module_that_one_worker_cannot_start_is_told_by_its_answers_and_taken_back() {
    // Threads start in any order: the one that cannot is the main thread now and then, which answers nothing.
    let taken_back = (0..10).any(|_| is_taken_back_for_one_worker());
    assert!(
        taken_back,
        "no worker was the last to start, with the other seen to run it"
    );
}

/// Whether one of the two workers could not start the module, and the other was seen to run it; else both run it.
fn is_taken_back_for_one_worker() -> bool {
    let stage = Stage::new();
    let envoy = untold(&stage);
    let address = envoy.listener_address("filtered").unwrap();
    let load = Load::start(address, 4, PAUSE);
    // Three of canary, main thread and two workers: Envoy acknowledges it, and lets requests of the other worker
    // pass without the filter, although it is to fail closed.
    let module = guests::bare_starts_only(3);
    let more =
        "failure_policy: fail_closed\nfails_when: { not_confirmed_within: 5s, watched_for: 1h }\n";
    let module = probed(&stage, &envoy, &module, "x-word: bare3", more);
    let status = stage.reaches_as("r", |status| {
        // On a busy machine it may be unconfirmed meanwhile: that says nothing of what the workers run.
        let ended = matches!(status.phase, Phase::Returned | Phase::Confirmed);
        ended && status.declared.module == module
    });
    let mut is_seen = false;
    if status.phase == Phase::Returned {
        let reason = status.reason.unwrap();
        // On a busy machine the other worker may not have answered for certain until then: that try does not count.
        is_seen = reason.contains("(1 are seen to)");
        assert!(is_seen || reason.contains("(0 are seen to)"), "{reason}");
        assert!(reason.contains("200 without `x-word`"), "{reason}");
        says(address, "first");
    } else {
        for _ in 0..50 {
            assert_eq!(word(address).as_deref(), Some("bare3"));
        }
    }
    let (served, lost) = load.stop();
    assert_eq!(lost, 0, "{served} were answered");
    // All workers start this one.
    let module = guests::bare_starts_only(4);
    let module = probed(&stage, &envoy, &module, "x-word: bare4", "");
    reaches(&stage, &module, Phase::Confirmed);
    is_seen
}

#[test]
#[ignore = "needs Envoy"]
fn answers_that_the_version_before_gave_too_confirm_nothing() {
    let stage = Stage::new();
    let envoy = untold(&stage);
    let other = crate::stage::marked(&guests::bare("first"), "other bytes");
    let module = probed(&stage, &envoy, &other, "x-word: first", "");
    let status = reaches(&stage, &module, Phase::AcknowledgedUnconfirmed);
    let reason = status.reason.unwrap();
    assert!(
        reason.contains("as this version is to before it was sent"),
        "{reason}"
    );
}

#[test]
#[ignore = "needs Envoy"]
fn a_module_that_says_its_generation_is_told_from_any_other_push() {
    let stage = Stage::new();
    let envoy = untold(&stage);
    let header = "x-generation: \"ATTACHE_GENERATION=$ATTACHE_GENERATION\"";
    for configuration in ["configuration: a\n", "configuration: b\n"] {
        let module = guests::says_its_generation();
        let wanted = attache_module::sha256(configuration.trim().split_at(15).1.as_bytes());
        probed(&stage, &envoy, &module, header, configuration);
        stage.reaches_as("r", |status| {
            status.phase == Phase::Confirmed && status.declared.configuration == wanted
        });
    }
}

/// What nothing of Envoy's counts.
#[test]
#[ignore = "needs Envoy"]
fn a_filter_that_is_gone_by_failing_open_is_missed_while_it_is_watched() {
    let stage = Stage::new();
    let envoy = untold(&stage);
    let more =
        "failure_policy: fail_open\nfails_when: { watched_for: 1h, server_errors_percent: 100 }\n";
    let module = guests::traps_at_the_tenth();
    let module = probed(&stage, &envoy, &module, "x-word: tenth", more);
    let reason = reaches(&stage, &module, Phase::Returned).reason.unwrap();
    assert!(reason.contains("no longer answers as it is to"), "{reason}");
    // A worker that is behind still answers its trap once.
    let address = envoy.listener_address("filtered").unwrap();
    let first = || exchange(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", LIMIT).unwrap();
    let deadline = Instant::now() + LIMIT;
    while first().header("x-word").next() != Some(b"first") {
        assert!(Instant::now() < deadline, "`first` never came");
    }
}

const PAUSE: Duration = Duration::from_millis(1);
