//! The plugin configuration: JSON into a filter's own type, with the place of each fault.

mod deserializer;
mod json;
mod value;

use std::fmt::{self, Write};

use serde::de::DeserializeOwned;

pub use self::value::Document;
use crate::error::{Chain, Error};

/// Why a plugin configuration was refused: where, as a JSON Pointer (RFC 6901), and what was
/// expected there.
///
/// Values of the configuration never stand in it: they may be keys. The filter is then not
/// configured, and Envoy refuses the plugin.
///
/// ```
/// use attache::ConfigError;
///
/// let error = ConfigError::at("/rules/0/name", "expected a name");
/// assert_eq!(error.pointer(), "/rules/0/name");
/// assert_eq!(error.reason(), "expected a name");
/// assert_eq!(error.to_string(), r#"path="/rules/0/name" reason=expected a name"#);
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct ConfigError {
    pointer: String,
    reason: String,
}

impl ConfigError {
    /// A fault at `pointer`, which is empty for the whole document and `/a/0` for the first
    /// element of `a`.
    ///
    /// `reason` is lower case, without a full stop, and without the value.
    ///
    /// ```
    /// use attache::ConfigError;
    ///
    /// fn check(ports: &[u32]) -> Result<(), ConfigError> {
    ///     for (index, port) in ports.iter().enumerate() {
    ///         if u16::try_from(*port).is_err() {
    ///             return Err(ConfigError::at(format!("/ports/{index}"), "expected at most 65535"));
    ///         }
    ///     }
    ///     Ok(())
    /// }
    ///
    /// assert_eq!(check(&[80, 65_536]).unwrap_err().pointer(), "/ports/1");
    /// ```
    pub fn at(pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            reason: reason.into(),
        }
    }

    /// Where in the configuration, as a JSON Pointer.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// What is wrong there.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Quoted: a key from the document cannot forge a second field or a second line of the log.
        let pointer = Quoted(&self.pointer);
        write!(formatter, "path={pointer} reason={}", self.reason)
    }
}

/// In the same words, as [`HostError`](crate::HostError)'s.
impl fmt::Debug for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ConfigError({self})")
    }
}

impl std::error::Error for ConfigError {}

/// What the host refused while a plugin was being configured.
impl From<Error> for ConfigError {
    fn from(error: Error) -> Self {
        Self::at("", Chain(&error).to_string())
    }
}

/// Reads `bytes` as JSON into `T`. No bytes at all mean the empty object: Envoy has no
/// configuration to hand over then, and a filter's defaults apply.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ConfigError> {
    interpret(&read(bytes)?)
}

/// The document that [`parse`] reads.
pub(crate) fn read(bytes: &[u8]) -> Result<Document, ConfigError> {
    json::read(if bytes.is_empty() { b"{}" } else { bytes })
}

/// What [`parse`] makes of it.
pub(crate) fn interpret<T: DeserializeOwned>(document: &Document) -> Result<T, ConfigError> {
    T::deserialize(deserializer::Reader::new(document)).map_err(ConfigError::from)
}

/// A text in quotes, with quotes, controls and what turns a line about escaped. `{:?}` knows more
/// characters, by 7 KB of tables and code.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_char('"')?;
        for letter in self.0.chars() {
            match letter {
                '"' | '\\' => {
                    formatter.write_char('\\')?;
                    formatter.write_char(letter)?;
                }
                '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => {
                    write!(formatter, "{}", letter.escape_unicode())?;
                }
                '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{feff}' => {
                    write!(formatter, "{}", letter.escape_unicode())?;
                }
                letter => formatter.write_char(letter)?,
            }
        }
        formatter.write_char('"')
    }
}

/// The JSON Pointer of a place that is told from its innermost key outwards.
fn pointer(keys: &[String]) -> String {
    let mut pointer = String::new();
    for key in keys.iter().rev() {
        pointer.push('/');
        for letter in key.chars() {
            match letter {
                '~' => pointer.push_str("~0"),
                '/' => pointer.push_str("~1"),
                other => pointer.push(other),
            }
        }
    }
    pointer
}

#[cfg(test)]
mod tests;
