use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey as Inner};
use p256::elliptic_curve::rand_core::OsRng;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use sha2::{Digest as _, Sha256};
use sigstore_verify::crypto::{SigningScheme, VerificationKey};
use sigstore_verify::types::DerPublicKey;

/// A private key on the curve P-256, as cosign's are.
pub struct SigningKey(Inner);

/// A public key that signatures are held against: ECDSA on P-256 or P-384, RSA, Ed25519.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicKey(pub(super) DerPublicKey);

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A file cannot be read or written.
    #[error("cannot {what} the key `{}`", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The private key is one that cosign has encrypted.
    #[error(
        "`{}` is encrypted by cosign, which is not read here; `attache sign --new-key NAME` makes a key that both know (`cosign import-key-pair --key NAME.key` takes it over)",
        path.display()
    )]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// It is no private key on P-256.
    #[error(
        "`{}` is not a private key on the curve P-256 in PEM (`PRIVATE KEY` or `EC PRIVATE KEY`)",
        path.display()
    )]
    NotPrivate {
        /// The file.
        path: PathBuf,
    },
    /// It is no public key.
    #[error(
        "{what} is not a public key in PEM (`PUBLIC KEY`): ECDSA on P-256 or P-384, Ed25519, or RSA of 2,048 to 8,192 bits"
    )]
    NotPublic {
        /// The file, or where the text is.
        what: String,
    },
    /// A new key could not be encoded.
    #[error("cannot write a new key as PEM")]
    Encoding,
}

impl SigningKey {
    /// Reads a private key: PKCS #8 or SEC 1, in PEM.
    ///
    /// # Errors
    ///
    /// [`KeyError`], when the file cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = fs::read_to_string(path).map_err(failed("read", path))?;
        if text.contains("ENCRYPTED SIGSTORE") || text.contains("ENCRYPTED COSIGN") {
            return Err(KeyError::Encrypted {
                path: path.to_owned(),
            });
        }
        // What `openssl ecparam -genkey` writes has the curve's name in front.
        let key = text
            .find("-----BEGIN EC PRIVATE")
            .map_or(&text[..], |at| &text[at..]);
        Inner::from_pkcs8_pem(&text)
            .or_else(|_| {
                let secret = p256::SecretKey::from_sec1_pem(key)?;
                Ok(Inner::from(secret))
            })
            .map(Self)
            .map_err(|_: p256::elliptic_curve::Error| KeyError::NotPrivate {
                path: path.to_owned(),
            })
    }

    /// Makes a new key, and writes it to `NAME.key` and its public part to `NAME.pub`, neither of which may be there.
    ///
    /// # Errors
    ///
    /// [`KeyError`], when a file is there already or cannot be written.
    pub fn create(name: &Path) -> Result<(Self, PathBuf, PathBuf), KeyError> {
        let key = Self(Inner::random(&mut OsRng));
        let private = key
            .0
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| KeyError::Encoding)?;
        let with = |ending: &str| {
            let mut path = name.as_os_str().to_owned();
            path.push(ending);
            PathBuf::from(path)
        };
        let (secret, public) = (with(".key"), with(".pub"));
        write_new(&secret, private.as_bytes(), true)?;
        let text = key.public()?.to_pem();
        if let Err(error) = write_new(&public, text.as_bytes(), false) {
            // It has signed nothing, and nobody knows of it: a key without its public part would only be in the way.
            let _ = fs::remove_file(&secret);
            return Err(error);
        }
        Ok((key, secret, public))
    }

    /// The key that its signatures are held against.
    ///
    /// # Errors
    ///
    /// [`KeyError::Encoding`], which does not happen with a key that was read.
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        let der = self.0.verifying_key().to_public_key_der();
        let der = der.map_err(|_| KeyError::Encoding)?;
        Ok(PublicKey(DerPublicKey::new(der.as_bytes().to_vec())))
    }

    /// The signature of these bytes, in ASN.1. The same bytes give the same signature (RFC 6979).
    pub(super) fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(bytes);
        signature.to_der().as_bytes().to_vec()
    }
}

impl PublicKey {
    /// Reads a public key, in PEM.
    ///
    /// # Errors
    ///
    /// [`KeyError`], when the file cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = fs::read_to_string(path).map_err(failed("read", path))?;
        Self::parse(&text, &format!("`{}`", path.display()))
    }

    pub(super) fn parse(text: &str, what: &str) -> Result<Self, KeyError> {
        let key = DerPublicKey::from_pem(text.trim()).ok();
        let key = key.filter(is_usable);
        key.map(Self).ok_or_else(|| KeyError::NotPublic {
            what: what.to_owned(),
        })
    }

    /// The text in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let mut text = self.0.to_pem().replace("\r\n", "\n");
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }

    /// The SHA-256 of the key, by which bundles and people name it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.0.as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The hint in a bundle: the same in Base64, as cosign writes it.
    pub(super) fn hint(&self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(Sha256::digest(self.0.as_bytes()))
    }
}

/// Never overwrites, and lets nobody else read a secret.
fn write_new(path: &Path, bytes: &[u8], is_secret: bool) -> Result<(), KeyError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if is_secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = is_secret;
    let mut file = options.open(path).map_err(failed("write", path))?;
    file.write_all(bytes).map_err(|error| {
        // What was begun is ours.
        let _ = fs::remove_file(path);
        failed("write", path)(error)
    })
}

/// Whether anything could be signed by it: the label alone is anybody's, and a key that is none would look like
/// signatures that are none.
fn is_usable(key: &DerPublicKey) -> bool {
    /// RSA of 2,048 and of 8,192 bits with the usual exponents, as PKCS #1 has them.
    const RSA: std::ops::RangeInclusive<usize> = 266..=1_050;
    let Ok(key) = VerificationKey::from_spki(key) else {
        return false;
    };
    let bytes = key.as_bytes();
    match key.scheme() {
        SigningScheme::EcdsaP256Sha256 => p256::PublicKey::from_sec1_bytes(bytes).is_ok(),
        SigningScheme::EcdsaP384Sha384 => p384::PublicKey::from_sec1_bytes(bytes).is_ok(),
        SigningScheme::Ed25519 => bytes.len() == 32,
        SigningScheme::RsaPkcs1Sha256 | SigningScheme::RsaPssSha256 => RSA.contains(&bytes.len()),
        _ => false,
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let path = path.to_owned();
    move |source| KeyError::File { what, path, source }
}

/// The secret stays out of logs.
impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey(…)")
    }
}
