use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::stream::GrpcStream;
use super::target::service;
use crate::calls::{self, Family, Pending, Token};
use crate::cluster::{CallError, CallErrorKind, DEFAULT_LIMIT, DEFAULT_TIMEOUT};
use crate::cluster::{breaks_line, forwarded_headers, milliseconds};
use crate::headers::{FieldName, is_token};
use crate::host::calls::{GrpcCall, Received, call_status, grpc_call, grpc_cancel, received};
use crate::tasks::{self, events::Kind};
use crate::time::{Sleep, sleep};

/// A gRPC call that is being put together: [`unary`](Self::unary) makes it, [`open`](Self::open)
/// begins a stream.
///
/// ```
/// use std::time::Duration;
/// use attache::cluster::Cluster;
/// use attache::grpc::Rpc;
///
/// fn check(authz: &Cluster) -> Rpc {
///     authz
///         .grpc("envoy.service.auth.v3.Authorization", "Check")
///         .metadata("x-version", "1")
///         .timeout(Duration::from_millis(200))
///         .limit(16 * 1024)
/// }
/// ```
#[must_use = "a call does nothing unless it is made"]
pub struct Rpc {
    pub(super) cluster: Rc<str>,
    service: String,
    method: String,
    metadata: Vec<(Vec<u8>, Vec<u8>)>,
    timeout: Duration,
    pub(super) limit: usize,
    forwards: bool,
    fault: Option<&'static str>,
}

impl Rpc {
    pub(super) fn new(cluster: Rc<str>, service: &str, method: &str) -> Self {
        // Envoy reaches for such a cluster, and can hang.
        let fault = cluster.is_empty().then_some("the cluster has no name");
        Self {
            cluster,
            service: service.to_owned(),
            method: method.to_owned(),
            metadata: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            limit: DEFAULT_LIMIT,
            forwards: true,
            fault,
        }
    }

    /// Adds initial metadata; a repeated name gives two values.
    pub fn metadata(mut self, name: impl FieldName, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        if !is_token(&name) {
            self.fault = Some("the name of metadata is no token");
        }
        if breaks_line(value) {
            self.fault = Some("metadata has a carriage return, line feed or NUL");
        }
        let pair = (name.as_bytes().to_ascii_lowercase(), value.to_vec());
        self.metadata.push(pair);
        self
    }

    /// Sets how long a unary call may take; then its status is 4, `DEADLINE_EXCEEDED`. A stream has
    /// no such limit. See [`DEFAULT_TIMEOUT`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how large a message may be, and how many bytes of messages a stream holds for a filter
    /// that does not take them. See [`DEFAULT_LIMIT`].
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Leaves out what ties the call to the request that it is made for, as
    /// [`Call::without_trace`](crate::cluster::Call::without_trace) does.
    ///
    /// ```
    /// use attache::cluster::Cluster;
    /// use attache::grpc::Rpc;
    ///
    /// fn report(collector: &Cluster) -> Rpc {
    ///     collector.grpc("shop.Collector", "Report").without_trace()
    /// }
    /// ```
    pub fn without_trace(mut self) -> Self {
        self.forwards = false;
        self
    }

