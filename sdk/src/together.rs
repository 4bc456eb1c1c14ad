//! Several futures at a time. These few lines save a dependency on `futures` and the macros of a
//! runtime; all futures are polled at each wake, which is what few of them cost least by.
//!
//! ```
//! use std::time::Duration;
//! use attache::prelude::*;
//!
//! /// Both verdicts are awaited at once, and nothing of the request goes on before.
//! async fn call(authz: &Cluster, quota: &Cluster, request: Request, next: Next) -> Result<Response, Error> {
//!     let soon = Duration::from_millis(200);
//!     let user = authz.get("/check").timeout(soon).send();
//!     let count = quota.get("/take").timeout(soon).send();
//!     let (user, count) = attache::join!(user, count);
//!     if user?.status() != StatusCode::OK {
//!         return Ok(Response::local(StatusCode::FORBIDDEN, "denied\n"));
//!     }
//!     if count?.status() != StatusCode::OK {
//!         return Ok(Response::local(StatusCode::TOO_MANY_REQUESTS, "later\n"));
//!     }
//!     next.run(request).await
//! }
//! ```

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Which of two futures was first: what [`select`] answers.
///
/// ```
/// use attache::together::Either;
///
/// fn name<T>(first: Either<T, T>) -> (&'static str, T) {
///     match first {
///         Either::Left(value) => ("left", value),
///         Either::Right(value) => ("right", value),
///     }
/// }
/// # assert_eq!(name(Either::Right(1)), ("right", 1));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "one of two is one of two")]
pub enum Either<A, B> {
    /// The first of the two.
    Left(A),
    /// The second of the two.
    Right(B),
}

/// Waits for both futures; [`join!`](crate::join) takes more.
///
/// ```
/// use attache::cluster::Cluster;
/// use attache::together::join;
///
/// use attache::http::StatusCode;
///
/// /// A peer that cannot be reached is an answer with status 503, not an error.
/// async fn are_well(users: &Cluster, quotas: &Cluster) -> bool {
///     let (user, quota) = join(users.get("/health").send(), quotas.get("/health").send()).await;
///     [user, quota].iter().all(|it| it.as_ref().is_ok_and(|it| it.status() == StatusCode::OK))
/// }
/// ```
pub async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut first, mut second) = (None, None);
    poll_fn(|context| {
        if first.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(context)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(context)
        {
            second = Some(output);
        }
        match (first.take(), second.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            (one, other) => {
                (first, second) = (one, other);
                Poll::Pending
            }
        }
    })
    .await
}

/// Waits for whichever of the futures is first, and drops the other. Where both are ready, it is the
/// first of the two. [`select!`](crate::select) takes more.
///
/// ```
/// use attache::cluster::{CallError, CallResponse, Cluster};
/// use attache::together::{Either, select};
///
/// async fn nearest(near: &Cluster, far: &Cluster) -> Result<CallResponse, CallError> {
///     match select(near.get("/").send(), far.get("/").send()).await {
///         Either::Left(answer) | Either::Right(answer) => answer,
///     }
/// }
/// ```
pub async fn select<A: Future, B: Future>(a: A, b: B) -> Either<A::Output, B::Output> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|context| {
        if let Poll::Ready(output) = a.as_mut().poll(context) {
            return Poll::Ready(Either::Left(output));
        }
        b.as_mut().poll(context).map(Either::Right)
    })
    .await
}

