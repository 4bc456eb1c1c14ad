use super::message::{self, Field, Message};
use crate::error::Error;
use crate::host::surroundings::foreign_function;
use crate::status::{HostError, Status};

/// The hash that is signed in a message's place.
///
/// ```
/// use attache::foreign::Hash;
///
/// /// The hash of a token's algorithm (RFC 7518, 3.1).
/// fn hash(algorithm: &str) -> Option<Hash> {
///     Some(match algorithm {
///         "RS256" => Hash::Sha256,
///         "RS384" => Hash::Sha384,
///         "RS512" => Hash::Sha512,
///         _ => return None,
///     })
/// }
///
/// assert_eq!(hash("RS384"), Some(Hash::Sha384));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Hash {
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Sha224 => b"sha224",
            Self::Sha256 => b"sha256",
            Self::Sha384 => b"sha384",
            Self::Sha512 => b"sha512",
        }
    }
}

/// A key, RSA or of an elliptic curve.
///
/// ```
/// use attache::foreign::Key;
///
/// fn key(file: &[u8]) -> Key<'_> {
///     match std::str::from_utf8(file) {
///         Ok(text) if text.starts_with("-----BEGIN") => Key::Pem(text),
///         _ => Key::Der(file),
///     }
/// }
///
/// // It does not print what it is.
/// assert_eq!(format!("{:?}", key(b"-----BEGIN PUBLIC KEY-----")), "Pem(…)");
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Key<'a> {
    /// As bytes: `SubjectPublicKeyInfo` of a public key, PKCS #8 of a private one.
    Der(&'a [u8]),
    /// As text between `-----BEGIN` and `-----END`. Envoy knows it since 1.39.
    Pem(&'a str),
}

/// Without the key.
impl std::fmt::Debug for Key<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Der(_) => "Der(…)",
            Self::Pem(_) => "Pem(…)",
        })
    }
}

/// Whether `signature` is one of `text` by the owner of a public key: PKCS #1 v1.5 for RSA, ASN.1 for
/// ECDSA. A key or a hash that cannot be used, and a signature of another shape, are `false` too.
///
/// ```
/// use attache::foreign::{Hash, Key, verify};
///
/// # fn call(key: &str, signature: &[u8], body: &[u8]) -> Result<bool, attache::Error> {
/// let genuine = verify(Hash::Sha256, Key::Pem(key), signature, body)?;
/// # Ok(genuine)
/// # }
/// ```
///
/// # Errors
///
/// An [`Error`] when the host refuses: without a key, it does.
pub fn verify(hash: Hash, key: Key<'_>, signature: &[u8], text: &[u8]) -> Result<bool, Error> {
    let argument = Message::default().bytes(1, hash.name());
    let argument = match key {
        Key::Der(der) => argument.bytes(2, der),
        Key::Pem(pem) => argument.bytes(5, pem.as_bytes()),
    };
    let argument = argument.bytes(3, signature).bytes(4, text).finish();
    let answer = foreign_function("verify_signature", &argument)?;
    let fields = message::read(&answer).ok_or(Error::garbled("verify_signature"))?;
    Ok(fields.contains(&(1, Field::Varint(1))))
}

/// Signs `text` with a private key. Envoy does since 1.39.
///
/// ```
/// use attache::foreign::{Hash, Key, sign};
/// use attache::prelude::*;
///
/// fn signed(key: &Secret, body: &[u8]) -> Result<Vec<u8>, Error> {
///     sign(Hash::Sha256, Key::Pem(key.expose()), body)
/// }
/// ```
///
/// # Errors
///
/// An [`Error`] when the host refuses, and when the key cannot be used.
pub fn sign(hash: Hash, key: Key<'_>, text: &[u8]) -> Result<Vec<u8>, Error> {
    let argument = Message::default().bytes(1, hash.name());
    let argument = match key {
        Key::Der(der) => argument.bytes(2, der),
        Key::Pem(pem) => argument.bytes(4, pem.as_bytes()),
    };
    let argument = argument.bytes(3, text).finish();
    let answer = foreign_function("sign", &argument)?;
    let fields = message::read(&answer).ok_or(Error::garbled("sign"))?;
    let signature = fields.iter().find_map(|field| match field {
        (2, Field::Bytes(signature)) => Some(signature.to_vec()),
        _ => None,
    });
    signature
        .filter(|_| fields.contains(&(1, Field::Varint(1))))
        .ok_or_else(|| {
            // The function's own words may quote what it was given.
            let call = "sign";
            let status = Status::BAD_ARGUMENT;
            HostError { call, status }.into()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::double::{self, Answer};

    const KEY: Key<'static> = Key::Der(b"key");

    #[test]
    fn a_verdict_is_read_from_the_answer() {
        for (answer, genuine) in [
            (Message::default().varint(1, 1).finish(), true),
            (Message::default().bytes(2, b"Failed").finish(), false),
            (Vec::new(), false),
        ] {
            double::answer([Answer::bytes(answer)]);
            assert_eq!(verify(Hash::Sha256, KEY, b"s", b"t").unwrap(), genuine);
        }
    }

    #[test]
    fn a_signature_needs_success_beside_it() {
        let signed = Message::default().varint(1, 1).bytes(2, b"signature");
        double::answer([Answer::bytes(signed.finish())]);
        assert_eq!(sign(Hash::Sha384, KEY, b"t").unwrap(), b"signature");
        double::answer([Answer::bytes(Message::default().bytes(2, b"half").finish())]);
        assert!(sign(Hash::Sha384, KEY, b"t").is_err());
    }

    #[test]
    fn whatever_the_host_answers_is_a_verdict_or_an_error() {
        for answer in double::hostile() {
            let status = answer.status;
            double::answer([answer]);
            let verdict = verify(Hash::Sha256, Key::Pem("key"), b"s", b"t");
            assert!(status == 0 || verdict.is_err());
            let signature = sign(Hash::Sha512, Key::Pem("key"), b"t");
            assert!(status == 0 || signature.is_err());
        }
    }
}
