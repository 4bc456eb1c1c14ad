//! Clusters, as the harness has them.

use attache_envoy::http1::PAUSE;
use attache_harness::{Answer, GrpcEvent, GrpcReply, Response};

use super::message::response;
use crate::case::{Cluster, Fault, Grpc, GrpcPart, Protocol};

pub(super) fn answer(cluster: &Cluster) -> Answer {
    let Some(grpc) = &cluster.grpc else {
        let answer = Answer::from(response(&cluster.answer, cluster.protocol, false));
        return match cluster.protocol {
            Protocol::Http1 => answer,
            Protocol::Http2 => answer.over_http2(),
        };
    };
    let after = cluster.answer.after;
    match cluster.answer.fault {
        Some(Fault::Refused) => return Answer::from(Response::refused()).over_http2(),
        Some(Fault::Never) => return Answer::from(Response::never()).over_http2(),
        Some(Fault::Reset) => return Answer::from(Response::reset().after(after)).over_http2(),
        _ => {}
    }
    let mut last = reply(grpc, &grpc.last).after(after);
    if cluster.answer.fault == Some(Fault::Cut) {
        // Nothing but a reset goes out at once; behind anything else it is sent once that was read.
        let bare = last_is_bare(grpc);
        last = if bare { last } else { last.pause(PAUSE) }.reset();
    }
    if grpc.answers_whole() {
        return last.into();
    }
    let grpc = grpc.clone();
    Answer::grpc(move |event: &GrpcEvent<'_>| match event {
        GrpcEvent::Opened(_) => part(&grpc, &grpc.opening),
        GrpcEvent::Message(_) => part(&grpc, &grpc.each_message),
        GrpcEvent::HalfClosed => last.clone(),
        _ => GrpcReply::new(),
    })
}

/// Whether nothing goes out before a call's last part, and nothing with it.
fn last_is_bare(grpc: &Grpc) -> bool {
    grpc.answers_whole() && grpc.metadata.is_empty() && grpc.last.messages.is_empty()
}

/// Nothing, if nothing is to be said yet.
fn part(grpc: &Grpc, part: &GrpcPart) -> GrpcReply {
    if part.is_empty() {
        return GrpcReply::new();
    }
    reply(grpc, part).after(part.after)
}

fn reply(grpc: &Grpc, part: &GrpcPart) -> GrpcReply {
    let mut reply = match &part.status {
        Some(status) if grpc.trailers_only => {
            GrpcReply::error(status.code, status.message.as_str())
        }
        Some(status) => GrpcReply::new().status(status.code, status.message.as_str()),
        None => GrpcReply::new(),
    };
    for (name, value) in &grpc.metadata {
        reply = reply.initial(name, value);
    }
    for message in &part.messages {
        reply = reply.message(message);
    }
    for (name, value) in part.status.iter().flat_map(|status| &status.trailers) {
        reply = reply.trailing(name, value);
    }
    reply
}
