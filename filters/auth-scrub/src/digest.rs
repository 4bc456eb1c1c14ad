//! Keyed hashes of values.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// HMAC-SHA-256 with a key, cut to some hexadecimal digits.
#[derive(Clone)]
pub(crate) struct Hasher {
    keyed: Hmac<Sha256>,
    digits: usize,
    prefix: Vec<u8>,
}

impl Hasher {
    /// `None` for a key that HMAC does not take; it takes any.
    pub(crate) fn new(key: &[u8], digits: usize, prefix: &str) -> Option<Self> {
        Some(Self {
            keyed: Hmac::new_from_slice(key).ok()?,
            digits,
            prefix: prefix.as_bytes().to_vec(),
        })
    }

    /// What stands in place of a value.
    pub(crate) fn digest(&self, value: &[u8]) -> Vec<u8> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut keyed = self.keyed.clone();
        keyed.update(value);
        let bytes = keyed.finalize().into_bytes();
        let digit = |four: u8| DIGITS.get(usize::from(four)).copied().unwrap_or(b'0');
        let digits = bytes
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        let mut digest = self.prefix.clone();
        digest.extend(digits.take(self.digits));
        digest
    }
}

/// Without the key.
impl fmt::Debug for Hasher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hasher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, 4.3: the second test case.
    #[test]
    fn the_hash_is_hmac_sha_256() {
        let hasher = Hasher::new(b"Jefe", 64, "").unwrap();
        assert_eq!(
            hasher.digest(b"what do ya want for nothing?"),
            b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn equal_values_have_equal_digests_under_one_key_only() {
        let one = Hasher::new(b"0123456789abcdef", 8, "h:").unwrap();
        let other = Hasher::new(b"0123456789abcdeg", 8, "h:").unwrap();
        assert_eq!(one.digest(b"a"), one.digest(b"a"));
        assert_ne!(one.digest(b"a"), one.digest(b"b"));
        assert_ne!(one.digest(b"a"), other.digest(b"a"));
        assert_eq!(one.digest(b"a").len(), 10);
        assert!(one.digest(b"a").starts_with(b"h:"));
    }

    #[test]
    fn the_key_never_prints() {
        let hasher = Hasher::new(b"hunter2", 8, "").unwrap();
        assert_eq!(format!("{hasher:?}"), "Hasher { .. }");
    }
}
