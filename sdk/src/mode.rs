//! Whether a filter may hold headers while it waits for a body.

/// How a filter takes messages: [`Streaming`], unless it implements
/// [`HttpFilter<Holding>`](crate::HttpFilter).
///
/// Sealed: implemented for these two only.
///
/// ```
/// use attache::prelude::*;
/// use attache::Mode;
///
/// /// For filters that hold headers, and for those that do not.
/// fn denied<M: Mode>() -> Response<M> {
///     Response::local(StatusCode::FORBIDDEN, "denied\n")
/// }
/// ```
pub trait Mode: sealed::Sealed + 'static {
    #[doc(hidden)]
    const HOLDS: bool;
}

/// A mode in which headers are held while a body is collected: [`Holding`].
///
/// ```
/// use attache::prelude::*;
/// use attache::Holds;
///
/// async fn is_small<M: Holds>(request: &mut Request<M>) -> Result<bool, Error> {
///     Ok(matches!(request.collect(1024).await?, Collected::Whole(_)))
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "a filter in mode `{Self}` does not hold headers while it collects a body",
    label = "the headers would have to be held",
    note = "implement `HttpFilter<Holding>`, or pass the headers on with `send` and collect what that \
            returns"
)]
pub trait Holds: Mode {}

impl Holds for Holding {}

/// Headers go on before the body is looked at, as Envoy does it unless told otherwise.
///
/// ```
/// use attache::prelude::*;
///
/// /// The same as `Request`.
/// fn path(request: &Request<Streaming>) -> &[u8] {
///     request.path().as_bytes()
/// }
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a mark without values")]
pub enum Streaming {}

/// Headers can be held until the body is known, and changed then.
///
/// The plugin's configuration has to say `allow_on_headers_stop_iteration: true`. Where it does
/// not, Envoy shows no body while the headers are held, and a module cannot read the option.
///
/// # The watchdog
///
/// So that nothing waits for ever, a message whose headers are held for five seconds without a look
/// at its body is taken for a sign that the option is missing. That is an [`Error`](crate::Error)
/// whose log line names the option, and meets the filter's [`FailureMode`](crate::FailureMode). Once
/// a plugin has seen a body behind held headers, in that worker, the option is known to be set, and
/// it waits as long as Envoy does.
///
/// **With [`FailureMode::Allow`](crate::FailureMode::Allow) this lets a request through unjudged.**
/// Until that first body has come, after each start and in each worker, a client that sends its
/// headers and delays its body for longer than the five seconds looks the same as a missing option.
/// A filter that decides who may pass keeps [`FailureMode::Deny`](crate::FailureMode::Deny), which
/// answers such a client with 503.
///
/// ```
/// use attache::prelude::*;
///
/// struct Small;
///
/// impl HttpFilter<Holding> for Small {
///     type Config = ();
///
///     fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
///         Ok(Self)
///     }
///
///     async fn call(
///         &self,
///         mut request: Request<Holding>,
///         next: Next<Holding>,
///     ) -> Result<Response<Holding>, Error> {
///         match request.collect(1024).await? {
///             Collected::TooLarge => {
///                 Ok(Response::local(StatusCode::PAYLOAD_TOO_LARGE, "too large\n"))
///             }
///             _ => next.run(request).await,
///         }
///     }
/// }
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a mark without values")]
pub enum Holding {}

impl Mode for Streaming {
    const HOLDS: bool = false;
}

impl Mode for Holding {
    const HOLDS: bool = true;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Streaming {}
    impl Sealed for super::Holding {}
}
