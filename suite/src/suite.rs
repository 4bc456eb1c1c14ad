mod given;
mod version;

pub(crate) use given::declared;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use attache_envoy::{Installation, Version, VersionError};
use attache_module::{BuildError, Guest};

use crate::file::SuiteFile;
use crate::plan::{Plan, Source};
use crate::report::{CaseReport, Report};
use crate::run::{self, Progress};
use crate::yaml::{Fault, Node, Place, from_node, parse};

/// A suite file: plugins, cases, and what must be seen.
///
/// ```no_run
/// use attache_suite::{Suite, Target};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let suite = Suite::load("tests/auth-scrub.suite.yaml")?;
/// let report = suite.run_on(&Target::Harness)?;
/// assert!(report.passed(), "{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Suite {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) node: Node,
    pub(crate) plans: Vec<Plan>,
    envoy: Option<Version>,
}

/// Where a suite runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Target {
    /// On the harness.
    Harness,
    /// On this Envoy, with its files in a folder of the suite's own under `folder`.
    Envoy {
        /// Which one.
        installation: Installation,
        /// Where its files go.
        folder: PathBuf,
    },
    /// On the harness and on this Envoy, and whatever differs is a failure.
    Both {
        /// Which one.
        installation: Installation,
        /// Where its files go.
        folder: PathBuf,
    },
}

/// Why a suite cannot be played.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// The file cannot be read.
    #[error("cannot read the suite `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that a suite cannot.
    #[error("{}:{line}:{column}: {}{reason}{excerpt}", path.display(), Prefix(key))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1, in characters.
        column: usize,
        /// The keys that lead to the place, such as `cases[2].expect`; empty at the top.
        key: String,
        /// What is wrong, and what was expected.
        reason: String,
        /// The line of the file with a mark under the place.
        excerpt: String,
    },
    /// A package of the suite cannot be built.
    #[error("cannot build the package `{package}` that `{}` tests", path.display())]
    Build {
        /// The suite.
        path: PathBuf,
        /// The package.
        package: String,
        /// Why.
        source: Box<BuildError>,
    },
    /// A module was given for the plugin of a case that has several.
    #[error(
        "`{}` has several plugins in the case `{case}`, and nobody knows which of them the module is \
         meant for; give it there, as `module`",
        path.display()
    )]
    SeveralPlugins {
        /// The suite.
        path: PathBuf,
        /// The case.
        case: String,
    },
    /// Nobody says which module plugin tests are about.
    #[error(
        "`{}` names no module; give it one with --plugin FILE.wasm, or write `env {{ wasm_path: \"…\" }}`",
        path.display()
    )]
    NoModule {
        /// The tests.
        path: PathBuf,
    },
    /// The suite is meant for an Envoy that the harness does not play.
    #[error("{reason}")]
    NotPlayed {
        /// Which it plays, and which was meant.
        reason: String,
    },
}

/// As a test prints it that returns a `Result`.
impl std::fmt::Debug for SuiteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, "\n  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

struct Prefix<'k>(&'k str);

impl std::fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            "" => Ok(()),
            key => write!(f, "{key}: "),
        }
    }
}

impl Suite {
    /// Reads a suite and checks all that can be checked without playing it.
    ///
    /// # Errors
    ///
    /// [`SuiteError::Read`] and [`SuiteError::Invalid`].
    pub fn load(path: impl Into<PathBuf>) -> Result<Self, SuiteError> {
        let path = path.into();
        let text = text_of(&path)?;
        Self::from_text(path, text)
    }

    /// Reads a suite from a text, as if it stood in the file `path`.
    ///
    /// # Errors
    ///
    /// [`SuiteError::Invalid`].
    pub fn from_text(
        path: impl Into<PathBuf>,
        text: impl Into<String>,
    ) -> Result<Self, SuiteError> {
        let path = path.into();
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::read(path, text.into(), Some(&folder))
    }

