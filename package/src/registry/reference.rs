use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::connection::is_loopback;
use crate::digest::Digest;

/// The registry that names without one mean, as Docker has it.
const DOCKER_HUB: &str = "docker.io";

/// The name of an image in a registry, as people write it: `registry.example.com/filters/scrub:1.2.0`,
/// `localhost:5000/scrub@sha256:…`, or both a tag and a digest, of which the digest counts.
///
/// A name without a registry is Docker Hub's, and a name of one word is in its `library`, as Docker has it.
/// `oci://` and `docker://` in front are ignored.
///
/// ```
/// use attache_package::registry::Reference;
///
/// let reference: Reference = "localhost:5000/filters/scrub:1.2.0".parse()?;
/// assert_eq!(reference.registry(), "localhost:5000");
/// assert_eq!(reference.repository(), "filters/scrub");
/// assert_eq!(reference.tag(), Some("1.2.0"));
/// # Ok::<(), attache_package::registry::ReferenceError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text that names no image.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{text}` names no image in a registry: {why}")]
pub struct ReferenceError {
    text: String,
    why: &'static str,
}

impl Reference {
    /// The registry, with its port where it has one.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path of the repository in the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, where one is named.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest, where one is named.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Registry and repository, as policies and people name them.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same image by its digest, the tag kept for people.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// Another tag in the same repository.
    ///
    /// # Errors
    ///
    /// [`ReferenceError`], when it cannot be a tag.
    pub fn tagged(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(refused(tag, TAG));
        }
        Ok(Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    /// What is asked of the registry: the digest, or the tag, or the tag that is meant where none is named.
    pub(super) fn wanted(&self) -> String {
        match self.digest {
            Some(digest) => digest.to_string(),
            None => self.tag.clone().unwrap_or_else(|| "latest".to_owned()),
        }
    }

    /// Where the registry answers.
    pub(super) fn host(&self) -> &str {
        match self.registry.as_str() {
            DOCKER_HUB => "registry-1.docker.io",
            other => other,
        }
    }

    /// Whether a word on a command line is such a name and not a file, a folder or a package: it says so by a
    /// scheme, or it begins with what can only be a registry.
    #[must_use]
    pub fn is_meant_by(word: &str) -> bool {
        without_scheme(word) != word
            || (!word.starts_with('.')
                && word
                    .split_once('/')
                    .is_some_and(|(first, _)| is_registry(first))
                && word.parse::<Self>().is_ok())
    }
}

const TAG: &str =
    "a tag has up to 128 letters, digits, `.`, `_` and `-`, and begins with neither `.` nor `-`";

/// OCI distribution specification, "Pulling manifests": what a tag may be.
fn is_tag(tag: &str) -> bool {
    let fits = |symbol: char| symbol.is_ascii_alphanumeric() || "._-".contains(symbol);
    !tag.is_empty() && tag.len() <= 128 && tag.chars().all(fits) && !tag.starts_with(['.', '-'])
}

/// The first part of a name is a registry when it could be nothing else (Docker's rule).
fn is_registry(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost"
}

fn without_scheme(text: &str) -> &str {
    ["oci://", "docker://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .unwrap_or(text)
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let fail = |why| refused(text, why);
        let name = without_scheme(text);
        let (name, digest) = match name.split_once('@') {
            Some((name, digest)) => {
                let digest = digest.parse().map_err(|_| {
                    fail("a digest is `sha256:` and 64 lower-case hexadecimal digits")
                })?;
                (name, Some(digest))
            }
            None => (name, None),
        };
        let (registry, rest) = match name.split_once('/') {
            Some((first, rest)) if is_registry(first) => (first, rest),
            _ => (DOCKER_HUB, name),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(fail(TAG));
        }
        if !is_host(registry) {
            return Err(fail("the registry is no host with an optional port"));
        }
        if path.is_empty() {
            return Err(fail(
                "expected registry/repository:tag, such as registry.example.com/filters/scrub:1.2.0",
            ));
        }
        if !path.split('/').all(is_component) || path.len() + registry.len() > 255 {
            return Err(fail(
                "a repository has lower-case letters and digits, with single `.`, `_`, `__` or `-` between them",
            ));
        }
        let registry = one_spelling(registry);
        let in_library = registry == DOCKER_HUB && !path.contains('/');
        Ok(Self {
            registry,
            repository: match in_library {
                true => format!("library/{path}"),
                false => path.to_owned(),
            },
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

/// Policies and credentials go by the name of a registry, so each has one: in lower case, without the port that TLS
/// has anyway, and Docker Hub under one of its three.
pub(crate) fn one_spelling(registry: &str) -> String {
    let registry = registry.to_ascii_lowercase();
    let registry = match registry
        .rsplit_once(':')
        .map(|(host, port)| (host, port.parse::<u16>()))
    {
        // Where there is no TLS, the port says more.
        Some((host, Ok(443))) if !host.is_empty() && !is_loopback(&registry) => host.to_owned(),
        Some((host, Ok(port))) => format!("{host}:{port}"),
        _ => registry,
    };
    match registry.as_str() {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
        _ => registry,
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        // The last colon of an address in brackets may be in the brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = !host.is_empty()
        && host.split('.').all(|label| {
            let fits = |symbol: char| symbol.is_ascii_alphanumeric() || symbol == '-';
            !label.is_empty() && label.chars().all(fits)
        });
    (is_address || is_name)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// A part of a repository's path: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(part: &str) -> bool {
    let is_word = |symbol: char| symbol.is_ascii_lowercase() || symbol.is_ascii_digit();
    let between = part
        .split(is_word)
        .filter(|separator| !separator.is_empty());
    part.starts_with(is_word)
        && part.ends_with(is_word)
        && between.into_iter().all(|separator| {
            [".", "_", "__"].contains(&separator) || separator.chars().all(|symbol| symbol == '-')
        })
}

fn refused(text: &str, why: &'static str) -> ReferenceError {
    ReferenceError {
        text: attache_module::harmless(text),
        why,
    }
}

impl Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        match self.digest {
            Some(digest) => write!(formatter, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, String, Option<String>, bool) {
        let reference: Reference = text.parse().unwrap();
        (
            reference.registry,
            reference.repository,
            reference.tag,
            reference.digest.is_some(),
        )
    }

    #[test]
    fn names_are_read_as_people_write_them() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let some = |tag: &str| Some(tag.to_owned());
        let owned = |registry: &str, repository: &str, tag, digest| {
            (registry.to_owned(), repository.to_owned(), tag, digest)
        };
        for (text, expected) in [
            ("localhost/a", owned("localhost", "a", None, false)),
            (
                "localhost:5000/a/b:1.2",
                owned("localhost:5000", "a/b", some("1.2"), false),
            ),
            ("[::1]:5000/a:1", owned("[::1]:5000", "a", some("1"), false)),
            ("[::1]/a", owned("[::1]", "a", None, false)),
            (
                "ghcr.io/a/b-c__d.e",
                owned("ghcr.io", "a/b-c__d.e", None, false),
            ),
            (
                &format!("ghcr.io/a@{digest}"),
                owned("ghcr.io", "a", None, true),
            ),
            (
                &format!("ghcr.io/a:1@{digest}"),
                owned("ghcr.io", "a", some("1"), true),
            ),
            ("oci://ghcr.io/a:1", owned("ghcr.io", "a", some("1"), false)),
            (
                "scrub:1",
                owned("docker.io", "library/scrub", some("1"), false),
            ),
            ("me/scrub", owned("docker.io", "me/scrub", None, false)),
            ("GHCR.io:0443/a", owned("ghcr.io", "a", None, false)),
            ("localhost:443/a", owned("localhost:443", "a", None, false)),
            (
                "localhost:05000/a",
                owned("localhost:5000", "a", None, false),
            ),
            (
                "registry-1.docker.io/scrub",
                owned("docker.io", "library/scrub", None, false),
            ),
            (
                "index.docker.io:443/me/scrub",
                owned("docker.io", "me/scrub", None, false),
            ),
        ] {
            assert_eq!(parts(text), expected, "{text}");
            let reference: Reference = text.parse().unwrap();
            assert_eq!(
                reference.to_string().parse::<Reference>().unwrap(),
                reference
            );
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        for (text, why) in [
            ("", "expected registry/repository:tag"),
            ("ghcr.io/", "expected registry/repository:tag"),
            ("ghcr.io/A", "lower-case"),
            ("ghcr.io/a//b", "lower-case"),
            ("ghcr.io/../b", "lower-case"),
            ("ghcr.io/a___b", "lower-case"),
            ("ghcr.io/a?b", "lower-case"),
            ("ghcr.io/a:", "a tag has"),
            ("ghcr.io/a:-x", "a tag has"),
            ("ghcr.io/a:x/y", "a tag has"),
            ("ghcr.io/a@sha256:1", "a digest is"),
            ("ghcr.io/a@sha512:00", "a digest is"),
            ("ghcr.io:0/a", "no host"),
            ("ghcr.io:99999/a", "no host"),
            ("user@ghcr.io/a", "a digest is"),
            ("gh..cr/a", "no host"),
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_word_means_an_image_only_where_it_can_mean_nothing_else() {
        for word in [
            "oci://a/b",
            "localhost:5000/a",
            "ghcr.io/a/b:1",
            "localhost/a",
        ] {
            assert!(Reference::is_meant_by(word), "{word}");
        }
        for word in [
            "scrub",
            "./a.b/c",
            "../x.y/z",
            "filters/scrub",
            "a.wasm",
            "x.y/Z",
        ] {
            assert!(!Reference::is_meant_by(word), "{word}");
        }
    }
}
