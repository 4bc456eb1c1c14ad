//! Suite files: what is refused, what `--bless` writes, and what the program says.

mod bench;
mod clusters;
mod connections;
mod hostile;
mod mistakes;
mod plugin_tests;
mod plugins;
mod program;
mod record;
mod reload;
mod rules;
mod serve;
mod tcp;
mod versions;

use std::path::Path;

use attache_suite::{Suite, Target};

use crate::both::{module, repository_file};

/// A suite of one case around auth-scrub, with these lines in the case.
fn suite(case: &str) -> String {
    suite_around("auth-scrub", case)
}

/// The same around another plugin, without a configuration.
fn suite_around(package: &'static str, case: &str) -> String {
    let module = module(package);
    let case = case.replace('\n', "\n    ");
    format!(
        "version: \"1\"\nplugins:\n  - module: {}\ncases:\n  - name: a case\n    {case}\n",
        module.display()
    )
}

fn refusal(text: &str) -> String {
    match Suite::from_text("s.suite.yaml", text) {
        Ok(_) => panic!("this is accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn faults_point_at_line_column_and_key() {
    for (case, place, reason) in [
        (
            "request: {pth: /}",
            "6:15: cases[0].request.pth: ",
            "did you mean `path`?",
        ),
        (
            "request: {}\nexpect:\n  upstraem: none",
            "8:7: cases[0].expect.upstraem: ",
            "did you mean `upstream`?",
        ),
        (
            "request: {}\nexpect: {upstream: nothing}",
            "7:24: cases[0].expect.upstream: ",
            "expected `none`, or the keys of a request, found `nothing`",
        ),
        (
            "request: {}\nexpect: {response: {status: ok}}",
            "7:33: cases[0].expect.response.status: ",
            "expected a whole number, found `ok`",
        ),
        ("steps: []\nrequest: {}", "5:5: cases[0]: ", "not both"),
        (
            "description: x",
            "6:5: cases[0].description: ",
            "unknown key",
        ),
        (
            "configuration: {}",
            "5:5: cases[0]: ",
            "expected `request`, or `steps`",
        ),
        (
            "steps:\n  - request: {}\n    name: one\n  - disconnect: onee",
            "9:21: cases[0].steps[1].disconnect: ",
            "did you mean `one`?",
        ),
        (
            "steps: [{wait: 5}]",
            "6:20: cases[0].steps[0].wait: ",
            "such as `500ms`",
        ),
        (
            "steps: [{wait: 5s, expect: {}}]",
            "cases[0].steps[0].expect: ",
            "belongs to a `request`",
        ),
        (
            "steps: [{request: {}}]\nexpect: {outcome: held}",
            "7:23: cases[0].expect.outcome: ",
            "under the `expect` of its step",
        ),
        (
            "request: {headers: {'a:b': c}}",
            "cases[0].request.headers: ",
            "expected a header's name",
        ),
        (
            "request: {headers: {a: \"b\\nc\"}}",
            "cases[0].request.headers: ",
            "no line breaks",
        ),
        (
            "request: {body: a, chunks: [b]}",
            "cases[0].request: ",
            "not both",
        ),
        (
            "request: {}\nupstream: {fault: reset}",
            "cases[0].upstream.fault: ",
            "`reset` is of HTTP/2 only",
        ),
        (
            "request: {}\nexpect: {refused: x, log: []}",
            "cases[0].expect.log: ",
            "nothing else is seen with `refused`",
        ),
        (
            "request: {}\nexpect: {crash: x, stopped: x}",
            "cases[0].expect: ",
            "`crash` and `stopped` exclude each other",
        ),
        (
            "request: {}\nrequest: {}",
            "7:5: cases[0].request: ",
            "stands in line 6 already",
        ),
        (
            "request: /x",
            "cases[0].request: ",
            "expected the keys of a request, such as `path`, found `/x`",
        ),
        (
            "request: {chunks: a}",
            "cases[0].request.chunks: ",
            "expected a list, found `a`",
        ),
        (
            "request: {path: }",
            "cases[0].request.path: ",
            "a value is missing",
        ),
        (
            "request: {}\nexpect: {log: [{level: loud}]}",
            "cases[0].expect.log[0].level: ",
            "`loud` is unknown; expected one of `trace`",
        ),
    ] {
        let refusal = refusal(&suite(case));
        assert!(refusal.starts_with("s.suite.yaml:"), "{refusal}");
        assert!(refusal.contains(place), "{case}: {refusal}");
        assert!(refusal.contains(reason), "{case}: {refusal}");
    }
    let misspelt = refusal(&suite("request: {}\nexpect: {log: [{base46: eA==}]}"));
    assert!(misspelt.contains("did you mean `base64`?"), "{misspelt}");
}

#[test]
fn requests_that_no_client_can_send_are_refused() {
    for (request, key) in [
        ("{method: GE T}", "method"),
        ("{method: ''}", "method"),
        ("{path: /a b}", "path"),
        ("{path: \"/a\\tb\"}", "path"),
        (
            "{body: a, headers: {Content-Length: 3}}",
            "headers.Content-Length",
        ),
        (
            "{chunks: [a], headers: {content-length: 1}}",
            "headers.content-length",
        ),
        ("{headers: {content-length: 5}}", "headers.content-length"),
        ("{headers: {content-length: [0, 0]}}", "headers"),
        (
            "{headers: {transfer-encoding: chunked}}",
            "headers.transfer-encoding",
        ),
        ("{headers: {a b: c}}", "headers.a b"),
        ("{headers: {X-Case-Request: 1}}", "headers.X-Case-Request"),
    ] {
        let refusal = refusal(&suite(&format!("request: {request}")));
        let place = format!("cases[0].request.{key}: ");
        assert!(refusal.contains(&place), "{request}: {refusal}");
        assert!(refusal.starts_with("s.suite.yaml:6:"), "{refusal}");
    }
    let text = suite("request: {method: M-SEARCH, path: '/a%20b', headers: {content-length: 0}}");
    Suite::from_text("s.suite.yaml", text).unwrap();
}

#[test]
fn expectations_that_look_at_nothing_are_refused() {
    for (expect, place, reason) in [
        (
            "{response: {lacks: [x-a, date]}}",
            "response.lacks[1]",
            "never looked at",
        ),
        (
            "{upstream: {headers: {X-Request-Id: a}}}",
            "upstream.headers.X-Request-Id",
            "never",
        ),
        (
            "{upstream: {lacks: [':path']}}",
            "upstream.lacks[0]",
            "the keys `method`",
        ),
        (
            "{response: {all_headers: [date: a]}}",
            "response.all_headers",
            "never looked at",
        ),
        (
            "{log_has: [{level: debug}]}",
            "log_has[0].level",
            "Envoy logs from info on",
        ),
        (
            "{log_lacks: [{plugin: auth-scrup}]}",
            "log_lacks[0].plugin",
            "mean `auth-scrub`?",
        ),
    ] {
        let refusal = refusal(&suite(&format!("request: {{}}\nexpect: {expect}")));
        let place = format!("cases[0].expect.{place}: ");
        assert!(refusal.contains(&place), "{expect}: {refusal}");
        assert!(refusal.contains(reason), "{expect}: {refusal}");
    }
    let step = refusal(&suite(
        "steps: [{request: {}, expect: {response: {lacks: [date]}}}]",
    ));
    assert!(
        step.contains("cases[0].steps[0].expect.response.lacks[0]: "),
        "{step}"
    );
}

#[test]
fn a_metric_that_does_not_exist_is_a_difference() {
    for key in ["counters", "gauges"] {
        let text = suite(&format!("request: {{}}\nexpect: {{{key}: {{typo: 0}}}}"));
        let suite = Suite::from_text("s.suite.yaml", text).unwrap();
        let report = suite.run_on(&Target::Harness).unwrap().to_string();
        assert!(report.contains(&format!("expect.{key}.typo")), "{report}");
        assert!(report.contains("no such metric"), "{report}");
    }
}

#[test]
fn what_stands_for_the_whole_suite_is_refused_where_it_stands() {
    let text = suite("request: {}");
    for (line, place, reason) in [
        (
            "upstream: {status: 7}",
            "2:20: upstream.status: ",
            "from 200 to 999",
        ),
        (
            "upstream: {fault: reset}",
            "2:19: upstream.fault: ",
            "HTTP/2 only",
        ),
        (
            "clusters: {a: {fault: reset}}",
            "2:23: clusters.a.fault: ",
            "HTTP/2 only",
        ),
        (
            "clusters: {upstream: {}}",
            "2:22: clusters.upstream: ",
            "routed to",
        ),
        ("workers: 65", "2:10: workers: ", "at most 64"),
    ] {
        let refusal = refusal(&text.replace("\nplugins", &format!("\n{line}\nplugins")));
        assert!(
            refusal.contains(&format!("s.suite.yaml:{place}")),
            "{refusal}"
        );
        assert!(refusal.contains(reason), "{refusal}");
    }
    let text = "version: \"1\"\nplugins: [{module: no/such.wasm}]\n\
                cases: [{name: a, request: {}}]\n";
    let refusal = refusal(text);
    assert!(
        refusal.contains("2:20: plugins[0].module: there is no file `no/such.wasm`"),
        "{refusal}"
    );
}

#[test]
fn versions_stand_in_quotes() {
    let text = suite("request: {}");
    let unquoted = text.replace("version: \"1\"", "version: \"1\"\nenvoy: 1.40");
    assert!(
        refusal(&unquoted).contains("2:8: envoy: expected a version in quotes, as in \"1.40\"")
    );
    assert!(refusal(&text.replace("\"1\"", "1")).contains("in quotes, as in \"1\""));
    assert!(refusal(&text.replace("\"1\"", "\"2\"")).contains("reads version \"1\""));
    let quoted = text.replace("version: \"1\"", "version: \"1\"\nenvoy: \"1.40\"");
    let suite = Suite::from_text("s", quoted).unwrap();
    assert_eq!(suite.envoy(), Some(attache_envoy::Version::new(1, 40, 0)));
}

#[test]
fn a_name_stands_once() {
    let text = suite("request: {}") + "  - name: a case\n    request: {}\n";
    assert!(refusal(&text).contains("cases[1].name: `cases[0]` has this name already"));
}

/// What a suite says once it was blessed.
fn blessed(case: &str) -> String {
    blessed_text(suite(case))
}

fn blessed_text(text: String) -> String {
    let suite = Suite::from_text("s.suite.yaml", text).unwrap();
    let report = suite.run_on(&Target::Harness).unwrap();
    let blessed = suite.blessed(&report);
    let again = Suite::from_text("s.suite.yaml", blessed.text.as_str()).unwrap();
    let report = again.run_on(&Target::Harness).unwrap();
    assert!(report.passed(), "{report}\n{}", blessed.text);
    let (_, case) = blessed.text.split_once("a case\n    ").unwrap();
    case.replace("\n    ", "\n").trim_end().to_owned()
}

#[test]
fn what_is_otherwise_is_rewritten_and_the_rest_stays_as_it_stands() {
    let before = "\
request: {path: /x?token=1, headers: {x-a: [1, 2]}}  # a request
expect:
  # what the upstream sees
  upstream:
    path:   /y   # the path
    headers: {x-a: 3}
    body: none
  response: {status: 500}
  log:
    - nothing
  harness:
    host_calls: []";
    let after = "\
request: {path: /x?token=1, headers: {x-a: [1, 2]}}  # a request
expect:
  # what the upstream sees
  upstream:
    path: /x   # the path
    headers: {x-a: [\"1\", \"2\"]}
    body: \"\"
  response: {status: 200}
  log: []
  harness:
    host_calls:
      - proxy_define_metric
      - proxy_increment_metric
      - proxy_get_header_map_pairs
      - proxy_define_metric
      - proxy_increment_metric
      - proxy_replace_header_map_value";
    assert_eq!(blessed(before), after);
    assert_eq!(blessed(after), after, "what is right is left alone");
}

#[test]
fn a_case_without_expectations_gets_all_that_was_seen() {
    let after = blessed("request: {path: /x, body: hi}\nupstream: {body: {bytes: '\\xff'}}  # odd");
    assert_eq!(
        after,
        "\
request: {path: /x, body: hi}
upstream: {body: {bytes: '\\xff'}}  # odd
expect:
  upstream:
    method: POST
    path: /x
    all_headers:
      - host: example.com
      - content-length: \"2\"
      - x-forwarded-proto: http
      - x-envoy-expected-rq-timeout-ms: \"15000\"
    body: hi
  response:
    status: 200
    all_headers:
      - content-length: \"1\"
      - server: envoy
    body: {bytes: \"\\\\xff\"}
  log: []
  counters:
    \"attache_requests_total;plugin=auth-scrub\": 1"
    );
}

#[test]
fn steps_are_blessed_one_by_one() {
    let after = blessed(
        "steps:\n  - request: {path: /a}\n    expect: {}\n  - wait: 1s\n  - request: {path: /b}",
    );
    assert!(after.contains("expect: {}\n  - wait: 1s"), "{after}");
    assert!(
        after.contains("- request: {path: /b}\n    expect:\n      upstream:"),
        "{after}"
    );
    let end =
        "expect:\n  log: []\n  counters:\n    \"attache_requests_total;plugin=auth-scrub\": 2";
    assert!(after.ends_with(end), "{after}");
}

#[test]
fn a_wrong_outcome_is_written_where_none_stood() {
    let after = blessed("request: {}\nupstream: {fault: never}\nexpect:\n  upstream: {path: /}");
    assert!(
        after.ends_with("expect:\n  upstream: {path: /}\n  outcome: held"),
        "{after}"
    );
}

#[test]
fn a_request_that_is_held_is_written_down_once() {
    let after = blessed("request: {}\nupstream: {fault: never}");
    assert_eq!(after.matches("expect:").count(), 1, "{after}");
    assert!(after.contains("expect:\n  outcome: held\n"), "{after}");
    let after = blessed("steps:\n  - request: {}\n    upstream: {fault: never}");
    assert_eq!(after.matches("outcome: held").count(), 1, "{after}");
    let after = blessed("request: {}\nupstream: {fault: closed}");
    assert!(after.contains("status: 503"), "{after}");
}

#[test]
fn a_comma_at_the_end_stays_one() {
    for (before, after) in [
        (
            "{upstream: {path: /},}",
            "{upstream: {path: /}, outcome: held}",
        ),
        (
            "{upstream: {path: /}, }",
            "{upstream: {path: /}, outcome: held}",
        ),
        (
            "{upstream: {path: /}  # one, two\n  }",
            "{upstream: {path: /}  # one, two\n  , outcome: held}",
        ),
    ] {
        let case = "request: {}\nupstream: {fault: never}\nexpect: ";
        assert_eq!(
            blessed(&format!("{case}{before}")),
            format!("{case}{after}")
        );
    }
}

/// Two cases, the second of which repeats of the first what `*` says.
fn sharing() -> String {
    let first = suite("request: {}\nexpect: &same {response: {status: 500}}");
    first + "  - name: a case too\n    request: {}\n    expect: *same\n"
}

#[test]
fn what_an_alias_repeats_is_left() {
    let suite = Suite::from_text("s.suite.yaml", sharing()).unwrap();
    let report = suite.run_on(&Target::Harness).unwrap();
    let blessed = suite.blessed(&report);
    assert_eq!(blessed.text, sharing());
    assert_eq!(blessed.changed, [""; 0]);
    let names: Vec<&str> = blessed.left.iter().map(|(case, _)| &**case).collect();
    assert_eq!(names, ["a case", "a case too"]);
    let (_, reason) = &blessed.left[1];
    assert!(
        reason.starts_with("expect.response.status: an alias repeats"),
        "{reason}"
    );
}

#[test]
fn an_alias_within_leaves_the_case_and_no_other() {
    let text = suite(
        "request: {path: &path /x}\nexpect: {upstream: {path: *path}}\nupstream: {fault: never}",
    );
    let text = text
        + "  - name: another\n    request: {}\n    expect: {response: {status: 500}}\n"
        + "  - name: a third\n    request: {path: /y}\n    expect: {upstream: {path: *path}}\n";
    let suite = Suite::from_text("s.suite.yaml", text.as_str()).unwrap();
    let report = suite.run_on(&Target::Harness).unwrap();
    let blessed = suite.blessed(&report);
    let expected = text.replace("status: 500", "status: 200").replacen(
        "{path: *path}}",
        "{path: *path}, outcome: held}",
        1,
    );
    assert_eq!(blessed.text, expected);
    assert_eq!(blessed.changed, ["a case", "another"]);
    assert_eq!(blessed.left.len(), 1, "{:?}", blessed.left);
    assert_eq!(blessed.left[0].0, "a third");
    let again = blessed.again.run_on(&Target::Harness).unwrap();
    assert_eq!(again.cases.len(), 2);
    assert!(again.passed(), "{again}");
}

#[test]
fn a_stop_that_is_expected_has_to_come() {
    let text = suite("request: {}\nexpect: {stopped: {contains: loop}}");
    let report = Suite::from_text("s.suite.yaml", text).unwrap();
    let report = report.run_on(&Target::Harness).unwrap();
    assert!(!report.passed());
    let text = report.to_string();
    let reason = "expected `stopped` with something that contains \"loop\", but nothing";
    assert!(text.contains(reason), "{text}");
}

#[test]
fn a_failure_is_told_with_the_timeline() {
    let case = "request: {path: /x?token=1}\nexpect: {upstream: {path: /y, lacks: [host]}}";
    let suite = Suite::from_text("s.suite.yaml", suite(case)).unwrap();
    let report = suite.run_on(&Target::Harness).unwrap();
    assert!(!report.passed());
    let text = report.to_string();
    for part in [
        "FAILED a case",
        "expect.upstream.path",
        "expected  \"/y\"",
        "found     \"/x\"",
        "no header `host`",
        "proxy_replace_header_map_value(0, \":path\", \"/x\") = 0 Ok",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let error = report.into_result().unwrap_err();
    assert_eq!(format!("{error:?}"), text);
}

#[test]
fn the_examples_of_the_documentation_hold() {
    let text = repository_file("suite/README.md") + &repository_file("README.md");
    let examples: Vec<&str> = text
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(examples.len(), 9);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    for example in examples {
        let suite = Suite::from_text(&path, example).unwrap();
        let report = suite.run_on(&Target::Harness).unwrap();
        assert!(report.passed(), "{report}");
    }
}

#[test]
fn every_key_of_the_format_is_explained() {
    let schema: serde_json::Value =
        serde_json::from_str(&repository_file("suite/schema/attache-suite-1.json")).unwrap();
    let readme = repository_file("suite/README.md");
    let mut keys = Vec::new();
    collect(&schema, &mut keys);
    assert!(keys.len() > 50, "{keys:?}");
    for key in keys {
        let named = [
            format!("`{key}`"),
            format!("`{key}:"),
            format!("{{{key}:"),
            format!("{key}:"),
        ];
        assert!(named.iter().any(|named| readme.contains(named)), "no {key}");
    }
}

fn collect(schema: &serde_json::Value, keys: &mut Vec<String>) {
    if let Some(properties) = schema.get("properties").and_then(|value| value.as_object()) {
        keys.extend(properties.keys().cloned());
    }
    match schema {
        serde_json::Value::Object(members) => {
            members.values().for_each(|value| collect(value, keys))
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| collect(value, keys)),
        _ => {}
    }
}
