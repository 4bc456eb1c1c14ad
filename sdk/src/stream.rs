//! The life of one HTTP stream: when its future is polled, and what its answer means to the host.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http::StatusCode;
use log::error;

use crate::error::{Chain, Error};
use crate::filter::{AnyFilter, FailureMode, Task as FilterFuture};
use crate::headers::Headers;
use crate::host::{self, Direction};
use crate::metrics;
use crate::next::{Link, Way};
use crate::phases::Phases;
use crate::response::{Answer, LocalReply, Origin};
use crate::tasks::{self, Key};

/// What a callback tells the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    Continue,
    Pause,
}

/// One stream of one plugin.
pub(crate) struct Stream {
    root: u32,
    id: u32,
    filter: Rc<dyn AnyFilter>,
    link: Rc<Link>,
    state: Cell<State>,
    task: RefCell<Option<FilterFuture>>,
    /// Its place among those that may be woken, if it may.
    key: Option<Key>,
    waker: Waker,
    /// The callback that the host waits in, while it does.
    callback: Cell<Option<Direction>>,
    /// Whether a local reply went out in that callback.
    replied: Cell<bool>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Nothing has happened yet.
    Fresh,
    /// The request is held while the future waits.
    RequestHeld,
    /// The request has gone on, and the future waits for the response.
    AwaitingResponse,
    /// The response is held while the future waits.
    ResponseHeld,
    /// The future has ended; everything passes.
    Passing,
    /// A response came before the request was judged. It passes; the request stays where it is.
    Abandoned,
    /// A local reply went out, or the access log was written. From here on a reply, a resume or a
    /// close can crash Envoy, so the host is not called again.
    Over,
}

impl Stream {
    pub(crate) fn new(root: u32, id: u32, filter: Rc<dyn AnyFilter>) -> Rc<Self> {
        let phases = filter.phases();
        let waits = phases.contains(Phases::WAITS);
        let key = waits.then(tasks::reserve);
        let stream = Rc::new(Self {
            root,
            id,
            filter,
            link: Rc::new(Link::new(id, phases)),
            state: Cell::new(State::Fresh),
            task: RefCell::new(None),
            key,
            waker: key.map_or_else(|| Waker::noop().clone(), tasks::waker),
            callback: Cell::new(None),
            replied: Cell::new(false),
        });
        if let Some(key) = key {
            let task: Rc<dyn tasks::Task> = Rc::<Self>::clone(&stream);
            tasks::register(key, task);
        }
        stream
    }

    /// Runs a callback and answers the host.
    ///
    /// Futures that were woken get their turn before the answer is known, this stream's own among
    /// them: after Pause, nobody might call again.
    pub(crate) fn callback(&self, direction: Direction, event: impl FnOnce(&Self)) -> Action {
        self.callback.set(Some(direction));
        self.replied.set(false);
        tasks::callback(self.root, self.id, || event(self));
        self.callback.set(None);
        let holds = match direction {
            Direction::Request => matches!(self.state.get(), State::RequestHeld | State::Abandoned),
            Direction::Response => self.state.get() == State::ResponseHeld,
        };
        if holds || self.replied.get() {
            Action::Pause
        } else {
            Action::Continue
        }
    }

    pub(crate) fn request_headers(&self, ends_with_headers: bool) {
        let task = Rc::clone(&self.filter).start(&self.link, ends_with_headers);
        self.task.replace(Some(task));
        self.state.set(State::RequestHeld);
        self.advance();
    }

    pub(crate) fn response_headers(&self) {
        match (self.state.get(), self.link.passed()) {
            (State::AwaitingResponse, Some(Way::Run)) => {
                self.link.deliver();
                self.state.set(State::ResponseHeld);
                self.advance();
            }
            // A response to a request that never went on: Envoy's own (413, a time limit), another
            // filter's. The part of the future that judges the request has lost its purpose.
            (State::RequestHeld, _) => {
                self.state.set(State::Abandoned);
                self.end_task();
            }
            // Also our own local reply, which visits the filter that made it.
            _ => {}
        }
    }

    /// Body or trailers, of either direction. While the headers are held they must be too: with
    /// `allow_on_headers_stop_iteration`, Continue would release the headers.
    pub(crate) fn body_or_trailers(&self) {}

    /// The access-log moment, or the end of the context: the future is dropped.
    pub(crate) fn end(&self) {
        self.state.set(State::Over);
        if let Some(key) = self.key {
            tasks::forget(key);
        }
        self.end_task();
    }

