use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::environment::Environment;
use crate::program;

/// A platform that Envoy is published for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Platform {
    /// Linux on x86_64 with glibc 2.31 or later.
    LinuxX86_64,
    /// Linux on aarch64 with glibc 2.31 or later.
    LinuxAarch64,
    /// macOS 15 or later on arm64.
    MacosArm64,
}

impl Platform {
    /// The platform of this process. On Linux the C library is asked for its
    /// version with `getconf` or `ldd`, on macOS the system with `sw_vers`.
    ///
    /// # Errors
    ///
    /// [`PlatformError`], if Envoy is not published for it.
    pub fn detect(environment: &Environment) -> Result<Self, PlatformError> {
        let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
        let release = match system {
            "linux" => c_library(environment),
            "macos" => macos(environment),
            _ => Release::Unknown,
        };
        Self::choose(system, machine, release)
    }

    /// The tag of this platform in the names of Python wheels (PEP 425).
    #[must_use]
    pub fn wheel_tag(self) -> &'static str {
        match self {
            Self::LinuxX86_64 => "manylinux_2_31_x86_64",
            Self::LinuxAarch64 => "manylinux_2_31_aarch64",
            Self::MacosArm64 => "macosx_15_0_arm64",
        }
    }

    fn choose(system: &str, machine: &str, release: Release) -> Result<Self, PlatformError> {
        match (system, machine, release) {
            ("linux", "x86_64", Release::Glibc(version)) if version >= (2, 31) => {
                Ok(Self::LinuxX86_64)
            }
            ("linux", "aarch64", Release::Glibc(version)) if version >= (2, 31) => {
                Ok(Self::LinuxAarch64)
            }
            ("macos", "aarch64", Release::Macos(version)) if version >= (15, 0) => {
                Ok(Self::MacosArm64)
            }
            _ => Err(PlatformError {
                found: format!("{system} on {machine}{release}"),
            }),
        }
    }
}

/// The name that folders of the cache carry.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinuxX86_64 => "linux-x86_64",
            Self::LinuxAarch64 => "linux-aarch64",
            Self::MacosArm64 => "macos-arm64",
        })
    }
}

/// Envoy is not published for this platform.
#[derive(Debug, thiserror::Error)]
#[error(
    "no Envoy is published for `{found}`, only for Linux with glibc 2.31 or later on x86_64 and aarch64, \
     and for macOS 15 or later on arm64; name one of your own with `ENVOY=/path/to/envoy` or `--envoy PATH`"
)]
#[non_exhaustive]
pub struct PlatformError {
    /// What was found.
    pub found: String,
}

/// What decides, beside system and machine, whether a published binary runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Release {
    Glibc((u32, u32)),
    Musl,
    Macos((u32, u32)),
    Unknown,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Glibc((major, minor)) => write!(f, " with glibc {major}.{minor}"),
            Self::Musl => f.write_str(" with musl"),
            Self::Macos((major, minor)) => write!(f, " in release {major}.{minor}"),
            Self::Unknown => f.write_str(" with an unknown C library"),
        }
    }
}

fn c_library(environment: &Environment) -> Release {
    let getconf = answer(environment, "getconf", &["GNU_LIBC_VERSION"]);
    let from_getconf = getconf.as_deref().map_or(Release::Unknown, read_c_library);
    if from_getconf != Release::Unknown {
        return from_getconf;
    }
    let ldd = answer(environment, "ldd", &["--version"]);
    ldd.as_deref().map_or(Release::Unknown, read_c_library)
}

fn macos(environment: &Environment) -> Release {
    answer(environment, "sw_vers", &["-productVersion"])
        .and_then(|answer| two_numbers(answer.trim()))
        .map_or(Release::Unknown, Release::Macos)
}

/// Reads `glibc 2.36` of getconf, the first line of glibc's ldd (`ldd (Debian
/// GLIBC 2.36-9+deb12u14) 2.36`), and musl's ldd, which says `musl libc`.
fn read_c_library(answer: &str) -> Release {
    if answer.contains("musl") {
        return Release::Musl;
    }
    answer
        .lines()
        .next()
        .filter(|line| line.starts_with("glibc ") || line.starts_with("ldd "))
        .and_then(|line| two_numbers(line.split_whitespace().last()?))
        .map_or(Release::Unknown, Release::Glibc)
}

fn two_numbers(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next().map_or(Some(0), |part| part.parse().ok())?;
    Some((major, minor))
}

/// What a small program says on either output; musl's ldd uses the second and
/// ends with a failure.
fn answer(environment: &Environment, name: &str, arguments: &[&str]) -> Option<String> {
    let program = environment.program(name).or_else(|| {
        ["/usr/bin", "/bin"]
            .map(|folder| Path::new(folder).join(name))
            .into_iter()
            .find(|path| path.is_file())
    })?;
    let mut command = environment.command(&program);
    command.args(arguments);
    let output = program::run(command, Duration::from_secs(10)).ok()?;
    Some(output.stdout + &output.stderr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_library_is_read_from_either_program() {
        assert_eq!(read_c_library("glibc 2.36\n"), Release::Glibc((2, 36)));
        let debian = "ldd (Debian GLIBC 2.36-9+deb12u14) 2.36\nCopyright (C) 2022\n";
        assert_eq!(read_c_library(debian), Release::Glibc((2, 36)));
        assert_eq!(
            read_c_library("ldd (GNU libc) 2.28\n"),
            Release::Glibc((2, 28))
        );
        assert_eq!(
            read_c_library("musl libc (x86_64)\nVersion 1.2.5\n"),
            Release::Musl
        );
        assert_eq!(
            read_c_library("getconf: GNU_LIBC_VERSION: unknown variable\n"),
            Release::Unknown
        );
    }

    #[test]
    fn the_published_platforms_are_chosen() {
        let choose = Platform::choose;
        assert_eq!(
            choose("linux", "x86_64", Release::Glibc((2, 31))).unwrap(),
            Platform::LinuxX86_64
        );
        assert_eq!(
            choose("linux", "aarch64", Release::Glibc((3, 0))).unwrap(),
            Platform::LinuxAarch64
        );
        assert_eq!(
            choose("macos", "aarch64", Release::Macos((15, 2))).unwrap(),
            Platform::MacosArm64
        );
    }

    #[test]
    fn an_unsupported_platform_is_told_what_was_found_and_the_way_out() {
        for (system, machine, release, found) in [
            (
                "linux",
                "x86_64",
                Release::Musl,
                "`linux on x86_64 with musl`",
            ),
            (
                "linux",
                "x86_64",
                Release::Glibc((2, 28)),
                "`linux on x86_64 with glibc 2.28`",
            ),
            (
                "linux",
                "riscv64",
                Release::Glibc((2, 39)),
                "`linux on riscv64 with glibc 2.39`",
            ),
            (
                "macos",
                "aarch64",
                Release::Macos((14, 7)),
                "`macos on aarch64 in release 14.7`",
            ),
            (
                "macos",
                "x86_64",
                Release::Macos((15, 1)),
                "`macos on x86_64 in release 15.1`",
            ),
        ] {
            let message = Platform::choose(system, machine, release)
                .unwrap_err()
                .to_string();
            assert!(message.contains(found), "{message}");
            assert!(
                message.contains("glibc 2.31 or later on x86_64 and aarch64"),
                "{message}"
            );
            assert!(
                message.contains("`ENVOY=/path/to/envoy` or `--envoy PATH`"),
                "{message}"
            );
        }
    }
}
