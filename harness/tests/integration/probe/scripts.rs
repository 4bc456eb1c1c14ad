//! The probe itself: what a test can rely on.

use attache_harness::{Host, HostError, Plugin, plugin};
use attache_module::{Facts, Guest, without_exports};
use serde_json::json;

use super::{Tested, lines, play, probe, request};

fn module(package: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let guest = Guest::in_workspace(folder, Some(package));
    guest.build(&mut |_| ()).expect("the probe builds").bytes
}

#[test]
fn a_bad_script_is_refused_with_its_place() {
    for (script, said) in [
        ("{\"tick\": [1]}", "expected one of `call`"),
        ("{\"tick\": [{\"call\": \"x\"}]}", "`x` (at /tick/0/call)"),
        ("nothing", "not JSON"),
    ] {
        let error = Host::with(plugin!("probe").config(script)).expect_err("it is bad");
        let printed = format!("{error:?}");
        assert!(
            printed.contains("the configuration was refused"),
            "{printed}"
        );
        assert!(printed.contains(said), "{printed}");
    }
}

#[test]
fn an_empty_slot_is_said_and_the_call_left_out() -> Tested {
    assert_eq!(
        super::lines_of(json!([
            {"call": "get_metric", "args": ["$none"]},
            {"call": "get_metric", "args": ["text"]},
            {"call": "get_metric", "args": [4294967296u64]},
            {"call": "log", "args": [2, 5]},
            {"call": "get_log_level", "out": [64]},
        ]))?,
        [
            "get_metric: not called: the slot `none` is empty",
            r#"get_metric: not called: "text" is no number"#,
            "get_metric: not called: 4294967296 does not fit 32 bits",
            "log: not called: 5 is no bytes",
            "get_log_level: not called: an output inside of memory would overwrite it",
        ]
    );
    Ok(())
}

#[test]
fn conditions_choose_by_header_stream_count_argument_and_status() -> Tested {
    let exchange = play(json!({
        "request_headers": [
            {"when": {"path": "/x", "header": {"X-A": "v", "x-none": null, "x-e": ""}},
             "then": [{"show": "header"}], "else": [{"show": "no header"}]},
            {"when": {"stream": 1, "count": 1}, "then": [{"show": "first"}]},
            {"when": {"argument": {"2": 1}}, "then": [{"show": "end"}], "else": [{"show": "more"}]},
            {"call": "get_header_map_value", "args": [0, "x-none"]},
            {"when": {"status": 1}, "then": [{"show": "absent"}]},
            {"when": {"any": [{"count": 2}, {"slot": {"x": null}}]}, "then": [{"show": "any"}]},
            {"repeat": 2, "steps": [{"show": ["$1", "$0", "$root"]}]},
        ],
        // The host has no request headers here.
        "response_headers": [{"when": {"path": "/x"}, "then": [{"show": "still"}]}],
    }))?;
    assert_eq!(
        lines(exchange.log()),
        [
            r#"request_headers: show "header""#,
            r#"request_headers: show "first""#,
            r#"request_headers: show "more""#,
            r#"request_headers: get_header_map_value(0, "x-none") = 1"#,
            r#"request_headers: show "absent""#,
            r#"request_headers: show "any""#,
            "request_headers: show [10, 2, 1]",
            "request_headers: show [10, 2, 1]",
            r#"response_headers: show "still""#,
        ]
    );
    Ok(())
}

#[test]
fn each_way_to_end_badly_fails_the_stream() -> Tested {
    for (step, reason) in [
        (json!({"trap": true}), "unreachable"),
        (json!({"recurse": true}), "Maximum call stack size exceeded"),
    ] {
        let exchange = play(json!({ "request_headers": [step] }))?;
        assert_eq!(exchange.response().status(), 503);
        let host = format!("{exchange:?}");
        assert!(host.contains(reason), "{host}");
    }
    Ok(())
}

#[test]
fn a_loop_is_ended_by_the_harness() -> Tested {
    let script = json!({ "request_headers": [{"loop": true}] });
    let mut host = Host::builder()
        .plugin(probe(script))
        .fuel_limit(1_000_000)
        .start()?;
    let error = host.send(request()).expect_err("it never ends");
    assert!(matches!(error, HostError::OutOfFuel { .. }), "{error}");
    Ok(())
}

#[test]
fn an_export_that_was_taken_away_is_not_called() -> Tested {
    let stripped = without_exports(&module("probe"), &["proxy_on_request_body", "proxy_on_log"]);
    let plugin = Plugin::from_bytes("probe", stripped.expect("the probe exports both"));
    let exchange = Host::with(plugin.config(json!({"trace": true})))?.send(request())?;
    assert_eq!(
        lines(exchange.log()),
        [
            "context_create(2, 1)",
            "request_headers(2, 10, 0)",
            "request_trailers(2, 1)",
            "response_headers(2, 3, 1)",
            "done(2)",
            "delete(2)",
        ]
    );
    Ok(())
}

#[test]
fn each_package_is_of_its_own_abi_with_every_callback() {
    for (package, abi) in [
        ("probe", "V0_2_1"),
        ("probe-0-2-0", "V0_2_0"),
        ("probe-0-1-0", "V0_1_0"),
    ] {
        let facts = Facts::read(&module(package)).expect("a module");
        assert_eq!(format!("{:?}", facts.abi), abi);
        let callbacks = facts
            .exports
            .iter()
            .filter(|name| name.starts_with("proxy_on_") || name.starts_with("envoy_on_"));
        assert_eq!(callbacks.count(), 29, "{package}");
    }
}
