//! Which callbacks of modules were called.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use attache_module::Facts;
use serde_json::{Value, json};

use crate::report::Report;

/// How often each callback of each module was called, on the harness, in the first worker: what a suite does
/// not reach is at 0.
///
/// `Display` prints a list for each module.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    modules: BTreeMap<PathBuf, BTreeMap<String, u64>>,
}

impl Coverage {
    /// Adds what the cases of a report have called.
    pub fn add(&mut self, report: &Report) {
        for case in &report.cases {
            for (plugin, module) in &case.modules {
                let callbacks = self
                    .modules
                    .entry(module.clone())
                    .or_insert_with(|| exported(module));
                for phase in case.phases.iter().filter(|phase| phase.plugin == *plugin) {
                    if let Some(calls) = callbacks.get_mut(phase.callback) {
                        *calls += phase.calls;
                    }
                }
            }
        }
    }

    /// One object for each module, for programs: `module`, and `callbacks` with the number of calls of each.
    #[must_use]
    pub fn json_lines(&self) -> Vec<Value> {
        let line = |(module, callbacks): (&PathBuf, &BTreeMap<String, u64>)| json!({ "module": module, "callbacks": callbacks });
        self.modules.iter().map(line).collect()
    }
}

/// The callbacks that a module has; none of one that cannot be read, which the host refuses.
fn exported(module: &PathBuf) -> BTreeMap<String, u64> {
    let bytes = std::fs::read(module).unwrap_or_default();
    let exports = Facts::read(&bytes).map_or_else(|_| Vec::new(), |facts| facts.exports);
    let is_callback = |name: &String| {
        let named = name.starts_with("proxy_on_") || name.starts_with("envoy_on_");
        // An allocator by the names of an old ABI.
        named && name != "proxy_on_memory_allocate"
    };
    let callbacks = exports.into_iter().filter(is_callback);
    callbacks.map(|name| (name, 0)).collect()
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (module, callbacks) in &self.modules {
            let called = callbacks.values().filter(|calls| **calls > 0).count();
            let all = callbacks.len();
            let name = module.file_name().unwrap_or(module.as_os_str());
            writeln!(
                f,
                "{}: {called} of {all} callbacks were called",
                name.display()
            )?;
            for (callback, calls) in callbacks {
                match calls {
                    0 => writeln!(f, "  {callback:<40} never")?,
                    calls => writeln!(f, "  {callback:<40} {calls}")?,
                }
            }
        }
        Ok(())
    }
}
