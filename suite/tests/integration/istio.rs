//! The manifests of `envoy-configs/istio/`.

use attache_suite::{Case, Filter, Request, on_harness};
use serde_json::{Value, json};

use crate::both::{module, repository_file};
use crate::crds::Crd;

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

/// The plugin and the workload of the example with an image volume.
fn image_volume() -> (Value, Value) {
    let text = repository_file("envoy-configs/istio/image-volume.yaml");
    let (plugin, workload) = text.split_once("\n---\n").unwrap();
    let read = |text| serde_saphyr::from_str(text).unwrap();
    (read(plugin), read(workload))
}

#[test]
fn the_file_of_an_image_volume_is_where_the_proxy_has_it_mounted() {
    let (plugin, workload) = image_volume();
    let annotations = &workload["spec"]["template"]["metadata"]["annotations"];
    let list = |name: &str| -> Value {
        let text = annotations[format!("sidecar.istio.io/{name}")].as_str();
        serde_json::from_str(text.unwrap()).unwrap()
    };
    let (volume, mount) = (list("userVolume"), list("userVolumeMount"));
    assert_eq!(volume[0]["name"], mount[0]["name"]);
    assert!(volume[0]["image"]["reference"].is_string());
    let url = plugin["spec"]["url"].as_str().unwrap();
    let folder = mount[0]["mountPath"].as_str().unwrap();
    // The file's name is that of every image of a module.
    assert_eq!(url, format!("file://{folder}/plugin.wasm"));
    let labels = &workload["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&plugin["spec"]["selector"]["matchLabels"], labels);
}

#[test]
#[ignore = "needs ATTACHE_TEST_DATA, with the real CRDs"]
fn the_wasm_plugin_of_an_image_volume_satisfies_the_real_crd() {
    let (plugin, _) = image_volume();
    let crd = Crd::read("wasmplugin");
    crd.check(&plugin);
    crd.check_refused(&plugin, "/spec/url", json!(""));
}

#[test]
#[ignore = "needs ATTACHE_TEST_DATA, with the real CRDs"]
fn the_wasm_plugin_satisfies_the_real_crd() {
    let crd = Crd::read("wasmplugin");
    let manifest = manifest();
    crd.check(&manifest);

    // The schema does refuse what is wrong.
    for (pointer, wrong) in [
        ("/spec/phase", json!("AUTHNZ")),
        ("/spec/url", json!("")),
        ("/spec/failStrategy", json!("FAIL")),
        ("/spec/match/0/mode", json!("INBOUND")),
    ] {
        crd.check_refused(&manifest, pointer, wrong);
    }
    let mut unknown = manifest;
    unknown["spec"]["pluginConf"] = json!({});
    assert_ne!(crd.faults(&unknown), [""; 0]);
}
