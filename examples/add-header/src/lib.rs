//! Puts headers into requests and responses, in place of those that a client or an upstream sent.
//!
//! The smallest filter there is: it changes the request, passes it on, wakes with the response and
//! changes that. Bodies and trailers pass without it.

#![forbid(unsafe_code)]

use attache::prelude::*;
use attache::setting;

/// The filter.
#[derive(Debug)]
pub struct AddHeader {
    config: Config,
}

/// The plugin configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the upstream gets.
    #[serde(default)]
    request: Vec<Field>,
    /// What the client gets.
    #[serde(default)]
    response: Vec<Field>,
}

/// A header.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    name: setting::HeaderName,
    value: setting::HeaderValue,
}

impl HttpFilter for AddHeader {
    type Config = Config;

    const PHASES: Phases = Phases::REQUEST.union(Phases::RESPONSE);

    fn configure(config: Config, _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
        for field in &self.config.request {
            request.headers_mut().insert(&field.name, &field.value);
        }
        let mut response = next.run(request).await?;
        for field in &self.config.response {
            response.headers_mut().insert(&field.name, &field.value);
        }
        Ok(response)
    }
}

attache::filters! { "add-header" => AddHeader }
