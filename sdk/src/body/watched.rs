use crate::response::LocalReply;

/// What a closure that watches a body answers for each piece: nothing, or a [`Result`] whose error ends the stream as
/// [`Piece::refuse`](crate::Piece::refuse) does.
///
/// ```
/// use attache::prelude::*;
///
/// /// Lets bodies through up to a limit, without holding them.
/// struct Limit;
///
/// impl HttpFilter for Limit {
///     # type Config = ();
///     # fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> { Ok(Self) }
///     const PHASES: Phases = Phases::REQUEST.union(Phases::REQUEST_BODY).union(Phases::RESPONSE);
///
///     async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
///         let mut left = 1024 * 1024_usize;
///         request.watch_body(move |piece| {
///             let too_large = || LocalReply::new(StatusCode::PAYLOAD_TOO_LARGE).details("too_large");
///             left = left.checked_sub(piece.len()).ok_or_else(too_large)?;
///             Ok(())
///         });
///         next.run(request).await
///     }
/// }
/// ```
///
/// Sealed: there is nothing else to answer.
pub trait Watched: sealed::Sealed {
    #[doc(hidden)]
    fn refusal(self) -> Option<LocalReply>;
}

mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for () {}

impl Watched for () {
    fn refusal(self) -> Option<LocalReply> {
        None
    }
}

impl sealed::Sealed for Result<(), LocalReply> {}

impl Watched for Result<(), LocalReply> {
    fn refusal(self) -> Option<LocalReply> {
        self.err()
    }
}
