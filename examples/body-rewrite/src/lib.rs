//! Replaces fields of JSON bodies on their way to the upstream.
//!
//! The filter holds the headers until it has the body (`HttpFilter<Holding>`), so that they can still
//! say the new length, and a body that is no JSON object can still be answered. Envoy does that only with
//! `allow_on_headers_stop_iteration: true` in the plugin's configuration.

#![forbid(unsafe_code)]

use attache::prelude::*;
use attache::{Collected, ContentType};
use serde_json::{Map, Value};

/// The filter.
#[derive(Debug)]
pub struct BodyRewrite {
    config: Config,
}

/// The plugin configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The fields that are replaced where they are there, at the top of the body.
    replace: Map<String, Value>,
    /// How large a body may be. Keep it below the listener's `per_connection_buffer_limit_bytes`.
    #[serde(default = "limit")]
    limit: usize,
}

fn limit() -> usize {
    64 * 1024
}

/// Whether a message says that its body is JSON, and bytes that are not compressed.
fn is_json(request: &Request<Holding>) -> bool {
    let headers = request.headers();
    let kind = headers.content_type();
    !headers.contains(CONTENT_ENCODING) && kind.is_some_and(ContentType::is_json)
}

impl BodyRewrite {
    /// The body with its fields replaced; `None` where it is no JSON object.
    fn rewrite(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut object: Map<String, Value> = serde_json::from_slice(body).ok()?;
        for (name, value) in &self.config.replace {
            if let Some(field) = object.get_mut(name) {
                field.clone_from(value);
            }
        }
        serde_json::to_vec(&object).ok()
    }
}

impl HttpFilter<Holding> for BodyRewrite {
    type Config = Config;

    const PHASES: Phases = Phases::REQUEST.union(Phases::REQUEST_BODY);

    fn configure(config: Config, _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    async fn call(
        &self,
        mut request: Request<Holding>,
        next: Next<Holding>,
    ) -> Result<Response<Holding>, Error> {
        if request.ends_with_headers() || !is_json(&request) {
            return next.forward(request);
        }
        let Collected::Whole(whole) = request.collect(self.config.limit).await? else {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Ok(Response::local(status, "too large\n"));
        };
        let Some(body) = self.rewrite(whole.bytes()) else {
            return Ok(Response::local(StatusCode::BAD_REQUEST, "no JSON object\n"));
        };
        whole.replace(body)?;
        next.forward(request)
    }
}

attache::filters! { "body-rewrite" => BodyRewrite }