    /// Sends one message, and waits for one.
    ///
    /// Dropping the future cancels the call.
    ///
    /// ```
    /// use attache::cluster::{CallError, CallErrorKind, Cluster};
    ///
    /// /// `None` for a user that the peer does not know (`NOT_FOUND`).
    /// async fn user(users: &Cluster, name: &[u8]) -> Result<Option<Vec<u8>>, CallError> {
    ///     match users.grpc("shop.Users", "Get").unary(name).await {
    ///         Ok(user) => Ok(Some(user)),
    ///         Err(error) => match error.kind() {
    ///             CallErrorKind::GrpcStatus { code: 5, .. } => Ok(None),
    ///             _ => Err(error),
    ///         },
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CallErrorKind::GrpcStatus`] for every status but 0, be it the peer's or Envoy's own; other
    /// kinds for a call that could not be made.
    pub fn unary(self, message: impl Into<Vec<u8>>) -> Unary {
        Unary(State::Fresh(Box::new((self, message.into()))))
    }

    /// Begins a stream, when the future is first polled.
    ///
    /// ```
    /// use attache::cluster::{CallError, Cluster};
    ///
    /// /// Sends all of it, and waits for the peer's word that it has it.
    /// async fn upload(store: &Cluster, parts: &[Vec<u8>]) -> Result<(), CallError> {
    ///     let mut stream = store.grpc("shop.Store", "Upload").open().await?;
    ///     for part in parts {
    ///         stream.send(part)?;
    ///     }
    ///     stream.finish()?;
    ///     while stream.next().await?.is_some() {}
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`CallError`] for a stream that could not begin. A peer that cannot be reached shows when
    /// the stream is read.
    pub fn open(self) -> Opening {
        Opening(Deferred {
            what: Some(Box::new(self)),
            tick: None,
        })
    }

    pub(super) fn error(&self, kind: CallErrorKind) -> CallError {
        CallError::new(&self.cluster, kind)
    }

    /// Has `dispatch` make the call.
    pub(super) fn dispatch(
        &self,
        message: &[u8],
        dispatch: impl FnOnce(GrpcCall<'_>) -> Result<u32, crate::HostError>,
    ) -> Result<u32, CallError> {
        if let Some(what) = self.fault {
            return Err(self.error(CallErrorKind::Unsendable { what }));
        }
        let mut metadata = Vec::new();
        if self.forwards {
            metadata = forwarded_headers();
            metadata.retain(|(name, _)| !self.metadata.iter().any(|(own, _)| own == name));
        }
        metadata.extend_from_slice(&self.metadata);
        let metadata: Vec<(&[u8], &[u8])> = metadata
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
            .collect();
        dispatch(GrpcCall {
            target: &service(&self.cluster),
            service: &self.service,
            method: &self.method,
            metadata: &metadata,
            message,
            milliseconds: milliseconds(self.timeout),
        })
        .map_err(|refusal| self.error(CallErrorKind::Refused(refusal)))
    }
}

impl fmt::Debug for Rpc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Rpc")
            .field("cluster", &self.cluster)
            .field("service", &self.service)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// What waits until a call can be made whose answer will not be lost.
struct Deferred<T> {
    what: Option<Box<T>>,
    tick: Option<Sleep>,
}

impl<T> Deferred<T> {
    /// What to make, and the context that its answer comes through.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(Box<T>, u32), crate::HostError>> {
        loop {
            if let Some(tick) = &mut self.tick {
                match Pin::new(tick).poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => self.tick = None,
                    Poll::Ready(Err(refusal)) => return Poll::Ready(Err(refusal)),
                }
            }
            match (tasks::registrant(), self.what.take()) {
                (Some(registrant), Some(what)) => return Poll::Ready(Ok((what, registrant))),
                (_, None) => return Poll::Pending,
                (None, what) => {
                    self.what = what;
                    self.tick = Some(sleep(Duration::from_millis(1)));
                }
            }
        }
    }
}

/// The future of [`Rpc::open`].
///
/// ```
/// use attache::cluster::{CallError, Cluster};
/// use attache::grpc::GrpcStream;
///
/// async fn open(chat: &Cluster) -> Result<GrpcStream, CallError> {
///     chat.grpc("chat.Service", "Talk").open().await
/// }
/// ```
#[must_use = "the stream begins when this is awaited"]
pub struct Opening(Deferred<Rpc>);

impl Future for Opening {
    type Output = Result<GrpcStream, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let cluster = self.0.what.as_ref().map(|rpc| Rc::clone(&rpc.cluster));
        match self.0.poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok((rpc, registrant))) => {
                Poll::Ready(GrpcStream::begin(&rpc, registrant, context.waker()))
            }
            Poll::Ready(Err(refusal)) => {
                let kind = CallErrorKind::Refused(refusal);
                Poll::Ready(Err(CallError::new(&cluster.unwrap_or_default(), kind)))
            }
        }
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Opening").finish_non_exhaustive()
    }
}

/// The future of [`Rpc::unary`].
///
/// ```
/// use attache::cluster::{CallError, Cluster};
///
/// async fn say(chat: &Cluster) -> Result<Vec<u8>, CallError> {
///     chat.grpc("chat.Service", "Say").unary("hello").await
/// }
/// ```
#[must_use = "the call is made when this is awaited"]
pub struct Unary(State);

