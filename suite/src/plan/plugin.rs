//! The plugins of a case, and where they stand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Source;
use crate::case::{Entries, Filter, Policy, Service};
use crate::file::{CaseFile, PluginFile, PolicyFile, SuiteFile, configuration};
use crate::yaml::Fault;

/// All plugins of a case. Their modules are those of `sources`, in the order of
/// [`Case::plugins`](crate::case::Case::plugins), and their paths not known yet.
#[derive(Default)]
pub(super) struct Plugins {
    pub(super) filters: Vec<Filter>,
    pub(super) entries: Entries,
    pub(super) sources: Vec<Source>,
}

impl Plugins {
    pub(super) fn of(
        file: &SuiteFile,
        case: &CaseFile,
        folder: Option<&Path>,
    ) -> Result<Self, Fault> {
        let loggers = case.access_loggers.as_ref().unwrap_or(&file.access_loggers);
        let services = case.services.as_ref().unwrap_or(&file.services);
        let sinks = case.stats_sinks.as_ref().unwrap_or(&file.stats_sinks);
        let filters = case.plugins.as_ref().unwrap_or(&file.plugins);
        if filters.is_empty() && loggers.is_empty() && services.is_empty() && sinks.is_empty() {
            return Err(Fault::new(
                "expected `plugins`, here or for the whole suite, with at least one plugin",
            ));
        }
        let mut plugins = Self::default();
        plugins.filters = plugins.read(filters, "plugins", folder)?;
        plugins.entries.access_loggers = plugins.read(loggers, "access_loggers", folder)?;
        let singletons = services.iter().map(|service| service.singleton);
        plugins.entries.services = plugins
            .read(services, "services", folder)?
            .into_iter()
            .zip(singletons)
            .map(|(plugin, singleton)| Service {
                plugin,
                singleton: singleton.unwrap_or_default(),
            })
            .collect();
        plugins.entries.stats_sinks = plugins.read(sinks, "stats_sinks", folder)?;
        let interval = case.stats_flush_interval.or(file.stats_flush_interval);
        plugins.entries.stats_flush_interval = interval.map(|time| time.0);
        plugins.configure(case)?;
        Ok(plugins)
    }

    fn read(
        &mut self,
        files: &[PluginFile],
        key: &str,
        folder: Option<&Path>,
    ) -> Result<Vec<Filter>, Fault> {
        let mut read = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let (filter, source) =
                plugin(file, key, folder).map_err(|fault| fault.within(index).under(key))?;
            read.push(filter);
            self.sources.push(source);
        }
        Ok(read)
    }

    /// Gives the only plugin of the chain the configuration of the case.
    fn configure(&mut self, case: &CaseFile) -> Result<(), Fault> {
        if let Some(value) = &case.configuration {
            let [filter] = self.filters.as_mut_slice() else {
                return Err(Fault::new(
                    "with several plugins nobody knows which is meant; write the case's `plugins`",
                )
                .under("configuration"));
            };
            filter.configuration = Some(configuration(value));
        }
        Ok(())
    }

    pub(super) fn names(&self) -> Vec<&str> {
        let entries = self.entries.plugins();
        let all = self.filters.iter().chain(entries);
        all.map(|filter| filter.name.as_str()).collect()
    }
}

/// What is wrong with the plugins of the whole suite is said once, where it stands.
pub(super) fn sound(file: &SuiteFile, folder: Option<&Path>) -> Result<(), Fault> {
    for (key, files) in [
        ("plugins", &file.plugins),
        ("access_loggers", &file.access_loggers),
        ("services", &file.services),
        ("stats_sinks", &file.stats_sinks),
    ] {
        Plugins::default().read(files, key, folder)?;
    }
    Ok(())
}

/// A plugin in the list under this key.
fn plugin(file: &PluginFile, key: &str, folder: Option<&Path>) -> Result<(Filter, Source), Fault> {
    if file.singleton.is_some() && key != "services" {
        let reason = "only a service runs in the main thread alone; drop this";
        return Err(Fault::new(reason).under("singleton"));
    }
    filter(file, folder)
}

fn filter(plugin: &PluginFile, folder: Option<&Path>) -> Result<(Filter, Source), Fault> {
    let (source, own_name) = source(plugin.package.as_ref(), plugin.module.as_ref(), folder)?;
    let name = plugin.name.clone().unwrap_or(own_name);
    let own = |value: &Option<String>| value.clone().unwrap_or_else(|| name.clone());
    let filter = Filter {
        root_id: own(&plugin.root_id),
        vm_id: own(&plugin.vm_id),
        module: PathBuf::new(),
        configuration: plugin.configuration.as_ref().map(configuration),
        vm_configuration: plugin.vm_configuration.as_ref().map(configuration),
        environment: plugin.environment.clone(),
        policy: match plugin.failure_policy {
            PolicyFile::Closed => Policy::Closed,
            PolicyFile::Open => Policy::Open,
            PolicyFile::Reload => Policy::Reload,
        },
        allow_on_headers_stop_iteration: plugin.allow_on_headers_stop_iteration,
        allowed_capabilities: capabilities(plugin)
            .map_err(|fault| fault.under("allowed_capabilities"))?,
        name,
    };
    Ok((filter, source))
}

/// Names are compared as they are, so that what is no name of Envoy's would allow nothing.
fn capabilities(plugin: &PluginFile) -> Result<BTreeSet<String>, Fault> {
    let Some(names) = &plugin.allowed_capabilities else {
        return Ok(BTreeSet::new());
    };
    if names.is_empty() {
        return Err(Fault::new(
            "expected at least one name; to Envoy an empty list means everything",
        ));
    }
    let mut allowed = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(of_name) {
            let reason = format!(
                "expected the name of a host call, a callback or a WASI function, such as \
                 `proxy_log` or `fd_write`, found `{name}`"
            );
            return Err(Fault::new(reason).within(index));
        }
        if !allowed.insert(name.clone()) {
            return Err(Fault::new(format!("`{name}` is given twice")).within(index));
        }
    }
    Ok(allowed)
}

/// Where a module comes from, and what it is called.
pub(super) fn source(
    package: Option<&String>,
    module: Option<&PathBuf>,
    folder: Option<&Path>,
) -> Result<(Source, String), Fault> {
    match (package, module) {
        (Some(package), None) => Ok((Source::Package(package.clone()), package.clone())),
        (None, Some(module)) => {
            let stem = module.file_stem().unwrap_or_default();
            let path = folder.map_or_else(|| module.clone(), |folder| folder.join(module));
            if folder.is_some() && !path.is_file() {
                let reason = format!(
                    "there is no file `{}`; build it first, or write its path relative to the \
                     suite's folder",
                    path.display()
                );
                return Err(Fault::new(reason).under("module"));
            }
            Ok((Source::File(path), stem.to_string_lossy().into_owned()))
        }
        _ => Err(Fault::new(
            "expected either `package`, which is built, or `module`, a `.wasm` file",
        )),
    }
}
