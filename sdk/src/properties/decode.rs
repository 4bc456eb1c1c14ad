use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::pairs;

/// A type that the bytes of a property are read as.
///
/// Envoy's kinds have one each; a filter may have its own, such as a Protobuf message:
///
/// ```
/// use attache::properties::{FromProperty, Misfit, Property};
///
/// /// The verdict that another filter left in the metadata.
/// enum Verdict { Allowed, Denied }
///
/// impl FromProperty for Verdict {
///     fn from_property(bytes: Vec<u8>) -> Result<Self, Misfit> {
///         match bytes.as_slice() {
///             b"allowed" => Ok(Self::Allowed),
///             b"denied" => Ok(Self::Denied),
///             _ => Err(Misfit::Garbled { expected: "`allowed` or `denied`" }),
///         }
///     }
/// }
///
/// let verdict: Property<Verdict> = attache::properties::metadata::dynamic("acme.verdict", "word");
/// ```
pub trait FromProperty: Sized {
    /// Reads the bytes.
    ///
    /// # Errors
    ///
    /// How they misfit.
    fn from_property(bytes: Vec<u8>) -> Result<Self, Misfit>;
}

/// How bytes are no value of a type.
///
/// ```
/// use attache::properties::{FromProperty, Misfit};
///
/// /// A member of a map, where there is one.
/// fn port(service: &attache::properties::Map) -> Result<Option<u64>, attache::Error> {
///     Ok(service.read("port")?)
/// }
///
/// // A truth is one byte, and that is 0 or 1.
/// assert!(matches!(bool::from_property(vec![1, 0]), Err(Misfit::Kind { .. })));
/// assert!(matches!(bool::from_property(vec![7]), Err(Misfit::Garbled { .. })));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Misfit {
    /// No value of the type has so many bytes.
    Kind {
        /// What was expected, in words.
        expected: &'static str,
    },
    /// They have a possible size, and say nothing that the type has.
    Garbled {
        /// What was expected, in words.
        expected: &'static str,
    },
}

impl fmt::Display for Misfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { expected } => {
                write!(formatter, "expected {expected}, which has another size")
            }
            Self::Garbled { expected } => write!(formatter, "expected {expected}"),
        }
    }
}

impl std::error::Error for Misfit {}

/// Bytes, whatever they are: also a serialized message.
impl FromProperty for Vec<u8> {
    fn from_property(bytes: Vec<u8>) -> Result<Self, Misfit> {
        Ok(bytes)
    }
}

/// Text in UTF-8, as all names in Envoy's configuration are.
impl FromProperty for String {
    fn from_property(bytes: Vec<u8>) -> Result<Self, Misfit> {
        let expected = "text in UTF-8";
        Self::from_utf8(bytes).map_err(|_| Misfit::Garbled { expected })
    }
}

fn eight(bytes: Vec<u8>, expected: &'static str) -> Result<[u8; 8], Misfit> {
    bytes.try_into().map_err(|_| Misfit::Kind { expected })
}

/// `int`: eight bytes, little endian.
impl FromProperty for i64 {
    fn from_property(bytes: Vec<u8>) -> Result<Self, Misfit> {
        eight(bytes, "a whole number").map(Self::from_le_bytes)
    }
}

/// `uint`: eight bytes, little endian. What Envoy has as `int` and is never below 0 is read so too.
impl FromProperty for u64 {
    fn from_property(bytes: Vec<u8>) -> Result<Self, Misfit> {
        eight(bytes, "a whole number").map(Self::from_le_bytes)
    }
}

/// `double`: eight bytes, little endian. All numbers in metadata are so.
impl FromProperty for f64 {
    fn from_property(bytes: Vec<u8>) -> Result<Self, Misfit> {
        eight(bytes, "a number").map(Self::from_le_bytes)
    }
}

/// `bool`: one byte, 0 or 1.
impl FromProperty for bool {
    fn from_property(bytes: Vec<u8>) -> Result<Self, Misfit> {
        let expected = "a truth value";
        match bytes.as_slice() {
            [0] => Ok(false),
            [1] => Ok(true),
            [_] => Err(Misfit::Garbled { expected }),
            _ => Err(Misfit::Kind { expected }),
        }
    }
}

fn nanoseconds(bytes: Vec<u8>, expected: &'static str) -> Result<u64, Misfit> {
    let number = i64::from_le_bytes(eight(bytes, expected)?);
    u64::try_from(number).map_err(|_| Misfit::Garbled { expected })
}

