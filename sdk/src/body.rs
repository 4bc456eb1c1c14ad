//! Bodies as a filter sees them: in pieces that pass through a transform, or whole.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::StatusCode;

use crate::error::Error;
use crate::flow::TooMuch;
use crate::headers::Headers;
use crate::host::Direction;
use crate::next::Link;
use crate::phases::Phases;
use crate::response::LocalReply;
use crate::stream::Handle;

mod piece;
mod watchdog;
mod watched;

pub(crate) use self::piece::Ending;
pub use self::piece::{BodyTransform, Piece};
use self::watchdog::Watchdog;
pub use self::watched::Watched;

/// The body was asked for to read it: its length stays what the headers say.
///
/// ```
/// use attache::{Incoming, Reading};
///
/// /// A body that may be looked at, and not replaced.
/// fn hold(body: &Incoming<Reading>) {}
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a mark without values")]
pub enum Reading {}

/// The body may be replaced: the headers do not tell its length, or are still held.
///
/// ```
/// use attache::prelude::*;
/// use attache::{Rewriting, Whole};
///
/// fn seal(whole: Whole<'_, Rewriting>) -> Result<(), Error> {
///     let sealed = [whole.bytes(), b" (sealed)"].concat();
///     whole.replace(sealed)?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a mark without values")]
pub enum Rewriting {}

/// A body that is on its way while its headers have gone on.
///
/// It is held as long as this value lives, and goes on when it is dropped: [`pass`](Self::pass) says
/// so. `K` says whether it may be replaced.
///
/// ```
/// # use attache::prelude::*;
/// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
/// let Sent { mut body, response } = next.send(request)?;
/// let is_large = matches!(body.collect(1024).await?, Collected::TooLarge);
/// body.pass();
/// let mut response = response.await?;
/// if is_large {
///     response.headers_mut().insert(WARNING, "199 - large");
/// }
/// Ok(response)
/// # }
/// ```
#[must_use = "the body is held until this is dropped"]
pub struct Incoming<K = Reading> {
    link: Handle,
    direction: Direction,
    kind: PhantomData<fn() -> K>,
}

/// What came of [`Incoming::collect`] and its neighbours.
///
/// ```
/// use attache::prelude::*;
///
/// /// Whether a body is one that may pass.
/// fn may_pass(collected: &Collected<'_>) -> bool {
///     match collected {
///         Collected::Whole(whole) => whole.bytes().is_ascii(),
///         Collected::TooLarge => false,
///         Collected::Answered => true,
///     }
/// }
/// ```
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a filter that judges bodies has to say what becomes of each"
)]
pub enum Collected<'a, K = Reading> {
    /// All of it.
    Whole(Whole<'a, K>),
    /// It is larger than the limit, or has no end (a tunnel). Nothing of it is lost: it goes on when
    /// the filter lets it go, and may be asked for again with another limit.
    TooLarge,
    /// The response came while the request still arrived: Envoy answered in the upstream's place, or
    /// the upstream did not wait for the end.
    Answered,
}

/// A whole body with its trailers, held until the message it belongs to goes on.
///
/// ```
/// use attache::Whole;
///
/// /// Whether the trailers say what the body is.
/// fn is_summed<K>(whole: &mut Whole<'_, K>) -> bool {
///     let sum = whole.bytes().len().to_string();
///     let told = whole.with_trailers(|trailers| trailers.all("x-size").contains(&sum.as_bytes()));
///     told == Some(true)
/// }
/// ```
pub struct Whole<'a, K = Reading> {
    link: Handle,
    direction: Direction,
    bytes: Vec<u8>,
    borrow: PhantomData<Borrow<'a, K>>,
}

/// The future of [`Incoming::collect`] and its neighbours.
///
/// ```
/// use attache::{Collected, Error, Incoming};
///
/// async fn size(mut body: Incoming) -> Result<Option<usize>, Error> {
///     let collect = body.collect(64 * 1024);
///     Ok(match collect.await? {
///         Collected::Whole(whole) => Some(whole.bytes().len()),
///         _ => None,
///     })
/// }
/// ```
///
/// # Errors
///
/// An [`Error`] when the host does not hand the body over, and when the filter has not declared
/// [`Phases::WAITS`] and the body of that direction.
#[must_use = "nothing is collected unless this is awaited"]
pub struct Collect<'a, K = Reading> {
    /// None for a response that is not the upstream's.
    link: Option<Handle>,
    direction: Direction,
    limit: usize,
    watchdog: Watchdog,
    borrow: PhantomData<Borrow<'a, K>>,
}

