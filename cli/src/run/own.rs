//! Filters in a configuration of the user's own.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use attache_envoy::{Envoy, Installation, StartOptions, insert_before_routers};

use crate::screen::{Screen, shown};

use super::chain::Place;
use super::seconds;

/// A configuration of the user's.
pub(super) struct Own {
    name: String,
    text: String,
}

impl Own {
    pub(super) fn read(bootstrap: &Path) -> anyhow::Result<Self> {
        let name = shown(bootstrap).to_string();
        let text = fs::read_to_string(bootstrap)
            .with_context(|| format!("cannot read the bootstrap `{name}`"))?;
        if !["static_resources", "staticResources", "dynamic_resources"]
            .iter()
            .any(|key| text.contains(key))
        {
            bail!(
                "`{name}` is no bootstrap of Envoy's: it has no `static_resources`; expected the file that \
                 `envoy --config-path` takes"
            );
        }
        Ok(Self { name, text })
    }

    /// Starts Envoy with it, and adds nothing but the filters.
    pub(super) fn start(
        &self,
        place: &Place,
        installation: &Installation,
        screen: &Screen,
    ) -> anyhow::Result<Envoy> {
        start(place, self, installation, screen)
    }
}

fn start(
    place: &Place,
    own: &Own,
    installation: &Installation,
    screen: &Screen,
) -> anyhow::Result<Envoy> {
    let Own { name, text } = own;
    let inserted = insert_before_routers(text, &place.discovered())
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
