//! Futures that live with a root context: services, and what runs beside streams.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use log::error;

use super::{Place, Task, waiting, within};

/// The future of a service.
pub(crate) struct RootTask {
    root: u32,
    place: Place,
    future: RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>,
}

impl Task for RootTask {
    fn root(&self) -> u32 {
        self.root
    }

    fn turn(&self) {
        let turn = within(self.root, || {
            let Some(mut future) = self.future.take() else {
                return;
            };
            match future.as_mut().poll(&mut self.place.context()) {
                Poll::Ready(()) => {
                    drop(future);
                    self.place.leave();
                }
                Poll::Pending => drop(self.future.replace(Some(future))),
            }
        });
        if let Err(cause) = turn {
            error!("cannot act on a root context: {cause}");
        }
    }
}

impl RootTask {
    /// Drops the future with the last that holds it: to be called in the callback that deletes the
    /// root, so that destructors act on it.
    pub(crate) fn end(self: Rc<Self>) {
        self.place.leave();
    }
}

/// Polls `future` whenever it is woken, first at the end of the callback that runs now. Its host
/// calls act on root context `root`.
pub(crate) fn live_with(root: u32, future: impl Future<Output = ()> + 'static) -> Rc<RootTask> {
    let task = waiting(|place| RootTask {
        root,
        place,
        future: RefCell::new(Some(Box::pin(future))),
    });
    task.place.waker().wake_by_ref();
    task
}
