use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::Method;
use serde::Serialize;

use super::error::{CallError, CallErrorKind};
use super::forwarded;
use super::response::{CallResponse, Counts};
use crate::calls::{self, Family, Pending, Token};
use crate::headers::{FieldName, is_token};
use crate::host::calls::{HttpCall, http_call};
use crate::registry;
use crate::tasks::{self, events::Kind};
use crate::time::{Sleep, sleep};

/// How long a call may take unless [`Call::timeout`] says otherwise.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(attache::cluster::DEFAULT_TIMEOUT, Duration::from_secs(5));
/// ```
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// How large the body of an answer may be unless [`Call::limit`] says otherwise.
///
/// ```
/// assert_eq!(attache::cluster::DEFAULT_LIMIT, 1024 * 1024);
/// ```
pub const DEFAULT_LIMIT: usize = 1 << 20;

/// A call-out that is being put together; [`send`](Self::send) makes it.
///
/// ```
/// use std::time::Duration;
/// use attache::cluster::{Call, Cluster};
///
/// fn report(collector: &Cluster, events: &[u32]) -> Call {
///     collector
///         .post("/events?source=proxy")
///         .authority("collector.example")
///         .header("x-version", "1")
///         .json(&events)
///         .timeout(Duration::from_secs(1))
/// }
/// ```
#[must_use = "a call does nothing unless it is sent"]
pub struct Call {
    cluster: Rc<str>,
    method: Method,
    path: Vec<u8>,
    authority: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
    timeout: Duration,
    limit: usize,
    forwards: bool,
    /// Why it cannot be sent.
    fault: Option<&'static str>,
}

impl Call {
    pub(super) fn new(cluster: Rc<str>, method: Method, path: &[u8]) -> Self {
        Self {
            cluster,
            method,
            path: path.to_vec(),
            authority: None,
            headers: Vec::new(),
            body: Vec::new(),
            trailers: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            limit: DEFAULT_LIMIT,
            forwards: true,
            fault: breaks_line(path).then_some("the path has a carriage return, line feed or NUL"),
        }
    }

    /// Adds a header; a repeated name gives two, or one with both values between commas where Envoy holds the header
    /// once, such as `authorization`. `host` is [`authority`](Self::authority). The value goes out as it is, UTF-8 or
    /// not.
    ///
    /// ```
    /// use attache::cluster::{Call, Cluster};
    /// use attache::prelude::*;
    ///
    /// fn check(authz: &Cluster, tenant: &str) -> Call {
    ///     authz.get("/check").header(ACCEPT, "application/json").header("x-tenant", tenant)
    /// }
    /// ```
    pub fn header(mut self, name: impl FieldName, value: impl AsRef<[u8]>) -> Self {
        let (name, value) = self.pair(name, value.as_ref());
        if name == b"host" {
            self.authority = Some(value);
        } else {
            self.headers.push((name, value));
        }
        self
    }

    /// Sets `:authority`, the `host` of HTTP/1.1. It is the cluster's name unless set.
    pub fn authority(mut self, authority: impl AsRef<[u8]>) -> Self {
        let (_, authority) = self.pair("host", authority.as_ref());
        self.authority = Some(authority);
        self
    }

