//! Random numbers, from the proxy's own source.
//!
//! They are fit for keys and nonces: Envoy takes them from BoringSSL. A host call each; what needs
//! many numbers that nobody has to be unable to guess takes one as the seed of a generator.
//!
//! ```no_run
//! # fn main() -> Result<(), attache::Error> {
//! let mut nonce = [0; 16];
//! attache::random::fill(&mut nonce)?;
//! let shadowed = attache::random::below(100)? < 5;    // one stream in twenty
//! # let _ = shadowed;
//! # Ok(())
//! # }
//! ```

use crate::error::Error;
use crate::host::surroundings;

/// Fills `target` with random bytes.
///
/// ```
/// fn nonce() -> Result<[u8; 16], attache::Error> {
///     let mut nonce = [0; 16];
///     attache::random::fill(&mut nonce)?;
///     Ok(nonce)
/// }
/// ```
///
/// # Errors
///
/// An [`Error`] when the host refuses, as one without the capability `random_get` does; `target` is
/// not to be used then.
pub fn fill(target: &mut [u8]) -> Result<(), Error> {
    Ok(surroundings::random(target)?)
}

/// Any number.
///
/// ```
/// fn id() -> Result<String, attache::Error> {
///     Ok(format!("{:016x}", attache::random::number()?))
/// }
/// ```
///
/// # Errors
///
/// As [`fill`].
pub fn number() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// A number from 0 to `bound` - 1, each as likely as the other to one part in 2^32 or better; 0
/// where `bound` is 0.
///
/// ```
/// /// One in twenty.
/// fn is_sampled() -> Result<bool, attache::Error> {
///     Ok(attache::random::below(20)? == 0)
/// }
/// ```
///
/// # Errors
///
/// As [`fill`].
pub fn below(bound: u32) -> Result<u32, Error> {
    let product = u128::from(number()?) * u128::from(bound);
    // The upper half of the product of 64 and 32 bits is below `bound`.
    Ok(u32::try_from(product >> 64).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::double::{self, Answer};

    #[test]
    fn a_number_is_below_its_bound() {
        for (bytes, expected) in [
            ([0; 8], 0),
            ([0xff; 8], 99),
            ([0, 0, 0, 0, 0, 0, 0, 0x80], 50),
        ] {
            double::answer([Answer::bytes(bytes)]);
            assert_eq!(below(100).unwrap(), expected);
        }
        double::answer([Answer::bytes([0xff; 8])]);
        assert_eq!(below(0).unwrap(), 0);
    }

    #[test]
    fn many_bytes_are_asked_for_in_pieces_that_the_host_grants() {
        double::answer([Answer::bytes([7])]);
        let mut target = vec![0; 65_536 * 2 + 1];
        fill(&mut target).unwrap();
        assert_eq!(double::calls(), ["random_get"; 3]);
        assert!(target.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn whatever_the_host_answers_is_randomness_or_an_error() {
        for answer in double::hostile() {
            let good = answer.status == 0;
            double::answer([answer]);
            assert_eq!(number().is_ok(), good);
        }
    }
}
