//! What Envoy does to who reloads a filter without knowing it, and that we do not fall into it.
//!
//! The traps are shown with files that Envoy reads, which it takes as it takes what a control plane sends.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use attache_control_plane::status::Phase;
use attache_envoy::http1::{exchange, exchange_and_keep};
use attache_envoy::upstream::{Reply, Upstream};
use attache_envoy::{Bootstrap, Discovered, Envoy, FilterSource, Listener, Plugin, StartOptions};

use crate::guests;
use crate::scratch::Scratch;
use crate::stage::{LIMIT, PLUGIN, Stage, installation, module, module_with, says, word};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// An Envoy that reads its plugin from a file.
struct Bare {
    folder: Scratch,
    place: Discovered,
    upstream: Upstream,
}

impl Bare {
    fn new() -> Self {
        let folder = Scratch::new();
        Self {
            place: Discovered::new(PLUGIN, folder.join("plugins")),
            folder,
            upstream: Upstream::start(|_| Reply::new(200)).unwrap(),
        }
    }

    fn plugin(&self, name: &str, bytes: &[u8], word: &str) -> Plugin {
        let path = self.folder.join(name);
        fs::write(&path, bytes).unwrap();
        let configuration = format!(r#"{{"response":[{{"name":"x-word","value":"{word}"}}]}}"#);
        let mut plugin = Plugin::new(PLUGIN, path).configured(configuration);
        plugin.root_id = "add-header".into();
        plugin.failure_policy = attache_envoy::FailurePolicy::FailClosed;
        plugin
    }

    fn start(&self, clusters: &[(&str, &Upstream)]) -> Envoy {
        let mut listener = Listener::new("filtered");
        listener
            .filters
            .push(FilterSource::Discovered(self.place.clone()));
        let mut bootstrap = Bootstrap::new(self.upstream.address().into(), vec![listener]);
        for (name, upstream) in clusters {
            let codec = attache_envoy::Codec::Http1;
            let cluster = attache_envoy::Cluster::new(upstream.address(), codec);
            bootstrap.clusters.insert((*name).to_owned(), cluster);
        }
        let config = bootstrap.write(&self.folder.join("envoy.yaml")).unwrap();
        let options = StartOptions {
            discovered: bootstrap.discovered(),
            ..StartOptions::default()
        };
        Envoy::start(&installation(), &config, &self.folder.join("run"), options).unwrap()
    }

    /// Changes what Envoy reads, and waits until it has read it.
    fn rewrite(&self, envoy: &Envoy, change: impl Fn(&str) -> String) {
        let attempts = counter(envoy, "update_attempt");
        let path = self.place.path();
        let text = change(&fs::read_to_string(&path).unwrap());
        put(&path, &text);
        let deadline = Instant::now() + LIMIT;
        let answered =
            |envoy: &Envoy| counter(envoy, "update_success") + counter(envoy, "update_rejected");
        while counter(envoy, "update_attempt") == attempts || answered(envoy) <= attempts {
            assert!(Instant::now() < deadline, "Envoy never read it");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn put(path: &Path, text: &str) {
    let beside = path.with_extension("beside");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

fn counter(envoy: &Envoy, name: &str) -> u64 {
    let name = format!("extension_config_discovery.http_filter.{PLUGIN}.{name}");
    envoy.stat(&name).unwrap().unwrap_or(0)
}

#[test]
#[ignore = "needs Envoy"]
fn remote_code_is_acknowledged_and_never_fetched_and_requests_pass_unfiltered() {
    let (bare, modules, digest, envoy) = beside_a_module_to_fetch();
    let address = envoy.listener_address("filtered").unwrap();
    let accepted = counter(&envoy, "update_success");
    bare.rewrite(&envoy, |text| fetched(text, &modules, &digest));
    assert_eq!(counter(&envoy, "update_success"), accepted + 1);
    // Fail-closed, acknowledged, and nobody filters.
    let deadline = Instant::now() + LIMIT;
    while word(address).is_some() {
        assert!(Instant::now() < deadline, "the filter never went away");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(modules.take().len(), 0);
}

/// An Envoy whose responses say `a`, and a module that it could fetch, with its digest.
fn beside_a_module_to_fetch() -> (Bare, Upstream, String, Envoy) {
    let bare = Bare::new();
    bare.place
        .write(&bare.plugin("a.wasm", module(), "a"))
        .unwrap();
    let other = module_with("remote");
    let digest = attache_module::sha256(&other);
    let modules = Upstream::start(move |_| Reply::new(200).body(other.clone())).unwrap();
    let envoy = bare.start(&[("modules", &modules)]);
    says(envoy.listener_address("filtered").unwrap(), "a");
    (bare, modules, digest, envoy)
}

/// The same resource with code that Envoy has to fetch.
fn fetched(text: &str, modules: &Upstream, digest: &str) -> String {
    let local = text.find("local:").unwrap();
    let end = local + text[local..].find("filename").unwrap();
    let end = end + text[end..].find('\n').unwrap();
    let uri = format!("http://{}/module.wasm", modules.address());
    let remote = format!(
        "remote: {{ sha256: {digest}, http_uri: {{ uri: \"{uri}\", cluster: modules, timeout: 5s }} }}"
    );
    let text = format!("{}{remote}{}", &text[..local], &text[end..]);
    text.replace("version_info: \"", "version_info: \"1")
}

#[test]
#[ignore = "needs Envoy"]
fn remote_code_that_is_refused_until_it_is_there_leaves_the_filter_in_place() {
    let (bare, modules, digest, envoy) = beside_a_module_to_fetch();
    let address = envoy.listener_address("filtered").unwrap();
    bare.rewrite(&envoy, |text| {
        let text = fetched(text, &modules, &digest);
        let runtime = text.find("runtime:").unwrap();
        let line = text[..runtime].rfind('\n').unwrap();
        let before = &text[line..runtime];
        format!(
            "{}{before}nack_on_code_cache_miss: true{}",
            &text[..line],
            &text[line..]
        )
    });
    assert_eq!(counter(&envoy, "update_rejected"), 1);
    assert_eq!(word(address).as_deref(), Some("a"));
    let deadline = Instant::now() + LIMIT;
    while modules.take().is_empty() {
        assert!(Instant::now() < deadline, "it was never fetched");
        thread::sleep(Duration::from_millis(5));
    }
    // The same again would be taken for applied: something in it has to differ.
    for attempt in 0..100 {
        bare.rewrite(&envoy, |text| {
            let next = format!("version_info: \"{attempt}");
            let old = text.replace("\"value\":\"a\"", "\"value\":\"b\"");
            old.replace("version_info: \"", &next)
                .replace("\"value\":\"b", &format!("\"value\":\"b{attempt}"))
        });
        if word(address).is_some_and(|word| word.starts_with('b')) {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("it was never applied");
}

#[test]
#[ignore = "needs Envoy"]
fn what_was_refused_is_acknowledged_the_second_time_and_still_not_applied() {
    let bare = Bare::new();
    bare.place
        .write(&bare.plugin("a.wasm", module(), "a"))
        .unwrap();
    let envoy = bare.start(&[]);
    let address = envoy.listener_address("filtered").unwrap();
    says(address, "a");
    // A module that refuses to start, repaired under its name.
    let broken = bare.folder.join("b.wasm");
    fs::write(&broken, guests::starts_only(0)).unwrap();
    let from = bare.folder.join("a.wasm").display().to_string();
    let to = broken.display().to_string();
    bare.rewrite(&envoy, |text| {
        text.replace(&from, &to)
            .replace("version_info: \"", "version_info: \"1")
    });
    assert_eq!(counter(&envoy, "update_rejected"), 1);
    fs::write(&broken, module()).unwrap();
    let accepted = counter(&envoy, "update_success");
    bare.rewrite(&envoy, |text| {
        text.replace("version_info: \"", "version_info: \"2")
    });
    assert_eq!(counter(&envoy, "update_success"), accepted + 1);
    let created = |envoy: &Envoy| envoy.stat("wasm.envoy.wasm.runtime.v8.created").unwrap();
    let before = created(&envoy);
    thread::sleep(Duration::from_millis(100));
    assert_eq!(created(&envoy), before);
    // With another generation it is applied.
    bare.rewrite(&envoy, |text| {
        let text = text.replace("\"ATTACHE_GENERATION\": \"", "\"ATTACHE_GENERATION\": \"7");
        text.replace("version_info: \"", "version_info: \"3")
    });
    assert!(created(&envoy) > before);
}

#[test]
#[ignore = "needs Envoy"]
fn what_envoys_refused_is_pushed_again_when_it_is_declared_again() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "");
    let envoy = stage.start_envoy("edge");
    let address = envoy.listener_address("filtered").unwrap();
    let first = stage.prove("a");
    // Only Envoy finds out: it counts over all versions, and the trial of each here begins at nothing.
    stage.write("r.wasm", guests::starts_only(4));
    let late = "fails_when: { not_confirmed_within: 1h }\n";
    stage.declare_text("r", late);
    says(address, "only4");
    stage.declare_text("r", &format!("{late}state_epoch: 1\n"));
    let refused = stage.reaches("r", Phase::Returned);
    let reason = refused.reason.unwrap();
    assert!(
        reason.contains("Unable to create Wasm plugin marker"),
        "{reason}"
    );
    says(address, "a");
    stage.write("r.wasm", module());
    stage.declare("r", "a", "");
    let again = stage.reaches_as("r", |status| {
        status.phase == Phase::Confirmed && status.envoys[0].acknowledged == status.envoys[0].wanted
    });
    assert_eq!(again.declared.configuration, first.declared.configuration);
    says(address, "a");
}

#[test]
#[ignore = "needs Envoy"]
fn a_reload_leaves_connections_open_and_applies_to_them() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "");
    let envoy = stage.start_envoy("edge");
    let address = envoy.listener_address("filtered").unwrap();
    let first = stage.reaches("r", Phase::Confirmed);
    let connection = std::net::TcpStream::connect(address).unwrap();
    let said = || {
        let kept = connection.try_clone().unwrap();
        let response = exchange_and_keep(kept, &[REQUEST], LIMIT).unwrap();
        let value = response.header("x-word").next().unwrap().to_vec();
        String::from_utf8(value).unwrap()
    };
    assert_eq!(said(), "a");
    stage.declare("r", "b", "");
    stage.reaches_as("r", |status| {
        status.phase == Phase::Confirmed && status.declared != first.declared
    });
    assert_eq!(said(), "b");
}

#[test]
#[ignore = "needs Envoy"]
fn the_next_good_version_ends_a_failure_of_whatever_policy() {
    for policy in ["fail_closed", "fail_open", "fail_reload"] {
        let stage = Stage::new();
        stage.write("r.wasm", guests::always_traps());
        let never = "fails_when: { plugin_failures: 0, server_errors_percent: 100, not_confirmed_within: 1h }";
        stage.declare_text("r", &format!("failure_policy: {policy}\n{never}\n"));
        let envoy = stage.start_envoy("edge");
        let address = envoy.listener_address("filtered").unwrap();
        let failed = exchange(address, REQUEST, LIMIT).unwrap();
        assert_eq!(failed.status, 503, "{policy}");
        stage.write("r.wasm", module());
        stage.declare("r", "good", "");
        let good = attache_control_plane::Module::new("r.wasm", module());
        stage.reaches_as("r", |status| {
            status.phase == Phase::Confirmed && status.declared.module == good.sha256()
        });
        says(address, "good");
    }
}

#[test]
#[ignore = "needs Envoy"]
fn a_trap_that_fails_open_is_counted_by_nothing_of_wasm() {
    let stage = Stage::new();
    stage.write("r.wasm", guests::traps_at_the_tenth());
    let never = "fails_when: { plugin_failures: 0, server_errors_percent: 100 }";
    stage.declare_text("r", &format!("failure_policy: fail_open\n{never}\n"));
    let envoy = stage.start_envoy("edge");
    let address = envoy.listener_address("filtered").unwrap();
    stage.reaches("r", Phase::Confirmed);
    let of_wasm = || {
        let stats = envoy.admin("/stats?filter=wasm").unwrap();
        String::from_utf8(stats.body.to_vec()).unwrap()
    };
    let before = of_wasm();
    // Two workers, and so two VMs that trap once each.
    let deadline = Instant::now() + LIMIT;
    let mut failed = 0;
    while failed < 2 {
        assert!(Instant::now() < deadline, "{failed} have failed");
        failed += u32::from(exchange(address, REQUEST, LIMIT).unwrap().status == 503);
    }
    for _ in 0..30 {
        assert_eq!(word(address), None, "it passes without the filter");
    }
    assert_eq!(of_wasm(), before);
}
