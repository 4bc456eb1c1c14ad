use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::bootstrap::{FilterSource, Listener};
use crate::tap::{self, Tapped};
use crate::yaml::{Yaml, quoted};

/// The fields of a line, and Envoy's expression for each.
const FIELDS: [(&str, &str); 10] = [
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(:PATH)%"),
    ("status", "%RESPONSE_CODE%"),
    ("flags", "%RESPONSE_FLAGS%"),
    ("details", "%RESPONSE_CODE_DETAILS%"),
    ("duration_us", "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%"),
    (
        "to_upstream_us",
        "%COMMON_DURATION(DS_RX_BEG:US_TX_BEG:us)%",
    ),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("client_port", "%DOWNSTREAM_DIRECT_REMOTE_PORT%"),
];

/// What Envoy says about one request, a line of the access log that
/// [`Listener::access_log`](crate::Listener::access_log) asks for.
///
/// Envoy writes the line when the request is done, and flushes the file 50
/// times a second: after the answer it takes a moment to appear.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AccessEntry {
    /// The name of the listener.
    pub listener: String,
    /// The method, as filters left it.
    pub method: Option<String>,
    /// The path with its query, as filters left it.
    pub path: Option<String>,
    /// The status of the response; 0 if there was none.
    pub status: u16,
    /// Envoy's response flags, such as `UF` for an upstream that refused.
    pub flags: Option<String>,
    /// Envoy's reason for the response, such as `via_upstream`.
    pub details: Option<String>,
    /// From the first byte of the request to the last byte of the response, by
    /// Envoy's own clock, in whole microseconds.
    pub duration: Option<Duration>,
    /// From the first byte of the request to the first byte sent to the
    /// upstream: connecting, and the request's way through the filters.
    pub to_upstream: Option<Duration>,
    /// Bytes of the request's body.
    pub bytes_received: u64,
    /// Bytes of the response's body.
    pub bytes_sent: u64,
    /// The port of the client's end of the connection, by which a client knows its own again.
    pub client_port: Option<u16>,
    /// What passed the places between filters that are told, by their names; see
    /// [`FilterSource::Tap`](crate::FilterSource::Tap).
    pub taps: BTreeMap<String, Tapped>,
}

/// Why an access log could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessLogError {
    /// The file cannot be read.
    #[error("cannot read the access log `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not JSON.
    #[error("line {line} of the access log `{}` is not JSON", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

impl AccessEntry {
    /// Reads all lines that a log holds by now, oldest first; none if there is
    /// no file yet. A line that is still being written is left out.
    ///
    /// # Errors
    ///
    /// [`AccessLogError`].
    pub fn read_all(path: &Path) -> Result<Vec<Self>, AccessLogError> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(|source| AccessLogError::Read {
                path: path.to_owned(),
                source,
            })?,
        };
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let parse = |(index, line)| {
            let value = serde_json::from_str(line);
            value
                .map(|value| Self::from_json(&value))
                .map_err(|source| AccessLogError::Line {
                    path: path.to_owned(),
                    line: index + 1,
                    source,
                })
        };
        whole.lines().enumerate().map(parse).collect()
    }

    fn from_json(line: &Value) -> Self {
        let text = |key: &str| {
            line[key]
                .as_str()
                .filter(|text| *text != "-")
                .map(str::to_owned)
        };
        let number = |key: &str| line[key].as_u64();
        let micros = |key: &str| number(key).map(Duration::from_micros);
        Self {
            listener: text("listener").unwrap_or_default(),
            method: text("method"),
            path: text("path"),
            status: number("status")
                .and_then(|status| status.try_into().ok())
                .unwrap_or_default(),
            flags: text("flags"),
            details: text("details"),
            duration: micros("duration_us"),
            to_upstream: micros("to_upstream_us"),
            bytes_received: number("bytes_received").unwrap_or_default(),
            bytes_sent: number("bytes_sent").unwrap_or_default(),
            client_port: number("client_port").and_then(|port| port.try_into().ok()),
            taps: tap::read(&line[tap::EXPRESSION.0]),
        }
    }
}