    /// Sets the body. Envoy sets `content-length`.
    ///
    /// ```
    /// use attache::cluster::Call;
    /// use attache::prelude::*;
    ///
    /// fn line(collector: &Cluster, line: String) -> Call {
    ///     collector.post("/lines").header(CONTENT_TYPE, "text/plain").body(line)
    /// }
    /// ```
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to `value` as JSON, and `content-type` to `application/json`, unless it is set already.
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body = body,
            Err(_) => self.fault = Some("the value has no form in JSON"),
        }
        match self.headers.iter().any(|(name, _)| name == b"content-type") {
            true => self,
            false => self.header("content-type", "application/json"),
        }
    }

    /// Adds a trailer. Envoy drops trailers where the cluster speaks HTTP/1.1 and there is a body.
    ///
    /// ```
    /// use attache::cluster::{Call, Cluster};
    ///
    /// fn summed(store: &Cluster, body: Vec<u8>, sum: &str) -> Call {
    ///     store.post("/bodies").body(body).trailer("x-sum", sum)
    /// }
    /// ```
    pub fn trailer(mut self, name: impl FieldName, value: impl AsRef<[u8]>) -> Self {
        let pair = self.pair(name, value.as_ref());
        self.trailers.push(pair);
        self
    }

    /// Sets how long the call may take, to the millisecond; then Envoy answers 504 in the peer's
    /// place. The host keeps this time: it costs no tick. See [`DEFAULT_TIMEOUT`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how large the answer's body may be. A larger one is not copied into the module. See
    /// [`DEFAULT_LIMIT`].
    ///
    /// ```
    /// use attache::cluster::{Call, Cluster};
    ///
    /// /// A verdict is a few bytes; whatever is more is none.
    /// fn check(authz: &Cluster) -> Call {
    ///     authz.get("/check").limit(1024)
    /// }
    /// ```
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Leaves out `x-request-id` and the headers of traces (`traceparent`, `b3` and the like), which
    /// are otherwise those of the request that the call is made for, unless the call sets them. A call
    /// that is made when the request has gone on has none: Envoy does not show them any more, until the stream's end,
    /// where [`on_complete`](crate::HttpFilter::on_complete) and access loggers have them as the upstream got them.
    /// What calls somebody who is not to know leaves them out by this. Saves a host call.
    ///
    /// ```
    /// use attache::cluster::{Call, Cluster};
    ///
    /// /// Is for all requests, and part of no trace.
    /// fn keys(issuer: &Cluster) -> Call {
    ///     issuer.get("/keys").without_trace()
    /// }
    /// ```
    pub fn without_trace(mut self) -> Self {
        self.forwards = false;
        self
    }

    /// Makes the call, when the future is first polled.
    ///
    /// A stream that waits for it needs [`Phases::WAITS`](crate::Phases::WAITS). Dropping the future does not
    /// stop an HTTP call, for which the host has no means; its answer is then nobody's.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// async fn may_pass(authz: &Cluster) -> Result<bool, Error> {
    ///     let verdict = authz.get("/check").send().await?;
    ///     match verdict.status() {
    ///         StatusCode::OK => Ok(true),
    ///         StatusCode::FORBIDDEN => Ok(false),
    ///         // 503 and 504 among them, which Envoy answers in the peer's place.
    ///         status => Err(Error::filter(format!("no verdict: {status}"))),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`CallError`] for a call that could not be made or answered nothing. A peer that cannot be
    /// reached or takes too long is a [`CallResponse`] with status 503 or 504.
    pub fn send(self) -> Sending {
        Sending(State::Fresh(Box::new(self)))
    }

    /// Makes the call now, and has its answer be nobody's: to tell a service of something that need not be known to have
    /// arrived. It costs no wait, and may be made where nothing waits:
    /// [`on_complete`](crate::HttpFilter::on_complete), [`AccessLogger::log`](crate::AccessLogger::log), a
    /// [`BodyTransform`](crate::BodyTransform). The call outlives its stream.
    ///
    /// Each stream then costs a call. What may be collected is sent by the run of an
    /// [`AccessLogger`](crate::AccessLogger) or a [`Service`](crate::Service).
    ///
    /// ```
    /// use attache::Completed;
    /// use attache::prelude::*;
    ///
    /// struct Audit {
    ///     audit: Cluster,
    /// }
    ///
    /// impl HttpFilter for Audit {
    ///     type Config = ();
    ///
    ///     // `BESIDE`: the answer is heard of, though by nobody in particular.
    ///     const PHASES: Phases = Phases::REQUEST.union(Phases::COMPLETE).union(Phases::BESIDE);
    ///
    ///     fn configure((): (), plugin: &Plugin) -> Result<Self, ConfigError> {
    ///         Ok(Self { audit: plugin.cluster("audit") })
    ///     }
    ///
    ///     async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
    ///         next.forward(request)
    ///     }
    ///
    ///     fn on_complete(&self, stream: &Completed) {
    ///         let line = format!("status={:?}", stream.status());
    ///         if let Err(error) = self.audit.post("/lines").body(line).send_and_forget() {
    ///             log::warn!("not told: {error}");
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`CallError`] for a call that could not be made: there is no such cluster, or no filter of the module declares
    /// [`Phases::BESIDE`](crate::Phases::BESIDE) or [`Phases::WAITS`](crate::Phases::WAITS), so that the module has no
    /// callback for answers.
    pub fn send_and_forget(self) -> Result<(), CallError> {
        if !registry::hears_answers() {
            let what = "no filter of the module declares `Phases::BESIDE` or `Phases::WAITS`";
            return Err(CallError::new(
                &self.cluster,
                CallErrorKind::Unsendable { what },
            ));
        }
        self.make().map(drop)
    }

    fn pair(&mut self, name: impl FieldName, value: &[u8]) -> (Vec<u8>, Vec<u8>) {
        if !is_token(&name) {
            self.fault = Some("the name of a header is no token");
        }
        if breaks_line(value) {
            self.fault = Some("a header has a carriage return, line feed or NUL");
        }
        (name.as_bytes().to_ascii_lowercase(), value.to_vec())
    }

    /// Makes the call.
    fn make(&self) -> Result<Token, CallError> {
        let fault = |kind| CallError::new(&self.cluster, kind);
        if let Some(what) = self.fault {
            return Err(fault(CallErrorKind::Unsendable { what }));
        }
        let mut forwarded = Vec::new();
        if self.forwards {
            forwarded = forwarded::headers();
            forwarded.retain(|(name, _)| !self.headers.iter().any(|(own, _)| own == name));
        }
        let authority = match &self.authority {
            Some(authority) => authority.as_slice(),
            None => self.cluster.as_bytes(),
        };
        let mut headers: Vec<(&[u8], &[u8])> = vec![
            (b":method", self.method.as_str().as_bytes()),
            (b":path", &self.path),
            (b":authority", authority),
        ];
        headers.extend(borrowed(&forwarded).chain(borrowed(&self.headers)));
        let trailers: Vec<(&[u8], &[u8])> = borrowed(&self.trailers).collect();
        let token = http_call(HttpCall {
            cluster: &self.cluster,
            headers: &headers,
            body: &self.body,
            trailers: &trailers,
            milliseconds: milliseconds(self.timeout),
        })
        .map_err(|refusal| fault(CallErrorKind::Refused(refusal)))?;
        Ok(Token {
            family: Family::Http,
            number: token,
        })
    }

    /// Makes the call; `registrant` is the context that the answer comes through.
    fn dispatch(&self, registrant: u32, waker: &Waker) -> Result<(Token, Rc<Slot>), CallError> {
        let token = self.make()?;
        let slot = Rc::new(Slot {
            cluster: Rc::clone(&self.cluster),
            limit: self.limit,
            outcome: RefCell::new(None),
            waker: RefCell::new(tasks::copied(waker)),
        });
        let pending: Rc<dyn Pending> = Rc::<Slot>::clone(&slot);
        calls::insert(token, registrant, pending);
        Ok((token, slot))
    }
}

