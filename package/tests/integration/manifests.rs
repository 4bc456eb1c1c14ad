use std::path::PathBuf;

use attache_package::{Failure, ManifestError, Phase, Plugin, Target};
use serde_json::{Value, json};

use crate::crds::Crd;
use crate::modules::{described, foreign, guard, published};

const IMAGE: &str = "registry.example.com/filters/guard:1.2.0";

fn full() -> Plugin {
    let mut plugin = Plugin::new("guard", IMAGE);
    plugin.config = Some(json!({ "rules": ["no", "1.40", { "deep": null }] }));
    plugin.failure = Failure::Open;
    plugin.pull_secret = Some("registry-login".to_owned());
    plugin
}

fn manifest(plugin: &Plugin, module: &[u8], target: Target) -> Value {
    let text = plugin.manifest(&published(module), target).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn istio() -> Plugin {
    let mut plugin = full();
    plugin.phase = Some(Phase::Stats);
    plugin.priority = Some(-3);
    plugin.selector = vec![("app".to_owned(), "shop".to_owned())];
    plugin.environment = vec![
        ("REGION".to_owned(), Some("no".to_owned())),
        ("HOME".to_owned(), None),
    ];
    plugin
}

fn gateway() -> Plugin {
    let mut plugin = full();
    plugin.gateway = Some("shop".to_owned());
    plugin.environment = vec![("HOME".to_owned(), None)];
    plugin
}

#[test]
#[ignore = "needs the CRDs in ATTACHE_TEST_DATA"]
fn istio_accepts_both_kinds_with_all_fields_and_with_none() {
    for (target, name) in [
        (Target::WasmPlugin, "wasmplugin"),
        (Target::TrafficExtension, "trafficextension"),
    ] {
        let crd = Crd::read(name);
        let mut for_gateway = full();
        for_gateway.gateway = Some("shop".to_owned());
        for plugin in [istio(), for_gateway, Plugin::new("guard", IMAGE)] {
            crd.check(&manifest(&plugin, &guard(), target));
        }
        let whole = manifest(&istio(), &guard(), target);
        crd.check_refused(&whole, "/spec/phase", json!("LATE"));
    }
}

#[test]
#[ignore = "needs the CRDs in ATTACHE_TEST_DATA"]
fn envoy_gateway_accepts_the_policy() {
    let crd = Crd::read("envoyextensionpolicy");
    let whole = manifest(&gateway(), &guard(), Target::EnvoyExtensionPolicy);
    crd.check(&whole);
    crd.check_refused(&whole, "/spec/wasm/0/code/type", json!("OCI"));
}

#[test]
fn images_are_pinned_by_the_digest_of_the_manifest() {
    let digest = published(&guard()).descriptor.digest.hex();
    let plugin = manifest(&istio(), &guard(), Target::WasmPlugin);
    assert_eq!(plugin["spec"]["sha256"], digest.as_str());
    assert_eq!(plugin["spec"]["url"], format!("oci://{IMAGE}"));
    let extension = manifest(&istio(), &guard(), Target::TrafficExtension);
    assert_eq!(extension["spec"]["wasm"]["sha256"], digest.as_str());
    let policy = manifest(&gateway(), &guard(), Target::EnvoyExtensionPolicy);
    let image = &policy["spec"]["wasm"][0]["code"]["image"];
    assert_eq!(image["sha256"], digest.as_str());
    assert_eq!(image["url"], IMAGE);
}

#[test]
fn a_configuration_keeps_its_types() {
    let plugin = manifest(&istio(), &guard(), Target::WasmPlugin);
    assert_eq!(plugin["spec"]["pluginConfig"], full().config.unwrap());
    let filter = manifest(&full_for_envoy(), &guard(), Target::Envoy);
    let text = filter[0]["typed_config"]["config"]["configuration"]["value"]
        .as_str()
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(text).unwrap(),
        full().config.unwrap()
    );
}

fn full_for_envoy() -> Plugin {
    let mut plugin = full();
    plugin.pull_secret = None;
    plugin.file = Some(PathBuf::from("/filter/plugin.wasm"));
    plugin
}

