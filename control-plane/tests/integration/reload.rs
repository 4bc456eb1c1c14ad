use std::time::Duration;

use attache_control_plane::Module;
use attache_control_plane::status::Phase;
use attache_envoy::http1::exchange;

use crate::load::Load;
use crate::stage::{LIMIT, Stage, built, marked, module, module_with, says, word};

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

/// A limit that holds over all workers and all versions, since they share what they count.
#[test]
#[ignore = "needs Envoy"]
fn a_rate_limiter_goes_on_counting_over_reloads_under_load() {
    const REQUESTS: u64 = 1_500;
    let stage = Stage::new();
    let limiter = built("rate-limit");
    // The window is longer than the time since 1970, so that none ends.
    let declare = |keys: &str, epoch: u32| {
        stage.declare_text(
            "r",
            &format!(
                "root_id: rate-limit\nstate_epoch: {epoch}\nconfiguration:\n  header: x-key\n  \
                 keys: [{keys}]\n  requests: {REQUESTS}\n  window: 4000000000s\n"
            ),
        );
    };
    let reaches = |module: &[u8]| {
        let module = Module::new("r.wasm", module);
        stage.reaches_as("r", |status| {
            status.phase == Phase::Confirmed && status.declared.module == module.sha256()
        })
    };
    stage.write("r.wasm", &limiter);
    declare("", 0);
    let envoy = stage.start_envoy("edge");
    let address = envoy.listener_address("filtered").unwrap();
    let mut before = reaches(&limiter).declared;
    let load = Load::start(address, 4, Duration::from_millis(2));
    for number in 0..4 {
        let newer = marked(&limiter, &format!("build {number}"));
        stage.write("r.wasm", &newer);
        reaches(&newer);
        declare(&format!("k{number}"), 0);
        let after = stage.reaches_as("r", |status| {
            status.phase == Phase::Confirmed
                && status.declared.configuration != before.configuration
        });
        before = after.declared;
    }
    let limited = |wanted: u16| {
        let deadline = std::time::Instant::now() + LIMIT;
        let status = || exchange(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", LIMIT);
        let mut passed = 0;
        loop {
            match status().unwrap().status {
                status if status == wanted => return passed,
                200 => passed += 1,
                _ => {}
            }
            assert!(std::time::Instant::now() < deadline, "{wanted} never came");
        }
    };
    let more = limited(429);
    let (served, _) = load.stop();
    assert_eq!(served + more, REQUESTS);
    // Another epoch forgets them.
    declare("", 1);
    limited(200);
}
