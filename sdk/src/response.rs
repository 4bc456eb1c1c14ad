use std::marker::PhantomData;

use http::StatusCode;

use crate::body::{self, BodyTransform, Collect, Incoming, Reading, Rewriting, Watched};
use crate::completed::Complete;
use crate::error::Error;
use crate::flow::{Flow, Gate};
use crate::headers::Headers;
use crate::host::{self, Direction, Map};
use crate::mode::{Holds, Mode, Streaming};
use crate::next::Link;
use crate::stream::Handle;
use crate::tasks;

pub use self::local::{Body, LocalReply};
pub use self::status::InvalidStatus;
use self::status::is_bodiless;

mod local;
mod status;

/// What a filter answers with: the upstream's response, a local reply, or word that the request
/// went on and its response is not this filter's business.
///
/// ```
/// # use attache::prelude::*;
/// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
/// let mut response = next.run(request).await?;
/// if response.status() == Some(StatusCode::NOT_FOUND) {
///     return Ok(Response::local(StatusCode::NOT_FOUND, "nothing here\n"));
/// }
/// response.headers_mut().remove(SERVER);
/// Ok(response)
/// # }
/// ```
#[derive(Debug)]
pub struct Response<M: Mode = Streaming> {
    answer: Answer,
    mode: PhantomData<fn() -> M>,
}

/// A response without its mode: what is done for a stream is the same in both.
#[derive(Debug)]
pub(crate) struct Answer {
    link: Option<Handle>,
    headers: Headers,
    origin: Origin,
}

/// Where a response comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    Upstream,
    Local(Box<LocalReply>),
    Forwarded,
    /// Its headers have gone on, or the stream is over.
    Sent,
}

impl<M: Mode> Response<M> {
    /// Answers in the upstream's place. [`LocalReply`] has more to set; it converts into a
    /// response.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// let reply: Response = Response::local(StatusCode::FORBIDDEN, "denied\n");
    /// assert_eq!(reply.status(), Some(StatusCode::FORBIDDEN));
    /// ```
    #[must_use]
    pub fn local(status: StatusCode, body: impl Into<Body>) -> Self {
        LocalReply::new(status).body(body).into()
    }

    pub(crate) fn upstream(link: &Handle) -> Self {
        let headers = Headers::new(Map::ResponseHeaders, link.stream());
        Self::of(Some(link.clone()), headers, Origin::Upstream)
    }

    pub(crate) fn forwarded(link: Handle) -> Self {
        Self::of(Some(link), Headers::detached(), Origin::Forwarded)
    }

    pub(crate) fn sent() -> Self {
        Self::of(None, Headers::detached(), Origin::Sent)
    }

    fn of(link: Option<Handle>, headers: Headers, origin: Origin) -> Self {
        Self {
            answer: Answer {
                link,
                headers,
                origin,
            },
            mode: PhantomData,
        }
    }

