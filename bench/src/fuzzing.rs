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

/// What the command line asks of fuzzing.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// All, if there are none.
    pub(crate) targets: Vec<String>,
    pub(crate) findings: Findings,
}

/// What becomes of inputs that went ways which no input took before.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Findings {
    /// They stay where the next run on this machine finds them.
    #[default]
    Leave,
    /// As few as go all these ways come to the corpus that is kept.
    Keep,
}

/// Runs targets, one after the other. What one finds, cargo-fuzz keeps in `fuzz/artifacts`.
pub(crate) fn run(root: &Path, extent: Extent, wanted: &Wanted) -> anyhow::Result<Found> {
    let manifest: String = std::fs::read_to_string(root.join("fuzz/Cargo.toml"))?;
    let targets = targets(&manifest);
    ensure!(
        !targets.is_empty() && targets.len() == manifest.matches("[[bin]]").count(),
        "fuzz/Cargo.toml: each [[bin]] needs a name and one of required-features"
    );
    let named = |name: &String| targets.iter().any(|it| it.name == name);
    let Wanted {
        targets: wanted,
        findings,
    } = wanted;
    if let Some(unknown) = wanted.iter().find(|it| !named(it)) {
        let known: Vec<&str> = targets.iter().map(|it| it.name).collect();
        bail!("no target `{unknown}`; there are {}", known.join(", "));
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|it| it == name);
    let mut fresh = Table::new(TITLE, "", &COLUMNS);
    for &target in targets.iter().filter(|it| is_wanted(it.name)) {
        let [tried, took, found] = fuzz(root, target, extent.minutes * 60)?;
        let today = Machine::this()?.date;
        fresh.row(target.name, [tried, took, found, today.as_str().into()]);
        if *findings == Findings::Keep {
            keep(root, target)?;
        }
    }
    let mut table = Table::new(
        TITLE,
        "Each began with the inputs of `fuzz/corpus`, which a plain test replays, and with what runs before had found on the \
         same machine: that lies in `target/fuzz`, and is kept only if the option `--keep` says so. A finding is an input that \
         makes a target panic, take more than a minute, or take more than two gigabytes. The time is the processor's.",
        &COLUMNS,
    );
    // Read now: another that ran meanwhile may have written its own lines.
    let before = before(root)?;
    for name in targets.iter().map(|it| it.name) {
        let mut rows = fresh.rows.iter().chain(&before.rows);
        if let Some(row) = rows.find(|row| row.name == name) {
            table.row(name, row.cells.clone());
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
fn fuzz(root: &Path, target: Target<'_>, seconds: u64) -> anyhow::Result<[Cell; 3]> {
    let name = target.name;
    eprintln!("{name}: {seconds} s of a processor");
    let built = cargo(root, target, "build", &[])?;
    ensure!(
        built.status.success(),
        "{name} cannot be built:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let Folders { kept, new } = Folders::of(root, name)?;
    let (mut tried, mut took) = (0.0, 0.0);
    loop {
        // On a busy machine that much time gives less of the processor.
        let left = (seconds as f64 - took).ceil();
        let limit = format!("-max_total_time={left}");
        let begun = process::time_of_children()?;
        let output = cargo(
            root,
            target,
            "run",
            &[
                &new,
                &kept,
                "--",
                &limit,
                "-print_final_stats=1",
                "-timeout=60",
            ],
        )?;
        took += (process::time_of_children()? - begun).as_secs_f64();
        let said = String::from_utf8_lossy(&output.stderr);
        let inputs = said.lines().find_map(|line| {
            let number = line.strip_prefix("stat::number_of_executed_units:")?;
            number.trim().parse::<f64>().ok()
        });
        tried += inputs.with_context(|| format!("{name} did not run:\n{said}"))?;
        let finds = !output.status.success();
        if finds {
            eprintln!("{said}");
        }
        if finds || took + 1.0 >= seconds as f64 {
            return Ok([tried, took.round(), f64::from(u8::from(finds))].map(Cell::from));
        }
    }
}

/// Where inputs of a target lie.
struct Folders {
    kept: String,
    /// What is new goes beside what is kept.
    new: String,
}

impl Folders {
    fn of(root: &Path, name: &str) -> anyhow::Result<Self> {
        let new = root.join("target/fuzz").join(name);
        std::fs::create_dir_all(&new)?;
        let new = new.to_str().context("a folder whose name is no text")?;
        Ok(Self {
            kept: format!("fuzz/corpus/{name}"),
            new: new.to_owned(),
        })
    }
}

/// Puts into the corpus that is kept the fewest of the new inputs that go ways which none there does.
fn keep(root: &Path, target: Target<'_>) -> anyhow::Result<()> {
    let Folders { kept, new } = Folders::of(root, target.name)?;
    let output = cargo(root, target, "run", &[&kept, &new, "--", "-merge=1"])?;
    ensure!(
        output.status.success(),
        "{}: what is new cannot be kept:\n{}",
        target.name,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn cargo(root: &Path, target: Target<'_>, verb: &str, words: &[&str]) -> anyhow::Result<Output> {
    Command::new("cargo")
        .current_dir(root)
        .args(["+nightly", "fuzz", verb])
        // What no target calls, most of wasmtime, is neither compiled nor linked.
        .args([
            "--strip-dead-code",
            "--features",
            target.features,
            target.name,
        ])
        .args(words)
        .output()
        .context("cannot run cargo fuzz; `cargo install cargo-fuzz` and nightly bring it")
}

/// A binary of a manifest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Target<'m> {
    name: &'m str,
    /// What it needs: targets that need no host are built without wasmtime, which takes most of the time.
    features: &'m str,
}

/// The binaries of a manifest.
fn targets(manifest: &str) -> Vec<Target<'_>> {
    let sections = manifest.split("[[bin]]").skip(1);
    sections
        .filter_map(|section| {
            let value = |key: &str, end| {
                let line = section.lines().find_map(|line| line.strip_prefix(key))?;
                line.strip_suffix(end)
            };
            Some(Target {
                name: value("name = \"", "\"")?,
                features: value("required-features = [\"", "\"]")?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_the_binaries() {
        let manifest = "name = \"no\"\n[[bin]]\nname = \"a\"\nrequired-features = [\"x\"]\n\n\
                        [[bin]]\nname = \"b-c\"\nrequired-features = [\"y\"]\n";
        let [first, second] = targets(manifest)[..] else {
            panic!("two binaries");
        };
        assert_eq!([first.name, first.features], ["a", "x"]);
        assert_eq!([second.name, second.features], ["b-c", "y"]);
    }
}
