//! The servers of clusters that filters call out to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use attache_envoy::http1::Header;
use attache_envoy::tcp::ClosedPort;
use attache_envoy::upstream::{self, GrpcEnd, GrpcEvent, GrpcReply, Upstream, UpstreamError};
use attache_envoy::{Cluster as Configured, Codec};

use super::{LATE, lock, wire};
use crate::case::{Case, Cluster, ClusterKind, Fault, Grpc, GrpcPart, HeaderLine};
use crate::seen::{Calls, Seen};

/// The servers of the clusters of several cases, which are played one after the other.
pub(super) struct Doubles(BTreeMap<String, (ClusterKind, Upstream)>);

impl Doubles {
    /// Starts the servers of all clusters that the cases have; `current` is the case that is played.
    pub(super) fn start(
        cases: &[Case],
        current: &Arc<Mutex<usize>>,
    ) -> Result<Self, UpstreamError> {
        let mut doubles = BTreeMap::new();
        for (name, cluster) in cases.iter().flat_map(|case| &case.clusters) {
            if !doubles.contains_key(name) {
                let kind = cluster.kind();
                let answers: Vec<Option<Cluster>> = cases
                    .iter()
                    .map(|case| case.clusters.get(name).cloned())
                    .collect();
                let double = double(kind, answers, Arc::clone(current))?;
                doubles.insert(name.clone(), (kind, double));
            }
        }
        Ok(Self(doubles))
    }

    /// How Envoy reaches them. A cluster that nobody listens at is so for all cases.
    pub(super) fn configured(
        &self,
        first: Option<&Case>,
        closed: &ClosedPort,
    ) -> BTreeMap<String, Configured> {
        let mut configured = BTreeMap::new();
        for (name, (kind, double)) in &self.0 {
            let answer = first.and_then(|case| case.clusters.get(name));
            let refused =
                answer.is_some_and(|cluster| cluster.answer.fault == Some(Fault::Refused));
            let address = if refused {
                closed.address()
            } else {
                double.address()
            };
            let codec = match kind {
                ClusterKind::Http1 => Codec::Http1,
                ClusterKind::Http2 | ClusterKind::Grpc => Codec::Http2,
            };
            configured.insert(name.clone(), Configured::new(address, codec));
        }
        configured
    }

    /// Takes what the clusters of a case received; what is foreseen is waited for.
    pub(super) fn take(&self, case: &Case, foreseen: Option<&Seen>) -> BTreeMap<String, Calls> {
        let expected = |name: &String| foreseen.and_then(|seen| seen.calls.get(name));
        let mut calls = BTreeMap::new();
        for (name, _) in case
            .clusters
            .iter()
            .filter(|(_, cluster)| cluster.listens())
        {
            let Some((_, double)) = self.0.get(name) else {
                continue;
            };
            let expected = expected(name).map_or(0, |calls| calls.iter().len());
            let awaited = double.wait_for(expected, LATE).unwrap_or_default();
            let all = awaited.into_iter().chain(double.take());
            let whole = all.filter(|request| request.complete);
            let received: Vec<_> = whole.map(|request| wire::received(&request)).collect();
            if !received.is_empty() {
                calls.insert(name.clone(), Calls(received));
            }
        }
        calls
    }

    /// Forgets what they received, and whom they are connected with.
    pub(super) fn forget(&self) {
        for (_, double) in self.0.values() {
            double.disconnect();
            let _ = double.take();
        }
    }

    /// Whether the clusters of two cases can be those of one Envoy.
    pub(super) fn fit(one: &Case, other: &Case) -> bool {
        let special = |case: &Case| -> Vec<(String, ClusterKind)> {
            let kinds = case.clusters.iter();
            kinds
                .map(|(name, cluster)| (name.clone(), cluster.kind()))
                .filter(|(_, kind)| *kind != ClusterKind::Http1)
                .collect()
        };
        special(one) == special(other)
    }
}

fn double(
    kind: ClusterKind,
    answers: Vec<Option<Cluster>>,
    current: Arc<Mutex<usize>>,
) -> Result<Upstream, UpstreamError> {
    if kind == ClusterKind::Grpc {
        return Upstream::start_grpc(move |event| {
            let cluster = answers[*lock(&current)].as_ref();
            cluster
                .map(|cluster| grpc(cluster, event))
                .unwrap_or_default()
        });
    }
    let answer = move |_: &upstream::Request| {
        let cluster = answers[*lock(&current)].clone();
        cluster.map_or_else(
            || upstream::Reply::new(404),
            |cluster| wire::reply(&cluster.answer),
        )
    };
    if kind == ClusterKind::Http2 {
        Upstream::start_http2(answer)
    } else {
        Upstream::start(answer)
    }
}

fn grpc(cluster: &Cluster, event: GrpcEvent<'_>) -> GrpcReply {
    let (Some(grpc), fault) = (&cluster.grpc, cluster.answer.fault) else {
        return GrpcReply::default();
    };
    let last = matches!(event, GrpcEvent::HalfClosed);
    if matches!(fault, Some(Fault::Reset | Fault::Never)) {
        let mut reply = GrpcReply::default();
        if last && fault == Some(Fault::Reset) {
            reply.after = cluster.answer.after;
            reply.end = Some(GrpcEnd::Reset);
        }
        return reply;
    }
    let part = match event {
        GrpcEvent::Opened(_) => &grpc.opening,
        GrpcEvent::Message(_) => &grpc.each_message,
        _ => &grpc.last,
    };
    if part.is_empty() && !last {
        return GrpcReply::default();
    }
    let mut reply = reply(grpc, part);
    reply.after = part.after;
    if last {
        reply.after = cluster.answer.after;
        if fault == Some(Fault::Cut) {
            reply.end = Some(GrpcEnd::Reset);
        }
    }
    reply
}

fn reply(grpc: &Grpc, part: &GrpcPart) -> GrpcReply {
    let end = part.status.as_ref().map(|status| {
        let mut trailers = vec![Header::new("grpc-status", status.code.to_string())];
        if !status.message.is_empty() {
            trailers.push(Header::new("grpc-message", status.message.as_str()));
        }
        trailers.extend(headers(&status.trailers));
        if grpc.trailers_only {
            GrpcEnd::TrailersOnly(trailers)
        } else {
            GrpcEnd::Trailers(trailers)
        }
    });
    let mut reply = GrpcReply::default();
    reply.metadata = headers(&grpc.metadata).collect();
    reply.messages.clone_from(&part.messages);
    reply.end = end;
    reply
}

fn headers(lines: &[HeaderLine]) -> impl Iterator<Item = Header> {
    lines
        .iter()
        .map(|(name, value)| Header::new(name.clone(), value.clone()))
}
