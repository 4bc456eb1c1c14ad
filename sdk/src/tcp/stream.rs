//! The life of one TCP connection: when its future is polled, and what its answer means to the
//! host.
//!
//! What is held of a client's bytes is taken out of the host's buffer: what stays there is shown
//! again with what follows, to every filter, as if it were new. What comes from an upstream is never
//! held for the future: the host has no call that lets it on.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;

use log::error;

use crate::error::{Chain, Error, ErrorKind};
use crate::filter::FailureMode;
use crate::flow::Action;
use crate::host::{self, Peer};
use crate::metrics;
use crate::phases::Phases;
use crate::tasks::{self, Place};
use crate::tcp::completed::CompletedConnection;
use crate::tcp::connection::Connection;
use crate::tcp::ending::{Closed, ClosedBy, Ending};
use crate::tcp::link::{First, Link, Stage};
use crate::tcp::next::TcpNext;
use crate::tcp::{AnyTcpFilter, Task};

/// One connection of one plugin.
pub(crate) struct TcpStream {
    root: u32,
    id: u32,
    filter: Rc<dyn AnyTcpFilter>,
    link: Rc<Link>,
    over: Cell<bool>,
    task: RefCell<Option<Task>>,
    place: Place,
    /// Whether the host waits in a callback that can hold what comes from downstream.
    answers: Cell<bool>,
    /// What the last such callback holds.
    paused: Cell<Option<Held>>,
    client_ended: Cell<bool>,
    upstream_ended: Cell<bool>,
}

/// What a callback holds by the answer Pause.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Held {
    /// The new connection: nothing is read from the client, and no upstream is asked for.
    Connection,
    /// What the client sends.
    Data,
}

impl TcpStream {
    pub(crate) fn new(root: u32, id: u32, filter: Rc<dyn AnyTcpFilter>) -> Rc<Self> {
        let phases = filter.phases();
        let make = |place| Self {
            root,
            id,
            filter,
            link: Rc::new(Link::new(phases)),
            over: Cell::new(false),
            task: RefCell::new(None),
            place,
            answers: Cell::new(false),
            paused: Cell::new(None),
            client_ended: Cell::new(false),
            upstream_ended: Cell::new(false),
        };
        match phases.contains(Phases::WAITS) {
            true => tasks::waiting(make),
            false => Rc::new(make(Place::NONE)),
        }
    }

    pub(crate) fn new_connection(&self) -> Action {
        self.holding(Held::Connection, || {
            let connection = Connection::new(Rc::clone(&self.link));
            let next = TcpNext::new(Rc::clone(&self.link));
            let task = Rc::clone(&self.filter).start(connection, next);
            self.task.replace(Some(task));
            self.advance();
        })
    }

    pub(crate) fn downstream_data(&self, size: usize, end: bool) -> Action {
        self.holding(Held::Data, || {
            if self.over.get() {
                return;
            }
            self.client_ended.set(end);
            let held = self.link.first.borrow().stage == Stage::Held;
            if !held {
                return self.pump(Peer::Downstream, Vec::new(), size, end);
            }
            match self.take_first(size, end) {
                Ok(()) => self.advance(),
                Err(fault) => self.fail(&fault),
            }
        })
    }

    pub(crate) fn upstream_data(&self, size: usize, end: bool) -> Action {
        tasks::callback(self.root, self.id, || {
            if self.over.get() {
                return;
            }
            self.pump(Peer::Upstream, Vec::new(), size, end);
        });
        action(self.over.get())
    }

    pub(crate) fn upstream_close(&self) {
        self.upstream_ended.set(true);
    }

    /// The end of the connection. Nothing that is done from here on has an effect on it.
    pub(crate) fn close(&self, by: ClosedBy) {
        tasks::callback(self.root, self.id, || {
            self.link.closed.set(Some(Closed {
                by,
                client_ended: self.client_ended.get(),
                upstream_ended: self.upstream_ended.get(),
            }));
            if !self.over.replace(true) {
                self.advance();
            }
        });
    }

    /// The access-log moment, behind the end.
    pub(crate) fn complete(&self) {
        self.over.set(true);
        if self.filter.phases().contains(Phases::COMPLETE) {
            let closed = self.link.closed.get();
            let connection = CompletedConnection::new(self.id, closed);
            tasks::callback(self.root, self.id, || self.filter.complete(&connection));
        }
    }

    /// The end of the context: the future is dropped.
    pub(crate) fn end(&self) {
        self.over.set(true);
        self.place.leave();
        // Where the host no longer knows the connection, they go all the same.
        let mut task = self.task.take();
        let _ = tasks::within(self.id, || {
            drop(task.take());
            self.link.drop_transforms();
        });
    }

    /// Runs a callback and answers the host. Futures that were woken get their turn before the
    /// answer is known, this connection's own among them.
    fn holding(&self, what: Held, event: impl FnOnce()) -> Action {
        self.answers.set(true);
        tasks::callback(self.root, self.id, || {
            event();
            self.let_go();
        });
        self.answers.set(false);
        let holds = self.holds(what);
        self.paused.set(holds.then_some(what));
        action(holds)
    }

