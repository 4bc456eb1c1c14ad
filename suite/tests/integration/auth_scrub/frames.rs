//! HTTP/2 as no client sends it, frame by frame. Whether Envoy refuses it or passes it on, the secret stays
//! behind.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;

use super::chain::{chain, configured};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;

/// `:status: 200` is the eighth entry of the static table (RFC 7541, appendix A).
const STATUS_200: u8 = 0x88;

/// The pseudo headers that a request has.
const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "a"),
    (":path", "/x"),
];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A string without Huffman coding (RFC 7541, 5.2).
fn string(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match text.len() {
        short @ 0..127 => bytes.push(u8::try_from(short).unwrap()),
        long => {
            bytes.push(127);
            let mut rest = long - 127;
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).unwrap());
        }
    }
    bytes.extend(text);
    bytes
}

/// Each header by its letters, none by an index (RFC 7541, 6.2.2).
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let literal = |(name, value): &(&str, &str)| {
        [vec![0], string(name.as_bytes()), string(value.as_bytes())].concat()
    };
    headers.iter().flat_map(literal).collect()
}

/// A request that ends with its headers.
fn head(headers: &[(&str, &str)]) -> Vec<u8> {
    let block = block(headers);
    let mut pieces = block.chunks(16_000).peekable();
    let mut frames = Vec::new();
    let mut kind = HEADERS;
    while let Some(piece) = pieces.next() {
        let ends = if pieces.peek().is_none() {
            END_HEADERS
        } else {
            0
        };
        let last = if kind == HEADERS { END_STREAM } else { 0 };
        frames.extend(frame(kind, ends | last, 1, piece));
        kind = CONTINUATION;
    }
    frames
}

fn get(more: &[(&str, &str)]) -> Vec<u8> {
    head(&[&GET[..], more].concat())
}

/// A request with trailers.
fn with_trailers(trailers: &[(&str, &str)]) -> Vec<u8> {
    [
        frame(HEADERS, END_HEADERS, 1, &block(&GET)),
        frame(DATA, 0, 1, b"body"),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(trailers)),
    ]
    .concat()
}

/// Whether the request is answered with 200.
fn is_answered(address: SocketAddr, frames: &[u8]) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let all = [preface, &frame(SETTINGS, 0, 0, b"")[..], frames].concat();
    // Envoy may have had enough before it has read all.
    let _ = stream.write_all(&all);
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).is_err() {
            return false;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        if stream.read_exact(&mut payload).is_err() {
            return false;
        }
        match head[3] {
            HEADERS => return payload.first() == Some(&STATUS_200),
            RST_STREAM | GOAWAY => return false,
            _ => {}
        }
    }
}

#[test]
#[ignore = "needs Envoy"]
fn no_frame_of_http2_brings_a_credential_through() {
    let rules = json!({"rules": [{
        "request": {"defaults": true, "cookies": [{"name": "session", "action": "remove"}]},
    }]});
    let chain = chain("scrub-frames", &[configured(&rules)]);
    let secret = ("authorization", "Bearer hunter2");
    let fillers: Vec<String> = (0..5_000).map(|number| format!("x-{number}")).collect();
    let filled = |count: usize| {
        let mut headers: Vec<(&str, &str)> = GET.to_vec();
        headers.extend(fillers.iter().take(count).map(|name| (&name[..], "1")));
        headers.push(secret);
        head(&headers)
    };
    let large = "x".repeat(20_000);
    let padded = {
        let mut payload = vec![7];
        payload.extend(block(&[&GET[..], &[secret]].concat()));
        payload.extend([0; 7]);
        frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &payload)
    };
    let passed = [
        get(&[secret]),
        get(&[secret, secret, ("authorization", "")]),
        get(&[
            ("cookie", "a=1"),
            ("cookie", "session=hunter2"),
            ("cookie", "b=2"),
        ]),
        get(&[
            ("cookie", "a=1;session=hunter2"),
            ("cookie", "session=hunter2"),
        ]),
        get(&[("x_api_key", "hunter2"), ("x.api.key", "hunter2")]),
        head(&[GET[0], GET[1], GET[2], (":path", "/x?token=hunter2&a=1")]),
        get(&[("x-pad", &large), secret]),
        get(&[("x-forwarded-host", "user:hunter2@b"), ("te", "trailers")]),
        get(&[("cookie", "=session=hunter2"), ("cookie", "a=1")]),
        filled(80),
        padded,
        with_trailers(&[
            secret,
            ("cookie", "session=hunter2"),
            ("x_api_key", "hunter2"),
        ]),
    ];
    let refused = [
        get(&[("Authorization", "hunter2")]),
        get(&[("AUTHORIZATION", "hunter2")]),
        get(&[(":path", "/x?token=hunter2")]),
        get(&[(":authority", "hunter2")]),
        get(&[(":authorization", "hunter2")]),
        get(&[("", "hunter2")]),
        get(&[("authorization ", "hunter2")]),
        get(&[("authorization:", "hunter2")]),
        get(&[("x-a", "1\r\nauthorization: hunter2")]),
        get(&[("x-a\r\nauthorization", "hunter2")]),
        get(&[("connection", "authorization"), secret]),
        get(&[("transfer-encoding", "chunked"), secret]),
        head(&[GET[0], GET[1], ("host", "a"), GET[3], secret]),
        head(&[secret, GET[0], GET[1], GET[2], GET[3]]),
        head(&[GET[0], GET[1], GET[2], secret]),
        filled(5_000),
        with_trailers(&[(":path", "/x?token=hunter2"), secret]),
    ];
    let mut wrong = Vec::new();
    for (index, (frames, expected)) in passed
        .iter()
        .map(|frames| (frames, true))
        .chain(refused.iter().map(|frames| (frames, false)))
        .enumerate()
    {
        if is_answered(chain.address, frames) != expected {
            wrong.push(index);
        }
        for received in chain.upstream.take() {
            let text = received.to_text().escape_ascii().to_string();
            assert!(!text.contains("hunter2"), "{index} became {text}");
        }
    }
    assert!(wrong.is_empty(), "answered otherwise: {wrong:?}");
    chain.envoy.stop().unwrap();
}
