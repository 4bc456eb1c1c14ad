use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use http::Method;

use crate::body::{self, BodyTransform, Collect, Rewriting, Watched};
use crate::error::Error;
use crate::flow::Flow;
use crate::headers::Headers;
use crate::host::{Direction, Map};
use crate::mode::{Holds, Mode, Streaming};
use crate::stream::Handle;

mod pairs;

/// A request on its way to the upstream: its headers, and whether a body follows.
///
/// Changes reach the host when the request is passed on with [`Next`](crate::Next); until then,
/// and when the filter fails in [`FailureMode::Allow`](crate::FailureMode::Allow), the request is
/// as the client sent it.
///
/// ```
/// # use attache::prelude::*;
/// # async fn call(mut request: Request, next: Next) -> Result<Response, Error> {
/// if request.method() != b"GET" || !request.ends_with_headers() {
///     return Ok(Response::local(StatusCode::METHOD_NOT_ALLOWED, "only GET\n"));
/// }
/// request.headers_mut().insert(ACCEPT, "text/html");
/// next.run(request).await
/// # }
/// ```
#[derive(Debug)]
pub struct Request<M: Mode = Streaming> {
    link: Handle,
    headers: Headers,
    mode: PhantomData<fn() -> M>,
}

impl<M: Mode> Request<M> {
    pub(crate) fn new(link: Handle) -> Self {
        let headers = Headers::new(Map::RequestHeaders, link.stream());
        Self::with_headers(link, headers)
    }

    pub(crate) fn with_headers(link: Handle, headers: Headers) -> Self {
        Self {
            headers,
            link,
            mode: PhantomData,
        }
    }

    /// The headers.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// fn has_credentials(request: &Request) -> bool {
    ///     request.headers().contains(AUTHORIZATION) || request.headers().contains(COOKIE)
    /// }
    /// ```
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The headers, to change.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(mut request: Request, next: Next) -> Result<Response, Error> {
    /// // A client does not say who it is; the proxy does.
    /// request.headers_mut().insert(FORWARDED, "by=proxy");
    /// next.run(request).await
    /// # }
    /// ```
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// Every value of the cookie `name`, in order, over all headers `cookie`. The name is compared letter for
    /// letter; values are as they came, quotes and all.
    ///
    /// A client may send a cookie twice, and upstreams differ in which one they read: a decision is on all, or on exactly
    /// one. One without `=` has the empty value. That none is found says little: some upstreams take a comma for a
    /// separator, or a `;` in quotes for none. What must not pass with a session looks whether there is `cookie` at all.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// fn session(request: &Request) -> Option<&[u8]> {
    ///     match request.cookies("session")[..] {
    ///         [only] => Some(only),
    ///         _ => None,
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn cookies(&self, name: impl AsRef<[u8]>) -> Vec<&[u8]> {
        pairs::cookies(self.headers.all("cookie"), name.as_ref())
    }

    /// The method (`:method`), such as `GET`; [`http::Method::from_bytes`] makes it a type.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// Whether the request changes nothing (RFC 9110, 9.2.1).
    /// fn is_safe(request: &Request) -> bool {
    ///     Method::from_bytes(request.method()).is_ok_and(|method| method.is_safe())
    /// }
    /// ```
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.headers.pseudo(":method").unwrap_or_default()
    }

