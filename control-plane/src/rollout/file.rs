use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use attache_module::sha256;
use attache_package::registry::Reference;
use serde::Deserialize;
use serde_json::Value;

use super::stamp::Stamp;
use super::{Canary, Criteria, FailurePolicy, Module, Probe, Rollout, SuiteText};
use crate::preflight::told;
use crate::status::FileFault;

/// A module larger than this is refused: every push carries it.
pub(crate) const LARGEST_MODULE: u64 = 64 << 20;
/// The file of a rollout, and a suite.
pub(crate) const LARGEST_TEXT: u64 = 4 << 20;

/// The file of a rollout, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    plugin: String,
    module: Option<PathBuf>,
    image: Option<String>,
    root_id: Option<String>,
    #[serde(default)]
    configuration: Option<Value>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    failure_policy: FailurePolicy,
    #[serde(default)]
    allow_on_headers_stop_iteration: bool,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    state_epoch: u32,
    #[serde(default)]
    suites: Vec<PathBuf>,
    canary: Option<Canary>,
    #[serde(default)]
    fails_when: Criteria,
    probe: Option<Probe>,
}

/// Why the file of a rollout is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no rollout, or a value is not what it has to be.
    #[error("{}:{line}:{column}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What is wrong, and what was expected.
        reason: String,
    },
}

impl FileError {
    /// The same as data.
    #[must_use]
    pub fn fault(&self) -> FileFault {
        let (path, line, column, reason) = match self {
            Self::Read { path, source } => (path, None, None, format!("cannot be read: {source}")),
            Self::Syntax {
                path,
                line,
                column,
                reason,
            } => (path, Some(*line), Some(*column), reason.clone()),
        };
        FileFault {
            file: path.display().to_string(),
            line,
            column,
            reason,
        }
    }
}

/// Reads the file of a rollout, and the module that it names.
///
/// # Errors
///
/// [`FileError`], with the place of what is wrong.
pub fn read(path: &Path) -> Result<Rollout, FileError> {
    read_again(path, &[], &mut None)
}

/// A module whose file was read, and had been left alone then.
#[derive(Clone, Debug)]
pub(crate) struct ReadModule {
    module: Module,
    stamp: Stamp,
}

/// Reads a file of which these versions are known, whose modules need not be kept again. The module that was read last
/// is not read anew if nobody has touched its file since.
pub(crate) fn read_again(
    path: &Path,
    known: &[&Arc<Rollout>],
    last: &mut Option<ReadModule>,
) -> Result<Rollout, FileError> {
    let text = text(path, LARGEST_TEXT).map_err(|source| FileError::Read {
        path: path.to_owned(),
        source,
    })?;
    let file: File = serde_saphyr::from_str(&text).map_err(|error| {
        let place = error.location();
        let line = place.map_or(1, |place| place.line());
        let column = place.map_or(1, |place| place.column());
        let reason = first_line(&error.without_snippet().to_string());
        // The place is told beside it.
        let place = format!(" at line {line}, column {column}");
        FileError::Syntax {
            path: path.to_owned(),
            line,
            column,
            reason: reason.strip_suffix(&place).unwrap_or(&reason).to_owned(),
        }
    })?;
    let wrong = |key: &'static str| {
        let line = line_of(&text, key);
        move |reason: String| FileError::Syntax {
            path: path.to_owned(),
            line,
            column: 1,
            reason,
        }
    };
    if file.version != "1" {
        let version = file.version;
        let reason = format!("`version` is `{version}`, expected \"1\"");
        return Err(wrong("version")(reason));
    }
    if file.plugin.is_empty() {
        let reason = "`plugin` is empty; it is the name of the filter in Envoy's chain";
        return Err(wrong("plugin")(reason.to_owned()));
    }
    if let Some(name) = file.environment.keys().find(|name| *name == GENERATION) {
        let reason = format!("`environment` may not have `{name}`, which each push has");
        return Err(wrong("environment")(reason));
    }
    if let Some(fault) = file.probe.as_ref().and_then(Probe::fault) {
        return Err(wrong("probe")(fault));
    }
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let module = match (&file.module, &file.image) {
        // The time before it is read: what comes after that changes it again.
        (Some(path), None) => module(&folder.join(path), known, last, SystemTime::now()),
        (None, Some(reference)) => image(reference, known),
        _ => Err("one of `module`, a file, and `image`, a reference, is required".to_owned()),
    }
    .map_err(wrong(match &file.image {
        Some(_) => "image",
        None => "module",
    }))?;
    let suites = file.suites.iter().map(|path| suite(&folder.join(path)));
    let suites = suites.collect::<Result<_, _>>().map_err(wrong("suites"))?;
    if let Some(canary) = &file.canary
        && !file.groups.is_empty()
        && !file.groups.contains(&canary.group)
    {
        let group = &canary.group;
        let reason = format!("the canary group `{group}` is not among `groups`");
        return Err(wrong("canary")(reason));
    }
    Ok(Rollout {
        name: name_of(path),
        file: path.to_owned(),
        root_id: file.root_id.unwrap_or_else(|| file.plugin.clone()),
        plugin: file.plugin,
        module,
        configuration: match file.configuration {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(value) => value.to_string(),
        },
        groups: file.groups,
        failure_policy: file.failure_policy,
        allow_on_headers_stop_iteration: file.allow_on_headers_stop_iteration,
        environment: file.environment,
        state_epoch: file.state_epoch,
        suites,
        canary: file.canary,
        criteria: file.fails_when,
        probe: file.probe,
    })
}

