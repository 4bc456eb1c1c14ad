use http::{HeaderName, HeaderValue};

use crate::setting;

/// The value of a header that is written: a [`HeaderValue`], one of the configuration
/// ([`setting::HeaderValue`]), a number, a name, or text that stands in the filter's source.
///
/// Text with a line break or another control but the tab is a fault of the filter's, as a name that is no token
/// ([`FieldName`](crate::FieldName)). What is only known later may hold anything, so it is a [`HeaderValue`] first, by
/// [`HeaderValue::from_str`] or [`HeaderValue::from_bytes`], and who wrote it is answered where that fails.
///
/// Sealed: implemented for these only.
///
/// ```
/// use attache::prelude::*;
///
/// fn harden(response: &mut Response, via: &setting::HeaderValue, shard: u32) {
///     let headers = response.headers_mut();
///     headers.insert(X_FRAME_OPTIONS, "DENY");
///     headers.insert("x-shard", shard);
///     headers.append(VIA, via);
/// }
///
/// /// What a client sends, and the way back.
/// fn echo(request: &Request) -> Response {
///     let [asked] = request.headers().all("x-ask")[..] else {
///         return Response::local(StatusCode::BAD_REQUEST, "ask once\n");
///     };
///     match HeaderValue::from_bytes(asked) {
///         Ok(asked) => LocalReply::new(StatusCode::OK).header("x-asked", asked).into(),
///         Err(_) => Response::local(StatusCode::BAD_REQUEST, "ask in plain words\n"),
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` may hold what is no value of a header",
    label = "not a value of a header yet",
    note = "make it a `HeaderValue` by `HeaderValue::try_from`, and answer whoever wrote it where that fails"
)]
pub trait FieldValue: sealed::Sealed {}

pub(crate) mod sealed {
    use http::HeaderValue;

    pub trait Sealed {
        /// `None` for text that cannot be a value.
        fn into_value(self) -> Option<HeaderValue>;
    }
}

macro_rules! field_values {
    ($($value:ty),+ $(,)?) => {
        $(
            impl FieldValue for $value {}
            impl sealed::Sealed for $value {
                #[inline]
                fn into_value(self) -> Option<HeaderValue> {
                    Some(self.into())
                }
            }
        )+
    };
}

field_values! {
    HeaderValue, &HeaderValue, HeaderName, setting::HeaderValue, &setting::HeaderValue,
    u16, u32, u64, usize, i16, i32, i64, isize,
}

impl FieldValue for &'static str {}

impl sealed::Sealed for &'static str {
    fn into_value(self) -> Option<HeaderValue> {
        HeaderValue::from_str(self).ok()
    }
}
