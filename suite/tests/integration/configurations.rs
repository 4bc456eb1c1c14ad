//! Configurations of Envoy that the harness has no words for: what Envoy makes of them.

use std::process::{Command, ExitStatus};

use attache_envoy::{Bootstrap, Endpoint, FilterSource, Listener, Plugin};

use crate::both::{envoy, folder, module};

/// Lets Envoy read a bootstrap with the probe, whose text `change` changes, and start the plugin, as it
/// does in validation.
fn validate(name: &str, change: impl Fn(String) -> String) -> (ExitStatus, String) {
    let folder = folder(&format!("configurations/{name}"));
    let mut plugin = Plugin::new("probe", module("probe"));
    // Buffer 6 has the VM configuration.
    let script = r#"{"vm_start": [{"call": "get_buffer_bytes", "args": [6, 0, 99]}]}"#;
    plugin.configuration = Some(script.to_owned());
    let mut listener = Listener::new("configurations");
    listener.filters = vec![FilterSource::Static(plugin)];
    let nowhere = Endpoint::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let yaml = Bootstrap::new(nowhere, vec![listener]).to_yaml().unwrap();
    let path = folder.join("envoy.yaml");
    std::fs::write(&path, change(yaml)).unwrap();
    let output = Command::new(&envoy().path)
        .args(["--mode", "validate", "--concurrency", "1", "-c"])
        .arg(path)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&said).into_owned())
}

/// Puts a line of YAML before the only line with these words.
fn before(words: &str, line: &str) -> impl Fn(String) -> String {
    move |yaml| {
        let at = yaml.find(words).unwrap();
        let start = yaml[..at].rfind('\n').map_or(0, |end| end + 1);
        let indent = &yaml[start..at];
        let blank: String = indent.chars().map(|_| ' ').collect();
        format!("{}{blank}{line}\n{}", &yaml[..start], &yaml[start..])
    }
}

#[test]
#[ignore = "needs Envoy"]
fn a_variable_may_not_be_set_and_taken_from_the_host() {
    for (name, key) in [("variable", "PATH"), ("no-variable", "THE_HOST_HAS_NONE")] {
        let variables = format!(
            "environment_variables: {{ host_env_keys: [{key}], key_values: {{ {key}: x }} }}"
        );
        let (status, log) = validate(name, before("runtime: envoy.wasm", &variables));
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains(&format!("Key {key} is duplicated")), "{log}");
    }
}

/// Only `StringValue` and `BytesValue` are unwrapped; a `Struct` does not become JSON.
#[test]
#[ignore = "needs Envoy"]
fn a_configuration_of_another_type_is_its_serialized_message() {
    for (name, configuration, bytes) in [
        (
            "string",
            "type.googleapis.com/google.protobuf.StringValue, value: text",
            r#""text""#,
        ),
        (
            "bytes",
            "type.googleapis.com/google.protobuf.BytesValue, value: dGV4dA==",
            r#""text""#,
        ),
        (
            "struct",
            "type.googleapis.com/google.protobuf.Struct, value: { a: [x] }",
            r#""\n\x0c\n\x01a\x12\x072\x05\n\x03\x1a\x01x""#,
        ),
        (
            "integer",
            "type.googleapis.com/google.protobuf.Int32Value, value: 7",
            r#""\x08\x07""#,
        ),
        (
            "duration",
            "type.googleapis.com/google.protobuf.Duration, value: 3s",
            r#""\x08\x03""#,
        ),
        (
            "value",
            "type.googleapis.com/google.protobuf.Value, value: text",
            r#""\x1a\x04text""#,
        ),
        (
            "list",
            "type.googleapis.com/google.protobuf.ListValue, value: [x]",
            r#""\n\x03\x1a\x01x""#,
        ),
        ("empty", "type.googleapis.com/google.protobuf.Empty", "null"),
        (
            "router",
            "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router, suppress_envoy_headers: true",
            r#"" \x01""#,
        ),
    ] {
        let line = format!(r#"configuration: {{ "@type": {configuration} }}"#);
        let (status, log) = validate(
            &format!("type-{name}"),
            before("runtime: envoy.wasm", &line),
        );
        assert_eq!(status.code(), Some(0), "{name}: {log}");
        let shown = format!("get_buffer_bytes(6, 0, 99) = 0 {bytes}");
        assert!(log.contains(&shown), "{name}: not {shown} but {log}");
    }
}

/// A route may switch the filter off, and no more.
#[test]
#[ignore = "needs Envoy"]
fn a_route_has_no_configuration_of_its_own_for_the_filter() {
    let wasm = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
    let general = "type.googleapis.com/envoy.config.route.v3.FilterConfig";
    for (name, configuration, answer) in [
        (
            "plugin",
            format!(r#""@type": {wasm}, config: {{ name: other }}"#),
            "doesn't support virtual host or route specific configurations",
        ),
        (
            "wrapped",
            format!(
                r#""@type": {general}, config: {{ "@type": {wasm}, config: {{ name: other }} }}"#
            ),
            "doesn't support virtual host or route specific configurations",
        ),
        (
            "disabled",
            format!(r#""@type": {general}, disabled: true"#),
            " OK",
        ),
    ] {
        let line = format!("typed_per_filter_config: {{ probe: {{ {configuration} }} }}");
        let (status, log) = validate(&format!("route-{name}"), before("domains:", &line));
        assert!(log.contains(answer), "{name}: {status} {log}");
    }
}
