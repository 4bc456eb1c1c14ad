//! Queues that VMs share, also across vm_ids.
//!
//! One plugin receives; plugins of any vm_id send. What is sent stays in the memory of the proxy until
//! it is received: nothing bounds a queue that nobody empties.
//!
//! ```
//! use attache::prelude::*;
//! use attache::queue::Sender;
//!
//! struct Audit { events: Sender }
//!
//! impl HttpFilter for Audit {
//!     type Config = ();
//!
//!     fn configure((): (), plugin: &Plugin) -> Result<Self, ConfigError> {
//!         Ok(Self { events: plugin.sender("audit-service", "events") })
//!     }
//!
//!     async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
//!         self.events.send(request.path().without_query())?;
//!         next.run(request).await
//!     }
//! }
//! ```
//!
//! The receiver is a stream:
//!
//! ```
//! # use attache::queue::Receiver;
//! # use attache::Error;
//! async fn run(mut events: Receiver) -> Result<(), Error> {
//!     loop {
//!         let event = events.next().await?;
//!         // …
//!         # let _ = event;
//!     }
//! }
//! ```

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use crate::error::Error;
use crate::host::shared;
use crate::plugin::Plugin;
use crate::tasks::{self, events};

/// How many items a receiver hands out before others get a turn.
const ITEMS_A_TURN: u32 = 64;

thread_local! {
    static WAITING: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
    static RECEIVERS: Cell<u64> = const { Cell::new(0) };
}

/// A receiver that waits for items.
struct Waiting {
    receiver: u64,
    token: u32,
    waker: Waker,
}

/// Wakes those who wait for items of a queue: `proxy_on_queue_ready`.
fn on_ready(token: u32) {
    let woken: Vec<Waiting> = WAITING.with_borrow_mut(|waiting| {
        waiting
            .extract_if(.., |entry| entry.token == token)
            .collect()
    });
    woken.into_iter().for_each(|entry| entry.waker.wake());
}

