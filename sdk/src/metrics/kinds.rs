use std::cell::Cell;
use std::time::Duration;

use log::error;

use crate::host::metrics;
use crate::status::HostError;

/// A kind of metric: [`Counter`], [`Gauge`] or [`Histogram`].
///
/// Sealed: Envoy has no others.
///
/// ```
/// use attache::metrics::{Metric, Series};
///
/// /// The series of a tier, whichever kind of metric it is.
/// fn of_tier<M: Metric>(series: &Series<M, 1>, tier: &str) -> M {
///     series.with([tier])
/// }
/// ```
pub trait Metric: sealed::Sealed + Copy {}

pub(crate) mod sealed {
    pub trait Sealed {
        #[doc(hidden)]
        const KIND: u32;

        /// A metric of this id; without one, what it is told goes nowhere.
        #[doc(hidden)]
        fn of(id: Option<u32>) -> Self;
    }
}

/// A number that only grows.
///
/// ```
/// # use attache::{ConfigError, Plugin};
/// # fn configure(plugin: &Plugin) -> Result<(), ConfigError> {
/// let denied = plugin.counter("gatekeeper_denied_total")?;
/// denied.increment();
/// # Ok(())
/// # }
/// ```
///
/// Changes cannot fail: what goes wrong with a metric costs no request. The first failure in a VM is
/// logged.
#[derive(Clone, Copy, Debug)]
pub struct Counter(pub(super) Option<u32>);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `amount`. Nothing, and no host call, for 0; and no more than 2^63 - 1 at once.
    ///
    /// ```
    /// use attache::metrics::Counter;
    /// use attache::prelude::*;
    ///
    /// fn on_complete(bytes: &Counter, stream: &Completed) {
    ///     bytes.add(stream.response_size().unwrap_or(0));
    /// }
    /// ```
    pub fn add(&self, amount: u64) {
        if amount > 0 {
            increment(self.0, i64::try_from(amount).unwrap_or(i64::MAX));
        }
    }

    /// The value over all workers and plugins, since the counter was first defined.
    ///
    /// ```
    /// use attache::metrics::Counter;
    ///
    /// /// For a service that reports it elsewhere.
    /// fn report(denied: &Counter) -> Result<String, attache::HostError> {
    ///     Ok(format!("denied={}", denied.value()?))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`HostError`] when the host refuses.
    pub fn value(&self) -> Result<u64, HostError> {
        value(self.0)
    }
}

/// A number that goes up and down.
///
/// All workers share it. So [`set`](Self::set) is for what all of them agree on; what each has some
/// of is added and subtracted, best by [`hold`](Self::hold).
///
/// ```
/// use attache::metrics::Gauge;
/// use attache::prelude::*;
///
/// async fn counted(active: &Gauge, request: Request, next: Next) -> Result<Response, Error> {
///     // One more until this is dropped, however the stream ends.
///     let _held = active.hold();
///     next.run(request).await
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gauge(pub(super) Option<u32>);

impl Gauge {
    /// Sets the value.
    ///
    /// ```
    /// use attache::metrics::Gauge;
    ///
    /// /// What all workers agree on: the generation of the configuration that they have.
    /// fn tell(generation: &Gauge, number: u64) {
    ///     generation.set(number);
    /// }
    /// ```
    pub fn set(&self, value: u64) {
        record(self.0, value);
    }

    /// Adds `amount`; nothing, and no host call, for 0.
    ///
    /// ```
    /// use attache::metrics::Gauge;
    ///
    /// /// What this worker has waiting, before and after a batch of it has been sent.
    /// fn send(waiting: &Gauge, batch: Vec<Vec<u8>>, more: u32) {
    ///     waiting.add(more);
    ///     waiting.subtract(u32::try_from(batch.len()).unwrap_or(u32::MAX));
    /// }
    /// ```
    pub fn add(&self, amount: u32) {
        if amount > 0 {
            increment(self.0, i64::from(amount));
        }
    }

    /// Subtracts `amount`; nothing, and no host call, for 0. Below 0 Envoy goes all the way round,
    /// to about 2^64.
    ///
    /// ```
    /// use attache::metrics::Gauge;
    ///
    /// fn give_back(leases: &Gauge, count: u32) {
    ///     leases.subtract(count);
    /// }
    /// ```
    pub fn subtract(&self, amount: u32) {
        if amount > 0 {
            increment(self.0, -i64::from(amount));
        }
    }