    /// The status, or `None` when there is none to see: a `:status` that is no number from 100 to
    /// 999, or a response from [`Next::forward`](crate::Next::forward).
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let response = next.run(request).await?;
    /// if response.status().is_some_and(|status| status.is_server_error()) {
    ///     return Ok(Response::local(StatusCode::BAD_GATEWAY, "come back later\n"));
    /// }
    /// Ok(response)
    /// # }
    /// ```
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        let Answer {
            headers, origin, ..
        } = &self.answer;
        match origin {
            Origin::Upstream => StatusCode::from_bytes(headers.pseudo(":status")?).ok(),
            Origin::Local(reply) => Some(reply.status),
            Origin::Forwarded | Origin::Sent => None,
        }
    }

    /// Sets the status. One from [`Next::forward`](crate::Next::forward) has none to set.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let mut response = next.run(request).await?;
    /// // Who may not see it is not told that it is there.
    /// if response.status() == Some(StatusCode::FORBIDDEN) && response.set_status(StatusCode::NOT_FOUND).is_err() {
    ///     log::warn!("the status stays");
    /// }
    /// Ok(response)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidStatus`] where the new status or the old one says that there is no body (1xx, 204, 304, and what opens a
    /// tunnel by `CONNECT`; RFC 9110, 6.4.1), since the client would then take a body for the next response, or wait for one.
    /// The response is unchanged then.
    pub fn set_status(&mut self, status: StatusCode) -> Result<(), InvalidStatus> {
        let old = self.status().ok_or(InvalidStatus)?;
        let opens = old.is_success() != status.is_success() && self.may_be_tunnel();
        if old != status && ([old, status].into_iter().any(is_bodiless) || opens) {
            return Err(InvalidStatus);
        }
        match &mut self.answer.origin {
            Origin::Local(reply) => reply.status = status,
            _ => self
                .answer
                .headers
                .set_pseudo(":status", status.as_str().as_bytes()),
        }
        Ok(())
    }

    /// The headers: the upstream's, or those of the local reply. A response from
    /// [`Next::forward`](crate::Next::forward) has none.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let response = next.run(request).await?;
    /// if response.headers().contains(SET_COOKIE) {
    ///     log::info!("a session begins");
    /// }
    /// Ok(response)
    /// # }
    /// ```
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.answer.headers
    }

    /// The headers, to change. Changes to a response from
    /// [`Next::forward`](crate::Next::forward) go nowhere.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let mut response = next.run(request).await?;
    /// let policy = "max-age=31536000";
    /// response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, policy);
    /// Ok(response)
    /// # }
    /// ```
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.answer.headers
    }

    /// Whether the upstream's response has neither body nor trailers. One that is not the upstream's
    /// has none to see.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let mut response = next.run(request).await?;
    /// if response.ends_with_headers() {
    ///     response.headers_mut().insert("x-empty", 1);
    /// }
    /// Ok(response)
    /// # }
    /// ```
    #[must_use]
    pub fn ends_with_headers(&self) -> bool {
        self.answer.flow().is_none_or(Flow::is_bodiless)
    }

    /// Changes the body of the upstream's response while it passes. It goes on without
    /// `content-length`, in chunks over HTTP/1.1. Needs [`Phases::RESPONSE_BODY`](crate::Phases::RESPONSE_BODY). Local replies and
    /// forwarded responses are not changed.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let mut response = next.run(request).await?;
    /// let is_text = response.headers().content_type().is_some_and(|kind| kind.is("text/plain"));
    /// if is_text {
    ///     response.map_body(|piece: &mut Piece<'_>| {
    ///         piece.keep(usize::MAX);
    ///         if piece.is_last() {
    ///             piece.write(b"-- through the proxy\n");
    ///         }
    ///     });
    /// }
    /// Ok(response)
    /// # }
    /// ```
    pub fn map_body(&mut self, transform: impl BodyTransform) {
        self.forget_length();
        if let Some(link) = self.answer.upstream() {
            body::map_body(link, Direction::Response, transform);
        }
    }

    /// Looks at the body of the upstream's response while it passes, in pieces as the network has cut it.
    /// The headers stay as they are. Needs [`Phases::RESPONSE_BODY`](crate::Phases::RESPONSE_BODY), and
    /// takes the place of [`map_body`](Self::map_body). What the closure answers may end the stream; see
    /// [`Watched`].
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let mut response = next.run(request).await?;
    /// response.watch_body(|piece| attache::log::debug!("{} bytes", piece.len()));
    /// Ok(response)
    /// # }
    /// ```
    pub fn watch_body<W: Watched>(&mut self, look: impl FnMut(&[u8]) -> W + 'static) {
        if let Some(link) = self.answer.upstream() {
            body::watch_body(link, Direction::Response, look);
        }
    }

    /// Changes the trailers of the upstream's response, where it has some. Needs
    /// [`Phases::RESPONSE_TRAILERS`](crate::Phases::RESPONSE_TRAILERS).
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let mut response = next.run(request).await?;
    /// response.map_trailers(|trailers| {
    ///     trailers.retain(|name, _| !name.starts_with(b"x-debug-"));
    /// });
    /// Ok(response)
    /// # }
    /// ```
    pub fn map_trailers(&mut self, change: impl FnOnce(&mut Headers) + 'static) {
        if let Some(link) = self.answer.upstream() {
            body::map_trailers(link, Direction::Response, change);
        }
    }

    /// Passes the headers on, and holds the body as long as what this returns lives, to be collected
    /// and read. Its length stays what the headers say, so it cannot be replaced.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let mut sent = next.run(request).await?.send()?;
    /// if let Collected::Whole(whole) = sent.collect(16 * 1024).await? {
    ///     log::info!("{} lines", whole.bytes().split(|&byte| byte == b'\n').count());
    /// }
    /// Ok(sent.finish())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses the changes, and for a response that is not the upstream's.
    pub fn send(self) -> Result<SentResponse<M>, Error> {
        self.send_as()
    }

    /// As [`send`](Self::send), with a body that may be replaced: the response goes on without
    /// `content-length`, in chunks over HTTP/1.1.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let mut sent = next.run(request).await?.send_to_rewrite()?;
    /// if let Collected::Whole(whole) = sent.collect(16 * 1024).await? {
    ///     let quoted = format!("{:?}", String::from_utf8_lossy(whole.bytes()));
    ///     whole.replace(quoted)?;
    /// }
    /// Ok(sent.finish())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As in [`send`](Self::send).
    pub fn send_to_rewrite(mut self) -> Result<SentResponse<M, Rewriting>, Error> {
        self.forget_length();
        self.send_as()
    }

    fn send_as<K>(self) -> Result<SentResponse<M, K>, Error> {
        self.mark_tunnel();
        let Answer {
            link: Some(link),
            mut headers,
            origin: Origin::Upstream,
        } = self.answer
        else {
            return Err(Error::misuse(
                "the filter sent a response that is not the upstream's",
            ));
        };
        pass(&link, &mut headers)?;
        Ok(SentResponse {
            body: Incoming::new(link.clone(), Direction::Response),
            link,
            mode: PhantomData,
        })
    }

    /// Lets the response go on and wakes at the end of the stream, when its access log is written.
    /// Needs [`Phases::COMPLETE`](crate::Phases::COMPLETE).
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let response = next.run(request).await?;
    /// let completed = response.complete().await?;
    /// attache::log::info!("status={:?} bytes={:?}", completed.status(), completed.response_size());
    /// Ok(completed.into())
    /// # }
    /// ```
    pub fn complete(self) -> Complete {
        Complete::new(self.answer.link.clone(), self.answer)
    }

    /// The body's length will not be what the upstream said; what has no body keeps it. An answer to HEAD ends with its
    /// headers for Envoy, but for one over HTTP/2 whose end comes by itself: that one goes without a length, as it may
    /// (RFC 9110, 8.6), and no host is asked for a method that is nearly always another.
    fn forget_length(&mut self) {
        if self.answer.upstream().is_none() {
            return;
        }
        let has_body = !matches!(
            self.status(),
            Some(StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        );
        if !self.ends_with_headers() && has_body {
            self.answer.headers.remove("content-length");
        }
    }

    /// Waits until the body is there, up to `limit` bytes of it, while the headers are held too and
    /// may still be changed. Needs [`Phases::RESPONSE_BODY`](crate::Phases::RESPONSE_BODY).
    ///
    /// Keep `limit` below the cluster's and the listener's `per_connection_buffer_limit_bytes` (1 MiB
    /// unless set), beyond which Envoy answers 500.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request<Holding>, next: Next<Holding>) -> Result<Response<Holding>, Error> {
    /// let mut response = next.run(request).await?;
    /// let lines = match response.collect(64 * 1024).await? {
    ///     Collected::Whole(whole) => whole.bytes().iter().filter(|&&byte| byte == b'\n').count(),
    ///     _ => return Ok(response),
    /// };
    /// // The headers are still here, though the body is known.
    /// response.headers_mut().insert("x-lines", lines);
    /// Ok(response)
    /// # }
    /// ```
    pub fn collect(&mut self, limit: usize) -> Collect<'_, Rewriting>
    where
        M: Holds,
    {
        self.mark_tunnel();
        Collect::new(self.answer.link.clone(), Direction::Response, limit).watched()
    }

    /// Whether it answers `CONNECT`. The host is asked only where the request has no end.
    fn may_be_tunnel(&self) -> bool {
        let link = self.answer.upstream();
        link.is_some_and(|link| !link.flow(Direction::Request).is_whole() && answers_connect(link))
    }

    /// The body of a tunnel has no end. The host is asked only where there may be one: the request of
    /// a tunnel has no end either.
    fn mark_tunnel(&self) {
        let Some(link) = self.answer.upstream() else {
            return;
        };
        if link.flow(Direction::Request).is_whole() {
            return;
        }
        let is_tunnel = match self.status() {
            Some(StatusCode::SWITCHING_PROTOCOLS) => true,
            Some(status) => status.is_success() && answers_connect(link),
            None => false,
        };
        if is_tunnel {
            link.flow(Direction::Response).set_endless();
        }
    }

    pub(crate) fn into_answer(self) -> Answer {
        self.answer
    }
}

