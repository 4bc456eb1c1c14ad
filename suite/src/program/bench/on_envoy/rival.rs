//! What a filter is compared with beside no filter: Envoy's own filters, and scripts.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use attache_envoy::{FilterSource, NativeFilter};

use super::super::arguments::Arguments;

/// What kind of filter a listener has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Module,
    Native,
    Lua,
}

impl Kind {
    /// For programs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Native => "native",
            Self::Lua => "lua",
        }
    }

    /// A filter of the kind, for people.
    pub(super) fn called(self, name: &str) -> String {
        match self {
            Self::Module => name.to_owned(),
            Self::Native => format!("native `{name}`"),
            Self::Lua => format!("Lua `{name}`"),
        }
    }
}

/// A filter that is no module.
pub(in crate::program::bench) struct Rival {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) source: FilterSource,
}

impl Rival {
    /// Those that the command line names, its native filters first.
    pub(in crate::program::bench) fn all(arguments: &Arguments) -> anyhow::Result<Vec<Self>> {
        let native = arguments.native.iter().map(|path| native(path));
        native
            .chain(arguments.lua.iter().map(|path| lua(path)))
            .collect()
    }
}

fn native(path: &Path) -> anyhow::Result<Rival> {
    let shown = path.display();
    if has_ending(path, "lua") {
        bail!("`{shown}` is a script: `--lua {shown}` takes it");
    }
    let filter = NativeFilter::from_entry(&read(path)?)
        .with_context(|| format!("`{shown}` is no filter of a bootstrap"))?;
    Ok(Rival {
        name: name_of(path),
        kind: Kind::Native,
        source: FilterSource::Native(filter),
    })
}

fn lua(path: &Path) -> anyhow::Result<Rival> {
    let shown = path.display();
    if has_ending(path, "yaml") || has_ending(path, "yml") || has_ending(path, "json") {
        bail!(
            "`{shown}` is no script, by its name; `--native {shown}` takes an entry of a bootstrap"
        );
    }
    let script = read(path)?;
    if !script.contains("envoy_on_request") && !script.contains("envoy_on_response") {
        bail!(
            "`{shown}` has neither `envoy_on_request` nor `envoy_on_response`, the functions that Envoy calls; \
             without them it does nothing"
        );
    }
    Ok(Rival {
        name: name_of(path),
        kind: Kind::Lua,
        source: FilterSource::Native(NativeFilter::lua(&script)),
    })
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|it| it == ending)
}

fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    attache_module::harmless_line(&stem).to_string()
}
