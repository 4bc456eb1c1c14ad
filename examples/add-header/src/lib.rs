//! Puts headers into requests and responses, in place of those that a client or an upstream sent.
//!
//! The smallest filter there is: it changes the request, passes it on, wakes with the response and
//! changes that. Bodies and trailers pass without it.

#![forbid(unsafe_code)]

use attache::prelude::*;

/// The filter.
#[derive(Debug)]
pub struct AddHeader {
    request: Vec<(HeaderName, HeaderValue)>,
    response: Vec<(HeaderName, HeaderValue)>,
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
    name: String,
    value: String,
}

/// Reads the fields of a list; a fault carries its place in the configuration.
fn read(list: &str, fields: &[Field]) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigError> {
    let read = |(index, field): (usize, &Field)| {
        let at = |key: &str, reason| ConfigError::at(format!("/{list}/{index}/{key}"), reason);
        let name = HeaderName::try_from(field.name.as_str())
            .map_err(|_| at("name", "not a header name"))?;
        let value = HeaderValue::try_from(field.value.as_str())
            .map_err(|_| at("value", "not a header value"))?;
        Ok((name, value))
    };
    fields.iter().enumerate().map(read).collect()
}

impl HttpFilter for AddHeader {
    type Config = Config;

    const PHASES: Phases = Phases::REQUEST.union(Phases::RESPONSE);

    fn configure(config: Config, _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self {
            request: read("request", &config.request)?,
            response: read("response", &config.response)?,
        })
    }

    async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
        for (name, value) in &self.request {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        let mut response = next.run(request).await?;
        for (name, value) in &self.response {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        Ok(response)
    }
}

attache::filters! { "add-header" => AddHeader }