    /// Lets the host go on where a callback had paused it and the future no longer holds it.
    fn resume(&self, held: State) {
        let direction = match (held, self.state.get()) {
            (State::RequestHeld, State::AwaitingResponse | State::Passing) => Direction::Request,
            (State::ResponseHeld, State::Passing) => Direction::Response,
            _ => return,
        };
        // The answer of the callback says it.
        if self.callback.get() == Some(direction) {
            return;
        }
        if let Err(cause) = host::continue_stream(direction) {
            error!("filter={} cannot resume: {cause}", self.filter.root_id());
        }
    }

    /// Polls the future once and does what its answer says.
    fn advance(&self) {
        let Some(mut task) = self.task.take() else {
            return;
        };
        match task.as_mut().poll(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(answer) => {
                drop(task);
                if let Err(fault) = answer.and_then(|answer| self.finish(answer)) {
                    self.fail(&fault);
                }
            }
            Poll::Pending => {
                self.task.replace(Some(task));
                self.pending();
            }
        }
    }

    fn pending(&self) {
        if self.state.get() == State::RequestHeld && self.link.passed().is_some() {
            self.state.set(State::AwaitingResponse);
            return;
        }
        let holds = matches!(self.state.get(), State::RequestHeld | State::ResponseHeld);
        if holds && !self.filter.phases().contains(Phases::WAITS) {
            self.end_task();
            self.fail(&Error::misuse(
                "the filter waits for something other than `next`, which needs `Phases::WAITS`",
            ));
        }
    }

    fn finish(&self, answer: Answer) -> Result<(), Error> {
        let Answer { headers, origin } = answer;
        match origin {
            Origin::Local(reply) if !self.is_out_of_reach() => self.reply(&reply, &headers),
            Origin::Local(_) => Err(Error::misuse("the filter replied after `next.forward`")),
            Origin::Forwarded if self.link.passed().is_some() => {
                self.state.set(State::Passing);
                Ok(())
            }
            Origin::Upstream if self.state.get() == State::ResponseHeld => {
                if !headers.is_of(self.id) {
                    return Err(Error::misuse(
                        "the filter returned another stream's response",
                    ));
                }
                headers.commit()?;
                self.state.set(State::Passing);
                Ok(())
            }
            Origin::Upstream | Origin::Forwarded => Err(Error::misuse(
                "the filter returned another stream's response",
            )),
        }
    }

    /// Whether the response may be on its way past this filter, so that a reply would cut it.
    fn is_out_of_reach(&self) -> bool {
        let forwarded = self.link.passed() == Some(Way::Forwarded);
        forwarded && self.state.get() != State::RequestHeld
    }

    fn reply(&self, reply: &LocalReply, headers: &Headers) -> Result<(), Error> {
        self.state.set(State::Over);
        self.replied.set(true);
        reply.send(headers)
    }

    fn fail(&self, fault: &Error) {
        let name = self.filter.root_id();
        let mode = self.filter.failure_mode();
        error!(
            "filter={name} failure_mode={mode:?} reason={}",
            Chain(fault)
        );
        metrics::failed();
        let state = self.state.get();
        let allows = mode == FailureMode::Allow && state != State::Over;
        if allows || self.is_out_of_reach() {
            self.state.set(State::Passing);
            return;
        }
        let reply =
            LocalReply::new(StatusCode::SERVICE_UNAVAILABLE).details("attache_filter_failed");
        // `Over` here means that the filter's own reply could not be sent; nor can this one.
        if state != State::Over && self.reply(&reply, &Headers::detached()).is_ok() {
            return;
        }
        // Without an answer the client would wait for ever.
        if let Err(cause) = host::close_stream(Direction::Request) {
            error!("filter={name} cannot close its stream: {cause}");
            self.state.set(if self.link.passed().is_some() {
                State::ResponseHeld
            } else {
                State::RequestHeld
            });
        }
    }

    /// Drops the future, with host calls of its destructors acting on its own stream.
    fn end_task(&self) {
        let Some(task) = self.task.take() else {
            return;
        };
        let mut task = Some(task);
        // Where the host no longer knows the stream, the future goes all the same, here.
        let _ = tasks::within(self.id, || drop(task.take()));
    }
}

impl tasks::Task for Stream {
    fn root(&self) -> u32 {
        self.root
    }

    fn turn(&self) {
        if self.state.get() == State::Over {
            return;
        }
        let turn = tasks::within(self.id, || {
            let held = self.state.get();
            self.advance();
            self.resume(held);
        });
        if let Err(cause) = turn {
            error!(
                "filter={} cannot act on its stream: {cause}",
                self.filter.root_id()
            );
        }
    }
}
