use attache_harness::{Host, HostError, Request, plugin};

/// What the filter logs about a configuration that it refuses.
fn refusal(configuration: &str) -> String {
    let started = Host::with(plugin!("metrics").config(configuration));
    let error = started
        .map(|_| ())
        .err()
        .unwrap_or_else(|| panic!("accepted: {configuration}"));
    let HostError::Start { source, .. } = error else {
        panic!("refused otherwise: {error}");
    };
    source.to_string()
}

#[test]
fn an_empty_configuration_counts_by_istios_labels() -> Result<(), HostError> {
    for configuration in ["", "{}", r#"{"path_templates": null, "metrics": []}"#] {
        let mut host = Host::with(plugin!("metrics").config(configuration))?;
        host.send(Request::get("/"))?;
        let names: Vec<String> = host
            .counters()
            .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
            .collect();
        assert!(
            names.iter().any(|name| {
                name.starts_with("istio_requests_total;") && name.contains(";response_code=200;")
            }),
            "{names:?}"
        );
    }
    Ok(())
}

#[test]
fn each_fault_is_named_with_its_place() {
    for (configuration, place, reason) in [
        ("{", "", "not JSON"),
        ("[]", "", "expected struct Config, found an array"),
        (
            r#"{"metric": []}"#,
            "/metric",
            "unknown field, expected one of `stat_prefix`",
        ),
        (
            r#"{"stat_prefix": "a-b"}"#,
            "/stat_prefix",
            "expected letters",
        ),
        (r#"{"stat_prefix": ""}"#, "/stat_prefix", "expected letters"),
        (r#"{"stat_prefix": "1a"}"#, "/stat_prefix", "no digit first"),
        (
            r#"{"reporter": "server"}"#,
            "/reporter",
            "expected one of `auto`, `source`, `destination`",
        ),
        (
            r#"{"failure_mode": "open"}"#,
            "/failure_mode",
            "expected one of `deny`, `allow`",
        ),
        (r#"{"metrics": [{}]}"#, "/metrics/0", "changes nothing"),
        (
            r#"{"metrics": [{"name": "requests", "drop": true}]}"#,
            "/metrics/0/name",
            "no such metric",
        ),
        (
            r#"{"metrics": [{"name": "request_messages_total", "drop": true}]}"#,
            "/metrics/0/name",
            "counted with `grpc.message_counts`",
        ),
        (
            r#"{"metrics": [{"name": "request_bytes", "drop": true}, {"name": "request_bytes", "drop": true}]}"#,
            "/metrics/1/name",
            "dropped already",
        ),
        (
            r#"{"metrics": [{"drop": true}]}"#,
            "/metrics",
            "every metric is dropped",
        ),
        (
            r#"{"metrics": [{"drop": true, "tags_to_remove": ["reporter"]}]}"#,
            "/metrics/0/drop",
            "no labels to change",
        ),
        (
            r#"{"metrics": [{"tags_to_remove": ["reporter", "zone"]}]}"#,
            "/metrics/0/tags_to_remove/1",
            "no such label",
        ),
        (
            r#"{"metrics": [{"dimensions": {"response_code": "request.method"}}]}"#,
            "/metrics/0/dimensions/response_code",
            "`overrides` changes its value",
        ),
        (
            r#"{"metrics": [{"dimensions": {"a": "'1'"}}, {"name": "requests_total", "dimensions": {"a": "'2'"}}]}"#,
            "/metrics/1/dimensions/a",
            "`overrides` changes its value",
        ),
        (
            r#"{"metrics": [{"overrides": {"method": "request.method"}}]}"#,
            "/metrics/0/overrides/method",
            "no such label",
        ),
        (
            r#"{"metrics": [{"dimensions": {"a-b": "request.method"}}]}"#,
            "/metrics/0/dimensions/a-b",
            "expected letters",
        ),
        (
            r#"{"metrics": [{"dimensions": {"__a": "request.method"}}]}"#,
            "/metrics/0/dimensions/__a",
            "neither a digit nor `__`",
        ),
        (
            r#"{"metrics": [{"dimensions": {"1a": "request.method"}}]}"#,
            "/metrics/0/dimensions/1a",
            "neither a digit nor `__`",
        ),
        (
            r#"{"metrics": [{"dimensions": {"le": "request.method"}}]}"#,
            "/metrics/0/dimensions/le",
            "Prometheus keeps this name",
        ),
        (
            r#"{"metrics": [{"dimensions": {"a": "request.mehtod"}}]}"#,
            "/metrics/0/dimensions/a",
            "no such property",
        ),
        (
            r#"{"metrics": [{"dimensions": {"a": "request.mehtod + 'x'"}}]}"#,
            "/metrics/0/dimensions/a",
            "no such property",
        ),
        (
            r#"{"metrics": [{"dimensions": {"a": "request.method | 'x'"}}]}"#,
            "/metrics/0/dimensions/a",
            "expected an expression in CEL that Envoy can read",
        ),
        (
            r#"{"definitions": [{"name": "x", "type": "COUNTER", "value": "request.size +"}]}"#,
            "/definitions/0/value",
            "expected an expression in CEL that Envoy can read",
        ),
        (
            r#"{"metrics": [{"overrides": {"reporter": "'x"}}]}"#,
            "/metrics/0/overrides/reporter",
            "text in quotes",
        ),
        (
            r#"{"metrics": [{"dimensions": {"a": "request.method", "a": "'x'"}}]}"#,
            "/metrics/0/dimensions/a",
            "given twice",
        ),
        (
            r#"{"metrics": [{"dimensions": {"a": "path_template"}}]}"#,
            "/path_templates",
            "missing",
        ),
        (
            r#"{"definitions": [{"name": "x", "type": "SUMMARY", "value": "1"}]}"#,
            "/definitions/0/type",
            "expected one of `COUNTER`, `GAUGE`, `HISTOGRAM`",
        ),
        (
            r#"{"definitions": [{"name": "x", "type": "HISTOGRAM", "value": "request.path"}]}"#,
            "/definitions/0/value",
            "a number or a time",
        ),
        (
            r#"{"definitions": [{"name": "x", "type": "COUNTER", "value": "'one'"}]}"#,
            "/definitions/0/value",
            "a number or a time",
        ),
        (
            r#"{"definitions": [{"name": "x", "type": "COUNTER", "value": "request.time"}]}"#,
            "/definitions/0/value",
            "no such property",
        ),
        (
            r#"{"definitions": [{"name": "requests_total", "type": "COUNTER", "value": "1"}]}"#,
            "/definitions/0/name",
            "a standard metric",
        ),
        (
            r#"{"definitions": [{"name": "metrics_overflow_total", "type": "COUNTER", "value": "1"}]}"#,
            "/definitions/0/name",
            "a standard metric",
        ),
        (
            r#"{"definitions": [{"name": "a b", "type": "COUNTER", "value": "1"}]}"#,
            "/definitions/0/name",
            "expected letters",
        ),
        (
            r#"{"definitions": [{"name": "x", "type": "COUNTER", "value": "1"}, {"name": "x", "type": "GAUGE", "value": "1"}]}"#,
            "/definitions/1/name",
            "defined twice",
        ),
        (
            r#"{"definitions": [{"name": "x", "type": "COUNTER"}]}"#,
            "/definitions/0/value",
            "missing",
        ),
        (
            r#"{"path_templates": {"templates": ["/a"]}}"#,
            "/path_templates",
            "this does nothing",
        ),
        (
            r#"{"metrics": [{"dimensions": {"a": "path_template"}}], "path_templates": {"templates": []}}"#,
            "/path_templates/templates",
            "names no path",
        ),
        (
            r#"{"metrics": [{"dimensions": {"a": "path_template"}}], "path_templates": {"templates": ["/a", "/a"]}}"#,
            "/path_templates/templates/1",
            "never reached",
        ),
        (
            r#"{"metrics": [{"dimensions": {"a": "path_template"}}], "path_templates": {"templates": ["/{all...}", "/a"]}}"#,
            "/path_templates/templates/1",
            "the template at 0 takes all its paths",
        ),
        (
            r#"{"metrics": [{"dimensions": {"a": "path_template"}}], "path_templates": {"templates": ["a"]}}"#,
            "/path_templates/templates/0",
            "begins with `/`",
        ),
        (
            r#"{"metrics": [{"dimensions": {"a": "path_template"}}], "path_templates": {"templates": ["/a"], "on_miss": {"action": "drop", "value": "x"}}}"#,
            "/path_templates/on_miss/value",
            "nothing is emitted",
        ),
        (
            r#"{"metrics": [{"dimensions": {"a": "path_template"}}], "path_templates": {"templates": ["/a"], "on_miss": {"value": ""}}}"#,
            "/path_templates/on_miss/value",
            "expected a text",
        ),
        (
            r#"{"cardinality": {"max_series": 0}}"#,
            "/cardinality/max_series",
            "expected 1 to 100000",
        ),
        (
            r#"{"cardinality": {"max_series": 100001}}"#,
            "/cardinality/max_series",
            "expected 1 to",
        ),
        (
            r#"{"cardinality": {"max_label_length": 7}}"#,
            "/cardinality/max_label_length",
            "8 to 1000",
        ),
        (
            r#"{"cardinality": {"on_overflow": "panic"}}"#,
            "/cardinality/on_overflow",
            "expected one of `overflow_series`, `drop`",
        ),
        (r#"{"host_header": {}}"#, "/host_header/allow", "missing"),
        (
            r#"{"host_header": {"allow": []}}"#,
            "/host_header/allow",
            "allows no host",
        ),
        (
            r#"{"host_header": {"allow": ["a", "b:80"]}}"#,
            "/host_header/allow/1",
            "without port",
        ),
        (
            r#"{"grpc": {"status": "on"}}"#,
            "/grpc/status",
            "expected a boolean",
        ),
    ] {
        let refusal = refusal(configuration);
        let place = format!("filter=metrics configuration refused: path={place:?} reason=");
        assert!(refusal.contains(&place), "{configuration}: {refusal}");
        assert!(refusal.contains(reason), "{configuration}: {refusal}");
    }
}

#[test]
fn a_value_is_never_logged() {
    for configuration in [
        r#"{"reporter": "hunter2"}"#,
        r#"{"stat_prefix": "hunter2 "}"#,
        r#"{"metrics": [{"dimensions": {"a": "hunter2"}}]}"#,
        r#"{"metrics": [{"dimensions": {"a": "request.path == 'hunter2' |"}}]}"#,
        r#"{"metrics": [{"tags_to_remove": ["hunter2"]}]}"#,
        r#"{"host_header": {"allow": ["hunter2 "]}}"#,
        "hunter2",
    ] {
        assert!(
            !refusal(configuration).contains("hunter2"),
            "{configuration}"
        );
    }
}
