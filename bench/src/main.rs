//! Measures what the project promises, and writes it down.
//!
//! `bench report` runs the parts of `docs/benchmarks.md` and writes the page; a part can be run alone, and the
//! others stay as they were found before. `bench pages` writes the pages from what was found, and runs nothing.

mod fuzzing;
#[cfg(feature = "harness")]
mod growth;
#[cfg(feature = "harness")]
mod harness;
#[path = "../../suite/src/program/bench/on_envoy/interval.rs"]
mod interval;
mod on_envoy;
mod process;
mod report;
mod soak;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

const USAGE: &str = "\
Measures what the project promises, and writes it down.

usage: bench report [--part NAME]... [--quick] [--rounds N] [--streams N] [--minutes N] [--target NAME]...
                    [--keep]
       bench pages

report runs the parts that are named, or those of docs/benchmarks.md, and writes them into the pages; what other parts
found before stays. pages writes the pages from what was found, and runs nothing.

parts, and what they need beside Rust, a C compiler and the Envoy that they fetch:
  work          the same work by everything that can extend Envoy
  collection    the filters beside Lua and native filters
  instructions  the same, counted (valgrind)
  harness       loading, starting and playing on the harness (crun and runc, for a line each)
  memory        of a VM and of a stream
  sizes         of modules and images, and how they start
  starts        of one module, the first and further ones
  growth        what grows with what
  soak          streams by lot through each filter; only if named
  fuzz          targets of fuzzing; only if named (nightly, cargo-fuzz)

options:
  --quick      a few rounds, streams and minutes
  --rounds N   how often what takes time is measured; 40
  --streams N  how many streams there are of what grows over many; 1000000
  --minutes N  of a processor for each target of fuzzing; 10
  --target T   this target of fuzzing alone; the lines of others stay
  --keep       put what fuzzing finds new, as few inputs as go all its ways, into fuzz/corpus";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("no parent folder")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if arguments.iter().any(|it| ["-h", "--help"].contains(it)) {
        println!("{USAGE}");
        return Ok(());
    }
    match arguments[..] {
        ["report", ref words @ ..] => report::run(root, words),
        ["pages"] => report::write(root),
        // What the part `harness` starts, to load a module in a process of its own.
        #[cfg(feature = "harness")]
        ["load", path] => harness::load(path),
        _ => bail!("neither `report` nor `pages`; `--help` says more"),
    }
}
