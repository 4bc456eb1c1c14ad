//! `attache deploy`

use std::fs;

use anyhow::{Context, bail};
use attache_package::registry::Reference;
use attache_package::{Digest, Failure, Layout, Phase, Plugin, Published, Target};
use serde_json::Value;

use super::arguments::{Deploy, InPhase, OnFailure, To};
use super::remote::{clear, wait};
use super::{print, stage};

pub(super) fn deploy(arguments: &Deploy) -> anyhow::Result<()> {
    let target = target(arguments)?;
    let (published, image) = find(arguments)?;
    if image.is_none() && target != Target::Envoy {
        bail!(
            "where is the image published? Name it with --image registry/repository:tag, as `attache push` prints it"
        );
    }
    let mut plugin = plugin(arguments, &published, image.as_deref().unwrap_or_default())?;
    if let Some(folder) = &arguments.write {
        if target != Target::Envoy {
            bail!("--write is for `--to envoy`: {target} fetches the image itself");
        }
        let path = folder.join(format!("{}.wasm", Digest::of(&published.bytes).hex()));
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, &published.bytes))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        stage("Wrote", path.display());
        plugin.file = Some(path);
    }
    print(&plugin.manifest(&published, target)?)?;
    Ok(())
}

/// The image, from its folder or its registry, and where it is published.
fn find(arguments: &Deploy) -> anyhow::Result<(Published, Option<String>)> {
    if !Reference::is_meant_by(&arguments.image_or_tag) {
        let layout = Layout::open(&arguments.images)?;
        if arguments.trust.policy.is_some() {
            let Some(image) = &arguments.image else {
                bail!("--policy goes by the name in a registry: give it with --image");
            };
            let graph = layout.graph(&arguments.image_or_tag)?;
            arguments.trust.judge(&graph, &image.parse()?)?;
        }
        let published = layout.module(&arguments.image_or_tag)?;
        return Ok((published, arguments.image.clone()));
    }
    let reference: Reference = arguments.image_or_tag.parse()?;
    let client = arguments.remote.client(&arguments.trust)?;
    stage("Fetching", &reference);
    let pulled = wait(async { Ok(client.pull(&reference).await?) });
    clear();
    let pulled = pulled?;
    let image = arguments.image.clone();
    Ok((
        pulled.image,
        image.or(Some(of_image(&reference, &pulled.reference))),
    ))
}

/// What the manifest calls the image: as it was asked for, but for the digest of a list, in whose place is that of the
/// image in it that proxies take.
fn of_image(asked: &Reference, pulled: &Reference) -> String {
    match asked.digest().is_some() && asked.digest() != pulled.digest() {
        true => pulled.to_string(),
        false => asked.to_string(),
    }
}

fn target(arguments: &Deploy) -> anyhow::Result<Target> {
    Ok(match arguments.to {
        To::Envoy => Target::Envoy,
        To::EnvoyGateway => Target::EnvoyExtensionPolicy,
        To::Istio if has_traffic_extension(&arguments.istio_version)? => Target::TrafficExtension,
        To::Istio => Target::WasmPlugin,
    })
}

/// Istio has the kind since 1.30.
fn has_traffic_extension(version: &str) -> anyhow::Result<bool> {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor) >= (1, 30)),
        _ => bail!("`{version}` is not a version of Istio: expected such as `1.30`"),
    }
}

fn plugin(arguments: &Deploy, published: &Published, image: &str) -> anyhow::Result<Plugin> {
    let title = "org.opencontainers.image.title";
    let name = arguments
        .name
        .as_ref()
        .or_else(|| published.manifest.annotations.get(title));
    let Some(name) = name else {
        bail!("the image does not say the filter's name: give one with --name");
    };
    let mut plugin = Plugin::new(name, image);
    plugin.namespace.clone_from(&arguments.namespace);
    plugin.file.clone_from(&arguments.file);
    plugin.root_id.clone_from(&arguments.root_id);
    plugin.priority = arguments.priority;
    plugin.gateway.clone_from(&arguments.gateway);
    plugin.pull_secret.clone_from(&arguments.pull_secret);
    plugin.failure = match arguments.failure {
        OnFailure::Reload => Failure::Reload,
        OnFailure::Close => Failure::Close,
        OnFailure::Open => Failure::Open,
    };
    plugin.phase = arguments.phase.map(|phase| match phase {
        InPhase::Authn => Phase::Authn,
        InPhase::Authz => Phase::Authz,
        InPhase::Stats => Phase::Stats,
    });
    if let Some(path) = &arguments.config {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        let config: Value = serde_json::from_str(&text)
            .with_context(|| format!("`{}` is not JSON", path.display()))?;
        plugin.config = Some(config);
    }
    for word in &arguments.selector {
        let Some((label, value)) = word.split_once('=') else {
            bail!("`{word}` is not a label: expected LABEL=VALUE");
        };
        plugin.selector.push((label.to_owned(), value.to_owned()));
    }
    for word in &arguments.environment {
        let variable = match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word.clone(), None),
        };
        plugin.environment.push(variable);
    }
    Ok(plugin)
}
