//! Questions to a registry and its answers: TLS or not, who asks, how long, and how often again.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::admission::key;
use super::credentials::Credentials;
use super::error::RegistryError;
use super::options::{Options, Progress};
use super::reference::{Reference, one_spelling};

/// How long a registry may be silent.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

/// The bytes a second that an upload has at least.
const SLOWEST: u64 = 50_000;

/// The most bytes of an answer that is about a failure.
pub(super) const MESSAGE_LIMIT: usize = 64 * 1024;

pub(super) struct Connection {
    /// For registries on this machine, where a proxy is never meant.
    pub(super) direct: reqwest::Client,
    pub(super) client: reqwest::Client,
    /// For those who give tokens, who are told secrets and may not send us on with them: near, and elsewhere.
    pub(super) realms: [reqwest::Client; 2],
    pub(super) options: Options,
    /// What was let through, by scope, and until when.
    pub(super) tokens: Mutex<HashMap<String, (HeaderValue, Instant)>>,
}

/// What is asked for in a repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Right {
    Pull,
    Push,
    Catalog,
}

/// A question.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) reference: &'a Reference,
    pub(super) right: Right,
    /// What it is for, as it reads behind `to`.
    pub(super) what: String,
    /// What is not there when the answer is 404.
    pub(super) thing: String,
}

