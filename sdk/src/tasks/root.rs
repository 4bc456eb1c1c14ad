//! Futures that live with a root context: services.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use log::error;

use super::{Key, Task, register, reserve, waker, within};

struct RootTask {
    root: u32,
    key: Key,
    future: RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>,
    waker: Waker,
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
            match future.as_mut().poll(&mut Context::from_waker(&self.waker)) {
                Poll::Ready(()) => {
                    drop(future);
                    super::forget(self.key);
                }
                Poll::Pending => drop(self.future.replace(Some(future))),
            }
        });
        if let Err(cause) = turn {
            error!("cannot act on a root context: {cause}");
        }
    }
}

/// Polls `future` whenever it is woken, first at the end of the callback that runs now. Its host
/// calls act on root context `root`.
///
/// [`forget`](super::forget) ends it: to be called in the callback that deletes the root, so that
/// the future's destructors act on it.
pub(crate) fn live_with(root: u32, future: impl Future<Output = ()> + 'static) -> Key {
    let key = reserve();
    let waker = waker(key);
    waker.wake_by_ref();
    let task = RootTask {
        root,
        key,
        future: RefCell::new(Some(Box::pin(future))),
        waker,
    };
    register(key, Rc::new(task));
    key
}
