//! Requests of the user's as an HTTP archive, which browsers' tools and `attache record` read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use attache_envoy::StandIns;
use attache_envoy::http1::Header;
use serde_json::{Value, json};

use super::live::Seen;
use super::report::printable;

/// An archive that grows.
pub(super) struct Archive {
    path: PathBuf,
    entries: Vec<Value>,
    secrets: StandIns,
}

impl Archive {
    /// Begins an archive, in the place of one that may be there.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let archive = Self {
            path: path.to_owned(),
            entries: Vec::new(),
            secrets: StandIns::default(),
        };
        archive.write()?;
        Ok(archive)
    }

    /// Adds requests, without the secrets in them.
    pub(super) fn add(&mut self, seen: &[Seen]) -> anyhow::Result<()> {
        for one in seen {
            let entry = self.entry(one);
            self.entries.push(entry);
        }
        self.write()
    }

    fn write(&self) -> anyhow::Result<()> {
        let archive = json!({ "log": {
            "version": "1.2",
            "creator": { "name": "attache", "version": env!("CARGO_PKG_VERSION") },
            "entries": self.entries,
        }});
        fs::write(&self.path, format!("{archive:#}\n"))
            .with_context(|| format!("cannot write `{}`", self.path.display()))
    }

    fn entry(&mut self, seen: &Seen) -> Value {
        let request = &seen.request;
        let header = |name: &str| {
            let value = request.header(name).next().unwrap_or_default();
            printable(value)
        };
        let (host, kind) = (header("host"), header("content-type"));
        let target = self.secrets.target(&printable(&request.target));
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
            "startedDateTime": seen.started,
            "time": seen.took.as_secs_f64() * 1e3,
            "request": told,
            "response": self.response(seen),
            "cache": {},
            "timings": { "send": 0, "wait": seen.took.as_secs_f64() * 1e3, "receive": 0 },
        });
        if let Some(None) = seen.upstream {
            // `attache record` looks for these words.
            entry["comment"] = "the upstream received nothing".into();
        }
        entry
    }

    fn response(&mut self, seen: &Seen) -> Value {
        let Ok(response) = &seen.response else {
            return json!({ "status": 0, "headers": [], "content": { "size": 0 } });
        };
        let kind = response.header("content-type").next().unwrap_or_default();
        let kind = printable(kind);
        let mut content = json!({ "size": response.body.len(), "mimeType": kind });
        if let Ok(body) = std::str::from_utf8(&response.body) {
            content["text"] = self.secrets.body(&kind, body).into();
        }
        json!({
            "status": response.status,
            "statusText": response.reason,
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": self.headers(&response.headers),
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
