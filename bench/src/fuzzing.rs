//! Runs each target of fuzzing for a while, and says what came of it.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::report::Extent;
use crate::report::outcome::{Cell, Found, Table};

/// Runs all targets, one after the other. What one finds, cargo-fuzz keeps in `fuzz/artifacts`.
pub(crate) fn run(root: &Path, extent: Extent) -> anyhow::Result<Found> {
    let manifest: String = std::fs::read_to_string(root.join("fuzz/Cargo.toml"))?;
    let targets = targets(&manifest);
    ensure!(!targets.is_empty(), "no targets in fuzz/Cargo.toml");
    let seconds = extent.minutes * 60;
    let mut table = Table::new(
        "Targets of fuzzing",
        "Each began with the corpus that is kept beside it, which a plain test replays. A finding is an input that makes a \
         target panic, take more than a minute, or take more than two gigabytes.",
        &["", "inputs tried", "processor, s", "findings"],
    );
    for target in targets {
        eprintln!("{target}: {seconds} s");
        let begun = Instant::now();
        let limit = format!("-max_total_time={seconds}");
        let new = root.join("target/fuzz").join(target);
        std::fs::create_dir_all(&new)?;
        let output = Command::new("cargo")
            .current_dir(root)
            // What is new goes beside the corpus that is kept.
            .args(["+nightly", "fuzz", "run", "--features", "host", target])
            .arg(&new)
            .arg(format!("fuzz/corpus/{target}"))
            .args(["--", &limit, "-print_final_stats=1", "-timeout=60"])
            .output()
            .context("cannot run cargo fuzz; `cargo install cargo-fuzz` and nightly bring it")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let tried = said.lines().find_map(|line| {
            let number = line.strip_prefix("stat::number_of_executed_units:")?;
            number.trim().parse::<f64>().ok()
        });
        let tried = tried.with_context(|| format!("{target} did not run:\n{said}"))?;
        let findings = if output.status.success() { 0.0 } else { 1.0 };
        if findings > 0.0 {
            eprintln!("{said}");
        }
        let took = begun.elapsed().as_secs().min(seconds) as f64;
        table.row(target, [tried, took, findings].map(Cell::from));
    }
    Ok(Found {
        extent: format!("{} minutes a target.", extent.minutes),
        tables: vec![table],
        plots: Vec::new(),
    })
}

/// The names of the binaries in a manifest.
fn targets(manifest: &str) -> Vec<&str> {
    let sections = manifest.split("[[bin]]").skip(1);
    sections
        .filter_map(|section| {
            let line = section
                .lines()
                .find_map(|line| line.strip_prefix("name = \""))?;
            line.strip_suffix('"')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_the_binaries() {
        let manifest =
            "name = \"no\"\n[[bin]]\nname = \"a\"\npath = \"a\"\n\n[[bin]]\nname = \"b-c\"\n";
        assert_eq!(targets(manifest), ["a", "b-c"]);
    }
}
