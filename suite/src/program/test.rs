//! `attache test`: plays suites.

mod arguments;
mod order;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use anyhow::{Context, bail};
use attache_envoy::Selection;
use attache_module::{Facts, Named, Output, ReadError, configuration};
use attache_suite::{Coverage, PluginTests, Report, RuleCoverage, Suite, Target};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use self::arguments::{Arguments, On};
use self::order::in_order;
use super::envoy::{envoy, tell};
use super::find;
use super::screen::{self, Screen, Tone};

/// Parses the command line, and does what it says; false where a case failed.
pub(super) fn test(words: Vec<OsString>, screen: &Screen) -> anyhow::Result<bool> {
    let arguments = Arguments::parse_from(words);
    if arguments.config.is_some() && arguments.plugin.is_none() {
        let message = "--config is of the module that --plugin gives; the plugins of a suite have theirs in the \
                       file, as `configuration`\n";
        Arguments::command()
            .error(ErrorKind::MissingRequiredArgument, message)
            .exit();
    }
    if arguments.watch {
        bail!(
            "`attache test --watch` plays again and again; this program, which it calls, plays once"
        );
    }
    play(&arguments, screen)
}

/// What came of all suites.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    /// Failed, and rewritten.
    blessed: usize,
    unplayed: usize,
}

fn play(arguments: &Arguments, screen: &Screen) -> anyhow::Result<bool> {
    let begun = Instant::now();
    if arguments.coverage && arguments.on == On::Envoy {
        bail!("--coverage counts what the harness calls; play with --on harness or --on both");
    }
    let files = find::suites(&arguments.suites)?;
    let scratch = Scratch::new();
    let given = Given::read(arguments, screen)?;
    let mut tally = Tally::default();
    let mut reports = Vec::new();
    let mut unplayed = Vec::new();
    let jobs = jobs(arguments, files.len());
    let mut coverage = Coverage::default();
    in_order(
        &files,
        jobs,
        |path| suite(path, &given, arguments, screen, &scratch),
        |path, played| {
            let ended = played.and_then(|played| match played {
                Some(played) => played.end(arguments, screen).map(Some),
                None => Ok(None),
            });
            match ended {
                Ok(Some((found, report))) => {
                    tally.add(&found);
                    coverage.add(&report);
                    reports.push(report);
                }
                Ok(None) => {}
                // One suite that cannot be read must not hide what the others say.
                Err(error) => {
                    screen.error(error.as_ref());
                    unplayed.push((path.to_owned(), format!("{error:#}")));
                    tally.unplayed += 1;
                }
            }
        },
    );
    if let Some(path) = &arguments.junit {
        std::fs::write(path, Report::junit(&reports, &unplayed))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let good = tally.failed == 0 && tally.unplayed == 0;
    if good && tally.passed + tally.blessed == 0 {
        match &arguments.filter {
            Some(part) => bail!(
                "no case has `{part}` in its name; in {} they are listed by `attache test` without --filter",
                find::listed(files.iter().map(|path| path.display().to_string()))
            ),
            None => bail!("there is no case"),
        }
    }
    scratch.end(good, arguments.on, screen);
    if arguments.coverage {
        let lines = coverage
            .json_lines()
            .into_iter()
            .map(|line| format!("{line}\n"));
        let text = match arguments.json {
            true => lines.collect(),
            false => coverage.to_string(),
        };
        screen.print(&text)?;
    }
    if !arguments.json {
        screen.print(&summary(&tally, begun, screen))?;
    }
    Ok(good)
}

impl Tally {
    fn of(report: &Report) -> Self {
        let passed = report.cases.iter().filter(|case| case.passed()).count();
        Self {
            passed,
            failed: report.cases.len() - passed,
            ..Self::default()
        }
    }

    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.blessed += other.blessed;
    }
}

/// The module that the command line gives, if it gives one.
struct Given {
    module: Option<PathBuf>,
    configuration: Option<String>,
}

