use std::time::Duration;

use attache_harness::{FailurePolicy, Host, HostError, Plugin, Request, Response, UpstreamRequest};

use crate::guest::{Guest, guest, list, said, trace, transparent};

type Tested = Result<(), HostError>;

/// A guest that says its root id when it is configured.
fn announces() -> Guest {
    guest().on(
        "configure",
        "(drop (call $get_property s(plugin_name) ret)) (call $text (i32.load (i32.const 16)) (i32.load (i32.const 20))) i32.const 1",
    )
}

fn named(name: &str) -> Plugin {
    announces().plugin(name)
}

/// As an Envoy starts whose listeners, services and sinks are described in another order.
#[test]
fn plugins_start_listener_by_listener_and_services_last() -> Tested {
    let host = Host::builder()
        .singleton_service(named("one"))
        .service(named("each"))
        .http_chain("h2", [named("h2a")])
        .plugin(named("a"))
        .plugin(named("b"))
        .access_logger(named("log"))
        .start()?;
    let twice = |name: &'static str| [name, name];
    let in_main = ["log", "a", "b", "h2a", "one", "each"].map(twice).concat();
    let in_worker = ["log", "a", "b", "h2a", "each"];
    assert_eq!(said(host.log()), [&in_main[..], &in_worker].concat());
    Ok(())
}

#[test]
fn a_request_goes_through_the_chain_that_it_is_sent_to() -> Tested {
    let mut host = Host::builder()
        .http_chain("first", [transparent().plugin("A")])
        .http_chain(
            "second",
            [transparent().plugin("B"), transparent().plugin("C")],
        )
        .start()?;
    let calls = "create rqh rsh log done delete";
    let first = trace(&host.send(Request::get("/"))?);
    assert_eq!(first.replace("A:", ""), calls);
    let second = trace(&host.send_to("second", Request::get("/"))?);
    assert!(
        second.starts_with("B:create B:rqh C:create C:rqh"),
        "{second}"
    );
    let error = host.send_to("third", Request::get("/")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the host has no HTTP chain `third`; it has `first`, `second`"
    );
    Ok(())
}

#[test]
fn access_loggers_log_on_their_root_after_every_filter_and_before_any_is_done() -> Tested {
    let mut host = Host::builder()
        .plugin(transparent().plugin("A"))
        .plugin(transparent().plugin("B"))
        .access_logger(transparent().plugin("L"))
        .access_logger(transparent().plugin("M"))
        .start()?;
    let exchange = host.send(Request::get("/"))?;
    let calls = trace(&exchange);
    let end = calls.split_once("A:rsh ").map(|(_, end)| end);
    assert_eq!(
        end,
        Some("A:log B:log L:log M:log A:done A:delete B:done B:delete")
    );
    assert!(
        exchange
            .timeline()
            .to_string()
            .contains("L: proxy_on_log(1)"),
        "the context is the root's"
    );
    Ok(())
}

/// Seen on Envoy 1.40.
#[test]
fn an_access_logger_reads_the_stream_and_changes_nothing_of_it() -> Tested {
    let filter = guest().on(
        "request_headers",
        "(drop (call $set_property s(k) s(kept))) i32.const 0",
    );
    let tell = |calls: &[&str]| -> String {
        let tell = |call: &&str| format!("(call $tell (call ${call}))");
        calls.iter().map(tell).collect()
    };
    let reads = tell(&[
        "get_header_map_value (i32.const 0) s(:path) ret",
        "get_header_map_value (i32.const 0) s(nix) ret",
        "get_header_map_value (i32.const 1) s(x) ret",
        "get_header_map_value (i32.const 2) s(server) ret",
        "get_header_map_value (i32.const 3) s(x) ret",
        "get_header_map_pairs (i32.const 3) ret",
        "get_header_map_size (i32.const 0) (i32.const 24)",
        "get_property s(request\\00path) ret",
        "get_property s(k) ret",
    ]);
    let writes = tell(&[
        "add_header_map_value (i32.const 0) s(x) s(y)",
        "replace_header_map_value (i32.const 2) s(x) s(y)",
        "set_property s(k) s(v)",
        "set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 0) s(x)",
        "continue_stream (i32.const 0)",
        "continue_stream (i32.const 1)",
        "close_stream (i32.const 0)",
        "close_stream (i32.const 1)",
        "send_local_response (i32.const 500) s() s() s() (i32.const -1)",
    ]);
    let logger = guest().on("log", &format!("{reads} {writes}"));
    let mut host = Host::builder()
        .plugin(filter.plugin("filter"))
        .access_logger(logger.plugin("logger"))
        .start()?;
    let exchange = host.send(Request::get("/orders"))?;
    let answers: Vec<String> = said(exchange.log())
        .chunks(2)
        .map(|answer| answer.join(" "))
        .collect();
    let (reads, writes) = answers.split_at(9);
    assert_eq!(
        reads,
        [
            "0 /orders",
            "1 -",
            "1 -",
            "0 envoy",
            "1 -",
            "0 null",
            "2 -",
            "0 /orders",
            "0 kept"
        ]
    );
    assert_eq!(
        writes,
        [
            "2 -", "2 -", "1 -", "2 -", "0 -", "0 -", "0 -", "0 -", "0 -"
        ]
    );
    assert_eq!(exchange.response().status(), 200);
    Ok(())
}

