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

/// A request as HTTP/1.1 has it.
pub(super) struct Wire {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// Those of the requests that are measured on a real Envoy.
pub(super) fn wires() -> [Wire; 3] {
    [
        wire("get", &browser(), ""),
        wire("credentials", &credentials(), ""),
        wire("post-json", &json(), &json_body()),
    ]
}

fn wire(name: &'static str, request: &Request, body: &str) -> Wire {
    let headers = request.headers();
    let pseudo = |name: &str| headers.get(name).unwrap_or_default();
    let line = [pseudo(":method"), b" ", pseudo(":path"), b" HTTP/1.1\r\n"];
    let mut bytes = line.concat();
    bytes.extend_from_slice(b"host: example.com\r\n");
    let own = headers.iter().filter(|(name, _)| {
        !name.starts_with(b":") && *name != b"host" && *name != b"content-length"
    });
    for (name, value) in own {
        bytes.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
    }
    if !body.is_empty() {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body.as_bytes());
    Wire { name, bytes }
}

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
    headers(Request::post("/orders"))
        .header("content-type", "application/json")
        .body(json_body())
}

fn json_body() -> String {
    let items: Vec<String> = (0..40)
        .map(|number| format!(r#"{{"id":{number},"name":"item {number}","price":9.5}}"#))
        .collect();
    format!(r#"{{"customer":"ada","items":[{}]}}"#, items.join(","))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_to_envoy_are_whole_messages() {
        for Wire { name, bytes } in wires() {
            let text = String::from_utf8(bytes).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let start = match name {
                "post-json" => "POST /orders HTTP/1.1\r\nhost: ",
                _ => "GET /orders?page=2&",
            };
            assert!(head.starts_with(start), "{text}");
            assert_eq!(head.matches("\r\nhost: ").count(), 1, "{text}");
            let length = format!("content-length: {}", body.len());
            assert_eq!(head.contains(&length), !body.is_empty(), "{text}");
        }
    }
}
