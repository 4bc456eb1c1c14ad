//! Plugin tests as Google's Service Extensions have them.

use std::fs;

use attache_suite::PluginTests;

use super::program::{folder, program};
use crate::both::module;

/// What came of the only test of a file, as the report prints it.
fn played(package: &'static str, configuration: Option<&str>, test: &str) -> String {
    let text = format!("test {{ name: \"t\" {test} }}");
    let tests = PluginTests::from_text("t.textpb", text).unwrap_or_else(|error| panic!("{error}"));
    let report = tests.run(Some(&module(package)), configuration);
    report.unwrap_or_else(|error| panic!("{error}")).to_string()
}

const SCRUBBED: &str = r#"
  request_headers {
    input { header { key: "Authorization" value: "Bearer x" } header { key: ":path" value: "/?access_token=1" } }
    result {
      no_header { key: "authorization" }
      has_header { key: ":path" value: "/" }
      headers { regex: ":pa.*: /" }
      headers { regex: "authorization.*" invert: true }
    }
  }
  response_headers {
    input { content: "HTTP/1.1 200 OK\r\nX-Tag: 1\r\nX-Tag: 2\r\n" }
    result { has_header { key: "x-tag" value: "1, 2" } headers { exact: "X-Tag: 1, 2" } }
  }"#;

#[test]
fn headers_are_what_the_callback_leaves() {
    let report = played("auth-scrub", None, SCRUBBED);
    assert!(report.contains("ok     t"), "{report}");

    let other = SCRUBBED.replace("value: \"/\" }", "value: \"/x\" }");
    let report = played("auth-scrub", None, &other);
    let expected = "request_headers: :path\n        expected  \"/x\"\n        found     \"/\"";
    assert!(report.contains(expected), "{report}");
    assert!(
        report.contains("test: proxy_on_request_headers("),
        "{report}"
    );
}

#[test]
fn conditions_may_stand_in_groups_of_headers_and_of_the_reply() {
    let grouped = r#"
      request_headers {
        input { header { key: "Authorization" value: "Bearer x" } header { key: ":path" value: "/" } }
        result {
          headers {
            has_header { key: ":path" value: "/" }
            no_header { key: "authorization" }
            headers_serialized { exact: ":path: /" }
            headers_serialized { regex: "auth.*" invert: true }
          }
        }
      }"#;
    assert!(played("auth-scrub", None, grouped).contains("ok     t"));
    for (from, to, key) in [
        (
            "value: \"/\" }\n            no",
            "value: \"/x\" }\n            no",
            ":path",
        ),
        (
            "no_header { key: \"authorization\"",
            "no_header { key: \":path\"",
            ":path",
        ),
        (":path: /\"", ":path: /x\"", "headers"),
    ] {
        let report = played("auth-scrub", None, &grouped.replace(from, to));
        let expected = format!("request_headers: {key}\n");
        assert!(report.contains(&expected), "{report}");
    }

    let denies = r#"
      request_headers {
        input { content: "GET /admin HTTP/1.1\nHost: example.com" }
        result {
          immediate {
            http_status: 403
            body { regex: "(?s).*" }
            headers { no_header { key: ":path" } }
          }
        }
      }"#;
    let configuration = r#"{"paths": ["/admin"]}"#;
    let report = played("deny-list", Some(configuration), denies);
    assert!(report.contains("ok     t"), "{report}");
    let other = denies.replace("(?s).*", "another body");
    let report = played("deny-list", Some(configuration), &other);
    assert!(report.contains("request_headers: body\n"), "{report}");
}

#[test]
fn a_reply_ends_the_stream_and_later_phases_find_nothing() {
    let denies = r#"
      request_headers {
        input { content: "GET /admin HTTP/1.1\nHost: example.com" }
        result { immediate { http_status: 403 } }
      }"#;
    let configuration = r#"{"paths": ["/admin"]}"#;
    let report = played("deny-list", Some(configuration), denies);
    assert!(report.contains("ok     t"), "{report}");

    let other = denies.replace("http_status: 403", "http_status: 401 details: \"no\"");
    let report = played("deny-list", Some(configuration), &other);
    assert!(
        report.contains(
            "request_headers: immediate.http_status\n        expected  401\n        found     403"
        ),
        "{report}"
    );
    assert!(report.contains("immediate.details"), "{report}");

    let none = denies.replace("immediate { http_status: 403 }", "");
    let report = played("deny-list", Some(configuration), &none);
    assert!(
        report.contains("expected  none\n        found     status 403"),
        "{report}"
    );

    let later = r#"
      response_headers {
        input { header { key: ":status" value: "200" } }
        result { has_header { key: ":status" value: "200" } }
      }"#;
    let report = played(
        "deny-list",
        Some(configuration),
        &format!("{denies}{later}"),
    );
    assert!(
        report.contains(
            "response_headers: :status\n        expected  \"200\"\n        found     missing"
        ),
        "{report}"
    );
}

