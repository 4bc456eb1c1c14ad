//! Values that are kept with a stream or a connection, by filters and by Envoy itself.
//!
//! ```
//! use attache::filter_state::FilterState;
//! use attache::prelude::*;
//!
//! /// Who the client is, as a filter before this one has found out.
//! const SUBJECT: FilterState<String> = FilterState::new("acme.subject");
//!
//! async fn call(request: Request, next: Next) -> Result<Response, Error> {
//!     match SUBJECT.get()? {
//!         Some(_) => next.run(request).await,
//!         None => Ok(Response::local(StatusCode::UNAUTHORIZED, "who are you?\n")),
//!     }
//! }
//! ```

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use crate::constants::{has, is_same};
use crate::error::Error;
use crate::foreign::Message;
use crate::host;
use crate::host::surroundings::foreign_function;
use crate::plugin::Plugin;
use crate::shared::Value;

/// A value that is kept with the stream: for the filters after this one, in whatever VM, for the access
/// log, and for a later phase of this filter.
///
/// ```
/// use attache::filter_state::FilterState;
/// use attache::prelude::*;
///
/// const TENANT: FilterState<String> = FilterState::new("acme.tenant");
///
/// # struct Filter;
/// # impl Filter {
/// async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
///     TENANT.set(&"blue".to_owned())?;
///     next.run(request).await
/// }
/// # }
/// ```
///
/// An access log shows it by `%FILTER_STATE(wasm.acme.tenant)%`, and expressions by
/// `filter_state['wasm.acme.tenant']`: Envoy puts `wasm.` before the name. The name is one word; dots in
/// it are dots. It is no name that Envoy has for something else, such as `request`, or what is read is
/// that.
///
/// Without a stream, in a service or an access logger, nothing can be kept.
pub struct FilterState<T> {
    name: Cow<'static, str>,
    kind: PhantomData<fn() -> T>,
}

/// The first words of Envoy's own properties: a value that is kept under one of them is never read.
const TAKEN: [&str; 14] = [
    "connection",
    "connection_id",
    "destination",
    "filter_state",
    "metadata",
    "plugin_name",
    "plugin_root_id",
    "plugin_vm_id",
    "request",
    "response",
    "source",
    "upstream",
    "upstream_filter_state",
    "xds",
];

impl<T> FilterState<T> {
    /// A value of this name.
    ///
    /// # Panics
    ///
    /// While compiling, when the name is empty, has a NUL in it, or is one of Envoy's own. Outside a
    /// constant it panics when it runs.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(
            is_free(name.as_bytes()),
            "the name is empty, has a NUL, or is Envoy's own"
        );
        Self {
            name: Cow::Borrowed(name),
            kind: PhantomData,
        }
    }

    /// A value whose name is known only when it runs, such as one of the configuration.
    ///
    /// ```
    /// use attache::filter_state::FilterState;
    ///
    /// let state = FilterState::<String>::named("acme.tenant")?;
    /// assert_eq!(state.name(), "acme.tenant");
    /// // Envoy has something else under this one.
    /// assert!(FilterState::<String>::named("request").is_err());
    /// # Ok::<(), attache::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] for a name that [`new`](Self::new) would not compile with.
    pub fn named(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        if !is_free(name.as_bytes()) {
            return Err(Error::misuse(
                "the name of a filter state is empty, has a NUL, or is Envoy's own",
            ));
        }
        Ok(Self {
            name: Cow::Owned(name),
            kind: PhantomData,
        })
    }

    /// The name, without the `wasm.` that Envoy puts before it.
    ///
    /// ```
    /// use attache::filter_state::FilterState;
    ///
    /// const TENANT: FilterState<String> = FilterState::new("acme.tenant");
    ///
    /// /// For the format of an access log.
    /// fn operator<T>(state: &FilterState<T>) -> String {
    ///     format!("%FILTER_STATE(wasm.{})%", state.name())
    /// }
    ///
    /// assert_eq!(operator(&TENANT), "%FILTER_STATE(wasm.acme.tenant)%");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<T: Value> FilterState<T> {
    /// Keeps a value, in place of the one before. One host call.
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses: with [`Status::NOT_FOUND`](crate::Status::NOT_FOUND) where there is no stream, and with
    /// [`Status::BAD_ARGUMENT`](crate::Status::BAD_ARGUMENT) for a second value of what was declared [`read_only`](Declaration::read_only)
    /// or one that is not of the declared kind.
    pub fn set(&self, value: &T) -> Result<(), Error> {
        host::set_property(self.name.as_bytes(), &value.encode())?;
        Ok(())
    }

    /// The value, whichever filter kept it; `None` when none has. One host call.
    ///
    /// ```
    /// use attache::filter_state::FilterState;
    /// use attache::prelude::*;
    ///
    /// const ATTEMPTS: FilterState<u64> = FilterState::new("acme.attempts");
    ///
    /// /// Counts how often a request has come through, internal redirects among them.
    /// fn count() -> Result<u64, Error> {
    ///     let attempts = ATTEMPTS.get()?.unwrap_or(0) + 1;
    ///     ATTEMPTS.set(&attempts)?;
    ///     Ok(attempts)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses, and when the bytes that are there are no `T`.
    pub fn get(&self) -> Result<Option<T>, Error> {
        let Some(bytes) = host::property_at(self.name.as_bytes())? else {
            return Ok(None);
        };
        match T::decode(bytes) {
            Some(value) => Ok(Some(value)),
            None => Err(Error::garbled("proxy_get_property")),
        }
    }
}

