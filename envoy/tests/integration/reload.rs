use std::thread;
use std::time::{Duration, Instant};

use attache_envoy::{Discovered, Envoy, FilterSource, Listener, Plugin, Push, PushError};

use crate::modules::Verdict;
use crate::running::{LIMIT, Stage, filtered};

/// An Envoy with two listeners that share one plugin, which can be replaced.
fn started(stage: &Stage) -> Envoy {
    let place = Discovered::new("p", stage.folder.join("plugins"));
    place
        .write(&plugin(stage, "first", Verdict::Accepts))
        .unwrap();
    let mut second = filtered(FilterSource::Discovered(place.clone()));
    second.name = "second".into();
    let listeners = vec![
        filtered(FilterSource::Discovered(place)),
        second,
        Listener::new("plain"),
    ];
    stage.start(&stage.bootstrap(listeners)).unwrap()
}

fn plugin(stage: &Stage, value: &str, verdict: Verdict) -> Plugin {
    Plugin::new("p", stage.module(value, verdict)).configured(format!("configured {value}"))
}

/// Waits until requests show this value: workers follow the main thread.
fn shows(stage: &Stage, envoy: &Envoy, value: &str) {
    let deadline = Instant::now() + LIMIT;
    while stage.written(envoy).as_deref() != Some(value) {
        assert!(Instant::now() < deadline, "{value} never came");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[ignore = "needs Envoy"]
fn an_accepted_plugin_takes_over() {
    let stage = Stage::new();
    let mut envoy = started(&stage);
    shows(&stage, &envoy, "first");
    for value in ["second", "third", "first"] {
        let push = envoy
            .push(&plugin(&stage, value, Verdict::Accepts), LIMIT)
            .unwrap();
        let Push::Accepted { log } = push else {
            panic!("{push:?}");
        };
        let said = format!("wasm log p p: configured {value}");
        assert!(log.iter().any(|line| line.message == said), "{log:?}");
        shows(&stage, &envoy, value);
    }
}

#[test]
#[ignore = "needs Envoy"]
fn a_refused_plugin_is_refused_each_time_and_the_old_one_serves_on() {
    let stage = Stage::new();
    let mut envoy = started(&stage);
    let refusing = plugin(&stage, "never", Verdict::Refuses);
    // Envoy would take the very same resource for applied the second time.
    for _ in 0..3 {
        let push = envoy.push(&refusing, LIMIT).unwrap();
        let Push::Refused { log } = push else {
            panic!("{push:?}");
        };
        let text: Vec<String> = log.iter().map(ToString::to_string).collect();
        assert!(
            text.contains(&"error: wasm log p p: configured never".to_owned()),
            "{text:?}"
        );
        let last = "warning: Filesystem config update rejected: Unable to create Wasm plugin p";
        assert_eq!(text.last().map(String::as_str), Some(last));
        assert_eq!(stage.written(&envoy).as_deref(), Some("first"));
    }
    let push = envoy
        .push(&plugin(&stage, "mended", Verdict::Accepts), LIMIT)
        .unwrap();
    assert!(matches!(push, Push::Accepted { .. }), "{push:?}");
    shows(&stage, &envoy, "mended");
}

#[test]
#[ignore = "needs Envoy"]
fn a_missing_module_is_refused_with_its_path() {
    let stage = Stage::new();
    let mut envoy = started(&stage);
    let push = envoy
        .push(&Plugin::new("p", "/no/such.wasm"), LIMIT)
        .unwrap();
    let Push::Refused { log } = push else {
        panic!("{push:?}");
    };
    assert!(
        log.iter()
            .any(|line| line.message.contains("/no/such.wasm")),
        "{log:?}"
    );
}

#[test]
#[ignore = "needs Envoy"]
fn the_same_plugin_pushed_again_is_applied_again() {
    let stage = Stage::new();
    let mut envoy = started(&stage);
    let same = plugin(&stage, "first", Verdict::Accepts);
    let before = envoy
        .stat("extension_config_discovery.http_filter.p.config_reload")
        .unwrap();
    let push = envoy.push(&same, LIMIT).unwrap();
    assert!(matches!(push, Push::Accepted { .. }), "{push:?}");
    let after = envoy
        .stat("extension_config_discovery.http_filter.p.config_reload")
        .unwrap();
    assert_eq!(after, before.map(|count| count + 1));
}

#[test]
#[ignore = "needs Envoy"]
fn a_plugin_that_is_not_discovered_cannot_be_pushed() {
    let stage = Stage::new();
    let mut envoy = started(&stage);
    let error = envoy.push(&Plugin::new("q", "/m.wasm"), LIMIT).unwrap_err();
    assert!(matches!(error, PushError::NotDiscovered { .. }));
    assert_eq!(
        error.to_string(),
        "plugin `q` cannot be replaced, Envoy discovers `p`"
    );
}
