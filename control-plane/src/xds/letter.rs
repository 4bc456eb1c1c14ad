//! What goes out on a stream: responses in pieces, so that no more of one is on its way than the peer takes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
use hyper::body::{Body, Bytes, Frame};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use tokio::sync::{Notify, mpsc};
use tonic::Status;
use tonic::codegen::http::HeaderMap;

/// So much of a response is handed over at once. The rest stays where all streams share it.
const PIECE: usize = 64 << 10;
/// The number of `resources` in a `DiscoveryResponse`.
const RESOURCES: u32 = 2;

/// A response, or the end.
#[derive(Debug)]
pub(super) enum Letter {
    /// A response whose resource is the same bytes for all who get it.
    Response {
        /// All but the resource.
        envelope: DiscoveryResponse,
        /// The resource, as an `Any` is written.
        resource: Bytes,
    },
    /// Why the stream ends.
    End(Status),
}

/// A response as gRPC writes it: a frame's head, the envelope, and the resource behind it.
fn written(envelope: &DiscoveryResponse, resource: Bytes) -> Option<[Bytes; 2]> {
    let mut message = envelope.encode_to_vec();
    encode_key(RESOURCES, WireType::LengthDelimited, &mut message);
    encode_varint(u64::try_from(resource.len()).ok()?, &mut message);
    let length = u32::try_from(message.len().checked_add(resource.len())?).ok()?;
    let mut head = vec![0];
    head.extend(length.to_be_bytes());
    head.extend(message);
    Some([head.into(), resource])
}

/// How far the peer has come; what the task of a stream knows of its body.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Raised whenever the peer takes a piece.
    taken: AtomicU64,
    /// The peer has taken everything, and would take more.
    pub(super) hungry: Notify,
}

impl Progress {
    /// Changes with every piece that is taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

/// The body of a stream's response. It is asked for a piece only when the peer has room for more of it.
pub(super) struct Pieces {
    letters: mpsc::Receiver<Letter>,
    progress: Arc<Progress>,
    rest: VecDeque<Bytes>,
    /// That the peer would take more was said.
    has_asked: bool,
    has_ended: bool,
}

impl Pieces {
    pub(super) fn new(letters: mpsc::Receiver<Letter>, progress: Arc<Progress>) -> Self {
        Self {
            letters,
            progress,
            rest: VecDeque::new(),
            has_asked: false,
            has_ended: false,
        }
    }

    fn piece(&mut self) -> Option<Bytes> {
        let first = self.rest.front_mut()?;
        let piece = first.split_to(first.len().min(PIECE));
        if first.is_empty() {
            self.rest.pop_front();
        }
        self.progress.taken.fetch_add(1, Ordering::Relaxed);
        Some(piece)
    }

    fn end(&mut self, status: &Status) -> HeaderMap {
        self.has_ended = true;
        self.letters.close();
        let mut trailers = HeaderMap::new();
        // What cannot be written as a header is left out; the stream ends all the same.
        let _ = status.add_header(&mut trailers);
        trailers
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        loop {
            if let Some(piece) = self.piece() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if !std::mem::replace(&mut self.has_asked, true) {
                self.progress.hungry.notify_one();
            }
            match self.letters.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Letter::Response { envelope, resource })) => {
                    self.has_asked = false;
                    match written(&envelope, resource) {
                        Some(parts) => {
                            self.rest = parts.into_iter().filter(|part| !part.is_empty()).collect();
                        }
                        None => {
                            let status = Status::out_of_range("a resource of more than 4 GiB");
                            let trailers = self.end(&status);
                            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                        }
                    }
                }
                Poll::Ready(last) => {
                    let status = match last {
                        Some(Letter::End(status)) => status,
                        _ => Status::ok(""),
                    };
                    let trailers = self.end(&status);
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::google::protobuf::Any;

    use super::*;

    #[test]
    fn a_response_in_parts_reads_as_one() {
        let resource = Any {
            type_url: "type".into(),
            value: vec![7; 100_000],
        };
        let envelope = DiscoveryResponse {
            version_info: "1".into(),
            nonce: "2".into(),
            ..DiscoveryResponse::default()
        };
        let parts = written(&envelope, resource.encode_to_vec().into()).unwrap();
        let all = parts.concat();
        assert_eq!(all[0], 0);
        let length = u32::from_be_bytes([all[1], all[2], all[3], all[4]]);
        assert_eq!(length as usize, all.len() - 5);
        let read = DiscoveryResponse::decode(&all[5..]).unwrap();
        assert_eq!(read.resources, [resource]);
        assert_eq!((read.version_info, read.nonce), ("1".into(), "2".into()));
    }
}
