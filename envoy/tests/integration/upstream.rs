use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use attache_envoy::http1::{Header, exchange};
use attache_envoy::upstream::{Fault, Reply, Upstream, UpstreamError};

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_request_is_recorded_and_shown_as_it_was_sent() {
    let upstream = Upstream::echo().unwrap();
    let request = b"PUT /a?b=%20 HTTP/1.1\r\nHost: x\r\nX-Raw: \xff\r\nx-raw: 2\r\nContent-Length: 3\r\n\r\nabc";
    let response = exchange(upstream.address(), request, LIMIT).unwrap();
    let echo = b"PUT /a?b=%20 HTTP/1.1\nHost: x\nX-Raw: \xff\nx-raw: 2\nContent-Length: 3\n\nabc";
    assert_eq!(response.body, echo);
    assert_eq!(
        response.header("content-type").collect::<Vec<_>>(),
        [b"text/plain"]
    );

    let recorded = upstream.take().remove(0);
    assert_eq!(
        (&recorded.method[..], &recorded.target[..]),
        (&b"PUT"[..], &b"/a?b=%20"[..])
    );
    assert_eq!(
        recorded.header("x-raw").collect::<Vec<_>>(),
        [&b"\xff"[..], b"2"]
    );
    assert_eq!(recorded.to_text(), echo);
    assert!(recorded.complete && upstream.take().is_empty());
}

#[test]
fn requests_of_one_connection_are_answered_one_after_the_other() {
    let upstream = Upstream::start(|request| Reply::new(200).body(request.target.clone())).unwrap();
    let mut stream = TcpStream::connect(upstream.address()).unwrap();
    let chunked =
        b"POST /1 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nt: v\r\n\r\n";
    stream.write_all(chunked).unwrap();
    stream
        .write_all(b"GET /2 HTTP/1.1\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2);

    let recorded = upstream.wait_for(2, LIMIT).unwrap();
    assert_eq!(
        (&recorded[0].body[..], &recorded[0].trailers),
        (&b"hi"[..], &vec![Header::new("t", "v")])
    );
    assert_eq!((recorded[0].connection, recorded[1].connection), (0, 0));
}

#[test]
fn a_client_that_waits_to_continue_is_told_to() {
    let upstream = Upstream::echo().unwrap();
    let mut stream = TcpStream::connect(upstream.address()).unwrap();
    stream
        .write_all(b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        .unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hi").unwrap();
    assert_eq!(upstream.wait_for(1, LIMIT).unwrap()[0].body, b"hi");
}

#[test]
fn a_request_that_is_cut_off_is_recorded_as_incomplete() {
    let upstream = Upstream::echo().unwrap();
    let mut stream = TcpStream::connect(upstream.address()).unwrap();
    stream
        .write_all(b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf")
        .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let recorded = upstream.wait_for(1, LIMIT).unwrap().remove(0);
    assert_eq!(
        (&recorded.body[..], recorded.complete),
        (&b"half"[..], false)
    );
}

#[test]
fn what_is_not_http_is_answered_with_400() {
    let upstream = Upstream::echo().unwrap();
    let response = exchange(upstream.address(), b"\x01\x02\r\n\r\n", LIMIT).unwrap();
    assert_eq!(response.status, 400);
    assert!(upstream.take().is_empty());
}

#[test]
fn requests_that_do_not_come_are_counted() {
    let upstream = Upstream::echo().unwrap();
    let limit = Duration::from_millis(50);
    let Err(
        error @ UpstreamError::Missing {
            wanted: 2,
            received: 0,
            ..
        },
    ) = upstream.wait_for(2, limit)
    else {
        panic!("they came");
    };
    assert_eq!(error.to_string(), "0 of 2 requests arrived within 50 ms");
}

#[test]
fn a_dropped_upstream_closes_its_connections_and_its_port() {
    let upstream = Upstream::echo().unwrap();
    let address = upstream.address();
    let mut idle = TcpStream::connect(address).unwrap();
    exchange(address, b"GET / HTTP/1.1\r\n\r\n", LIMIT).unwrap();
    drop(upstream);
    assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0);
    assert!(TcpStream::connect(address).is_err());
}

/// A proxy that read the headers alone would answer its client, who may be gone before the rest comes.
#[cfg(feature = "http2")]
#[test]
fn the_first_piece_of_a_body_that_is_cut_goes_out_with_the_headers() {
    /// The preface with empty settings, and `GET /` on stream 1.
    const REQUEST: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
        \0\0\0\x04\0\0\0\0\0\
        \0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01x";
    const KINDS: [&[u8]; 2] = [b"\x01\x04\0\0\0\x01", b"\0\0\0\0\0\x01"];
    let upstream =
        Upstream::start_http2(|_| Reply::new(304).body(b"abc".to_vec()).fault(Fault::Cut)).unwrap();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(upstream.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(REQUEST).unwrap();
        let mut buffer = [0; 4096];
        loop {
            let read = stream.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "closed before an answer");
            let shows = |kind: &[u8]| buffer[..read].windows(kind.len()).any(|some| some == kind);
            if shows(KINDS[0]) {
                assert!(
                    shows(KINDS[1]),
                    "headers without the body: {:x?}",
                    &buffer[..read]
                );
                break;
            }
        }
    }
}
