//! The manifests of `envoy-configs/istio/`.

use std::path::PathBuf;

use attache_suite::{Case, Filter, Request, on_harness};
use serde_json::{Value, json};

use crate::both::{module, repository_file};

fn manifest() -> Value {
    serde_saphyr::from_str(&repository_file("envoy-configs/istio/auth-scrub.yaml")).unwrap()
}

#[test]
fn the_plugin_configuration_of_the_wasm_plugin_scrubs() {
    let spec = &manifest()["spec"];
    // Istio hands `pluginConfig` over as JSON text, and `pluginName` as the root id.
    let filter = Filter::new(spec["pluginName"].as_str().unwrap(), module("auth-scrub"))
        .configured(spec["pluginConfig"].to_string());
    let request = Request::get("/?access_token=s").header("x-api-key", "s");
    let seen = on_harness(&Case::new(filter).request(request)).unwrap();
    let upstream = seen.streams[0].upstream.as_ref().unwrap();
    assert_eq!(upstream.start, "GET /");
    assert_eq!(upstream.values("x-api-key").count(), 0);
}

#[test]
#[ignore = "needs ATTACHE_TEST_DATA, with the real CRDs"]
fn the_wasm_plugin_satisfies_the_real_crd() {
    let data = std::env::var_os("ATTACHE_TEST_DATA").expect("ATTACHE_TEST_DATA names a folder");
    let crd = PathBuf::from(data).join("crds/wasmplugin.yaml");
    let crd: Value = serde_saphyr::from_str(&std::fs::read_to_string(crd).unwrap()).unwrap();
    let version = &crd["spec"]["versions"][0];
    let manifest = manifest();
    assert_eq!(
        manifest["apiVersion"],
        format!(
            "{}/{}",
            crd["spec"]["group"].as_str().unwrap(),
            version["name"].as_str().unwrap()
        )
        .as_str()
    );
    assert_eq!(manifest["kind"], crd["spec"]["names"]["kind"]);

    let mut schema = version["schema"]["openAPIV3Schema"].clone();
    close(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults = |document: &Value| -> Vec<String> {
        let faults = validator.iter_errors(document);
        faults
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect()
    };
    assert_eq!(faults(&manifest), [""; 0]);

    // The schema does refuse what is wrong.
    for (pointer, wrong) in [
        ("/spec/phase", json!("AUTHNZ")),
        ("/spec/url", json!("")),
        ("/spec/failStrategy", json!("FAIL")),
        ("/spec/match/0/mode", json!("INBOUND")),
    ] {
        let mut broken = manifest.clone();
        *broken.pointer_mut(pointer).unwrap() = wrong;
        assert_ne!(faults(&broken), [""; 0], "{pointer}");
    }
    let mut unknown = manifest;
    unknown["spec"]["pluginConf"] = json!({});
    assert_ne!(faults(&unknown), [""; 0]);
}

/// Makes unknown fields an error, as the API server does for a strict client, but where the schema
/// keeps them. The server looks at `metadata` itself.
pub(crate) fn close(schema: &mut Value) {
    let keeps = schema["x-kubernetes-preserve-unknown-fields"] == json!(true);
    if let Some(object) = schema.as_object_mut() {
        if object.contains_key("properties") && !keeps {
            object.insert("additionalProperties".to_owned(), json!(false));
        }
        if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
            if properties.contains_key("spec") {
                for name in ["apiVersion", "kind", "metadata"] {
                    properties.insert(name.to_owned(), json!({}));
                }
            }
            properties.values_mut().for_each(close);
        }
        for key in ["items", "additionalProperties"] {
            if let Some(inner) = object.get_mut(key) {
                close(inner);
            }
        }
    }
}
