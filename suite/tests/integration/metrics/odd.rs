//! Exchanges that a suite has no words for, on Envoy: each counts once.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use attache_envoy::{Envoy, StartOptions};

use super::{LIMIT, parsed, scraped};
use crate::both::{envoy, folder, until};
use crate::envoy_configs::bootstrap;

/// Reads the head of a message.
fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).unwrap()
}

/// An upstream that answers by the path, one request a connection.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Lives as long as the test's process.
    thread::spawn(move || {
        let mut tries = 0;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head = head(&mut stream);
            let mut say = |text: &str| stream.write_all(text.as_bytes()).unwrap();
            match head.split(' ').nth(1).unwrap_or_default() {
                "/hints" => {
                    say("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
                    say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                }
                "/again" => {
                    tries += 1;
                    // The first two are lost without an answer.
                    if tries == 3 {
                        say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    }
                }
                "/socket" => {
                    say(
                        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
                    );
                    let mut word = [0; 4];
                    stream.read_exact(&mut word).unwrap();
                    stream.write_all(&word).unwrap();
                }
                path => panic!("{path}"),
            }
        }
    });
    address
}

fn exchange(address: SocketAddr, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

#[test]
#[ignore = "needs Envoy"]
fn early_hints_retries_and_upgrades_count_once() {
    let folder = folder("metrics-odd");
    let config = bootstrap("metrics", upstream().port()).replace(
        "route: { cluster: upstream }",
        "route: { cluster: upstream, upgrade_configs: [{ upgrade_type: websocket }], \
         retry_policy: { retry_on: reset, num_retries: 5 } }",
    );
    let path = folder.join("envoy.yaml");
    std::fs::write(&path, config).unwrap();
    let envoy = Envoy::start(envoy(), &path, &folder, StartOptions::default())
        .unwrap_or_else(|error| panic!("{error}"));
    let address = envoy.listener_address("http").unwrap();
    let counted = |envoy: &Envoy| -> Vec<(String, u64)> {
        let lines = scraped(envoy, "istio_requests_total");
        let each = lines.iter().map(|line| {
            let (labels, count) = parsed(line);
            let code = labels
                .iter()
                .find(|(name, _)| *name == "response_code")
                .unwrap();
            (code.1.to_owned(), count)
        });
        each.collect()
    };
    for path in ["/hints", "/again"] {
        let mut stream = exchange(address, path, "connection: close\r\n");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    until(|| counted(&envoy) == [("200".to_owned(), 2)]);
    assert_eq!(counted(&envoy), [("200".to_owned(), 2)]);

    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\n";
    let mut socket = exchange(address, "/socket", upgrade);
    assert!(head(&mut socket).starts_with("HTTP/1.1 101 "));
    // Nothing is counted while it is open.
    assert_eq!(counted(&envoy), [("200".to_owned(), 2)]);
    socket.write_all(b"ping").unwrap();
    let mut word = [0; 4];
    socket.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"ping");
    drop(socket);
    let all = [("101".to_owned(), 1), ("200".to_owned(), 2)];
    until(|| counted(&envoy) == all);
    assert_eq!(counted(&envoy), all);
}