#[test]
fn an_access_logger_that_traps_leaves_the_response_and_is_called_no_more() -> Tested {
    let logger = guest().on("log", "unreachable");
    let mut host = Host::builder()
        .plugin(transparent().plugin("A"))
        .access_logger(logger.plugin("L"))
        .start()?;
    let first = host.send(Request::get("/"))?;
    assert_eq!(first.response().status(), 200);
    assert!(trace(&first).ends_with("A:log L:log A:done A:delete"));
    let second = host.send(Request::get("/"))?;
    assert_eq!(second.response().status(), 200);
    assert!(!trace(&second).contains("L:"), "{}", trace(&second));
    Ok(())
}

#[test]
fn a_service_ticks_where_it_runs_and_needs_no_chain() -> Tested {
    let ticks = guest()
        .on(
            "configure",
            "(drop (call $set_tick_period_milliseconds (i32.const 100))) i32.const 1",
        )
        .on("tick", "(call $text s(tick))");
    let count = |singleton: bool| {
        let builder = Host::builder().workers(2);
        let mut host = if singleton {
            builder.singleton_service(ticks.plugin("service"))
        } else {
            builder.service(ticks.plugin("service"))
        }
        .start()?;
        host.advance(Duration::from_millis(150))?;
        let error = host.send(Request::get("/")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the host has no HTTP chain; describe one when it is built"
        );
        Ok::<_, HostError>(said(host.log()).len())
    };
    assert_eq!(count(true)?, 1, "the canary never ticks");
    assert_eq!(count(false)?, 3);
    Ok(())
}

/// Seen on Envoy 1.40 with three access loggers that trap.
#[test]
fn an_access_logger_is_reloaded_when_it_is_to_log() -> Tested {
    let logger = guest().on("log", "(call $text s(log)) unreachable");
    let mut host = Host::builder()
        .access_logger(logger.plugin("L").failure_policy(FailurePolicy::FailReload))
        .start()?;
    let mut logged = |seconds| {
        host.advance(Duration::from_secs(seconds))?;
        let exchange = host.send(Request::get("/"))?;
        Ok::<_, HostError>(trace(&exchange).contains("L:log"))
    };
    assert!(logged(2)?);
    assert!(logged(0)?, "the last load is long ago");
    assert!(!logged(0)?, "now it is not");
    assert!(logged(2)?);
    assert_eq!(host.stat("wasm.L.vm_reload_success"), Some(2));
    Ok(())
}

#[test]
fn services_and_access_loggers_call_clusters() -> Tested {
    let headers = list(&[(":method", "GET"), (":path", "/"), (":authority", "a")]);
    let call = format!(
        "(call $say (call $http_call s(authz) {headers} s() s() (i32.const 1000) (i32.const 24)))"
    );
    let answered = "(call $tell (call $get_header_map_value (i32.const 6) s(:status) ret))";
    let service = guest()
        .on(
            "configure",
            "(drop (call $set_tick_period_milliseconds (i32.const 100))) i32.const 1",
        )
        .on("tick", &call)
        .on("http_call_response", answered);
    let logger = guest().on("log", &call).on("http_call_response", answered);
    let mut host = Host::builder()
        .access_logger(logger.plugin("logger"))
        .singleton_service(service.plugin("service"))
        .cluster("authz", |_: &UpstreamRequest| Response::ok())
        .start()?;
    host.advance(Duration::from_millis(100))?;
    assert_eq!(said(host.log()), ["0", "0", "200"]);
    host.send(Request::get("/"))?;
    assert_eq!(said(&host.log()[3..]), ["0", "0", "200"]);
    Ok(())
}