    /// Whether it has to wait.
    fn holds(&self, what: Held) -> bool {
        self.over.get()
            || match what {
                Held::Connection => !self.link.passed.get(),
                Held::Data => self.link.first.borrow().stage == Stage::Held,
            }
    }

    /// Takes the first bytes over, as far as the limit allows. The rest stays with the host, which
    /// stops reading at its own limit.
    fn take_first(&self, size: usize, end: bool) -> Result<(), Error> {
        let room = {
            let first = self.link.first.borrow();
            first.limit.saturating_sub(first.taken).min(size)
        };
        let arrived = if room == 0 {
            Vec::new()
        } else {
            let arrived = host::data(Peer::Downstream, room)?;
            host::set_data(Peer::Downstream, room, b"")?;
            arrived
        };
        let mut first = self.link.first.borrow_mut();
        first.taken += arrived.len();
        first.arrived.extend(arrived);
        first.left = size - room;
        first.ended = end;
        Ok(())
    }

    /// Gives the first bytes back to the host, once the future has let them go.
    fn let_go(&self) {
        if self.over.get() || self.link.first.borrow().stage != Stage::Released {
            return;
        }
        let first = std::mem::take(&mut *self.link.first.borrow_mut());
        let First {
            mut returned,
            arrived,
            left,
            ended,
            ..
        } = first;
        returned.extend(arrived);
        if returned.is_empty() && left == 0 && !ended {
            return;
        }
        self.pump(Peer::Downstream, returned, left, ended);
    }

    /// Lets what there is pass through the transform of its direction.
    fn pump(&self, peer: Peer, before: Vec<u8>, size: usize, last: bool) {
        match self.link.pump(peer, before, size, last) {
            Ok(false) => {}
            Ok(true) => self.cut(),
            Err(fault) => {
                self.fail(&fault);
                // Bytes may be lost then: better no connection than one with a gap.
                if let ErrorKind::Host(_) = fault.kind() {
                    self.cut();
                }
            }
        }
    }

    /// Polls the future once and does what its answer says.
    fn advance(&self) {
        let Some(mut task) = self.task.take() else {
            return;
        };
        tasks::hear_anew();
        match task.as_mut().poll(&mut self.place.context()) {
            Poll::Ready(answer) => {
                drop(task);
                match answer {
                    Ok(ending) => self.finish(&ending),
                    Err(fault) => self.fail(&fault),
                }
            }
            Poll::Pending => {
                self.task.replace(Some(task));
                let waits = self.filter.phases().contains(Phases::WAITS);
                let is_unheard = tasks::is_unheard(self.id);
                if (!self.link.passed.get() || is_unheard) && !waits {
                    self.fail(&Error::misuse(
                        "the filter waits for something other than `next`, which needs \
                         `Phases::WAITS`",
                    ));
                }
            }
        }
    }

    fn finish(&self, ending: &Ending) {
        if ending.closes() {
            self.cut();
        } else if !self.link.passed.get() {
            self.fail(&Error::misuse(
                "the filter returned another connection's ending",
            ));
        }
    }

    fn fail(&self, fault: &Error) {
        let name = self.filter.root_id();
        let mode = self.filter.failure_mode();
        error!(
            "filter={name} failure_mode={mode:?} reason={}",
            Chain(fault)
        );
        metrics::failed();
        if mode == FailureMode::Deny {
            return self.cut();
        }
        drop(self.task.take());
        self.link.drop_transforms();
        self.link.passed.set(true);
        let mut first = self.link.first.borrow_mut();
        if first.stage == Stage::Held {
            first.stage = Stage::Released;
        }
    }

    /// Closes the connection, towards both peers.
    fn cut(&self) {
        if self.over.replace(true) {
            return;
        }
        drop(self.task.take());
        if let Err(cause) = host::close_connection() {
            // It stays held then.
            let name = self.filter.root_id();
            error!("filter={name} cannot close its connection: {cause}");
        }
    }
}

impl tasks::Task for TcpStream {
    fn root(&self) -> u32 {
        self.root
    }

    fn turn(&self) {
        if self.over.get() {
            return;
        }
        let turn = tasks::within(self.id, || {
            self.advance();
            self.let_go();
            // Within a callback about it, the answer says the rest.
            let held = self.paused.get().filter(|_| !self.answers.get());
            if held.is_some_and(|held| !self.holds(held)) {
                self.paused.set(None);
                host::continue_connection()?;
            }
            Ok(())
        });
        if let Err(cause) = turn.and_then(|resumed| resumed) {
            let name = self.filter.root_id();
            error!("filter={name} cannot act on its connection: {cause}");
        }
    }
}

fn action(holds: bool) -> Action {
    if holds {
        Action::Pause
    } else {
        Action::Continue
    }
}
