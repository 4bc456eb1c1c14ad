//! Suites about a module that the command line gives.

use std::fs;
use std::path::{Path, PathBuf};

use attache_module::Facts;

use super::{Suite, SuiteError};
use crate::plan::Source;

impl Suite {
    /// Reads a suite from a text that came without the modules that it names, and puts this one in their place, as
    /// [`Suite::with_module`] does. `path` is what it is called.
    ///
    /// # Errors
    ///
    /// [`SuiteError::Invalid`] and [`SuiteError::SeveralPlugins`].
    pub fn of_module(
        path: impl Into<PathBuf>,
        text: impl Into<String>,
        module: &Path,
        configuration: Option<&str>,
    ) -> Result<Self, SuiteError> {
        Self::read(path.into(), text.into(), None)?.with_module(module, configuration)
    }

    /// Puts a module in the place of the only plugin of each case, so that one suite can judge several
    /// modules, of any language. The configuration is for plugins that the suite gives none. A root id
    /// that the module does not declare becomes the first that it does.
    ///
    /// # Errors
    ///
    /// [`SuiteError::SeveralPlugins`] where a case has several.
    pub fn with_module(
        mut self,
        module: &Path,
        configuration: Option<&str>,
    ) -> Result<Self, SuiteError> {
        let declared = declared(module);
        for plan in &mut self.plans {
            let first = plan.sources.first().cloned();
            // A plugin that is replaced by itself, with another configuration, is one.
            if plan
                .sources
                .iter()
                .any(|source| Some(source) != first.as_ref())
            {
                return Err(SuiteError::SeveralPlugins {
                    path: self.path,
                    case: plan.name.clone(),
                });
            }
            plan.sources.fill(Source::File(module.to_owned()));
            for plugin in plan.case.plugins_mut() {
                if let Some(first) = declared.first()
                    && !declared.contains(&plugin.root_id)
                {
                    plugin.root_id.clone_from(first);
                }
                if plugin.configuration.is_none() {
                    plugin.configuration = configuration.map(str::to_owned);
                }
            }
        }
        Ok(self)
    }
}

/// The root ids that a module declares. What cannot be read is for the host to refuse.
pub(crate) fn declared(module: &Path) -> Vec<String> {
    let bytes = fs::read(module).unwrap_or_default();
    let declarations = Facts::read(&bytes).map_or_else(|_| Vec::new(), |facts| facts.declarations);
    let root_ids = declarations
        .into_iter()
        .map(|declaration| declaration.root_id);
    root_ids.collect()
}
