use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::body::{Incoming, Reading, Rewriting};
use crate::error::Error;
use crate::flow::{Flow, Gate};
use crate::host::Direction;
use crate::mode::{Mode, Streaming};
use crate::phases::Phases;
use crate::request::Request;
use crate::response::{Answer, Response};
use crate::stream::Handle;

/// How far the filter's future has brought its stream; the part of it that the future sees.
pub(crate) struct Link {
    stream: u32,
    phases: Phases,
    request: Flow,
    response: Flow,
    passed: Cell<Option<Way>>,
    /// Whether the future no longer waits for the response.
    deaf: Cell<bool>,
    waker: Cell<Option<Waker>>,
    /// What the future answered before its end.
    early: Cell<Option<Box<Answer>>>,
    /// Whether the future waits for the stream's end.
    awaits_end: Cell<bool>,
    /// Whether that has come.
    complete: Cell<bool>,
    /// What the future left for the stream's end.
    kept: RefCell<Option<Rc<dyn Any>>>,
}

/// How a request was passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// By [`Next::run`] and [`Next::send`]: the future wakes with the response.
    Run,
    /// By [`Next::forward`]: the response is none of the filter's business.
    Forwarded,
}

impl Link {
    pub(crate) fn new(stream: u32, phases: Phases) -> Self {
        Self {
            stream,
            phases,
            request: Flow::new(Direction::Request),
            response: Flow::new(Direction::Response),
            passed: Cell::new(None),
            deaf: Cell::new(false),
            waker: Cell::new(None),
            early: Cell::new(None),
            awaits_end: Cell::new(false),
            complete: Cell::new(false),
            kept: RefCell::new(None),
        }
    }

    pub(crate) fn stream(&self) -> u32 {
        self.stream
    }

    pub(crate) fn phases(&self) -> Phases {
        self.phases
    }

    pub(crate) fn flow(&self, direction: Direction) -> &Flow {
        match direction {
            Direction::Request => &self.request,
            Direction::Response => &self.response,
        }
    }

    /// How the request has been passed on, if it has.
    pub(crate) fn passed(&self) -> Option<Way> {
        self.passed.get()
    }

    /// Whether the future waits for the response's headers, or may do so yet.
    pub(crate) fn is_listening(&self) -> bool {
        self.passed.get() == Some(Way::Run) && !self.deaf.get()
    }

    /// Whether a response has come.
    pub(crate) fn has_response(&self) -> bool {
        self.response.gate() != Gate::Fresh
    }

    /// Wakes those who wait for the response by wakers of their own, which is not `polled`.
    pub(crate) fn deliver(&self, polled: &Waker) {
        wake(self.waker.take(), polled);
        self.request.wake(polled);
    }

    /// Answers while the future lives on.
    pub(crate) fn answer_early(&self, answer: Answer) {
        self.awaits_end.set(true);
        self.early.set(Some(Box::new(answer)));
    }

    pub(crate) fn forget_early(&self) {
        if self.awaits_end.get() {
            self.early.set(None);
        }
    }

    pub(crate) fn take_early(&self) -> Option<Answer> {
        if !self.awaits_end.get() {
            return None;
        }
        self.early.take().map(|answer| *answer)
    }

    /// Whether the future waits for the stream's end.
    pub(crate) fn awaits_end(&self) -> bool {
        self.awaits_end.get()
    }

    /// Whether the future wants to see the stream's end, which it then does.
    pub(crate) fn complete(&self) -> bool {
        self.complete.set(self.awaits_end.get());
        self.awaits_end.get()
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete.get()
    }

    pub(crate) fn keep(&self, value: Rc<dyn Any>) {
        self.kept.replace(Some(value));
    }

    pub(crate) fn kept(&self) -> Option<Rc<dyn Any>> {
        self.kept.borrow().clone()
    }

