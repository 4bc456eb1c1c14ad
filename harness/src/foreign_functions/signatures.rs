//! `verify_signature` and `sign`: RSA (PKCS #1 v1.5) and ECDSA over a hash.
//!
//! The rules are those of `source/common/crypto/utility_impl.cc` of Envoy, whose BoringSSL also has
//! keys of other kinds; they end the test here. An ECDSA signature is another each time in Envoy, and
//! always the same here (RFC 6979).

use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::der::asn1::ObjectIdentifier;
use rsa::pkcs8::der::{Decode, Document};
use rsa::pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey, PrivateKeyInfo};
use rsa::sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use rsa::{Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;

use super::{Returned, fields, text_of};
use crate::abi::Status;
use crate::call::Call;
use crate::envoy_version::VersionDifference;
use crate::error::HostError;
use crate::protobuf::{Writer, bytes_of};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// `verify_signature.proto`: 1 hash, 2 key as DER or 5 as PEM, 3 signature, 4 text; answered with
/// 1 result, 2 error.
pub(super) fn verify(call: &mut Call<'_>, argument: &[u8]) -> Returned {
    let fields = fields(argument)?;
    let (hash, pem) = (text_of(&fields, 1)?, text_of(&fields, 5)?);
    let der = if call.world().is_before(VersionDifference::MoreOfSignatures) {
        Some((String::new(), bytes_of(&fields, 2).to_vec()))
    } else {
        one_key(bytes_of(&fields, 2), pem, |label| label == "PUBLIC KEY")?
    };
    let key = der.map_or(Key::Broken, |(_, der)| Public::of(&der));
    let outcome = match (Hash::of(hash), key) {
        (None, _) => Err(format!("{hash} is not supported.")),
        (_, Key::Broken) => Err("Failed to initialize digest verify.".to_owned()),
        (_, Key::Unknown) => return Err(not_answered(call, "verify_signature")),
        (Some(digest), Key::Known(key)) => {
            match key.verifies(digest, bytes_of(&fields, 4), bytes_of(&fields, 3)) {
                Some(true) => Ok(()),
                Some(false) => Err("Failed to verify digest. Error code: 0".to_owned()),
                None => return Err(not_answered(call, "verify_signature")),
            }
        }
    };
    let mut result = Writer::default();
    match outcome {
        Ok(()) => result.varint(1, 1),
        Err(error) => result.bytes(2, error.as_bytes()),
    }
    Ok(Some(result.finish()))
}

/// `sign.proto`: 1 hash, 2 key as DER or 4 as PEM, 3 text; answered with 1 result, 2 signature, 3
/// error.
pub(super) fn sign(call: &mut Call<'_>, argument: &[u8]) -> Returned {
    let fields = fields(argument)?;
    let (hash, pem) = (text_of(&fields, 1)?, text_of(&fields, 4)?);
    let known = |label: &str| matches!(label, "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY");
    let der = one_key(bytes_of(&fields, 2), pem, known)?;
    let key = der.map_or(Key::Broken, |(label, der)| Private::of(&label, &der));
    let outcome = match (Hash::of(hash), key) {
        (None, _) => Err(format!("{hash} is not supported.")),
        (_, Key::Broken) => {
            Err("Invalid key type: private key required for signing operation.".to_owned())
        }
        (_, Key::Unknown) => return Err(not_answered(call, "sign")),
        (Some(digest), Key::Known(key)) => match key.sign(digest, bytes_of(&fields, 3)) {
            Some(signature) => Ok(signature),
            None => return Err(not_answered(call, "sign")),
        },
    };
    let mut result = Writer::default();
    match outcome {
        Ok(signature) => {
            result.varint(1, 1);
            result.bytes(2, &signature);
        }
        Err(error) => result.bytes(3, error.as_bytes()),
    }
    Ok(Some(result.finish()))
}

fn not_answered(call: &mut Call<'_>, function: &'static str) -> crate::call::Stop {
    call.give_up(|timeline| HostError::NotAnswered {
        what: format!(
            "`{function}` with a key that is neither RSA of up to 4096 bits nor on P-256 or P-384, \
             or whose curve does not suit the hash,"
        ),
        timeline,
    })
}

/// The one key of an argument with its label; none if it is broken. Without a key, or with two, the
/// argument is bad.
fn one_key(
    der: &[u8],
    pem: &str,
    known: impl Fn(&str) -> bool,
) -> Result<Option<(String, Vec<u8>)>, Status> {
    match (der.is_empty(), pem.is_empty()) {
        (true, true) | (false, false) => Err(Status::BadArgument),
        (false, true) => Ok(Some((String::new(), der.to_vec()))),
        (true, false) => Ok(Document::from_pem(pem)
            .ok()
            .filter(|(label, _)| known(label))
            .map(|(label, der)| (label.to_owned(), der.into_vec()))),
    }
}

/// How a key reads.
enum Key<T> {
    Known(T),
    /// BoringSSL cannot read it.
    Broken,
    /// BoringSSL may read it.
    Unknown,
}

impl<T> Key<T> {
    fn read<E>(key: Result<T, E>) -> Self {
        key.map_or(Self::Broken, Self::Known)
    }
}

enum Public {
    Rsa(RsaPublicKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
}

impl Public {
    fn of(der: &[u8]) -> Key<Self> {
        let Ok(info) = SubjectPublicKeyInfoRef::from_der(der) else {
            return Key::Broken;
        };
        match curve(&info.algorithm) {
            (RSA, _) => match RsaPublicKey::from_public_key_der(der) {
                Ok(key) => Key::Known(Self::Rsa(key)),
                // More than 4096 bits.
                Err(_) if der.len() > 560 => Key::Unknown,
                Err(_) => Key::Broken,
            },
            (EC, Some(P256)) => {
                Key::read(DecodePublicKey::from_public_key_der(der).map(Self::P256))
            }
            (EC, Some(P384)) => {
                Key::read(DecodePublicKey::from_public_key_der(der).map(Self::P384))
            }
            _ => Key::Unknown,
        }
    }

    /// None where the hash is too short for the curve.
    fn verifies(&self, hash: Hash, text: &[u8], signature: &[u8]) -> Option<bool> {
        let digest = hash.digest(text);
        Some(match self {
            Self::Rsa(key) => key.verify(hash.padding(), &digest, signature).is_ok(),
            Self::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&digest, &signature).is_ok()),
            Self::P384(_) if digest.len() < 24 => return None,
            Self::P384(key) => p384::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&digest, &signature).is_ok()),
        })
    }
}

