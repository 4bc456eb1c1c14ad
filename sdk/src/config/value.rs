use crate::secret::Secret;

/// A JSON document.
///
/// As a configuration it is for filters that read theirs by hand, because no type says what it is, or
/// because the code that `derive` writes for large ones is too much for them:
///
/// ```
/// use attache::prelude::*;
/// use attache::{Document, schemars};
///
/// #[derive(Deserialize)]
/// struct Config(Document);
///
/// # impl JsonSchema for Config {
/// #     fn schema_name() -> std::borrow::Cow<'static, str> { "Config".into() }
/// #     fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema { true.into() }
/// # }
/// fn names(config: &Config) -> Result<Vec<&str>, ConfigError> {
///     let Document::Object(members) = &config.0 else {
///         return Err(ConfigError::at("", "expected an object"));
///     };
///     Ok(members.iter().map(|(name, _)| name.as_str()).collect())
/// }
/// ```
///
/// A key is there once: given twice, it refuses the document. Texts are overwritten when they are
/// dropped, because one of them may be a secret. It can be deserialized from configurations only.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Document {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of at most 64 bits.
    Unsigned(u64),
    /// One below zero.
    Signed(i64),
    /// Any other number, as it was written.
    Decimal(String),
    /// Any other number, which was not written.
    Float(f64),
    /// A string.
    Text(Secret),
    /// An array.
    List(Vec<Self>),
    /// An object, in the order of its text.
    Object(Vec<(String, Self)>),
}

impl Document {
    /// Reads the whole of `bytes` as JSON (RFC 8259).
    ///
    /// ```
    /// use attache::{ConfigError, Document};
    ///
    /// let Document::Object(members) = Document::read(br#"{"limit": 5, "hosts": []}"#)? else {
    ///     panic!("an object");
    /// };
    /// assert!(matches!(members[0].1, Document::Unsigned(5)));
    ///
    /// let refused = Document::read(br#"{"limit": 5, "limit": 6}"#).unwrap_err();
    /// assert_eq!(refused.pointer(), "/limit");
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// For configurations: the work on an object grows with the square of its keys. Bound what a client sends first.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`](crate::ConfigError) with line and column of what is no JSON, or with the place
    /// of the first key that is given twice. More than 128 levels are refused.
    pub fn read(bytes: &[u8]) -> Result<Self, crate::ConfigError> {
        super::json::read(bytes)
    }

    /// The JSON type, for messages that must not show the value.
    ///
    /// ```
    /// use attache::{ConfigError, Document};
    ///
    /// fn limit(value: &Document) -> Result<u64, ConfigError> {
    ///     match value {
    ///         Document::Unsigned(limit) => Ok(*limit),
    ///         other => {
    ///             let reason = format!("expected a whole number, found {}", other.kind());
    ///             Err(ConfigError::at("/limit", reason))
    ///         }
    ///     }
    /// }
    ///
    /// let refused = limit(&Document::read(b"[5]")?).unwrap_err();
    /// assert_eq!(refused.reason(), "expected a whole number, found an array");
    /// # Ok::<(), ConfigError>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Unsigned(_) | Self::Signed(_) => "an integer",
            Self::Decimal(_) | Self::Float(_) => "a number with a fraction",
            Self::Text(_) => "a string",
            Self::List(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}