    /// Writes the request's changes and lets it go on.
    fn pass<M: Mode>(&self, request: &mut Request<M>, way: Way) -> Result<(), Error> {
        if !request.headers().is_of(self.stream) {
            return Err(Error::misuse(
                "the filter passed another stream's request on",
            ));
        }
        request.commit()?;
        self.request.set_gate(Gate::Open);
        self.passed.set(Some(way));
        Ok(())
    }

    fn may_listen(&self) -> Result<(), Error> {
        if self.phases.contains(Phases::RESPONSE) {
            return Ok(());
        }
        Err(Error::misuse(
            "`next.run` wakes with the response, which the filter's PHASES lack; \
             add `Phases::RESPONSE`, or use `next.forward`",
        ))
    }
}

/// Wakes who looks at its own waker only. The waker of the whole future is left alone: it is polled
/// anyway, and once is enough.
pub(crate) fn wake(waker: Option<Waker>, polled: &Waker) {
    if let Some(waker) = waker
        && !waker.will_wake(polled)
    {
        waker.wake();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Link")
            .field("passed", &self.passed)
            .finish_non_exhaustive()
    }
}

/// The rest of the filter chain and the upstream. There is one for each stream, and using it uses
/// it up.
///
/// ```
/// # use attache::prelude::*;
/// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
/// if request.headers().contains("x-skip") {
///     // The response is none of this filter's business.
///     return next.forward(request);
/// }
/// let mut response = next.run(request).await?;
/// response.headers_mut().remove(SERVER);
/// Ok(response)
/// # }
/// ```
#[derive(Debug)]
pub struct Next<M: Mode = Streaming> {
    link: Handle,
    mode: PhantomData<fn() -> M>,
}

impl<M: Mode> Next<M> {
    pub(crate) fn new(link: Handle) -> Self {
        Self {
            link,
            mode: PhantomData,
        }
    }

    /// Passes the request on and wakes with the response's headers.
    ///
    /// The request goes on when the future is first polled. Needs [`Phases::RESPONSE`].
    ///
    /// A future that waits before this, while a response arrives all the same (Envoy answers 413,
    /// a time limit ends, another filter replies), is dropped there: its request part has lost its
    /// purpose.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let begun = attache::Timestamp::now()?;
    /// let mut response = next.run(request).await?;
    /// let milliseconds = attache::Timestamp::now()?.since(begun).as_millis() as u64;
    /// response.headers_mut().insert("x-upstream-ms", milliseconds);
    /// Ok(response)
    /// # }
    /// ```
    pub fn run(self, request: Request<M>) -> Run<M> {
        Run {
            request: Some(request),
            arrival: Arrival::new(self.link),
        }
    }

    /// Passes the request on; the response goes to the client unseen. Costs no callback.
    ///
    /// A future that goes on after this cannot change the stream's fate any more: a local reply or
    /// an error then is logged and ignored.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(mut request: Request, next: Next) -> Result<Response, Error> {
    /// request.headers_mut().remove("x-internal-user");
    /// next.forward(request)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses the request's changes.
    pub fn forward(self, mut request: Request<M>) -> Result<Response<M>, Error> {
        self.link.pass(&mut request, Way::Forwarded)?;
        Ok(Response::forwarded(self.link))
    }

    /// Passes the request's headers on, and holds its body as long as [`Sent::body`] lives, to be
    /// collected and read. Its length stays what the headers say, so it cannot be replaced.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # use attache::{Collected, Sent};
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let Sent { mut body, response } = next.send(request)?;
    /// match body.collect(64 * 1024).await? {
    ///     Collected::Whole(whole) if whole.bytes().starts_with(b"{") => {}
    ///     Collected::Whole(_) => return Ok(Response::local(StatusCode::BAD_REQUEST, "no JSON\n")),
    ///     Collected::TooLarge => {
    ///         return Ok(Response::local(StatusCode::PAYLOAD_TOO_LARGE, "too large\n"));
    ///     }
    ///     Collected::Answered => {}
    /// }
    /// body.pass();
    /// response.await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses the request's changes.
    pub fn send(self, request: Request<M>) -> Result<Sent<M>, Error> {
        self.send_as(request)
    }