/// Room for an RSA key of 4096 bits. To check and use a longer one takes time that nothing limits.
const PRIVATE_KEY_BYTES: usize = 3 << 10;

enum Private {
    Rsa(Box<RsaPrivateKey>),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
}

impl Private {
    /// A key in PKCS #8, or in the older forms that PEM has labels for.
    fn of(label: &str, der: &[u8]) -> Key<Self> {
        if der.len() > PRIVATE_KEY_BYTES {
            return Key::Unknown;
        }
        let rsa = |key| Self::Rsa(Box::new(key));
        match label {
            "RSA PRIVATE KEY" => return Key::read(RsaPrivateKey::from_pkcs1_der(der).map(rsa)),
            "EC PRIVATE KEY" => {
                let p256 = p256::SecretKey::from_sec1_der(der);
                let p384 = || p384::SecretKey::from_sec1_der(der);
                let key = p256.map(|key| Self::P256(key.into()));
                let key = key.or_else(|_| p384().map(|key| Self::P384(key.into())));
                return key.map_or(Key::Unknown, Key::Known);
            }
            _ => {}
        }
        let Ok(info) = PrivateKeyInfo::from_der(der) else {
            return Key::Broken;
        };
        match curve(&info.algorithm) {
            (RSA, _) => Key::read(RsaPrivateKey::from_pkcs8_der(der).map(rsa)),
            (EC, Some(P256)) => Key::read(DecodePrivateKey::from_pkcs8_der(der).map(Self::P256)),
            (EC, Some(P384)) => Key::read(DecodePrivateKey::from_pkcs8_der(der).map(Self::P384)),
            _ => Key::Unknown,
        }
    }

    fn sign(&self, hash: Hash, text: &[u8]) -> Option<Vec<u8>> {
        let digest = hash.digest(text);
        match self {
            Self::Rsa(key) => key.sign(hash.padding(), &digest).ok(),
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(&digest).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign_prehash(&digest).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
        }
    }
}

/// The algorithm of a key, and the name of its curve.
fn curve(algorithm: &AlgorithmIdentifierRef<'_>) -> (ObjectIdentifier, Option<ObjectIdentifier>) {
    let curve = algorithm
        .parameters
        .and_then(|parameters| parameters.decode_as().ok());
    (algorithm.oid, curve)
}

#[derive(Clone, Copy)]
enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn of(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "sha1" => Self::Sha1,
            "sha224" => Self::Sha224,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }

    fn digest(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(text).to_vec(),
            Self::Sha224 => Sha224::digest(text).to_vec(),
            Self::Sha256 => Sha256::digest(text).to_vec(),
            Self::Sha384 => Sha384::digest(text).to_vec(),
            Self::Sha512 => Sha512::digest(text).to_vec(),
        }
    }

    fn padding(self) -> Pkcs1v15Sign {
        match self {
            Self::Sha1 => Pkcs1v15Sign::new::<Sha1>(),
            Self::Sha224 => Pkcs1v15Sign::new::<Sha224>(),
            Self::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
            Self::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
            Self::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
        }
    }
}