impl Answer {
    /// The stream whose upstream's response this is.
    fn upstream(&self) -> Option<&Link> {
        match self.origin {
            Origin::Upstream => self.link.as_deref(),
            _ => None,
        }
    }

    fn flow(&self) -> Option<&Flow> {
        Some(self.upstream()?.flow(Direction::Response))
    }

    pub(crate) fn parts(&mut self) -> (&mut Headers, &Origin) {
        (&mut self.headers, &self.origin)
    }
}

/// Lets the upstream's response go on with its changes.
pub(crate) fn pass(link: &Link, headers: &mut Headers) -> Result<(), Error> {
    let flow = link.flow(Direction::Response);
    if flow.gate() != Gate::Held || !headers.is_of(link.stream()) {
        return Err(Error::misuse(
            "the filter returned another stream's response",
        ));
    }
    flow.prepare(headers)?;
    flow.commit(headers)?;
    flow.set_gate(Gate::Open);
    Ok(())
}

/// Whether the request was CONNECT.
fn answers_connect(link: &Link) -> bool {
    let method = tasks::within(link.stream(), || host::property(&["request", "method"]));
    matches!(method, Ok(Ok(Some(method))) if method == b"CONNECT")
}

/// A response whose headers have gone on, and whose body is held as long as this lives.
///
/// ```
/// # use attache::prelude::*;
/// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
/// let mut sent = next.run(request).await?.send_to_rewrite()?;
/// if let Collected::Whole(whole) = sent.collect(64 * 1024).await? {
///     let upper = whole.bytes().to_ascii_uppercase();
///     whole.replace(upper)?;
/// }
/// Ok(sent.finish())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the body is held until this is dropped"]
pub struct SentResponse<M: Mode = Streaming, K = Reading> {
    link: Handle,
    body: Incoming<K>,
    mode: PhantomData<fn() -> M>,
}

