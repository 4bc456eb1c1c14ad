//! What is tried of a version before any Envoy sees it.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use attache_harness::{FailurePolicy as Policy, Host, HostError, Plugin};
use attache_module::{Facts, ReadError};
use attache_suite::{Suite, SuiteError, Target};

use crate::rollout::{FailurePolicy, GENERATION, Rollout, SuiteText};

/// Why a version is not pushed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The file is no module that Envoy loads.
    #[error("`{module}` is no proxy-wasm module")]
    Module { module: String, source: ReadError },
    /// The filter does not start with this configuration.
    #[error("the plugin does not start")]
    Start(#[source] Box<HostError>),
    /// A suite cannot be played.
    #[error("a suite cannot be played")]
    Suite(#[from] Box<SuiteError>),
    /// A suite does not pass.
    #[error("the suite `{suite}` fails: {cases}")]
    Cases { suite: String, cases: String },
    /// The module cannot be handed to the suites.
    #[error("the module cannot be kept for its suites")]
    Keep(#[source] io::Error),
}

/// An error with all causes, in one line.
pub(crate) fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Tries a version. For its suites the module is in the folder, and no longer than they are played.
pub(crate) fn check(
    rollout: &Rollout,
    suites_of_image: &[SuiteText],
    folder: &Path,
) -> Result<(), Refusal> {
    let no_suites = rollout.suites.is_empty() && suites_of_image.is_empty();
    // Reading and compiling take their time, and are independent. What is no module is told as such.
    let (read, started) = std::thread::scope(|scope| {
        let read = scope.spawn(|| Facts::read(rollout.module.bytes()));
        // Code that was compiled quickly needs more of the stack: what it does not start, the usual may.
        let started = match no_suites {
            true => start(rollout, true).or_else(|_| start(rollout, false)),
            false => start(rollout, false),
        };
        (read.join(), started)
    });
    read.unwrap_or_else(|fault| std::panic::resume_unwind(fault))
        .map_err(|source| Refusal::Module {
            module: rollout.module.path.display().to_string(),
            source,
        })?;
    started?;
    if no_suites {
        return Ok(());
    }
    let kept = Kept::new(rollout.module.bytes(), folder).map_err(Refusal::Keep)?;
    for suite in suites_of_image.iter().chain(&rollout.suites) {
        let configuration = Some(rollout.configuration.as_str()).filter(|text| !text.is_empty());
        let report = Suite::of_module(&suite.path, &*suite.text, &kept.0, configuration)
            .and_then(|suite| suite.run_on(&Target::Harness))
            .map_err(Box::new)?;
        if !report.passed() {
            let failed = report.cases.iter().filter(|case| !case.passed());
            let names: Vec<String> = failed.map(|case| format!("`{}`", case.name)).collect();
            return Err(Refusal::Cases {
                suite: suite.path.display().to_string(),
                cases: names.join(", "),
            });
        }
    }
    Ok(())
}

/// A module in a file of its own, which is removed at the end.
struct Kept(PathBuf);

impl Kept {
    /// In this folder, or where the system keeps what is soon gone: a disk that is full refuses no version.
    fn new(bytes: &[u8], folder: &Path) -> io::Result<Self> {
        let elsewhere = std::env::temp_dir();
        Self::within(bytes, folder)
            .or_else(|error| Self::within(bytes, &elsewhere).map_err(|_| error))
    }

    fn within(bytes: &[u8], folder: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(folder)?;
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("attache-trial-{}-{number}.wasm", std::process::id());
            let path = folder.join(name);
            match File::create_new(&path) {
                Ok(mut file) => {
                    // From here on it is removed, whole or not.
                    let kept = Self(path);
                    file.write_all(bytes)?;
                    return Ok(kept);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Starts and configures the plugin as Envoy would; for this alone its code need not be fast.
fn start(rollout: &Rollout, alone: bool) -> Result<(), Refusal> {
    let mut plugin = Plugin::from_bytes(&rollout.plugin, rollout.module.bytes())
        .root_id(&rollout.root_id)
        .vm_id(rollout.vm_id())
        .config(rollout.configuration.as_str())
        .failure_policy(match rollout.failure_policy {
            FailurePolicy::FailClosed => Policy::FailClosed,
            FailurePolicy::FailOpen => Policy::FailOpen,
            FailurePolicy::FailReload => Policy::FailReload,
        })
        .environment(GENERATION, "1");
    if rollout.allow_on_headers_stop_iteration {
        plugin = plugin.allow_on_headers_stop_iteration();
    }
    if alone {
        plugin = plugin.compiled_quickly();
    }
    for (name, value) in &rollout.environment {
        plugin = plugin.environment(name, value);
    }
    match Host::builder().plugin(plugin).start() {
        Ok(_) => Ok(()),
        // Envoy may answer what the harness does not know: only Envoy can tell then.
        Err(HostError::NotAnswered { .. }) => Ok(()),
        Err(error) => Err(Refusal::Start(Box::new(error))),
    }
}
