//! Limits requests by key, over all workers: so many a window of time.
//!
//! The key is a header whose values the operator lists: what clients choose would fill shared memory,
//! which nothing empties. Requests with any other value, or several, share one window.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use attache::prelude::*;
use attache::shared::{Json, Shared};
use attache::{LocalReply, Timestamp, setting};

/// What all workers know of a key: the number of its window, and the requests in it.
type Window = Json<(u64, u64)>;

/// The filter.
#[derive(Debug)]
pub struct RateLimit {
    config: Config,
    windows: BTreeMap<Vec<u8>, Shared<Window>>,
    others: Shared<Window>,
}

/// The plugin configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The header that holds the key.
    header: setting::HeaderName,
    /// The keys that have a window of their own.
    keys: Vec<String>,
    /// How many requests a window lets through.
    requests: u64,
    /// How long a window is, in whole seconds.
    window: setting::Duration,
}

impl RateLimit {
    fn window(&self, request: &Request) -> &Shared<Window> {
        let window = match request.headers().all(&self.config.header).as_slice() {
            [key] => self.windows.get(*key),
            _ => None,
        };
        window.unwrap_or(&self.others)
    }

    /// Counts a request, and answers how many its window has had with it.
    fn count(&self, window: &Shared<Window>) -> Result<u64, Error> {
        let number = Timestamp::now()?.unix().as_secs() / self.config.window.as_secs();
        let Json((_, count)) = window.update(|before| match before {
            Some(Json((same, count))) if same == number => Json((number, count.saturating_add(1))),
            _ => Json((number, 1)),
        })?;
        Ok(count)
    }
}

impl HttpFilter for RateLimit {
    type Config = Config;

    const PHASES: Phases = Phases::REQUEST;

    fn configure(config: Config, plugin: &Plugin) -> Result<Self, ConfigError> {
        if config.window.as_secs() == 0 {
            return Err(ConfigError::at("/window", "shorter than a second"));
        }
        let window = |key: &String| {
            let name = format!("rate-limit.key.{key}");
            (key.clone().into_bytes(), plugin.shared(name))
        };
        Ok(Self {
            windows: config.keys.iter().map(window).collect(),
            others: plugin.shared("rate-limit.others"),
            config,
        })
    }

    async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
        if self.count(self.window(&request))? > self.config.requests {
            return Ok(LocalReply::new(StatusCode::TOO_MANY_REQUESTS)
                .header(RETRY_AFTER, self.config.window.as_secs())
                .body("too many requests\n")
                .into());
        }
        next.forward(request)
    }
}

attache::filters! { "rate-limit" => RateLimit }
