//! The life of one HTTP stream: when its future is polled, and what its answer means to the host.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::task::{Poll, Waker};

use http::StatusCode;
use log::error;

use crate::error::{Chain, Error};
use crate::filter::{AnyFilter, FailureMode, Task as FilterFuture};
use crate::flow::{Action, Flow, Gate};
use crate::headers::{self, Headers};
use crate::host::{self, Direction};
use crate::logging;
use crate::metrics;
use crate::next::{Link, Way};
use crate::phases::Phases;
use crate::response::{self, Answer, LocalReply, Origin};
use crate::tasks::{self, Place, Shown};

/// One stream of one plugin.
pub(crate) struct Stream {
    root: u32,
    filter: Rc<dyn AnyFilter>,
    link: Link,
    task: Cell<Option<FilterFuture>>,
    place: Place,
    /// The callback that the host waits in, while it does.
    callback: Cell<Option<Direction>>,
    /// Whether a local reply or a reset went out, or the access log was written. From here on a
    /// reply, a resume or a close can crash Envoy, so the host is not called again.
    over: Cell<bool>,
    /// Whether that came to be in the callback that the host waits in.
    ended: Cell<bool>,
}

/// What a future has of its stream. The two hold each other until the stream's end, where the future is
/// dropped, if it is not done before.
#[derive(Clone)]
pub(crate) struct Handle(Rc<Stream>);

impl Handle {
    /// Of a stream that no host has.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn of(stream: Rc<Stream>) -> Self {
        Self(stream)
    }

    /// Whether the stream polls its future with this waker.
    pub(crate) fn is_polled_with(&self, waker: &Waker) -> bool {
        self.0.place.waker().will_wake(waker)
    }
}

impl Deref for Handle {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.0.link
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.link.fmt(formatter)
    }
}

/// What a callback tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Headers { is_last: bool },
    Body { size: usize, is_last: bool },
    Trailers,
}

/// When a stream is told that it is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// Its access log is written.
    AccessLog,
    /// Its context goes.
    Deletion,
}

impl Stream {
    /// One that is polled in its own callbacks only.
    pub(crate) fn new(root: u32, id: u32, filter: Rc<dyn AnyFilter>) -> Rc<Self> {
        Rc::new(Self::at(root, id, filter, Place::NONE))
    }

    /// One that may wait for something else.
    pub(crate) fn waiting(root: u32, id: u32, filter: Rc<dyn AnyFilter>) -> Rc<Self> {
        tasks::waiting(|place| Self::at(root, id, filter, place))
    }

    fn at(root: u32, id: u32, filter: Rc<dyn AnyFilter>, place: Place) -> Self {
        let phases = filter.phases();
        Self {
            root,
            filter,
            link: Link::new(id, phases),
            task: Cell::new(None),
            place,
            callback: Cell::new(None),
            over: Cell::new(false),
            ended: Cell::new(false),
        }
    }

    fn id(&self) -> u32 {
        self.link.stream()
    }

    fn flow(&self, direction: Direction) -> &Flow {
        self.link.flow(direction)
    }

    /// Runs a callback and answers the host.
    ///
    /// Futures that were woken get their turn before the answer is known, this stream's own among
    /// them: after Pause, nobody might call again.
    pub(crate) fn callback(self: &Rc<Self>, direction: Direction, event: Event) -> Action {
        self.callback.set(Some(direction));
        self.ended.set(false);
        tasks::callback(self.root, self.id(), || {
            self.take_in(direction, event);
            self.settle(direction);
            self.resume(direction.other());
        });
        self.settle(direction);
        self.callback.set(None);
        let flow = self.flow(direction);
        if self.ended.get() {
            flow.remains_paused();
            return Action::Pause;
        }
        flow.answer()
    }

    fn take_in(self: &Rc<Self>, direction: Direction, event: Event) {
        let flow = self.flow(direction);
        let is_due = match (event, direction) {
            (Event::Headers { is_last }, Direction::Request) => self.request_headers(is_last),
            (Event::Headers { is_last }, Direction::Response) => self.response_headers(is_last),
            (Event::Body { size, is_last }, _) => {
                flow.body_came(size, is_last);
                flow.wakes(self.place.waker())
            }
            (Event::Trailers, _) => {
                flow.trailers_came();
                flow.wakes(self.place.waker())
            }
        };
        if is_due {
            self.advance();
        }
    }

    /// Starts the future; whether it is to be polled.
    fn request_headers(self: &Rc<Self>, is_last: bool) -> bool {
        self.flow(Direction::Request)
            .headers_came(Gate::Held, is_last);
        logging::stream(self.id(), true);
        let task = Rc::clone(&self.filter).start(Handle(Rc::clone(self)));
        self.task.set(Some(task));
        true
    }

