use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use attache_harness::{Budget, Host, HostError, Request};
use serde_json::json;

use crate::guest::{Guest, guest, said};

type Tested = Result<(), HostError>;

/// Two host calls that copy `:path` and `/` or more.
fn reads() -> Guest {
    guest().on(
        "request_headers",
        "(drop (call $get_header_map_value (i32.const 0) s(:path) ret))
         (call $text s(seen)) i32.const 0",
    )
}

#[test]
fn a_stream_over_its_budget_fails_with_each_figure_and_the_timeline() -> Tested {
    let exchange = reads().host().send(Request::get("/"))?;
    assert_eq!(
        (exchange.cost().crossings, exchange.cost().bytes_copied),
        (2, 10),
        "the callback and the allocator; `:path`, `/` and `seen`"
    );
    assert_eq!(exchange.cost().host_calls, 2);
    exchange.assert_within(&Budget::new().host_calls(2).crossings(2).bytes_copied(10));
    let tight = Budget::new().host_calls(1).crossings(2).fuel(1);
    let panic = catch_unwind(AssertUnwindSafe(|| exchange.assert_within(&tight)))
        .expect_err("two figures are over");
    let message = panic.downcast_ref::<String>().expect("a message");
    let expected = format!(
        "over budget: {} fuel of 1, 2 host calls of 1\n",
        exchange.cost().fuel
    );
    assert!(message.starts_with(&expected), "{message}");
    assert!(message.contains("proxy_log(2, \"seen\")"), "{message}");
    Ok(())
}

