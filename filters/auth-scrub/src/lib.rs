//! Hides credentials from upstreams and clients: headers, cookies, query parameters, addresses and
//! tokens that a service behind the proxy has no business with are gone, masked or hashed before it
//! sees the request.
//!
//! The README beside this crate says what goes by default, how to configure it and what it does not
//! do. `rules` decides without a host, `scrub` acts on the headers of a stream, and this file wires
//! both to it.

#![forbid(unsafe_code)]

mod access_log;
mod address;
mod change;
mod changes;
mod condition;
mod config;
mod cookies;
mod credentials;
mod digest;
mod judge;
mod names;
mod offline;
mod query;
mod rules;
mod scrub;
mod special;
mod token;
mod userinfo;
mod websocket;

use std::cell::Cell;
use std::rc::Rc;

use attache::log::debug;
use attache::metrics::Outcomes;
use attache::prelude::*;
use attache::properties::xds;

use crate::access_log::AccessLog;
use crate::condition::Facts;
use crate::config::Place;
use crate::digest::Hasher;
use crate::rules::{Kind, Plan, Rules};
use crate::scrub::Scrub;

pub use crate::config::Config;
pub use crate::offline::{Offline, Part, Target};

/// The filter.
#[derive(Debug)]
pub struct AuthScrub {
    shared: Rc<Shared>,
    failure_mode: FailureMode,
    access_log: Option<AccessLog>,
}

/// What looks at trailers too, which come later.
#[derive(Debug)]
struct Shared {
    rules: Rules,
    enforce: bool,
    outcomes: Outcomes,
}

impl HttpFilter for AuthScrub {
    type Config = Config;

    const PHASES: Phases = Phases::REQUEST
        .union(Phases::RESPONSE)
        .union(Phases::REQUEST_TRAILERS)
        .union(Phases::RESPONSE_TRAILERS);

    fn configure(config: Config, plugin: &Plugin) -> Result<Self, ConfigError> {
        let config = config.place()?;
        let hash = config.get("hash");
        let variable = |name: &str| plugin.variable(name);
        let hasher = hash.map(|hash| hasher(&hash, variable)).transpose()?;
        let can_hash = hasher.is_some();
        let rules = Rules::new(&config, hasher)?;
        let access_log = config.get("access_log");
        let access_log = access_log.map(|config| AccessLog::new(&config, can_hash, plugin));
        Ok(Self {
            shared: Rc::new(Shared {
                rules,
                enforce: config.text_of("mode") != Some("report_only"),
                outcomes: plugin.outcomes(),
            }),
            failure_mode: match config.text_of("failure_mode") {
                Some("allow") => FailureMode::Allow,
                _ => FailureMode::Deny,
            },
            access_log: access_log.transpose()?,
        })
    }

    async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
        let shared = &self.shared;
        shared.outcomes.request();
        let plan = shared.plan(&request)?;
        if let Some(log) = &self.access_log {
            log.before(request.headers(), shared.rules.hasher.as_ref())?;
        }
        let mut scrub = Scrub::new(&shared.rules, &plan, shared.enforce);
        scrub.request(request.headers_mut());
        let mut is_malformed = scrub.refuses_host(request.authority());
        let path = scrub.path(request.path().as_bytes());
        if let Some(log) = &self.access_log {
            let left = path.as_deref().unwrap_or(request.path().as_bytes());
            log.after(left, &scrub.changes().words())?;
        }
        if let Some(path) = path.filter(|_| shared.enforce) {
            is_malformed |= request.set_path(&path).is_err();
        }
        if is_malformed {
            // No HTTP codec lets such a path through; a filter before this one may have made it.
            shared.outcomes.denied();
            let why = "malformed path or host\n";
            return Ok(Response::local(StatusCode::BAD_REQUEST, why));
        }
        let matched = Rc::new(Cell::new(false));
        shared.count(&scrub, &matched);
        if plan.is_empty() {
            shared.outcomes.skipped("no_rule");
            return next.forward(request);
        }
        let has_trailers = !request.ends_with_headers();
        if has_trailers && shared.looks_at_trailers(&plan, Kind::Header) {
            let hook = shared.trailers(plan.clone(), Kind::Header, &matched);
            request.map_trailers(hook);
        }
        if !shared.looks_at_response(&plan) {
            return next.forward(request);
        }
        let mut response = next.run(request).await?;
        let mut scrub = Scrub::new(&shared.rules, &plan, shared.enforce);
        scrub.response(response.headers_mut());
        shared.count(&scrub, &matched);
        let has_trailers = !response.ends_with_headers();
        if has_trailers && shared.looks_at_trailers(&plan, Kind::ResponseHeader) {
            let hook = shared.trailers(plan, Kind::ResponseHeader, &matched);
            response.map_trailers(hook);
        }
        Ok(response)
    }

    fn failure_mode(&self) -> FailureMode {
        self.failure_mode
    }
}