impl<M: Mode, K> SentResponse<M, K> {
    /// Waits until the body is there, up to `limit` bytes of it. See [`Incoming::collect`].
    pub fn collect(&mut self, limit: usize) -> Collect<'_, K> {
        self.body.collect(limit)
    }

    /// Lets the body go on and wakes at the end of the stream. See [`Response::complete`].
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(request: Request, next: Next) -> Result<Response, Error> {
    /// let mut sent = next.run(request).await?.send()?;
    /// let is_small = matches!(sent.collect(1024).await?, Collected::Whole(_));
    /// let completed = sent.complete().await?;
    /// log::info!("is_small={is_small} duration={:?}", completed.duration());
    /// Ok(completed.into())
    /// # }
    /// ```
    pub fn complete(self) -> Complete {
        Complete::new(Some(self.link), Response::<M>::sent().answer)
    }

    /// Lets the body go on; what `call` returns.
    #[must_use]
    pub fn finish(self) -> Response<M> {
        Response::sent()
    }
}

impl<M: Mode> From<LocalReply> for Response<M> {
    fn from(reply: LocalReply) -> Self {
        Self {
            answer: reply.into(),
            mode: PhantomData,
        }
    }
}

impl From<LocalReply> for Answer {
    fn from(mut reply: LocalReply) -> Self {
        let mut headers = Headers::detached();
        for (name, value) in reply.headers.drain(..) {
            headers.add(&name, value.as_bytes());
        }
        if reply.is_flawed {
            headers.fail();
        }
        Self {
            link: None,
            headers,
            origin: Origin::Local(Box::new(reply)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_a_reply_shows_names_and_sizes_and_no_values() {
        let reply = || {
            LocalReply::new(StatusCode::OK)
                .header("set-cookie", "session=secret")
                .body("a secret")
        };
        let text = format!("{:?}", reply());
        assert!(
            text.contains("set-cookie") && text.contains("8 bytes"),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
        let text = format!("{:?}", Response::<Streaming>::from(reply()).headers());
        assert!(
            text.contains("set-cookie") && !text.contains("secret"),
            "{text}"
        );
        let becomes = crate::Fate::Becomes(http::HeaderValue::from_static("secret"));
        assert_eq!(format!("{becomes:?}"), "Becomes(..)");
    }
}
