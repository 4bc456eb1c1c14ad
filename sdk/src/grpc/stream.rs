use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::rpc::{Rpc, message, status};
use crate::calls::{self, Family, Pending, Token};
use crate::cluster::{CallError, CallErrorKind};
use crate::headers::Headers;
use crate::host::calls::{grpc_cancel, grpc_close, grpc_send, grpc_stream};
use crate::host::{self, Map};
use crate::status::HostError;
use crate::tasks::{self, events::Kind};

/// A gRPC stream to a cluster. Dropping it resets the stream, unless it has ended.
///
/// ```
/// use attache::cluster::{CallError, Cluster};
///
/// async fn last_word(chat: &Cluster) -> Result<Option<Vec<u8>>, CallError> {
///     let mut talk = chat.grpc("chat.Service", "Talk").open().await?;
///     talk.send(b"hello")?;
///     talk.finish()?;
///     let mut last = None;
///     while let Some(message) = talk.next().await? {
///         last = Some(message);
///     }
///     Ok(last)
/// }
/// ```
pub struct GrpcStream {
    cluster: Rc<str>,
    token: Token,
    inbox: Rc<Inbox>,
}

/// What has arrived.
struct Inbox {
    token: u32,
    limit: usize,
    state: RefCell<State>,
}

struct State {
    metadata: Option<Rc<Headers>>,
    trailers: Option<Rc<Headers>>,
    messages: VecDeque<Vec<u8>>,
    /// Bytes of messages that nobody has taken.
    held: usize,
    end: Option<Result<(), CallErrorKind>>,
    waker: Waker,
}

impl GrpcStream {
    pub(super) fn begin(rpc: &Rpc, registrant: u32, waker: &Waker) -> Result<Self, CallError> {
        let number = rpc.dispatch(b"", grpc_stream)?;
        let token = Token {
            family: Family::GrpcStream,
            number,
        };
        let inbox = Rc::new(Inbox {
            token: number,
            limit: rpc.limit,
            state: RefCell::new(State {
                metadata: None,
                trailers: None,
                messages: VecDeque::new(),
                held: 0,
                end: None,
                waker: waker.clone(),
            }),
        });
        let pending: Rc<dyn Pending> = Rc::<Inbox>::clone(&inbox);
        calls::insert(token, registrant, pending);
        Ok(Self {
            cluster: Rc::clone(&rpc.cluster),
            token,
            inbox,
        })
    }

    /// Sends a message. The host buffers what the peer does not take.
    ///
    /// # Errors
    ///
    /// A [`CallError`] when the stream has ended, or was [finished](Self::finish).
    pub fn send(&mut self, message: &[u8]) -> Result<(), CallError> {
        self.check(|token| grpc_send(token, message))
    }

    /// Says that no message follows. The peer's still come.
    ///
    /// # Errors
    ///
    /// A [`CallError`] when the stream has ended.
    pub fn finish(&mut self) -> Result<(), CallError> {
        self.check(grpc_close)
    }

    /// Waits for the next message; `None` when the stream has ended well.
    ///
    /// ```
    /// use attache::cluster::{CallError, CallErrorKind};
    /// use attache::grpc::GrpcStream;
    ///
    /// /// Counts messages until the peer ends the stream, well or by cancelling it (`CANCELLED`).
    /// async fn count(stream: &mut GrpcStream) -> Result<usize, CallError> {
    ///     let mut count = 0;
    ///     loop {
    ///         match stream.next().await {
    ///             Ok(Some(_)) => count += 1,
    ///             Ok(None) => return Ok(count),
    ///             Err(error) if matches!(error.kind(), CallErrorKind::GrpcStatus { code: 1, .. }) => {
    ///                 return Ok(count);
    ///             }
    ///             Err(error) => return Err(error),
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CallErrorKind::GrpcStatus`] when it has ended with a status other than 0, and
    /// [`CallErrorKind::TooLarge`] when more came than the filter took and the limit allows.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, CallError> {
        let inbox = &self.inbox;
        let next = poll_fn(|context| {
            let mut state = inbox.state.borrow_mut();
            if let Some(message) = state.messages.pop_front() {
                state.held = state.held.saturating_sub(message.len());
                return Poll::Ready(Ok(Some(message)));
            }
            if let Some(end) = &state.end {
                return Poll::Ready(end.clone().map(|()| None));
            }
            let before = std::mem::replace(&mut state.waker, tasks::copied(context.waker()));
            drop(state);
            drop(before);
            Poll::Pending
        });
        next.await
            .map_err(|kind| CallError::new(&self.cluster, kind))
    }

    /// The first metadata, once it has come: before the first message.
    ///
    /// ```
    /// use attache::cluster::CallError;
    /// use attache::grpc::GrpcStream;
    ///
    /// async fn version(stream: &mut GrpcStream) -> Result<Option<Vec<u8>>, CallError> {
    ///     stream.next().await?;
    ///     let metadata = stream.metadata();
    ///     Ok(metadata.and_then(|metadata| Some(metadata.all("x-version").first()?.to_vec())))
    /// }
    /// ```
    #[must_use]
    pub fn metadata(&self) -> Option<Rc<Headers>> {
        self.inbox.state.borrow().metadata.clone()
    }

