//! How a case is played in these tests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use attache_envoy::tcp::ClosedPort;
use attache_envoy::{Environment, Envoy, Installation, RunFolder, Selection};
use attache_module::Guest;
use attache_suite::{Case, Seen, on_both, on_harness};

/// A case with what must be seen, for both hosts.
pub(crate) type Play = (Case, fn(&Seen));

/// A module of this workspace, built once for all tests.
pub(crate) fn module(package: &'static str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let build = || {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let guest = Guest::in_workspace(folder, Some(package));
        guest
            .build(&mut |_| ())
            .unwrap_or_else(|error| panic!("{error}"))
            .path
    };
    built.entry(package).or_insert_with(build).clone()
}

/// A file of the repository.
pub(crate) fn repository_file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// An empty folder of this name, which no other test run has while the value lives.
pub(crate) fn folder(name: &str) -> RunFolder {
    let wanted = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    RunFolder::claim(&wanted).unwrap_or_else(|error| panic!("{}: {error}", wanted.display()))
}

/// Plays on the harness and checks what was seen.
pub(crate) fn check_harness((case, check): Play) {
    check(&on_harness(&case).unwrap_or_else(|error| panic!("{}", chain(&error))));
}

/// Plays on a real Envoy too, and demands the same.
pub(crate) fn check_both(name: &str, (case, check): Play) {
    let folder = folder(name);
    let (predicted, seen) =
        on_both(&case, envoy(), &folder).unwrap_or_else(|error| panic!("{}", chain(&error)));
    check(&seen);
    assert_eq!(predicted, seen, "left: the harness, right: Envoy");
}

/// Where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    static CLOSED: OnceLock<ClosedPort> = OnceLock::new();
    CLOSED.get_or_init(|| ClosedPort::take().unwrap()).address()
}

/// Waits until something is so, however busy the machine is. What never is so shows where it is looked
/// at.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The lines of filters in Envoy's log, once there are so many.
pub(crate) fn lines_of_filters(envoy: &Envoy, count: usize) -> Vec<String> {
    let mut reader = envoy.read_log();
    let mut found: Vec<String> = Vec::new();
    until(|| {
        let fresh = reader.next_lines().unwrap().into_iter();
        let own = fresh.filter_map(|line| Some(line.message.strip_prefix("wasm log ")?.to_owned()));
        found.extend(own);
        found.len() >= count
    });
    found
}

pub(crate) fn envoy() -> &'static Installation {
    static ENVOY: OnceLock<Installation> = OnceLock::new();
    ENVOY.get_or_init(|| {
        attache_envoy::find(&Selection::Default, &Environment::current(), &mut |_| ())
            .unwrap_or_else(|error| panic!("{}", chain(&error)))
    })
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// Writes two tests for each play: one on the harness, and one on both hosts.
macro_rules! plays {
    ($($(#[doc = $doc:literal])* $name:ident => $play:expr;)+) => {
        mod on_harness {
            use super::*;
            $($(#[doc = $doc])* #[test] fn $name() { crate::both::check_harness($play); })+
        }
        mod on_both {
            use super::*;
            $(
                $(#[doc = $doc])*
                #[test]
                #[ignore = "needs Envoy"]
                fn $name() {
                    let name = concat!(module_path!(), "::", stringify!($name));
                    crate::both::check_both(&name.replace("::", "-"), $play);
                }
            )+
        }
    };
}
pub(crate) use plays;
