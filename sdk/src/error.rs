use std::fmt;

use crate::config::ConfigError;
use crate::properties::Misfit;
use crate::status::HostError;

/// A fault that is nobody's request: the host refused a call, or the filter did what it had not
/// declared.
///
/// What becomes of the stream is the filter's [`FailureMode`](crate::FailureMode). Client input
/// never becomes an `Error`: answer it with a [`Response::local`](crate::Response::local).
///
/// ```
/// use attache::Error;
///
/// fn port(text: &str) -> Result<u16, Error> {
///     text.parse().map_err(Error::filter)
/// }
///
/// assert!(port("http").is_err());
/// ```
// A pointer: a result that is `Ok` is moved about with every request, and a fault is rare.
#[derive(Debug)]
pub struct Error(Box<ErrorKind>);

/// What kind of fault an [`Error`] is.
///
/// ```
/// use attache::{Error, ErrorKind};
///
/// /// Whether another service is to blame.
/// fn is_foreign(error: &Error) -> bool {
///     matches!(error.kind(), ErrorKind::CallOut(_))
/// }
///
/// assert!(!is_foreign(&Error::filter("too late")));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A host call did not succeed.
    Host(HostError),
    /// The host handed over bytes that are not what the call promises.
    Garbled {
        /// The call's name in the ABI.
        call: &'static str,
    },
    /// The filter did what it may not do, or what its [`Phases`](crate::Phases) do not declare.
    Misuse {
        /// What it did, and what that needs.
        what: &'static str,
    },
    /// What a route says over the plugin configuration is refused (see [`PerRoute`](crate::PerRoute)).
    Overlay(ConfigError),
    /// A call-out was not made, or not answered: a [`CallError`](crate::cluster::CallError) or the
    /// like.
    CallOut(Box<dyn std::error::Error>),
    /// The filter's own code failed.
    Filter(Box<dyn std::error::Error>),
}

impl Error {
    /// A fault of the filter's own making, with its cause.
    ///
    /// ```
    /// use attache::Error;
    ///
    /// /// Errors are causes, and so are texts.
    /// fn percent(text: &str) -> Result<u8, Error> {
    ///     let number = text.parse().map_err(Error::filter)?;
    ///     match number {
    ///         0..=100 => Ok(number),
    ///         _ => Err(Error::filter("more than all")),
    ///     }
    /// }
    ///
    /// assert!(percent("many").is_err() && percent("101").is_err());
    /// ```
    pub fn filter(cause: impl Into<Box<dyn std::error::Error>>) -> Self {
        Self::of(ErrorKind::Filter(cause.into()))
    }

    pub(crate) fn call_out(cause: impl std::error::Error + 'static) -> Self {
        Self::of(ErrorKind::CallOut(Box::new(cause)))
    }

    pub(crate) fn misuse(what: &'static str) -> Self {
        Self::of(ErrorKind::Misuse { what })
    }

    pub(crate) fn garbled(call: &'static str) -> Self {
        Self::of(ErrorKind::Garbled { call })
    }

    pub(crate) fn overlay(refusal: ConfigError) -> Self {
        Self::of(ErrorKind::Overlay(refusal))
    }

    #[cold]
    fn of(kind: ErrorKind) -> Self {
        Self(Box::new(kind))
    }

    /// Which kind of fault.
    ///
    /// ```
    /// use attache::{Error, ErrorKind, Status};
    ///
    /// /// Whether the host lacks something, such as a capability.
    /// fn is_lacking(error: &Error) -> bool {
    ///     matches!(error.kind(), ErrorKind::Host(refusal) if refusal.status == Status::UNIMPLEMENTED)
    /// }
    ///
    /// // Outside of a proxy each host call answers so.
    /// assert!(is_lacking(&attache::Timestamp::now().unwrap_err()));
    /// assert!(!is_lacking(&Error::filter("too late")));
    /// ```
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }
}

impl From<HostError> for Error {
    fn from(error: HostError) -> Self {
        Self::of(ErrorKind::Host(error))
    }
}

impl From<Misfit> for Error {
    fn from(misfit: Misfit) -> Self {
        Self::filter(misfit)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            ErrorKind::Host(_) => formatter.write_str("a host call failed"),
            ErrorKind::Garbled { call } => {
                write!(formatter, "`{call}` handed over bytes that cannot be read")
            }
            ErrorKind::Misuse { what } => formatter.write_str(what),
            ErrorKind::Overlay(_) => {
                formatter.write_str("what the route says over the plugin configuration is refused")
            }
            ErrorKind::CallOut(_) => formatter.write_str("a call-out failed"),
            ErrorKind::Filter(_) => formatter.write_str("the filter failed"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.kind() {
            ErrorKind::Host(error) => Some(error),
            ErrorKind::Overlay(refusal) => Some(refusal),
            ErrorKind::CallOut(cause) | ErrorKind::Filter(cause) => Some(cause.as_ref()),
            ErrorKind::Garbled { .. } | ErrorKind::Misuse { .. } => None,
        }
    }
}

/// An error with its causes, on one line.
pub(crate) struct Chain<'a>(pub(crate) &'a Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut cause = std::error::Error::source(self.0);
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
