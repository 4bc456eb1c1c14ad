//! Plugins that are replaced while they serve.

use std::path::Path;

use super::plugin::{Plugins, source};
use super::{PlannedReload, Source};
use crate::case::{Filter, Step};
use crate::file::{ReloadFile, configuration};
use crate::yaml::{Fault, nearest};

/// The filters of a chain as they stand after each reload.
pub(super) struct Reloads<'f> {
    current: Vec<(Filter, Source)>,
    folder: Option<&'f Path>,
    /// The modules of those that come in.
    pub(super) sources: Vec<Source>,
    pub(super) planned: Vec<PlannedReload>,
}

impl<'f> Reloads<'f> {
    pub(super) fn new(plugins: &Plugins, folder: Option<&'f Path>) -> Self {
        let sources = plugins.sources.iter().cloned();
        Self {
            current: plugins.filters.iter().cloned().zip(sources).collect(),
            folder,
            sources: Vec::new(),
            planned: Vec::new(),
        }
    }

    pub(super) fn step(&mut self, step: usize, file: &ReloadFile) -> Result<Step, Fault> {
        let place = self.find(file.plugin.as_deref())?;
        let (mut filter, mut from) = self.current[place].clone();
        if file.package.is_some() || file.module.is_some() {
            (from, _) = source(file.package.as_ref(), file.module.as_ref(), self.folder)?;
        }
        if let Some(value) = &file.configuration {
            filter.configuration = Some(configuration(value));
        }
        if let Some(value) = &file.vm_configuration {
            filter.vm_configuration = Some(configuration(value));
        }
        if let Some(environment) = &file.environment {
            filter.environment.clone_from(environment);
        }
        self.sources.push(from.clone());
        self.planned.push(PlannedReload {
            refused: file.refused.clone(),
            step,
        });
        if file.refused.is_none() {
            self.current[place] = (filter.clone(), from);
        }
        Ok(Step::Reload(Box::new(filter)))
    }

    fn find(&self, name: Option<&str>) -> Result<usize, Fault> {
        let names = || self.current.iter().map(|(filter, _)| filter.name.as_str());
        let Some(name) = name else {
            return match self.current.len() {
                1 => Ok(0),
                _ => Err(Fault::new(
                    "expected `plugin`, the name of the filter that is replaced",
                )),
            };
        };
        let mut places = names().enumerate().filter(|(_, known)| *known == name);
        match (places.next(), places.next()) {
            (Some((place, _)), None) => Ok(place),
            (Some(_), Some(_)) => Err(Fault::new(format!(
                "two filters of the chain are called `{name}`; give one another `name`"
            ))
            .under("plugin")),
            (None, _) => {
                let hint = nearest(name, names()).map_or_else(
                    || "expected the name of a filter of the chain".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                let reason = format!("no filter of the chain is called `{name}`; {hint}");
                Err(Fault::new(reason).under("plugin"))
            }
        }
    }
}
