//! The arithmetic under Sigstore's checks: `ring`, and for digests that were computed before, P-256 and P-384 of
//! RustCrypto, because `ring` takes messages only.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use ring::signature as arithmetic;
use sigstore_verify::crypto::SigningScheme;
use sigstore_verify::crypto::error::{Error, Result};
use sigstore_verify::crypto::provider::{CryptoProvider, HashContext, install_default_provider};
use sigstore_verify::types::HashAlgorithm;

/// Has the checks use it, unless another part of the program chose before.
pub(super) fn install() {
    let _ = install_default_provider(&Provider);
}

#[derive(Debug)]
struct Provider;

struct Hash(ring::digest::Context);

impl HashContext for Hash {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

impl CryptoProvider for Provider {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>> {
        let algorithm = match algorithm {
            HashAlgorithm::Sha2256 => &ring::digest::SHA256,
            HashAlgorithm::Sha2384 => &ring::digest::SHA384,
            HashAlgorithm::Sha2512 => &ring::digest::SHA512,
            other => return Err(Error::UnsupportedAlgorithm(format!("{other:?}"))),
        };
        Ok(Box::new(Hash(ring::digest::Context::new(algorithm))))
    }

    fn verify_raw(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        data: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        let algorithm: &'static dyn arithmetic::VerificationAlgorithm = match scheme {
            SigningScheme::EcdsaP256Sha256 => &arithmetic::ECDSA_P256_SHA256_ASN1,
            SigningScheme::EcdsaP256Sha384 => &arithmetic::ECDSA_P256_SHA384_ASN1,
            SigningScheme::EcdsaP384Sha256 => &arithmetic::ECDSA_P384_SHA256_ASN1,
            SigningScheme::EcdsaP384Sha384 => &arithmetic::ECDSA_P384_SHA384_ASN1,
            SigningScheme::Ed25519 => &arithmetic::ED25519,
            SigningScheme::RsaPssSha256 => &arithmetic::RSA_PSS_2048_8192_SHA256,
            SigningScheme::RsaPssSha384 => &arithmetic::RSA_PSS_2048_8192_SHA384,
            SigningScheme::RsaPssSha512 => &arithmetic::RSA_PSS_2048_8192_SHA512,
            SigningScheme::RsaPkcs1Sha256 => &arithmetic::RSA_PKCS1_2048_8192_SHA256,
            SigningScheme::RsaPkcs1Sha384 => &arithmetic::RSA_PKCS1_2048_8192_SHA384,
            SigningScheme::RsaPkcs1Sha512 => &arithmetic::RSA_PKCS1_2048_8192_SHA512,
            other => return Err(Error::UnsupportedAlgorithm(format!("{other:?}"))),
        };
        arithmetic::UnparsedPublicKey::new(algorithm, key)
            .verify(data, signature)
            .map_err(|_| wrong())
    }

    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        match scheme {
            SigningScheme::EcdsaP256Sha256 | SigningScheme::EcdsaP256Sha384 => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| wrong())?;
                let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| wrong())?;
                key.verify_prehash(digest, &signature).map_err(|_| wrong())
            }
            SigningScheme::EcdsaP384Sha256 | SigningScheme::EcdsaP384Sha384 => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| wrong())?;
                let signature = p384::ecdsa::Signature::from_der(signature).map_err(|_| wrong())?;
                key.verify_prehash(digest, &signature).map_err(|_| wrong())
            }
            other => Err(Error::UnsupportedAlgorithm(format!(
                "{other:?} of a digest"
            ))),
        }
    }
}

fn wrong() -> Error {
    Error::Verification("the signature is not the key's".to_owned())
}
