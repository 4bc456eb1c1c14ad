use std::fmt;
use std::str::FromStr;

/// A release of Envoy, such as `1.40.0`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version {
    major: u16,
    minor: u16,
    patch: u16,
}

impl Version {
    /// The release that is used when nothing else is asked for.
    pub const DEFAULT: Self = Self::new(1, 40, 0);

    /// The releases that can be installed, newest first: of each supported
    /// line the newest whose published binaries run Wasm. (Those of 1.38.3 were
    /// built without V8.)
    pub const KNOWN: [Self; 5] = [
        Self::DEFAULT,
        Self::new(1, 39, 3),
        Self::new(1, 38, 2),
        Self::new(1, 37, 0),
        Self::new(1, 36, 4),
    ];

    /// The release of these three numbers.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// The release line as its two numbers: 1 and 40 of `1.40.0`.
    #[must_use]
    pub const fn line(self) -> (u16, u16) {
        (self.major, self.minor)
    }

    /// Whether both belong to one release line, such as 1.40.
    #[must_use]
    pub const fn is_same_line(self, other: Self) -> bool {
        self.major == other.major && self.minor == other.minor
    }

    /// Reads the answer of `envoy --version`, which is
    /// `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`. What follows
    /// a hyphen, such as `-dev`, is left out.
    pub(crate) fn from_answer(answer: &str) -> Option<Self> {
        let (_, build) = answer.split_once("version:")?;
        let number = build.trim().split('/').nth(1)?;
        let release = number.split('-').next()?;
        let [major, minor, patch] = numbers(release)?[..] else {
            return None;
        };
        Some(Self::new(major, minor, patch))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Why a text names no release of Envoy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// It is not made of two or three numbers.
    #[error("`{text}` is not a version of Envoy; write it like `1.40` or `1.40.0`")]
    NotAVersion {
        /// What was given.
        text: String,
    },
    /// A line such as `1.35`, of which no release is known.
    #[error("no release of Envoy `{text}` is known; known are {}", known())]
    UnknownLine {
        /// What was given.
        text: String,
    },
}

/// `1.40` is the newest known release of its line, `1.40.0` is itself, known or
/// not; a leading `v` is allowed.
impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match numbers(text.strip_prefix('v').unwrap_or(text)).as_deref() {
            Some(&[major, minor, patch]) => Ok(Self::new(major, minor, patch)),
            Some(&[major, minor]) => Self::KNOWN
                .into_iter()
                .find(|known| known.is_same_line(Self::new(major, minor, 0)))
                .ok_or_else(|| VersionError::UnknownLine {
                    text: text.to_owned(),
                }),
            _ => Err(VersionError::NotAVersion {
                text: text.to_owned(),
            }),
        }
    }
}

/// The known releases as a list for messages.
pub(crate) fn known() -> String {
    Version::KNOWN
        .map(|version| format!("`{version}`"))
        .join(", ")
}

fn numbers(text: &str) -> Option<Vec<u16>> {
    text.split('.')
        .map(|part| {
            part.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| part.parse().ok())?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_means_its_newest_known_release() {
        assert_eq!("1.40".parse::<Version>().unwrap(), Version::new(1, 40, 0));
        assert_eq!("v1.39".parse::<Version>().unwrap(), Version::new(1, 39, 3));
        assert_eq!("1.38.0".parse::<Version>().unwrap(), Version::new(1, 38, 0));
    }

    #[test]
    fn an_unknown_line_names_the_known_releases() {
        let error = "1.35".parse::<Version>().unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("known are `1.40.0`, `1.39.3`, `1.38.2`, `1.37.0`, `1.36.4`"),
            "{error}"
        );
    }

    #[test]
    fn other_texts_are_not_versions() {
        for text in [
            "",
            "1",
            "1.",
            "1.4x",
            "+1.40",
            "1.40.0.1",
            "latest",
            "1.99999999",
        ] {
            let error = text.parse::<Version>().unwrap_err();
            assert!(
                matches!(error, VersionError::NotAVersion { .. }),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn the_version_is_read_from_what_envoy_answers() {
        let answer = "\n/usr/bin/envoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL\n\n";
        assert_eq!(Version::from_answer(answer), Some(Version::new(1, 40, 0)));
        let istio = "envoy  version: 9e55/1.36.1-dev/Clean/RELEASE/BoringSSL";
        assert_eq!(Version::from_answer(istio), Some(Version::new(1, 36, 1)));
        assert_eq!(Version::from_answer("GNU bash, version 5.2"), None);
    }
}
