use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue};

use super::Shared;
use super::http2::serve_each;
use super::message::Request;
use crate::http1::Header;
use crate::http2::{header_map, lines};
use crate::link::Pace;

/// What a gRPC server learns of a call, one after the other.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum GrpcEvent<'a> {
    /// A call begins: its headers are here.
    Opened(&'a Request),
    /// A message.
    Message(&'a [u8]),
    /// No more messages follow.
    HalfClosed,
}

/// What a gRPC server does about a [`GrpcEvent`]. Without an end the call stays open.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct GrpcReply {
    /// How long it thinks before.
    pub after: Duration,
    /// Initial metadata, if nothing was sent before.
    pub metadata: Vec<Header>,
    /// Messages, without their framing.
    pub messages: Vec<Vec<u8>>,
    /// How the call ends then.
    pub end: Option<GrpcEnd>,
}

/// How a gRPC server ends a call.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum GrpcEnd {
    /// With `grpc-status` and what else is among these trailers.
    Trailers(Vec<Header>),
    /// The same in one block with the initial metadata, if nothing was sent before and there are no
    /// messages: the reply that is called trailers-only.
    TrailersOnly(Vec<Header>),
    /// By resetting the stream.
    Reset,
}

pub(super) type GrpcHandler = dyn Fn(GrpcEvent<'_>) -> GrpcReply + Send + Sync;

/// Serves gRPC until the upstream is dropped.
pub(super) fn accept(listener: TcpListener, shared: &Arc<Shared>, handler: &Arc<GrpcHandler>) {
    let handler = Arc::clone(handler);
    serve_each(listener, shared, move |request, body, answers, shared| {
        let call = Call {
            out: Out::Unsent(answers.respond),
            pace: answers.pace,
            handler: Arc::clone(&handler),
        };
        call.serve(request, body, shared)
    });
}

struct Call {
    out: Out,
    pace: Pace,
    handler: Arc<GrpcHandler>,
}

/// What of the answer is out.
enum Out {
    Unsent(SendResponse<Bytes>),
    Begun(SendStream<Bytes>),
    Ended,
}

impl Call {
    async fn serve(mut self, mut request: Request, mut body: RecvStream, shared: Arc<Shared>) {
        self.answer((self.handler)(GrpcEvent::Opened(&request)))
            .await;
        let mut unread = Vec::new();
        while let Some(piece) = body.data().await {
            // A peer that is gone needs no answer.
            let Ok(piece) = piece else {
                return shared.record(request);
            };
            let _ = body.flow_control().release_capacity(piece.len());
            request.body.extend_from_slice(&piece);
            unread.extend_from_slice(&piece);
            while let Some(message) = take(&mut unread) {
                self.answer((self.handler)(GrpcEvent::Message(&message)))
                    .await;
            }
        }
        if let Ok(trailers) = body.trailers().await {
            request.trailers = trailers.as_ref().map(lines).unwrap_or_default();
            request.complete = true;
        }
        shared.record(request);
        self.answer((self.handler)(GrpcEvent::HalfClosed)).await;
        // What is dropped unended would be reset.
        match &mut self.out {
            Out::Unsent(respond) => {
                let _ = std::future::poll_fn(|context| respond.poll_reset(context)).await;
            }
            Out::Begun(stream) => {
                let _ = std::future::poll_fn(|context| stream.poll_reset(context)).await;
            }
            Out::Ended => {}
        }
    }

    /// Sends a reply. A peer that is gone needs none.
    async fn answer(&mut self, reply: GrpcReply) {
        let GrpcReply {
            after,
            metadata,
            messages,
            end,
        } = reply;
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        if metadata.is_empty() && messages.is_empty() && end.is_none() {
            return;
        }
        match std::mem::replace(&mut self.out, Out::Ended) {
            Out::Unsent(mut respond) => match &end {
                Some(GrpcEnd::Reset) if messages.is_empty() && metadata.is_empty() => {
                    return respond.send_reset(Reason::INTERNAL_ERROR);
                }
                Some(GrpcEnd::TrailersOnly(trailers)) if messages.is_empty() => {
                    let all = metadata.iter().chain(trailers);
                    let _ = respond.send_response(head(all), true);
                    return;
                }
                _ => {
                    let Ok(stream) = respond.send_response(head(metadata.iter()), false) else {
                        return;
                    };
                    self.out = Out::Begun(stream);
                }
            },
            out => self.out = out,
        }
        let Out::Begun(stream) = &mut self.out else {
            return;
        };
        for message in messages {
            if stream.send_data(framed(&message), false).is_err() {
                return;
            }
        }
        match end {
            None => return,
            Some(GrpcEnd::Reset) => {
                // What is not on the wire yet would be dropped with the stream.
                self.pace.paused().await;
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
            Some(GrpcEnd::Trailers(trailers) | GrpcEnd::TrailersOnly(trailers)) => {
                let _ = stream.send_trailers(with(HeaderMap::new(), trailers.iter()));
            }
        }
        self.out = Out::Ended;
    }
}

fn head<'h>(headers: impl Iterator<Item = &'h Header>) -> http::Response<()> {
    let mut all = HeaderMap::new();
    let kind = HeaderValue::from_static("application/grpc");
    all.insert(http::header::CONTENT_TYPE, kind);
    let mut head = http::Response::new(());
    *head.headers_mut() = with(all, headers);
    head
}

/// Adds headers; what HTTP/2 cannot carry is left out.
fn with<'h>(mut all: HeaderMap, headers: impl Iterator<Item = &'h Header>) -> HeaderMap {
    for header in headers {
        if let Ok(one) = header_map(std::slice::from_ref(header)) {
            for (name, value) in &one {
                all.append(name, value.clone());
            }
        }
    }
    all
}