/// The variable by which a push says its generation to the module.
pub(crate) const GENERATION: &str = "ATTACHE_GENERATION";

/// The name of the rollout that a file declares.
pub(crate) fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

fn module(
    path: &Path,
    known: &[&Arc<Rollout>],
    last: &mut Option<ReadModule>,
    now: SystemTime,
) -> Result<Module, String> {
    let shown = path.display();
    let fault = |error: io::Error| format!("cannot read the module `{shown}`: {error}");
    let about = fs::metadata(path).map_err(fault)?;
    let stamp = Stamp::of(&about, now);
    let read = last.take().filter(|read| read.module.path == path);
    if let (Some(read), Some(stamp)) = (read, stamp)
        && read.stamp == stamp
    {
        return Ok(last.insert(read).module.clone());
    }
    let bytes = bytes(path, LARGEST_MODULE).map_err(fault)?;
    let sha256 = sha256(&bytes);
    let mut known = known.iter().map(|rollout| &rollout.module);
    let same = known.find(|module| module.path == path && module.sha256() == sha256);
    let module = same.map_or_else(|| Module::new(path, bytes), Module::clone);
    *last = stamp.map(|stamp| ReadModule {
        module: module.clone(),
        stamp,
    });
    Ok(module)
}

/// An image that was fetched before is not fetched again for as long as it is named alike.
fn image(reference: &str, known: &[&Arc<Rollout>]) -> Result<Module, String> {
    let parsed: Result<Reference, _> = reference.parse();
    parsed.map_err(|error| format!("`image` is none: {}", told(&error)))?;
    let mut known = known.iter().map(|rollout| &rollout.module);
    let same = known.find(|module| module.image() == Some(reference));
    Ok(same.map_or_else(|| Module::of_image(reference), Module::clone))
}

fn suite(path: &Path) -> Result<SuiteText, String> {
    let text = text(path, LARGEST_TEXT)
        .map_err(|error| format!("cannot read the suite `{}`: {error}", path.display()))?;
    Ok(SuiteText {
        path: path.to_owned(),
        text,
    })
}

fn text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(bytes(path, most)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// What a file holds, if it is one, and has no more than so many bytes.
fn bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let fault = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    // Before it is opened: a pipe would be waited for.
    if !fs::metadata(path)?.is_file() {
        return Err(fault("it is no file".to_owned()));
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    let read = fs::File::open(path)?
        .take(most + 1)
        .read_to_end(&mut bytes)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > most {
        return Err(fault(format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

/// The line of a key, or the first one where the key is missing, or written as nobody does.
fn line_of(text: &str, key: &str) -> u64 {
    let is_it = |line: &str| {
        line.strip_prefix(key)
            .is_some_and(|rest| rest.trim_start().starts_with(':'))
    };
    let number = text.lines().position(is_it).unwrap_or(0);
    u64::try_from(number).map_or(1, |number| number + 1)
}

/// What is wrong, without what is shown of the text.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_value_is_said_with_its_line() {
        let name = format!("attache-file-{}.yaml", std::process::id());
        let path = std::env::temp_dir().join(name);
        let said = |text: &str| {
            fs::write(&path, text).unwrap();
            let fault = read(&path).unwrap_err().fault();
            (fault.line, fault.column, fault.reason)
        };
        let head = "version: \"1\"\nplugin: p\n";
        let (line, column, reason) = said(&format!("{head}# module\nmodule: gone.wasm\n"));
        assert_eq!((line, column), (Some(4), Some(1)), "{reason}");
        assert!(reason.starts_with("cannot read the module"), "{reason}");
        let (line, _, reason) = said(head);
        assert_eq!(line, Some(1), "{reason}");
        assert!(reason.contains("is required"), "{reason}");
        let (line, _, _) = said("plugin: p\nmodule: m.wasm\nversion: \"2\"\n");
        assert_eq!(line, Some(3));
        let (line, column, reason) = said(&format!("{head}modle: m.wasm\n"));
        assert_eq!((line, column), (Some(3), Some(1)));
        assert!(!reason.contains("line 3"), "{reason}");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_module_that_nobody_has_touched_is_not_read_again() {
        let path = std::env::temp_dir().join(format!("attache-module-{}", std::process::id()));
        fs::write(&path, "one").unwrap();
        let now = SystemTime::now();
        let later = now + Duration::from_secs(60);
        let mut last = None;
        let read = |last: &mut _, now| {
            let module = module(&path, &[], last, now).unwrap();
            String::from_utf8_lossy(module.bytes()).into_owned()
        };
        assert_eq!(read(&mut last, now), "one");
        assert!(last.is_none(), "it may still be written");
        assert_eq!(read(&mut last, later), "one");
        last.as_mut().unwrap().module = Module::new(&path, b"remembered".as_slice());
        assert_eq!(read(&mut last, later), "remembered");
        assert_eq!(read(&mut last, now), "one", "the clock was set back");
        assert_eq!(read(&mut last, later), "one");
        fs::write(&path, "three").unwrap();
        assert_eq!(read(&mut last, later), "three");
        fs::remove_file(&path).unwrap();
    }
}
