//! Counted, so the same on every machine. `bench/` prints the figures of these.

use attache_harness::{Exchange, Host, HostError, Request, plugin};

fn calls(exchange: &Exchange) -> Vec<&'static str> {
    exchange.host_calls().iter().map(|call| call.name).collect()
}

#[test]
fn a_request_without_credentials_is_counted_read_once_and_not_written() -> Result<(), HostError> {
    let mut host = Host::with(plugin!("auth-scrub"))?;
    // The first request makes the counters.
    host.send(Request::get("/").header("authorization", "1"))?;
    let exchange = host.send(Request::get("/orders?page=2").header("accept", "*/*"))?;
    assert_eq!(
        calls(&exchange),
        ["proxy_increment_metric", "proxy_get_header_map_pairs"]
    );
    Ok(())
}

#[test]
fn each_name_that_goes_costs_one_call_however_often_it_stands_there() -> Result<(), HostError> {
    let mut host = Host::with(plugin!("auth-scrub"))?;
    let request = Request::get("/?key=1&key=2")
        .header("x-api-key", "1")
        .header("x-api-key", "2")
        .header("authorization", "3");
    host.send(Request::get("/").header("authorization", "1"))?;
    let exchange = host.send(request)?;
    assert_eq!(
        calls(&exchange),
        [
            "proxy_increment_metric",
            "proxy_get_header_map_pairs",
            "proxy_increment_metric",
            "proxy_replace_header_map_value",
            "proxy_remove_header_map_value",
            "proxy_remove_header_map_value",
        ]
    );
    Ok(())
}

#[test]
fn a_stream_is_four_callbacks() -> Result<(), HostError> {
    let mut host = Host::with(plugin!("auth-scrub"))?;
    let exchange = host.send(Request::post("/").body("x"))?;
    assert_eq!(
        exchange.timeline().callbacks(),
        [
            "auth-scrub:proxy_on_context_create",
            "auth-scrub:proxy_on_request_headers",
            "auth-scrub:proxy_on_response_headers",
            "auth-scrub:proxy_on_delete",
        ]
    );
    Ok(())
}

#[test]
fn ten_thousand_streams_leave_nothing_behind() -> Result<(), HostError> {
    let mut host = Host::with(plugin!("auth-scrub"))?;
    let request = || Request::get("/?token=x").header("authorization", "Bearer x");
    let first = host.send(request())?.cost().fuel;
    for _ in 0..10_000 {
        host.send(request())?;
    }
    // A leak would make the allocator's search longer and longer.
    let last = host.send(request())?.cost().fuel;
    assert!(last <= first + first / 10, "{first} grew to {last}");
    Ok(())
}

#[test]
fn work_grows_with_the_request_and_no_faster() -> Result<(), HostError> {
    let mut host = Host::with(plugin!("auth-scrub"))?;
    let mut fuel = |count: usize| -> Result<u64, HostError> {
        let mut request = Request::get(format!("/?{}", "a=1&token=x;b=2&".repeat(count)));
        for number in 0..count {
            request = request.header(format!("x-{number}"), "v");
        }
        Ok(host.send(request)?.cost().fuel)
    };
    let (small, large) = (fuel(20)?, fuel(200)?);
    assert!(
        large < 14 * small,
        "ten times the request: {small} became {large}"
    );
    Ok(())
}