impl Given {
    /// Reads what the command line names, and builds it where it is a package.
    fn read(arguments: &Arguments, screen: &Screen) -> anyhow::Result<Self> {
        let configuration = arguments.config.as_deref().map(configuration);
        let configuration = configuration.transpose()?;
        let module = match arguments.plugin.as_deref().map(Named::find).transpose()? {
            None => None,
            Some(Named::File(path)) => {
                // Each case would say it again.
                let bytes = std::fs::read(&path)
                    .with_context(|| format!("cannot read `{}`", path.display()))?;
                match Facts::read(&bytes) {
                    Err(error @ (ReadError::NotWasm { .. } | ReadError::Component)) => {
                        return Err(error)
                            .with_context(|| format!("cannot load `{}`", path.display()));
                    }
                    // Of what Envoy would refuse otherwise, a case may be glad.
                    _ => Some(path),
                }
            }
            Some(Named::Guest(guest)) => {
                let output = Output {
                    color: screen.colors_errors(),
                    writer: &mut std::io::stderr(),
                };
                let built =
                    guest.build_showing(output, &mut |notice| screen.stage("Target", notice))?;
                Some(built.path)
            }
        };
        Ok(Self {
            module,
            configuration,
        })
    }

    fn put_into(&self, suite: Suite) -> anyhow::Result<Suite> {
        match &self.module {
            Some(module) => Ok(suite.with_module(module, self.configuration.as_deref())?),
            None => Ok(suite),
        }
    }
}

/// How many suites are played at a time.
fn jobs(arguments: &Arguments, suites: usize) -> usize {
    let most = match arguments.jobs {
        Some(jobs) => jobs.get(),
        // A suite starts several Envoys by itself.
        None if arguments.on != On::Harness => 1,
        None => thread::available_parallelism().map_or(1, NonZero::get),
    };
    most.min(suites).max(1)
}

/// A suite that was played, before anybody has heard of it.
struct Played {
    /// What can be blessed; nothing of plugin tests of Google's format.
    suite: Option<(Suite, Target)>,
    report: Report,
    /// Which rules of configurations its cases need, where that is asked for.
    rules: RuleCoverage,
}

impl Played {
    /// Says what came of it, and writes what was seen, if asked to.
    fn end(self, arguments: &Arguments, screen: &Screen) -> anyhow::Result<(Tally, Report)> {
        let Self {
            suite,
            report,
            rules,
        } = self;
        if arguments.json {
            for line in report.json_lines() {
                screen.print(&format!("{line}\n"))?;
            }
            for line in rules.json_lines() {
                screen.print(&format!("{line}\n"))?;
            }
        } else {
            screen::report(&report, screen)?;
            screen.print(&rules.to_string())?;
        }
        let tally = match suite.filter(|_| arguments.bless) {
            Some((suite, target)) => bless(&suite, &report, &target, screen)?,
            None => Tally::of(&report),
        };
        Ok((tally, report))
    }
}

/// Plays a suite; nothing where the filter leaves no case.
fn suite(
    path: &Path,
    given: &Given,
    arguments: &Arguments,
    screen: &Screen,
    scratch: &Scratch,
) -> anyhow::Result<Option<Played>> {
    if PluginTests::is_one(path) {
        return plugin_tests(path, given, arguments);
    }
    if let Some(reason) = find::mistaken(path) {
        bail!(reason);
    }
    let whole = given.put_into(Suite::load(path)?)?;
    let suite = match &arguments.filter {
        Some(part) => whole.only(part),
        None => whole,
    };
    if suite.cases().len() == 0 {
        return Ok(None);
    }
    let target = target(&suite, arguments, screen, scratch)?;
    let suite = match (&target, &arguments.envoy) {
        (Target::Harness, Some(Selection::Version(version))) => suite.for_envoy(*version)?,
        (Target::Harness, Some(_)) => {
            suite.for_envoy(envoy(arguments.envoy.as_ref(), None, screen)?.version)?
        }
        _ => suite,
    };
    let report = suite.run(&target, &mut |progress| tell(screen, progress))?;
    Ok(Some(Played {
        rules: match arguments.coverage {
            true => suite.rule_coverage(&report),
            false => RuleCoverage::default(),
        },
        suite: Some((suite, target)),
        report,
    }))
}

