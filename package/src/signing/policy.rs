mod pattern;
mod trusted;

use std::fmt::{self, Display};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::pattern::{fits, names_nothing};
pub use self::trusted::Trusted;
use self::trusted::read_root;
use super::key::{KeyError, PublicKey};
use super::verify::{Attempt, Unverified};

/// Whose signatures are trusted, by repository.
///
/// ```yaml
/// rules:
///   - images: registry.example.com/filters/*     # `*` is a part of a name, `**` any number of them
///     keys: [team.pub]                           # beside this file
///   - images: ghcr.io/me/**
///     identities:
///       - issuer: https://token.actions.githubusercontent.com
///         subject: https://github.com/me/filters/.github/workflows/release.yml@refs/heads/main
///   - images: localhost:5000/**
///     unsigned: allow
/// others: refuse                                 # what no rule names; `allow` lets it in
/// ```
///
/// The first rule that names a repository counts, and one of its keys or identities has to have signed.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    others: Word,
}

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    images: String,
    trusted: Trusted,
}

/// Why a policy lets an image in.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// Somebody who is trusted has signed it.
    Signed(Vec<Signer>),
    /// Nobody who is trusted has signed it, and it is let in all the same.
    Unsigned {
        /// What of the policy lets it in, such as "the rule for `localhost:5000/**`".
        by: String,
    },
}

/// Who signs without a key that lasts: whom an issuer knows.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Who vouches, such as `https://token.actions.githubusercontent.com`.
    pub issuer: String,
    /// Who signs: an address of mail or of a workflow.
    pub subject: String,
}

/// Who has signed an image.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Signer {
    /// Who has this key.
    Key(PublicKey),
    /// Whom an issuer knows.
    Identity(Identity),
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not what a policy is.
    #[error("the policy is not understood: {why}")]
    Text {
        /// What is wrong, with line and column.
        why: String,
    },
    /// A key cannot be used.
    #[error("the policy names a key that cannot be used")]
    Key(#[from] KeyError),
    /// What is named as trusted root is none.
    #[error("`{}` is not a trusted root of Sigstore ({why})", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A rule names what no image is called.
    #[error("the rule for `{images}` can name no image: {why}")]
    Pattern {
        /// What the rule names.
        images: String,
        /// Why no image is called so.
        why: &'static str,
    },
    /// A rule trusts nobody.
    #[error(
        "the rule for `{images}` trusts nobody: it needs `keys`, `identities`, or `unsigned: allow`"
    )]
    Nobody {
        /// What the rule names.
        images: String,
    },
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Word {
    Allow,
    #[default]
    Refuse,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rules: Vec<RuleOfFile>,
    #[serde(default)]
    others: Word,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleOfFile {
    images: String,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    identities: Vec<Identity>,
    trusted_root: Option<PathBuf>,
    #[serde(default)]
    unsigned: Word,
}

impl Policy {
    /// Reads a policy and the keys that it names, which lie beside it.
    ///
    /// # Errors
    ///
    /// [`PolicyError`], when it is not understood or a key cannot be read: a policy counts whole or not at all.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let text = read_file(path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, folder)
    }

    /// The same from a text. Files are looked for in `folder`.
    ///
    /// # Errors
    ///
    /// As [`Policy::read`].
    pub fn parse(text: &str, folder: &Path) -> Result<Self, PolicyError> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| PolicyError::Text {
            why: error.to_string(),
        })?;
        let rules = file.rules.into_iter().map(|rule| {
            if let Some(why) = names_nothing(&rule.images) {
                return Err(PolicyError::Pattern {
                    images: rule.images,
                    why,
                });
            }
            let keys = rule
                .keys
                .iter()
                .map(|key| match key.contains("-----BEGIN") {
                    true => PublicKey::parse(key, "a text in the policy"),
                    false => PublicKey::read(&folder.join(key)),
                });
            let trusted = Trusted {
                keys: keys.collect::<Result<_, _>>()?,
                identities: rule.identities,
                root: match &rule.trusted_root {
                    Some(path) => Some(read_root(&folder.join(path))?),
                    None => None,
                },
                unsigned: rule.unsigned == Word::Allow,
            };
            if trusted.keys.is_empty() && trusted.identities.is_empty() && !trusted.unsigned {
                return Err(PolicyError::Nobody {
                    images: rule.images,
                });
            }
            Ok(Rule {
                images: rule.images,
                trusted,
            })
        });
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
            others: file.others,
        })
    }

    /// A policy that trusts the same for every image.
    #[must_use]
    pub fn of(trusted: Trusted) -> Self {
        Self {
            rules: vec![Rule {
                images: "**".to_owned(),
                trusted,
            }],
            others: Word::Refuse,
        }
    }

    /// Whether an image is let in: `name` is its registry and repository, `manifest` its manifest, and `bundles` what is
    /// attached to it as a signature.
    ///
    /// # Errors
    ///
    /// [`Unverified`], with what every signature was held against.
    pub fn judge(
        &self,
        name: &str,
        manifest: &[u8],
        bundles: &[&[u8]],
    ) -> Result<Verdict, Unverified> {
        let Some(rule) = self.rule(name)? else {
            return Ok(Self::others());
        };
        let mut attempts = Vec::new();
        let signers = rule.trusted.signers(manifest, bundles, &mut attempts);
        match signers.is_empty() {
            true => rule.without_signers(name, attempts),
            false => Ok(Verdict::Signed(signers)),
        }
    }

    /// The rule that counts for a repository; none where the policy lets in what no rule names.
    pub(crate) fn rule(&self, name: &str) -> Result<Option<&Rule>, Unverified> {
        let rule = self.rules.iter().find(|rule| fits(&rule.images, name));
        match rule {
            None if self.others == Word::Refuse => Err(Unverified {
                name: name.to_owned(),
                attempts: vec![Attempt {
                    signer: "the policy".to_owned(),
                    why: "no rule names the repository, and `others` is not `allow`".to_owned(),
                }],
            }),
            rule => Ok(rule),
        }
    }

    /// What lets in what no rule names.
    pub(crate) fn others() -> Verdict {
        Verdict::Unsigned {
            by: "`others: allow`".to_owned(),
        }
    }
}

