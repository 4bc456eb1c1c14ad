//! The filters without an Envoy: the program `attache-test` serves them by the harness.

use std::ffi::OsString;
use std::path::Path;
use std::thread;
use std::time::SystemTime;

use anyhow::{Context, bail};
use attache_envoy::Endpoint;

use crate::arguments::Run;
use crate::handover::TEST;
use crate::screen::{Screen, shown};
use crate::subject::Loaded;
use crate::watch::Watch;

use super::chain::{self, Wanted};
use super::exchange::Sample;

/// Builds the filters, has them served, and builds them again when a source changes: who serves them looks
/// at the modules.
pub(super) fn serve(
    arguments: &Run,
    wanted: &[Wanted],
    sample: &Sample,
    screen: &Screen,
) -> anyhow::Result<()> {
    let since = SystemTime::now();
    let loaded = chain::load(wanted, screen)?;
    chain::check(&loaded, wanted)?;
    let words = words(arguments, wanted, &loaded, sample)?;
    if arguments.once {
        return ended(TEST.run(&words, screen));
    }
    // Modules and configurations are looked at by who serves them; the rest is what modules are made of.
    let built = loaded.iter().filter(|one| one.target.is_some());
    let sources: Vec<&Path> = built
        .flat_map(|one| &one.sources)
        .map(AsRef::as_ref)
        .collect();
    if sources.is_empty() {
        return ended(TEST.run(&words, screen));
    }
    let mut files = Watch::new()?;
    files.set(sources.into_iter())?;
    files.look_back(since);
    thread::scope(|scope| {
        let served = scope.spawn(|| TEST.run(&words, screen));
        loop {
            let changed = files.wait(screen, &mut || match served.is_finished() {
                true => bail!("the harness has ended"),
                false => Ok(()),
            });
            let Ok(changed) = changed else {
                // Its own words have said why.
                return ended(served.join().unwrap_or(Ok(1)));
            };
            screen.stage("Changed", shown(&changed));
            if let Err(error) = chain::load(wanted, screen) {
                screen.error(error.as_ref());
                screen.stage("Serving", "what served before");
            }
        }
    })
}

/// What the program is told.
fn words(
    arguments: &Run,
    wanted: &[Wanted],
    loaded: &[Loaded],
    sample: &Sample,
) -> anyhow::Result<Vec<OsString>> {
    let mut words = vec![OsString::from("serve")];
    for (one, wanted) in loaded.iter().zip(wanted) {
        let mut add = |option: &str, value: OsString| {
            let mut word = OsString::from(format!("{}=", one.name));
            word.push(value);
            words.extend([OsString::from(option), word]);
        };
        add("--plugin", one.path.clone().into());
        if let Some(config) = &wanted.config {
            let config = std::path::absolute(config)
                .with_context(|| format!("`{}` is not a path", config.display()))?;
            add("--config", config.into());
        }
        if let Some(root_id) = &wanted.root_id {
            add("--root-id", root_id.into());
        }
    }
    if let Some(upstream) = &arguments.upstream {
        words.extend(["--upstream".into(), written(upstream).into()]);
    }
    for (name, server) in &arguments.cluster {
        words.extend([
            "--cluster".into(),
            format!("{name}={}", written(server)).into(),
        ]);
    }
    if let Some(har) = &arguments.har {
        let har = std::path::absolute(har)
            .with_context(|| format!("`{}` is not a path", har.display()))?;
        words.extend(["--har".into(), har.into()]);
    }
    words.extend(["--port".into(), arguments.port.to_string().into()]);
    words.extend(sample.options());
    words.extend(arguments.once.then(|| "--once".into()));
    words.extend(arguments.json.then(|| "--json".into()));
    Ok(words)
}

fn written(server: &Endpoint) -> String {
    match server.host().contains(':') {
        true => format!("[{}]:{}", server.host(), server.port()),
        false => format!("{}:{}", server.host(), server.port()),
    }
}

fn ended(status: anyhow::Result<u8>) -> anyhow::Result<()> {
    match status? {
        0 => Ok(()),
        _ => bail!("the harness does not serve the filters"),
    }
}
