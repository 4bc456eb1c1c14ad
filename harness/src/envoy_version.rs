//! Which Envoy a host plays, and what the older ones do otherwise.

mod difference;

use std::fmt;

pub(crate) use self::difference::MORE_OF_WASI;
pub use self::difference::VersionDifference;

/// A release line of Envoy that a host can play.
///
/// Of each line it is the newest release whose published binary runs Wasm that was looked at. What
/// differs between lines is the table [`VersionDifference`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum EnvoyVersion {
    /// 1.36
    V1_36,
    /// 1.37
    V1_37,
    /// 1.38
    V1_38,
    /// 1.39
    V1_39,
    /// 1.40, which a host plays unless told otherwise.
    #[default]
    V1_40,
}

impl EnvoyVersion {
    /// All of them, oldest first.
    pub const ALL: [Self; 5] = [
        Self::V1_36,
        Self::V1_37,
        Self::V1_38,
        Self::V1_39,
        Self::V1_40,
    ];

    /// The line of the releases `major.minor`, if a host can play it.
    #[must_use]
    pub fn of_line(major: u16, minor: u16) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|version| major == 1 && version.minor() == minor)
    }

    /// Whether this Envoy is older than a change.
    pub(crate) fn is_before(self, difference: VersionDifference) -> bool {
        self < difference.since()
    }

    /// The release whose binary was looked at.
    pub(crate) fn release(self) -> [u64; 3] {
        let patch = match self {
            Self::V1_36 => 4,
            Self::V1_38 => 2,
            Self::V1_39 => 3,
            Self::V1_37 | Self::V1_40 => 0,
        };
        [1, self.minor().into(), patch]
    }

    fn minor(self) -> u16 {
        match self {
            Self::V1_36 => 36,
            Self::V1_37 => 37,
            Self::V1_38 => 38,
            Self::V1_39 => 39,
            Self::V1_40 => 40,
        }
    }
}

/// `1.40`
impl fmt::Display for EnvoyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_by_its_numbers() {
        for version in EnvoyVersion::ALL {
            assert_eq!(EnvoyVersion::of_line(1, version.minor()), Some(version));
        }
        assert_eq!(EnvoyVersion::of_line(1, 35), None);
        assert_eq!(EnvoyVersion::of_line(2, 40), None);
        assert_eq!(EnvoyVersion::default().to_string(), "1.40");
    }

    #[test]
    fn lines_stand_from_the_oldest_to_the_newest() {
        assert!(EnvoyVersion::ALL.is_sorted());
        assert_eq!(EnvoyVersion::ALL.last(), Some(&EnvoyVersion::default()));
    }
}
