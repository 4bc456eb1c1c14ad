use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::tasks;

/// Makes one of several that want the same do the work, while the others wait for what it gets.
///
/// The one may end before: its client goes away. Then one of those who wait does the work in its
/// place. What came of it is not kept: who comes later does it again.
///
/// ```
/// use attache::cluster::{CallError, Cluster};
/// use attache::SingleFlight;
///
/// struct Keys {
///     issuer: Cluster,
///     flights: SingleFlight<String, Result<Vec<u8>, CallError>>,
/// }
///
/// impl Keys {
///     async fn fetch(&self, path: &str) -> Result<Vec<u8>, CallError> {
///         let call = || async { Ok(self.issuer.get(path).send().await?.into_body()) };
///         self.flights.run(path.to_owned(), call).await
///     }
/// }
/// ```
pub struct SingleFlight<K, V> {
    flights: RefCell<BTreeMap<K, Rc<Flight<V>>>>,
}

struct Flight<V> {
    state: RefCell<State<V>>,
}

struct State<V> {
    /// What came of it.
    value: Option<V>,
    /// Whether somebody does the work.
    is_led: bool,
    /// Those who wait, each by the number that it got.
    waiting: BTreeMap<u64, Waker>,
    number: u64,
}

impl<K: Ord + Clone, V: Clone> SingleFlight<K, V> {
    /// Nobody does anything yet.
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    /// use attache::SingleFlight;
    ///
    /// let flights: SingleFlight<&str, u32> = SingleFlight::new();
    /// let mut first = std::pin::pin!(flights.run("key", || async { 7 }));
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert_eq!(first.as_mut().poll(&mut context), Poll::Ready(7));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            flights: RefCell::default(),
        }
    }

    /// Does `work` for `key`, unless somebody does it already: then waits for what comes of that.
    ///
    /// ```
    /// use attache::SingleFlight;
    /// use attache::cluster::{CallError, Cluster};
    ///
    /// type Verdicts = SingleFlight<Vec<u8>, Result<bool, CallError>>;
    ///
    /// /// However many streams come with one token at once, it is asked about once.
    /// async fn is_good(authz: &Cluster, verdicts: &Verdicts, token: &[u8]) -> Result<bool, CallError> {
    ///     let ask = || async {
    ///         let verdict = authz.get("/check").header("authorization", token).send().await?;
    ///         Ok(verdict.status().is_success())
    ///     };
    ///     verdicts.run(token.to_vec(), ask).await
    /// }
    /// ```
    pub async fn run<F: Future<Output = V>>(&self, key: K, work: impl FnOnce() -> F) -> V {
        let flight = Rc::clone(
            self.flights
                .borrow_mut()
                .entry(key.clone())
                .or_insert_with(|| {
                    Rc::new(Flight {
                        state: RefCell::new(State {
                            value: None,
                            is_led: false,
                            waiting: BTreeMap::new(),
                            number: 0,
                        }),
                    })
                }),
        );
        let mut seat = Seat {
            flight: Rc::clone(&flight),
            number: None,
        };
        // Where the one who does the work ends without a value, the next to be polled takes over.
        let landed = poll_fn(|context| seat.poll(context.waker())).await;
        drop(seat);
        if let Some(value) = landed {
            return value;
        }
        let lead = Lead {
            flights: self,
            flight: &flight,
            key: &key,
        };
        let value = work().await;
        lead.flight.state.borrow_mut().value = Some(value.clone());
        drop(lead);
        value
    }

    fn remove(&self, key: &K, flight: &Rc<Flight<V>>) {
        let mut flights = self.flights.borrow_mut();
        if flights
            .get(key)
            .is_some_and(|known| Rc::ptr_eq(known, flight))
        {
            flights.remove(key);
        }
    }
}

impl<K: Ord + Clone, V: Clone> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for SingleFlight<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SingleFlight")
            .field("flights", &self.flights.borrow().len())
            .finish()
    }
}

impl<V> Flight<V> {
    fn wake(&self, all: bool) {
        loop {
            // Woken where nothing is borrowed.
            let next = self.state.borrow_mut().waiting.pop_first();
            let Some((_, waker)) = next else { return };
            waker.wake();
            if !all {
                return;
            }
        }
    }
}

