use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::Error;
use crate::headers::Headers;
use crate::host::{self, Map};
use crate::mode::Mode;
use crate::next::Link;
use crate::phases::Phases;
use crate::response::{Answer, Response};
use crate::stream::Handle;
use crate::tasks;

/// A stream at its end, when the access log is written.
///
/// Everything is read when it is asked for, at one host call each, and `None` where Envoy does not
/// know it. It can be asked within that callback only.
///
/// ```
/// use attache::prelude::*;
///
/// fn tell(stream: &Completed) {
///     if let Some(status) = stream.status().filter(|&status| status >= 500) {
///         log::warn!("status={status} details={:?}", stream.code_details());
///     }
/// }
/// ```
///
/// ```
/// use attache::prelude::*;
///
/// /// What a stream has cost: in bytes with and without headers, and in time.
/// fn cost(stream: &Completed) -> String {
///     format!(
///         "received={:?} ({:?} in all) sent={:?} ({:?} in all) took={:?} upstream={:?}",
///         stream.request_size(),
///         stream.request_total_size(),
///         stream.response_size(),
///         stream.response_total_size(),
///         stream.duration(),
///         stream.backend_latency(),
///     )
/// }
/// ```
///
/// ```
/// use attache::prelude::*;
///
/// /// What a line of a log begins with.
/// fn line(stream: &Completed) -> String {
///     let part = |bytes: Option<Vec<u8>>| bytes.unwrap_or_default().escape_ascii().to_string();
///     format!(
///         "{} {} {}",
///         part(stream.method()),
///         part(stream.authority()),
///         part(stream.path()),
///     )
/// }
/// ```
pub struct Completed {
    stream: u32,
    kept: Option<Rc<dyn Any>>,
}

impl Completed {
    pub(crate) fn new(stream: u32) -> Self {
        Self { stream, kept: None }
    }

    pub(crate) fn of(link: &Link) -> Self {
        Self {
            stream: link.stream(),
            kept: link.kept(),
        }
    }