    /// Path and query as they came (`:path`). `CONNECT` has none: then it is empty.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// fn is_download(request: &Request) -> bool {
    ///     request.path().without_query().ends_with(b".zip")
    /// }
    /// ```
    #[must_use]
    pub fn path(&self) -> Path<'_> {
        Path(self.headers.pseudo(":path").unwrap_or_default())
    }

    /// The host that the client asked for (`:authority`), with its port if there was one.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// Whether the client asked for this host, on whichever port.
    /// fn is_for(request: &Request, host: &str) -> bool {
    ///     let name = request.authority().split(|&byte| byte == b':').next();
    ///     name.is_some_and(|name| name.eq_ignore_ascii_case(host.as_bytes()))
    /// }
    /// ```
    #[must_use]
    pub fn authority(&self) -> &[u8] {
        self.headers.pseudo(":authority").unwrap_or_default()
    }

    /// `http` or `https` (`:scheme`).
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// fn to_https(request: &Request) -> Option<Response> {
    ///     if request.scheme() == b"https" {
    ///         return None;
    ///     }
    ///     let place = [b"https://", request.authority(), request.path().as_bytes()].concat();
    ///     let place = HeaderValue::from_maybe_shared(place).ok()?;
    ///     Some(LocalReply::new(StatusCode::PERMANENT_REDIRECT).header(LOCATION, place).into())
    /// }
    /// ```
    #[must_use]
    pub fn scheme(&self) -> &[u8] {
        self.headers.pseudo(":scheme").unwrap_or_default()
    }

    /// Whether the request has neither body nor trailers.
    #[must_use]
    pub fn ends_with_headers(&self) -> bool {
        self.flow().is_bodiless()
    }

    /// Sets path and query. Take the bytes of [`Request::path`] and cut them: what was parsed and
    /// printed again is a different path to somebody.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(mut request: Request, next: Next) -> Result<Response, Error> {
    /// // `/v1/users?page=2` becomes `/users?page=2`.
    /// let shorter = request.path().as_bytes().strip_prefix(b"/v1").map(<[u8]>::to_vec);
    /// if shorter.is_some_and(|path| request.set_path(&path).is_err()) {
    ///     return Ok(Response::local(StatusCode::NOT_FOUND, "no such path\n"));
    /// }
    /// next.run(request).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidPath`] for a path with a carriage return, line feed or NUL, which could begin
    /// another header, and for an empty one. The request is unchanged then.
    pub fn set_path(&mut self, path: &[u8]) -> Result<(), InvalidPath> {
        match !path.is_empty() && self.set_line(":path", path) {
            true => Ok(()),
            false => Err(InvalidPath),
        }
    }

    /// Sets the host that the client asked for (`:authority`), by which Envoy then chooses the route.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(mut request: Request, next: Next) -> Result<Response, Error> {
    /// let host = [b"internal.", request.authority()].concat();
    /// if request.set_authority(&host).is_err() {
    ///     return Ok(Response::local(StatusCode::BAD_REQUEST, "no such host\n"));
    /// }
    /// next.run(request).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidAuthority`] for one with a carriage return, line feed or NUL, which could begin another
    /// header. The request is unchanged then.
    pub fn set_authority(&mut self, authority: &[u8]) -> Result<(), InvalidAuthority> {
        match self.set_line(":authority", authority) {
            true => Ok(()),
            false => Err(InvalidAuthority),
        }
    }

    /// Sets the method, by which Envoy then chooses the route.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(mut request: Request, next: Next) -> Result<Response, Error> {
    /// // A form can only POST.
    /// let wants_put = request.headers().all("x-http-method-override") == [b"PUT"];
    /// if wants_put && request.method() == b"POST" && request.set_method(&Method::PUT).is_err() {
    ///     return Ok(Response::local(StatusCode::BAD_REQUEST, "no such method\n"));
    /// }
    /// next.run(request).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidMethod`] where it would change what the messages are made of: to or from `HEAD` and `CONNECT`.
    /// The request is unchanged then.
    pub fn set_method(&mut self, method: &Method) -> Result<(), InvalidMethod> {
        let own = self.method();
        if own == method.as_str().as_bytes() {
            return Ok(());
        }
        let other_messages = [&b"CONNECT"[..], b"HEAD"];
        if other_messages.contains(&own) || other_messages.contains(&method.as_str().as_bytes()) {
            return Err(InvalidMethod);
        }
        self.headers
            .set_pseudo(":method", method.as_str().as_bytes());
        Ok(())
    }

    /// Sets a pseudo header; false where the value would not stay one line.
    #[inline(never)]
    fn set_line(&mut self, name: &str, value: &[u8]) -> bool {
        let is_line = !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        if is_line {
            self.headers.set_pseudo(name, value);
        }
        is_line
    }

    /// Changes the body while it passes. The request goes on without `content-length`, in chunks
    /// over HTTP/1.1. Needs [`Phases::REQUEST_BODY`](crate::Phases::REQUEST_BODY).
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # use attache::Piece;
    /// # async fn call(mut request: Request, next: Next) -> Result<Response, Error> {
    /// request.map_body(|piece: &mut Piece<'_>| {
    ///     let upper = piece.rest().to_ascii_uppercase();
    ///     piece.skip(usize::MAX);
    ///     piece.write(&upper);
    /// });
    /// next.run(request).await
    /// # }
    /// ```
    pub fn map_body(&mut self, transform: impl BodyTransform) {
        self.forget_length();
        body::map_body(&self.link, Direction::Request, transform);
    }

    /// Looks at the body while it passes, in pieces as the network has cut it. The headers stay as they
    /// are. Needs [`Phases::REQUEST_BODY`](crate::Phases::REQUEST_BODY), and takes the place of
    /// [`map_body`](Self::map_body). What the closure answers may end the stream; see [`Watched`].
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(mut request: Request, next: Next) -> Result<Response, Error> {
    /// let mut size = 0;
    /// request.watch_body(move |piece| {
    ///     size += piece.len();
    ///     attache::log::debug!("{size} bytes so far");
    /// });
    /// next.run(request).await
    /// # }
    /// ```
    pub fn watch_body<W: Watched>(&mut self, look: impl FnMut(&[u8]) -> W + 'static) {
        body::watch_body(&self.link, Direction::Request, look);
    }

    /// Leaves a value for the stream's end, where
    /// [`on_complete`](crate::HttpFilter::on_complete) finds it with
    /// [`Completed::kept`](crate::Completed::kept), be the future alive then or not. It takes the place
    /// of one that was left before.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # use attache::Completed;
    /// struct Tier(u8);
    ///
    /// # struct Filter;
    /// # impl Filter {
    /// async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
    ///     request.keep(Tier(u8::from(request.headers().contains("x-paid"))));
    ///     next.forward(request)
    /// }
    ///
    /// fn on_complete(&self, stream: &Completed) {
    ///     let tier = stream.kept::<Tier>().map_or(0, |tier| tier.0);
    ///     attache::log::info!("tier={tier} status={:?}", stream.status());
    /// }
    /// # }
    /// ```
    pub fn keep<T: 'static>(&self, value: T) {
        self.link.keep(Rc::new(value));
    }

    /// Changes the trailers, where the request has some. Needs [`Phases::REQUEST_TRAILERS`](crate::Phases::REQUEST_TRAILERS).
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(mut request: Request, next: Next) -> Result<Response, Error> {
    /// request.map_trailers(|trailers| trailers.remove("x-internal"));
    /// next.run(request).await
    /// # }
    /// ```
    pub fn map_trailers(&mut self, change: impl FnOnce(&mut Headers) + 'static) {
        body::map_trailers(&self.link, Direction::Request, change);
    }

    /// The body's length will not be what the client said.
    pub(crate) fn forget_length(&mut self) {
        if !self.ends_with_headers() {
            self.headers.remove("content-length");
        }
    }

    pub(crate) fn commit(&mut self) -> Result<(), Error> {
        let flow = self.link.flow(Direction::Request);
        flow.prepare(&mut self.headers)?;
        flow.commit(&mut self.headers)
    }

    /// Waits until the body is there, up to `limit` bytes of it, while the headers are held too and
    /// may still be changed. Needs [`Phases::REQUEST_BODY`](crate::Phases::REQUEST_BODY).
    ///
    /// Keep `limit` below the listener's `per_connection_buffer_limit_bytes` (1 MiB unless set),
    /// beyond which Envoy answers 413 by itself.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # use attache::Collected;
    /// # async fn call(mut request: Request<Holding>, next: Next<Holding>) -> Result<Response<Holding>, Error> {
    /// let Collected::Whole(whole) = request.collect(64 * 1024).await? else {
    ///     return Ok(Response::local(StatusCode::PAYLOAD_TOO_LARGE, "too large\n"));
    /// };
    /// let size = HeaderValue::from(whole.bytes().len());
    /// request.headers_mut().insert("x-size", size);
    /// next.run(request).await
    /// # }
    /// ```
    pub fn collect(&mut self, limit: usize) -> Collect<'_, Rewriting>
    where
        M: Holds,
    {
        // A tunnel has no end that could be waited for; what ends with its headers is none.
        let may_be_tunnel = !self.ends_with_headers();
        if may_be_tunnel && (self.method() == b"CONNECT" || self.headers.contains("upgrade")) {
            self.flow().set_endless();
        }
        Collect::new(Some(self.link.clone()), Direction::Request, limit).watched()
    }

    fn flow(&self) -> &Flow {
        self.link.flow(Direction::Request)
    }
}