    /// The last metadata, once the stream has ended.
    ///
    /// ```
    /// use attache::cluster::CallError;
    /// use attache::grpc::GrpcStream;
    ///
    /// /// Reads to the end, and says whether the peer wants to be asked again.
    /// async fn is_busy(stream: &mut GrpcStream) -> Result<bool, CallError> {
    ///     while stream.next().await?.is_some() {}
    ///     Ok(stream.trailers().is_some_and(|trailers| trailers.contains("retry-after")))
    /// }
    /// ```
    #[must_use]
    pub fn trailers(&self) -> Option<Rc<Headers>> {
        self.inbox.state.borrow().trailers.clone()
    }

    #[cfg(feature = "prost")]
    pub(super) fn error(&self, kind: CallErrorKind) -> CallError {
        CallError::new(&self.cluster, kind)
    }

    fn check(&self, call: impl FnOnce(u32) -> Result<(), HostError>) -> Result<(), CallError> {
        let end = self.inbox.state.borrow().end.clone();
        match end {
            Some(Err(kind)) => Err(CallError::new(&self.cluster, kind)),
            Some(Ok(())) => Err(CallError::new(
                &self.cluster,
                CallErrorKind::Unsendable {
                    what: "the stream has ended",
                },
            )),
            None => call(self.token.number)
                .map_err(|refusal| CallError::new(&self.cluster, CallErrorKind::Refused(refusal))),
        }
    }
}

impl Drop for GrpcStream {
    fn drop(&mut self) {
        if calls::remove(self.token) {
            // Where the host no longer knows the stream, it is over.
            let _ = grpc_cancel(self.token.number);
        }
    }
}

impl fmt::Debug for GrpcStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("GrpcStream")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl Inbox {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.borrow_mut();
        change(&mut state);
        let waker = state.waker.clone();
        drop(state);
        waker.wake();
    }

    fn metadata(map: Map) -> Option<Rc<Headers>> {
        let block = host::header_pairs(map).ok()?;
        Headers::read_only(block).map(Rc::new)
    }

    fn message(&self, size: usize) {
        let held = self.state.borrow().held;
        let free = self.limit.saturating_sub(held);
        match message(size, free) {
            Ok(message) => self.change(|state| {
                state.held = state.held.saturating_add(message.len());
                state.messages.push_back(message);
            }),
            Err(kind) => {
                let token = Token {
                    family: Family::GrpcStream,
                    number: self.token,
                };
                if calls::remove(token) {
                    let _ = grpc_cancel(self.token);
                }
                self.change(|state| state.end = Some(Err(kind)));
            }
        }
    }
}

impl Pending for Inbox {
    fn hear(&self, kind: Kind) {
        match kind {
            Kind::GrpcInitialMetadata => {
                let metadata = Self::metadata(Map::GrpcInitialMetadata);
                self.change(|state| state.metadata = metadata);
            }
            Kind::GrpcMessage { size } => self.message(size),
            Kind::GrpcTrailingMetadata => {
                let trailers = Self::metadata(Map::GrpcTrailingMetadata);
                self.change(|state| state.trailers = trailers);
            }
            Kind::GrpcClose { status: 0 } => self.change(|state| state.end = Some(Ok(()))),
            Kind::GrpcClose { status: code } => {
                let kind = status(code);
                self.change(|state| state.end = Some(Err(kind)));
            }
            Kind::Http { .. } | Kind::GrpcCall { .. } => {}
        }
    }

    fn lost(&self) {
        self.change(|state| state.end = Some(Err(CallErrorKind::StreamEnded)));
    }
}
