//! Messages, plugins and bodies for unit tests, without a host.
//!
//! A filter's own functions take a [`Request`], a [`Plugin`] or a [`Piece`](crate::Piece): here is how a test has one.
//! What a filter does to a stream is tested with the harness, which answers as Envoy does; here every host call answers
//! [`Status::UNIMPLEMENTED`](crate::Status::UNIMPLEMENTED).
//!
//! Not part of modules: the crate has this on the build machine only.
//!
//! ```
//! use attache::http;
//! use attache::prelude::*;
//! use attache::testing;
//!
//! fn tenant(request: &Request) -> Option<&[u8]> {
//!     match request.headers().all("x-tenant")[..] {
//!         [only] => Some(only),
//!         _ => request.path().as_bytes().strip_prefix(b"/t/"),
//!     }
//! }
//!
//! # fn main() -> Result<(), http::Error> {
//! let request: Request = testing::request(http::Request::get("/t/ada").body(())?);
//! assert_eq!(tenant(&request), Some(&b"ada"[..]));
//! # Ok(())
//! # }
//! ```

use std::rc::Rc;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};

use crate::body::{BodyTransform, request_too_large};
use crate::error::Error;
use crate::filter::{AnyFilter, FailureMode, Task};
use crate::flow::{Gate, Rewriter, Step};
use crate::headers::Headers;
use crate::host::Direction;
use crate::mode::Mode;
use crate::next::Link;
use crate::phases::Phases;
use crate::plugin::Plugin;
use crate::request::Request;
use crate::stream::{Handle, Stream};

/// A request as a client sends it. One that says `content-length` or `transfer-encoding` has a body to come.
///
/// What `http` cannot say is not tried by it: it cuts a `#` and what is behind off a target, has one host only, and refuses
/// bytes that Envoy lets through. Decisions on such requests are tested by suites, where a request is bytes.
///
/// ```
/// use attache::http;
/// use attache::prelude::*;
/// use attache::testing;
///
/// fn may_be_cached(request: &Request) -> bool {
///     request.method() == b"GET" && request.ends_with_headers() && !request.headers().contains(COOKIE)
/// }
///
/// # fn main() -> Result<(), http::Error> {
/// let public = http::Request::get("https://example.com/a?b=c").header(ACCEPT, "text/html");
/// assert!(may_be_cached(&testing::request(public.body(())?)));
/// let own = http::Request::get("/a").header(COOKIE, "session=x");
/// assert!(!may_be_cached(&testing::request(own.body(())?)));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn request<M: Mode>(message: http::Request<()>) -> Request<M> {
    let (parts, ()) = message.into_parts();
    let is_tunnel = parts.method == http::Method::CONNECT;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let scheme = parts.uri.scheme_str().unwrap_or("http");
    let authority = match parts.uri.authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => parts.headers.get(HOST).map_or(&b""[..], |it| it.as_bytes()),
    };
    let pseudo = [
        (&b":authority"[..], authority),
        (b":path", path.as_bytes()),
        (b":method", parts.method.as_str().as_bytes()),
        (b":scheme", scheme.as_bytes()),
    ];
    // A tunnel has neither.
    let has = |name: &[u8]| !is_tunnel || !matches!(name, b":path" | b":scheme");
    let pseudo = pseudo.into_iter().filter(|(name, _)| has(name));
    let fields = parts.headers.iter().filter(|(name, _)| *name != HOST);
    let fields = fields.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let headers: Headers = pseudo.chain(fields).collect();
    let has_body = [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| {
        let mut values = parts.headers.get_all(name).iter();
        values.any(|value| value != "0")
    });
    let handle = Handle::of(Stream::new(0, 0, Rc::new(Nobody)));
    let flow = handle.flow(Direction::Request);
    flow.headers_came(Gate::Held, !has_body);
    Request::with_headers(handle, headers)
}

/// A plugin of this root id, to configure a filter with. What asks the host, such as
/// [`counter`](Plugin::counter), is refused.
///
/// ```
/// use attache::prelude::*;
/// use attache::testing;
///
/// struct Limit(usize);
///
/// impl Limit {
///     fn new(limit: usize, plugin: &Plugin) -> Result<Self, ConfigError> {
///         if limit == 0 && plugin.root_id() == "strict" {
///             return Err(ConfigError::at("/limit", "lets nothing through"));
///         }
///         Ok(Self(limit))
///     }
/// }
///
/// assert!(Limit::new(0, &testing::plugin("strict")).is_err());
/// assert!(Limit::new(0, &testing::plugin("lenient")).is_ok_and(|limit| limit.0 == 0));
/// ```
#[must_use]
pub fn plugin(root_id: &str) -> Plugin {
    Plugin::new(root_id.to_owned())
}

