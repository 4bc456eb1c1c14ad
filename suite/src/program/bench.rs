//! `attache bench`: what filters cost, counted on the harness or measured on a real Envoy.

mod arguments;
mod comparison;
mod measure;
mod on_envoy;
mod requests;
mod subject;
mod table;

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use attache_suite::Suite;
use clap::Parser;

use self::arguments::{Arguments, On};
use self::comparison::Comparison;
use self::measure::Measurement;
use self::subject::Subject;
use super::envoy::tell;
use super::find;
use super::screen::Screen;

/// Parses the command line, and does what it says; false where something costs more than before.
pub(super) fn bench(words: Vec<OsString>, screen: &Screen) -> anyhow::Result<bool> {
    let arguments = Arguments::parse_from(words);
    if arguments.on == On::Envoy {
        return on_real_envoy(&arguments, screen);
    }
    if let Some(option) = arguments.of_envoy() {
        bail!("{option} is for what is measured in Envoy: add --on envoy");
    }
    // A file that cannot be read is told of before anything is built.
    let before = arguments.compare.as_deref().map(Comparison::read);
    let before = before.transpose()?;
    let mut measured = Vec::new();
    for word in arguments.subjects() {
        let path = Path::new(word);
        let of_word = if find::is_suite(path) {
            if arguments.config.is_some() || arguments.root_id.is_some() {
                bail!(
                    "`{word}` says itself which filters it is about, and their configurations; measure it \
                     without --config and --root-id"
                );
            }
            of_suite(path, screen)?
        } else {
            let subject = Subject::load(word, &arguments, screen)?;
            measure::all(&subject).with_context(|| format!("cannot measure `{}`", subject.name))?
        };
        if !arguments.json {
            screen.print(&table::of(&of_word))?;
        }
        measured.extend(of_word);
    }
    if arguments.json {
        for measurement in &measured {
            screen.print(&format!("{}\n", measurement.to_json()))?;
        }
    }
    if let Some(path) = &arguments.save {
        let lines: Vec<String> = measured
            .iter()
            .map(|it| format!("{}\n", it.to_json()))
            .collect();
        fs::write(path, lines.concat())
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        screen.stage("Saved", path.display());
    }
    let Some(before) = before else {
        return Ok(true);
    };
    let verdict = before.with(&measured, arguments.tolerance);
    if arguments.json {
        for line in verdict.to_text(screen).lines() {
            screen.stage("Compared", line);
        }
    } else {
        screen.print(&verdict.to_text(screen))?;
    }
    Ok(verdict.is_good())
}

/// Processor time, told with how sure it is.
fn on_real_envoy(arguments: &Arguments, screen: &Screen) -> anyhow::Result<bool> {
    if let Some(reason) = on_envoy::refused_on(std::env::consts::OS) {
        bail!(reason);
    }
    if arguments.save.is_some() || arguments.compare.is_some() {
        bail!(
            "times on Envoy hold for one machine and one hour, so that --save and --compare are for what is \
             counted on the harness; to compare two modules, name both: `attache bench a.wasm b.wasm --on \
             envoy`"
        );
    }
    if let Some(suite) = arguments
        .subjects()
        .find(|word| find::is_suite(Path::new(word)))
    {
        bail!(
            "`{suite}` is a suite, whose cases are counted on the harness; with --on envoy name a module or a \
             package"
        );
    }
    let rivals = on_envoy::Rival::all(arguments)?;
    let subjects = arguments
        .subjects()
        .map(|word| Subject::load(word, arguments, screen))
        .collect::<anyhow::Result<Vec<Subject>>>()?;
    for measured in on_envoy::measure(&subjects, rivals, arguments, screen)? {
        screen.print(&match arguments.json {
            true => format!("{}\n", measured.to_json()),
            false => measured.to_text(),
        })?;
    }
    Ok(true)
}

/// The cases of a suite, each from a fresh start.
fn of_suite(path: &Path, screen: &Screen) -> anyhow::Result<Vec<Measurement>> {
    let suite = Suite::load(path)?;
    let costs = suite.costs(&mut |progress| tell(screen, progress))?;
    for (case, reason) in costs.left {
        screen.warn(format_args!("not measured: {case}: {reason}"));
    }
    let subject = path.display().to_string();
    let of_case = |case| Measurement::of_case(&subject, case);
    Ok(costs.cases.into_iter().map(of_case).collect())
}