/// One who waits.
struct Seat<V> {
    flight: Rc<Flight<V>>,
    number: Option<u64>,
}

impl<V: Clone> Seat<V> {
    /// Ready with the value, or with nothing: then the work is this one's.
    fn poll(&mut self, waker: &Waker) -> Poll<Option<V>> {
        let mut state = self.flight.state.borrow_mut();
        if let Some(value) = &state.value {
            return Poll::Ready(Some(value.clone()));
        }
        if !state.is_led {
            state.is_led = true;
            return Poll::Ready(None);
        }
        let number = *self.number.get_or_insert_with(|| {
            state.number += 1;
            state.number
        });
        let before = state.waiting.insert(number, tasks::copied(waker));
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl<V> Drop for Seat<V> {
    fn drop(&mut self) {
        let mut state = self.flight.state.borrow_mut();
        let waker = self.number.and_then(|number| state.waiting.remove(&number));
        let is_orphaned = !state.is_led && state.value.is_none();
        drop(state);
        drop(waker);
        // This one may have been the one that was woken to take over.
        if is_orphaned {
            self.flight.wake(false);
        }
    }
}

/// The one who does the work; its end lets the others go on, whatever came of it.
struct Lead<'a, K: Ord + Clone, V: Clone> {
    flights: &'a SingleFlight<K, V>,
    flight: &'a Rc<Flight<V>>,
    key: &'a K,
}

impl<K: Ord + Clone, V: Clone> Drop for Lead<'_, K, V> {
    fn drop(&mut self) {
        let mut state = self.flight.state.borrow_mut();
        state.is_led = false;
        let landed = state.value.is_some();
        let nobody = state.waiting.is_empty();
        drop(state);
        if landed || nobody {
            self.flights.remove(self.key, self.flight);
        }
        self.flight.wake(landed);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::{Pin, pin};
    use std::task::Context;

    use super::*;

    fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Work that is done when told, and counts how often it was begun.
    struct Work {
        begun: Cell<u32>,
        done: Cell<bool>,
    }

    impl Work {
        fn new() -> Self {
            Self {
                begun: Cell::new(0),
                done: Cell::new(false),
            }
        }

        fn start(&self) -> impl Future<Output = u32> {
            self.begun.set(self.begun.get() + 1);
            poll_fn(|_| {
                if self.done.get() {
                    Poll::Ready(self.begun.get())
                } else {
                    Poll::Pending
                }
            })
        }
    }

    #[test]
    fn one_works_for_all_who_want_the_same() {
        let (flights, work) = (SingleFlight::new(), Work::new());
        let mut first = pin!(flights.run("a", || work.start()));
        let mut second = pin!(flights.run("a", || work.start()));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        work.done.set(true);
        assert_eq!(poll(first.as_mut()), Poll::Ready(1));
        assert_eq!(poll(second.as_mut()), Poll::Ready(1));
        assert!(flights.flights.borrow().is_empty());
    }

    #[test]
    fn one_who_waits_takes_over_where_the_first_ends() {
        let (flights, work) = (SingleFlight::new(), Work::new());
        let mut first = Box::pin(flights.run("a", || work.start()));
        let mut second = Box::pin(flights.run("a", || work.start()));
        let mut third = pin!(flights.run("a", || work.start()));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        assert!(poll(third.as_mut()).is_pending());
        drop(first);
        // The second was woken, and ends before its turn.
        drop(second);
        assert!(poll(third.as_mut()).is_pending());
        assert_eq!(work.begun.get(), 2);
        work.done.set(true);
        assert_eq!(poll(third.as_mut()), Poll::Ready(2));
        assert!(flights.flights.borrow().is_empty());
    }

    #[test]
    fn different_keys_fly_apart_and_later_ones_again() {
        let (flights, work) = (SingleFlight::new(), Work::new());
        work.done.set(true);
        for (key, begun) in [("a", 1), ("b", 2), ("a", 3)] {
            let flight = pin!(flights.run(key, || work.start()));
            assert_eq!(poll(flight), Poll::Ready(begun));
        }
    }
}
