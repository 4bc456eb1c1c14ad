//! Signatures of images: made with keys, and held against what is trusted.
//!
//! A signature is a Sigstore bundle of version 0.3 that is attached to an image, as cosign 3 has it: an in-toto
//! statement of the kind `https://sigstore.dev/cosign/sign/v1` in a DSSE envelope, with the digest of the image's
//! manifest as its subject.

mod key;
mod policy;
mod provider;
mod signature;
mod verify;

pub use self::key::{KeyError, PublicKey, SigningKey};
pub use self::policy::{Identity, Policy, PolicyError, Signer, Trusted, Verdict};
pub use self::signature::{BUNDLE, SigningError, sign};
pub use self::verify::{Attempt, Unverified};
