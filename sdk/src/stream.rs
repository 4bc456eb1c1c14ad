//! The life of one HTTP stream: when its future is polled, and what its answer means to the host.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;

use http::StatusCode;
use log::{error, warn};

use crate::error::{Chain, Error};
use crate::filter::{AnyFilter, FailureMode, Task as FilterFuture};
use crate::flow::{Action, Flow, Gate};
use crate::headers::Headers;
use crate::host::{self, Direction};
use crate::metrics;
use crate::next::{Link, Way};
use crate::phases::Phases;
use crate::response::{self, Answer, LocalReply, Origin};
use crate::tasks::{self, Place};

/// One stream of one plugin.
pub(crate) struct Stream {
    root: u32,
    id: u32,
    filter: Rc<dyn AnyFilter>,
    link: Rc<Link>,
    task: RefCell<Option<FilterFuture>>,
    place: Place,
    /// The callback that the host waits in, while it does.
    callback: Cell<Option<Direction>>,
    /// Whether a local reply or a reset went out, or the access log was written. From here on a
    /// reply, a resume or a close can crash Envoy, so the host is not called again.
    over: Cell<bool>,
    /// Whether that came to be in the callback that the host waits in.
    ended: Cell<bool>,
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
    pub(crate) fn new(root: u32, id: u32, filter: Rc<dyn AnyFilter>) -> Rc<Self> {
        let phases = filter.phases();
        tasks::make(phases.contains(Phases::WAITS), |place| Self {
            root,
            id,
            filter,
            link: Rc::new(Link::new(id, phases)),
            task: RefCell::new(None),
            place,
            callback: Cell::new(None),
            over: Cell::new(false),
            ended: Cell::new(false),
        })
    }

    fn flow(&self, direction: Direction) -> &Flow {
        self.link.flow(direction)
    }

