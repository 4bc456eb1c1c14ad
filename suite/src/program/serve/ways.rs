//! Where requests of filters and of clients go: servers of the user's, or one that shows what it received.

use std::net::SocketAddr;
use std::time::Instant;

use attache_envoy::http1::{self, Header};
use attache_harness::{Answer, Headers, Host, Response, UpstreamRequest};

use super::proxy::{Message, PATIENCE};

/// Servers by the names of their clusters.
#[derive(Clone, Debug, Default)]
pub(super) struct Ways {
    /// In the place of the upstream that answers with what it received.
    pub(super) upstream: Option<SocketAddr>,
    /// What filters call out to.
    pub(super) clusters: Vec<(String, SocketAddr)>,
}

impl Ways {
    pub(super) fn has(&self, cluster: &str) -> bool {
        self.clusters.iter().any(|(name, _)| name == cluster)
    }

    /// Has a host ask these servers.
    pub(super) fn lead(&self, host: &mut Host) {
        let to = |server: Option<SocketAddr>| {
            move |request: &UpstreamRequest| {
                let received = Received::new(request.headers(), request.body());
                match server {
                    Some(server) => answered(&received, server),
                    None => response(&echo(&received)),
                }
            }
        };
        host.upstream(to(self.upstream));
        for (name, server) in &self.clusters {
            host.cluster(name, Answer::with(to(Some(*server))));
        }
    }
}

/// What a server of the user's answers, after the time on the filters' clock that it took: what the filters and
/// the proxy have timeouts for.
fn answered(received: &Received, server: SocketAddr) -> Response {
    let begun = Instant::now();
    let answered = http1::exchange(server, &received.text(b"\r\n"), PATIENCE);
    let took = begun.elapsed();
    match answered {
        Ok(answered) => {
            let message = Message {
                status: answered.status,
                headers: answered.headers.into_iter().filter(own).collect(),
                body: answered.body,
            };
            response(&message).after(took)
        }
        // A proxy waits no longer either.
        Err(http1::Error::TimedOut { .. }) => Response::never(),
        Err(_) => Response::refused(),
    }
}

fn response(message: &Message) -> Response {
    let headers = message.headers.iter();
    let response = headers.fold(Response::new(message.status), |response, header| {
        response.header(&header.name, &header.value)
    });
    response.body(&message.body)
}

/// Whether a header says something of a message, and not of its connection or length.
fn own(header: &Header) -> bool {
    let name = header.name.to_ascii_lowercase();
    name != b"transfer-encoding" && name != b"content-length" && name != b"connection"
}

/// What the upstream answers that shows what it received.
pub(super) fn echo(received: &Received) -> Message {
    Message {
        status: 200,
        headers: vec![Header::new("content-type", "text/plain")],
        body: received.text(b"\n"),
    }
}

/// A request as an upstream receives it.
pub(super) struct Received {
    line: Vec<u8>,
    headers: Vec<Header>,
    body: Vec<u8>,
}

impl Received {
    pub(super) fn new(headers: &Headers, body: Vec<u8>) -> Self {
        let pseudo = |name: &str| headers.get(name).unwrap_or_default();
        let mut lines = vec![Header::new("host", pseudo(":authority"))];
        let own = headers.iter().filter(|(name, _)| {
            !name.starts_with(b":") && *name != b"transfer-encoding" && *name != b"content-length"
        });
        lines.extend(own.map(|(name, value)| Header::new(name, value)));
        Self {
            line: [pseudo(":method"), b" ", pseudo(":path"), b" HTTP/1.1"].concat(),
            headers: lines,
            body,
        }
    }

    fn text(&self, end: &[u8]) -> Vec<u8> {
        let mut text = [&self.line[..], end].concat();
        for header in &self.headers {
            text.extend_from_slice(&[&header.name[..], b": ", &header.value, end].concat());
        }
        if !self.body.is_empty() {
            let length = format!("content-length: {}", self.body.len());
            text.extend_from_slice(&[length.as_bytes(), end].concat());
        }
        [&text[..], end, &self.body].concat()
    }
}