impl Rule {
    pub(crate) fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// What the rule says of an image that nobody has signed whom it trusts.
    pub(crate) fn without_signers(
        &self,
        name: &str,
        attempts: Vec<Attempt>,
    ) -> Result<Verdict, Unverified> {
        match self.trusted.unsigned {
            true => Ok(Verdict::Unsigned {
                by: format!("the rule for `{}`", self.images),
            }),
            false => Err(Unverified {
                name: name.to_owned(),
                attempts,
            }),
        }
    }
}

impl Verdict {
    /// Who has signed; nobody where an unsigned image is let in.
    #[must_use]
    pub fn signers(&self) -> &[Signer] {
        match self {
            Self::Signed(signers) => signers,
            Self::Unsigned { .. } => &[],
        }
    }
}

impl Display for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(formatter, "key {:.16}…", key.fingerprint()),
            Self::Identity(identity) => {
                write!(
                    formatter,
                    "{} (known to {})",
                    identity.subject, identity.issuer
                )
            }
        }
    }
}

fn read_file(path: &Path) -> Result<String, PolicyError> {
    fs::read_to_string(path).map_err(|source| PolicyError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_counts_whole_or_not_at_all() {
        for (text, expected) in [
            ("rules: [{ images: r.io/a }]", "trusts nobody"),
            (
                "rules: [{ images: r.io/a, keys: [nowhere.pub] }]",
                "names a key that cannot be used",
            ),
            (
                "rules: [{ images: r.io/a, keys: ['-----BEGIN x'] }]",
                "names a key that cannot be used",
            ),
            ("rules: [{ images: r.io/a, unsigned: maybe }]", "line 1"),
            ("rules: [{ images: r.io/A, unsigned: allow }]", "lower case"),
            (
                "rules: [{ images: 'r.io/a:1', unsigned: allow }]",
                "without tag",
            ),
            (
                "rules: [{ images: 'oci://r.io/a', unsigned: allow }]",
                "without a scheme",
            ),
            (
                "rules: [{ images: me/a, unsigned: allow }]",
                "begins with no registry",
            ),
            (
                "rules: [{ images: 'r.io:443/a', unsigned: allow }]",
                "port 443",
            ),
            (
                "rules: [{ images: docker.io/a, unsigned: allow }]",
                "library",
            ),
            ("rules: [{ image: r.io/a }]", "line 1"),
            ("others: allow", "missing field `rules`"),
        ] {
            let error = Policy::parse(text, Path::new(".")).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_no_rule_names_is_refused_unless_the_policy_says_otherwise() {
        let judge = |others: &str| {
            let text = format!("rules: [{{ images: r.io/a, unsigned: allow }}]\n{others}");
            let policy = Policy::parse(&text, Path::new(".")).unwrap();
            let by = "the rule for `r.io/a`".to_owned();
            let allowed = policy.judge("r.io/a", b"", &[]).unwrap();
            assert_eq!(allowed, Verdict::Unsigned { by });
            policy
                .judge("r.io/b", b"", &[])
                .map_err(|error| error.to_string())
        };
        assert!(
            judge("")
                .unwrap_err()
                .contains("no rule names the repository")
        );
        assert!(judge("others: refuse").is_err());
        let by = "`others: allow`".to_owned();
        assert_eq!(judge("others: allow"), Ok(Verdict::Unsigned { by }));
    }
}