impl Plugin {
    /// Sends to a queue. The plugin that receives may come later than this one: the queue is looked
    /// for when something is sent. An empty `vm_id` is the plugin's own.
    ///
    /// ```
    /// use attache::prelude::*;
    /// use attache::queue::Sender;
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct Config {
    ///     /// The vm_id of the plugin that receives; this plugin's own unless said.
    ///     #[serde(default)]
    ///     vm_id: String,
    /// }
    ///
    /// fn events(config: Config, plugin: &Plugin) -> Sender {
    ///     plugin.sender(config.vm_id, "events")
    /// }
    /// ```
    #[must_use]
    pub fn sender(
        &self,
        vm_id: impl Into<Cow<'static, str>>,
        name: impl Into<Cow<'static, str>>,
    ) -> Sender {
        Sender {
            vm_id: vm_id.into(),
            name: name.into(),
            token: Cell::new(None),
        }
    }

    /// Receives from the queue of this name and the plugin's own vm_id, which is there from now on. One
    /// host call.
    ///
    /// Of all VMs that ask for one queue, Envoy tells only the last of new items, so receiving is for
    /// what runs once in a proxy: a service with `singleton: true`. A stream that waits for items
    /// needs [`Phases::WAITS`](crate::Phases::WAITS), the `run` of its filter [`Phases::BESIDE`](crate::Phases::BESIDE).
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// Logs what filters have sent to its queue.
    /// struct Audit;
    ///
    /// impl Service for Audit {
    ///     # type Config = ();
    ///     # fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
    ///     #     Ok(Self)
    ///     # }
    ///     async fn run(&self, plugin: &Plugin) -> Result<(), Error> {
    ///         let mut events = plugin.receiver("events")?;
    ///         loop {
    ///             let event = events.next().await?;
    ///             log::info!("{}", event.escape_ascii());
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses.
    pub fn receiver(&self, name: &str) -> Result<Receiver, Error> {
        events::hear_queues(on_ready);
        Ok(Receiver::new(shared::register_queue(name.as_bytes())?))
    }
}

/// Sends to a queue. See [the module](self) for an example.
///
/// ```
/// use attache::queue::Sender;
///
/// fn tell(events: &Sender) {
///     if let Err(error) = events.send(b"something") {
///         attache::log::warn!("{error}");
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Sender {
    vm_id: Cow<'static, str>,
    name: Cow<'static, str>,
    token: Cell<Option<u32>>,
}

impl Sender {
    /// Appends an item. One host call, and one more the first time.
    ///
    /// ```
    /// use attache::prelude::*;
    /// use attache::queue::{SendError, Sender};
    ///
    /// /// While nobody receives, nothing is lost that was promised.
    /// fn tell(events: &Sender, event: &[u8]) -> Result<(), Error> {
    ///     match events.send(event) {
    ///         Ok(()) | Err(SendError::NoQueue) => Ok(()),
    ///         Err(refusal) => Err(refusal.into()),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::NoQueue`] while nobody has asked to receive, and [`SendError::Host`] when the host
    /// refuses.
    pub fn send(&self, item: &[u8]) -> Result<(), SendError> {
        if let Some(token) = self.token.get()
            && shared::enqueue(token, item)?
        {
            return Ok(());
        }
        // Also when the receiver's VMs are gone and others have come: their queue has another token.
        self.token.set(None);
        let token = shared::resolve_queue(self.vm_id.as_bytes(), self.name.as_bytes())?;
        let token = token.ok_or(SendError::NoQueue)?;
        if !shared::enqueue(token, item)? {
            return Err(SendError::NoQueue);
        }
        self.token.set(Some(token));
        Ok(())
    }
}

/// Why an item was not sent.
///
/// ```
/// use attache::queue::{SendError, Sender};
///
/// /// Whether somebody receives.
/// fn is_received(events: &Sender) -> bool {
///     !matches!(events.send(b"hello"), Err(SendError::NoQueue))
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// There is no such queue: nobody has asked to receive yet.
    NoQueue,
    /// The host refused the call.
    Host(crate::HostError),
}

impl From<crate::HostError> for SendError {
    fn from(error: crate::HostError) -> Self {
        Self::Host(error)
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoQueue => formatter.write_str("nobody receives from the queue"),
            Self::Host(_) => formatter.write_str("cannot send to the queue"),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoQueue => None,
            Self::Host(error) => Some(error),
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NoQueue => Self::filter(error),
            SendError::Host(cause) => cause.into(),
        }
    }
}

/// The receiving end of a queue. See [the module](self) for an example.
///
/// ```
/// use attache::Error;
/// use attache::queue::Receiver;
///
/// fn drain(events: &mut Receiver) -> Result<usize, Error> {
///     let mut count = 0;
///     while events.try_next()?.is_some() {
///         count += 1;
///     }
///     Ok(count)
/// }
/// ```
#[derive(Debug)]
pub struct Receiver {
    /// What tells receivers of one queue apart.
    id: u64,
    token: u32,
    in_a_row: u32,
}

impl Receiver {
    fn new(token: u32) -> Self {
        let id = RECEIVERS.get();
        RECEIVERS.set(id + 1);
        Self {
            id,
            token,
            in_a_row: 0,
        }
    }

    /// The next item, when there is one. One host call each time it looks.
    ///
    /// Others get a turn after 64 items in a row.
    ///
    /// ```
    /// use attache::queue::Receiver;
    /// use attache::Error;
    ///
    /// /// Waits for one item, and takes those that are there with it.
    /// async fn batch(events: &mut Receiver) -> Result<Vec<Vec<u8>>, Error> {
    ///     let mut batch = vec![events.next().await?];
    ///     while let Some(event) = events.try_next()? {
    ///         batch.push(event);
    ///     }
    ///     Ok(batch)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses.
    pub async fn next(&mut self) -> Result<Vec<u8>, Error> {
        poll_fn(|context| self.poll(context)).await
    }