#[test]
fn a_configuration_that_the_filter_would_refuse_is_refused_here() {
    let mut plugin = istio();
    plugin.config = Some(json!({ "rules": "all" }));
    let error = plugin
        .manifest(&published(&guard()), Target::WasmPlugin)
        .unwrap_err();
    assert!(
        matches!(&error, ManifestError::Configuration { pointer, .. } if pointer == "/rules"),
        "{error}"
    );
    plugin.config = Some(json!({ "token": "hunter2" }));
    let error = plugin
        .manifest(&published(&guard()), Target::WasmPlugin)
        .unwrap_err();
    assert!(
        !error.to_string().contains("hunter2"),
        "a value may be a secret: {error}"
    );
}

#[test]
fn what_a_target_cannot_run_is_refused_with_the_reason() {
    let holding = described(true, &[("guard", "http", json!(true))]);
    for (plugin, target) in [
        (istio(), Target::WasmPlugin),
        (istio(), Target::TrafficExtension),
        (gateway(), Target::EnvoyExtensionPolicy),
    ] {
        let error = plugin
            .manifest(&published(&holding), target)
            .unwrap_err()
            .to_string();
        assert!(error.contains("allow_on_headers_stop_iteration"), "{error}");
    }
    let filter = manifest(&full_for_envoy(), &holding, Target::Envoy);
    assert_eq!(
        filter[0]["typed_config"]["config"]["allow_on_headers_stop_iteration"],
        true
    );

    let tcp = described(false, &[("guard", "tcp", json!(true))]);
    assert_eq!(
        manifest(&istio(), &tcp, Target::WasmPlugin)["spec"]["type"],
        "NETWORK"
    );
    assert!(
        gateway()
            .manifest(&published(&tcp), Target::EnvoyExtensionPolicy)
            .is_err()
    );
    let logger = described(false, &[("guard", "access_logger", json!(true))]);
    for target in [Target::WasmPlugin, Target::Envoy] {
        let mut plugin = full_for_envoy();
        plugin.file = None;
        assert!(matches!(
            plugin.manifest(&published(&logger), target),
            Err(ManifestError::Unable { .. })
        ));
    }
}

#[test]
fn fields_that_a_target_does_not_have_are_refused() {
    let refused = |plugin: &Plugin, target| {
        let error = plugin.manifest(&published(&guard()), target).unwrap_err();
        assert!(matches!(error, ManifestError::NoField { .. }), "{error}");
    };
    refused(&full(), Target::EnvoyExtensionPolicy);
    let mut plugin = gateway();
    plugin.environment = vec![("REGION".to_owned(), Some("eu".to_owned()))];
    refused(&plugin, Target::EnvoyExtensionPolicy);
    let mut plugin = gateway();
    plugin.phase = Some(Phase::Authn);
    refused(&plugin, Target::EnvoyExtensionPolicy);
    let mut plugin = istio();
    plugin.gateway = Some("shop".to_owned());
    refused(&plugin, Target::WasmPlugin);
    refused(&full(), Target::Envoy);
}

#[test]
fn a_root_id_must_be_one_of_the_module() {
    let two = described(
        false,
        &[("one", "http", json!(true)), ("two", "http", json!(true))],
    );
    let mut plugin = istio();
    let error = plugin
        .manifest(&published(&two), Target::WasmPlugin)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "no root id is named; the module has `one`, `two`");
    plugin.root_id = Some("three".to_owned());
    let error = plugin
        .manifest(&published(&two), Target::WasmPlugin)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "there is no root id `three`; the module has `one`, `two`"
    );
    plugin.root_id = Some("two".to_owned());
    assert_eq!(
        manifest(&plugin, &two, Target::WasmPlugin)["spec"]["pluginName"],
        "two"
    );
}

#[test]
fn a_module_of_another_sdk_is_loaded_as_it_is() {
    let plugin = manifest(&istio(), &foreign(), Target::WasmPlugin);
    assert_eq!(plugin["spec"].get("pluginName"), None);
    assert_eq!(plugin["spec"]["type"], "HTTP");
}

#[test]
fn names_that_kubernetes_refuses_are_refused() {
    for name in ["", "Guard", "guard_1", "-guard", "guard.", &"g".repeat(254)] {
        let plugin = Plugin::new(name, IMAGE);
        let error = plugin
            .manifest(&published(&guard()), Target::WasmPlugin)
            .unwrap_err();
        assert!(matches!(error, ManifestError::Name { .. }), "{error}");
    }
    for image in ["", "guard", "oci://registry/guard:1", "registry/gu ard"] {
        let error = Plugin::new("guard", image)
            .manifest(&published(&guard()), Target::WasmPlugin)
            .unwrap_err();
        assert!(matches!(error, ManifestError::Image { .. }), "{error}");
    }
}
