//! Measures what the project promises, and writes it down.
//!
//! `bench report` runs the parts of `docs/benchmarks.md` and writes the page; a part can be run alone, and the
//! others stay as they were found before. `bench pages` writes the pages from what was found, and runs nothing.

mod fuzzing;
#[cfg(feature = "harness")]
mod growth;
#[cfg(feature = "harness")]
mod harness;
mod interval;
mod on_envoy;
mod process;
mod report;
mod soak;

use std::path::Path;

use anyhow::{Context, bail};

const USAGE: &str = "usage: bench report [--part NAME]... [--quick] [--rounds N] [--streams N] [--minutes N]
       bench pages
parts: work, collection, instructions, harness, memory, sizes, growth; and soak and fuzz, which are in no run unless named";

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("no parent folder")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["report", ref words @ ..] => report::run(root, words),
        ["pages"] => report::write(root),
        // What the part `harness` starts, to load a module in a process of its own.
        #[cfg(feature = "harness")]
        ["load", path] => harness::load(path),
        _ => bail!(USAGE),
    }
}
