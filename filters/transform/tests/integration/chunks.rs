//! However the network cuts a body, what goes on is the same; and whatever it says, the work has a bound.

use attache_harness::{Exchange, Host, HostError, Request, plugin};

const HELD: &str = r#"{"request": {"body": {"hold_headers": true}, "rules": [{"steps": [
    {"op": "replace", "body": "/user/role", "value": "guest"},
    {"op": "copy", "from": {"body": "/n"}, "to": {"header": "x-n"}}]}]}}"#;
const SENT: &str = r#"{"request": {"rules": [{"steps": [
    {"op": "replace", "body": "/user/role", "value": "guest"}]}]}}"#;

const BODIES: [&[u8]; 5] = [
    br#"{"user": {"role": "admin"}, "n": 12345678901234567890}"#,
    b"\xef\xbb\xbf{\"user\": {\"role\": \"\xc3\xa9\\ud83d\"}, \"user\": {\"role\": 1}}",
    br#"{"user": {"role": "admin"}, "n": }"#,
    b"\xff\xfe{",
    b"",
];

fn host(configuration: &str) -> Result<Host, HostError> {
    let plugin = plugin!("transform")
        .config(configuration)
        .allow_on_headers_stop_iteration();
    Host::with(plugin)
}

fn sent(host: &mut Host, body: &[u8], cuts: &[usize]) -> Result<Exchange, HostError> {
    let mut request = Request::post("/").header("content-type", "application/json");
    let mut rest = body;
    for cut in cuts {
        let (piece, behind) = rest.split_at((*cut).min(rest.len()));
        request = request.chunk(piece);
        rest = behind;
    }
    host.send(request.chunk(rest))
}

/// What reached the upstream.
fn seen(exchange: &Exchange) -> (Vec<u8>, Option<Vec<u8>>) {
    let request = exchange.upstream_request();
    let header = request.headers().get("x-n").map(<[u8]>::to_vec);
    (request.body().to_vec(), header)
}

#[test]
fn cuts_do_not_matter() -> Result<(), HostError> {
    // A congruential generator: other cuts each time, and the same in each run.
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 24).unwrap_or(0)
    };
    for configuration in [HELD, SENT] {
        let mut host = host(configuration)?;
        for body in BODIES {
            let whole = seen(&sent(&mut host, body, &[])?);
            let bytes = vec![1; body.len()];
            assert_eq!(seen(&sent(&mut host, body, &bytes)?), whole);
            for _ in 0..5 {
                let cuts = [next() % 20, next() % 9, next() % 30];
                assert_eq!(seen(&sent(&mut host, body, &cuts)?), whole, "{cuts:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn work_has_a_bound_whatever_the_body_says() -> Result<(), HostError> {
    let doubling = "[@,@][]|".repeat(60) + "@";
    let configuration = format!(
        r#"{{"failure_mode": "deny", "request": {{"body": {{"hold_headers": true}}, "rules": [{{"steps": [
            {{"op": "select", "body_jmespath": "{doubling}"}}]}}]}}}}"#
    );
    let mut host = host(&configuration)?;
    for body in [&b"1"[..], &[b"[".repeat(100), b"]".repeat(100)].concat()] {
        let exchange = sent(&mut host, body, &[])?;
        assert_eq!(exchange.response().status(), 400);
        let fuel = exchange.cost().fuel;
        assert!(fuel < 3_000_000_000, "{fuel}");
    }
    Ok(())
}

#[test]
fn a_thousand_streams_leave_nothing_behind() -> Result<(), HostError> {
    let mut host = host(HELD)?;
    let first = sent(&mut host, BODIES[0], &[])?.cost().fuel;
    for _ in 0..1_000 {
        sent(&mut host, BODIES[0], &[])?;
    }
    // A leak would make the allocator's search longer and longer.
    let last = sent(&mut host, BODIES[0], &[])?.cost().fuel;
    assert!(last <= first + first / 10, "{first} grew to {last}");
    Ok(())
}