/// Of a message, for a body of kind `K`. Without a destructor, so that it ends with its last use.
type Borrow<'a, K> = (&'a mut (), fn() -> K);

/// A message without a body cannot be given one: Envoy has already said so to the peer.
///
/// ```
/// use attache::{Bodiless, Rewriting, Whole};
///
/// fn replace(whole: Whole<'_, Rewriting>) {
///     if let Err(Bodiless { .. }) = whole.replace("another body") {
///         attache::log::info!("there was none");
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Bodiless;

pub(crate) fn map_body(link: &Link, direction: Direction, transform: impl BodyTransform) {
    let ends: TooMuch = match direction {
        Direction::Request => request_too_large,
        Direction::Response => |limit| too_much(limit, StatusCode::BAD_GATEWAY),
    };
    transform_body(link, direction, transform, Some(ends));
}

pub(crate) fn request_too_large(limit: usize) -> Box<dyn Ending> {
    too_much(limit, StatusCode::PAYLOAD_TOO_LARGE)
}

/// Ends a stream whose transform would hold more than its limit: how much there is to hold, the peer chooses, so that
/// it is no fault that a failure mode may pass over.
fn too_much(limit: usize, status: StatusCode) -> Box<dyn Ending> {
    log::warn!(
        "a body ends here: its transform would hold more than its `hold_limit` of {limit} bytes"
    );
    // `RESOURCE_EXHAUSTED`.
    let reply = LocalReply::new(status)
        .details("attache_hold_limit")
        .grpc_status(8);
    Box::new(reply)
}

fn transform_body(
    link: &Link,
    direction: Direction,
    transform: impl BodyTransform,
    too_much: Option<TooMuch>,
) {
    let (phase, refusal) = match direction {
        Direction::Request => (
            Phases::REQUEST_BODY,
            "the request's body is looked at, which needs `Phases::REQUEST_BODY`",
        ),
        Direction::Response => (
            Phases::RESPONSE_BODY,
            "the response's body is looked at, which needs `Phases::RESPONSE_BODY`",
        ),
    };
    link.flow(direction).edit(|editor| {
        editor.map_body(Box::new(transform), too_much);
        if !link.phases().contains(phase) {
            editor.refuse(refusal);
        }
    });
}

/// The headers do not change for that.
pub(crate) fn watch_body<W: Watched>(
    link: &Link,
    direction: Direction,
    mut look: impl FnMut(&[u8]) -> W + 'static,
) {
    let watch = move |piece: &mut Piece<'_>| {
        if piece.rest().is_empty() {
            return;
        }
        match look(piece.rest()).refusal() {
            Some(reply) => piece.refuse(reply),
            None => piece.keep(usize::MAX),
        }
    };
    transform_body(link, direction, watch, None);
}

pub(crate) fn map_trailers(
    link: &Link,
    direction: Direction,
    change: impl FnOnce(&mut Headers) + 'static,
) {
    let (phase, refusal) = match direction {
        Direction::Request => (
            Phases::REQUEST_TRAILERS,
            "`request.map_trailers` needs `Phases::REQUEST_TRAILERS`",
        ),
        Direction::Response => (
            Phases::RESPONSE_TRAILERS,
            "`response.map_trailers` needs `Phases::RESPONSE_TRAILERS`",
        ),
    };
    link.flow(direction).edit(|editor| {
        editor.map_trailers(Box::new(change));
        if !link.phases().contains(phase) {
            editor.refuse(refusal);
        }
    });
}

impl<K> Incoming<K> {
    pub(crate) fn new(link: Handle, direction: Direction) -> Self {
        link.flow(direction).hold();
        Self {
            link,
            direction,
            kind: PhantomData,
        }
    }

    /// Waits until the body is there, up to `limit` bytes of it.
    ///
    /// Envoy holds it meanwhile; keep `limit` below the listener's
    /// `per_connection_buffer_limit_bytes` (1 MiB unless set), beyond which Envoy answers 413, or
    /// cuts the response.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let Sent { mut body, response } = next.send(request)?;
    /// match body.collect(1024).await? {
    ///     Collected::Whole(whole) if whole.bytes().contains(&0) => {
    ///         return Ok(Response::local(StatusCode::BAD_REQUEST, "expected text\n"));
    ///     }
    ///     _ => body.pass(),
    /// }
    /// response.await
    /// # }
    /// ```
    pub fn collect(&mut self, limit: usize) -> Collect<'_, K> {
        Collect::new(Some(self.link.clone()), self.direction, limit)
    }

    /// Lets the body go on.
    pub fn pass(self) {}
}