/// `duration`: nanoseconds in eight bytes, little endian; never below 0.
impl FromProperty for Duration {
    fn from_property(bytes: Vec<u8>) -> Result<Self, Misfit> {
        nanoseconds(bytes, "a duration").map(Self::from_nanos)
    }
}

/// `timestamp`: nanoseconds since 1970 in eight bytes, little endian; never before.
impl FromProperty for Timestamp {
    fn from_property(bytes: Vec<u8>) -> Result<Self, Misfit> {
        nanoseconds(bytes, "a time").map(Self::from_nanoseconds)
    }
}

/// `map`: names and values, in an order that means nothing.
///
/// Of headers, a name that is there several times is one here, with its values joined by a comma. Of
/// metadata, each value is as a property of its own would be, so [`read`](Self::read) reads it.
///
/// ```
/// # use attache::properties::request;
/// # fn call() -> Result<(), attache::Error> {
/// let accepts = request::HEADERS.get()?.and_then(|headers| headers.get("accept").map(<[u8]>::to_vec));
/// # Ok(())
/// # }
/// ```
///
/// A test makes one of bytes:
///
/// ```
/// use attache::properties::{FromProperty, Map, Misfit};
///
/// // As the host hands it over: how many, their lengths, and each with a NUL behind it.
/// let map = Map::from_property(b"\x01\0\0\0\x04\0\0\0\x01\0\0\0paid\0\x01\0".to_vec())?;
/// assert_eq!((map.len(), map.is_empty()), (1, false));
/// assert_eq!(map.read::<bool>("paid")?, Some(true));
/// assert_eq!(map.iter().next(), Some((&b"paid"[..], &[1][..])));
/// # Ok::<(), Misfit>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Map(Vec<(Vec<u8>, Vec<u8>)>);

impl Map {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = name.as_ref();
        let pair = self.0.iter().find(|(known, _)| known == name)?;
        Some(&pair.1)
    }

    /// The value of a name, as a type.
    ///
    /// # Errors
    ///
    /// How it misfits.
    pub fn read<T: FromProperty>(&self, name: impl AsRef<[u8]>) -> Result<Option<T>, Misfit> {
        let value = self.get(name);
        value
            .map(|bytes| T::from_property(bytes.to_vec()))
            .transpose()
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromProperty for Map {
    fn from_property(bytes: Vec<u8>) -> Result<Self, Misfit> {
        let expected = "a map";
        let ranges = pairs::ranges(&bytes).ok_or(Misfit::Garbled { expected })?;
        let pairs = ranges
            .into_iter()
            .map(|pair| (bytes[pair.name].to_vec(), bytes[pair.value].to_vec()));
        Ok(Self(pairs.collect()))
    }
}

/// `list`: each element as a property of its own would be.
///
/// ```
/// use attache::properties::{List, Property};
/// use attache::prelude::*;
///
/// /// Whether the operator lists a tenant in the route's metadata.
/// fn is_listed(tenants: &Property<List>, tenant: &[u8]) -> Result<bool, Error> {
///     let tenants = tenants.get()?.unwrap_or_default();
///     if tenants.is_empty() {
///         log::warn!("no tenant is listed");
///     }
///     log::debug!("one of {}", tenants.len());
///     Ok(tenants.iter().any(|listed| listed == tenant))
/// }
///
/// let tenants: Property<List> = attache::properties::metadata::route("acme", "tenants");
/// # let _ = tenants;
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct List(Vec<Vec<u8>>);

impl List {
    /// The elements, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// The elements, as a type.
    ///
    /// ```
    /// use attache::properties::{List, Misfit};
    ///
    /// fn words(list: &List) -> Result<Vec<String>, Misfit> {
    ///     list.read()
    /// }
    ///
    /// assert_eq!(words(&List::default()), Ok(Vec::new()));
    /// ```
    ///
    /// # Errors
    ///
    /// How one of them misfits.
    pub fn read<T: FromProperty>(&self) -> Result<Vec<T>, Misfit> {
        self.0.iter().cloned().map(T::from_property).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Envoy writes a list as a map whose names are the elements and whose values are empty.
impl FromProperty for List {
    fn from_property(bytes: Vec<u8>) -> Result<Self, Misfit> {
        let expected = "a list";
        let ranges = pairs::ranges(&bytes).ok_or(Misfit::Garbled { expected })?;
        if ranges.iter().any(|pair| !pair.value.is_empty()) {
            return Err(Misfit::Kind { expected });
        }
        let elements = ranges.into_iter().map(|pair| bytes[pair.name].to_vec());
        Ok(Self(elements.collect()))
    }
}