#[test]
fn a_host_holds_every_stream_to_its_budget() -> Tested {
    let host = |calls| {
        Host::builder()
            .plugin(reads().plugin("guest"))
            .budget(Budget::new().host_calls(calls))
            .start()
    };
    assert_eq!(host(2)?.send(Request::get("/"))?.response().status(), 200);
    let error = host(1)?.send(Request::get("/")).expect_err("over budget");
    assert!(
        error
            .to_string()
            .starts_with("over budget: 2 host calls of 1\n"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_vm_may_not_grow_over_the_memory_limit() -> Tested {
    let grows = guest().on(
        "request_headers",
        "(call $say (memory.grow (i32.const 1))) i32.const 0",
    );
    let mut host = Host::builder()
        .plugin(grows.plugin("guest"))
        .memory_limit(3 << 16)
        .start()?;
    assert_eq!(host.memory("guest"), Some(2 << 16));
    assert_eq!(said(host.send(Request::get("/"))?.log()), ["2"]);
    assert_eq!(host.memory("guest"), Some(3 << 16));
    let error = host.send(Request::get("/")).expect_err("a fourth page");
    assert!(
        error.to_string().starts_with(
            "the VM of plugin `guest` wants 262144 bytes of memory, over the limit of 196608"
        ),
        "{error}"
    );
    assert_eq!(host.memory("nobody"), None);
    Ok(())
}

#[test]
fn growth_names_what_streams_leave_behind() -> Tested {
    let leaks = guest().with("(global $n (mut i32) (i32.const 0))").on(
        "request_headers",
        "(drop (memory.grow (i32.const 1)))
             (global.set $n (i32.add (global.get $n) (i32.const 1)))
             (i32.store (i32.const 40) (global.get $n))
             (drop (call $set_shared_data (i32.const 40) (i32.const 4) s(v) (i32.const 0)))
             (drop (call $define_metric (i32.const 0) s(n) (i32.const 24)))
             i32.const 1",
    );
    let growth = leaks.host().growth(10, |_| Request::get("/"))?;
    assert!(!growth.is_none());
    assert_eq!(
        growth.to_string(),
        "over 10 streams the host grew by 655360 bytes of memory, 10 contexts, 10 metric ids, \
         10 keys of shared data, 10 open streams"
    );
    let panic = catch_unwind(|| growth.assert_none()).expect_err("it grew");
    assert!(
        panic
            .downcast_ref::<String>()
            .is_some_and(|text| text.starts_with("over 10"))
    );
    Ok(())
}

#[test]
fn streams_that_end_leave_nothing_behind() -> Tested {
    let growth = reads()
        .host()
        .growth(1000, |number| Request::get(format!("/{number}")))?;
    growth.assert_none();
    assert_eq!(
        growth.to_string(),
        "over 1000 streams the host grew by nothing"
    );
    Ok(())
}

#[test]
fn a_timer_that_each_stream_sets_anew_is_no_growth() -> Tested {
    let ticks = guest().on(
        "request_headers",
        "(drop (call $set_tick_period_milliseconds (i32.const 10))) i32.const 0",
    );
    let mut host = ticks.host();
    host.growth(10, |_| Request::get("/"))?.assert_none();
    host.advance(Duration::from_secs(1))?;
    Ok(())
}

#[test]
fn a_timeline_is_json_with_text_where_bytes_are_text() -> Tested {
    let guest = guest().on(
        "request_headers",
        "(drop (call $get_header_map_value (i32.const 0) s(x-odd) ret))
         (drop (call $get_header_map_value (i32.const 9) s(x) ret)) i32.const 0",
    );
    let exchange = guest
        .host()
        .send(Request::get("/").header("x-odd", b"\xff"))?;
    let shown = exchange.to_json();
    assert_eq!(
        shown["timeline"]["events"].as_array().expect("events")[..4],
        [
            json!({ "event": "callback", "plugin": "guest", "name": "proxy_on_request_headers",
                    "arguments": [2, 7, 1] }),
            json!({ "event": "host_call", "name": "proxy_get_header_map_value",
                    "arguments": [0, "x-odd"], "status": { "code": 0, "name": "Ok" },
                    "returned": { "base64": "/w==" } }),
            json!({ "event": "host_call", "name": "proxy_get_header_map_value",
                    "arguments": [9], "status": { "code": 2, "name": "BadArgument" } }),
            json!({ "event": "returned", "name": "proxy_on_request_headers", "result": 0 }),
        ]
    );
    assert_eq!(shown["version"], 1);
    assert_eq!(shown["timeline"], exchange.timeline().to_json());
    assert_eq!(shown["outcome"], "completed");
    assert_eq!(
        shown["upstream_request"]["headers"][0],
        json!([":authority", "example.com"])
    );
    assert_eq!(shown["response"]["body"], "");
    assert_eq!(shown["local_reply"], json!(null));
    assert_eq!(shown["cost"]["host_calls"], 2);
    Ok(())
}

#[test]
fn a_flood_of_host_calls_is_kept_in_part() -> Tested {
    // 1,001 callbacks that log 128 KiB each.
    let floods = guest().on(
        "request_body",
        "(call $text (i32.const 0) (i32.const 65536)) (call $text (i32.const 0) (i32.const 65536))
         i32.const 0",
    );
    let mut request = Request::post("/");
    for _ in 0..1000 {
        request = request.chunk("x");
    }
    let mut host = floods.host();
    let exchange = host.send(request)?;
    assert_eq!(exchange.cost().host_calls, 2002, "counted all the same");
    assert!(exchange.timeline().dropped() > 0);
    let kept: usize = host.log().iter().map(|line| line.message.len()).sum();
    assert!(kept <= 65 << 20, "{kept}");
    assert!(
        host.log()
            .last()
            .is_some_and(|line| line.message.starts_with("the host keeps")),
        "it says so once"
    );
    let of_stream: usize = exchange.log().iter().map(|line| line.message.len()).sum();
    assert!((15 << 20..=16 << 20).contains(&of_stream), "{of_stream}");
    let next = host.send(Request::post("/").body("x"))?;
    assert_eq!(next.log().len(), 4, "each stream has its own");
    Ok(())
}

#[test]
fn connections_have_a_budget_as_streams_have() -> Tested {
    let talks = guest().on("downstream_data", "(call $text s(seen)) i32.const 0");
    let mut host = Host::builder()
        .tcp_chain("tcp", [talks.plugin("guest")])
        .budget(Budget::new().host_calls(0))
        .start()?;
    let id = host.connect()?;
    host.send_data(id, "x")?;
    let error = host.disconnect(id).expect_err("one call too many");
    assert!(
        error
            .to_string()
            .starts_with("over budget: 1 host calls of 0"),
        "{error}"
    );
    Ok(())
}
