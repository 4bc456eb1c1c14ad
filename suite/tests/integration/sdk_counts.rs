//! What the SDK counts, as Envoy's own statistics show it, and what several workers change at once.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use attache_envoy::upstream::Upstream;
use attache_envoy::{
    Bootstrap, Discovered, Envoy, FilterSource, Listener, ModuleStore, Plugin, Push, RunFolder,
    StartOptions, http1,
};
use attache_harness::{Host, HostBuilder, Request};

use crate::both::{envoy, folder, module, until};

const LIMIT: Duration = Duration::from_secs(90);

/// A filter of the guest `keeper`, for the harness.
fn on_harness(root_id: &str) -> attache_harness::Plugin {
    let bytes = std::fs::read(module("keeper")).unwrap();
    attache_harness::Plugin::from_bytes("keeper", bytes).root_id(root_id)
}

/// A filter of the guest `keeper`, for Envoy.
fn plugin(root_id: &str) -> Plugin {
    let mut plugin = Plugin::new("keeper", module("keeper"));
    root_id.clone_into(&mut plugin.root_id);
    plugin
}

/// An Envoy with one listener, whose configuration ends with `more`.
fn started(
    folder: &RunFolder,
    filter: FilterSource,
    workers: u32,
    more: &str,
) -> (Envoy, Upstream, SocketAddr) {
    let upstream = Upstream::echo().unwrap();
    let mut listener = Listener::new("inner");
    listener.filters = vec![filter];
    let bootstrap = Bootstrap::new(upstream.address().into(), vec![listener]);
    let path = bootstrap.write(&folder.join("envoy.yaml")).unwrap();
    let yaml = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, yaml + more).unwrap();
    let options = StartOptions {
        concurrency: workers,
        discovered: bootstrap.discovered(),
        ..StartOptions::default()
    };
    let envoy = Envoy::start(envoy(), &path, folder, options).unwrap();
    let address = envoy.listener_address("inner").unwrap();
    (envoy, upstream, address)
}

fn get(address: SocketAddr, path: &str, headers: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}connection: close\r\n\r\n");
    let response = http1::exchange(address, request.as_bytes(), LIMIT).unwrap();
    String::from_utf8(response.body).unwrap()
}

#[test]
#[ignore = "needs Envoy"]
fn labels_are_labels_in_prometheus() {
    let mut host = Host::with(on_harness("meters")).unwrap();
    let snippet = host.send(Request::get("/tags")).unwrap();
    let snippet = String::from_utf8(snippet.response().body().to_vec()).unwrap();
    assert!(snippet.starts_with("stats_config:\n"), "{snippet}");

    let folder = folder("sdk-counts-labels");
    let filter = FilterSource::Static(plugin("meters"));
    let (envoy, _upstream, address) = started(&folder, filter, 1, &snippet);
    for tier in ["a.b:c/{d}-e*,f@g", "two words", "", "fourth", "fifth"] {
        get(address, "/", &format!("x-tier: {tier}\r\n"));
    }
    get(address, "/error", "");
    let shown = envoy.admin("/stats/prometheus?usedonly").unwrap();
    let shown = String::from_utf8(shown.body).unwrap();
    let mut ours: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with("keeper_") || line.starts_with("attache_"))
        .filter(|line| !line.starts_with("keeper_waited"))
        .collect();
    ours.sort_unstable();
    assert_eq!(
        ours,
        [
            r#"attache_errors_total{plugin="keeper"} 1"#,
            r#"attache_requests_total{plugin="keeper"} 6"#,
            r#"attache_skipped_total{plugin="keeper",reason="no_rule"} 5"#,
            "keeper_all{} 12",
            "keeper_peak{} 7",
            r#"keeper_requests_total{method="GET",tier=""} 1"#,
            r#"keeper_requests_total{method="GET",tier="a.b:c/{d}-e*,f@g"} 1"#,
            r#"keeper_requests_total{method="GET",tier="two_words"} 1"#,
            r#"keeper_requests_total{method="__overflow__",tier="__overflow__"} 3"#,
            "keeper_running{} 0",
        ],
        "{shown}"
    );
}

#[test]
fn each_thread_counts_its_configuration_on_the_harness() {
    let plugin = on_harness("meters").environment("ATTACHE_GENERATION", "1700000000000000017");
    let host = HostBuilder::default()
        .workers(3)
        .plugin(plugin)
        .start()
        .unwrap();
    let name = "attache_configured_total;plugin=keeper;slot=7";
    assert_eq!(host.counter(name), Some(5));
}

#[test]
#[ignore = "needs Envoy"]
fn each_thread_counts_its_configuration() {
    let folder = folder("sdk-counts-generations");
    let store = ModuleStore::new(&*folder);
    let mut plugin = plugin("meters");
    plugin.module = store
        .keep(&std::fs::read(module("keeper")).unwrap())
        .unwrap();
    let mut of_generation = |generation: &str| {
        let environment = &mut plugin.environment;
        environment.insert("ATTACHE_GENERATION".to_owned(), generation.to_owned());
        plugin.clone()
    };
    let discovered = Discovered::new("keeper", &*folder);
    discovered.write_in_place(&of_generation("17")).unwrap();
    let place = FilterSource::Discovered(discovered);
    let (mut envoy, _upstream, _) = started(&folder, place, 3, "");
    // Workers take it up by themselves.
    let counted = |envoy: &Envoy, slot: u8| {
        let name = format!("wasmcustom.attache_configured_total;plugin=keeper;slot={slot}");
        until(|| envoy.stat(&name).unwrap() == Some(5));
        envoy.stat(&name).unwrap()
    };
    assert_eq!(counted(&envoy, 7), Some(5));
    let pushed = envoy.push_in_place(&of_generation("18"), LIMIT).unwrap();
    assert!(matches!(pushed, Push::Accepted { .. }), "{pushed:?}");
    assert_eq!(counted(&envoy, 8), Some(5));
    let refused = of_generation("19").configured("[]");
    let pushed = envoy.push_in_place(&refused, LIMIT).unwrap();
    assert!(matches!(pushed, Push::Refused { .. }), "{pushed:?}");
    let name = "wasmcustom.attache_configured_total;plugin=keeper;slot=9";
    assert_eq!(envoy.stat(name).unwrap(), None);
}

#[test]
#[ignore = "needs Envoy"]
fn no_change_of_any_worker_is_lost() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 50;
    let folder = folder("sdk-counts-workers");
    let filter = FilterSource::Static(plugin("sharer"));
    let (_envoy, _upstream, address) = started(&folder, filter, 4, "");
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| (0..REQUESTS).for_each(|_| drop(get(address, "/add", ""))));
        }
    });
    let all = format!("Some({})\n", CLIENTS * REQUESTS);
    assert_eq!(get(address, "/read", ""), all);
}
