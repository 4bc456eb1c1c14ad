//! The real Envoy that the command line means, and what takes its time.

use std::time::{Duration, Instant};

use attache_envoy::{Environment, Installation, Selection, Version};
use attache_suite::Progress;

use super::screen::Screen;

/// How often a download says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Finds the Envoy that the command line names, or this one.
pub(super) fn envoy(
    named: Option<&Selection>,
    meant: Option<Version>,
    screen: &Screen,
) -> anyhow::Result<Installation> {
    let selection = match (named, meant) {
        (Some(selection), _) => selection.clone(),
        (None, Some(version)) => Selection::Version(version),
        (None, None) => Selection::Default,
    };
    let mut told: Option<Instant> = None;
    let found = attache_envoy::find(&selection, &Environment::current(), &mut |progress| {
        use attache_envoy::Progress;
        match progress {
            Progress::PassedOver { path, reason } => {
                screen.warn(format_args!("`{}` is not used: {reason}", path.display()));
            }
            Progress::Waiting { .. } => {
                screen.stage("Waiting", "for another process that installs Envoy");
            }
            Progress::Downloading {
                received, total, ..
            } if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) => {
                told = Some(Instant::now());
                let (received, total) = (received >> 20, total >> 20);
                screen.stage("Fetching", format_args!("Envoy: {received} of {total} MiB"));
            }
            Progress::Installed { path } => {
                screen.stage("Installed", format_args!("Envoy as {}", path.display()));
            }
            _ => {}
        }
    })?;
    Ok(found)
}

/// Says what takes its time.
pub(super) fn tell(screen: &Screen, progress: Progress<'_>) {
    match progress {
        Progress::Building { package } => screen.stage("Building", package),
        Progress::Notice(notice) => screen.stage("Target", notice),
        Progress::StartingEnvoy { cases } => {
            let plural = if cases == 1 { "case" } else { "cases" };
            screen.stage("Starting", format_args!("Envoy for {cases} {plural}"));
        }
        _ => {}
    }
}
