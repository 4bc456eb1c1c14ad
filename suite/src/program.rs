mod arguments;
mod find;
mod screen;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use attache_envoy::{Environment, Installation, Selection, Version};
use attache_suite::{Progress, Report, Suite, Target};
use clap::Parser;

use arguments::{Arguments, On};
use screen::Screen;

/// How often a download says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Parses the command line, and does what it says.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let screen = Screen::new();
    match play(&arguments, &screen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(arguments::FAILED),
        Err(error) => {
            screen.error(&error);
            ExitCode::from(arguments::FAILED)
        }
    }
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
    let files = find::suites(&arguments.suites)?;
    let scratch = Scratch::new();
    let given = Given::read(arguments)?;
    let mut tally = Tally::default();
    let mut reports = Vec::new();
    let mut unplayed = Vec::new();
    for path in files {
        match suite(&path, &given, arguments, screen, &scratch) {
            Ok((found, report)) => {
                tally.add(&found);
                reports.extend(report);
            }
            // One suite that cannot be read must not hide what the others say.
            Err(error) => {
                screen.error(&error);
                unplayed.push((path, format!("{error:#}")));
                tally.unplayed += 1;
            }
        }
    }
    if let Some(path) = &arguments.junit {
        std::fs::write(path, Report::junit(&reports, &unplayed))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let good = tally.failed == 0 && tally.unplayed == 0;
    if good && tally.passed + tally.blessed == 0 {
        match &arguments.filter {
            Some(part) => bail!("no case has `{part}` in its name"),
            None => bail!("there is no case"),
        }
    }
    scratch.end(good, arguments.on, screen);
    if !arguments.json {
        screen.print(&summary(&tally, begun, screen))?;
    }
    Ok(good)
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.blessed += other.blessed;
    }
}

/// The module that the command line gives, if it gives one.
struct Given<'a> {
    module: Option<&'a Path>,
    configuration: Option<String>,
}

impl<'a> Given<'a> {
    fn read(arguments: &'a Arguments) -> anyhow::Result<Self> {
        let module = arguments.plugin.as_deref();
        if let Some(path) = module.filter(|path| !path.is_file()) {
            bail!("there is no file `{}`", path.display());
        }
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the configuration `{}`", path.display()))
        };
        let configuration = arguments.config.as_ref().map(read).transpose()?;
        Ok(Self {
            module,
            configuration,
        })
    }

    fn put_into(&self, suite: Suite) -> anyhow::Result<Suite> {
        match self.module {
            Some(module) => Ok(suite.with_module(module, self.configuration.as_deref())?),
            None => Ok(suite),
        }
    }
}

/// Plays a suite; no report where the filter leaves no case.
fn suite(
    path: &Path,
    given: &Given<'_>,
    arguments: &Arguments,
    screen: &Screen,
    scratch: &Scratch,
) -> anyhow::Result<(Tally, Option<Report>)> {
    let whole = given.put_into(Suite::load(path)?)?;
    let suite = match &arguments.filter {
        Some(part) => whole.only(part),
        None => whole,
    };
    if suite.cases().len() == 0 {
        return Ok((Tally::default(), None));
    }
    let target = target(&suite, arguments, screen, scratch)?;
    let suite = match (&target, &arguments.envoy) {
        (Target::Harness, Some(Selection::Version(version))) => suite.for_envoy(*version)?,
        (Target::Harness, Some(_)) => suite.for_envoy(envoy(None, arguments, screen)?.version)?,
        _ => suite,
    };
    let report = suite.run(&target, &mut |progress| tell(screen, progress))?;
    if arguments.json {
        for line in report.json_lines() {
            screen.print(&format!("{line}\n"))?;
        }
    } else {
        screen.report(&report)?;
    }
    if arguments.bless {
        let tally = bless(&suite, &report, &target, screen)?;
        return Ok((tally, Some(report)));
    }
    let passed = report.cases.iter().filter(|case| case.passed()).count();
    let tally = Tally {
        passed,
        failed: report.cases.len() - passed,
        ..Tally::default()
    };
    Ok((tally, Some(report)))
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

fn tell(screen: &Screen, progress: Progress<'_>) {
    match progress {
        Progress::Building { package } => screen.stage("Building", package),
        Progress::Notice(notice) => screen.stage("Target", notice),
        Progress::StartingEnvoy { cases } => {
            let plural = if cases == 1 { "case" } else { "cases" };
            screen.stage("Starting", format_args!("Envoy for {cases} {plural}"));
        }
        _ => {}
    }
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
    let installation = envoy(suite.envoy(), arguments, screen)?;
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

/// Finds the Envoy that the command line names, or this one.
fn envoy(
    meant: Option<Version>,
    arguments: &Arguments,
    screen: &Screen,
) -> anyhow::Result<Installation> {
    let selection = match (&arguments.envoy, meant) {
        (Some(selection), _) => selection.clone(),
        (None, Some(version)) => Selection::Version(version),
        (None, None) => Selection::Default,
    };
    let mut told: Option<Instant> = None;
    let found = attache_envoy::find(&selection, &Environment::current(), &mut |progress| {
        use attache_envoy::Progress;
        match progress {
            Progress::PassedOver { path, reason } => {
                screen.warn(format_args!("`{}` is not used: {reason}", path.display()));
            }
            Progress::Waiting { .. } => {
                screen.stage("Waiting", "for another process that installs Envoy");
            }
            Progress::Downloading {
                received, total, ..
            } if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) => {
                told = Some(Instant::now());
                let (received, total) = (received >> 20, total >> 20);
                screen.stage("Fetching", format_args!("Envoy: {received} of {total} MiB"));
            }
            Progress::Installed { path } => {
                screen.stage("Installed", format_args!("Envoy as {}", path.display()));
            }
            _ => {}
        }
    })?;
    Ok(found)
}

fn summary(tally: &Tally, begun: Instant, screen: &Screen) -> String {
    let mut parts = vec![format!("{} passed", tally.passed)];
    if tally.blessed > 0 {
        parts.push(format!("{} blessed", tally.blessed));
    }
    if tally.failed > 0 {
        parts.push(screen.bad(&format!("{} failed", tally.failed)));
    }
    if tally.unplayed > 0 {
        let plural = if tally.unplayed == 1 {
            "suite"
        } else {
            "suites"
        };
        let text = format!("{} {plural} could not be played", tally.unplayed);
        parts.push(screen.bad(&text));
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