enum State {
    Fresh(Box<(Rpc, Vec<u8>)>),
    Deferred(Deferred<(Rpc, Vec<u8>)>),
    Waiting(Token, Rc<Slot>),
    Over,
}

struct Slot {
    cluster: Rc<str>,
    limit: usize,
    outcome: RefCell<Option<Result<Vec<u8>, CallError>>>,
    waker: RefCell<Waker>,
}

impl Slot {
    fn settle(&self, outcome: Result<Vec<u8>, CallErrorKind>) {
        let outcome = outcome.map_err(|kind| CallError::new(&self.cluster, kind));
        self.outcome.replace(Some(outcome));
        let waker = self.waker.borrow().clone();
        waker.wake();
    }
}

/// Reads the message that the callback brings that runs now.
pub(super) fn message(size: usize, limit: usize) -> Result<Vec<u8>, CallErrorKind> {
    if size > limit {
        return Err(CallErrorKind::TooLarge { size, limit });
    }
    if size == 0 {
        return Ok(Vec::new());
    }
    received(Received::GrpcMessage, size).map_err(CallErrorKind::Refused)
}

/// What went wrong, as the callback says that runs now.
pub(super) fn status(code: u32) -> CallErrorKind {
    let (_, text) = call_status().unwrap_or_default();
    CallErrorKind::GrpcStatus {
        code,
        message: String::from_utf8_lossy(&text).into_owned(),
    }
}

impl Pending for Slot {
    fn hear(&self, kind: Kind) {
        match kind {
            Kind::GrpcCall { status: 0, size } => self.settle(message(size, self.limit)),
            Kind::GrpcCall { status: code, .. } => self.settle(Err(status(code))),
            _ => {}
        }
    }

    fn lost(&self) {
        self.settle(Err(CallErrorKind::StreamEnded));
    }
}

impl Future for Unary {
    type Output = Result<Vec<u8>, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match std::mem::replace(&mut self.0, State::Over) {
                State::Fresh(call) => {
                    self.0 = State::Deferred(Deferred {
                        what: Some(call),
                        tick: None,
                    });
                }
                State::Deferred(mut deferred) => match deferred.poll(context) {
                    Poll::Pending => {
                        self.0 = State::Deferred(deferred);
                        return Poll::Pending;
                    }
                    Poll::Ready(Err(refusal)) => {
                        let cluster = deferred.what.map(|call| Rc::clone(&call.0.cluster));
                        let kind = CallErrorKind::Refused(refusal);
                        let error = CallError::new(&cluster.unwrap_or_default(), kind);
                        return Poll::Ready(Err(error));
                    }
                    Poll::Ready(Ok((call, registrant))) => {
                        let (rpc, message) = *call;
                        let token = Token {
                            family: Family::GrpcCall,
                            number: rpc.dispatch(&message, grpc_call)?,
                        };
                        let slot = Rc::new(Slot {
                            cluster: rpc.cluster,
                            limit: rpc.limit,
                            outcome: RefCell::new(None),
                            waker: RefCell::new(tasks::copied(context.waker())),
                        });
                        let pending: Rc<dyn Pending> = Rc::<Slot>::clone(&slot);
                        calls::insert(token, registrant, pending);
                        self.0 = State::Waiting(token, slot);
                        return Poll::Pending;
                    }
                },
                State::Waiting(token, slot) => {
                    if let Some(outcome) = slot.outcome.take() {
                        return Poll::Ready(outcome);
                    }
                    drop(slot.waker.replace(context.waker().clone()));
                    self.0 = State::Waiting(token, slot);
                    return Poll::Pending;
                }
                State::Over => return Poll::Pending,
            }
        }
    }
}

impl Drop for Unary {
    fn drop(&mut self) {
        if let State::Waiting(token, _) = &self.0
            && calls::remove(*token)
        {
            // Where the host no longer knows the call, it is over.
            let _ = grpc_cancel(token.number);
        }
    }
}

impl fmt::Debug for Unary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Unary").finish_non_exhaustive()
    }
}