    /// Adds one until the guard is dropped. Held in a stream's future, it counts the streams that
    /// run, however they end.
    ///
    /// A worker whose VM ends by a panic drops nothing, so the gauge keeps what it held.
    ///
    /// ```
    /// # use attache::metrics::Gauge;
    /// # use attache::{Error, Next, Request, Response};
    /// # struct Filter { running: Gauge }
    /// # impl Filter {
    /// async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
    ///     let _running = self.running.hold();
    ///     next.run(request).await
    /// }
    /// # }
    /// ```
    #[must_use = "the gauge goes down again when the guard is dropped"]
    pub fn hold(&self) -> Held {
        self.add(1);
        Held(*self)
    }

    /// The value over all workers and plugins.
    ///
    /// ```
    /// use attache::metrics::Gauge;
    /// use attache::prelude::*;
    ///
    /// /// Turns streams away while too many run, over all workers.
    /// fn check(running: &Gauge, most: u64) -> Result<Option<Response>, Error> {
    ///     let busy = running.value()? >= most;
    ///     Ok(busy.then(|| Response::local(StatusCode::SERVICE_UNAVAILABLE, "too busy\n")))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`HostError`] when the host refuses.
    pub fn value(&self) -> Result<u64, HostError> {
        value(self.0)
    }
}

/// One that a [`Gauge`] counts, for as long as this lives.
///
/// ```
/// use attache::metrics::{Gauge, Held};
///
/// /// A lease that the gauge counts as long as it is somewhere.
/// struct Lease {
///     id: u64,
///     _held: Held,
/// }
///
/// fn lease(leases: &Gauge, id: u64) -> Lease {
///     Lease { id, _held: leases.hold() }
/// }
/// ```
#[derive(Debug)]
pub struct Held(Gauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.subtract(1);
    }
}

/// The distribution of a number.
///
/// Envoy's default buckets end at 3,600,000, an hour in milliseconds; larger values need
/// `histogram_bucket_settings` in its `stats_config`. Values are whole numbers.
///
/// ```
/// # use std::time::Duration;
/// # use attache::{ConfigError, Plugin};
/// # fn configure(plugin: &Plugin) -> Result<(), ConfigError> {
/// let waited = plugin.histogram("gatekeeper_waited_milliseconds")?;
/// waited.record_milliseconds(Duration::from_millis(12));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Histogram(pub(super) Option<u32>);

impl Histogram {
    /// Records a value.
    ///
    /// ```
    /// use attache::metrics::Histogram;
    /// use attache::prelude::*;
    ///
    /// fn on_complete(sizes: &Histogram, stream: &Completed) {
    ///     if let Some(size) = stream.request_size() {
    ///         sizes.record(size);
    ///     }
    /// }
    /// ```
    pub fn record(&self, value: u64) {
        record(self.0, value);
    }

    /// Records a time in whole milliseconds, as Envoy's own histograms of times do.
    pub fn record_milliseconds(&self, time: Duration) {
        self.record(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }
}

impl Metric for Counter {}
impl Metric for Gauge {}
impl Metric for Histogram {}

impl sealed::Sealed for Counter {
    const KIND: u32 = metrics::COUNTER;

    fn of(id: Option<u32>) -> Self {
        Self(id)
    }
}

impl sealed::Sealed for Gauge {
    const KIND: u32 = metrics::GAUGE;

    fn of(id: Option<u32>) -> Self {
        Self(id)
    }
}

impl sealed::Sealed for Histogram {
    const KIND: u32 = metrics::HISTOGRAM;

    fn of(id: Option<u32>) -> Self {
        Self(id)
    }
}

fn increment(id: Option<u32>, offset: i64) {
    if let Some(id) = id {
        done(metrics::increment(id, offset));
    }
}

fn record(id: Option<u32>, value: u64) {
    if let Some(id) = id {
        done(metrics::record(id, value));
    }
}

fn value(id: Option<u32>) -> Result<u64, HostError> {
    // 0 is no metric's id, so the host says what it says of an unknown one.
    metrics::value(id.unwrap_or(0))
}

/// Says that something went wrong, once in a VM: metrics are changed by each request.
pub(super) fn done(result: Result<(), HostError>) {
    thread_local! {
        static SAID: Cell<bool> = const { Cell::new(false) };
    }
    if let Err(cause) = result
        && !SAID.replace(true)
    {
        error!("metrics are incomplete from here on: {cause}");
    }
}
