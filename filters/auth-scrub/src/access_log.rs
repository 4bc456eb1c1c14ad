//! Redacted values for the access log, kept as filter state.

use attache::filter_state::{Declaration, FilterState};
use attache::{ConfigError, Error, Headers, Plugin};

use crate::config::Place;
use crate::credentials::{is_token, joined, scheme};
use crate::digest::Hasher;

/// What the access log may show.
#[derive(Debug)]
pub(crate) struct AccessLog(Vec<(What, FilterState<Vec<u8>>)>);

#[derive(Debug)]
enum What {
    Path,
    Changes,
    /// The scheme of a header.
    Scheme(String),
    /// The keyed hash of a header's values.
    Hash(String),
}

impl AccessLog {
    /// Checks a configuration, and tells the host that the values are text.
    pub(crate) fn new(
        config: &Place<'_>,
        can_hash: bool,
        plugin: &Plugin,
    ) -> Result<Self, ConfigError> {
        let prefix = config.text_of("filter_state_prefix").unwrap_or("scrub");
        let of_prefix = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if prefix.is_empty() || !prefix.bytes().all(of_prefix) {
            let reason = "expected letters, digits, `_`, `-` and `.`";
            return Err(config.fault_at("filter_state_prefix", reason));
        }
        let list = config.list("fields");
        if list.is_empty() {
            return Err(config.fault_at("fields", "names no field"));
        }
        let mut fields = Vec::new();
        for (index, field) in list.iter().enumerate() {
            let what = What::new(field.text(), can_hash).map_err(|reason| field.fault(reason))?;
            // Given twice, it is kept once: the host refuses to be told of it again.
            if list
                .iter()
                .take(index)
                .any(|other| other.text() == field.text())
            {
                continue;
            }
            let state = FilterState::named(String::from_iter([prefix, ".", field.text()]))?;
            state.declare(plugin, Declaration::text())?;
            fields.push((what, state));
        }
        Ok(Self(fields))
    }

    /// Keeps what the headers of a request say, before they are changed.
    pub(crate) fn before(&self, headers: &Headers, hasher: Option<&Hasher>) -> Result<(), Error> {
        for (what, state) in &self.0 {
            let text = match what {
                What::Path | What::Changes => continue,
                What::Scheme(name) => {
                    let values = headers.all(&name[..]);
                    let schemes: Vec<_> = values.into_iter().filter_map(scheme).collect();
                    joined(&schemes, b",")
                }
                What::Hash(name) => {
                    let values = headers.all(&name[..]).into_iter();
                    let digests = values.filter_map(|value| Some(hasher?.digest(value)));
                    joined(&digests.collect::<Vec<_>>(), b",")
                }
            };
            if !text.is_empty() {
                state.set(&text)?;
            }
        }
        Ok(())
    }

    /// Keeps what was made of the request: the path that is left, and which kinds of things changed.
    pub(crate) fn after(&self, path: &[u8], changes: &str) -> Result<(), Error> {
        for (what, state) in &self.0 {
            match what {
                What::Path => state.set(&path.to_vec())?,
                What::Changes if !changes.is_empty() => state.set(&changes.as_bytes().to_vec())?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl What {
    fn new(field: &str, can_hash: bool) -> Result<Self, &'static str> {
        let (name, make): (&str, fn(String) -> Self) = match field {
            "path" => return Ok(Self::Path),
            "changes" => return Ok(Self::Changes),
            field => match (field.strip_suffix("_scheme"), field.strip_suffix("_hash")) {
                (Some(name), _) => (name, Self::Scheme),
                (_, Some(_)) if !can_hash => return Err("hashing needs a key, in `/hash`"),
                (_, Some(name)) => (name, Self::Hash),
                _ => ("", Self::Scheme),
            },
        };
        if !is_token(name.as_bytes()) {
            return Err("expected `path`, `changes`, or a header's name with `_scheme` or `_hash`");
        }
        Ok(make(name.to_owned()))
    }
}
