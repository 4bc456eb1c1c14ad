//! Whose signatures are trusted, and which of those that there are count.

use std::path::Path;

use super::super::key::PublicKey;
use super::super::verify::{Attempt, by_identity, by_key, by_simple, check_root, read};
use super::{Identity, PolicyError, Signer, read_file};
use crate::digest::Digest;
use crate::graph::Simple;

/// Whose signatures are trusted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Trusted {
    /// Keys.
    pub keys: Vec<PublicKey>,
    /// Identities.
    pub identities: Vec<Identity>,
    /// The logs and authorities that vouch for identities, as Sigstore's `trusted_root.json` has them; those of the
    /// public instance, as they were when this program was made, without.
    pub root: Option<String>,
    /// Whether an image is let in that nobody signed.
    pub unsigned: bool,
}

impl Trusted {
    /// Has identities held against logs and authorities of one's own.
    ///
    /// # Errors
    ///
    /// [`PolicyError`], when the file is not a trusted root of Sigstore.
    pub fn set_root(&mut self, path: &Path) -> Result<(), PolicyError> {
        self.root = Some(read_root(path)?);
        Ok(())
    }

    /// Who of those that are trusted has signed a manifest; what does not count is told.
    pub(crate) fn signers(
        &self,
        manifest: &[u8],
        bundles: &[&[u8]],
        attempts: &mut Vec<Attempt>,
    ) -> Vec<Signer> {
        let mut signers = Vec::new();
        for bundle in bundles {
            let bundle = match read(bundle) {
                Ok(Some(bundle)) => bundle,
                Ok(None) => continue,
                Err(why) => {
                    let signer = "a signature".to_owned();
                    attempts.push(Attempt { signer, why });
                    continue;
                }
            };
            let keys = self.keys.iter().map(|key| {
                let signer = Signer::Key(key.clone());
                (signer, by_key(manifest, &bundle, key))
            });
            let root = self.root.as_deref();
            let identities = self.identities.iter().map(|identity| {
                let signer = Signer::Identity(identity.clone());
                (signer, by_identity(manifest, &bundle, identity, root))
            });
            for (signer, result) in keys.chain(identities) {
                match result {
                    Ok(signer) if !signers.contains(&signer) => signers.push(signer),
                    Ok(_) => {}
                    Err(why) => attempts.push(Attempt {
                        signer: signer.to_string(),
                        why,
                    }),
                }
            }
        }
        signers
    }

    /// The same by signatures of cosign's older kind, which count for keys.
    pub(crate) fn simple_signers(
        &self,
        manifest: Digest,
        signatures: &[Simple<'_>],
        attempts: &mut Vec<Attempt>,
    ) -> Vec<Signer> {
        let mut signers = Vec::new();
        for signature in signatures {
            for key in &self.keys {
                match by_simple(manifest, *signature, key) {
                    Ok(signer) if !signers.contains(&signer) => signers.push(signer),
                    Ok(_) => {}
                    Err(why) => attempts.push(Attempt {
                        signer: Signer::Key(key.clone()).to_string(),
                        why,
                    }),
                }
            }
            if !self.identities.is_empty() {
                attempts.push(Attempt {
                    signer: "a signature under the tag `sha256-….sig`".to_owned(),
                    why: "such are held against keys and not against identities".to_owned(),
                });
            }
        }
        signers
    }
}

pub(super) fn read_root(path: &Path) -> Result<String, PolicyError> {
    let text = read_file(path)?;
    match check_root(&text) {
        Ok(()) => Ok(text),
        Err(why) => Err(PolicyError::Root {
            path: path.to_owned(),
            why,
        }),
    }
}
