use attache_harness::{Host, HostError, plugin};

/// What the filter logs about a configuration that it refuses.
fn refusal(configuration: &str) -> String {
    let started = Host::with(plugin!("transform").config(configuration));
    let error = started
        .map(|_| ())
        .expect_err("the configuration is refused");
    let HostError::Start { source, .. } = error else {
        panic!("refused otherwise: {error}");
    };
    source.to_string()
}

fn refused(configuration: &str, place: &str, reason: &str) {
    let refusal = refusal(configuration);
    let place = format!("filter=transform configuration refused: path={place:?} reason=");
    assert!(refusal.contains(&place), "{configuration}: {refusal}");
    assert!(refusal.contains(reason), "{configuration}: {refusal}");
}

/// Of one step in a rule of requests, headers held.
fn refused_step(step: &str, place: &str, reason: &str) {
    let configuration = format!(
        r#"{{"request": {{"body": {{"hold_headers": true}}, "rules": [{{"steps": [{step}]}}]}}}}"#
    );
    refused(
        &configuration,
        &format!("/request/rules/0/steps/0{place}"),
        reason,
    );
}

#[test]
fn what_would_change_nothing_is_refused() {
    refused("", "", "nothing would change");
    refused("{}", "", "nothing would change");
    refused(r#"{"request": {"rules": []}}"#, "", "nothing would change");
    refused(
        r#"{"request": {"rules": [{"steps": []}]}}"#,
        "/request/rules/0/steps",
        "changes nothing",
    );
    refused(
        r#"{"request": {"rules": [{}]}}"#,
        "/request/rules/0/steps",
        "missing",
    );
}

#[test]
fn unknown_words_are_refused_with_their_place() {
    refused("[]", "", "found an array");
    refused(r#"{"requests": {}}"#, "/requests", "unknown field");
    refused(
        r#"{"mode": "dry"}"#,
        "/mode",
        "expected one of `enforce`, `report_only`",
    );
    refused(
        r#"{"failure_mode": "open"}"#,
        "/failure_mode",
        "expected one of",
    );
    refused(
        r#"{"request": {"rules": [{"match": {"hosts": []}, "steps": []}]}}"#,
        "/request/rules/0/match/hosts",
        "unknown field",
    );
    refused_step(
        r#"{"op": "delete", "header": "x"}"#,
        "/op",
        "expected one of `remove`",
    );
    refused_step(
        r#"{"op": "remove", "cookie": "x"}"#,
        "/cookie",
        "unknown field",
    );
    refused_step(r#"{"header": "x"}"#, "/op", "missing");
}

#[test]
fn a_step_has_one_target_and_what_belongs_to_it() {
    refused_step(
        r#"{"op": "remove"}"#,
        "",
        "expected one of `header`, `query` and `body`",
    );
    refused_step(
        r#"{"op": "remove", "header": "x", "query": "y"}"#,
        "",
        "one target",
    );
    refused_step(
        r#"{"op": "set", "header": "x", "path": "/", "value": 1}"#,
        "",
        "one target",
    );
    refused_step(
        r#"{"op": "remove", "header": "x", "value": 1}"#,
        "/value",
        "does not take it",
    );
    refused_step(
        r#"{"op": "remove", "path": "/x"}"#,
        "/path",
        "does not take it",
    );
    refused_step(r#"{"op": "set", "header": "x"}"#, "/value", "missing");
    refused_step(
        r#"{"op": "set", "header": "x", "value": 1, "if_absent": true}"#,
        "/if_absent",
        "does not take it",
    );
    refused_step(r#"{"op": "rename", "header": "x"}"#, "/to", "the new name");
    refused_step(
        r#"{"op": "rename", "header": "x", "to": {"header": "y"}}"#,
        "/to",
        "the new name",
    );
    refused_step(
        r#"{"op": "copy", "from": {"header": "x"}}"#,
        "/to",
        "expected a place",
    );
    refused_step(
        r#"{"op": "copy", "from": {"header": "x"}, "to": "y"}"#,
        "/to",
        "expected a place",
    );
    refused_step(
        r#"{"op": "copy", "from": {"header": "x", "query": "y"}, "to": {"header": "z"}}"#,
        "/from",
        "expected one of",
    );
    refused_step(
        r#"{"op": "copy", "to": {"header": "z"}}"#,
        "/from",
        "missing",
    );
    refused_step(
        r#"{"op": "copy", "from": {}, "to": {"header": "z"}}"#,
        "/from",
        "expected one of",
    );
    refused_step(
        r#"{"op": "patch", "body_jmespath": "a"}"#,
        "/body_jmespath",
        "does not take it",
    );
    refused_step(r#"{"op": "keep", "body": []}"#, "/body", "keep nothing");
    for step in [
        r#"{"op": "set", "header": "x", "value": 1, "required": true}"#,
        r#"{"op": "add", "header": "x", "value": 1, "required": true}"#,
        r#"{"op": "replace", "path": {"prefix": "/v1", "substitution": "/"}, "required": true}"#,
        r#"{"op": "keep", "body": ["/a"], "required": true}"#,
    ] {
        refused_step(step, "/required", "does not take it");
    }
}

#[test]
fn headers_that_frame_the_message_cannot_be_changed() {
    for name in [":path", ":method", ":scheme", ":authority", ":status"] {
        let step = format!(r#"{{"op": "remove", "header": "{name}"}}"#);
        refused_step(&step, "/header", "found a pseudo header");
    }
    for name in [
        "host",
        "Content-Length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "proxy-connection",
        "content-encoding",
        "http2-settings",
        "Expect",
    ] {
        let step = format!(r#"{{"op": "remove", "header": "{name}"}}"#);
        refused_step(&step, "/header", "cannot be changed");
        let step = format!(r#"{{"op": "set", "header": "{name}", "value": "x"}}"#);
        refused_step(&step, "/header", "cannot be changed");
        let step = format!(r#"{{"op": "rename", "header": "x", "to": "{name}"}}"#);
        refused_step(&step, "/to", "cannot be changed");
        let step =
            format!(r#"{{"op": "copy", "from": {{"query": "x"}}, "to": {{"header": "{name}"}}}}"#);
        refused_step(&step, "/to/header", "cannot be changed");
    }
    for name in ["", "x y", "x:", "é", "x\\n"] {
        let step = format!(r#"{{"op": "remove", "header": "{name}"}}"#);
        refused_step(&step, "/header", "expected a header name");
    }
}

#[test]
fn what_does_not_compile_is_refused() {
    refused_step(
        r#"{"op": "remove", "body": "user"}"#,
        "/body",
        "begins with `/`",
    );
    refused_step(r#"{"op": "remove", "body": "/a~2"}"#, "/body", "`~0`");
    refused_step(
        r#"{"op": "copy", "from": {"body": "x"}, "to": {"header": "x"}}"#,
        "/from/body",
        "begins with `/`",
    );
    refused_step(
        r#"{"op": "select", "body_jmespath": "a["}"#,
        "/body_jmespath",
        "at character 3",
    );
    refused_step(
        r#"{"op": "select", "body_jmespath": "nothing(a)"}"#,
        "/body_jmespath",
        "no such function",
    );
    refused_step(
        r#"{"op": "template", "body": "{{ a"}"#,
        "/body",
        "has no `}}`",
    );
    refused_step(
        r#"{"op": "set", "header": "x", "value": "{{ a[ }}"}"#,
        "/value",
        "between `{{` and `}}`",
    );
    let long = "x".repeat(65_537);
    refused_step(
        &format!(r#"{{"op": "template", "body": "{long}"}}"#),
        "/body",
        "at most 64 KiB",
    );
    let long = "a.".repeat(3_000);
    refused_step(
        &format!(r#"{{"op": "select", "body_jmespath": "{long}a"}}"#),
        "/body_jmespath",
        "at most 4096 bytes",
    );
    refused_step(
        r#"{"op": "replace", "path": {"regex": "(", "substitution": ""}}"#,
        "/path/regex",
        "expected a regular expression",
    );
    refused_step(
        r#"{"op": "replace", "path": {"regex": "\\w{900}{900}", "substitution": ""}}"#,
        "/path/regex",
        "too large",
    );
    refused_step(
        r#"{"op": "replace", "path": {"regex": "(a)", "substitution": "/$2"}}"#,
        "/path/substitution",
        "no group of that number",
    );
    refused_step(
        r#"{"op": "replace", "path": {"prefix": "v1", "substitution": "/"}}"#,
        "/path/prefix",
        "begins with `/`",
    );
    refused_step(
        r#"{"op": "replace", "path": "/x"}"#,
        "/path",
        "expected a template with `set`",
    );
    refused_step(
        r#"{"op": "set", "path": {"prefix": "/v1", "substitution": "/"}}"#,
        "/path",
        "expected a template with `set`",
    );
    refused_step(
        r#"{"op": "replace", "path": {"prefix": "/v1"}}"#,
        "/path",
        "expected a template, or",
    );
    for path in ["x", "/a?b", "/a#b", "/a b", "{{ path }}"] {
        refused_step(
            &format!(r#"{{"op": "set", "path": "{path}"}}"#),
            "/path",
            "begins with `/`",
        );
    }
    refused_step(
        r#"{"op": "patch", "body_patch": {}}"#,
        "/body_patch",
        "array of operations",
    );
    refused_step(
        r#"{"op": "patch", "body_patch": [{"op": "test", "path": "/a"}]}"#,
        "/body_patch/0/value",
        "missing",
    );
    refused_step(
        r#"{"op": "patch", "body_patch": [{"op": "remove", "path": "a"}]}"#,
        "/body_patch/0/path",
        "JSON Pointer",
    );
    refused_step(
        r#"{"op": "set", "header": "x", "value": "a\r\nb: c"}"#,
        "/value",
        "without control characters",
    );
    refused_step(
        r#"{"op": "set", "header": "x", "value": {}}"#,
        "/value",
        "expected a string",
    );
    refused_step(
        r#"{"op": "remove", "query": ""}"#,
        "/query",
        "found an empty string",
    );
    refused_step(
        r#"{"op": "rename", "body": "", "to": "x"}"#,
        "/body",
        "no name",
    );
    refused_step(
        r#"{"op": "move", "from": {"body": "/a"}, "to": {"body": "/a/b"}}"#,
        "/to",
        "into itself",
    );
}

#[test]
fn conditions_that_cannot_hold_are_refused() {
    for (conditions, place, reason) in [
        (
            r#"{"methods": ["GET", "post"]}"#,
            "/methods/1",
            "expected a method, such as `GET`",
        ),
        (r#"{"methods": ["G T"]}"#, "/methods/0", "expected a method"),
        (r#"{"path": [{}]}"#, "/path/0", "expected one of `exact`"),
        (
            r#"{"path": [{"exact": "/", "prefix": "/"}]}"#,
            "/path/0",
            "expected one of `exact`",
        ),
        (
            r#"{"path": [{"safe_regex": {"regex": "["}}]}"#,
            "/path/0/safe_regex/regex",
            "regular expression",
        ),
        (
            r#"{"path": [{"path_template": "x"}]}"#,
            "/path/0/path_template",
            "begins with `/`",
        ),
        (
            r#"{"path": [{"present_match": true}]}"#,
            "/path/0/present_match",
            "always there",
        ),
        (
            r#"{"authority": [{"path_template": "/x"}]}"#,
            "/authority/0/path_template",
            "only a path",
        ),
        (
            r#"{"headers": {"x y": [{"exact": "a"}]}}"#,
            "/headers/x y",
            "expected a header name",
        ),
        (
            r#"{"headers": {"x": []}}"#,
            "/headers/x",
            "expected a condition",
        ),
        (
            r#"{"body": {"a/b": [{"exact": "a"}]}}"#,
            "/body/a~1b",
            "begins with `/`",
        ),
        (
            r#"{"status": ["200"]}"#,
            "/status",
            "for rules of responses",
        ),
        (
            r#"{"request_headers": {"x": [{"exact": "a"}]}}"#,
            "/request_headers",
            "for rules of responses",
        ),
    ] {
        let configuration = format!(
            r#"{{"request": {{"rules": [{{"match": {conditions}, "steps": [{{"op": "remove", "header": "x"}}]}}]}}}}"#
        );
        refused(
            &configuration,
            &format!("/request/rules/0/match{place}"),
            reason,
        );
    }
}

#[test]
fn a_response_has_no_query_and_no_path() {
    for (step, place) in [
        (r#"{"op": "remove", "query": "x"}"#, "/query"),
        (r#"{"op": "set", "path": "/x"}"#, "/path"),
        (
            r#"{"op": "copy", "from": {"query": "x"}, "to": {"header": "y"}}"#,
            "/from/query",
        ),
    ] {
        let configuration = format!(r#"{{"response": {{"rules": [{{"steps": [{step}]}}]}}}}"#);
        refused(
            &configuration,
            &format!("/response/rules/0/steps/0{place}"),
            "a response has no",
        );
    }
    refused(
        r#"{"response": {"rules": [{"match": {"status": ["20"]}, "steps": [{"op": "remove", "header": "x"}]}]}}"#,
        "/response/rules/0/match/status/0",
        "expected a status",
    );
}

#[test]
fn what_needs_held_headers_says_so() {
    for (conditions, step) in [
        (
            "{}",
            r#"{"op": "copy", "from": {"body": "/a"}, "to": {"header": "x"}}"#,
        ),
        (
            "{}",
            r#"{"op": "copy", "from": {"body": "/a"}, "to": {"query": "x"}}"#,
        ),
        (
            "{}",
            r#"{"op": "set", "header": "x", "value": "{{ body.a }}"}"#,
        ),
        ("{}", r#"{"op": "set", "path": "/{{ body.a }}"}"#),
        (
            r#"{"body": {"/a": [{"exact": "1"}]}}"#,
            r#"{"op": "remove", "header": "x"}"#,
        ),
    ] {
        let configuration = format!(
            r#"{{"request": {{"rules": [{{"match": {conditions}, "steps": [{step}]}}]}}}}"#
        );
        refused(
            &configuration,
            "/request/rules/0/steps/0",
            "`allow_on_headers_stop_iteration: true`",
        );
    }
    for name in ["on_too_large", "on_parse_error"] {
        let configuration = format!(
            r#"{{"response": {{"body": {{"{name}": "reject"}}, "rules": [{{"steps": [{{"op": "remove", "body": "/x"}}]}}]}}}}"#
        );
        refused(
            &configuration,
            &format!("/response/body/{name}"),
            "cannot be refused",
        );
    }
    for limit in ["0", "16777217"] {
        let configuration = format!(
            r#"{{"request": {{"body": {{"max_bytes": {limit}}}, "rules": [{{"steps": [{{"op": "remove", "body": "/x"}}]}}]}}}}"#
        );
        refused(
            &configuration,
            "/request/body/max_bytes",
            "from 1 to 16777216",
        );
    }
}

#[test]
fn a_value_is_never_logged() {
    for step in [
        r#"{"op": "set", "header": "x", "value": "{{ hunter2[ }}"}"#,
        r#"{"op": "set", "header": "x", "value": ["hunter2"]}"#,
        r#"{"op": "hunter2"}"#,
        r#"{"op": "remove", "header": "hunter2 "}"#,
    ] {
        let configuration = format!(r#"{{"request": {{"rules": [{{"steps": [{step}]}}]}}}}"#);
        let refusal = refusal(&configuration);
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
}

#[test]
fn types_of_bodies_are_at_least_one_and_take_the_steps() {
    let of = |types: &str, step: &str| {
        format!(
            r#"{{"request": {{"body": {{"types": {types}}}, "rules": [{{"steps": [{step}]}}]}}}}"#
        )
    };
    let remove = r#"{"op": "remove", "body": "/x"}"#;
    let place = "/request/body/types";
    refused(&of("[]", remove), place, "nothing is looked into");
    refused(&of(r#"["xml"]"#, remove), "/request/body/types/0", "`json`");
    refused(
        &of(r#"["form"]"#, r#"{"op": "select", "body_jmespath": "x"}"#),
        "/request/rules/0/steps/0",
        "this is for JSON",
    );
}
