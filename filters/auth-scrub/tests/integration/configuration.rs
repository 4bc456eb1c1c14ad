use attache_harness::{Host, HostError, Request, plugin};

/// What the filter logs about a configuration that it refuses.
fn refusal(configuration: &str) -> String {
    let started = Host::with(plugin!("auth-scrub").config(configuration));
    let error = started
        .map(|_| ())
        .expect_err("the configuration is refused");
    let HostError::Start { source, .. } = error else {
        panic!("refused otherwise: {error}");
    };
    source.to_string()
}

#[test]
fn an_empty_configuration_removes_the_default_credentials() -> Result<(), HostError> {
    for configuration in ["", "{}", r#"{"name_matching": {}}"#] {
        let mut host = Host::with(plugin!("auth-scrub").config(configuration))?;
        let exchange = host.send(Request::get("/?token=s").header("api-key", "s"))?;
        assert_eq!(exchange.upstream_request().path(), b"/");
        assert!(
            !exchange
                .upstream_request()
                .headers()
                .contains_key("api-key")
        );
    }
    Ok(())
}

#[test]
fn each_fault_is_named_with_its_place() {
    for (configuration, place, reason) in [
        (
            "{",
            "",
            "not JSON: EOF while parsing an object at line 1 column 1",
        ),
        ("[]", "", "expected struct Config, found an array"),
        (
            r#"{"rule": []}"#,
            "/rule",
            "unknown field, expected one of `rules`, `name_matching`",
        ),
        (
            r#"{"rules": {}}"#,
            "/rules",
            "expected a sequence, found an object",
        ),
        (
            r#"{"rules": []}"#,
            "/rules",
            "an empty list removes nothing",
        ),
        (r#"{"rules": [{}]}"#, "/rules/0/request", "missing"),
        (
            r#"{"rules": [{"request": {}}]}"#,
            "/rules/0/request",
            "the rule removes nothing",
        ),
        (
            r#"{"rules": [{"request": {"headers": [{"name": "x-a", "action": "hide"}]}}]}"#,
            "/rules/0/request/headers/0/action",
            "expected `remove`",
        ),
        (
            r#"{"rules": [{"request": {"headers": [{"name": "x a", "action": "remove"}]}}]}"#,
            "/rules/0/request/headers/0/name",
            "expected a header name",
        ),
        (
            r#"{"rules": [{"request": {"headers": [{"name": ":path", "action": "remove"}]}}]}"#,
            "/rules/0/request/headers/0/name",
            "found a pseudo header",
        ),
        (
            r#"{"rules": [{"request": {"headers": [{"name": "Host", "action": "remove"}]}}]}"#,
            "/rules/0/request/headers/0/name",
            "cannot be removed",
        ),
        (
            r#"{"rules": [{"request": {"query_parameters": [{"name": "", "action": "remove"}]}}]}"#,
            "/rules/0/request/query_parameters/0/name",
            "found an empty string",
        ),
        (
            r#"{"name_matching": {"query_ignores_case": "yes"}}"#,
            "/name_matching/query_ignores_case",
            "expected a boolean, found a string",
        ),
        (r#"{"rules": null, "rules": null}"#, "/rules", "given twice"),
    ] {
        let refusal = refusal(configuration);
        let place = format!("filter=auth-scrub configuration refused: path={place:?} reason=");
        assert!(refusal.contains(&place), "{configuration}: {refusal}");
        assert!(refusal.contains(reason), "{configuration}: {refusal}");
    }
}

#[test]
fn a_value_is_never_logged() {
    for configuration in [
        r#"{"rules": "hunter2"}"#,
        r#"{"rules": [{"request": {"headers": [{"name": "x", "action": "hunter2"}]}}]}"#,
        r#"{"rules": [{"request": {"headers": [{"name": "hunter2 ", "action": "remove"}]}}]}"#,
        "hunter2",
    ] {
        assert!(
            !refusal(configuration).contains("hunter2"),
            "{configuration}"
        );
    }
}

#[test]
fn an_unknown_root_id_lists_the_known_one() {
    let started = Host::with(plugin!("auth-scrub").root_id("scrub"));
    let error = started.map(|_| ()).expect_err("the root id is unknown");
    let cause = std::error::Error::source(&error)
        .expect("there is a cause")
        .to_string();
    assert!(
        cause.contains("no filter has the root id \"scrub\"; this module has `auth-scrub`"),
        "{cause}"
    );
}