    /// Whether the future is to be polled.
    fn response_headers(&self, is_last: bool) -> bool {
        let request = self.flow(Direction::Request);
        let response = self.flow(Direction::Response);
        let is_judged = request.gate() != Gate::Held;
        let listens = is_judged && self.link.is_listening() && self.is_alive() && !self.over.get();
        response.headers_came(if listens { Gate::Held } else { Gate::Open }, is_last);
        if !listens && !is_judged && !self.over.get() {
            // A response to a request that never went on: Envoy's own (413, a time limit), another
            // filter's. The part of the future that judges the request has lost its purpose.
            request.set_gate(Gate::Shut);
            self.end_task();
            return false;
        }
        let is_due = listens || request.is_wanted();
        if is_due {
            self.link.deliver(self.place.waker());
        }
        is_due
    }

    /// The access-log moment, and the end of the context: the future is dropped, at the latest.
    pub(crate) fn end(&self, moment: End) {
        self.over.set(true);
        if moment == End::AccessLog {
            if self.link.complete() {
                self.poll_last();
            }
            if self.link.phases().contains(Phases::COMPLETE) {
                tasks::show_request(Shown::Logged);
                self.filter.complete(&self.link);
                tasks::show_request(Shown::Nothing);
            }
        }
        self.place.leave();
        self.end_task();
        logging::stream(self.id(), false);
        // It may hold credentials.
        headers::forget();
    }

    /// Decides what becomes of what came in `direction`, if nothing keeps it from going on.
    #[inline]
    fn settle(&self, direction: Direction) {
        if !self.over.get() && self.flow(direction).is_to_be_settled() {
            self.decide(direction);
        }
    }

    #[inline(never)]
    fn decide(&self, direction: Direction) {
        let flow = self.flow(direction);
        match flow.settle(self.id()) {
            Ok(None) => {}
            Ok(Some(ended)) => ended.end(direction, self),
            Err(fault) => {
                self.end_task();
                self.fail(&fault, false);
            }
        }
        if flow.is_cut() && !self.over.get() {
            self.say(format_args!("cannot write the rest of a body"));
            self.end_task();
            self.close(direction);
        }
    }

    /// Lets the host go on where a callback had paused it and nothing holds it any more.
    #[inline]
    fn resume(&self, direction: Direction) {
        // The answer of the callback says it.
        if self.flow(direction).may_be_resumed() && self.callback.get() != Some(direction) {
            self.go_on(direction);
        }
    }

    #[inline(never)]
    fn go_on(&self, direction: Direction) {
        let flow = self.flow(direction);
        self.settle(direction);
        if self.over.get() || !flow.is_to_be_resumed() {
            return;
        }
        flow.resumed();
        if let Err(cause) = host::continue_stream(direction) {
            self.say(format_args!("cannot resume: {cause}"));
        }
    }

    fn is_alive(&self) -> bool {
        let task = self.task.take();
        let is_alive = task.is_some();
        self.task.set(task);
        is_alive
    }

    /// Polls the future once and does what its answer says.
    #[inline]
    fn advance(&self) {
        if self.over.get() {
            return;
        }
        let Some(mut task) = self.task.take() else {
            return;
        };
        tasks::show_request(match self.flow(Direction::Request).is_away() {
            true => Shown::Nothing,
            false => Shown::Coming,
        });
        tasks::hear_anew();
        // Looked at where they are: an answer is large.
        let mut polled = task.as_mut().poll(&mut self.place.context());
        tasks::show_request(Shown::Nothing);
        let mut early;
        let answer = match &mut polled {
            Poll::Ready(answer) => {
                drop(task);
                // Answered otherwise before the end was waited for.
                self.link.forget_early();
                answer
            }
            Poll::Pending => {
                self.task.set(Some(task));
                let Some(answer) = self.link.take_early() else {
                    return self.pending();
                };
                early = Ok(answer);
                &mut early
            }
        };
        self.finish(answer);
    }

    /// Shows the future that waits for it the stream's end.
    fn poll_last(&self) {
        let Some(mut task) = self.task.take() else {
            return;
        };
        // The access log has all maps.
        tasks::show_request(Shown::Logged);
        let poll = task.as_mut().poll(&mut self.place.context());
        tasks::show_request(Shown::Nothing);
        if let Poll::Ready(Err(fault)) = poll {
            self.say(format_args!("reason={}", Chain(&fault)));
        }
        self.task.set(Some(task));
    }

    fn pending(&self) {
        let holds =
            self.flow(Direction::Request).is_held() || self.flow(Direction::Response).is_held();
        let waits = holds || tasks::is_unheard(self.id());
        if waits && !self.link.phases().contains(Phases::WAITS) {
            self.end_task();
            let what =
                "the filter waits for something other than `next`, which needs `Phases::WAITS`";
            self.fail(&Error::misuse(what), true);
        }
    }

    #[inline(always)]
    fn finish(&self, answer: &mut Result<Answer, Error>) {
        let refused = match answer {
            Ok(answer) => match self.accept(answer) {
                Ok(()) => return,
                Err(fault) => Some(fault),
            },
            Err(_) => None,
        };
        if let Some(fault) = refused.as_ref().or(answer.as_ref().err()) {
            self.end_task();
            self.fail(fault, true);
        }
    }

