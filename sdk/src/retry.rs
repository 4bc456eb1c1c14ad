use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use http::StatusCode;

use crate::cluster::{CallError, CallErrorKind, CallResponse};
use crate::host::surroundings;
use crate::time::{now, sleep};

/// Repeats what fails, with pauses that grow, within bounds of attempts and time.
///
/// The pause before the second attempt is a random part of [`first_pause`](Self::first_pause), from
/// half of it to all; it doubles with each attempt up to [`longest_pause`](Self::longest_pause).
/// Repeat only what may happen twice.
///
/// ```
/// use std::time::Duration;
/// use attache::cluster::{CallError, CallResponse, Cluster};
/// use attache::Retry;
///
/// async fn fetch(keys: &Cluster) -> Result<CallResponse, CallError> {
///     Retry::default()
///         .attempts(3)
///         .within(Duration::from_secs(1))
///         .run(|attempt| keys.get("/keys").timeout(attempt.time_left).send())
///         .await
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a policy does nothing unless it runs something"]
pub struct Retry {
    attempts: u32,
    within: Duration,
    first_pause: Duration,
    longest_pause: Duration,
}

/// One attempt.
///
/// ```
/// use attache::cluster::{CallError, CallResponse, Cluster};
/// use attache::Attempt;
///
/// async fn fetch(keys: &Cluster, attempt: Attempt) -> Result<CallResponse, CallError> {
///     attache::log::debug!("attempt {}", attempt.number);
///     keys.get("/keys").timeout(attempt.time_left).send().await
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Which one it is, from 1.
    pub number: u32,
    /// How much of the time is left for it, after which it is cut off: a good time limit for what it
    /// does, where that tells more of what went wrong.
    pub time_left: Duration,
}

/// What came of an attempt, as far as repeating it goes.
///
/// ```
/// use attache::{Retry, Retryable};
///
/// #[derive(PartialEq)]
/// enum Verdict { Yes, No, Busy }
///
/// impl Retryable for Verdict {
///     fn may_go_better(&self) -> bool {
///         *self == Self::Busy
///     }
///
///     fn out_of_time() -> Self {
///         Self::Busy
///     }
/// }
///
/// async fn patiently<F: Future<Output = Verdict>>(ask: impl Fn() -> F) -> Verdict {
///     Retry::default().run(|_| ask()).await
/// }
///
/// assert!(Verdict::Busy.may_go_better() && !Verdict::No.may_go_better());
/// ```
pub trait Retryable {
    /// Whether another attempt may go better.
    fn may_go_better(&self) -> bool;

    /// What comes of it when the time was up before anything else did.
    fn out_of_time() -> Self;
}

impl Default for Retry {
    /// Three attempts within 5 seconds, with pauses from 25 ms to 250 ms.
    fn default() -> Self {
        Self {
            attempts: 3,
            within: Duration::from_secs(5),
            first_pause: Duration::from_millis(25),
            longest_pause: Duration::from_millis(250),
        }
    }
}

impl Retry {
    /// Sets how many attempts there are at most, the first among them; there always is a first.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets how long all of it may take, to the millisecond. No attempt begins after that, and one
    /// that is under way is dropped.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// Sets the pause before the second attempt.
    ///
    /// ```
    /// use std::time::Duration;
    /// use attache::Retry;
    ///
    /// // Pauses of about 5, 10 and 20 ms.
    /// let eager = Retry::default().attempts(4).first_pause(Duration::from_millis(5));
    /// ```
    pub fn first_pause(mut self, pause: Duration) -> Self {
        self.first_pause = pause;
        self
    }

    /// Sets what no pause is longer than.
    ///
    /// ```
    /// use std::time::Duration;
    /// use attache::Retry;
    ///
    /// // For a service, which has time: pauses that grow to half a minute.
    /// let patient = Retry::default()
    ///     .attempts(10)
    ///     .within(Duration::from_secs(300))
    ///     .first_pause(Duration::from_secs(1))
    ///     .longest_pause(Duration::from_secs(30));
    /// ```
    pub fn longest_pause(mut self, pause: Duration) -> Self {
        self.longest_pause = pause;
        self
    }