/// Waits for all of the futures, however many there are, and answers in their order.
///
/// ```
/// use attache::cluster::Cluster;
/// use attache::together::join_all;
///
/// /// How many of the clusters answer.
/// async fn answering(clusters: &[Cluster]) -> usize {
///     let answers = join_all(clusters.iter().map(|cluster| cluster.get("/health").send())).await;
///     answers.iter().filter(|answer| answer.is_ok()).count()
/// }
/// ```
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    poll_fn(|context| {
        let mut pending = false;
        for (future, output) in &mut waiting {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(ready) => *output = Some(ready),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    waiting
        .into_iter()
        .filter_map(|(_, output)| output)
        .collect()
}

/// Waits for all futures, at the same time, and makes a tuple of their outputs.
///
/// ```
/// use attache::prelude::*;
/// use attache::cluster::Cluster;
///
/// async fn may_pass(authz: &Cluster, quota: &Cluster) -> Result<bool, Error> {
///     let (verdict, left) = attache::join!(
///         authz.get("/check").send(),
///         quota.get("/left").send(),
///     );
///     Ok(verdict?.status() == StatusCode::OK && left?.status() == StatusCode::OK)
/// }
/// ```
#[macro_export]
macro_rules! join {
    ($only:expr $(,)?) => { ($only.await,) };
    ($($future:expr),+ $(,)?) => { $crate::join!(@nest [] $($future),+) };
    // The futures, as pairs of pairs.
    (@nest [$($before:expr,)*] $last:expr) => {
        $crate::join!(@flat [] $crate::join!(@pairs $($before,)* $last).await; $($before,)*)
    };
    (@nest [$($before:expr,)*] $next:expr, $($rest:expr),+) => {
        $crate::join!(@nest [$($before,)* $next,] $($rest),+)
    };
    (@pairs $last:expr) => { $last };
    (@pairs $next:expr, $($rest:expr),+) => {
        $crate::together::join($next, $crate::join!(@pairs $($rest),+))
    };
    // Their outputs, as one tuple.
    (@flat [$($done:ident)*] $value:expr; $next:expr, $($rest:expr,)*) => {{
        let (first, rest) = $value;
        $crate::join!(@flat [$($done)* first] rest; $($rest,)*)
    }};
    (@flat [$($done:ident)*] $value:expr;) => { ($($done,)* $value) };
}

/// Waits for whichever future is first, drops the others, and goes on with its arm. Where several
/// are ready, it is the first of them.
///
/// ```
/// use std::time::Duration;
/// use attache::prelude::*;
/// use attache::cluster::Cluster;
///
/// async fn fastest(near: &Cluster, far: &Cluster) -> Result<StatusCode, Error> {
///     Ok(attache::select! {
///         answer = near.get("/").send() => answer?.status(),
///         answer = far.get("/").send() => answer?.status(),
///         waited = attache::sleep(Duration::from_millis(50)) => {
///             waited?;
///             StatusCode::GATEWAY_TIMEOUT
///         }
///     })
/// }
/// ```
#[macro_export]
macro_rules! select {
    ($($pattern:pat = $future:expr => $arm:expr),+ $(,)?) => {
        $crate::select!(
            @arms $crate::select!(@race $($future),+).await;
            $($pattern => $arm,)+
        )
    };
    // An arm that is a block needs no comma.
    (@race $last:expr) => { $last };
    (@race $next:expr, $($rest:expr),+) => {
        $crate::together::select($next, $crate::select!(@race $($rest),+))
    };
    (@arms $value:expr; $pattern:pat => $arm:expr,) => {
        match $value { $pattern => $arm }
    };
    (@arms $value:expr; $pattern:pat => $arm:expr, $($rest:tt)+) => {
        match $value {
            $crate::together::Either::Left($pattern) => $arm,
            $crate::together::Either::Right(rest) => $crate::select!(@arms rest; $($rest)+),
        }
    };
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};
    use std::task::{Context, Waker};

    use super::*;

    fn poll<F: Future>(future: F) -> Poll<F::Output> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn all_are_joined_in_their_order() {
        let joined = poll(async { crate::join!(ready(1), ready("two"), ready(3.0), ready('4')) });
        assert_eq!(joined, Poll::Ready((1, "two", 3.0, '4')));
        assert_eq!(poll(async { crate::join!(ready(1)) }), Poll::Ready((1,)));
    }

    #[test]
    fn one_that_waits_holds_the_rest_and_is_polled_again() {
        let open = Cell::new(false);
        let gate = || {
            poll_fn(|_| {
                if open.get() {
                    Poll::Ready(1)
                } else {
                    Poll::Pending
                }
            })
        };
        let mut joined = pin!(async { crate::join!(gate(), ready(2), gate()) });
        let mut context = Context::from_waker(Waker::noop());
        assert!(joined.as_mut().poll(&mut context).is_pending());
        open.set(true);
        assert_eq!(joined.as_mut().poll(&mut context), Poll::Ready((1, 2, 1)));
    }

    #[test]
    fn the_first_is_selected_with_its_own_arm() {
        let selected = poll(async {
            crate::select! {
                () = pending::<()>() => "never",
                number = ready(2) => if number == 2 { "two" } else { "another" },
                _ = ready(3) => "late",
            }
        });
        assert_eq!(selected, Poll::Ready("two"));
    }

    #[test]
    fn all_of_a_list_are_joined() {
        assert_eq!(
            poll(join_all([ready(1), ready(2)])),
            Poll::Ready(vec![1, 2])
        );
        let none: Vec<std::future::Ready<u32>> = Vec::new();
        assert_eq!(poll(join_all(none)), Poll::Ready(vec![]));
    }
}
