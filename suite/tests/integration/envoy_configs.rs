//! The bootstraps of `envoy-configs/`, started as they are but for ports and paths.

use std::time::Duration;

use attache_envoy::upstream::Upstream;
use attache_envoy::{Envoy, StartOptions, http1};

use crate::both::{envoy, folder, module, repository_file};

/// The bootstrap of a filter, but for ports and paths.
pub(crate) fn bootstrap(filter: &'static str, port: u16) -> String {
    let mut config = repository_file(&format!("envoy-configs/{filter}.yaml"));
    let module = module(filter);
    let built = format!("filename: target/attache/{filter}.wasm");
    for (from, to) in [
        ("port_value: 9901", "port_value: 0".to_owned()),
        ("port_value: 8080", "port_value: 0".to_owned()),
        ("port_value: 8081", format!("port_value: {port}")),
        (&built, format!("filename: {:?}", module.to_str().unwrap())),
    ] {
        assert_eq!(config.matches(from).count(), 1, "{from}");
        config = config.replace(from, &to);
    }
    config
}

#[test]
#[ignore = "needs Envoy"]
fn the_bootstrap_of_auth_scrub_hides_credentials() {
    let upstream = Upstream::echo().unwrap();
    let folder = folder("envoy-configs-auth-scrub");
    let path = folder.join("envoy.yaml");
    std::fs::write(&path, bootstrap("auth-scrub", upstream.address().port())).unwrap();

    let envoy = Envoy::start(envoy(), &path, &folder, StartOptions::default())
        .unwrap_or_else(|error| panic!("{error}"));
    let request = b"GET /?access_token=s&page=2 HTTP/1.1\r\nhost: a\r\nX-API-Key: s\r\n\
        Authorization: Bearer s\r\ncookie: session=s; a=1\r\nx-kept: 1\r\n\r\n";
    let address = envoy.listener_address("http").unwrap();
    let response = http1::exchange(address, request, Duration::from_secs(10)).unwrap();
    assert_eq!(response.status, 200);
    let received = &upstream.take()[0];
    assert_eq!(received.target, b"/?page=2");
    assert_eq!(received.header("x-kept").count(), 1);
    assert_eq!(received.header("cookie").next(), Some(&b"a=1"[..]));
    for gone in ["authorization", "x-api-key"] {
        assert_eq!(received.header(gone).count(), 0, "{gone}");
    }
    envoy.stop().unwrap();
}