    /// Makes attempts until one goes well, or the bounds are reached; answers what came of the last
    /// one that ended, or [`out_of_time`](Retryable::out_of_time) when none did.
    ///
    /// ```
    /// use attache::Retry;
    /// use attache::cluster::{CallError, Cluster};
    ///
    /// async fn keys(issuer: &Cluster) -> Result<Vec<u8>, CallError> {
    ///     // A call with 502, 503 or 504 is made again; what is left of them in the end is an error.
    ///     let call = |_| issuer.get("/keys").send();
    ///     Ok(Retry::default().run(call).await?.error_for_server_failure()?.into_body())
    /// }
    /// ```
    pub async fn run<F>(self, mut attempt: impl FnMut(Attempt) -> F) -> F::Output
    where
        F: Future<Output: Retryable>,
    {
        let begun = now();
        let mut pause = self.first_pause;
        let mut number = 1;
        let mut spent = Duration::ZERO;
        let mut before = None;
        loop {
            let time_left = self.within.saturating_sub(spent);
            let current = attempt(Attempt { number, time_left });
            let Some(outcome) = cut_off(time_left, current).await else {
                return before.unwrap_or_else(F::Output::out_of_time);
            };
            if number >= self.attempts || !outcome.may_go_better() {
                return outcome;
            }
            let jittered = jittered(pause.min(self.longest_pause));
            spent = now().saturating_sub(begun).saturating_add(jittered);
            // A host that does not tick leaves no way to wait.
            if spent >= self.within || sleep(jittered).await.is_err() {
                return outcome;
            }
            before = Some(outcome);
            pause = pause.saturating_mul(2);
            number += 1;
        }
    }
}

/// Waits for `future` until its time is up; `None` then.
async fn cut_off<F: Future>(time_left: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    // A time limit that the host keeps for what the future does comes before this one.
    let mut limit = Some(sleep(time_left.saturating_add(Duration::from_millis(1))));
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        let up = limit.as_mut().map(|limit| Pin::new(limit).poll(context));
        match up {
            Some(Poll::Ready(Ok(()))) => Poll::Ready(None),
            // A host that does not tick leaves no way to cut off.
            Some(Poll::Ready(Err(_))) => {
                limit = None;
                Poll::Pending
            }
            Some(Poll::Pending) | None => Poll::Pending,
        }
    })
    .await
}

/// From half of `pause` to all of it.
fn jittered(pause: Duration) -> Duration {
    let mut bytes = [0];
    // Without randomness the pause is whole.
    if surroundings::random(&mut bytes).is_err() {
        return pause;
    }
    let [byte] = bytes;
    pause / 2 + pause / 2 * u32::from(byte) / 255
}

/// An answer with 502, 503 or 504, also one that [`CallResponse::error_for_server_failure`] has made an error, and a call
/// that nothing answered.
impl Retryable for Result<CallResponse, CallError> {
    fn may_go_better(&self) -> bool {
        let passes = |status| {
            matches!(
                status,
                StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            )
        };
        match self {
            Ok(response) => passes(response.status()),
            Err(error) => match error.kind() {
                CallErrorKind::ServerFailure(status) => passes(*status),
                kind => matches!(kind, CallErrorKind::Unanswered { .. }),
            },
        }
    }

    fn out_of_time() -> Self {
        Err(CallError::new(&"".into(), CallErrorKind::OutOfTime))
    }
}

/// The status 14, `UNAVAILABLE`, of a unary gRPC call.
#[cfg(not(feature = "prost"))]
impl Retryable for Result<Vec<u8>, CallError> {
    fn may_go_better(&self) -> bool {
        is_unavailable(self.as_ref().err())
    }

    fn out_of_time() -> Self {
        Err(CallError::new(&"".into(), CallErrorKind::OutOfTime))
    }
}

/// The same, with any message; bytes are one.
#[cfg(feature = "prost")]
impl<A: prost::Message> Retryable for Result<A, CallError> {
    fn may_go_better(&self) -> bool {
        is_unavailable(self.as_ref().err())
    }

    fn out_of_time() -> Self {
        Err(CallError::new(&"".into(), CallErrorKind::OutOfTime))
    }
}

fn is_unavailable(error: Option<&CallError>) -> bool {
    let kind = error.map(CallError::kind);
    matches!(kind, Some(CallErrorKind::GrpcStatus { code: 14, .. }))
}
