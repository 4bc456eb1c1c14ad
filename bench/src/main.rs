//! Counts and times what the project promises, and prints tables.
//!
//! `bench` measures the harness, `bench envoy` what filters cost in a real Envoy, in time, and `bench
//! instructions` the same in instructions, which valgrind counts: on a machine that others use too, time
//! says less.

#[cfg(feature = "harness")]
mod harness;
mod interval;
mod on_envoy;
mod process;

use std::path::Path;

use anyhow::{Context, bail};

const USAGE: &str = "usage: bench [harness | envoy [ROUNDS] | instructions]";

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("no parent folder")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        #[cfg(feature = "harness")]
        [] | ["harness"] => harness::run(root),
        ["instructions"] => on_envoy::instructions::run(root),
        ["envoy"] => on_envoy::run(root, 150),
        ["envoy", rounds] => {
            let rounds = rounds.parse().ok().filter(|rounds| *rounds >= 6);
            on_envoy::run(root, rounds.context("ROUNDS is a number from 6 on")?)
        }
        _ => bail!(USAGE),
    }
}