/// The lines of an access log from where it ended on.
#[derive(Debug)]
pub struct AccessLogReader {
    path: PathBuf,
    position: u64,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
}

impl AccessLogReader {
    /// From what the log holds by now, which is nothing if there is no file yet.
    #[must_use]
    pub fn from_end(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            position: fs::metadata(path).map_or(0, |facts| facts.len()),
            begun: Vec::new(),
        }
    }

    /// The lines that were completed since the last call; it does not wait for one. What is no JSON is
    /// left out.
    ///
    /// # Errors
    ///
    /// Those of reading the file.
    pub fn next_entries(&mut self) -> io::Result<Vec<AccessEntry>> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        file.seek(SeekFrom::Start(self.position))?;
        self.position += file.read_to_end(&mut self.begun)? as u64;
        let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let rest = self.begun.split_off(end + 1);
        let whole = std::mem::replace(&mut self.begun, rest);
        let text = String::from_utf8_lossy(&whole);
        let values = text.lines().flat_map(serde_json::from_str::<Value>);
        Ok(values.map(|value| AccessEntry::from_json(&value)).collect())
    }
}

/// Writes the access logger that produces such lines.
pub(crate) fn write(yaml: &mut Yaml, listener: &Listener, path: &str) {
    let is_tap = |filter: &FilterSource| matches!(filter, FilterSource::Tap(_));
    let tapped = listener.filters.iter().any(is_tap);
    let fields = FIELDS.into_iter().chain(tapped.then_some(tap::EXPRESSION));
    yaml.within("- name: envoy.access_loggers.file", |yaml| {
        yaml.within("typed_config:", |yaml| {
            yaml.line("\"@type\": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog");
            yaml.field("path", path);
            yaml.within("log_format:", |yaml| {
                yaml.within("json_format:", |yaml| {
                    // `%` begins an expression, and stands for itself when doubled.
                    yaml.field("listener", &listener.name.replace('%', "%%"));
                    for (name, expression) in fields {
                        yaml.line(&format!("{name}: {}", quoted(expression)));
                    }
                });
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_line_is_read_with_its_absent_values() {
        let line = r#"{"listener":"plain","method":"GET","path":"/x","status":503,"flags":"UF","details":"-",
                       "duration_us":1142,"to_upstream_us":null,"bytes_received":0,"bytes_sent":98,"client_port":4711}"#;
        let entry = AccessEntry::from_json(&serde_json::from_str(line).unwrap());
        assert_eq!((entry.status, entry.bytes_sent), (503, 98));
        assert_eq!(entry.duration, Some(Duration::from_micros(1142)));
        assert_eq!((entry.details, entry.to_upstream), (None, None));
        assert_eq!(entry.client_port, Some(4711));
    }

    #[test]
    fn a_log_is_followed_from_its_end_over_half_lines_and_lines_that_are_no_json() {
        let path = std::env::temp_dir().join(format!("attache-access-{}.log", std::process::id()));
        let mut reader = AccessLogReader::from_end(&path);
        assert_eq!(reader.next_entries().unwrap(), []);
        let statuses = |reader: &mut AccessLogReader| -> Vec<u16> {
            let entries = reader.next_entries().unwrap();
            entries.iter().map(|entry| entry.status).collect()
        };
        fs::write(&path, "{\"status\":200}\nno JSON\n{\"status\":201}\n{\"sta").unwrap();
        let mut late = AccessLogReader::from_end(&path);
        assert_eq!(statuses(&mut reader), [200, 201]);
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"tus\":202}\n").unwrap();
        assert_eq!(statuses(&mut reader), [202]);
        assert_eq!(statuses(&mut reader), [0; 0]);
        // The rest of a line is none.
        assert_eq!(statuses(&mut late), [0; 0]);
        fs::remove_file(&path).unwrap();
    }
}
