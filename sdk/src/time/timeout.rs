use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::sleep;
use crate::error::Error;
use crate::status::HostError;

/// Waits for `future`, but no longer than `limit`; then the future is dropped.
///
/// ```
/// use std::time::Duration;
/// use attache::{TimeoutError, timeout};
///
/// async fn first(turn: impl Future<Output = u32>) -> Option<u32> {
///     match timeout(Duration::from_millis(100), turn).await {
///         Ok(number) => Some(number),
///         Err(TimeoutError::Elapsed) => None,
///         Err(_) => None,
///     }
/// }
/// ```
///
/// # Errors
///
/// [`TimeoutError::Elapsed`] when the time was up first, or what the host said when it refused to
/// tick.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, TimeoutError> {
    let mut future = pin!(future);
    let mut sleep = sleep(limit);
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        match std::pin::Pin::new(&mut sleep).poll(context) {
            Poll::Ready(Ok(())) => Poll::Ready(Err(TimeoutError::Elapsed)),
            Poll::Ready(Err(refusal)) => Poll::Ready(Err(TimeoutError::Host(refusal))),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Why a [`timeout`] has no output.
///
/// ```
/// use attache::TimeoutError;
///
/// fn is_slow<T>(outcome: &Result<T, TimeoutError>) -> bool {
///     matches!(outcome, Err(TimeoutError::Elapsed))
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TimeoutError {
    /// The time was up.
    Elapsed,
    /// The host refused to tick, so that the time would never be up.
    Host(HostError),
}

impl fmt::Display for TimeoutError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elapsed => formatter.write_str("the time limit is over"),
            Self::Host(_) => formatter.write_str("the host does not tick"),
        }
    }
}

impl std::error::Error for TimeoutError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Elapsed => None,
            Self::Host(refusal) => Some(refusal),
        }
    }
}

impl From<TimeoutError> for Error {
    fn from(error: TimeoutError) -> Self {
        match error {
            TimeoutError::Host(refusal) => refusal.into(),
            elapsed @ TimeoutError::Elapsed => Self::filter(elapsed),
        }
    }
}