impl Shared {
    fn plan(&self, request: &Request) -> Result<Plan, Error> {
        if self.rules.is_simple() {
            return Ok(self.rules.plan(None));
        }
        let cluster = match self.rules.asks_cluster() {
            true => xds::CLUSTER_NAME.get()?.map(String::into_bytes),
            false => None,
        };
        let path = request.path().as_bytes();
        let facts = Facts::new(request.method(), request.authority(), path, cluster);
        Ok(self.rules.plan(Some(&facts)))
    }

    fn looks_at_trailers(&self, plan: &Plan, kind: Kind) -> bool {
        let wanted = |rule: &rules::Rule| match kind {
            Kind::Header => rule.trailers,
            _ => rule.response_trailers,
        };
        self.rules.of(plan).any(wanted)
            && match kind {
                Kind::Header => self.rules.looks_at_request(plan),
                _ => self.looks_at_response(plan),
            }
    }

    fn looks_at_response(&self, plan: &Plan) -> bool {
        let rules = &self.rules;
        rules.looks_at(plan, Kind::ResponseHeader)
            || rules.looks_at(plan, Kind::SetCookie)
            || rules.of(plan).any(|rule| rule.location_query)
    }

    fn trailers(
        self: &Rc<Self>,
        plan: Plan,
        kind: Kind,
        matched: &Rc<Cell<bool>>,
    ) -> impl FnOnce(&mut attache::Headers) + use<> {
        let (shared, matched) = (Rc::clone(self), Rc::clone(matched));
        move |trailers| {
            let mut scrub = Scrub::new(&shared.rules, &plan, shared.enforce);
            scrub.trailers(kind, trailers);
            shared.count(&scrub, &matched);
        }
    }

    /// Counts a stream in which something was changed, once.
    fn count(&self, scrub: &Scrub<'_>, matched: &Cell<bool>) {
        let changes = scrub.changes();
        if changes.is_empty() {
            return;
        }
        debug!("changed: {}", changes.words());
        if !matched.replace(true) {
            self.outcomes.matched();
            if !self.enforce {
                self.outcomes.skipped("report_only");
            }
        }
    }
}

fn hasher(
    config: &Place<'_>,
    variable: impl FnOnce(&str) -> Result<Option<String>, Error>,
) -> Result<Hasher, ConfigError> {
    let Some(place) = config.get("key") else {
        return Err(config.fault_at("key", "missing"));
    };
    let key = match (place.text_of("inline"), place.text_of("env")) {
        (Some(key), None) => Secret::new(key.to_owned()),
        (None, Some(name)) => {
            let reason = "the VM has no such variable";
            Secret::new(variable(name)?.ok_or_else(|| place.fault_at("env", reason))?)
        }
        _ => return Err(place.fault("expected one of `inline`, `env`")),
    };
    if key.expose().len() < 16 {
        return Err(place.fault("expected at least 16 bytes"));
    }
    let prefix = config.text_of("prefix").unwrap_or("h:");
    let breaks = |byte: u8| !byte.is_ascii_graphic() || b";,\"\\".contains(&byte);
    if prefix.bytes().any(breaks) {
        let reason = "expected visible letters of ASCII other than `;,\"\\`";
        return Err(config.fault_at("prefix", reason));
    }
    let length = config.number("length").unwrap_or(16);
    if !(8..=64).contains(&length) {
        return Err(config.fault_at("length", "expected 8 to 64"));
    }
    Hasher::new(key.expose().as_bytes(), length, prefix)
        .ok_or_else(|| place.fault("no key for HMAC"))
}

attache::filters! { "auth-scrub" => AuthScrub }