/// A time limit as the host takes it: 0 would be none, and a large number a negative one.
pub(crate) fn milliseconds(timeout: Duration) -> u32 {
    let most = i32::MAX.cast_unsigned();
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
    u32::try_from(milliseconds).unwrap_or(most).clamp(1, most)
}

fn borrowed(pairs: &[(Vec<u8>, Vec<u8>)]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = pairs.iter();
    pairs.map(|(name, value)| (name.as_slice(), value.as_slice()))
}

pub(crate) fn breaks_line(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

/// Names only: values may be secrets.
impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Call")
            .field("cluster", &self.cluster)
            .field("method", &self.method)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The future of [`Call::send`].
///
/// ```
/// use attache::cluster::Cluster;
///
/// async fn both(users: &Cluster, quotas: &Cluster) -> bool {
///     let (user, quota) = attache::join!(users.get("/").send(), quotas.get("/").send());
///     user.is_ok() && quota.is_ok()
/// }
/// ```
#[must_use = "the call is made when this is awaited"]
pub struct Sending(State);

enum State {
    Fresh(Box<Call>),
    /// The call waits for a tick, because an answer that came through the context whose callback
    /// runs could be lost.
    Deferred(Box<Call>, Sleep),
    Waiting(Token, Rc<Slot>),
    Over,
}

/// Where the answer is left.
struct Slot {
    cluster: Rc<str>,
    limit: usize,
    outcome: RefCell<Option<Result<CallResponse, CallError>>>,
    waker: RefCell<Waker>,
}

impl Slot {
    fn settle(&self, outcome: Result<CallResponse, CallError>) {
        self.outcome.replace(Some(outcome));
        let waker = self.waker.borrow().clone();
        waker.wake();
    }
}

impl Pending for Slot {
    fn hear(&self, kind: Kind) {
        if let Kind::Http {
            headers,
            body,
            trailers,
        } = kind
        {
            let counts = Counts {
                headers,
                body,
                trailers,
            };
            self.settle(CallResponse::read(&self.cluster, counts, self.limit));
        }
    }

    fn lost(&self) {
        let lost = CallError::new(&self.cluster, CallErrorKind::StreamEnded);
        self.settle(Err(lost));
    }
}

impl Future for Sending {
    type Output = Result<CallResponse, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match std::mem::replace(&mut self.0, State::Over) {
                State::Fresh(call) => match tasks::registrant() {
                    Some(registrant) => {
                        let (token, slot) = call.dispatch(registrant, context.waker())?;
                        self.0 = State::Waiting(token, slot);
                        return Poll::Pending;
                    }
                    None => self.0 = State::Deferred(call, sleep(Duration::from_millis(1))),
                },
                State::Deferred(call, mut tick) => match Pin::new(&mut tick).poll(context) {
                    Poll::Pending => {
                        self.0 = State::Deferred(call, tick);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(())) => self.0 = State::Fresh(call),
                    Poll::Ready(Err(refusal)) => {
                        let kind = CallErrorKind::Refused(refusal);
                        return Poll::Ready(Err(CallError::new(&call.cluster, kind)));
                    }
                },
                State::Waiting(token, slot) => {
                    if let Some(outcome) = slot.outcome.take() {
                        return Poll::Ready(outcome);
                    }
                    // The waker before is dropped where nothing is borrowed.
                    drop(slot.waker.replace(context.waker().clone()));
                    self.0 = State::Waiting(token, slot);
                    return Poll::Pending;
                }
                State::Over => return Poll::Pending,
            }
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let State::Waiting(token, _) = &self.0 {
            calls::remove(*token);
        }
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sending").finish_non_exhaustive()
    }
}
