//! `attache inspect`: what a module is, needs and costs, without running it.

mod purpose;
mod text;

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;
use attache_module::{Facts, Inspection, Verdict, sha256};
use serde_json::{Value, json};

use crate::arguments::Inspect;
use crate::screen::Screen;
use crate::subject::{self, Subject};

/// How many functions and crates are listed.
const LISTED: usize = 20;

/// A module that is looked at.
struct Looked {
    name: String,
    sha256: String,
    inspection: Inspection,
}

/// `attache inspect`
pub(crate) fn inspect(arguments: &Inspect, screen: &Screen) -> anyhow::Result<()> {
    let (module, policy) = (arguments.module.as_deref(), arguments.policy.as_deref());
    subject::check_policy(policy, module.as_slice())?;
    let looked = match Subject::named(module, policy, screen)? {
        Subject::Guest(guest) => {
            let built = subject::build(&guest, screen)?;
            Looked::new(built.name, &built.bytes, &built.names)?
        }
        Subject::File(path) => {
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
            // Of an image it is the name and not the file that it was put into.
            let name = module.map_or_else(|| path.display().to_string(), str::to_owned);
            Looked::new(name, &bytes, &BTreeMap::new())?
        }
    };
    let text = match arguments.json {
        true => format!("{}\n", looked.to_json()),
        false => looked.to_text(arguments.functions, screen),
    };
    screen.print(&text)?;
    Ok(())
}

impl Looked {
    fn new(name: String, bytes: &[u8], names: &BTreeMap<u32, String>) -> anyhow::Result<Self> {
        let inspection = Inspection::read_named(bytes, names)
            .with_context(|| format!("nothing can be told of `{name}`"))?;
        Ok(Self {
            sha256: sha256(bytes),
            name,
            inspection,
        })
    }

    fn facts(&self) -> Option<&Facts> {
        self.inspection.facts.as_ref().ok()
    }

    fn to_json(&self) -> Value {
        let Inspection {
            origin,
            memory,
            sizes,
            findings,
            ..
        } = &self.inspection;
        let facts = self.facts();
        let findings = findings.iter().map(|finding| {
            json!({
                "host": finding.host,
                "refuses": finding.verdict == Verdict::Refuses,
                "text": finding.text,
            })
        });
        let imports = facts.into_iter().flat_map(|facts| &facts.imports);
        let imports = imports.map(|import| {
            json!({
                "module": import.module,
                "name": import.name,
                "purpose": purpose::of(&import.module, &import.name),
            })
        });
        let functions = sizes.by_function.iter();
        let functions = functions.map(|function| {
            json!({ "index": function.index, "name": function.name, "bytes": function.bytes })
        });
        let crates = sizes.by_crate.iter();
        let crates = crates.map(|of| json!({ "name": of.name, "bytes": of.bytes }));
        json!({
            "name": self.name,
            "sha256": self.sha256,
            "abi": facts.map(|facts| facts.abi.version()),
            "language": origin.language,
            "sdk": origin.sdk,
            "tools": origin.tools,
            "bytes": sizes.module,
            "code_bytes": sizes.code,
            "data_bytes": sizes.data,
            "custom_bytes": sizes.custom,
            "memory": {
                "initial": memory.initial,
                "maximum": memory.maximum,
                "data": memory.data,
                "table": memory.table,
            },
            "imports": imports.collect::<Value>(),
            "exports": facts.map(|facts| &facts.exports),
            "allowed_capabilities": facts.map(Facts::capabilities),
            "description": facts.and_then(|facts| facts.description.as_ref()),
            "findings": findings.collect::<Value>(),
            "crates": crates.collect::<Value>(),
            "functions": functions.collect::<Value>(),
        })
    }
}