    /// As [`send`](Self::send), with a body that may be replaced: the request goes on without
    /// `content-length`, in chunks over HTTP/1.1.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let Sent { mut body, response } = next.send_to_rewrite(request)?;
    /// if let Collected::Whole(whole) = body.collect(64 * 1024).await? {
    ///     let upper = whole.bytes().to_ascii_uppercase();
    ///     whole.replace(upper)?;
    /// }
    /// body.pass();
    /// response.await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses the request's changes.
    pub fn send_to_rewrite(self, mut request: Request<M>) -> Result<Sent<M, Rewriting>, Error> {
        request.forget_length();
        self.send_as(request)
    }

    fn send_as<K>(self, mut request: Request<M>) -> Result<Sent<M, K>, Error> {
        self.link.may_listen()?;
        self.link.pass(&mut request, Way::Run)?;
        Ok(Sent {
            body: Incoming::new(self.link.clone(), Direction::Request),
            response: Arrival::new(self.link),
        })
    }
}

/// What [`Next::send`] gives: the request's body, and the response to come. Both may be awaited at
/// once.
///
/// ```
/// # use attache::prelude::*;
/// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
/// let Sent { mut body, response } = next.send(request)?;
/// let (collected, response) = attache::join!(body.collect(1024), response);
/// if matches!(collected?, Collected::TooLarge) {
///     log::info!("a large one");
/// }
/// response
/// # }
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is there to be taken apart")]
pub struct Sent<M: Mode = Streaming, K = Reading> {
    /// The request's body, which is held as long as this lives.
    pub body: Incoming<K>,
    /// Wakes with the response's headers.
    pub response: Arrival<M>,
}

/// The future of [`Next::run`].
///
/// ```
/// # use attache::prelude::*;
/// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
/// let run = next.run(request);
/// run.await
/// # }
/// ```
///
/// # Errors
///
/// An [`Error`] when the host refuses the request's changes, and when the filter has not declared
/// [`Phases::RESPONSE`].
#[derive(Debug)]
#[must_use = "the request goes on when this is awaited"]
pub struct Run<M: Mode = Streaming> {
    request: Option<Request<M>>,
    arrival: Arrival<M>,
}

impl<M: Mode> Future for Run<M> {
    type Output = Result<Response<M>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { request, arrival } = &mut *self;
        if let Some(held) = request {
            let link = &arrival.link;
            let passed = link.may_listen().and_then(|()| link.pass(held, Way::Run));
            *request = None;
            passed?;
        }
        Pin::new(arrival).poll(context)
    }
}

/// The response to a request that has been sent: a future that wakes with its headers.
///
/// When this is dropped, the response goes to the client unseen.
///
/// ```
/// # use attache::prelude::*;
/// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
/// let Sent { body, response } = next.send(request)?;
/// body.pass();
/// Ok(response.forward())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the response goes to the client unseen when this is dropped"]
pub struct Arrival<M: Mode = Streaming> {
    link: Handle,
    mode: PhantomData<fn() -> M>,
}

impl<M: Mode> Arrival<M> {
    fn new(link: Handle) -> Self {
        Self {
            link,
            mode: PhantomData,
        }
    }

    /// Lets the response go to the client unseen.
    #[must_use]
    pub fn forward(self) -> Response<M> {
        Response::forwarded(self.link.clone())
    }
}

impl<M: Mode> Future for Arrival<M> {
    type Output = Result<Response<M>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.link.has_response() {
            return Poll::Ready(Ok(Response::upstream(&self.link)));
        }
        let waker = context.waker();
        let is_own = self.link.is_polled_with(waker);
        self.link.waker.set((!is_own).then(|| waker.clone()));
        Poll::Pending
    }
}

impl<M: Mode> Drop for Arrival<M> {
    fn drop(&mut self) {
        // A response that has come is in somebody's hands.
        if !self.link.has_response() {
            self.link.deaf.set(true);
        }
    }
}