    /// Reads a suite whose modules are in this folder, or are none of its business.
    fn read(path: PathBuf, text: String, folder: Option<&Path>) -> Result<Self, SuiteError> {
        let read = || {
            let node = parse(&text)?;
            let file: SuiteFile = from_node(&node)?;
            let envoy = file.envoy.as_ref().map(|text| meant(text.as_str()));
            let envoy = envoy
                .transpose()
                .map_err(|reason| Fault::new(reason).under("envoy").located(&node))?;
            let plans = Plan::all(&file, folder).map_err(|fault| fault.located(&node))?;
            Ok((node, envoy, plans))
        };
        match read() {
            Ok((node, envoy, plans)) => Ok(Self {
                path,
                text,
                node,
                plans,
                envoy,
            }),
            Err(fault) => Err(invalid(path, &text, &fault)),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the cases, in order.
    pub fn cases(&self) -> impl ExactSizeIterator<Item = &str> {
        self.plans.iter().map(|plan| plan.name.as_str())
    }

    /// The name of each case with what it is evidence of, its `covers`.
    pub fn covers(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.plans
            .iter()
            .map(|plan| (plan.name.as_str(), plan.covers.as_slice()))
    }

    /// The names of the cases that expect nothing of the log, and no bad end either.
    pub fn silent(&self) -> impl Iterator<Item = &str> {
        let says = |plan: &&Plan| {
            let expect = &plan.expect;
            let lines = expect.log.is_some() || expect.log_has.is_some();
            lines || expect.ends().next().is_some()
        };
        let silent = self.plans.iter().filter(move |plan| !says(plan));
        silent.map(|plan| plan.name.as_str())
    }

    /// The file as JSON, with the paths of its modules made absolute: parts of it can stand in a suite
    /// elsewhere.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = self.node.to_json();
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let folder = std::path::absolute(folder.join("."));
        if let Ok(folder) = folder {
            rooted(&mut json, &folder);
        }
        json
    }

    /// The version of Envoy that the suite is for, if it says so.
    #[must_use]
    pub fn envoy(&self) -> Option<Version> {
        self.envoy
    }

    /// Leaves only the cases whose names contain `part`.
    #[must_use]
    pub fn only(mut self, part: &str) -> Self {
        self.plans.retain(|plan| plan.name.contains(part));
        self
    }

    /// Builds the packages and plays all cases.
    ///
    /// # Errors
    ///
    /// [`SuiteError::Build`]. What goes wrong in a case stands in the report.
    pub fn run_on(&self, target: &Target) -> Result<Report, SuiteError> {
        self.run(target, &mut |_| ())
    }

    /// As [`run_on`](Self::run_on), and says what takes its time.
    ///
    /// # Errors
    ///
    /// [`SuiteError::Build`].
    pub fn run(
        &self,
        target: &Target,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Report, SuiteError> {
        let plans = self.built(target, progress)?;
        Ok(self.report(run::run(&plans, target, progress), target))
    }

    /// The plans of several suites, one behind the other, with their modules.
    fn all_built(
        suites: &[Self],
        target: &Target,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Vec<Plan>, SuiteError> {
        let mut plans = Vec::new();
        for suite in suites {
            plans.extend(suite.built(target, progress)?);
        }
        Ok(plans)
    }

    /// Plays all cases of several suites, which share Envoys where they can.
    ///
    /// # Errors
    ///
    /// [`SuiteError::Build`].
    pub fn run_all(
        suites: &[Self],
        target: &Target,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Vec<Report>, SuiteError> {
        let plans = Self::all_built(suites, target, progress)?;
        Ok(Self::reports(
            suites,
            target,
            run::run(&plans, target, progress),
        ))
    }

    /// Gives each suite the cases that are its own.
    fn reports(suites: &[Self], target: &Target, cases: Vec<CaseReport>) -> Vec<Report> {
        let mut cases = cases.into_iter();
        let report = |suite: &Self| {
            let own = cases.by_ref().take(suite.plans.len());
            suite.report(own.collect(), target)
        };
        suites.iter().map(report).collect()
    }

    fn report(&self, cases: Vec<CaseReport>, target: &Target) -> Report {
        Report {
            path: self.path.clone(),
            cases,
            note: self.note(target),
        }
    }

    /// The plans with their modules.
    pub(crate) fn built(
        &self,
        target: &Target,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Vec<Plan>, SuiteError> {
        let mut plans = self.plans.clone();
        for plan in &mut plans {
            plan.case.envoy = self.played(target);
            for (filter, source) in plan.case.plugins_mut().zip(&plan.sources) {
                filter.module = match source {
                    Source::File(path) => path.clone(),
                    Source::Package(package) => self.module(package, progress)?,
                };
            }
        }
        Ok(plans)
    }

    /// A package's module, built once a process: to find that nothing has changed takes cargo most of a second,
    /// and who draws cases plays dozens of suites.
    fn module(
        &self,
        package: &str,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, SuiteError> {
        static BUILT: Mutex<BTreeMap<Built, PathBuf>> = Mutex::new(BTreeMap::new());
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        let key = (folder.to_owned(), package.to_owned());
        if let Some(path) = built.get(&key) {
            return Ok(path.clone());
        }
        progress(Progress::Building { package });
        let module = Guest::in_workspace(folder, Some(package))
            .build(&mut |notice| progress(Progress::Notice(&notice)))
            .map_err(|source| SuiteError::Build {
                path: self.path.clone(),
                package: package.to_owned(),
                source: Box::new(source),
            })?;
        built.insert(key, module.path.clone());
        Ok(module.path)
    }
}

/// Makes the paths of plugins absolute, wherever a suite has plugins.
fn rooted(json: &mut serde_json::Value, folder: &Path) {
    let children: Vec<&mut serde_json::Value> = match json {
        serde_json::Value::Object(map) => {
            // A plugin's own configuration may have anything.
            if let Some(serde_json::Value::String(module)) = map.get_mut("module") {
                *module = folder.join(&*module).display().to_string();
            }
            let own = |key: &String| !key.ends_with("configuration");
            map.iter_mut()
                .filter(|(key, _)| own(key))
                .map(|(_, value)| value)
                .collect()
        }
        serde_json::Value::Array(elements) => elements.iter_mut().collect(),
        _ => return,
    };
    for child in children {
        rooted(child, folder);
    }
}

/// A package, and the folder whose workspace it is looked for in.
type Built = (PathBuf, String);

impl Fault {
    /// Finds the place of a fault that knows only its keys.
    fn located(self, root: &Node) -> Self {
        if self.place.is_some() {
            return self;
        }
        let place = root.follow(&self.path());
        self.placed(place)
    }
}

impl Node {
    /// The place of the value under these keys, or as far as they lead.
    fn follow(&self, path: &str) -> Place {
        let mut node = self;
        let mut place = self.place;
        for key in path.split(['.', '[']).filter(|key| !key.is_empty()) {
            let next = match key.strip_suffix(']') {
                Some(index) => index.parse().ok().and_then(|index| node.at(index)),
                None => node.get(key),
            };
            let Some(next) = next else { break };
            node = next;
            place = next.place;
        }
        place
    }
}

/// The Envoy that a suite is for.
fn meant(text: &str) -> Result<Version, String> {
    let version = text
        .parse()
        .map_err(|error: VersionError| error.to_string())?;
    version::playable(version).map(|_| version)
}

/// The text of a file that somebody named.
pub(crate) fn text_of(path: &Path) -> Result<String, SuiteError> {
    fs::read_to_string(path).map_err(|source| SuiteError::Read {
        path: path.to_owned(),
        source,
    })
}

/// A fault with its place in the file.
pub(crate) fn invalid(path: PathBuf, text: &str, fault: &Fault) -> SuiteError {
    let place = fault.place.unwrap_or(Place { line: 1, column: 1 });
    let line = text.lines().nth(place.line.saturating_sub(1));
    let excerpt = line.map_or_else(String::new, |line| {
        let number = place.line.to_string();
        let indent = " ".repeat(number.len());
        let line: String = line.chars().take(160).collect();
        let mark = " ".repeat(place.column.saturating_sub(1));
        format!("\n{indent} |\n{number} | {line}\n{indent} | {mark}^")
    });
    SuiteError::Invalid {
        path,
        line: place.line,
        column: place.column,
        key: fault.path(),
        reason: fault.reason.clone(),
        excerpt,
    }
}