/// What a transform makes of a body that comes in these pieces. The body ends with the last of them; an empty one behind
/// the others is a body whose end comes by itself, as it does over HTTP/2 and in chunks. Trailers are not shown.
///
/// ```
/// use attache::prelude::*;
/// use attache::testing;
///
/// /// Takes carriage returns out.
/// fn unix(piece: &mut Piece<'_>) {
///     while let Some(at) = piece.rest().iter().position(|&byte| byte == b'\r') {
///         piece.keep(at);
///         piece.skip(1);
///     }
///     piece.keep(usize::MAX);
/// }
///
/// # fn main() -> Result<(), Error> {
/// let body = b"a\r\nb\r\n";
/// // Wherever the network cuts it.
/// for at in 0..body.len() {
///     let (first, second) = body.split_at(at);
///     assert_eq!(testing::map_body(unix, [first, second])?, b"a\nb\n");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// That of the transform, and one with the status where it [refuses](crate::Piece::refuse) the body or leaves more than
/// its [`hold_limit`](BodyTransform::hold_limit): 413, as of a request.
pub fn map_body<P: AsRef<[u8]>>(
    transform: impl BodyTransform,
    pieces: impl IntoIterator<Item = P>,
) -> Result<Vec<u8>, Error> {
    let mut rewriter = Rewriter::new(Box::new(transform), Some(request_too_large));
    let (mut held, mut gone) = (Vec::new(), Vec::new());
    let mut show = |came: &[u8], is_last| -> Result<(), Error> {
        let seen = rewriter.seen();
        held.extend_from_slice(came);
        let news = held.get(seen..).unwrap_or_default().to_vec();
        match rewriter.step(news, held.len(), is_last)? {
            Step::Wait => return Ok(()),
            Step::Refuse => {
                let ending = rewriter.take_ending();
                let status = ending.map_or(0, |ending| ending.reply().status.as_u16());
                return Err(Error::filter(format!("the body is refused: {status}")));
            }
            Step::Pass => gone.append(&mut held),
            Step::Replace(body) => gone.extend(body),
        }
        held.clear();
        rewriter.written();
        Ok(())
    };
    // The end comes with the last piece, as it mostly does.
    let mut pieces = pieces.into_iter().peekable();
    if pieces.peek().is_none() {
        show(b"", true)?;
    }
    while let Some(piece) = pieces.next() {
        show(piece.as_ref(), pieces.peek().is_none())?;
    }
    Ok(gone)
}

/// Whom the streams of such requests belong to.
struct Nobody;

impl AnyFilter for Nobody {
    fn start(self: Rc<Self>, _link: Handle) -> Task {
        Box::pin(std::future::pending())
    }

    fn complete(&self, _link: &Link) {}

    fn failure_mode(&self) -> FailureMode {
        FailureMode::Deny
    }

    fn phases(&self) -> Phases {
        Phases::ALL
    }

    fn root_id(&self) -> &'static str {
        "nobody"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalReply;
    use crate::body::Piece;

    #[test]
    fn a_request_is_what_the_message_says() {
        let message = http::Request::post("https://a.example:8443/x?y=%20")
            .header("X-A", "1")
            .header("x-a", "2")
            .header("content-length", "4")
            .body(())
            .unwrap();
        let mut request: Request = request(message);
        assert_eq!(request.method(), b"POST");
        assert_eq!(request.path().as_bytes(), b"/x?y=%20");
        assert_eq!(request.authority(), b"a.example:8443");
        assert_eq!(request.scheme(), b"https");
        assert!(!request.ends_with_headers());
        request.headers_mut().insert("x-b", 3);
        let names: Vec<&[u8]> = request.headers().iter().map(|(name, _)| name).collect();
        assert_eq!(names, [&b"x-a"[..], b"x-a", b"content-length", b"x-b"]);
        assert_eq!(request.headers().all("x-a"), [b"1", b"2"]);
    }

    #[test]
    fn a_request_may_say_its_host_by_a_header() {
        let message = http::Request::get("/").header("host", "a.example");
        let request: Request = request(message.body(()).unwrap());
        assert_eq!(request.authority(), b"a.example");
        assert!(request.ends_with_headers());
        assert!(!request.headers().contains("x-a"));
    }

    #[test]
    fn what_a_transform_holds_back_comes_again() {
        let words = |piece: &mut Piece<'_>| {
            while let Some(at) = piece.rest().iter().position(|&byte| byte == b' ') {
                piece.keep(at + 1);
                piece.write(b"<");
            }
        };
        assert_eq!(
            map_body(words, ["ab", "c d", "", "e f"]).unwrap(),
            b"abc <de <f"
        );
        let none: [&str; 0] = [];
        assert_eq!(map_body(words, none).unwrap(), b"");
        let large = "x".repeat(70_000);
        assert!(map_body(words, [&*large, ""]).is_err());
        // Nothing has to be held of what comes with the end.
        assert_eq!(map_body(words, [&*large]).unwrap(), large.as_bytes());
        let last = |piece: &mut Piece<'_>| {
            piece.keep(usize::MAX);
            if piece.is_last() {
                piece.write(b"]");
            }
        };
        assert_eq!(map_body(last, ["[1", ",2"]).unwrap(), b"[1,2]");
    }

    #[test]
    fn a_refused_body_is_an_error_with_its_status() {
        let refuses = |piece: &mut Piece<'_>| {
            piece.refuse(LocalReply::new(http::StatusCode::FORBIDDEN));
        };
        let error = map_body(refuses, ["a"]).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "the body is refused: 403");
    }

    #[test]
    fn what_is_drained_beyond_the_limit_is_not_lost() {
        let halves = |piece: &mut Piece<'_>| {
            let half = piece.rest().len() / 2;
            piece.keep(half);
            piece.write(b"");
        };
        let body = vec![b'x'; 100_000];
        let made = map_body(halves, body.chunks(40_000)).unwrap();
        assert_eq!(made, body);
    }
}
