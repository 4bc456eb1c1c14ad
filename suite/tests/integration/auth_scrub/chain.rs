//! An Envoy with auth-scrub in its chain.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use attache_envoy::upstream::Upstream;
use attache_envoy::{Envoy, StartOptions, http1};
use serde_json::{Value, json};

use crate::both::{envoy, folder, module};

pub(super) struct Chain {
    pub(super) envoy: Envoy,
    pub(super) upstream: Upstream,
    pub(super) address: SocketAddr,
    pub(super) log: PathBuf,
}

/// The filter with the default rules.
pub(super) fn scrub() -> Value {
    configured(&json!({"access_log": {"fields": ["path", "changes"]}}))
}

pub(super) fn configured(configuration: &Value) -> Value {
    wasm("auth-scrub", configuration, &json!({}))
}

/// The filter transform, which may hold headers.
pub(super) fn transform(configuration: &Value) -> Value {
    let holds = json!({"allow_on_headers_stop_iteration": true});
    wasm("transform", configuration, &holds)
}

fn wasm(name: &'static str, configuration: &Value, options: &Value) -> Value {
    let mut config = json!({
        "name": name,
        "root_id": name,
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": configuration.to_string(),
        },
        "vm_config": {
            "vm_id": name,
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": module(name)}},
        },
    });
    for (option, value) in options.as_object().unwrap() {
        config[option] = value.clone();
    }
    json!({
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": config,
        },
    })
}

/// Envoy's own check of `Authorization: Basic dXNlcjp0ZXN0` (`user:test`).
pub(super) fn basic_auth() -> Value {
    json!({
        "name": "envoy.filters.http.basic_auth",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.basic_auth.v3.BasicAuth",
            "users": {"inline_string": "user:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M="},
        },
    })
}

pub(super) fn chain(name: &str, filters: &[Value]) -> Chain {
    in_front_of(Upstream::echo().unwrap(), name, filters)
}

pub(super) fn in_front_of(upstream: Upstream, name: &str, filters: &[Value]) -> Chain {
    let folder = folder(name);
    let log = folder.join("access.log");
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    });
    let filters: Vec<String> = filters
        .iter()
        .chain([&router])
        .map(Value::to_string)
        .collect();
    let config = include_str!("envoy.yaml")
        .replace("ACCESS_LOG", log.to_str().unwrap())
        .replace("FILTERS", &filters.join(", "))
        .replace("UPSTREAM", &upstream.address().port().to_string());
    let path = folder.join("envoy.yaml");
    std::fs::write(&path, config).unwrap();
    let envoy = Envoy::start(envoy(), &path, &folder, StartOptions::default())
        .unwrap_or_else(|error| panic!("{error}"));
    let address = envoy.listener_address("http").unwrap();
    Chain {
        envoy,
        upstream,
        address,
        log,
    }
}

impl Chain {
    pub(super) fn status(&self, request: &[u8]) -> u16 {
        http1::exchange(self.address, request, Duration::from_secs(10))
            .unwrap()
            .status
    }

    /// The targets of what came to the upstream since this was asked last.
    pub(super) fn targets(&self) -> Vec<Vec<u8>> {
        let requests = self.upstream.take().into_iter();
        requests.map(|request| request.target).collect()
    }
}
