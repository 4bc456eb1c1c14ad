use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How Envoy is told to write its log: time, level and component in brackets,
/// then the message as the inside of a JSON string. So each message is one
/// line, whatever a filter logs.
pub(super) const FORMAT: &str = "[%Y-%m-%d %T.%f][%l][%n] \"%j\"";

/// How much a log line matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum LogLevel {
    /// Every step.
    Trace,
    /// For the author of a filter.
    Debug,
    /// Worth knowing.
    Info,
    /// Worth a look.
    Warning,
    /// Something failed.
    Error,
    /// Something important failed.
    Critical,
}

impl LogLevel {
    const ALL: [Self; 6] = [
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Warning,
        Self::Error,
        Self::Critical,
    ];
}

/// The name that Envoy has for it.
impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        })
    }
}

/// What Envoy logged.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LogLine {
    /// When, in universal or local time as Envoy has it, like `2026-11-20
    /// 18:34:18.876500`; empty if `level` is absent.
    pub time: String,
    /// How much it matters; absent for what reached the log past the logger,
    /// such as the trace of a crash.
    pub level: Option<LogLevel>,
    /// The part of Envoy that speaks; `wasm` for filters and their host.
    pub component: String,
    /// The message; it may have several lines.
    pub message: String,
}

impl LogLine {
    fn parse(line: &str) -> Self {
        Self::parse_formatted(line).unwrap_or_else(|| Self {
            time: String::new(),
            level: None,
            component: String::new(),
            message: line.to_owned(),
        })
    }

    fn parse_formatted(line: &str) -> Option<Self> {
        let (time, rest) = line.strip_prefix('[')?.split_once("][")?;
        let (level, rest) = rest.split_once("][")?;
        let (component, message) = rest.split_once("] ")?;
        Some(Self {
            time: time.to_owned(),
            level: Some(
                LogLevel::ALL
                    .into_iter()
                    .find(|known| known.to_string() == level)?,
            ),
            component: component.to_owned(),
            message: serde_json::from_str(message).ok()?,
        })
    }
}

/// The level, if there is one, and the message.
impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(level) = self.level {
            write!(f, "{level}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Reads a log that is being written.
#[derive(Clone, Debug)]
pub struct LogReader {
    path: PathBuf,
    position: u64,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
}

impl LogReader {
    pub(super) fn from_start(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            position: 0,
            begun: Vec::new(),
        }
    }

    pub(super) fn from_end(path: &Path) -> io::Result<Self> {
        let position = path.metadata()?.len();
        Ok(Self {
            position,
            ..Self::from_start(path)
        })
    }

    /// The lines that were completed since the last call; it does not wait for one.
    ///
    /// # Errors
    ///
    /// Those of reading the file.
    pub fn next_lines(&mut self) -> io::Result<Vec<LogLine>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.position))?;
        let length = file.read_to_end(&mut self.begun)?;
        self.position += length as u64;
        let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let rest = self.begun.split_off(end + 1);
        let whole = std::mem::replace(&mut self.begun, rest);
        Ok(lines(&whole))
    }

    /// All that is left, with a last line that was not completed.
    pub(super) fn rest(&mut self) -> io::Result<Vec<LogLine>> {
        let mut found = self.next_lines()?;
        found.extend(lines(&std::mem::take(&mut self.begun)));
        Ok(found)
    }
}

fn lines(bytes: &[u8]) -> Vec<LogLine> {
    String::from_utf8_lossy(bytes)
        .lines()
        .map(LogLine::parse)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_line_is_taken_apart_and_its_message_unescaped() {
        let line = LogLine::parse(
            r#"[2026-11-20 18:34:18.876500][error][wasm] "wasm log p p: \"a\"\n[x][info][y] \"b\"""#,
        );
        assert_eq!(line.level, Some(LogLevel::Error));
        assert_eq!(
            (line.time.as_str(), line.component.as_str()),
            ("2026-11-20 18:34:18.876500", "wasm")
        );
        assert_eq!(line.message, "wasm log p p: \"a\"\n[x][info][y] \"b\"");
        assert_eq!(line.to_string(), format!("error: {}", line.message));
    }

    #[test]
    fn what_is_not_of_the_logger_is_kept_as_it_is() {
        for text in [
            "Unable to create Wasm plugin p",
            "[1][loud][x] \"y\"",
            "[1][info][x] y",
            "",
        ] {
            let line = LogLine::parse(text);
            assert_eq!((line.level, line.message.as_str()), (None, text));
        }
    }

    #[test]
    fn a_reader_returns_each_line_once_and_only_when_it_is_complete() {
        let path = std::env::temp_dir().join(format!("attache-log-{}", std::process::id()));
        let mut file = File::create(&path).unwrap();
        let messages = |lines: Vec<LogLine>| {
            lines
                .into_iter()
                .map(|line| line.message)
                .collect::<Vec<_>>()
        };
        let mut reader = LogReader::from_start(&path);
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(messages(reader.next_lines().unwrap()), ["one"]);
        assert_eq!(messages(reader.next_lines().unwrap()), [""; 0]);
        file.write_all(b"o\n\xff").unwrap();
        assert_eq!(messages(reader.next_lines().unwrap()), ["two"]);
        assert_eq!(messages(reader.rest().unwrap()), ["\u{fffd}"]);
        let mut late = LogReader::from_end(&path).unwrap();
        file.write_all(b"\nfour\n").unwrap();
        assert_eq!(messages(late.next_lines().unwrap()), ["", "four"]);
        std::fs::remove_file(path).unwrap();
    }
}
