//! Who stands around the Envoy that is measured: an upstream, a cluster for call-outs, and services over gRPC.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use attache_envoy::http1::Header;
use attache_envoy::upstream::{
    Fault, GrpcEnd, GrpcEvent, GrpcReply, Reply, Request, Upstream, UpstreamError,
};

/// Servers in this process, each a cluster.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    servers: Vec<Server>,
}

#[derive(Debug)]
struct Server {
    cluster: &'static str,
    speaks_http2: bool,
    upstream: Upstream,
}

impl Peers {
    /// An upstream that answers at once: `upstream`, and `callee` for call-outs.
    pub(crate) fn http(mut self) -> Result<Self, UpstreamError> {
        let answer = || Reply::new(200).header("x-bench", "1");
        self.put("upstream", false, Upstream::start(|_| Reply::new(200))?);
        self.put("callee", false, Upstream::start(move |_| answer())?);
        Ok(self)
    }

    /// A `callee` that never answers.
    pub(crate) fn silent(mut self) -> Result<Self, UpstreamError> {
        let never = || Reply::new(200).fault(Fault::Never);
        self.put("callee", false, Upstream::start(move |_| never())?);
        Ok(self)
    }

    /// An `ext_authz` service, which allows, and has `count` headers put into request and response each.
    pub(crate) fn authz(mut self, count: usize) -> Result<Self, UpstreamError> {
        let answer = allowed(count);
        let server = Upstream::start_grpc(move |event| match event {
            GrpcEvent::Message(_) => reply(answer.clone(), true),
            _ => GrpcReply::default(),
        })?;
        self.put("authz", true, server);
        Ok(self)
    }

    /// An `ext_proc` service, which goes on, and has `count` headers put into request and response each.
    pub(crate) fn proc(mut self, count: usize) -> Result<Self, UpstreamError> {
        let server = Upstream::start_grpc(move |event| match event {
            GrpcEvent::Message(message) => reply(processed(message, count), false),
            GrpcEvent::HalfClosed => {
                let mut reply = GrpcReply::default();
                reply.end = Some(ok());
                reply
            }
            _ => GrpcReply::default(),
        })?;
        self.put("proc", true, server);
        Ok(self)
    }

    fn put(&mut self, cluster: &'static str, speaks_http2: bool, upstream: Upstream) {
        self.servers.push(Server {
            cluster,
            speaks_http2,
            upstream,
        });
    }

    /// Name, address, and whether HTTP/2 is spoken there.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = (&'static str, SocketAddr, bool)> {
        let servers = self.servers.iter();
        servers.map(|server| {
            (
                server.cluster,
                server.upstream.address(),
                server.speaks_http2,
            )
        })
    }

    /// What came to a cluster's server since it was looked at or forgotten, as soon as it is so many requests.
    pub(crate) fn requests(
        &self,
        cluster: &str,
        count: usize,
        limit: Duration,
    ) -> anyhow::Result<Vec<Request>> {
        let server = self.servers.iter().find(|it| it.cluster == cluster);
        let server = server.with_context(|| format!("no cluster `{cluster}`"))?;
        let requests = server.upstream.wait_for(count, limit);
        requests.with_context(|| format!("`{cluster}` was not asked for each request"))
    }

    /// The bodies of these.
    pub(crate) fn bodies(
        &self,
        cluster: &str,
        count: usize,
        limit: Duration,
    ) -> anyhow::Result<Vec<Vec<u8>>> {
        let requests = self.requests(cluster, count, limit)?;
        Ok(requests.into_iter().map(|it| it.body).collect())
    }

    /// Forgets what they have recorded, which would grow.
    pub(crate) fn forget(&self) {
        for server in &self.servers {
            drop(server.upstream.take());
        }
    }
}

fn ok() -> GrpcEnd {
    GrpcEnd::Trailers(vec![Header::new("grpc-status", "0")])
}

fn reply(message: Vec<u8>, ends: bool) -> GrpcReply {
    let mut reply = GrpcReply::default();
    reply.messages = vec![message];
    reply.end = ends.then(ok);
    reply
}

/// A field of a Protobuf message whose value has a length: texts, bytes and messages.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = value.len();
    while length > 0x7f {
        bytes.push((length & 0x7f | 0x80) as u8);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(value);
    bytes
}

/// `HeaderValueOption`, which appends; `value` is the number of its field: 2 is text, 3 is bytes.
fn option(name: &str, value: u8) -> Vec<u8> {
    let header = [field(1, name.as_bytes()), field(value, b"1")].concat();
    field(1, &header)
}

fn names(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(move |number| match number {
        1 => prefix.to_owned(),
        _ => format!("{prefix}-{number}"),
    })
}

/// `CheckResponse` (`envoy/service/auth/v3/external_auth.proto`).
fn allowed(count: usize) -> Vec<u8> {
    let request = names("x-bench", count).map(|name| field(2, &option(&name, 2)));
    let response = names("x-out", count).map(|name| field(6, &option(&name, 2)));
    let headers: Vec<u8> = request.chain(response).flatten().collect();
    [field(1, b""), field(3, &headers)].concat()
}

/// `ProcessingResponse` to a `ProcessingRequest` (`envoy/service/ext_proc/v3/external_processor.proto`).
fn processed(request: &[u8], count: usize) -> Vec<u8> {
    let what = step(request).unwrap_or_default();
    let prefix = match what {
        2 => "x-bench",
        3 => "x-out",
        _ => return field(what.saturating_sub(1), b""),
    };
    let set: Vec<u8> = names(prefix, count)
        .flat_map(|name| field(1, &option(&name, 3)))
        .collect();
    let change = if set.is_empty() {
        Vec::new()
    } else {
        field(1, &field(2, &set))
    };
    field(what - 1, &change)
}

/// Which step of a stream a request is about: the first of the fields 2 to 7.
fn step(mut message: &[u8]) -> Option<u8> {
    loop {
        let (key, rest) = varint(message)?;
        let number = u8::try_from(key >> 3).ok()?;
        if (2..=7).contains(&number) {
            return Some(number);
        }
        let (value, rest) = varint(rest)?;
        message = match key & 7 {
            0 => rest,
            2 => rest.get(usize::try_from(value).ok()?..)?,
            _ => return None,
        };
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_behind_other_fields() {
        let other = field(1, b"x");
        let message = [other, field(4, b"body")].concat();
        assert_eq!(step(&message), Some(4));
        assert_eq!(processed(&message, 1), [3 << 3 | 2, 0]);
        assert_eq!(step(b""), None);
    }

    #[test]
    fn long_fields_have_lengths_of_two_bytes() {
        let bytes = field(1, &[0; 300]);
        assert_eq!(bytes[..3], [0x0a, 0xac, 0x02]);
    }
}