/// A message as it stands in a body: a flag, a length of four bytes, the message.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], message].concat().into()
}

/// Takes the next whole message off the front, whatever its flag says.
fn take(body: &mut Vec<u8>) -> Option<Vec<u8>> {
    let ([_, length @ ..], rest) = body.split_first_chunk::<5>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let message = rest.get(..length)?.to_vec();
    body.drain(..5 + length);
    Some(message)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;
    use crate::http2::{Request as Sent, exchange_on};
    use crate::upstream::Upstream;

    fn exchange(
        handler: impl Fn(GrpcEvent<'_>) -> GrpcReply + Send + Sync + 'static,
    ) -> Result<crate::http1::Response, crate::http2::Error> {
        let upstream = Upstream::start_grpc(handler).unwrap();
        let stream = TcpStream::connect(upstream.address()).unwrap();
        let request = Sent {
            method: b"POST".to_vec(),
            target: b"/t.S/M".to_vec(),
            authority: b"g".to_vec(),
            pieces: vec![framed(b"one").to_vec(), framed(b"two").to_vec()],
            ..Sent::default()
        };
        exchange_on(stream, &request, Duration::from_secs(10))
    }

    fn status(code: &str) -> Vec<Header> {
        vec![Header::new("grpc-status", code)]
    }

    #[test]
    fn each_event_has_an_answer_of_its_own() {
        let response = exchange(|event| match event {
            GrpcEvent::Opened(request) => GrpcReply {
                metadata: vec![Header::new("x-path", request.target.clone())],
                ..GrpcReply::default()
            },
            GrpcEvent::Message(message) => GrpcReply {
                messages: vec![message.to_vec()],
                ..GrpcReply::default()
            },
            GrpcEvent::HalfClosed => GrpcReply {
                end: Some(GrpcEnd::Trailers(status("0"))),
                ..GrpcReply::default()
            },
        });
        let response = response.unwrap();
        assert_eq!(
            response.headers,
            [
                Header::new("content-type", "application/grpc"),
                Header::new("x-path", "/t.S/M")
            ]
        );
        assert_eq!(response.body, [framed(b"one"), framed(b"two")].concat());
        assert_eq!(response.trailers, status("0"));
    }

    #[test]
    fn an_error_needs_one_block_of_headers() {
        let response = exchange(|event| match event {
            GrpcEvent::HalfClosed => GrpcReply {
                end: Some(GrpcEnd::TrailersOnly(status("7"))),
                ..GrpcReply::default()
            },
            _ => GrpcReply::default(),
        });
        let response = response.unwrap();
        assert_eq!(response.headers[1..], status("7"));
        assert_eq!(response.trailers, []);
    }

    #[test]
    fn a_stream_is_reset_after_a_message() {
        let response = exchange(|event| match event {
            GrpcEvent::HalfClosed => GrpcReply {
                messages: vec![b"one".to_vec()],
                end: Some(GrpcEnd::Reset),
                ..GrpcReply::default()
            },
            _ => GrpcReply::default(),
        });
        let Err(crate::http2::Error::Truncated { received, .. }) = response else {
            panic!("{response:?}");
        };
        assert_eq!(received.body, framed(b"one"));
    }
}
