use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use attache_envoy::{
    Discovered, Ended, FilterSource, Listener, LogLevel, Plugin, StartError, StartOptions,
};

use crate::modules::Verdict;
use crate::running::{Stage, filtered, installation, with_plugin};

#[test]
#[ignore = "needs Envoy"]
fn a_taken_port_is_named_for_a_listener_and_for_the_admin_endpoint() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let stage = Stage::new();
    let mut listener = Listener::new("a");
    listener.address = address;
    let by_listener = stage.bootstrap(vec![listener]);
    let mut by_admin = stage.bootstrap(vec![Listener::new("a")]);
    by_admin.admin = address;
    for bootstrap in [by_listener, by_admin] {
        let message = stage.start(&bootstrap).unwrap_err().to_string();
        let next = "end what listens there, choose another port, or port 0 for a free one";
        assert_eq!(message, format!("`{address}` is in use; {next}"));
    }
}

#[test]
#[ignore = "needs Envoy"]
fn the_port_of_another_envoy_counts_as_taken() {
    let stage = Stage::new();
    let first = stage
        .start(&stage.bootstrap(vec![Listener::new("a")]))
        .unwrap();
    let other = Stage::new();
    let mut listener = Listener::new("a");
    listener.address = first.listener_address("a").unwrap();
    let error = other.start(&other.bootstrap(vec![listener])).unwrap_err();
    assert!(matches!(error, StartError::PortTaken { .. }), "{error}");
}

#[test]
#[ignore = "needs Envoy"]
fn a_refused_configuration_is_named_with_envoys_reason() {
    let stage = Stage::new();
    for (config, reason) in [("a: [", "yaml-cpp: error at line"), ("bogus: 1", "bogus")] {
        let path = stage.folder.join("broken.yaml");
        fs::write(&path, config).unwrap();
        let error = attache_envoy::Envoy::start(
            &installation(),
            &path,
            &stage.folder,
            StartOptions::default(),
        )
        .unwrap_err();
        let StartError::ConfigurationRefused { reason: said, .. } = &error else {
            panic!("{error}");
        };
        assert!(said.contains(reason), "{said}");
        assert!(error.to_string().contains("broken.yaml`"), "{error}");
    }
}

#[test]
#[ignore = "needs Envoy"]
fn a_filter_that_refuses_its_configuration_is_quoted() {
    let stage = Stage::new();
    let plugin =
        Plugin::new("picky", stage.module("x", Verdict::Refuses)).configured("no `rules`\nat all");
    let message = stage
        .start(&stage.bootstrap(vec![with_plugin(plugin)]))
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("Envoy refused plugin `picky`; it logged:\n"),
        "{message}"
    );
    assert!(
        message.contains("\n  error: wasm log picky picky: no `rules`\nat all\n"),
        "{message}"
    );
}

#[test]
#[ignore = "needs Envoy"]
fn a_file_that_is_no_module_is_refused_with_the_hosts_words() {
    let stage = Stage::new();
    let path = stage.folder.join("junk.wasm");
    fs::write(&path, "not a module").unwrap();
    let error = stage
        .start(&stage.bootstrap(vec![with_plugin(Plugin::new("p", path))]))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("Failed to parse corrupted Wasm module"),
        "{error}"
    );

    let missing = Plugin::new("p", stage.folder.join("missing.wasm"));
    let error = stage
        .start(&stage.bootstrap(vec![with_plugin(missing)]))
        .unwrap_err();
    assert!(error.to_string().contains("missing.wasm"), "{error}");
}

#[test]
#[ignore = "needs Envoy"]
fn a_discovered_plugin_that_is_refused_stops_the_start() {
    let stage = Stage::new();
    let place = Discovered::new("picky", stage.folder.join("plugins"));
    let plugin =
        Plugin::new("picky", stage.module("x", Verdict::Refuses)).configured("nothing to do");
    place.write(&plugin).unwrap();
    let bootstrap = stage.bootstrap(vec![filtered(FilterSource::Discovered(place))]);
    let message = stage.start(&bootstrap).unwrap_err().to_string();
    assert!(
        message.starts_with("Envoy refused plugin `picky`"),
        "{message}"
    );
    assert!(message.contains("nothing to do"), "{message}");
}

#[test]
#[ignore = "needs Envoy"]
fn a_discovered_plugin_without_a_file_stops_the_start() {
    let stage = Stage::new();
    let place = Discovered::new("absent", stage.folder.join("plugins"));
    let path = place.path().display().to_string();
    let bootstrap = stage.bootstrap(vec![filtered(FilterSource::Discovered(place))]);
    let message = stage.start(&bootstrap).unwrap_err().to_string();
    assert!(
        message.contains(&format!("'{path}' does not exist")),
        "{message}"
    );
}

#[test]
#[ignore = "needs Envoy"]
fn an_envoy_is_not_waited_for_longer_than_told() {
    let stage = Stage::new();
    let state_after = |seconds: u64| {
        let options = StartOptions {
            ready_within: Duration::from_secs(seconds),
            discovered: vec![Discovered::new("absent", stage.folder.join("plugins"))],
            ..StartOptions::default()
        };
        let bootstrap = stage.bootstrap(vec![Listener::new("a")]);
        let error = stage.start_with(&bootstrap, options).unwrap_err();
        let message = error.to_string();
        let start = format!("Envoy was not ready after {seconds} s: ");
        assert!(message.starts_with(&start), "{message}");
        message
    };
    // On a busy machine Envoy takes longer to say what is missing.
    let missing = "plugin `absent` has no configuration yet; it logged";
    let mut limits = [1, 5, 25].into_iter();
    assert!(limits.any(|limit| state_after(limit).contains(missing)));
}

#[test]
#[ignore = "needs Envoy"]
fn the_level_of_what_filters_say_can_be_chosen() {
    let stage = Stage::new();
    let plugin = Plugin::new("p", stage.module("x", Verdict::Accepts)).configured("spoken");
    let bootstrap = stage.bootstrap(vec![with_plugin(plugin)]);
    for (level, heard) in [(LogLevel::Info, true), (LogLevel::Warning, false)] {
        let options = StartOptions {
            filter_log_level: level,
            ..StartOptions::default()
        };
        let envoy = stage.start_with(&bootstrap, options).unwrap();
        let lines = envoy.log_lines().unwrap();
        assert_eq!(
            lines.iter().any(|line| line.message.contains("spoken")),
            heard,
            "{lines:?}"
        );
    }
}

#[test]
#[ignore = "needs Envoy"]
fn a_stopped_envoy_ends_at_once_by_itself() {
    let stage = Stage::new();
    let mut envoy = stage
        .start(&stage.bootstrap(vec![Listener::new("a")]))
        .unwrap();
    assert_eq!(envoy.ended().unwrap(), None);
    let message = envoy.listener_address("b").unwrap_err().to_string();
    assert_eq!(message, "Envoy has no listener `b`, it has `a`");
    assert_eq!(envoy.admin("/ready").unwrap().text(), "LIVE\n");
    let address = envoy.admin_address();
    assert_eq!(envoy.stop().unwrap(), Ended::Status(0));
    assert!(std::net::TcpStream::connect(address).is_err());
}
