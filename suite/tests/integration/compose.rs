//! `docker-compose.yml` fits the files that it names.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::both::{envoy, repository_file};

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&repository_file(path)).unwrap()
}

fn services() -> serde_json::Map<String, Value> {
    let compose = yaml("docker-compose.yml");
    compose["services"].as_object().unwrap().clone()
}

/// The texts of a key, wherever it stands.
fn of_key<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(key));
            map.values().for_each(|value| of_key(value, key, found));
        }
        Value::Array(all) => all.iter().for_each(|value| of_key(value, key, found)),
        _ => {}
    }
}

#[test]
fn what_it_mounts_is_in_the_tree() {
    for (name, service) in services() {
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let host = volume.as_str().unwrap().split(':').next().unwrap();
            if host.starts_with('.') {
                assert!(repository().join(host).exists(), "{name}: {host}");
            } else {
                let declared = &yaml("docker-compose.yml")["volumes"];
                assert!(declared.get(host).is_some(), "{name}: {host}");
            }
        }
    }
}

#[test]
fn only_the_loopback_interface_leads_in() {
    for (name, service) in services() {
        for port in service["ports"].as_array().into_iter().flatten() {
            let port = port.as_str().unwrap();
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
    }
}

#[test]
fn the_machines_that_its_configurations_name_are_services() {
    let services = services();
    let bootstrap = yaml("envoy-configs/compose/envoy.yaml");
    let prometheus = yaml("envoy-configs/compose/prometheus.yaml");
    let (mut addresses, mut targets) = (Vec::new(), Vec::new());
    of_key(&bootstrap, "socket_address", &mut addresses);
    of_key(&prometheus, "targets", &mut targets);
    let addresses = addresses.iter().map(|it| it["address"].as_str().unwrap());
    let targets = targets.iter().flat_map(|it| it.as_array().unwrap());
    let targets = targets.map(|it| it.as_str().unwrap().split(':').next().unwrap());
    let mut named = 0;
    for host in addresses.chain(targets).filter(|host| *host != "0.0.0.0") {
        assert!(services.contains_key(host), "{host}");
        named += 1;
    }
    assert_eq!(named, 4);
}

#[test]
fn every_image_is_pinned_to_a_version_and_envoy_to_ours() {
    let services = services();
    for (name, service) in &services {
        let image = service["image"].as_str().unwrap();
        let (named, digest) = image.split_once('@').unwrap_or((image, ""));
        let (_, tag) = named
            .split_once(':')
            .unwrap_or_else(|| panic!("{name}: {image}"));
        assert!(
            tag.contains(|letter: char| letter.is_ascii_digit()),
            "{name}: {image}"
        );
        let is_known = service["build"].is_null() && *name != "envoy";
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        assert_eq!(hex.len() == 64, is_known, "{name}: {image}");
    }
    let envoy = format!("envoyproxy/envoy:v{}", attache_envoy::Version::DEFAULT);
    assert_eq!(services["envoy"]["image"], envoy.as_str());
}

#[test]
fn the_control_plane_is_built_by_our_toolchain_with_the_modules_that_it_serves() {
    let services = services();
    let path = services["control-plane"]["build"]["dockerfile"]
        .as_str()
        .unwrap();
    let dockerfile = repository_file(path);
    let toolchain = repository_file("rust-toolchain.toml");
    let (_, rust) = toolchain.split_once("channel = \"").unwrap();
    let rust = format!("FROM rust:{} AS build\n", rust.split('"').next().unwrap());
    assert!(dockerfile.contains(&rust), "{rust}");
    let (_, built) = dockerfile.split_once("cargo attache build ").unwrap();
    let built: Vec<&str> = built.lines().next().unwrap().split(' ').collect();
    for rollout in ["auth-scrub", "metrics", "greeting"] {
        let rollout = yaml(&format!("envoy-configs/compose/rollouts/{rollout}.yaml"));
        let module = rollout["module"].as_str().unwrap();
        let filter = module.strip_prefix("/modules/").unwrap();
        let filter = filter.strip_suffix(".wasm").unwrap();
        assert!(built.contains(&filter), "{filter}");
    }
}

#[test]
fn what_the_control_plane_and_envoy_say_of_groups_and_plugins_agrees() {
    let bootstrap = yaml("envoy-configs/compose/envoy.yaml");
    let mut filters = Vec::new();
    of_key(&bootstrap, "http_filters", &mut filters);
    let asked = filters[0].as_array().unwrap().iter();
    let asked = asked.filter(|filter| filter.get("config_discovery").is_some());
    let mut served = 0;
    for filter in asked {
        let name = filter["name"].as_str().unwrap();
        let rollout = yaml(&format!("envoy-configs/compose/rollouts/{name}.yaml"));
        assert_eq!(rollout["plugin"], name);
        assert_eq!(rollout["groups"][0], bootstrap["node"]["cluster"]);
        served += 1;
    }
    assert_eq!(served, 3);
    let port = &bootstrap["node"]["metadata"]["attache"]["admin_port"];
    assert_eq!(
        port,
        &bootstrap["admin"]["address"]["socket_address"]["port_value"]
    );
}

#[test]
fn the_labels_of_metrics_are_those_of_its_own_bootstrap() {
    let own = yaml("envoy-configs/metrics.yaml");
    let here = yaml("envoy-configs/compose/envoy.yaml");
    assert_eq!(own["stats_config"], here["stats_config"]);
}

#[test]
#[ignore = "needs the schema of compose files, which .ci/compose fetches"]
fn it_is_what_the_compose_specification_allows() {
    let output = Command::new(repository().join(".ci/compose"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), ".ci/compose finds no schema");
    let path = String::from_utf8(output.stdout).unwrap();
    let schema = std::fs::read_to_string(path.trim_end()).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut compose = yaml("docker-compose.yml");
    let faults: Vec<String> = validator
        .iter_errors(&compose)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    // The schema says no to what is wrong.
    compose["services"]["echo"]["imagee"] = "x:1".into();
    assert!(!validator.is_valid(&compose));
}

#[test]
#[ignore = "needs Envoy"]
fn its_envoy_takes_its_bootstrap() {
    let output = Command::new(&envoy().path)
        .args(["--mode", "validate", "--config-path"])
        .arg(repository().join("envoy-configs/compose/envoy.yaml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