    /// What [`Request::keep`](crate::Request::keep) left, if that is a `T`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use attache::prelude::*;
    ///
    /// /// How long the verdict on a request took; `call` leaves it by `request.keep(Judged(…))`.
    /// struct Judged(Duration);
    ///
    /// fn tell(stream: &Completed) {
    ///     if let Some(judged) = stream.kept::<Judged>() {
    ///         log::info!("judged in {:?}", judged.0);
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn kept<T: 'static>(&self) -> Option<Rc<T>> {
        Rc::clone(self.kept.as_ref()?).downcast().ok()
    }

    /// The status that the client got (`response.code`); `None` if it got none.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// `None` is a client that went away before there was a response.
    /// fn class(stream: &Completed) -> &'static str {
    ///     match stream.status() {
    ///         None => "none",
    ///         Some(200..=299) => "good",
    ///         Some(400..=499) => "refused",
    ///         Some(500..) => "failed",
    ///         Some(_) => "other",
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.number(&["response", "code"])
            .and_then(|code| u16::try_from(code).ok())
            .filter(|&code| code != 0)
    }

    /// Why the response is what it is (`response.code_details`): `via_upstream`, or who replied in
    /// its place.
    #[must_use]
    pub fn code_details(&self) -> Option<String> {
        self.text(&["response", "code_details"])
    }

    /// Envoy's response flags (`response.flags`) as a set of bits, 0 for none.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// Of `stream_info.h`: no host of the cluster was healthy.
    /// const NO_HEALTHY_UPSTREAM: u64 = 0x2;
    ///
    /// fn had_no_upstream(stream: &Completed) -> bool {
    ///     stream.flags().is_some_and(|flags| flags & NO_HEALTHY_UPSTREAM != 0)
    /// }
    /// ```
    #[must_use]
    pub fn flags(&self) -> Option<u64> {
        self.number(&["response", "flags"])
    }

    /// The gRPC status (`response.grpc_status`), which Envoy derives from the status of a response
    /// that is none of gRPC.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// `UNAVAILABLE` and `DEADLINE_EXCEEDED`.
    /// fn is_worth_a_retry(stream: &Completed) -> bool {
    ///     matches!(stream.grpc_status(), Some(4 | 14))
    /// }
    /// ```
    #[must_use]
    pub fn grpc_status(&self) -> Option<u64> {
        self.number(&["response", "grpc_status"])
    }

    /// The request's `content-length`, as its client declared it, be it true or not; without one the bytes of its body
    /// (`request.size`).
    #[must_use]
    pub fn request_size(&self) -> Option<u64> {
        self.number(&["request", "size"])
    }

    /// Bytes of the request's headers, body and trailers (`request.total_size`).
    #[must_use]
    pub fn request_total_size(&self) -> Option<u64> {
        self.number(&["request", "total_size"])
    }

    /// Bytes of the response's body (`response.size`).
    #[must_use]
    pub fn response_size(&self) -> Option<u64> {
        self.number(&["response", "size"])
    }

    /// Bytes of the response's headers, body and trailers (`response.total_size`).
    #[must_use]
    pub fn response_total_size(&self) -> Option<u64> {
        self.number(&["response", "total_size"])
    }

    /// From the request's first byte to the response's last (`request.duration`).
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.number(&["request", "duration"])
            .map(Duration::from_nanos)
    }

    /// From the request's first byte to the upstream to the response's last (`response.backend_latency`).
    #[must_use]
    pub fn backend_latency(&self) -> Option<Duration> {
        self.number(&["response", "backend_latency"])
            .map(Duration::from_nanos)
    }

    /// The request's method, as the upstream got it (`request.method`).
    #[must_use]
    pub fn method(&self) -> Option<Vec<u8>> {
        self.bytes(&["request", "method"])
    }

    /// The request's path with its query, as the upstream got them (`request.path`).
    #[must_use]
    pub fn path(&self) -> Option<Vec<u8>> {
        self.bytes(&["request", "path"])
    }

    /// The host of the request, as the upstream got it (`request.host`).
    #[must_use]
    pub fn authority(&self) -> Option<Vec<u8>> {
        self.bytes(&["request", "host"])
    }

    /// The request's headers as the upstream got them, without pseudo headers.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// fn agent(stream: &Completed) -> String {
    ///     let headers = stream.request_headers();
    ///     let agent = headers.all(USER_AGENT).first().copied().unwrap_or_default();
    ///     agent.escape_ascii().to_string()
    /// }
    /// ```
    #[must_use]
    pub fn request_headers(&self) -> Headers {
        Headers::new(Map::RequestHeaders, self.stream)
    }

    /// The response's headers as the client got them.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// fn was_cached(stream: &Completed) -> bool {
    ///     stream.response_headers().contains(AGE)
    /// }
    /// ```
    #[must_use]
    pub fn response_headers(&self) -> Headers {
        Headers::new(Map::ResponseHeaders, self.stream)
    }

    fn bytes(&self, path: &[&str]) -> Option<Vec<u8>> {
        tasks::within(self.stream, || host::property(path))
            .ok()?
            .ok()?
    }

    pub(crate) fn text(&self, path: &[&str]) -> Option<String> {
        let text = String::from_utf8(self.bytes(path)?).ok()?;
        (!text.is_empty()).then_some(text)
    }

    /// A number, which the host hands over as eight bytes; a negative one is none.
    pub(crate) fn number(&self, path: &[&str]) -> Option<u64> {
        let bytes = self.bytes(path)?.try_into().ok()?;
        u64::try_from(i64::from_le_bytes(bytes)).ok()
    }
}

impl fmt::Debug for Completed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Completed").finish_non_exhaustive()
    }
}

/// A stream that is over takes any answer; this one is what a `call` that waited for the end
/// returns.
impl<M: Mode> From<Completed> for Response<M> {
    fn from(_: Completed) -> Self {
        Self::sent()
    }
}

/// The future of [`Response::complete`].
///
/// ```
/// # use attache::prelude::*;
/// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
/// let response = next.run(request).await?;
/// let completed = response.complete().await?;
/// log::info!("took {:?}", completed.duration());
/// Ok(completed.into())
/// # }
/// ```
///
/// # Errors
///
/// An [`Error`] when the filter has not declared [`Phases::COMPLETE`].
#[must_use = "the response goes on when this is awaited"]
pub struct Complete {
    link: Option<Handle>,
    answer: Option<Answer>,
}

impl Complete {
    pub(crate) fn new(link: Option<Handle>, answer: Answer) -> Self {
        Self {
            link,
            answer: Some(answer),
        }
    }
}

impl Future for Complete {
    type Output = Result<Completed, Error>;

    fn poll(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.answer.take();
        let Some(link) = &self.link else {
            return Poll::Ready(Err(Error::misuse(
                "a local reply goes out when `call` returns it; `on_complete` sees its end",
            )));
        };
        if !link.phases().contains(Phases::COMPLETE) {
            return Poll::Ready(Err(Error::misuse(
                "`complete` wakes at the stream's end, which needs `Phases::COMPLETE`",
            )));
        }
        if link.is_complete() {
            return Poll::Ready(Ok(Completed::of(link)));
        }
        if let Some(answer) = answer {
            link.answer_early(answer);
        }
        // The stream polls the whole future at its end.
        Poll::Pending
    }
}

impl fmt::Debug for Complete {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Complete").finish_non_exhaustive()
    }
}
