//! `attache sbom`

use std::fs;

use anyhow::{Context, bail};
use attache_package::{Digest, Linked, bill_of_materials};

use super::arguments::Sbom;
use super::package::Subject;
use super::print;

pub(super) fn sbom(arguments: &Sbom) -> anyhow::Result<()> {
    let bill = match (&arguments.program, &arguments.filter) {
        (Some(folder), _) => {
            let digest = match &arguments.file {
                Some(file) => {
                    Some(Digest::of(&fs::read(file).with_context(|| {
                        format!("cannot read `{}`", file.display())
                    })?))
                }
                None => None,
            };
            bill_of_materials(folder, Linked::Program(digest))?
        }
        (None, word) => {
            let word = word.as_deref().unwrap_or(".");
            let subject = Subject::load(word)?;
            let Some(folder) = &subject.folder else {
                bail!(
                    "`{word}` is a module: its crates are known only where it is built, so name its package"
                );
            };
            bill_of_materials(folder, Linked::Module(Digest::of(&subject.module)))?
        }
    };
    let text = format!("{}\n", String::from_utf8(bill)?);
    match &arguments.output {
        Some(path) => {
            fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        None => print(&text)?,
    }
    Ok(())
}