/// Path and query of a request, as the bytes on the wire.
///
/// ```
/// use attache::prelude::*;
///
/// /// Whether the path, without its query, is below `/api`, and the query has no token.
/// fn is_api(request: &Request) -> bool {
///     let path = request.path();
///     path.without_query().starts_with(b"/api/")
///         && !path.query().is_some_and(|query| query.starts_with(b"token="))
/// }
/// ```
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Path<'a>(&'a [u8]);

impl<'a> Path<'a> {
    /// Everything.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// A key for a cache: query and all.
    /// fn key(request: &Request) -> Vec<u8> {
    ///     [request.authority(), request.path().as_bytes()].concat()
    /// }
    /// ```
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Up to the first `?`.
    #[must_use]
    pub fn without_query(self) -> &'a [u8] {
        self.0
            .split(|&byte| byte == b'?')
            .next()
            .unwrap_or_default()
    }

    /// What follows the first `?`; `None` without one.
    #[must_use]
    pub fn query(self) -> Option<&'a [u8]> {
        let mark = self.0.iter().position(|&byte| byte == b'?')?;
        self.0.get(mark + 1..)
    }

    /// Every value of the parameter `name` in the query, in order, decoded as a form's: `%2B` is `+`, and `+` a
    /// blank. A parameter without `=` has the empty value.
    ///
    /// To read only: what is decoded and written back is another query to somebody.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// The page that is asked for; the first one unless it is said just once.
    /// fn page(request: &Request) -> u32 {
    ///     match &request.path().parameters("page")[..] {
    ///         [page] => str::from_utf8(page).ok().and_then(|page| page.parse().ok()).unwrap_or(1),
    ///         _ => 1,
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn parameters(self, name: impl AsRef<[u8]>) -> Vec<Cow<'a, [u8]>> {
        pairs::parameters(self.query(), name.as_ref())
    }
}

