//! Whatever a client sends and an operator writes: no trap, no endless work, and the same counts however a
//! body is cut. Seeded, so that a failure comes again.

use attache_harness::{Host, HostError, Request, Response, plugin};
use fastrand::Rng;
use serde_json::{Value, json};

/// More than any request here needs.
const FUEL: u64 = 5_000_000;

/// Bytes that mean something somewhere.
fn bytes(rng: &mut Rng, most: usize) -> Vec<u8> {
    const PIECES: [&[u8]; 16] = [
        b"/",
        b"users",
        b"{id}",
        b";",
        b"=",
        b"\"",
        b"\\",
        b"\xff\xfe",
        b"a",
        b"_rq_200",
        b"__overflow__",
        b"..",
        b"%2F",
        b"caf\xc3\xa9",
        b"?",
        b",",
    ];
    let count = rng.usize(0..=most);
    (0..count)
        .flat_map(|_| rng.choice(PIECES).unwrap_or_default().to_vec())
        .collect()
}

fn word<'w>(rng: &mut Rng, words: &[&'w str]) -> &'w str {
    rng.choice(words).copied().unwrap_or_default()
}

/// Something like a configuration; about half of them are accepted.
fn configuration(rng: &mut Rng) -> Value {
    let expressions = [
        "request.method",
        "request.path",
        "request.headers['x-a']",
        "response.code",
        "response.flags",
        "response.headers['x-b']",
        "connection.mtls",
        "request.duration",
        "'text;=\"'",
        "7",
        "xds.node.metadata.a.b",
        "filter_state['wasm.x']",
        "path_template",
        "upstream.address",
        "nothing",
    ];
    let names = [
        "requests_total",
        "request_bytes",
        "response_bytes",
        "own",
        "request_messages_total",
    ];
    let labels = ["a", "b", "response_code", "reporter", "destination_service"];
    let mut metrics = Vec::new();
    for _ in 0..rng.usize(0..3) {
        metrics.push(match rng.usize(0..4) {
            0 => json!({"name": word(rng, &names), "drop": true}),
            1 => json!({"tags_to_remove": [word(rng, &labels)]}),
            2 => json!({"overrides": {word(rng, &labels): word(rng, &expressions)}}),
            _ => json!({
                "name": word(rng, &names),
                "dimensions": {word(rng, &labels): word(rng, &expressions)},
            }),
        });
    }
    let mut configuration = json!({
        "metrics": metrics,
        "grpc": {"message_counts": rng.bool(), "status": rng.bool()},
        "response_code_class": rng.bool(),
        "cardinality": {
            "max_series": rng.usize(1..60),
            "max_label_length": rng.usize(8..200),
            "on_overflow": word(rng, &["overflow_series", "drop"]),
        },
        "reporter": word(rng, &["auto", "source", "destination"]),
    });
    if rng.bool() {
        configuration["definitions"] = json!([{
            "name": "own",
            "type": word(rng, &["COUNTER", "GAUGE", "HISTOGRAM"]),
            "value": word(rng, &["response.size", "request.duration", "response.backend_latency", "3"]),
        }]);
    }
    if rng.bool() {
        configuration["path_templates"] = json!({
            "templates": ["/users/{id}", "/{rest...}"],
            "on_miss": {"action": word(rng, &["emit", "drop"])},
        });
    }
    if rng.u8(..) < 40 {
        configuration["host_header"] = json!({"allow": ["example.com"]});
    }
    configuration
}

fn request(rng: &mut Rng) -> Request {
    let method = word(rng, &["GET", "POST", "BREW", "HEAD"]);
    let mut path = b"/".to_vec();
    path.extend(
        bytes(rng, 6)
            .into_iter()
            .filter(|byte| !matches!(byte, b'#')),
    );
    let mut request = Request::new(method, path);
    for name in ["x-a", "x-b", "content-type", "host"] {
        if rng.bool() {
            request = request.header(name, bytes(rng, 4));
        }
    }
    if rng.bool() {
        request = request.header("content-type", "application/grpc");
    }
    if method == "POST" {
        for _ in 0..rng.usize(1..4) {
            let chunk: Vec<u8> = (0..rng.usize(1..20)).map(|_| rng.u8(0..3)).collect();
            request = request.chunk(chunk);
        }
    }
    request
}

#[test]
fn any_configuration_that_is_accepted_counts_any_request() -> Result<(), HostError> {
    let mut rng = Rng::with_seed(7);
    let mut accepted = 0;
    for _ in 0..60 {
        let configuration = configuration(&mut rng);
        let mut host = match Host::with(plugin!("metrics").config(configuration.clone())) {
            Ok(host) => host,
            Err(HostError::Start { source, .. }) => {
                assert!(
                    source.to_string().contains("configuration refused: path="),
                    "{source}"
                );
                continue;
            }
            Err(other) => return Err(other),
        };
        accepted += 1;
        for _ in 0..8 {
            let request = request(&mut rng);
            let body: Vec<u8> = (0..rng.usize(0..30)).map(|_| rng.u8(0..2)).collect();
            host.upstream(move |_| Response::new(200).chunk(body.clone()));
            let exchange = host.send(request)?;
            assert!(
                exchange.cost().fuel < FUEL,
                "{configuration}: {}",
                exchange.cost().fuel
            );
        }
    }
    assert!(accepted > 15, "{accepted}");
    Ok(())
}

#[test]
fn any_chunking_counts_the_same_messages() -> Result<(), HostError> {
    let configuration = r#"{"grpc": {"message_counts": true}}"#;
    let mut rng = Rng::with_seed(11);
    for _ in 0..10 {
        let body: Vec<u8> = (0..rng.usize(1..200)).map(|_| rng.u8(0..2)).collect();
        let mut counts = Vec::new();
        for pieces in 1..6 {
            let mut host = Host::with(plugin!("metrics").config(configuration))?;
            let mut request = Request::post("/").header("content-type", "application/grpc");
            let mut answer = Response::new(200).header("content-type", "application/grpc");
            let size = body.len().div_ceil(pieces * pieces);
            for piece in body.chunks(size) {
                request = request.chunk(piece);
                answer = answer.chunk(piece);
            }
            host.upstream(move |_| answer.clone());
            host.send(request)?;
            let counted = host
                .counters()
                .filter(|(name, _)| name.windows(14).any(|part| part == b"messages_total"));
            let mut counted: Vec<(Vec<u8>, u64)> = counted
                .map(|(name, count)| (name.to_vec(), count))
                .collect();
            counted.sort_unstable();
            counts.push(counted);
        }
        assert!(
            counts.windows(2).all(|pair| pair[0] == pair[1]),
            "{counts:?}"
        );
    }
    Ok(())
}
