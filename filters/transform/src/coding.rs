//! Content codings (RFC 9110, 8.4): gzip, Brotli and Zstandard are read, gzip is written.

use std::fmt;

mod brotli;
mod gzip;
mod zstd;

pub use self::gzip::encode as gzip;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Coding {
    /// `gzip` and `x-gzip` (RFC 1952).
    Gzip,
    /// `br` (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878).
    Zstd,
}

/// Why a body was not decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Undecodable {
    /// It is not what its coding says, or not all of it.
    Malformed,
    /// It is larger than the limit, or so much larger than what came that it can only be meant to be.
    Large,
}

impl fmt::Display for Undecodable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => "the body is not in the coding that it says",
            Self::Large => "the body is too large once decoded",
        })
    }
}

impl std::error::Error for Undecodable {}

/// How many times larger than what came a body may become: about what DEFLATE can do at most.
const RATIO: usize = 1_100;

impl Coding {
    /// The coding of this name, in lower case.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"gzip" | b"x-gzip" => Self::Gzip,
            b"br" => Self::Brotli,
            b"zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// Decodes a whole body, into at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`Undecodable`].
    pub fn decode(self, body: &[u8], limit: usize) -> Result<Vec<u8>, Undecodable> {
        let limit = limit.min(body.len().saturating_mul(RATIO));
        match self {
            Self::Gzip => gzip::decode(body, limit),
            Self::Brotli => brotli::decode(body, limit),
            Self::Zstd => zstd::decode(body, limit),
        }
    }
}

/// Puts what was decoded behind what was decoded before.
fn take(output: &mut Vec<u8>, made: &[u8], limit: usize) -> Result<(), Undecodable> {
    if made.len() > limit - output.len() {
        return Err(Undecodable::Large);
    }
    output.extend_from_slice(made);
    Ok(())
}

#[cfg(test)]
mod tests;
