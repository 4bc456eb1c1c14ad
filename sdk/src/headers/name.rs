use http::HeaderName;

use crate::content_type;
use crate::setting;

/// The name of a header: a [`HeaderName`], one of the configuration ([`setting::HeaderName`]), text or bytes
/// in any case.
///
/// Any text can be looked for. To write one that is no token (RFC 9110, 5.6.2) is a fault of the filter's, which
/// shows where the message is passed on; a reply of the filter's own goes without it. Envoy makes lower case of it.
///
/// Sealed: implemented for these only.
///
/// ```
/// use attache::prelude::*;
///
/// fn is_there(request: &Request, configured: &setting::HeaderName) -> bool {
///     let headers = request.headers();
///     headers.contains(VIA)
///         && headers.contains("X-Any-Case")
///         && headers.contains(&b"x-bytes"[..])
///         && headers.contains(configured)
/// }
/// ```
pub trait FieldName: sealed::Sealed {
    /// The name's bytes.
    ///
    /// ```
    /// use attache::FieldName;
    ///
    /// /// Whether a header is one of the proxy's own.
    /// fn is_own(name: impl FieldName) -> bool {
    ///     name.as_bytes().starts_with(b"x-envoy-")
    /// }
    ///
    /// assert!(is_own("x-envoy-attempt-count"));
    /// assert!(is_own(&String::from("x-envoy-internal")));
    /// assert!(!is_own(attache::http::header::VIA));
    /// ```
    fn as_bytes(&self) -> &[u8];
}

mod sealed {
    pub trait Sealed {
        /// Whether its type says that it is a token.
        const IS_TOKEN: bool;
    }
}

/// Whether this can be the name of a field: a token (RFC 9110, 5.6.2).
pub(crate) fn is_token<N: FieldName>(name: &N) -> bool {
    N::IS_TOKEN || content_type::is_token(name.as_bytes())
}

macro_rules! field_names {
    ($($name:ty: $is_token:literal => |$value:ident| $bytes:expr),+ $(,)?) => {
        $(
            impl sealed::Sealed for $name {
                const IS_TOKEN: bool = $is_token;
            }
            impl FieldName for $name {
                fn as_bytes(&self) -> &[u8] {
                    let $value = self;
                    $bytes
                }
            }
        )+
    };
}

field_names! {
    HeaderName: true => |name| name.as_str().as_bytes(),
    &HeaderName: true => |name| name.as_str().as_bytes(),
    setting::HeaderName: true => |name| name.as_str().as_bytes(),
    &setting::HeaderName: true => |name| name.as_str().as_bytes(),
    &str: false => |name| str::as_bytes(name),
    &String: false => |name| str::as_bytes(name),
    &[u8]: false => |name| name,
}
