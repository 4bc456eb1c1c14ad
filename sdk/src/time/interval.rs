use std::time::Duration;

use super::{now, sleep};
use crate::status::HostError;

/// Moments that are `period` apart; the first one is at once.
///
/// A moment that passes while nobody waits for it is made up for at once, but once only, however
/// many were missed. A period of less than a millisecond is one millisecond.
///
/// ```
/// use std::time::Duration;
/// use attache::{Error, interval};
///
/// async fn refresh() -> Result<(), Error> {
///     let mut minutes = interval(Duration::from_secs(60));
///     loop {
///         minutes.tick().await?;
///         // … fetch what has changed …
/// #       break Ok(());
///     }
/// }
/// ```
#[must_use]
pub fn interval(period: Duration) -> Interval {
    Interval {
        period: period.max(Duration::from_millis(1)),
        due: None,
    }
}

/// What [`interval`] makes.
///
/// ```
/// use attache::Interval;
/// use attache::HostError;
///
/// async fn thrice(mut ticks: Interval) -> Result<(), HostError> {
///     for _ in 0..3 {
///         ticks.tick().await?;
///         attache::log::info!("still here");
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Interval {
    period: Duration,
    /// When the next moment is, once there was a first.
    due: Option<Duration>,
}

impl Interval {
    /// Waits for the next moment.
    ///
    /// ```
    /// use std::time::Duration;
    /// use attache::prelude::*;
    ///
    /// /// Asks for keys every minute, and takes no notice of a peer that is down.
    /// async fn run(issuer: &Cluster) -> Result<(), Error> {
    ///     let mut minutes = attache::interval(Duration::from_secs(60));
    ///     loop {
    ///         minutes.tick().await?;
    ///         if let Err(error) = issuer.get("/keys").send().await {
    ///             log::warn!("{error}");
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`HostError`] when the host refuses to tick.
    pub async fn tick(&mut self) -> Result<(), HostError> {
        let now = now();
        let due = self.due.unwrap_or(now);
        sleep(due.saturating_sub(now)).await?;
        self.due = Some(due.max(now).saturating_add(self.period));
        Ok(())
    }
}