impl<T> FilterState<T> {
    /// Says how the values of this name are kept from now on, for streams of this plugin. This is for
    /// `configure`; what nobody declared is bytes, kept for the stream, and may be set again and again.
    ///
    /// ```
    /// use attache::filter_state::{Declaration, FilterState};
    /// # use attache::{ConfigError, Plugin};
    ///
    /// const TENANT: FilterState<String> = FilterState::new("acme.tenant");
    ///
    /// # fn configure(plugin: &Plugin) -> Result<(), ConfigError> {
    /// TENANT.declare(plugin, Declaration::text().read_only())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses: with [`Status::BAD_ARGUMENT`](crate::Status::BAD_ARGUMENT)
    /// when the plugin has declared the name before.
    pub fn declare(&self, _plugin: &Plugin, declaration: Declaration) -> Result<(), Error> {
        let argument = Message::default()
            .bytes(1, self.name.as_bytes())
            .varint(2, u64::from(declaration.read_only))
            .varint(3, declaration.kind)
            .varint(5, declaration.span as u64)
            .finish();
        foreign_function("declare_property", &argument)?;
        Ok(())
    }
}

impl<T> fmt::Debug for FilterState<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("FilterState")
            .field(&self.name)
            .finish()
    }
}

/// How values of one name are kept; see [`FilterState::declare`].
///
/// ```
/// use attache::ConfigError;
/// use attache::filter_state::{Declaration, FilterState, Span};
/// use attache::Plugin;
///
/// const TENANT: FilterState<String> = FilterState::new("acme.tenant");
///
/// fn declare(plugin: &Plugin) -> Result<(), ConfigError> {
///     Ok(TENANT.declare(plugin, Declaration::text().span(Span::Connection))?)
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    kind: u64,
    read_only: bool,
    span: Span,
}

impl Declaration {
    /// As bytes.
    ///
    /// ```
    /// use attache::filter_state::{Declaration, Span};
    ///
    /// // As what nobody declared, but for how long it is kept.
    /// const DIGEST: Declaration = Declaration::bytes().span(Span::Request);
    /// ```
    #[must_use]
    pub const fn bytes() -> Self {
        Self {
            kind: 0,
            read_only: false,
            span: Span::FilterChain,
        }
    }

    /// As text, which access logs and expressions then show as such.
    #[must_use]
    pub const fn text() -> Self {
        Self {
            kind: 1,
            ..Self::bytes()
        }
    }

    /// The first value of a stream is the only one.
    ///
    /// ```
    /// use attache::filter_state::Declaration;
    ///
    /// // No filter behind the one that has set it says otherwise.
    /// const SUBJECT: Declaration = Declaration::text().read_only();
    /// ```
    #[must_use]
    pub const fn read_only(self) -> Self {
        Self {
            read_only: true,
            ..self
        }
    }

    /// How long a value is kept.
    #[must_use]
    pub const fn span(self, span: Span) -> Self {
        Self { span, ..self }
    }
}

