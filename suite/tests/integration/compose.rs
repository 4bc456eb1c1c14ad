//! `docker-compose.yml` fits the files that it names.

use serde_json::Value;

use crate::both::repository_file;

fn compose() -> Value {
    serde_saphyr::from_str(&repository_file("docker-compose.yml")).unwrap()
}

#[test]
fn the_addresses_that_it_replaces_stand_in_the_bootstrap_once() {
    let compose = compose();
    let command = compose["services"]["envoy"]["command"][0].as_str().unwrap();
    let config = repository_file("envoy-configs/auth-scrub.yaml");
    let replaced: Vec<&str> = command
        .split("'s/")
        .skip(1)
        .map(|expression| expression.split('/').next().unwrap())
        .collect();
    assert_eq!(replaced.len(), 2);
    for pattern in replaced {
        assert_eq!(config.matches(pattern).count(), 1, "{pattern}");
    }
}

#[test]
fn the_module_is_where_the_bootstrap_looks_for_it() {
    let compose = compose();
    let config = repository_file("envoy-configs/auth-scrub.yaml");
    assert!(config.contains("filename: target/attache/auth-scrub.wasm"));
    // `attache build` writes to `attache/` in the target folder, which Envoy sees as `target/`.
    assert_eq!(
        compose["services"]["filter"]["environment"]["CARGO_TARGET_DIR"],
        "/build"
    );
    assert_eq!(compose["services"]["envoy"]["working_dir"], "/attache");
    let volumes = &compose["services"]["envoy"]["volumes"];
    assert_eq!(volumes[1], "build:/attache/target:ro");
}

#[test]
fn every_image_is_pinned_to_a_version_and_envoy_to_ours() {
    let compose = compose();
    for (name, service) in compose["services"].as_object().unwrap() {
        let image = service["image"].as_str().unwrap();
        let (_, tag) = image
            .split_once(':')
            .unwrap_or_else(|| panic!("{name}: {image}"));
        assert!(
            tag.contains(|letter: char| letter.is_ascii_digit()),
            "{name}: {image}"
        );
    }
    let envoy = format!("envoyproxy/envoy:v{}", attache_envoy::Version::DEFAULT);
    assert_eq!(compose["services"]["envoy"]["image"], envoy.as_str());
    let toolchain = repository_file("rust-toolchain.toml");
    let (_, rust) = toolchain.split_once("channel = \"").unwrap();
    let rust = format!("rust:{}", rust.split('"').next().unwrap());
    assert_eq!(compose["services"]["filter"]["image"], rust.as_str());
}
