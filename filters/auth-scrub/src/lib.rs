//! Hides credentials from upstreams: headers and query parameters that a service behind the proxy
//! has no business with are gone before it sees the request.
//!
//! The README beside this crate says what is removed by default, how to configure it and what it
//! does not do. [`Rules`] and [`query`] decide without a host; this file wires them to a stream.

#![forbid(unsafe_code)]

mod config;
mod rules;

pub mod query;

use attache::log::debug;
use attache::prelude::*;

pub use crate::config::Config;
pub use crate::rules::Rules;

/// The filter.
#[derive(Debug)]
pub struct AuthScrub {
    rules: Rules,
}

impl HttpFilter for AuthScrub {
    type Config = Config;

    const PHASES: Phases = Phases::REQUEST;

    fn configure(config: Config, _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self {
            rules: Rules::new(config)?,
        })
    }

    async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
        let headers = request
            .headers_mut()
            .retain(|name, _value| !self.rules.names_header(name));
        let path = query::scrub(request.path().as_bytes(), |name| {
            self.rules.names_parameter(name)
        });
        if let Some(path) = &path
            && request.set_path(path).is_err()
        {
            // No HTTP codec lets such a path through; a filter before this one may have made it.
            return Ok(Response::local(StatusCode::BAD_REQUEST, "malformed path\n"));
        }
        if headers > 0 || path.is_some() {
            debug!(
                "removed {headers} headers, query changed: {}",
                path.is_some()
            );
        }
        next.forward(request)
    }
}

attache::filters! { "auth-scrub" => AuthScrub }