impl<K> Drop for Incoming<K> {
    fn drop(&mut self) {
        self.link.flow(self.direction).let_go();
    }
}

impl<K> Collect<'_, K> {
    pub(crate) fn new(link: Option<Handle>, direction: Direction, limit: usize) -> Self {
        Self {
            link,
            direction,
            limit,
            watchdog: Watchdog::off(),
            borrow: PhantomData,
        }
    }

    /// Of a message whose headers are held.
    pub(crate) fn watched(mut self) -> Self {
        self.watchdog = Watchdog::on();
        self
    }
}

impl<'a, K> Future for Collect<'a, K> {
    type Output = Result<Collected<'a, K>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(link) = &this.link else {
            return Poll::Ready(Err(Error::misuse(
                "the filter collects the body of a response that is not the upstream's",
            )));
        };
        let body = match this.direction {
            Direction::Request => Phases::REQUEST_BODY,
            Direction::Response => Phases::RESPONSE_BODY,
        };
        if !link.phases().contains(body.union(Phases::WAITS)) {
            return Poll::Ready(Err(Error::misuse(
                "the filter collects a body, which needs `Phases::WAITS` with \
                 `Phases::REQUEST_BODY` or `Phases::RESPONSE_BODY`",
            )));
        }
        if this.direction == Direction::Request && link.has_response() {
            return Poll::Ready(Ok(Collected::Answered));
        }
        let flow = link.flow(this.direction);
        if flow.size() > this.limit || flow.is_endless() {
            return Poll::Ready(Ok(Collected::TooLarge));
        }
        if flow.has_come() {
            this.watchdog.rest();
        } else if !flow.is_whole() {
            this.watchdog.look(context)?;
        }
        if !flow.is_whole() {
            flow.want(this.limit, context.waker());
            return Poll::Pending;
        }
        Poll::Ready(flow.read_all(link.stream()).map(|bytes| {
            Collected::Whole(Whole {
                link: link.clone(),
                direction: this.direction,
                bytes,
                borrow: PhantomData,
            })
        }))
    }
}

impl<K> Drop for Collect<'_, K> {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            link.flow(self.direction).want_nothing();
        }
    }
}

impl<K> Whole<'_, K> {
    /// The body's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The body's bytes, to keep. The body itself goes on unchanged.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// async fn copy(request: &mut Request<Holding>) -> Result<Option<Vec<u8>>, Error> {
    ///     Ok(match request.collect(64 * 1024).await? {
    ///         Collected::Whole(whole) => Some(whole.into_bytes()),
    ///         _ => None,
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Looks at the trailers, to read or to change them; `None` where the message has none.
    pub fn with_trailers<R>(&mut self, look: impl FnOnce(&mut Headers) -> R) -> Option<R> {
        let flow = self.link.flow(self.direction);
        if !flow.has_trailers() {
            return None;
        }
        let stream = self.link.stream();
        flow.edit(|editor| look(editor.trailers(self.direction, stream)))
    }
}

impl Whole<'_, Rewriting> {
    /// Puts another body in its place; no bytes are the empty body.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(mut request: Request<Holding>, next: Next<Holding>) -> Result<Response<Holding>, Error> {
    /// if let Collected::Whole(whole) = request.collect(64 * 1024).await? {
    ///     let trimmed = whole.bytes().trim_ascii().to_vec();
    ///     whole.replace(trimmed)?;
    /// }
    /// next.run(request).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Bodiless`] where the message came without a body.
    pub fn replace(self, body: impl Into<Vec<u8>>) -> Result<(), Bodiless> {
        let body = body.into();
        let flow = self.link.flow(self.direction);
        if body == self.bytes {
            return Ok(());
        }
        if !flow.has_body() {
            return Err(Bodiless);
        }
        flow.edit(|editor| editor.replace(body));
        Ok(())
    }
}

impl fmt::Display for Bodiless {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a message that came without a body cannot be given one")
    }
}

impl std::error::Error for Bodiless {}

impl From<Bodiless> for Error {
    fn from(_: Bodiless) -> Self {
        Self::misuse("the filter gave a body to a message that came without one")
    }
}

impl<K> fmt::Debug for Incoming<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Incoming")
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

impl<K> fmt::Debug for Collect<'_, K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Collect")
            .field("direction", &self.direction)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// The size only: bodies may be secrets.
impl<K> fmt::Debug for Whole<'_, K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Whole")
            .field("direction", &self.direction)
            .field("size", &self.bytes.len())
            .finish_non_exhaustive()
    }
}
