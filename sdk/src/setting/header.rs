use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a header, in any case. Pseudo headers (`:path`) have none.
///
/// ```
/// # use attache::prelude::*;
/// # use attache::setting;
/// # fn count(request: &Request, name: &setting::HeaderName) -> usize {
/// request.headers().all(name).len()
/// # }
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HeaderName(http::HeaderName);

/// The value of a header: text without line breaks and other controls but the tab.
///
/// A value that nobody should see is a [`Secret`](crate::Secret).
///
/// ```
/// use attache::prelude::*;
/// use attache::setting;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Config { via: setting::HeaderValue }
///
/// fn mark(config: &Config, request: &mut Request) {
///     request.headers_mut().append(VIA, config.via.clone());
/// }
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HeaderValue(http::HeaderValue);

macro_rules! setting {
    ($type:ident, $read:expr, $fault:literal, $print:expr, $schema:tt) => {
        impl Deref for $type {
            type Target = http::$type;

            fn deref(&self) -> &http::$type {
                &self.0
            }
        }

        impl From<http::$type> for $type {
            fn from(value: http::$type) -> Self {
                Self(value)
            }
        }

        impl From<$type> for http::$type {
            fn from(value: $type) -> Self {
                value.0
            }
        }

        impl From<&$type> for http::$type {
            fn from(value: &$type) -> Self {
                value.0.clone()
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&$print(&self.0))
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $read(text.as_bytes())
                    .map(Self)
                    .map_err(|_| D::Error::custom($fault))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn schema_id() -> Cow<'static, str> {
                concat!("attache::setting::", stringify!($type)).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

setting!(
    HeaderName,
    http::HeaderName::from_bytes,
    "not a header name",
    |name: &http::HeaderName| name.as_str().to_owned(),
    {"type": "string", "pattern": r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$"}
);

setting!(
    HeaderValue,
    http::HeaderValue::from_bytes,
    "not a header value",
    |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned(),
    {"type": "string", "pattern": r"^[^\u0000-\u0008\u000a-\u001f\u007f]*$"}
);

impl fmt::Display for HeaderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
