use attache_harness::{
    DownstreamResponse, FailurePolicy, Host, HostError, LogLine, Outcome, Plugin, Response,
    UpstreamRequest,
};

use attache_envoy::upstream::Reply;

use crate::case::{Case, Filter, Request};
use crate::seen::{Ended, Message, Seen, Stream};

/// Why a case could not be played on the harness.
#[derive(Debug, thiserror::Error)]
#[error("cannot play the case on the harness")]
pub struct HarnessError(#[from] HostError);

/// Plays a case on the harness, with one worker.
///
/// # Errors
///
/// [`HarnessError`], when a plugin cannot start, and when the filters do what would crash Envoy.
pub fn on_harness(case: &Case) -> Result<Seen, HarnessError> {
    let mut builder = Host::builder();
    for filter in &case.filters {
        builder = builder.plugin(plugin(filter));
    }
    let mut host = builder.start()?;
    let answer = case.answer.clone();
    host.upstream(move |_request| response(&answer));

    let started = host.log().len();
    let mut streams = Vec::new();
    for request in &case.requests {
        host.advance(request.after)?;
        let id = host.open(sent(request))?;
        if request.abandoned {
            host.disconnect(id)?;
        }
        streams.push(id);
    }
    let mut seen = Vec::new();
    for (request, id) in case.requests.iter().zip(streams) {
        let exchange = host.exchange(id)?;
        seen.push(Stream {
            upstream: exchange.try_upstream_request().map(received),
            downstream: match (exchange.outcome(), exchange.try_response()) {
                _ if request.abandoned => Ended::Abandoned,
                (Outcome::Completed, Some(response)) => Ended::Answered(answered(response)),
                (Outcome::Paused { .. }, _) => Ended::Held,
                _ => Ended::Reset,
            },
        });
    }
    let lines = host.log().get(started..).unwrap_or_default();
    Ok(Seen {
        streams: seen,
        log: lines
            .iter()
            .filter(|line| !line.prefix.is_empty())
            .map(line)
            .collect(),
    })
}

fn plugin(filter: &Filter) -> Plugin {
    let mut plugin = Plugin::from_file(&filter.module)
        .name(&filter.name)
        .root_id(&filter.root_id)
        .vm_id(&filter.name)
        .failure_policy(FailurePolicy::FailReload);
    if let Some(configuration) = &filter.configuration {
        plugin = plugin.config(configuration.as_str());
    }
    if filter.allow_on_headers_stop_iteration {
        plugin = plugin.allow_on_headers_stop_iteration();
    }
    plugin
}

fn sent(request: &Request) -> attache_harness::Request {
    let mut sent = attache_harness::Request::new(&request.method, &request.target);
    for (name, value) in &request.headers {
        sent = sent.header(name, value);
    }
    for chunk in &request.chunks {
        sent = sent.chunk(chunk);
    }
    for (name, value) in &request.trailers {
        sent = sent.trailer(name, value);
    }
    sent
}

fn response(answer: &Reply) -> Response {
    let mut response = Response::new(answer.status);
    for header in &answer.headers {
        response = response.header(&header.name, &header.value);
    }
    if answer.trailers.is_empty() {
        response = response.body(&answer.body);
    } else {
        response = response.chunk(&answer.body);
    }
    for trailer in &answer.trailers {
        response = response.trailer(&trailer.name, &trailer.value);
    }
    response
}

fn received(request: &UpstreamRequest) -> Message {
    let start = format!(
        "{} {}",
        request.method().escape_ascii(),
        request.path().escape_ascii()
    );
    message(start, request, b":authority")
}

fn answered(response: &DownstreamResponse) -> Message {
    message(response.status().to_string(), response, b"")
}

/// A message as it is on the wire: pseudo headers stand in the first line, but for the one that
/// HTTP/1.1 sends as `host`.
fn message(start: String, message: &attache_harness::Message, host: &[u8]) -> Message {
    let owned = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
    let headers = message
        .headers()
        .iter()
        .map(owned)
        .filter_map(|(name, value)| {
            if name == host {
                Some((b"host".to_vec(), value))
            } else {
                (!name.starts_with(b":")).then_some((name, value))
            }
        });
    let trailers = message.trailers().into_iter();
    Message::new(
        start,
        headers,
        message.body(),
        trailers
            .flat_map(|trailers| trailers.iter().map(owned))
            .collect(),
    )
}

/// A line of the log as Envoy writes it.
fn line(line: &LogLine) -> String {
    format!("{}: {}{}", line.level, line.prefix, line.message)
}
