//! Refuses requests by path and by header, with 403 in the upstream's place.
//!
//! Clients choose their paths, and how they write them: `/admin`, `//admin`, `/%61dmin`. Let Envoy make
//! them one before this filter sees them (`normalize_path`, `merge_slashes`,
//! `path_with_escaped_slashes_action`).

#![forbid(unsafe_code)]

use attache::prelude::*;
use attache::setting;

/// The filter.
#[derive(Debug)]
pub struct DenyList {
    config: Config,
}

/// The plugin configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Paths that are refused, with all below them.
    #[serde(default)]
    paths: Vec<String>,
    /// Headers that are refused.
    #[serde(default)]
    headers: Vec<Rule>,
}

/// A header that is refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, in any case.
    name: setting::HeaderName,
    /// What any of its values holds.
    contains: String,
}

/// Whether a path is `denied` or below it.
fn is_below(path: &[u8], denied: &str) -> bool {
    let denied = denied.trim_end_matches('/').as_bytes();
    let rest = path.strip_prefix(denied);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

impl Rule {
    /// Headers may come several times: all of them count, not the first alone.
    fn denies(&self, request: &Request) -> bool {
        let wanted = self.contains.as_bytes();
        let holds = |value: &&[u8]| value.windows(wanted.len()).any(|part| part == wanted);
        let values = request.headers().all(&self.name);
        values.iter().any(holds)
    }
}

impl HttpFilter for DenyList {
    type Config = Config;

    const PHASES: Phases = Phases::REQUEST;

    fn configure(config: Config, _plugin: &Plugin) -> Result<Self, ConfigError> {
        let empty = |rule: &Rule| rule.contains.is_empty();
        if let Some(index) = config.headers.iter().position(empty) {
            return Err(ConfigError::at(
                format!("/headers/{index}/contains"),
                "a rule without a value",
            ));
        }
        Ok(Self { config })
    }

    async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
        let path = request.path().without_query();
        if self
            .config
            .paths
            .iter()
            .any(|denied| is_below(path, denied))
            || self.config.headers.iter().any(|rule| rule.denies(&request))
        {
            return Ok(Response::local(StatusCode::FORBIDDEN, "denied\n"));
        }
        next.forward(request)
    }
}

attache::filters! { "deny-list" => DenyList }
