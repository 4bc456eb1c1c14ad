//! Requests and their answers as an HTTP archive (HAR), which browsers' tools and `attache record` read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::http1::{self, Header};
use crate::secrets::StandIns;
use crate::upstream::Request;

/// An archive in a file, which grows. Secrets become stand-ins.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    entries: Vec<Value>,
    secrets: StandIns,
}

/// A request and what came of it.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "whoever keeps a request has all of it"
)]
pub struct Archived<'a> {
    /// The request, as the client sent it.
    pub request: &'a Request,
    /// What the client got; nothing where the connection was cut.
    pub response: Option<ArchivedResponse<'a>>,
    /// When the request came.
    pub started: SystemTime,
    /// How long the answer took.
    pub took: Duration,
    /// Whether the upstream received something, where that is known.
    pub reached: Option<bool>,
}

/// A response in an archive.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "as for `Archived`")]
pub struct ArchivedResponse<'a> {
    /// The status.
    pub status: u16,
    /// The reason behind it, of HTTP/1.1.
    pub reason: &'a str,
    /// The headers, in their order.
    pub headers: &'a [Header],
    /// The body.
    pub body: &'a [u8],
}

/// An archive could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`", path.display())]
#[non_exhaustive]
pub struct ArchiveError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl Archive {
    /// Begins an archive, in the place of one that may be there.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`].
    pub fn create(path: &Path) -> Result<Self, ArchiveError> {
        let archive = Self {
            path: path.to_owned(),
            entries: Vec::new(),
            secrets: StandIns::default(),
        };
        archive.write()?;
        Ok(archive)
    }

    /// Adds requests, without the secrets in them.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`].
    pub fn add<'a>(
        &mut self,
        all: impl IntoIterator<Item = Archived<'a>>,
    ) -> Result<(), ArchiveError> {
        for one in all {
            let entry = self.entry(&one);
            self.entries.push(entry);
        }
        self.write()
    }

    fn write(&self) -> Result<(), ArchiveError> {
        let archive = json!({ "log": {
            "version": "1.2",
            "creator": { "name": "attache", "version": env!("CARGO_PKG_VERSION") },
            "entries": self.entries,
        }});
        replace(&self.path, &format!("{archive:#}\n")).map_err(|source| ArchiveError {
            path: self.path.clone(),
            source,
        })
    }

    fn entry(&mut self, seen: &Archived<'_>) -> Value {
        let request = seen.request;
        let header = |name: &str| {
            let value = request.header(name).next().unwrap_or_default();
            printable(value)
        };
        let (host, kind) = (header("host"), header("content-type"));
        let target = self.secrets.target(&printable(&request.target));
        let host = self.secrets.header("host", &host);
        let mut told = json!({
            "method": printable(&request.method),
            "url": format!("http://{host}{target}"),
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "queryString": [],
            "headers": self.headers(&request.headers),
            "headersSize": -1,
            "bodySize": request.body.len(),
        });
        if let (false, Ok(body)) = (request.body.is_empty(), std::str::from_utf8(&request.body)) {
            told["postData"] = json!({ "mimeType": kind, "text": self.secrets.body(&kind, body) });
        }
        let mut entry = json!({
            "startedDateTime": written(seen.started.duration_since(UNIX_EPOCH).unwrap_or_default()),
            "time": seen.took.as_secs_f64() * 1e3,
            "request": told,
            "response": self.response(seen.response.as_ref()),
            "cache": {},
            "timings": { "send": 0, "wait": seen.took.as_secs_f64() * 1e3, "receive": 0 },
        });
        if seen.reached == Some(false) {
            // `attache record` looks for these words.
            entry["comment"] = "the upstream received nothing".into();
        }
        entry
    }

    fn response(&mut self, response: Option<&ArchivedResponse<'_>>) -> Value {
        let Some(response) = response else {
            return json!({ "status": 0, "headers": [], "content": { "size": 0 } });
        };
        let mut kinds = http1::values(response.headers, "content-type");
        let kind = printable(kinds.next().unwrap_or_default());
        let mut content = json!({ "size": response.body.len(), "mimeType": kind });
        if let Ok(body) = std::str::from_utf8(response.body) {
            content["text"] = self.secrets.body(&kind, body).into();
        }
        json!({
            "status": response.status,
            "statusText": response.reason,
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": self.headers(response.headers),
            "content": content,
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": response.body.len(),
        })
    }

    fn headers(&mut self, headers: &[Header]) -> Vec<Value> {
        let header = |header: &Header| {
            let name = printable(&header.name);
            let value = self.secrets.header(&name, &printable(&header.value));
            json!({ "name": name, "value": value })
        };
        headers.iter().map(header).collect()
    }
}

/// Writes a file so that who reads it meanwhile, or after an end in between, finds a whole one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return fs::write(path, text);
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    fs::write(&part, text)?;
    fs::rename(&part, path)
}

/// Text as it is; a control character or a byte that is no text as its escape, so that a message cannot write
/// to a terminal.
#[must_use]
pub fn printable(raw: &[u8]) -> String {
    match std::str::from_utf8(raw) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => raw.escape_ascii().to_string(),
    }
}

/// A time since the Unix epoch as RFC 3339 has it, in UTC.
fn written(since: Duration) -> String {
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Years begin in March here, so that the leap day is their last: days of 400, 100 and 4 years and of one.
    let days = days + 719_468;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = days / 146_097 * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let milliseconds = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_cannot_write_to_the_terminal() {
        assert_eq!(printable("é".as_bytes()), "é");
        assert_eq!(printable(b"\x1b[2J"), r"\x1b[2J");
        assert_eq!(printable(b"\xff"), r"\xff");
    }

    #[test]
    fn times_are_written_as_archives_want_them() {
        for (milliseconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_735_689_600_001, "2025-01-01T00:00:00.001Z"),
        ] {
            assert_eq!(written(Duration::from_millis(milliseconds)), expected);
        }
    }
}