impl Connection {
    pub(super) fn new(options: Options) -> Result<Self, RegistryError> {
        // Another part of the program may have chosen before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut certificates = Vec::new();
        for pem in &options.certificates {
            certificates.extend(Certificate::from_pem_bundle(pem).map_err(RegistryError::Tls)?);
        }
        let builder = |redirects| {
            reqwest::Client::builder()
                .user_agent(concat!("attache/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(Duration::from_secs(10))
                .redirect(redirects)
                .referer(false)
                .tls_certs_merge(certificates.iter().cloned())
        };
        Ok(Self {
            direct: builder(Policy::custom(follow))
                .no_proxy()
                .build()
                .map_err(RegistryError::Tls)?,
            client: builder(Policy::custom(follow))
                .build()
                .map_err(RegistryError::Tls)?,
            realms: [
                builder(Policy::none())
                    .no_proxy()
                    .build()
                    .map_err(RegistryError::Tls)?,
                builder(Policy::none())
                    .build()
                    .map_err(RegistryError::Tls)?,
            ],
            options,
            tokens: Mutex::default(),
        })
    }

    /// An address in the registry's interface.
    pub(super) fn url(&self, reference: &Reference, path: &str) -> Result<Url, RegistryError> {
        let host = reference.host();
        let scheme = if self.is_plain(host) { "http" } else { "https" };
        let url = format!("{scheme}://{host}/v2/{path}");
        Url::parse(&url).map_err(|error| RegistryError::Broken {
            registry: reference.registry().to_owned(),
            what: format!("open `{url}`"),
            why: error.to_string(),
        })
    }

    /// Certificates that were named for a registry on this machine mean that it has TLS.
    pub(super) fn is_plain(&self, host: &str) -> bool {
        let is_named = self
            .options
            .plain_http
            .iter()
            .any(|plain| one_spelling(plain) == host);
        is_named || (is_loopback(host) && self.options.certificates.is_empty())
    }

    /// Does it, and again a few times when the failure may pass.
    pub(super) async fn again<T>(
        &self,
        mut attempt: impl AsyncFnMut() -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut wait = self.options.backoff;
        let mut left = self.options.retries;
        loop {
            match attempt().await {
                Err(error) if error.may_pass() && left > 0 => {
                    let after = error.after().unwrap_or(wait).min(SILENCE);
                    // Nobody there at all is seldom a hiccup.
                    left = left.min(if error.is_connect() { 1 } else { left });
                    self.options.tell(&Progress::Again {
                        error: &error,
                        after,
                    });
                    tokio::time::sleep(after).await;
                    left -= 1;
                    wait *= 3;
                }
                done => return done,
            }
        }
    }

    /// Sends a question once, with what it takes to be let in, and returns an answer of success.
    pub(super) async fn send(&self, ask: &Ask<'_>) -> Result<Response, RegistryError> {
        let response = self.exchange(ask, self.kept(ask)).await?;
        let response = match response.status() {
            // Who was asked in the end may be another, to whom the registry has sent us on: that one learns nothing.
            StatusCode::UNAUTHORIZED
                if self.is_registry(ask) && response.url().origin() == ask.url.origin() =>
            {
                let authorization = self.authorize(ask, &response).await?;
                match authorization {
                    Some(_) => self.exchange(ask, authorization).await?,
                    None => response,
                }
            }
            _ => response,
        };
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(self.refused(ask, status, response).await),
        }
    }

    async fn exchange(
        &self,
        ask: &Ask<'_>,
        authorization: Option<HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let is_near = ask.url.host_str().is_some_and(is_loopback);
        let client = if is_near { &self.direct } else { &self.client };
        let mut request = client
            .request(ask.method.clone(), ask.url.clone())
            .headers(ask.headers.clone());
        if ask.method != Method::GET && ask.method != Method::HEAD {
            request = request.body(ask.body.clone());
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let upload = Duration::from_secs(ask.body.len() as u64 / SLOWEST);
        self.in_time(ask, SILENCE + upload, request.send()).await
    }

    /// Awaits a step of an exchange, for a while.
    pub(super) async fn in_time<T>(
        &self,
        ask: &Ask<'_>,
        limit: Duration,
        step: impl Future<Output = reqwest::Result<T>>,
    ) -> Result<T, RegistryError> {
        let registry = || ask.reference.registry().to_owned();
        match tokio::time::timeout(limit, step).await {
            Ok(done) => done.map_err(|source| RegistryError::Unreachable {
                registry: registry(),
                source: source.without_url(),
            }),
            Err(_) => Err(RegistryError::Late {
                registry: registry(),
                what: ask.what.clone(),
                seconds: limit.as_secs(),
            }),
        }
    }

    /// The next bytes of an answer; none at its end.
    pub(super) async fn next(
        &self,
        ask: &Ask<'_>,
        response: &mut Response,
    ) -> Result<Option<Bytes>, RegistryError> {
        self.in_time(ask, SILENCE, response.chunk()).await
    }

    /// All of an answer, where it is a document.
    pub(super) async fn document(
        &self,
        ask: &Ask<'_>,
        response: &mut Response,
        limit: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next(ask, response).await? {
            bytes.extend_from_slice(&piece);
            let size = bytes.len() as u64;
            if size > limit {
                return Err(RegistryError::TooLarge {
                    what: format!(
                        "the answer of `{}` to {}",
                        ask.reference.registry(),
                        ask.what
                    ),
                    size,
                    limit,
                });
            }
        }
        Ok(bytes)
    }

    /// Whether the question goes to the registry itself and not to where it sent us: tokens are for it alone.
    fn is_registry(&self, ask: &Ask<'_>) -> bool {
        let own = self.url(ask.reference, "");
        own.is_ok_and(|own| own.origin() == ask.url.origin())
    }

    fn kept(&self, ask: &Ask<'_>) -> Option<HeaderValue> {
        if !self.is_registry(ask) {
            return None;
        }
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (token, until) = tokens.get(&key(ask))?;
        (*until > Instant::now()).then(|| token.clone())
    }

    /// What an answer that is no success means.
    pub(super) async fn refused(
        &self,
        ask: &Ask<'_>,
        status: StatusCode,
        mut response: Response,
    ) -> RegistryError {
        let registry = ask.reference.registry().to_owned();
        let after = response.headers().get(RETRY_AFTER);
        let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
        let mut body = Vec::new();
        while body.len() < MESSAGE_LIMIT
            && let Ok(Some(piece)) = self.next(ask, &mut response).await
        {
            body.extend_from_slice(&piece);
        }
        let message = message(&body);
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryError::Denied {
                who: match self.who(ask.reference) {
                    Ok(Credentials::Password { user, .. }) => format!("the user `{user}`"),
                    Ok(Credentials::IdentityToken(_)) => "the token that is kept".to_owned(),
                    _ => "an anonymous client".to_owned(),
                },
                what: ask.what.clone(),
                reason: message,
                registry,
            },
            StatusCode::NOT_FOUND => RegistryError::NotFound {
                what: ask.thing.clone(),
                registry,
            },
            _ => RegistryError::Status {
                what: ask.what.clone(),
                status: status.as_u16(),
                message,
                after: after.map(Duration::from_secs),
                registry,
            },
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A few times, and never from TLS to none.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let from_tls = attempt.previous().iter().any(|url| url.scheme() == "https");
    if attempt.previous().len() > 5 {
        attempt.error("too many redirects")
    } else if from_tls && attempt.url().scheme() != "https" {
        attempt.error("a redirect from https to http")
    } else {
        attempt.follow()
    }
}

/// Whether a host, with a port or not, is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => host,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// What OCI has in an answer about a failure.
#[derive(Deserialize)]
struct Failures {
    errors: Vec<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    code: String,
    #[serde(default)]
    message: String,
}

fn message(body: &[u8]) -> String {
    match serde_json::from_slice::<Failures>(body) {
        Ok(Failures { errors }) => {
            let texts = errors.iter().map(|failure| match &failure.message[..] {
                "" => failure.code.clone(),
                message => format!("{}: {message}", failure.code),
            });
            texts.collect::<Vec<_>>().join(", ")
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_names() {
        for host in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "127.8.0.1",
            "[::1]:5000",
            "[::1]",
            "r.localhost",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "127.0.0.1.example.com",
            "localhost.example.com",
            "10.0.0.1:5000",
            "[fd00::1]:80",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn what_a_registry_says_of_a_failure_is_read() {
        let body =
            br#"{"errors":[{"code":"DENIED","message":"not yours","detail":{}},{"code":"X"}]}"#;
        assert_eq!(message(body), "DENIED: not yours, X");
        assert_eq!(message(b"<html>"), "<html>");
    }
}
