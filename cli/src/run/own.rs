//! Filters in a configuration of the user's own.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use attache_envoy::{Envoy, Installation, StartOptions, insert_before_routers};

use crate::screen::{Screen, shown};

use super::chain::Place;
use super::seconds;

/// Starts Envoy with a configuration of the user's, to which only the filters are added.
pub(super) fn start(
    place: &Place,
    bootstrap: &Path,
    installation: &Installation,
    screen: &Screen,
) -> anyhow::Result<Envoy> {
    let name = shown(bootstrap);
    let text = fs::read_to_string(bootstrap)
        .with_context(|| format!("cannot read the configuration `{name}`"))?;
    let inserted = insert_before_routers(&text, &place.discovered())
        .with_context(|| format!("cannot put a filter into `{name}`"))?;
    let config = place.folder.join("envoy.yaml");
    fs::write(&config, inserted.text)
        .with_context(|| format!("cannot write `{}`", config.display()))?;
    let plural = if inserted.routers == 1 {
        "router"
    } else {
        "routers"
    };
    screen.stage(
        "Inserted",
        format_args!(
            "before {} {plural}; the configuration is {}",
            inserted.routers,
            shown(&config)
        ),
    );
    screen.stage("Starting", format_args!("Envoy {}", installation.version));
    let begun = Instant::now();
    let options = StartOptions {
        discovered: place.discovered(),
        ..StartOptions::default()
    };
    let envoy = Envoy::start(installation, &config, &place.folder, options)
        .with_context(|| format!("cannot start `{name}` with the filter in Envoy"))?;
    let listeners = envoy.listeners()?;
    if listeners.is_empty() {
        bail!("`{name}` has no listener on the network");
    }
    for (listener, address) in listeners {
        let took = seconds(begun.elapsed());
        screen.stage(
            "Ready",
            format_args!("`{listener}` on {address} after {took}"),
        );
    }
    screen.stage("Admin", format_args!("http://{}", envoy.admin_address()));
    Ok(envoy)
}
