//! Tests of plugins as Google's Service Extensions have them: text in Protobuf's text format, or YAML.
//!
//! Each test makes callbacks of one stream, one after the other, and says of each what it must leave behind
//! (`plugins/test/runner.proto` and `dynamic_test.cc` in the repository GoogleCloudPlatform/service-extensions).
//! There is no proxy around them: headers are what the test gives, sorted by name, values of one name
//! joined by `, `; a reply ends the stream; time stands still.

mod file;
mod input;
mod play;
mod text_format;

use std::path::{Path, PathBuf};

use crate::report::{CaseReport, Player, Report};
use crate::suite::{SuiteError, invalid, text_of};
use crate::yaml::{Fault, Value, from_node, parse};
use file::TestsFile;
use play::Subject;

/// A file of plugin tests.
///
/// ```no_run
/// use attache_suite::PluginTests;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tests = PluginTests::load("tests.textpb")?;
/// let report = tests.run(Some("filter.wasm".as_ref()), None)?;
/// assert!(report.passed(), "{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PluginTests {
    path: PathBuf,
    text: String,
    file: TestsFile,
}

impl PluginTests {
    /// Whether a file holds plugin tests and no suite: by its ending, and of YAML by its keys.
    #[must_use]
    pub fn is_one(path: &Path) -> bool {
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending {
            Some("textpb" | "textproto" | "pbtxt" | "txtpb") => true,
            Some("yaml" | "yml") => {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                let keys = |node: &crate::yaml::Node| {
                    node.get("version").is_none()
                        && ["test", "env", "runtime"]
                            .iter()
                            .any(|key| node.get(key).is_some())
                };
                parse(&text).is_ok_and(|node| keys(&node))
            }
            _ => false,
        }
    }

    /// Reads a file and checks what can be checked without playing it.
    ///
    /// # Errors
    ///
    /// [`SuiteError::Read`] and [`SuiteError::Invalid`].
    pub fn load(path: impl Into<PathBuf>) -> Result<Self, SuiteError> {
        let path = path.into();
        let text = text_of(&path)?;
        Self::from_text(path, text)
    }

    /// Reads tests from a text, as if it stood in the file `path`.
    ///
    /// # Errors
    ///
    /// [`SuiteError::Invalid`].
    pub fn from_text(
        path: impl Into<PathBuf>,
        text: impl Into<String>,
    ) -> Result<Self, SuiteError> {
        let (path, text) = (path.into(), text.into());
        let is_yaml = path
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml");
        let node = if is_yaml {
            parse(&text)
        } else {
            text_format::parse(&text)
        };
        let read = node.and_then(|node| {
            if !matches!(node.value, Value::Map { .. }) {
                return Err(Fault::at(node.place, "expected the keys `env` and `test`"));
            }
            let file: TestsFile = from_node(&node)?;
            file.check().map_err(|fault| fault.placed(node.place))?;
            Ok(file)
        });
        match read {
            Ok(file) => Ok(Self { path, text, file }),
            Err(fault) => Err(invalid(path, &text, &fault)),
        }
    }

    /// The names of the tests, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.file.test.iter().map(|test| test.name.as_str())
    }

    /// Leaves only the tests whose names contain `part`.
    #[must_use]
    pub fn only(mut self, part: &str) -> Self {
        self.file.test.retain(|test| test.name.contains(part));
        self
    }

    /// Plays all tests on the harness, each with a fresh VM. The module and the configuration are those that
    /// are given, or else those that the file names, by paths from its folder or from here.
    ///
    /// # Errors
    ///
    /// [`SuiteError::NoModule`] and [`SuiteError::Invalid`]. What goes wrong in a test stands in the report.
    pub fn run(
        &self,
        module: Option<&Path>,
        configuration: Option<&str>,
    ) -> Result<Report, SuiteError> {
        let env = &self.file.env;
        let module = match (module, &env.wasm_path) {
            (Some(module), _) => module.to_owned(),
            (None, Some(named)) => self.found(named, "env.wasm_path")?,
            (None, None) => {
                return Err(SuiteError::NoModule {
                    path: self.path.clone(),
                });
            }
        };
        let configuration = match (configuration, &env.config_path) {
            (Some(text), _) => Some(text.as_bytes().to_vec()),
            (None, Some(named)) => Some(self.read(named, "env.config_path")?),
            (None, None) => None,
        };
        let subject = Subject {
            root_id: crate::suite::declared(&module)
                .into_iter()
                .next()
                .unwrap_or_default(),
            module,
            configuration,
            env,
            folder: self.folder(),
        };
        let case = |test: &file::Test| {
            let mut report = CaseReport::new(&test.name);
            report
                .verdicts
                .push((Player::Harness, play::verdict(&subject, test)));
            report
        };
        Ok(Report {
            path: self.path.clone(),
            cases: self.file.test.iter().map(case).collect(),
            note: None,
        })
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// A file that the tests name.
    fn found(&self, named: &Path, key: &str) -> Result<PathBuf, SuiteError> {
        let beside = self.folder().join(named);
        let mut candidates = [beside, named.to_owned()].into_iter();
        candidates.find(|path| path.is_file()).ok_or_else(|| {
            let reason = format!("there is no file `{}`", named.display());
            invalid(
                self.path.clone(),
                &self.text,
                &Fault::new(reason).under(key),
            )
        })
    }

    fn read(&self, named: &Path, key: &str) -> Result<Vec<u8>, SuiteError> {
        let path = self.found(named, key)?;
        std::fs::read(&path).map_err(|source| SuiteError::Read { path, source })
    }
}