    /// Runs a callback and answers the host.
    ///
    /// Futures that were woken get their turn before the answer is known, this stream's own among
    /// them: after Pause, nobody might call again.
    pub(crate) fn callback(&self, direction: Direction, event: Event) -> Action {
        self.callback.set(Some(direction));
        self.ended.set(false);
        tasks::callback(self.root, self.id, || {
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

    fn take_in(&self, direction: Direction, event: Event) {
        let flow = self.flow(direction);
        match (event, direction) {
            (Event::Headers { is_last }, Direction::Request) => self.request_headers(is_last),
            (Event::Headers { is_last }, Direction::Response) => self.response_headers(is_last),
            (Event::Body { size, is_last }, _) => flow.body_came(size, is_last),
            (Event::Trailers, _) => flow.trailers_came(),
        }
        if flow.wakes(self.place.waker()) {
            self.advance();
        }
    }

    fn request_headers(&self, is_last: bool) {
        self.flow(Direction::Request)
            .headers_came(Gate::Held, is_last);
        let task = Rc::clone(&self.filter).start(&self.link);
        self.task.replace(Some(task));
        self.advance();
    }

    fn response_headers(&self, is_last: bool) {
        let request = self.flow(Direction::Request);
        let response = self.flow(Direction::Response);
        let is_judged = request.gate() != Gate::Held;
        let listens = is_judged && self.link.is_listening() && self.is_alive() && !self.over.get();
        response.headers_came(if listens { Gate::Held } else { Gate::Open }, is_last);
        if listens {
            self.link.deliver(self.place.waker());
            self.advance();
        } else if !is_judged && !self.over.get() {
            // A response to a request that never went on: Envoy's own (413, a time limit), another
            // filter's. The part of the future that judges the request has lost its purpose.
            request.set_gate(Gate::Shut);
            self.end_task();
        } else if request.is_wanted() {
            self.link.deliver(self.place.waker());
            self.advance();
        }
    }

    /// The access-log moment, and the end of the context: the future is dropped, at the latest.
    pub(crate) fn end(&self, moment: End) {
        self.over.set(true);
        if moment == End::AccessLog {
            if self.link.complete() {
                self.poll_last();
            }
            if self.link.phases().contains(Phases::COMPLETE) {
                self.filter.complete(&self.link);
            }
        }
        self.place.leave();
        self.end_task();
    }

    /// Decides what becomes of what came in `direction`, if nothing keeps it from going on.
    fn settle(&self, direction: Direction) {
        if self.over.get() {
            return;
        }
        let flow = self.flow(direction);
        if let Err(fault) = flow.settle(self.id) {
            self.end_task();
            self.fail(&fault);
        }
        if flow.is_cut() && !self.over.get() {
            let name = self.filter.root_id();
            warn!("filter={name} cannot write the rest of a body");
            self.end_task();
            self.close(direction);
        }
    }

    /// Lets the host go on where a callback had paused it and nothing holds it any more.
    fn resume(&self, direction: Direction) {
        let flow = self.flow(direction);
        // The answer of the callback says it.
        if self.callback.get() == Some(direction) || !flow.may_be_resumed() {
            return;
        }
        self.settle(direction);
        if self.over.get() || !flow.is_to_be_resumed() {
            return;
        }
        flow.resumed();
        if let Err(cause) = host::continue_stream(direction) {
            error!("filter={} cannot resume: {cause}", self.filter.root_id());
        }
    }

    fn is_alive(&self) -> bool {
        self.task.try_borrow().is_ok_and(|task| task.is_some())
    }

    /// Polls the future once and does what its answer says.
    fn advance(&self) {
        if self.over.get() {
            return;
        }
        let Some(mut task) = self.task.take() else {
            return;
        };
        match task.as_mut().poll(&mut self.place.context()) {
            Poll::Ready(answer) => {
                drop(task);
                // Answered otherwise before the end was waited for.
                drop(self.link.take_early());
                self.finish(answer);
            }
            Poll::Pending => {
                self.task.replace(Some(task));
                match self.link.take_early() {
                    Some(answer) => self.finish(Ok(answer)),
                    None => self.pending(),
                }
            }
        }
    }

    /// Shows the future that waits for it the stream's end.
    fn poll_last(&self) {
        let Some(mut task) = self.task.take() else {
            return;
        };
        let poll = task.as_mut().poll(&mut self.place.context());
        if let Poll::Ready(Err(fault)) = poll {
            let name = self.filter.root_id();
            error!("filter={name} reason={}", Chain(&fault));
        }
        self.task.replace(Some(task));
    }

    fn pending(&self) {
        let holds =
            self.flow(Direction::Request).is_held() || self.flow(Direction::Response).is_held();
        if holds && !self.link.phases().contains(Phases::WAITS) {
            self.end_task();
            self.fail(&Error::misuse(
                "the filter waits for something other than `next`, which needs `Phases::WAITS`",
            ));
        }
    }

    fn finish(&self, answer: Result<Answer, Error>) {
        if let Err(fault) = answer.and_then(|answer| self.accept(answer)) {
            self.end_task();
            self.fail(&fault);
        }
    }

    fn accept(&self, answer: Answer) -> Result<(), Error> {
        let response = self.flow(Direction::Response);
        let (headers, origin) = answer.into_parts();
        match origin {
            Origin::Local(_) if self.is_out_of_reach() => Err(Error::misuse(
                "the filter replied when the response was out of its hands",
            )),
            Origin::Local(reply) => self.reply(&reply, &headers),
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

    fn reply(&self, reply: &LocalReply, headers: &Headers) -> Result<(), Error> {
        self.set_over();
        reply.send(headers)
    }

    fn set_over(&self) {
        self.over.set(true);
        self.ended.set(true);
        self.flow(Direction::Request).set_gate(Gate::Shut);
    }

    fn fail(&self, fault: &Error) {
        let name = self.filter.root_id();
        let mode = self.filter.failure_mode();
        error!(
            "filter={name} failure_mode={mode:?} reason={}",
            Chain(fault)
        );
        metrics::failed();
        // Over means that the filter's own reply could not be sent.
        let is_over = self.over.get();
        let directions = [Direction::Request, Direction::Response];
        let is_torn = directions.iter().any(|&it| self.flow(it).is_torn());
        if is_torn {
            error!("filter={name} its changes are written in part and cannot be taken back");
        } else if !is_over && (mode == FailureMode::Allow || self.is_forwarded()) {
            for direction in directions {
                self.flow(direction).release();
            }
            return;
        }
        let reply =
            LocalReply::new(StatusCode::SERVICE_UNAVAILABLE).details("attache_filter_failed");
        let is_out = match is_torn {
            true => self.is_out_of_reach(),
            false => self.flow(Direction::Response).is_away(),
        };
        if is_out || is_over || self.reply(&reply, &Headers::detached()).is_err() {
            // Without an answer the client would wait for ever.
            self.close(if is_out {
                Direction::Response
            } else {
                Direction::Request
            });
        }
    }

    /// Resets the stream.
    fn close(&self, direction: Direction) {
        self.set_over();
        if let Err(cause) = host::close_stream(direction) {
            let name = self.filter.root_id();
            error!("filter={name} cannot close its stream: {cause}");
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
        if self.over.get() {
            return;
        }
        let turn = tasks::within(self.id, || {
            self.advance();
            self.resume(Direction::Request);
            self.resume(Direction::Response);
        });
        if let Err(cause) = turn {
            error!(
                "filter={} cannot act on its stream: {cause}",
                self.filter.root_id()
            );
        }
    }
}

#[cfg(test)]
mod refused_writes;
#[cfg(test)]
mod tests;
