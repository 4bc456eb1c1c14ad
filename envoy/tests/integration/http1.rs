use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use attache_envoy::http1::{Error, Header, Limits, Response, exchange, exchange_within};

const LIMIT: Duration = Duration::from_secs(10);
const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// A server for one connection, which returns what it received.
fn server(
    serve: impl FnOnce(&mut TcpStream) -> Vec<u8> + Send + 'static,
) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (
        address,
        thread::spawn(move || serve(&mut listener.accept().unwrap().0)),
    )
}

fn receive(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut received = vec![0; length];
    stream.read_exact(&mut received).unwrap();
    received
}

/// What a client makes of this answer.
fn answered(request: &'static [u8], answer: &'static [u8]) -> Result<Response, Error> {
    let (address, _) = server(move |stream| {
        let received = receive(stream, request.len());
        stream.write_all(answer).unwrap();
        received
    });
    exchange(address, request, LIMIT)
}

#[test]
fn a_request_is_sent_byte_for_byte() {
    let request = b"GET /a|b HTTP/1.1\r\nHOST:x\r\nAuthorization: 1\r\nauthorization:\t2\r\nx-fold: a\r\n b\r\nx-raw: \xff\xfe\r\n\r\n";
    let (address, server) = server(move |stream| {
        let received = receive(stream, request.len());
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .unwrap();
        received
    });
    assert_eq!(exchange(address, request, LIMIT).unwrap().status, 204);
    assert_eq!(server.join().unwrap(), request);
}

#[test]
fn headers_keep_their_case_their_order_and_their_bytes() {
    let answer =
        b"HTTP/1.1 299 Odd Thing\r\nX-B: 1\r\nx-a:  \xc3\x28 \r\nx-b:\r\ncontent-length: 0\r\n\r\n";
    let response = answered(GET, answer).unwrap();
    assert_eq!(
        (
            response.status,
            response.reason.as_str(),
            response.minor_version
        ),
        (299, "Odd Thing", 1)
    );
    let expected = [
        Header::new("X-B", "1"),
        Header::new("x-a", b"\xc3\x28".to_vec()),
        Header::new("x-b", ""),
        Header::new("content-length", "0"),
    ];
    assert_eq!(response.headers, expected);
    assert_eq!(response.header("X-b").collect::<Vec<_>>(), [&b"1"[..], b""]);
}

#[test]
fn chunks_are_joined_and_trailers_kept() {
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT-One: 1\r\nt-two: 2\r\n\r\n";
    let response = answered(GET, answer).unwrap();
    assert_eq!(response.text(), "abc0123456789");
    assert_eq!(
        response.trailers,
        [Header::new("T-One", "1"), Header::new("t-two", "2")]
    );
}

#[test]
fn without_a_length_the_body_lasts_until_the_close() {
    let response = answered(GET, b"HTTP/1.0 200 OK\r\n\r\nall of it").unwrap();
    assert_eq!(
        (response.text().as_str(), response.minor_version),
        ("all of it", 0)
    );
}

#[test]
fn an_answer_to_head_has_no_body() {
    let response = answered(
        b"HEAD / HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
    )
    .unwrap();
    assert_eq!(response.text(), "");
}

#[test]
fn interim_answers_are_left_out() {
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    assert_eq!(answered(GET, answer).unwrap().text(), "ok");
}

#[test]
fn an_answer_that_is_cut_off_is_returned_as_far_as_it_came() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
    ] {
        let Err(Error::Truncated { received }) = answered(GET, answer) else {
            panic!("not truncated: {}", answer.escape_ascii());
        };
        assert_eq!(received.text(), "half");
    }
    assert!(matches!(answered(GET, b""), Err(Error::Closed)));
    assert!(matches!(
        answered(GET, b"HTTP/1.1 200"),
        Err(Error::Truncated { .. })
    ));
}

#[test]
fn what_is_not_http_is_refused() {
    assert!(matches!(
        answered(GET, b"SSH-2.0-OpenSSH\r\n"),
        Err(Error::Syntax(_))
    ));
    let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n";
    assert!(matches!(answered(GET, answer), Err(Error::Syntax(_))));
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
    assert!(matches!(answered(GET, answer), Err(Error::Length { .. })));
}

#[test]
fn an_answer_may_not_be_longer_than_the_limits() {
    let within = |answer: &'static [u8]| {
        let (address, _) = server(move |stream| {
            let received = receive(stream, GET.len());
            stream.write_all(answer).unwrap();
            received
        });
        exchange_within(address, GET, LIMIT, Limits { head: 64, body: 4 })
    };
    assert_eq!(
        within(b"HTTP/1.1 200 OK\r\n\r\nfour").unwrap().text(),
        "four"
    );
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfives"[..],
        b"HTTP/1.1 200 OK\r\n\r\nfives",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    ] {
        assert!(matches!(
            within(answer),
            Err(Error::TooLong {
                what: "body",
                limit: 4
            })
        ));
    }
    let long =
        b"HTTP/1.1 200 OK\r\nx: 0123456789012345678901234567890123456789012345678901234567890123";
    assert!(matches!(
        within(long),
        Err(Error::TooLong {
            what: "head",
            limit: 64
        })
    ));
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_longer_than_told() {
    let (address, server) = server(|stream| {
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        received
    });
    let error = exchange(address, GET, Duration::from_millis(100)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the answer was not complete within 100 ms"
    );
    assert_eq!(server.join().unwrap(), GET);
}

#[test]
fn an_answer_that_comes_before_the_whole_request_is_read_is_returned() {
    let (address, _) = server(|stream| {
        let received = receive(stream, 10);
        stream
            .write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        // Open, but read no further, until the client has gone.
        thread::sleep(Duration::from_millis(300));
        received
    });
    let request = vec![b'x'; 32 << 20];
    assert_eq!(exchange(address, &request, LIMIT).unwrap().status, 413);
}

#[test]
fn a_closed_port_is_named() {
    let error = exchange("127.0.0.1:1".parse().unwrap(), GET, LIMIT).unwrap_err();
    assert_eq!(error.to_string(), "cannot connect to `127.0.0.1:1`");
}
