//! Counts and times what the project promises, and prints tables.
//!
//! `bench` measures the harness, `bench envoy` what filters cost in a real Envoy.

mod harness;
mod interval;
mod on_envoy;
mod process;

use std::path::Path;

use anyhow::{Context, bail};

const USAGE: &str = "usage: bench [harness | envoy [ROUNDS]]";

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("no parent folder")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] | ["harness"] => harness::run(root),
        ["envoy"] => on_envoy::run(root, 150),
        ["envoy", rounds] => {
            let rounds = rounds.parse().ok().filter(|rounds| *rounds >= 6);
            on_envoy::run(root, rounds.context("ROUNDS is a number from 6 on")?)
        }
        _ => bail!(USAGE),
    }
}
