//! Whether a filter may hold headers while it waits for a body.

/// How a filter takes messages: [`Streaming`], unless it implements
/// [`HttpFilter<Holding>`](crate::HttpFilter).
///
/// Sealed: implemented for these two only.
pub trait Mode: sealed::Sealed + 'static {
    #[doc(hidden)]
    const HOLDS: bool;
}

/// A mode in which headers are held while a body is collected: [`Holding`].
#[diagnostic::on_unimplemented(
    message = "a filter in mode `{Self}` does not hold headers while it collects a body",
    label = "the headers would have to be held",
    note = "implement `HttpFilter<Holding>`, or pass the headers on with `send` and collect what that \
            returns"
)]
pub trait Holds: Mode {}

impl Holds for Holding {}

/// Headers go on before the body is looked at, as Envoy does it unless told otherwise.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a mark without values")]
pub enum Streaming {}

/// Headers can be held until the body is known, and changed then.
///
/// The plugin's configuration has to say `allow_on_headers_stop_iteration: true`. Where it does
/// not, Envoy shows no body while the headers are held.
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
