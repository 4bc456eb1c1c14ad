use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Ended;
use super::log::{LogLevel, LogLine};

/// How many lines of the log a message shows.
const SHOWN: usize = 12;

/// Why an Envoy does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The folder for its files cannot be used.
    #[error("cannot use `{}` as the folder of a running Envoy", folder.display())]
    RunFolder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process cannot be started.
    #[error("cannot run `{}`", path.display())]
    Run {
        /// The binary.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process cannot be waited for.
    #[error("cannot wait for Envoy")]
    Wait(#[source] io::Error),
    /// The log cannot be read.
    #[error("cannot read Envoy's log `{}`", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something else listens at an address of the configuration.
    #[error(
        "`{address}` is in use; end what listens there, choose another port, or port 0 for a free one"
    )]
    PortTaken {
        /// The address, as Envoy shows it.
        address: String,
    },
    /// Envoy does not accept its configuration.
    #[error("Envoy refused its configuration `{}`: {reason}", config.display())]
    ConfigurationRefused {
        /// The file.
        config: PathBuf,
        /// Envoy's words.
        reason: String,
    },
    /// Envoy, or the filter itself, does not accept a plugin.
    #[error("Envoy refused plugin `{plugin}`; it logged{}", Shown(lines))]
    PluginRefused {
        /// The name of the plugin.
        plugin: String,
        /// What the filter and its host logged before, as it stands in the log.
        lines: Vec<LogLine>,
    },
    /// Envoy ended while it started.
    #[error("Envoy ended with {ended} while it started; it logged{}", Shown(lines))]
    Exited {
        /// How it ended.
        ended: Ended,
        /// All that it logged.
        lines: Vec<LogLine>,
    },
    /// Envoy accepted no requests in time, and was ended.
    #[error("Envoy was not ready after {} s: {state}; it logged{}", limit.as_secs(), Shown(lines))]
    NotReady {
        /// The time it was given.
        limit: Duration,
        /// What was missing.
        state: String,
        /// All that it logged.
        lines: Vec<LogLine>,
    },
}

/// Explains an Envoy that ended by itself, by the last words of its log:
/// ``error `REASON` initializing config 'goo.gle/debugstr FILE'``.
pub(super) fn of_exit(ended: Ended, config: &Path, lines: Vec<LogLine>) -> StartError {
    let reason = lines.iter().rev().find_map(|line| reason(&line.message));
    let Some(reason) = reason.map(str::to_owned) else {
        return StartError::Exited { ended, lines };
    };
    if let Some(address) = taken_address(&reason) {
        return StartError::PortTaken {
            address: address.to_owned(),
        };
    }
    match reason.strip_prefix("Unable to create Wasm plugin ") {
        Some(plugin) => of_plugin(plugin, lines),
        None => StartError::ConfigurationRefused {
            config: config.to_owned(),
            reason,
        },
    }
}

/// Explains a plugin that was refused.
pub(super) fn of_plugin(plugin: &str, lines: Vec<LogLine>) -> StartError {
    let lines = lines.into_iter().filter(explains_plugin).collect();
    StartError::PluginRefused {
        plugin: plugin.to_owned(),
        lines,
    }
}

/// Whether a line says why a plugin was refused: what filters and their host
/// say at error or worse, and two warnings: of a host without a Wasm engine,
/// and of what becomes of a file.
pub(super) fn explains_plugin(line: &LogLine) -> bool {
    let is_error = line.component == "wasm" && line.level >= Some(LogLevel::Error);
    let warnings = ["Failed to create Wasm VM ", "Filesystem config update "];
    is_error || warnings.iter().any(|start| line.message.starts_with(start))
}

fn reason(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("error `")?;
    let (reason, _) = rest.rsplit_once("` initializing config")?;
    // What Envoy cannot read it repeats whole, as one line of JSON.
    let unread = reason.starts_with("Unable to parse JSON as proto (");
    Some(match reason.split_once("): {").filter(|_| unread) {
        Some((reason, _)) => &rest[..=reason.len()],
        None => reason,
    })
}

fn taken_address(reason: &str) -> Option<&str> {
    let (address, why) = reason.strip_prefix("cannot bind '")?.split_once("': ")?;
    why.contains("in use").then_some(address)
}

/// The last lines of a log, each on a line of its own.
struct Shown<'a>(&'a [LogLine]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(" nothing");
        }
        f.write_str(":")?;
        let lines = self.0.iter().skip(self.0.len().saturating_sub(SHOWN));
        lines
            .into_iter()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: LogLevel, component: &str, message: &str) -> LogLine {
        LogLine {
            time: String::new(),
            level: Some(level),
            component: component.to_owned(),
            message: message.to_owned(),
        }
    }

    fn ended(reason: &str, before: &[LogLine]) -> StartError {
        let last = format!("error `{reason}` initializing config 'goo.gle/debugstr    \n  x.yaml'");
        let mut lines = before.to_vec();
        lines.push(line(LogLevel::Critical, "main", &last));
        of_exit(Ended::Status(1), Path::new("x.yaml"), lines)
    }

    #[test]
    fn a_taken_port_is_named_with_the_next_step() {
        let message = ended("cannot bind '127.0.0.1:80': Address already in use", &[]).to_string();
        assert_eq!(
            message,
            "`127.0.0.1:80` is in use; end what listens there, choose another port, or port 0 for a free one"
        );
    }

    #[test]
    fn a_port_that_may_not_be_used_is_not_taken_for_one_in_use() {
        let error = ended("cannot bind '127.0.0.1:80': Permission denied", &[]);
        assert!(
            matches!(error, StartError::ConfigurationRefused { .. }),
            "{error}"
        );
    }

    #[test]
    fn a_refused_configuration_has_envoys_reason() {
        let message = ended("no such field: 'bogus' `x`", &[]).to_string();
        assert_eq!(
            message,
            "Envoy refused its configuration `x.yaml`: no such field: 'bogus' `x`"
        );
    }

    #[test]
    fn a_configuration_that_envoy_repeats_is_not() {
        let reason = "Unable to parse JSON as proto (INVALID_ARGUMENT: could not find @type 'x'): {\"a\":{}}";
        let message = ended(reason, &[]).to_string();
        assert!(message.ends_with("could not find @type 'x')"), "{message}");
    }

    #[test]
    fn a_refused_plugin_has_its_own_words() {
        let own = line(LogLevel::Error, "wasm", "wasm log p p: `rules` is missing");
        let before = [
            line(LogLevel::Info, "wasm", "hello"),
            own,
            line(LogLevel::Warning, "main", "limits"),
        ];
        let message = ended("Unable to create Wasm plugin p", &before).to_string();
        assert_eq!(
            message,
            "Envoy refused plugin `p`; it logged:\n  error: wasm log p p: `rules` is missing"
        );
    }

    #[test]
    fn an_unexplained_end_shows_the_last_lines() {
        let lines = vec![line(
            LogLevel::Critical,
            "backtrace",
            "Caught Segmentation fault",
        )];
        let message = of_exit(Ended::Signal(11), Path::new("x"), lines).to_string();
        assert_eq!(
            message,
            "Envoy ended with signal 11 while it started; it logged:\n  critical: Caught Segmentation fault"
        );
    }
}
