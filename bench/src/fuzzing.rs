//! Runs each target of fuzzing for a while, and says what came of it.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, bail, ensure};

use crate::process;
use crate::report::Extent;
use crate::report::machine::Machine;
use crate::report::outcome::{Cell, Found, Outcome, Table};

const TITLE: &str = "Targets of fuzzing";
const COLUMNS: [&str; 5] = ["", "inputs tried", "processor, s", "findings", "on"];

/// Runs targets, one after the other. What one finds, cargo-fuzz keeps in `fuzz/artifacts`.
pub(crate) fn run(root: &Path, extent: Extent, wanted: &[String]) -> anyhow::Result<Found> {
    let manifest: String = std::fs::read_to_string(root.join("fuzz/Cargo.toml"))?;
    let targets = targets(&manifest);
    ensure!(!targets.is_empty(), "no targets in fuzz/Cargo.toml");
    if let Some(unknown) = wanted.iter().find(|it| !targets.contains(&it.as_str())) {
        let known = targets.join(", ");
        bail!("no target `{unknown}`; there are {known}");
    }
    let mut before = if wanted.is_empty() {
        Table::new(TITLE, "", &COLUMNS)
    } else {
        before(root)?
    };
    let mut table = Table::new(
        TITLE,
        "Each began with the corpus that is kept beside it, which a plain test replays. A finding is an input that makes a \
         target panic, take more than a minute, or take more than two gigabytes. The time is the processor's.",
        &COLUMNS,
    );
    let today = Machine::this()?.date;
    for target in targets {
        if wanted.is_empty() || wanted.iter().any(|it| it == target) {
            let [tried, took, findings] = fuzz(root, target, extent.minutes * 60)?;
            table.row(target, [tried, took, findings, today.as_str().into()]);
        } else if let Some(row) = before.rows.iter_mut().find(|row| row.name == target) {
            table.row(target, std::mem::take(&mut row.cells));
        }
    }
    Ok(Found {
        extent: "Each target as long as its line says.".to_owned(),
        tables: vec![table],
        plots: Vec::new(),
    })
}

/// What is kept of targets that were run another time.
fn before(root: &Path) -> anyhow::Result<Table> {
    let path = root.join("docs/reliability/fuzz.json");
    let tables = match path.is_file() {
        true => serde_json::from_slice::<Outcome>(&std::fs::read(&path)?)?.tables,
        false => Vec::new(),
    };
    let mut found = tables.into_iter();
    let found = found.find(|table| table.title == TITLE && table.columns == COLUMNS);
    Ok(found.unwrap_or_else(|| Table::new(TITLE, "", &COLUMNS)))
}

/// Runs a target until it has had so many seconds of a processor, or has found something.
fn fuzz(root: &Path, target: &str, seconds: u64) -> anyhow::Result<[Cell; 3]> {
    eprintln!("{target}: {seconds} s of a processor");
    let cargo = |words: &[&str]| -> anyhow::Result<Output> {
        Command::new("cargo")
            .current_dir(root)
            .args(["+nightly", "fuzz"])
            .args(words)
            .output()
            .context("cannot run cargo fuzz; `cargo install cargo-fuzz` and nightly bring it")
    };
    let built = cargo(&["build", "--features", "host", target])?;
    ensure!(
        built.status.success(),
        "{target} cannot be built:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    // What is new goes beside the corpus that is kept.
    let new = root.join("target/fuzz").join(target);
    std::fs::create_dir_all(&new)?;
    let new = new.to_str().context("a folder whose name is no text")?;
    let corpus = format!("fuzz/corpus/{target}");
    let (mut tried, mut took) = (0.0, 0.0);
    loop {
        // On a busy machine that much time gives less of the processor.
        let left = (seconds as f64 - took).ceil();
        let limit = format!("-max_total_time={left}");
        let begun = process::time_of_children()?;
        let output = cargo(&[
            "run",
            "--features",
            "host",
            target,
            new,
            &corpus,
            "--",
            &limit,
            "-print_final_stats=1",
            "-timeout=60",
        ])?;
        took += (process::time_of_children()? - begun).as_secs_f64();
        let said = String::from_utf8_lossy(&output.stderr);
        let inputs = said.lines().find_map(|line| {
            let number = line.strip_prefix("stat::number_of_executed_units:")?;
            number.trim().parse::<f64>().ok()
        });
        tried += inputs.with_context(|| format!("{target} did not run:\n{said}"))?;
        let finds = !output.status.success();
        if finds {
            eprintln!("{said}");
        }
        if finds || took + 1.0 >= seconds as f64 {
            return Ok([tried, took.round(), f64::from(u8::from(finds))].map(Cell::from));
        }
    }
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
