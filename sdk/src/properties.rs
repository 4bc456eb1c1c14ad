//! What Envoy knows of a stream, its connection, its upstream and the configuration around it.
//!
//! A property has a type here, so that its bytes are read in one way:
//!
//! ```
//! use attache::properties::{connection, request, xds};
//!
//! # fn call() -> Result<(), attache::Error> {
//! let route = xds::ROUTE_NAME.get()?;             // Option<String>
//! let secure = connection::MTLS.get()? == Some(true);
//! let protocol = request::PROTOCOL.get()?;        // Option<Vec<u8>>
//! # Ok(())
//! # }
//! ```
//!
//! The answer tells three things apart: `Ok(None)` is a property that is not there, now or at all;
//! [`PropertyError::Kind`] and [`PropertyError::Garbled`] are bytes that are not of the type; and
//! [`PropertyError::Host`] is a call that the host refused.
//!
//! A property is that of the stream whose future or callback runs. Each reading is a host call of about
//! half a microsecond, so what is needed twice is read once. Texts that a client can choose are bytes:
//! that they are no UTF-8 is no error of anybody's.
//!
//! What comes from headers is there while the headers are: in
//! [`call`](crate::HttpFilter::call) up to where the request, or the response, goes on, and again in the
//! access log. In a root context, when a plugin is configured and in services, there is no stream:
//! [`plugin`] and [`xds::NODE`] are there, and nothing else.
//!
//! # Other paths
//!
//! [`Property::at`] reads any path, [`Property::child`] goes below one. What filters keep with a stream
//! is [`FilterState`](crate::filter_state::FilterState).

mod decode;

pub mod connection;
pub mod destination;
pub mod metadata;
pub mod plugin;
pub mod request;
pub mod response;
pub mod source;
pub mod upstream;
pub mod xds;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use crate::error::Error;
use crate::host;
use crate::status::HostError;

pub use self::decode::{FromProperty, List, Map, Misfit};

/// A property: where it is, and the type of its value.
///
/// ```
/// use attache::properties::Property;
///
/// fn tier() -> Result<Option<String>, attache::Error> {
///     let tier = Property::<String>::at(&["xds", "route_metadata", "filter_metadata", "shop", "tier"]);
///     Ok(tier.get()?)
/// }
/// ```
pub struct Property<T> {
    /// Its parts, with a NUL between them.
    path: Cow<'static, str>,
    kind: PhantomData<fn() -> T>,
}

impl<T> Property<T> {
    /// A property whose parts are parted by NUL; its constants here are made so.
    const fn new(path: &'static str) -> Self {
        Self {
            path: Cow::Borrowed(path),
            kind: PhantomData,
        }
    }

    /// Any property, by the parts of its path.
    ///
    /// ```
    /// use attache::properties::Property;
    ///
    /// let tag = Property::<String>::at(&["xds", "node", "metadata", "tag"]);
    /// assert_eq!(tag.to_string(), "xds.node.metadata.tag");
    /// ```
    #[must_use]
    pub fn at(parts: &[&str]) -> Self {
        let mut path = String::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                path.push('\0');
            }
            push(&mut path, part);
        }
        Self {
            path: Cow::Owned(path),
            kind: PhantomData,
        }
    }

    /// What is below this one: a field of a message, a key of a map, the index of a list.
    ///
    /// ```
    /// use attache::properties::xds;
    ///
    /// let team = xds::NODE_METADATA.child::<String>("team");
    /// assert_eq!(team.to_string(), "xds.node.metadata.team");
    /// ```
    #[must_use]
    pub fn child<U>(&self, part: &str) -> Property<U> {
        let mut path = String::from(&*self.path);
        path.push('\0');
        push(&mut path, part);
        Property {
            path: Cow::Owned(path),
            kind: PhantomData,
        }
    }
}

