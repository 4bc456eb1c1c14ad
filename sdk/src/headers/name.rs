use http::HeaderName;

use crate::setting;

/// The name of a header, to find or remove it: a [`HeaderName`], one of the configuration
/// ([`setting::HeaderName`]), text or bytes in any case.
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
    /// assert!(!is_own(attache::http::header::VIA));
    /// ```
    fn as_bytes(&self) -> &[u8];
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! field_names {
    ($($name:ty => |$value:ident| $bytes:expr),+ $(,)?) => {
        $(
            impl sealed::Sealed for $name {}
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
    HeaderName => |name| name.as_str().as_bytes(),
    &HeaderName => |name| name.as_str().as_bytes(),
    &setting::HeaderName => |name| name.as_str().as_bytes(),
    &str => |name| str::as_bytes(name),
    &[u8] => |name| name,
}