/// The probe answers with what it sees: time, a property, and a body that it changes.
#[test]
fn time_stands_still_properties_are_given_and_bodies_come_in_pieces() {
    let script = r#"{
      "request_headers": [
        {"call": "get_current_time_nanoseconds", "args": []},
        {"call": "get_property", "args": ["connection\u0000tls_version"]}
      ],
      "request_body": [{"call": "set_buffer_bytes", "args": [0, 0, 0, "<"]}]
    }"#;
    let text = r#"
      env { time_secs: 123456789 log_level: TRACE }
      test {
        name: "t"
        num_chunks: 3
        properties { path: "connection.tls_version" value: "TLSv1.2" }
        request_headers { result { log { regex: ".*123456789000000000.*" } log { regex: ".*TLSv1.2.*" } } }
        request_body {
          input { content: "abcdefg" }
          result { body { exact: "<ab<cd<efg" } log { regex: ".*nothing.*" invert: true } }
        }
        stream_destroy { log { regex: ".*TLSv1.2.*" invert: true } }
      }"#;
    let tests = PluginTests::from_text("t.textpb", text).unwrap();
    let report = tests.run(Some(&module("probe")), Some(script)).unwrap();
    assert!(report.passed(), "{report}");
}

#[test]
fn yaml_says_the_same() {
    let text = "env: {time_secs: 5}\ntest:\n  - name: t\n    request_headers:\n      input:\n        header:\n          - \
                {key: authorization, value: x}\n      result:\n        no_header: [{key: authorization}]\n";
    let tests = PluginTests::from_text("t.yaml", text).unwrap();
    let report = tests.run(Some(&module("auth-scrub")), None).unwrap();
    assert!(report.passed(), "{report}");
}

#[test]
fn faults_of_a_file_are_told_with_their_place() {
    for (text, reason) in [
        ("test {\n  nam: \"x\"\n}", "t.textpb:2:3: test.nam: "),
        (
            "test { name: \"x\" ",
            "t.textpb:1:18: expected `}` before the end",
        ),
        (
            "test { request_headers { result { log { regex: \"(\" } } } }",
            "is no regular expression",
        ),
        (
            "test { request_headers { result { log { invert: true } } } }",
            "expected one of `exact`, `regex`",
        ),
        ("test { num_chunks: 2 chunk_size: 3 }", "not both"),
        ("test { num_chunks: 0 }", "of 1 and more"),
        (
            "test { num_chunks: 2 request_body {} request_body {} }",
            "is given once",
        ),
        ("env { log_level: LOUD }", "LOUD"),
    ] {
        let error = PluginTests::from_text("t.textpb", text)
            .err()
            .map(|error| error.to_string());
        assert!(
            error.as_deref().is_some_and(|error| error.contains(reason)),
            "{text}: {error:?}"
        );
    }
}

#[test]
fn the_program_plays_them_and_says_what_it_cannot() {
    let folder = folder("plugin-tests");
    let module = module("auth-scrub");
    let module = module.to_str().unwrap();
    let test = format!("test {{ name: \"goes\" {SCRUBBED} }}");
    fs::write(folder.join("t.textpb"), &test).unwrap();
    let (status, out, err) = program(&folder, &["test", "t.textpb", "--plugin", module]);
    assert_eq!(status, Some(0), "{err}");
    assert!(
        out.starts_with("t.textpb\n  ok     goes\n1 passed in "),
        "{out}"
    );

    fs::write(
        folder.join("named.textpb"),
        format!("env {{ wasm_path: {module:?} }} {test}"),
    )
    .unwrap();
    assert_eq!(program(&folder, &["named.textpb"]).0, Some(0));
    fs::write(
        folder.join("lost.textpb"),
        format!("env {{ wasm_path: \"lost.wasm\" }} {test}"),
    )
    .unwrap();

    for (arguments, reason) in [
        (&["t.textpb"][..], "give it one with --plugin FILE.wasm"),
        (&["lost.textpb"], "there is no file `lost.wasm`"),
        (
            &["t.textpb", "--plugin", module, "--on", "both"],
            "play it without --on",
        ),
        (
            &["t.textpb", "--plugin", module, "--bless"],
            "--bless writes suites only",
        ),
        (
            &["t.textpb", "--plugin", module, "--filter", "other"],
            "no case has `other` in its name",
        ),
    ] {
        let (status, _, err) = program(&folder, arguments);
        assert_eq!(status, Some(1), "{err}");
        assert!(err.contains(reason), "{err}");
    }
}
