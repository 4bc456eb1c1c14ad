//! What a filter made of a request: whether two of them do the same.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use attache_envoy::http1::{self, Header};
use attache_envoy::upstream::Upstream;
use attache_module::harmless_line;

use super::super::requests::Wire;

const PATIENCE: Duration = Duration::from_secs(20);

/// How many names a message lists.
const LISTED: usize = 5;

/// Headers that differ between any two requests.
const VOLATILE: [&str; 3] = ["date", "x-envoy-upstream-service-time", "x-request-id"];

/// One request, as the upstream received it, and its answer.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) status: u16,
    /// `None` where it received nothing.
    upstream: Option<Vec<Line>>,
    client: Vec<Line>,
}

/// What a line is about, and the line.
type Line = (String, Vec<u8>);

impl Seen {
    /// Sends the request to a listener, once.
    pub(super) fn of(
        address: SocketAddr,
        wire: &Wire,
        upstream: &Upstream,
    ) -> anyhow::Result<Self> {
        drop(upstream.take());
        let response = http1::exchange(address, &wire.bytes, PATIENCE)
            .context("Envoy does not answer the first request")?;
        let received = upstream.take().into_iter().next();
        let received = received.map(|request| {
            let start = [("method", request.method), ("path", request.target)];
            lines(&start, &request.headers, &request.body)
        });
        let start = [("status", response.status.to_string().into_bytes())];
        Ok(Self {
            status: response.status,
            upstream: received,
            client: lines(&start, &response.headers, &response.body),
        })
    }

    /// What is not the same of two, for people; empty where all is.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let upstream = match (&self.upstream, &other.upstream) {
            (Some(one), Some(other)) => names("to the upstream", one, other),
            (None, None) => None,
            _ => Some("whether the upstream receives it".to_owned()),
        };
        let client = names("to the client", &self.client, &other.client);
        upstream.into_iter().chain(client).collect()
    }
}

fn lines(start: &[(&str, Vec<u8>)], headers: &[Header], body: &[u8]) -> Vec<Line> {
    let start = start
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    let named = headers.iter().map(|header| {
        let name = String::from_utf8_lossy(&header.name).to_ascii_lowercase();
        (name, header.value.clone())
    });
    let mut all: Vec<Line> = start
        .chain(named)
        .filter(|(name, _)| !VOLATILE.contains(&name.as_str()))
        .chain([("the body".to_owned(), body.to_vec())])
        .collect();
    all.sort();
    all
}

/// What the lines are about that only one of two has. Values may be secrets, and are not told.
fn names(place: &str, one: &[Line], other: &[Line]) -> Option<String> {
    let only = |these: &[Line], those: &[Line]| -> Vec<String> {
        let mut left = those.to_vec();
        let mut only = Vec::new();
        for line in these {
            match left.iter().position(|it| it == line) {
                Some(at) => drop(left.swap_remove(at)),
                None => only.push(line.0.clone()),
            }
        }
        only
    };
    let mut names = only(one, other);
    names.extend(only(other, one));
    names.sort();
    names.dedup();
    let more = names.len().saturating_sub(LISTED);
    let mut shown: Vec<String> = names
        .iter()
        .take(LISTED)
        .map(|name| format!("`{}`", harmless_line(name)))
        .collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    (!shown.is_empty()).then(|| format!("{place} {}", shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(headers: &[(&str, &str)], body: &str) -> Seen {
        let headers: Vec<Header> = headers
            .iter()
            .map(|(name, value)| Header::new(*name, *value))
            .collect();
        Seen {
            status: 200,
            upstream: Some(lines(&[("path", b"/".to_vec())], &headers, body.as_bytes())),
            client: Vec::new(),
        }
    }

    #[test]
    fn the_same_in_another_order_is_the_same() {
        let one = seen(&[("a", "1"), ("X-Request-Id", "1"), ("b", "2")], "x");
        let other = seen(&[("b", "2"), ("A", "1"), ("x-request-id", "2")], "x");
        assert!(one.differences(&other).is_empty());
    }

    #[test]
    fn what_differs_is_named_and_no_value_is() {
        let one = seen(&[("a", "1"), ("a", "1"), ("secret", "s3")], "x");
        let other = seen(&[("a", "1"), ("secret", "s4")], "y");
        let told = one.differences(&other);
        assert_eq!(told, ["to the upstream `a`, `secret`, `the body`"]);
    }

    #[test]
    fn a_request_that_went_no_further_is_told() {
        let one = seen(&[], "");
        let other = Seen::default();
        let told = one.differences(&other);
        assert_eq!(told, ["whether the upstream receives it"]);
    }
}