/// How long a value is kept.
///
/// ```
/// use attache::filter_state::{Declaration, Span};
///
/// /// What is found out of the client's certificate holds for all requests of its connection.
/// const CLIENT: Declaration = Declaration::text().span(Span::Connection);
/// assert_eq!(Span::default(), Span::FilterChain);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Span {
    /// For the stream; of a TCP filter, for the connection.
    #[default]
    FilterChain = 0,
    /// For the request, also where Envoy sends it round once more (internal redirects).
    Request = 1,
    /// For the connection that the request came on, and so for the requests after it.
    Connection = 2,
}

/// Keeps an object that Envoy's own extensions look for, such as `envoy.tcp_proxy.cluster` or
/// `envoy.network.upstream_server_name`; `false` when this Envoy makes no object of that name.
///
/// ```
/// use attache::filter_state::{Span, set_envoy_object};
///
/// # fn call() -> Result<(), attache::Error> {
/// let known = set_envoy_object("envoy.network.upstream_server_name", b"internal", Span::FilterChain)?;
/// # Ok(())
/// # }
/// ```
///
/// The value is text in whatever form the object has; Envoy's documentation of well-known filter state
/// has the names. An object that is kept is read by [`Property`](crate::properties::Property), below
/// `filter_state`.
///
/// # Errors
///
/// An [`Error`] when the host refuses: with [`Status::BAD_ARGUMENT`](crate::Status::BAD_ARGUMENT) for a
/// value that the object cannot have. Where there is no stream Envoy answers as for an unknown name.
pub fn set_envoy_object(name: &str, value: &[u8], span: Span) -> Result<bool, Error> {
    let argument = Message::default()
        .bytes(1, name.as_bytes())
        .bytes(2, value)
        .varint(3, span as u64)
        .finish();
    match foreign_function("set_envoy_filter_state", &argument) {
        Ok(_) => Ok(true),
        Err(cause) if cause.status == crate::Status::NOT_FOUND => Ok(false),
        Err(cause) => Err(cause.into()),
    }
}

const fn is_free(name: &[u8]) -> bool {
    let mut taken = 0;
    while taken < TAKEN.len() {
        if is_same(name, TAKEN[taken].as_bytes()) {
            return false;
        }
        taken += 1;
    }
    !name.is_empty() && !has(name, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::double::{self, Answer};

    const TENANT: FilterState<String> = FilterState::new("tenant");

    #[test]
    fn names_of_envoys_own_are_not_free() {
        assert!(!is_free(b"request"));
        assert!(!is_free(b""));
        assert!(!is_free(b"a\0b"));
        assert!(is_free(b"request.id"));
    }

    #[test]
    fn a_name_of_the_configuration_is_checked_when_it_runs() {
        let state = FilterState::<String>::named("scrub.path").unwrap();
        assert_eq!(state.name(), "scrub.path");
        assert!(FilterState::<String>::named("request").is_err());
    }

    #[test]
    fn a_declaration_says_what_was_asked_for() {
        let plugin = Plugin::new(String::new());
        double::answer([Answer::ok()]);
        TENANT.declare(&plugin, Declaration::bytes()).unwrap();
        let declaration = Declaration::text().read_only().span(Span::Connection);
        TENANT.declare(&plugin, declaration).unwrap();
        let made = double::made();
        assert_eq!(made[0].bytes, b"\x0a\x06tenant");
        assert_eq!(made[1].bytes, b"\x0a\x06tenant\x10\x01\x18\x01\x28\x02");
    }

    #[test]
    fn whatever_the_host_answers_is_a_value_or_an_error() {
        let plugin = Plugin::new(String::new());
        for answer in double::hostile() {
            let status = answer.status;
            double::answer([answer]);
            assert_eq!(TENANT.set(&String::new()).is_ok(), status == 0);
            let kept = TENANT.get();
            assert_eq!(matches!(kept, Ok(None)), status == 1);
            assert!(status < 2 || kept.is_err());
            let declared = TENANT.declare(&plugin, Declaration::bytes());
            assert_eq!(declared.is_ok(), status == 0);
            let object = set_envoy_object("envoy.string", b"x", Span::Request);
            assert_eq!(object.is_ok(), status < 2);
        }
    }
}
