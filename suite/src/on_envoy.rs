use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use attache_envoy::http1::{self, Header};
use attache_envoy::upstream::{self, Reply, Upstream, UpstreamError};
use attache_envoy::{
    AdminError, Bootstrap, BootstrapError, Endpoint, Envoy, FilterSource, Installation, Listener,
    Plugin, StartError, StartOptions, Trailers,
};

use crate::case::{Case, Filter, Request};
use crate::seen::{Ended, Message, Seen, Stream};

/// How long a request may come no further until it counts as held.
const HELD_AFTER: Duration = Duration::from_millis(500);
/// The same at the end of the case, when nothing else can release it.
const HELD_IN_THE_END: Duration = Duration::from_millis(1_500);
/// How long a client waits in all.
const LIMIT: Duration = Duration::from_secs(20);
/// How long Envoy takes at the most to write its log.
const LOG_FLUSH: Duration = Duration::from_millis(150);
/// The header by which a request is known again at the upstream.
const MARK: &str = "x-case-request";

/// Why a case could not be played on Envoy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvoyError {
    /// Envoy did not start.
    #[error("cannot start Envoy")]
    Start(#[from] StartError),
    /// Its configuration could not be written.
    #[error("cannot configure Envoy")]
    Bootstrap(#[from] BootstrapError),
    /// Its admin endpoint does not answer.
    #[error("cannot ask Envoy where it listens")]
    Admin(#[from] AdminError),
    /// There is no upstream.
    #[error("cannot start the upstream")]
    Upstream(#[from] UpstreamError),
    /// A connection or a file failed on our side.
    #[error("cannot talk to Envoy")]
    Io(#[from] io::Error),
}

/// Plays a case on a real Envoy with one worker, with its files in `folder`.
///
/// # Errors
///
/// [`EnvoyError`].
pub fn on_envoy(
    case: &Case,
    installation: &Installation,
    folder: &Path,
) -> Result<Seen, EnvoyError> {
    let answer = case.answer.clone();
    let upstream = Upstream::start(move |_request| reply(&answer))?;
    let bootstrap = bootstrap(case, upstream.address());
    let config = bootstrap.write(&folder.join("envoy.yaml"))?;
    let options = StartOptions {
        concurrency: 1,
        ..StartOptions::default()
    };
    let envoy = Envoy::start(installation, &config, folder, options)?;
    let address = envoy.listener_address("case")?;
    let started = filter_lines(&envoy)?.len();

    let mut clients = Vec::new();
    for (number, request) in case.requests.iter().enumerate() {
        thread::sleep(request.after);
        let wire = wire(request, number);
        clients.push(if request.abandoned {
            abandon(address, &wire)?
        } else {
            Client::send(address, wire)
        });
    }
    let ends: Vec<Ended> = clients.into_iter().map(Client::ended).collect();
    let arrived = upstream.take();
    let streams = ends
        .into_iter()
        .enumerate()
        .map(|(number, downstream)| Stream {
            upstream: arrived
                .iter()
                .find(|request| number_of(request) == Some(number))
                .map(received),
            downstream,
        });
    let streams = streams.collect();
    thread::sleep(LOG_FLUSH);
    let log = filter_lines(&envoy)?.split_off(started);
    envoy.stop()?;
    Ok(Seen { streams, log })
}

fn bootstrap(case: &Case, upstream: SocketAddr) -> Bootstrap {
    let mut listener = Listener::new("case");
    listener.trailers = Trailers::Kept;
    listener.filters = case
        .filters
        .iter()
        .map(plugin)
        .map(FilterSource::Static)
        .collect();
    Bootstrap::new(Endpoint::from(upstream), vec![listener])
}

fn plugin(filter: &Filter) -> Plugin {
    let mut plugin = Plugin::new(&filter.name, &filter.module);
    plugin.root_id.clone_from(&filter.root_id);
    plugin.configuration.clone_from(&filter.configuration);
    plugin.allow_on_headers_stop_iteration = filter.allow_on_headers_stop_iteration;
    plugin
}

/// The answer with its length first, as the harness's upstream has it: the order of headers is part
/// of what is compared.
fn reply(answer: &Reply) -> Reply {
    let mut reply = answer.clone();
    if reply.trailers.is_empty() {
        let length = reply.body.len().to_string();
        reply
            .headers
            .insert(0, Header::new("content-length", length));
    }
    reply
}

/// What filters logged, as the harness shows it.
fn filter_lines(envoy: &Envoy) -> io::Result<Vec<String>> {
    let lines = envoy.log_lines()?;
    let own = |line: &&attache_envoy::LogLine| line.message.starts_with("wasm log ");
    Ok(lines.iter().filter(own).map(ToString::to_string).collect())
}

/// One connection with one request on it.
struct Client {
    answer: mpsc::Receiver<Result<http1::Response, http1::Error>>,
    ended: Option<Ended>,
}

impl Client {
    fn send(address: SocketAddr, request: Vec<u8>) -> Self {
        let (sender, answer) = mpsc::channel();
        thread::spawn(move || {
            // Nobody listens once the case is over.
            let _ = sender.send(http1::exchange(address, &request, LIMIT));
        });
        let mut client = Self {
            answer,
            ended: None,
        };
        client.settle(HELD_AFTER);
        client
    }

    /// Waits until the request has ended, or has come no further for a while.
    fn settle(&mut self, limit: Duration) {
        if self.ended.is_some() {
            return;
        }
        if let Ok(answer) = self.answer.recv_timeout(limit) {
            self.ended = Some(match answer {
                Ok(response) => Ended::Answered(answered(response)),
                Err(_) => Ended::Reset,
            });
        }
    }

    fn ended(mut self) -> Ended {
        self.settle(HELD_IN_THE_END);
        self.ended.unwrap_or(Ended::Held)
    }
}

/// Sends a request, and closes the connection once it has come as far as it can.
fn abandon(address: SocketAddr, request: &[u8]) -> io::Result<Client> {
    let mut connection = TcpStream::connect(address)?;
    connection.write_all(request)?;
    thread::sleep(HELD_AFTER);
    drop(connection);
    thread::sleep(HELD_AFTER);
    Ok(Client {
        answer: mpsc::channel().1,
        ended: Some(Ended::Abandoned),
    })
}

/// The request on the wire, with its number.
fn wire(request: &Request, number: usize) -> Vec<u8> {
    let mut wire = [
        request.method.as_bytes(),
        b" ",
        &request.target,
        b" HTTP/1.1\r\n",
    ]
    .concat();
    let mut line = |name: &[u8], value: &[u8]| {
        wire.extend([name, b": ", value, b"\r\n"].concat());
    };
    line(b"host", b"example.com");
    for (name, value) in &request.headers {
        line(name, value);
    }
    if request.is_chunked() {
        line(b"transfer-encoding", b"chunked");
    }
    line(MARK.as_bytes(), number.to_string().as_bytes());
    wire.extend(b"\r\n");
    if request.is_chunked() {
        for chunk in request.chunks.iter().filter(|chunk| !chunk.is_empty()) {
            wire.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            wire.extend(chunk);
            wire.extend(b"\r\n");
        }
        wire.extend(b"0\r\n");
        for (name, value) in &request.trailers {
            wire.extend([name, &b": "[..], value, b"\r\n"].concat());
        }
        wire.extend(b"\r\n");
    }
    wire
}

fn number_of(request: &upstream::Request) -> Option<usize> {
    let value = request.header(MARK).next()?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn received(request: &upstream::Request) -> Message {
    let start = format!(
        "{} {}",
        request.method.escape_ascii(),
        request.target.escape_ascii()
    );
    let headers = pairs(&request.headers).filter(|(name, _)| name != MARK.as_bytes());
    Message::new(
        start,
        headers,
        request.body.clone(),
        pairs(&request.trailers).collect(),
    )
}

fn answered(response: http1::Response) -> Message {
    let trailers = pairs(&response.trailers).collect();
    Message::new(
        response.status.to_string(),
        pairs(&response.headers).collect::<Vec<_>>(),
        response.body,
        trailers,
    )
}

fn pairs(headers: &[Header]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    headers
        .iter()
        .map(|header| (header.name.clone(), header.value.clone()))
}