    fn accept(&self, answer: &mut Answer) -> Result<(), Error> {
        let response = self.flow(Direction::Response);
        let (headers, origin) = answer.parts();
        match origin {
            Origin::Local(_) if self.is_out_of_reach() => Err(Error::misuse(
                "the filter replied when the response was out of its hands",
            )),
            Origin::Local(reply) => self.reply(reply, headers),
            Origin::Forwarded if self.link.passed().is_some() => {
                if response.gate() == Gate::Held {
                    response.set_gate(Gate::Open);
                }
                Ok(())
            }
            Origin::Sent if self.link.passed().is_some() && response.gate() != Gate::Held => Ok(()),
            Origin::Upstream => response::pass(&self.link, headers),
            Origin::Forwarded | Origin::Sent => Err(Error::misuse(
                "the filter returned another stream's response",
            )),
        }
    }

    /// Whether the response is on its way past this filter, so that a reply would cut it.
    fn is_out_of_reach(&self) -> bool {
        let response = self.flow(Direction::Response);
        response.is_away() || self.is_forwarded()
    }

    /// Whether it may be, unseen.
    fn is_forwarded(&self) -> bool {
        self.link.passed() == Some(Way::Forwarded) && self.flow(Direction::Request).is_away()
    }

    fn reply(&self, reply: &LocalReply, headers: &mut Headers) -> Result<(), Error> {
        if let Some(fault) = headers.take_fault() {
            // The filter has decided that the message does not pass; without that header it does not either.
            self.say(format_args!("reason={}", Chain(&fault)));
            metrics::failed();
        }
        self.set_over();
        reply.send(headers)
    }

    /// Ends the stream in the midst of a body that goes in `direction`, because the filter wants it so.
    pub(crate) fn refuse(&self, direction: Direction, reply: LocalReply) {
        if !self.link.awaits_end() {
            self.end_task();
        }
        let responds = self.callback.get() == Some(Direction::Response);
        if direction == Direction::Request && !responds && self.flow(direction.other()).has_gone() {
            // There is nobody left to answer, and nothing to close.
            return self.set_over();
        }
        if self.is_out_of_reach() {
            return self.close(Direction::Response);
        }
        if let Err(fault) = self.accept(&mut reply.into()) {
            self.fail(&fault, true);
        }
    }

    fn set_over(&self) {
        self.over.set(true);
        self.ended.set(true);
        self.flow(Direction::Request).set_gate(Gate::Shut);
    }

    /// `is_late`: it is the future's, which makes none of a request that it has let go and whose response it does not see.
    fn fail(&self, fault: &Error, is_late: bool) {
        let mode = self.filter.failure_mode();
        self.say(format_args!(
            "failure_mode={mode:?} reason={}",
            Chain(fault)
        ));
        metrics::failed();
        // Over means that the filter's own reply could not be sent.
        let is_over = self.over.get();
        let directions = [Direction::Request, Direction::Response];
        let is_torn = directions.iter().any(|&it| self.flow(it).is_torn());
        if is_torn {
            self.say(format_args!(
                "its changes are written in part and cannot be taken back"
            ));
        } else if !is_over && (mode == FailureMode::Allow || (is_late && self.is_forwarded())) {
            for direction in directions {
                self.flow(direction).release();
            }
            return;
        }
        let reply =
            LocalReply::new(StatusCode::SERVICE_UNAVAILABLE).details("attache_filter_failed");
        let is_out = self.is_out_of_reach();
        if is_out || is_over || self.reply(&reply, &mut Headers::detached()).is_err() {
            // Without an answer the client would wait for ever.
            self.close(if is_out {
                Direction::Response
            } else {
                Direction::Request
            });
        }
    }

    /// Logs what went wrong. In one place: each `error!` has bytes of its own.
    #[cold]
    #[inline(never)]
    fn say(&self, what: fmt::Arguments<'_>) {
        error!("filter={} {what}", self.filter.root_id());
    }

    /// Resets the stream.
    fn close(&self, direction: Direction) {
        self.set_over();
        if let Err(cause) = host::close_stream(direction) {
            self.say(format_args!("cannot close its stream: {cause}"));
        }
    }

    /// Drops the future, if it is not done, with host calls of its destructors acting on its own stream.
    #[inline]
    fn end_task(&self) {
        if let Some(task) = self.task.take() {
            self.end_now(task);
        }
    }

    #[inline(never)]
    fn end_now(&self, task: FilterFuture) {
        let mut task = Some(task);
        // Where the host no longer knows the stream, the future goes all the same, here.
        let _ = tasks::within(self.id(), || drop(task.take()));
    }
}

impl tasks::Task for Stream {
    fn root(&self) -> u32 {
        self.root
    }

    fn turn(&self) {
        if self.over.get() {
            return;
        }
        let turn = tasks::within(self.id(), || {
            self.advance();
            self.resume(Direction::Request);
            self.resume(Direction::Response);
        });
        if let Err(cause) = turn {
            self.say(format_args!("cannot act on its stream: {cause}"));
        }
    }
}

#[cfg(test)]
mod read_once;
#[cfg(test)]
mod refused_writes;
#[cfg(test)]
mod tests;
