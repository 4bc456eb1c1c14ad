//! The module that is measured.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use attache_harness::Plugin;
use attache_module::{Facts, Named, Output, configuration};

use super::Screen;
use super::arguments::Arguments;

/// The folder that is meant where nothing is named.
pub(super) const HERE: &str = ".";

/// A module with its configuration.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) root_id: String,
    pub(super) configuration: Option<String>,
    /// Whether it needs the host option by which headers wait for it.
    pub(super) holds_headers: bool,
}

impl Subject {
    /// A file that ends in `.wasm` is a module, a folder is a package's, and any other word names a package of
    /// the workspace here, which is built.
    pub(super) fn load(word: &str, arguments: &Arguments, screen: &Screen) -> anyhow::Result<Self> {
        let configuration = arguments.config.as_deref().map(configuration);
        let configuration = configuration.transpose()?;
        let (name, bytes, facts) = module(word, configuration.is_some(), screen)?;
        let described = facts.description.as_ref();
        let declared = facts.declarations.first();
        let root_id = arguments
            .root_id
            .clone()
            .or_else(|| declared.map(|declaration| declaration.root_id.clone()))
            .unwrap_or_default();
        let mut filters = described.into_iter().flat_map(|it| &it.filters);
        if let Some(filter) = filters.find(|filter| filter.root_id == root_id)
            && filter.kind != "http"
        {
            bail!(
                "`{root_id}` is of the kind `{}`, and requests pass HTTP filters; measure a suite of it: \
                 `attache bench FILE.suite.yaml`",
                filter.kind
            );
        }
        Ok(Self {
            name,
            bytes,
            root_id,
            configuration,
            holds_headers: described
                .is_some_and(|it| it.host_options.allow_on_headers_stop_iteration),
        })
    }

    /// What the harness loads.
    pub(super) fn plugin(&self) -> Plugin {
        let mut plugin =
            Plugin::from_bytes(&self.name, self.bytes.clone()).root_id(self.root_id.as_str());
        if self.holds_headers {
            plugin = plugin.allow_on_headers_stop_iteration();
        }
        if let Some(configuration) = &self.configuration {
            plugin = plugin.config(configuration.as_str());
        }
        plugin
    }
}

fn module(
    word: &str,
    configured: bool,
    screen: &Screen,
) -> anyhow::Result<(String, Vec<u8>, Facts)> {
    let named = match word {
        HERE => Named::Guest(Named::here(Path::new(HERE))?),
        _ => Named::find(word)?,
    };
    let guest = match named {
        Named::File(path) => {
            let bytes = fs::read(&path).with_context(|| format!("cannot read `{word}`"))?;
            let facts = Facts::read(&bytes).with_context(|| format!("cannot load `{word}`"))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            return Ok((name.into_owned(), bytes, facts));
        }
        Named::Guest(guest) => guest,
    };
    let output = Output {
        color: screen.colors_errors(),
        writer: &mut std::io::stderr(),
    };
    let built = guest.build_showing(output, &mut |notice| screen.stage("Target", notice))?;
    let own = guest.folder().map(|folder| folder.join("config.json"));
    if let Some(own) = own.filter(|own| !configured && own.is_file()) {
        let here = std::env::current_dir().unwrap_or_default();
        screen.warn(format_args!(
            "`{}` is measured without a configuration; --config {} gives it the one of its folder",
            built.name,
            own.strip_prefix(here).unwrap_or(&own).display()
        ));
    }
    Ok((built.name, built.bytes, built.facts))
}