/// A NUL would begin another part. No name has one, so this finds nothing, as it should.
fn push(path: &mut String, part: &str) {
    path.extend(part.chars().map(|letter| match letter {
        '\0' => char::REPLACEMENT_CHARACTER,
        letter => letter,
    }));
}

impl<T: FromProperty> Property<T> {
    /// The value, or `None` when it is not there. One host call.
    ///
    /// ```
    /// use attache::prelude::*;
    /// use attache::properties::{request, source};
    ///
    /// fn client() -> Result<String, Error> {
    ///     let address = source::ADDRESS.get()?.unwrap_or_else(|| "nobody".to_owned());
    ///     let agent = request::USER_AGENT.get()?.unwrap_or_default();
    ///     Ok(format!("{address} with {}", agent.escape_ascii()))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`PropertyError`] for bytes that are no `T`, and when the host refuses: Envoy answers
    /// [`Status::SERIALIZATION_FAILURE`](crate::Status::SERIALIZATION_FAILURE) where there is something
    /// that has no bytes of its own, such as `request` without a name behind it, or `null` in metadata.
    pub fn get(&self) -> Result<Option<T>, PropertyError> {
        let Some(bytes) = host::property_at(self.path.as_bytes()).map_err(PropertyError::Host)?
        else {
            return Ok(None);
        };
        match T::from_property(bytes) {
            Ok(value) => Ok(Some(value)),
            Err(misfit) => Err(self.misfit(misfit)),
        }
    }

    fn misfit(&self, misfit: Misfit) -> PropertyError {
        let path = self.to_string();
        match misfit {
            Misfit::Kind { expected } => PropertyError::Kind { path, expected },
            Misfit::Garbled { expected } => PropertyError::Garbled { path, expected },
        }
    }
}

impl<T> Clone for Property<T> {
    fn clone(&self) -> Self {
        Self {
            path: self.path.clone(),
            kind: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Property<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Property({self})")
    }
}

/// The path, with dots between its parts.
impl<T> fmt::Display for Property<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.path.split('\0').enumerate() {
            let dot = if index > 0 { "." } else { "" };
            write!(formatter, "{dot}{part}")?;
        }
        Ok(())
    }
}

/// Why a property could not be read. Its value never stands in it.
///
/// ```
/// use attache::properties::{PropertyError, xds};
///
/// match xds::ROUTE_NAME.get() {
///     Ok(name) => println!("{name:?}"),
///     Err(PropertyError::Host(refusal)) => println!("{refusal}"),
///     Err(misfit) => println!("{misfit}"),
/// }
/// ```
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum PropertyError {
    /// The bytes are of another size than every value of the type.
    Kind {
        /// The property.
        path: String,
        /// What was expected, in words.
        expected: &'static str,
    },
    /// The bytes are of a possible size, and are no value of the type.
    Garbled {
        /// The property.
        path: String,
        /// What was expected, in words.
        expected: &'static str,
    },
    /// The host refused the call.
    Host(HostError),
}

impl fmt::Display for PropertyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { path, expected } => {
                write!(
                    formatter,
                    "property `{path}` is of another kind than {expected}"
                )
            }
            Self::Garbled { path, expected } => {
                write!(formatter, "property `{path}` is not {expected}")
            }
            Self::Host(_) => formatter.write_str("cannot read a property"),
        }
    }
}

/// In the same words, as [`HostError`]'s.
impl fmt::Debug for PropertyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(cause) => write!(formatter, "PropertyError({cause})"),
            misfit => write!(formatter, "PropertyError({misfit})"),
        }
    }
}

impl std::error::Error for PropertyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Kind { .. } | Self::Garbled { .. } => None,
            Self::Host(cause) => Some(cause),
        }
    }
}

impl From<PropertyError> for Error {
    fn from(error: PropertyError) -> Self {
        match error {
            PropertyError::Host(cause) => cause.into(),
            misfit => Self::filter(misfit),
        }
    }
}

#[cfg(test)]
mod tests;