/// Plays plugin tests of Google's format, which are about callbacks and not about a proxy.
fn plugin_tests(
    path: &Path,
    given: &Given,
    arguments: &Arguments,
) -> anyhow::Result<Option<Played>> {
    let name = path.display();
    if arguments.on != On::Harness || arguments.envoy.is_some() {
        bail!(
            "`{name}` makes callbacks one by one, which no Envoy does; play it without --on and --envoy"
        );
    }
    if arguments.bless {
        bail!("`{name}` is no suite, and --bless writes suites only");
    }
    let whole = PluginTests::load(path)?;
    let tests = match &arguments.filter {
        Some(part) => whole.only(part),
        None => whole,
    };
    if tests.names().len() == 0 {
        return Ok(None);
    }
    let report = tests.run(given.module.as_deref(), given.configuration.as_deref())?;
    Ok(Some(Played {
        suite: None,
        report,
        rules: RuleCoverage::default(),
    }))
}

/// Writes what was seen, and plays what has changed again: a case that passes then counts as blessed.
fn bless(
    suite: &Suite,
    report: &Report,
    target: &Target,
    screen: &Screen,
) -> anyhow::Result<Tally> {
    let blessed = suite.blessed(report);
    let path = suite.path();
    for (case, reason) in &blessed.left {
        screen.warn(format_args!("left for you: {case}: {reason}"));
    }
    let mut good: BTreeMap<&str, bool> = BTreeMap::new();
    let again;
    if !blessed.changed.is_empty() {
        std::fs::write(path, &blessed.text)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        let count = blessed.changed.len();
        screen.stage(
            "Blessed",
            format_args!("{count} in {}; review the diff", path.display()),
        );
        again = blessed
            .again
            .run(target, &mut |progress| tell(screen, progress))?;
        good.extend(
            again
                .cases
                .iter()
                .map(|case| (case.name.as_str(), case.passed())),
        );
    }
    let mut tally = Tally::default();
    for case in &report.cases {
        match (case.passed(), good.get(case.name.as_str())) {
            (true, None | Some(true)) => tally.passed += 1,
            (false, Some(true)) => tally.blessed += 1,
            (false, None) => tally.failed += 1,
            (_, Some(false)) => {
                screen.warn(format_args!("{}: does not pass yet", case.name));
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}

fn target(
    suite: &Suite,
    arguments: &Arguments,
    screen: &Screen,
    scratch: &Scratch,
) -> anyhow::Result<Target> {
    if arguments.on == On::Harness {
        return Ok(Target::Harness);
    }
    let installation = envoy(arguments.envoy.as_ref(), suite.envoy(), screen)?;
    let folder = scratch.folder(suite.path());
    Ok(match arguments.on {
        On::Envoy => Target::Envoy {
            installation,
            folder,
        },
        _ => Target::Both {
            installation,
            folder,
        },
    })
}

fn summary(tally: &Tally, begun: Instant, screen: &Screen) -> String {
    let mut parts = vec![format!("{} passed", tally.passed)];
    if tally.blessed > 0 {
        parts.push(format!("{} blessed", tally.blessed));
    }
    if tally.failed > 0 {
        parts.push(screen.tint(Tone::Bad, &format!("{} failed", tally.failed)));
    }
    if tally.unplayed > 0 {
        let plural = if tally.unplayed == 1 {
            "suite"
        } else {
            "suites"
        };
        let text = format!("{} {plural} could not be played", tally.unplayed);
        parts.push(screen.tint(Tone::Bad, &text));
    }
    let seconds = begun.elapsed().as_secs_f64();
    format!("{} in {seconds:.2} s\n", parts.join(", "))
}

/// Where Envoy's files go: a folder that is gone afterwards, unless somebody may want to look.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("attache-test-{}", std::process::id())))
    }

    fn folder(&self, suite: &Path) -> PathBuf {
        let name = suite.to_string_lossy();
        let name: String = name
            .chars()
            .map(|letter| {
                if letter.is_ascii_alphanumeric() {
                    letter
                } else {
                    '-'
                }
            })
            .collect();
        self.0.join(name.trim_matches('-'))
    }

    fn end(&self, good: bool, on: On, screen: &Screen) {
        if on == On::Harness || !self.0.exists() {
            return;
        }
        if good {
            // Left-overs in the folder for temporary files do no harm.
            let _ = std::fs::remove_dir_all(&self.0);
        } else {
            screen.stage(
                "Kept",
                format_args!("Envoy's files in {}", self.0.display()),
            );
        }
    }
}
