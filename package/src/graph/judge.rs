//! Whether an image is signed as a policy says: itself, or the list that it is in.

use super::{Document, Graph, is_signature};
use crate::signing::{Attempt, Policy, Signer, Trusted, Unverified, Verdict};

/// The most bytes of a signature: whoever may attach something has it parsed by us.
const BUNDLE_LIMIT: usize = 1024 * 1024;

/// The most words on what was left out.
const TOLD: usize = 8;

impl Graph {
    /// Who has signed it of those whom a policy trusts; `name` is its registry and repository.
    ///
    /// A signature of the list that an image is in counts for the image, because the list names it by its digest. A list
    /// is signed itself, or each of its images is.
    ///
    /// # Errors
    ///
    /// [`Unverified`], when the policy does not let it in.
    pub fn judge(&self, policy: &Policy, name: &str) -> Result<Verdict, Unverified> {
        let Some(rule) = policy.rule(name)? else {
            return Ok(Policy::others());
        };
        let mut attempts = Vec::new();
        let mut signers = self.signers(rule.trusted(), &mut attempts);
        for list in self.lists.iter().filter(|list| list.names(self)) {
            if signers.is_empty() {
                signers = list.signers(rule.trusted(), &mut attempts);
            }
        }
        if !signers.is_empty() {
            return Ok(Verdict::Signed(signers));
        }
        let unlooked = self
            .left_out
            .iter()
            .chain(self.lists.iter().flat_map(|it| &it.left_out));
        let unlooked = unlooked.take(TOLD);
        attempts.extend(unlooked.map(|left| Attempt::left_out(&left.what, &left.why)));
        rule.without_signers(name, attempts)
    }

    fn signers(&self, trusted: &Trusted, attempts: &mut Vec<Attempt>) -> Vec<Signer> {
        let Some(root) = self.root() else {
            return Vec::new();
        };
        let own = self.signers_of(root, trusted, attempts);
        if !own.is_empty() {
            return own;
        }
        let mut all = Vec::new();
        for named in root.index().iter().flat_map(|index| &index.manifests) {
            let part = self.documents.get(&named.digest);
            let signers = part.map(|part| self.signers_of(part, trusted, attempts));
            match signers {
                Some(signers) if !signers.is_empty() => {
                    all.extend(
                        signers
                            .into_iter()
                            .filter(|signer| !all.contains(signer))
                            .collect::<Vec<_>>(),
                    );
                }
                _ => return Vec::new(),
            }
        }
        all
    }

    fn signers_of(
        &self,
        document: &Document,
        trusted: &Trusted,
        attempts: &mut Vec<Attempt>,
    ) -> Vec<Signer> {
        let about = self.referrers().filter(|referrer| {
            let subject = referrer.subject();
            subject.is_some_and(|subject| subject.digest == document.descriptor.digest)
        });
        let bundles = about.filter_map(|referrer| {
            let layer = referrer.manifest()?.layers.first()?;
            let (_, content) = self.blobs.get(&layer.digest)?;
            is_signature(&referrer.as_referrer()).then_some(content.as_ref())
        });
        let (bundles, large): (Vec<&[u8]>, Vec<&[u8]>) =
            bundles.partition(|bundle| bundle.len() <= BUNDLE_LIMIT);
        attempts.extend(large.iter().map(|bundle| Attempt {
            signer: "a signature".to_owned(),
            why: format!(
                "it is {} bytes, expected at most {BUNDLE_LIMIT}",
                bundle.len()
            ),
        }));
        let mut signers = trusted.signers(&document.bytes, &bundles, attempts);
        if signers.is_empty() {
            let simple = self.simple_of(document.descriptor.digest);
            signers = trusted.simple_signers(document.descriptor.digest, &simple, attempts);
        }
        signers
    }

    /// Whether a list names an image.
    fn names(&self, image: &Self) -> bool {
        let index = self.root().and_then(Document::index);
        index.is_some_and(|index| {
            let mut named = index.manifests.iter();
            named.any(|named| named.digest == image.root.digest)
        })
    }
}
