//! The requests that are measured where nobody gives a suite: what most proxies see most.

use attache_harness::{Request, Response};

/// A request, and what the upstream answers.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) request: fn() -> Request,
    pub(super) answer: fn() -> Response,
}

/// All of them. What one of these is must not change: numbers of an earlier version are compared with it.
pub(super) const SCENARIOS: [Scenario; 5] = [
    Scenario {
        name: "get",
        request: browser,
        answer: page,
    },
    Scenario {
        name: "credentials",
        request: credentials,
        answer: page,
    },
    Scenario {
        name: "post-json",
        request: json,
        answer: created,
    },
    Scenario {
        name: "stream",
        request: upload,
        answer: download,
    },
    Scenario {
        name: "error",
        request: browser,
        answer: unavailable,
    },
];

/// A piece of a body that streams.
const PIECE: [u8; 16 << 10] = [b'x'; 16 << 10];
const PIECES: usize = 4;

/// With ten headers and a query.
fn browser() -> Request {
    headers(Request::get("/orders?page=2&sort=date"))
}

fn headers(request: Request) -> Request {
    [
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0",
        ),
        (
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ),
        ("accept-language", "en-US,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br"),
        ("referer", "https://example.com/start"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "7b0f6a2e-4a5c-4a3c-9f63-0d3d0b0e9a11"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("x-tenant", "acme"),
    ]
    .into_iter()
    .fold(request, |request, (name, value)| {
        request.header(name, value)
    })
}

/// The same with one credential of each usual kind.
fn credentials() -> Request {
    headers(Request::get("/orders?page=2&access_token=demo"))
        .header("authorization", "Bearer demo-token")
        .header("x-api-key", "demo-key")
        .header("cookie", "session=demo; theme=dark; lang=en")
}

fn json() -> Request {
    let items: Vec<String> = (0..40)
        .map(|number| format!(r#"{{"id":{number},"name":"item {number}","price":9.5}}"#))
        .collect();
    let body = format!(r#"{{"customer":"ada","items":[{}]}}"#, items.join(","));
    headers(Request::post("/orders"))
        .header("content-type", "application/json")
        .body(body)
}

/// In pieces, with trailers.
fn upload() -> Request {
    let request =
        headers(Request::post("/upload")).header("content-type", "application/octet-stream");
    let request = (0..PIECES).fold(request, |request, _| request.chunk(PIECE));
    request.trailer("x-checksum", "0")
}

fn answer(status: u16) -> Response {
    [
        ("server", "upstream/1.0"),
        ("content-type", "application/json"),
        ("cache-control", "private, max-age=0"),
        ("etag", "\"33a64df5\""),
        ("set-cookie", "session=demo; Path=/; HttpOnly"),
        ("vary", "accept-encoding"),
    ]
    .into_iter()
    .fold(Response::new(status), |response, (name, value)| {
        response.header(name, value)
    })
}

fn page() -> Response {
    answer(200).body("x".repeat(1 << 10))
}

fn created() -> Response {
    answer(201).body(r#"{"id":17,"state":"accepted"}"#)
}

fn download() -> Response {
    let response = (0..PIECES).fold(answer(200), |response, _| response.chunk(PIECE));
    response.trailer("x-checksum", "0")
}

fn unavailable() -> Response {
    answer(503).body("no upstream\n")
}
