//! The policies of `envoy-configs/envoy-gateway/`.

use attache_suite::{Case, Filter, Request, on_harness};
use serde_json::{Value, json};

use crate::both::{module, repository_file};
use crate::crds::Crd;

fn policy() -> Value {
    let file = repository_file("envoy-configs/envoy-gateway/auth-scrub.yaml");
    serde_saphyr::from_str(&file).unwrap()
}

#[test]
fn the_configuration_of_the_extension_policy_scrubs() {
    let plugin = &policy()["spec"]["wasm"][0];
    // Envoy Gateway hands `config` over as JSON text.
    let filter = Filter::new(plugin["rootID"].as_str().unwrap(), module("auth-scrub"))
        .configured(plugin["config"].to_string());
    let request = Request::get("/?access_token=s")
        .header("x-api-key", "s")
        .header("cookie", "a=1; session=s");
    let seen = on_harness(&Case::new(filter).request(request)).unwrap();
    let upstream = seen.streams[0].upstream.as_ref().unwrap();
    assert_eq!(upstream.start, "GET /");
    assert_eq!(upstream.values("x-api-key").count(), 0);
    assert_eq!(upstream.values("cookie").collect::<Vec<_>>(), [b"a=1"]);
}

#[test]
#[ignore = "needs ATTACHE_TEST_DATA, with the real CRDs"]
fn the_extension_policy_satisfies_the_real_crd() {
    let crd = Crd::read("envoyextensionpolicy");
    let policy = policy();
    crd.check(&policy);

    // The schema does refuse what is wrong.
    for (pointer, wrong) in [
        ("/spec/wasm/0/code/type", json!("Git")),
        ("/spec/wasm/0/failOpen", json!("no")),
        ("/spec/wasm/0/code/image/url", json!(7)),
    ] {
        crd.check_refused(&policy, pointer, wrong);
    }
    let mut unknown = policy;
    unknown["spec"]["wasm"][0]["rootId"] = json!("auth-scrub");
    assert_ne!(crd.faults(&unknown), [""; 0]);
}
