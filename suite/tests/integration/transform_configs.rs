//! The bootstrap and the manifests of `transform` in `envoy-configs/`.

use std::time::Duration;

use attache_envoy::upstream::Upstream;
use attache_envoy::{Envoy, StartOptions, http1};
use attache_suite::{Case, Ended, Filter, Reply, Request, Seen};
use serde_json::{Value, json};

use crate::both::{Play, check_both, check_harness, envoy, folder, module, repository_file};
use crate::crds::Crd;
use crate::envoy_configs::bootstrap;

#[test]
#[ignore = "needs Envoy"]
fn the_bootstrap_of_transform_moves_a_field_to_a_header() {
    let upstream = Upstream::echo().unwrap();
    let folder = folder("envoy-configs-transform");
    let path = folder.join("envoy.yaml");
    std::fs::write(&path, bootstrap("transform", upstream.address().port())).unwrap();

    let envoy = Envoy::start(envoy(), &path, &folder, StartOptions::default())
        .unwrap_or_else(|error| panic!("{error}"));
    let request = b"POST /v1/chat?a HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
        content-length: 31\r\n\r\n{\"model\": \"m-1\", \"debug\": true}";
    let address = envoy.listener_address("http").unwrap();
    let response = http1::exchange(address, request, Duration::from_secs(10)).unwrap();
    assert_eq!(response.status, 200);
    let received = &upstream.take()[0];
    assert_eq!(received.target, b"/chat?a");
    assert_eq!(received.header("x-model").collect::<Vec<_>>(), [b"m-1"]);
    assert_eq!(received.body, b"{\"model\": \"m-1\"}");
    envoy.stop().unwrap();
}

fn manifest(path: &str) -> Value {
    serde_saphyr::from_str(&repository_file(path)).unwrap()
}

/// What Istio and Envoy Gateway can load: no option that lets headers wait.
fn without_held_headers(root_id: &str, configuration: &Value) -> Play {
    let filter = Filter::new(root_id, module("transform")).configured(configuration.to_string());
    let request = Request::post("/v1/a?tenant=acme")
        .header("content-type", "application/json")
        .chunk(r#"{"user": {"role": "#)
        .chunk(r#""admin"}}"#);
    let answer = Reply::new(503)
        .header("content-type", "application/json")
        .body(r#"{"error": {"code": 1, "trace": "s"}}"#);
    fn check(seen: &Seen) {
        let stream = &seen.streams[0];
        let upstream = stream.upstream.as_ref().unwrap();
        assert_eq!(upstream.values("x-tenant").collect::<Vec<_>>(), [b"acme"]);
        assert_eq!(upstream.body, br#"{"user": {"role": "guest"}}"#);
        let Ended::Answered(response) = &stream.downstream else {
            panic!("{:?}", stream.downstream);
        };
        assert_eq!(response.body, br#"{"error": {"code": 1}}"#);
    }
    (Case::new(filter).request(request).answer(answer), check)
}

fn plays() -> [Play; 2] {
    let istio = &manifest("envoy-configs/istio/transform.yaml")["spec"];
    let gateway = &manifest("envoy-configs/envoy-gateway/transform.yaml")["spec"]["wasm"][0];
    [
        without_held_headers(
            istio["pluginName"].as_str().unwrap(),
            &istio["pluginConfig"],
        ),
        without_held_headers(gateway["rootID"].as_str().unwrap(), &gateway["config"]),
    ]
}

#[test]
fn the_manifests_change_bodies_without_held_headers() {
    plays().into_iter().for_each(check_harness);
}

#[test]
#[ignore = "needs Envoy"]
fn the_manifests_change_bodies_without_held_headers_on_envoy() {
    for (index, play) in plays().into_iter().enumerate() {
        check_both(&format!("transform-manifest-{index}"), play);
    }
}

#[test]
#[ignore = "needs ATTACHE_TEST_DATA, with the real CRDs"]
fn the_manifests_satisfy_the_real_crds() {
    for (crd, path, wrong) in [
        (
            "wasmplugin",
            "envoy-configs/istio/transform.yaml",
            "/spec/phase",
        ),
        (
            "envoyextensionpolicy",
            "envoy-configs/envoy-gateway/transform.yaml",
            "/spec/wasm/0/code/type",
        ),
    ] {
        let crd = Crd::read(crd);
        let manifest = manifest(path);
        crd.check(&manifest);
        crd.check_refused(&manifest, wrong, json!("WRONG"));
    }
}