impl AsRef<[u8]> for Path<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

/// The path without its query, which may hold a secret.
impl fmt::Debug for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.without_query().escape_ascii())
    }
}

/// A path that would not stay one line of a request.
///
/// ```
/// # use attache::prelude::*;
/// # async fn call(mut request: Request, next: Next) -> Result<Response, Error> {
/// let path = [b"/v2", request.path().as_bytes()].concat();
/// if request.set_path(&path).is_err() {
///     return Ok(Response::local(StatusCode::BAD_REQUEST, "no such path\n"));
/// }
/// next.run(request).await
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidPath;

impl fmt::Display for InvalidPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("path is empty or has a carriage return, line feed or NUL")
    }
}

impl std::error::Error for InvalidPath {}

/// A host that would not stay one line of a request.
///
/// ```
/// # use attache::prelude::*;
/// # use attache::InvalidAuthority;
/// fn to_canary(request: &mut Request) -> Result<(), InvalidAuthority> {
///     request.set_authority(b"canary.example.com")
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidAuthority;

impl fmt::Display for InvalidAuthority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("host has a carriage return, line feed or NUL")
    }
}

impl std::error::Error for InvalidAuthority {}

/// A method that a request cannot be given, since its messages would be made otherwise.
///
/// ```
/// # use attache::prelude::*;
/// # use attache::InvalidMethod;
/// fn to_post(request: &mut Request) -> Result<(), InvalidMethod> {
///     request.set_method(&Method::POST)
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidMethod;

impl fmt::Display for InvalidMethod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .write_str("HEAD and CONNECT cannot become another method, nor another one of them")
    }
}

impl std::error::Error for InvalidMethod {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phases::Phases;

    #[test]
    fn a_path_is_cut_at_its_first_question_mark() {
        let path = Path(b"/a%2Fb?x=1?y#z");
        assert_eq!(path.without_query(), b"/a%2Fb");
        assert_eq!(path.query(), Some(&b"x=1?y#z"[..]));
        assert_eq!(Path(b"/a?").query(), Some(&b""[..]));
        assert_eq!(Path(b"*").query(), None);
        assert_eq!(Path(b"").without_query(), b"");
    }

    #[test]
    fn printing_a_path_leaves_out_its_query() {
        assert_eq!(format!("{:?}", Path(b"/a?token=secret")), "/a");
    }

    #[test]
    fn a_path_that_would_break_the_line_is_refused() {
        let mut request: Request = Request::new(Handle::alone(1, Phases::ALL));
        for path in [&b""[..], b"/a\r\nx: y", b"/a\0"] {
            assert_eq!(request.set_path(path), Err(InvalidPath));
        }
    }
}
