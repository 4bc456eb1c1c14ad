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

/// Quotes that nothing ends, and claims of one token, of which there may be as many as fit into a header.
#[test]
fn work_does_not_grow_with_the_square_of_a_header() -> Result<(), HostError> {
    let configuration = r#"{"rules": [{"request": {
        "cookies": [{"name": "s", "action": "remove"}],
        "jwt": {"action": "strip_signature"}
    }}]}"#;
    let mut host = Host::with(plugin!("auth-scrub").config(configuration))?;
    for value in [
        "s=\"x;".repeat(10_000),
        "s=\"x;\";".repeat(7_000),
        "a,".repeat(30_000),
        "a s = ".repeat(10_000),
        "%c1%a1=\u{a0};".repeat(5_000),
    ] {
        let fuel = host
            .send(Request::get("/").header("cookie", value))?
            .cost()
            .fuel;
        assert!(fuel < 60_000_000, "{fuel}");
    }
    // `{"alg":"a","aaaa":1,"aaab":1,…`, as long as a token may be, and longer.
    for members in [600, 4_000] {
        let mut object = r#"{"alg":"a""#.to_owned();
        for member in 0..members {
            object.push_str(&format!(r#","{member:04}":1"#));
        }
        object.push('}');
        while !object.len().is_multiple_of(3) {
            object.push(' ');
        }
        let value = format!("Bearer {}.e30.c2ln", base64(object.as_bytes()));
        let exchange = host.send(Request::get("/").header("authorization", value))?;
        let fuel = exchange.cost().fuel;
        assert!(fuel < 60_000_000, "{fuel}");
        let is_token = exchange
            .upstream_request()
            .headers()
            .contains_key("authorization");
        assert_eq!(is_token, members == 600);
    }
    Ok(())
}

/// Of as many bytes as need no padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three
            .iter()
            .fold(0_usize, |bits, &byte| bits << 8 | usize::from(byte));
        text.extend([18, 12, 6, 0].map(|shift| char::from(LETTERS[bits >> shift & 63])));
    }
    text
}