    /// The first item, or `None` when there is none now. One host call.
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses.
    pub fn try_next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        Ok(shared::dequeue(self.token)?)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, Error>> {
        if self.in_a_row >= ITEMS_A_TURN {
            self.in_a_row = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.try_next() {
            Ok(Some(item)) => {
                self.in_a_row += 1;
                Poll::Ready(Ok(item))
            }
            Ok(None) => {
                self.in_a_row = 0;
                self.wait(context.waker());
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn wait(&self, waker: &Waker) {
        self.forget();
        let entry = Waiting {
            receiver: self.id,
            token: self.token,
            waker: tasks::copied(waker),
        };
        WAITING.with_borrow_mut(|waiting| waiting.push(entry));
    }

    fn forget(&self) {
        WAITING.with_borrow_mut(|waiting| waiting.retain(|entry| entry.receiver != self.id));
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::double::{self, Answer};
    use crate::status::Status;

    fn sender() -> Sender {
        Plugin::new(String::new()).sender("vm", "q")
    }

    fn poll_once(receiver: &mut Receiver) -> Poll<Result<Vec<u8>, Error>> {
        receiver.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_queue_is_looked_for_once() {
        let sender = sender();
        double::answer([Answer::ok().number(3)]);
        sender.send(b"a").unwrap();
        sender.send(b"b").unwrap();
        assert_eq!(
            double::calls(),
            [
                "proxy_resolve_shared_queue",
                "proxy_enqueue_shared_queue",
                "proxy_enqueue_shared_queue"
            ]
        );
    }

    #[test]
    fn a_queue_that_is_gone_is_looked_for_again() {
        let sender = sender();
        double::answer([Answer::ok().number(3)]);
        sender.send(b"a").unwrap();
        double::answer([Answer::status(1), Answer::ok().number(4), Answer::ok()]);
        sender.send(b"b").unwrap();
        assert_eq!(sender.token.get(), Some(4));
        double::answer([Answer::status(1)]);
        assert_eq!(sender.send(b"c"), Err(SendError::NoQueue));
        assert_eq!(double::calls().len(), 2);
    }

    #[test]
    fn a_receiver_lets_others_have_a_turn() {
        let mut receiver = Receiver::new(1);
        double::answer([Answer::bytes("x")]);
        for _ in 0..ITEMS_A_TURN {
            assert!(poll_once(&mut receiver).is_ready());
        }
        assert!(poll_once(&mut receiver).is_pending());
        assert!(poll_once(&mut receiver).is_ready());
    }

    #[test]
    fn one_that_waits_is_remembered_once_and_forgotten_when_woken() {
        let mut receiver = Receiver::new(9);
        double::answer([Answer::status(Status::EMPTY.as_u32())]);
        assert!(poll_once(&mut receiver).is_pending());
        assert!(poll_once(&mut receiver).is_pending());
        assert_eq!(WAITING.with_borrow(Vec::len), 1);
        on_ready(8);
        assert_eq!(WAITING.with_borrow(Vec::len), 1);
        on_ready(9);
        assert_eq!(WAITING.with_borrow(Vec::len), 0);
    }

    #[test]
    fn whatever_the_host_answers_is_an_item_none_or_an_error() {
        for answer in double::hostile() {
            let status = answer.status;
            double::answer([answer]);
            let sent = sender().send(b"item");
            assert_eq!(sent.is_ok(), status == 0);
            assert_eq!(sent == Err(SendError::NoQueue), status == 1);
            let plugin = Plugin::new(String::new());
            assert_eq!(plugin.receiver("q").is_ok(), status == 0);
            let mut receiver = Receiver::new(1);
            assert_eq!(receiver.try_next().is_ok(), matches!(status, 0 | 7));
            assert_eq!(poll_once(&mut receiver).is_pending(), status == 7);
        }
    }
}
