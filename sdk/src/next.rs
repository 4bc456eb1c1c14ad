use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::error::Error;
use crate::mode::{Mode, Streaming};
use crate::phases::Phases;
use crate::request::Request;
use crate::response::Response;

/// How far the filter's future has brought its stream; shared by the stream, [`Next`] and [`Run`].
pub(crate) struct Link {
    stream: u32,
    phases: Phases,
    passed: Cell<Option<Way>>,
    /// Whether a response has come that nobody has taken yet.
    answered: Cell<bool>,
}

/// How a request was passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// By [`Next::run`]: the future wakes with the response.
    Run,
    /// By [`Next::forward`]: the response is none of the filter's business.
    Forwarded,
}

impl Link {
    pub(crate) fn new(stream: u32, phases: Phases) -> Self {
        Self {
            stream,
            phases,
            passed: Cell::new(None),
            answered: Cell::new(false),
        }
    }

    /// How the request has been passed on, if it has.
    pub(crate) fn passed(&self) -> Option<Way> {
        self.passed.get()
    }

    pub(crate) fn stream(&self) -> u32 {
        self.stream
    }

    /// Tells the future that waits for the response of its headers.
    pub(crate) fn deliver(&self) {
        self.answered.set(true);
    }

    /// Writes the request's changes and marks it as passed on.
    fn pass<M: Mode>(&self, request: Request<M>, way: Way) -> Result<(), Error> {
        if !request.headers().is_of(self.stream) {
            return Err(Error::misuse(
                "the filter passed another stream's request on",
            ));
        }
        request.commit()?;
        self.passed.set(Some(way));
        Ok(())
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
#[derive(Debug)]
pub struct Next<M: Mode = Streaming> {
    link: Rc<Link>,
    mode: PhantomData<fn() -> M>,
}

impl<M: Mode> Next<M> {
    pub(crate) fn new(link: Rc<Link>) -> Self {
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
    pub fn run(self, request: Request<M>) -> Run<M> {
        Run {
            link: self.link,
            request: Some(request),
        }
    }

    /// Passes the request on; the response goes to the client unseen. Costs no callback.
    ///
    /// A future that goes on after this cannot change the stream's fate any more: a local reply or
    /// an error then is logged and ignored.
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses the request's changes.
    pub fn forward(self, request: Request<M>) -> Result<Response<M>, Error> {
        self.link.pass(request, Way::Forwarded)?;
        Ok(Response::forwarded())
    }
}

/// The future of [`Next::run`].
///
/// # Errors
///
/// An [`Error`] when the host refuses the request's changes, and when the filter has not declared
/// [`Phases::RESPONSE`].
#[derive(Debug)]
#[must_use = "the request goes on when this is awaited"]
pub struct Run<M: Mode = Streaming> {
    link: Rc<Link>,
    request: Option<Request<M>>,
}

impl<M: Mode> Future for Run<M> {
    type Output = Result<Response<M>, Error>;

    fn poll(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(request) = self.request.take() {
            if !self.link.phases.contains(Phases::RESPONSE) {
                return Poll::Ready(Err(Error::misuse(
                    "`next.run` wakes with the response, which the filter's PHASES lack; \
                     add `Phases::RESPONSE`, or use `next.forward`",
                )));
            }
            if let Err(error) = self.link.pass(request, Way::Run) {
                return Poll::Ready(Err(error));
            }
            return Poll::Pending;
        }
        // The stream polls the whole future when the response is there, so no waker is kept.
        if self.link.answered.take() {
            Poll::Ready(Ok(Response::upstream(self.link.stream)))
        } else {
            Poll::Pending
        }
    }
}
