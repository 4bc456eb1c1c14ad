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
    let item = |item: &str| format!(r#"{{"rules": [{{"request": {{"headers": [{item}]}}}}]}}"#);
    for (configuration, place, reason) in [
        (
            "{",
            "",
            "not JSON: the text ends too early at line 1 column 2",
        ),
        ("[]", "", "expected an object, found an array"),
        (
            r#"{"rule": []}"#,
            "/rule",
            "unknown field, expected one of `mode`, `failure_mode`, `hash`, `rules`",
        ),
        (
            r#"{"mode": "shadow"}"#,
            "/mode",
            "expected one of `enforce`, `report_only`",
        ),
        (
            r#"{"rules": {}}"#,
            "/rules",
            "expected an array, found an object",
        ),
        (
            r#"{"rules": []}"#,
            "/rules",
            "an empty list removes nothing",
        ),
        (r#"{"rules": [{}]}"#, "/rules/0", "the rule removes nothing"),
        (
            r#"{"rules": [{"request": {}}]}"#,
            "/rules/0/request",
            "the rule removes nothing",
        ),
        (
            r#"{"rules": [{"response": {}}]}"#,
            "/rules/0/response",
            "names neither",
        ),
        (
            r#"{"name_matching": {"query_ignores_case": "yes"}}"#,
            "/name_matching/query_ignores_case",
            "expected a boolean, found a string",
        ),
        (r#"{"rules": null, "rules": null}"#, "/rules", "given twice"),
        (r#"{"hash": {}}"#, "/hash/key", "missing"),
        (
            r#"{"hash": {"key": {}}}"#,
            "/hash/key",
            "expected one of `inline`, `env`",
        ),
        (
            r#"{"hash": {"key": {"inline": "hunter2"}}}"#,
            "/hash/key",
            "expected at least 16 bytes",
        ),
        (
            r#"{"hash": {"key": {"env": "ABSENT"}}}"#,
            "/hash/key/env",
            "no such variable",
        ),
        (
            r#"{"hash": {"key": {"inline": "0123456789abcdef"}, "length": 7}}"#,
            "/hash/length",
            "expected 8 to 64",
        ),
        (
            r#"{"hash": {"key": {"inline": "0123456789abcdef"}, "length": 65}}"#,
            "/hash/length",
            "expected 8 to 64",
        ),
        (
            r#"{"hash": {"key": {"inline": "0123456789abcdef"}, "prefix": "a b"}}"#,
            "/hash/prefix",
            "expected visible letters",
        ),
        (
            r#"{"hash": {"key": {"inline": "0123456789abcdef"}, "algorithm": "sha256"}}"#,
            "/hash/algorithm",
            "expected `hmac-sha256`",
        ),
        (
            r#"{"rules": [{"match": {"path": [{"safe_regex": "("}]}, "request": {"defaults": true}}]}"#,
            "/rules/0/match/path/0",
            "the expression ends too early",
        ),
        (
            r#"{"rules": [{"match": {"path": [{"safe_regex": "(a{100}){100}"}]}, "request": {"defaults": true}}]}"#,
            "/rules/0/match/path/0",
            "the expression is too large",
        ),
        (
            r#"{"rules": [{"match": {"path": [{"prefix": ""}]}, "request": {"defaults": true}}]}"#,
            "/rules/0/match/path/0",
            "an empty pattern matches everything",
        ),
        (
            r#"{"rules": [{"match": {"path": [{"prefix": "a", "exact": "b"}]}, "request": {"defaults": true}}]}"#,
            "/rules/0/match/path/0",
            "expected one of `exact`",
        ),
        (
            r#"{"rules": [{"match": {"methods": ["get"]}, "request": {"defaults": true}}]}"#,
            "/rules/0/match/methods/0",
            "expected a method, such as `GET`",
        ),
        (
            r#"{"rules": [{"request": {"client_ip": {"action": "truncate", "ipv4_prefix_length": 33}}}]}"#,
            "/rules/0/request/client_ip/ipv4_prefix_length",
            "expected at most the bits of an address",
        ),
        (
            r#"{"rules": [{"request": {"client_ip": {"action": "truncate", "ipv6_prefix_length": 129}}}]}"#,
            "/rules/0/request/client_ip/ipv6_prefix_length",
            "expected at most the bits of an address",
        ),
        (
            r#"{"rules": [{"request": {"headers": [{"name": "x-user", "action": "remove"}],
                "jwt": {"action": "keep", "claims_to_headers": {"sub": "X-User"}}}}]}"#,
            "/rules/0/request/jwt/claims_to_headers/sub",
            "the rule takes this header away",
        ),
        (
            r#"{"rules": [{"request": {"jwt": {"action": "keep", "claims_to_headers": {"sub": "host"}}}}]}"#,
            "/rules/0/request/jwt/claims_to_headers/sub",
            "cannot be removed",
        ),
        (
            r#"{"rules": [{"request": {"cookies": [{"name": "a=b", "action": "remove"}]}}]}"#,
            "/rules/0/request/cookies/0/name",
            "expected the name of a cookie",
        ),
        (
            r#"{"rules": [{"request": {"query_parameters": [{"name": "", "action": "remove"}]}}]}"#,
            "/rules/0/request/query_parameters/0/name",
            "found an empty string",
        ),
        (
            r#"{"rules": [{"request": {"cookies": [{"name": "a", "action": "mask", "keep_scheme": true}]}}]}"#,
            "/rules/0/request/cookies/0/keep_scheme",
            "this is for headers",
        ),
        (
            r#"{"rules": [{"response": {"location_query": true}}]}"#,
            "/rules/0/response/location_query",
            "names no `query_parameters`",
        ),
        (
            r#"{"rules": [{"request": {"defaults": true}, "allow": [{"headers": ["a"]}]}]}"#,
            "/rules/0/allow/0",
            "names no destination",
        ),
        (
            r#"{"rules": [{"request": {"defaults": true}, "allow": [{"path": ["/a"]}]}]}"#,
            "/rules/0/allow/0",
            "allows nothing",
        ),
        (
            r#"{"access_log": {"fields": []}}"#,
            "/access_log/fields",
            "names no field",
        ),
        (
            r#"{"access_log": {"fields": ["body"]}}"#,
            "/access_log/fields/0",
            "expected `path`",
        ),
        (
            r#"{"access_log": {"fields": ["authorization_hash"]}}"#,
            "/access_log/fields/0",
            "hashing needs a key",
        ),
        (
            &item(r#"{"name": "x-a", "action": "hide"}"#),
            "/rules/0/request/headers/0/action",
            "expected one of `remove`, `replace`",
        ),
        (
            &item(r#"{"action": "remove"}"#),
            "/rules/0/request/headers/0/name",
            "missing",
        ),
        (
            &item(r#"{"name": "x a", "action": "remove"}"#),
            "/rules/0/request/headers/0/name",
            "expected a header name",
        ),
        (
            &item(r#"{"name": {"prefix": ""}, "action": "remove"}"#),
            "/rules/0/request/headers/0/name",
            "expected a header name",
        ),
        (
            &item(r#"{"name": ":path", "action": "remove"}"#),
            "/rules/0/request/headers/0/name",
            "found a pseudo header",
        ),
        (
            &item(r#"{"name": "Host", "action": "remove"}"#),
            "/rules/0/request/headers/0/name",
            "cannot be removed",
        ),
        (
            &item(r#"{"name": "Content-Length", "action": "mask"}"#),
            "/rules/0/request/headers/0/name",
            "cannot be removed",
        ),
        (
            &item(r#"{"name": "Transfer-Encoding", "action": "remove"}"#),
            "/rules/0/request/headers/0/name",
            "cannot be removed",
        ),
        (
            &item(r#"{"name": ":authority", "action": "remove"}"#),
            "/rules/0/request/headers/0/name",
            "found a pseudo header",
        ),
        (
            &item(r#"{"name": "a", "action": "remove"}, {"name": "A", "action": "mask"}"#),
            "/rules/0/request/headers/1/name",
            "the name is there twice",
        ),
        (
            &item(r#"{"name": "x-a", "action": "hash"}"#),
            "/rules/0/request/headers/0/action",
            "hashing needs a key, in `/hash`",
        ),
        (
            &item(r#"{"name": "x-a", "action": "replace"}"#),
            "/rules/0/request/headers/0/value",
            "missing",
        ),
        (
            &item(r#"{"name": "x-a", "action": "replace", "value": "a\r\nb: c"}"#),
            "/rules/0/request/headers/0/value",
            "bytes that cannot stand there",
        ),
        (
            &item(r#"{"name": "x-a", "action": "mask", "keep_first": 1, "keep_last": 1}"#),
            "/rules/0/request/headers/0/char",
            "missing",
        ),
        (
            &item(r#"{"name": "x-a", "action": "mask", "char": "**"}"#),
            "/rules/0/request/headers/0/char",
            "expected one visible letter",
        ),
        (
            &item(r#"{"name": "x-a", "action": "truncate"}"#),
            "/rules/0/request/headers/0/length",
            "missing",
        ),
        (
            &item(r#"{"name": "x-a", "action": "remove", "length": 1}"#),
            "/rules/0/request/headers/0/length",
            "the action does not use it",
        ),
        (
            &item(r#"{"name": "x-a-bin", "action": "mask"}"#),
            "/rules/0/request/headers/0/action",
            "binary metadata",
        ),
        (
            &item(r#"{"name": "x-a", "action": "remove", "schemes": ["a b"]}"#),
            "/rules/0/request/headers/0/schemes/0",
            "expected the name of a scheme",
        ),
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
        r#"{"hash": {"key": {"inline": "hunter2"}}}"#,
        r#"{"hash": {"key": "hunter2"}}"#,
        r#"{"hash": {"key": {"inline": ["hunter2"]}}}"#,
        r#"{"rules": [{"match": {"path": [{"safe_regex": "hunter2("}]}, "request": {"defaults": true}}]}"#,
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
