//! Asks a cluster about each credential before a request goes on, and remembers what it said.
//!
//! `call` awaits the verdict like any other function; the request waits in Envoy meanwhile, with its
//! body and trailers. Many requests with one credential are one question ([`SingleFlight`]).

#![forbid(unsafe_code)]

use attache::cluster::CallError;
use attache::prelude::*;
use attache::{Cache, SingleFlight, Timestamp, setting};

/// Bytes of a credential whose verdict is remembered.
const LONGEST_REMEMBERED: usize = 4096;

/// The filter.
#[derive(Debug)]
pub struct ExtAuth {
    cluster: Cluster,
    timeout: setting::Duration,
    failure_mode: FailureMode,
    verdicts: Cache<Vec<u8>, bool>,
    flights: SingleFlight<Vec<u8>, Result<bool, CallError>>,
}

/// The plugin configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The cluster that is asked; it answers 200 to who may pass.
    cluster: String,
    /// How long it may take.
    #[serde(default = "timeout")]
    timeout: setting::Duration,
    /// How long a verdict is remembered.
    #[serde(default)]
    cache: setting::Duration,
    /// What becomes of requests while the cluster does not answer.
    #[serde(default)]
    failure_mode: FailureMode,
}

fn timeout() -> setting::Duration {
    setting::Duration::from_millis(500)
}

impl ExtAuth {
    async fn may_pass(&self, credential: &[u8]) -> Result<bool, Error> {
        if let Some(verdict) = self.verdicts.get(credential, Timestamp::now()?) {
            return Ok(verdict);
        }
        let ask = || async {
            let check = self.cluster.get("/check").timeout(*self.timeout);
            let answer = check.header(AUTHORIZATION, credential).send().await?;
            // A cluster that is down has not said no: that is a fault, for the failure mode.
            Ok(answer.error_for_server_failure()?.status() == StatusCode::OK)
        };
        let verdict = self.flights.run(credential.to_vec(), ask).await?;
        // Clients choose how long it is, and the cache counts its values, not their bytes.
        if credential.len() <= LONGEST_REMEMBERED {
            let now = Timestamp::now()?;
            self.verdicts.insert(credential.to_vec(), verdict, now);
        }
        Ok(verdict)
    }
}

impl HttpFilter for ExtAuth {
    type Config = Config;

    const PHASES: Phases = Phases::REQUEST.union(Phases::WAITS);

    fn configure(config: Config, plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self {
            cluster: plugin.cluster(&config.cluster),
            timeout: config.timeout,
            failure_mode: config.failure_mode,
            verdicts: Cache::new(10_000, *config.cache),
            flights: SingleFlight::new(),
        })
    }

    async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
        // Of two credentials, the cluster would judge one and the upstream might read the other.
        let may_pass = match request.headers().all(AUTHORIZATION).as_slice() {
            [credential] => self.may_pass(credential).await?,
            _ => false,
        };
        if !may_pass {
            return Ok(Response::local(StatusCode::UNAUTHORIZED, "who are you?\n"));
        }
        next.forward(request)
    }

    fn failure_mode(&self) -> FailureMode {
        self.failure_mode
    }
}

attache::filters! { "ext-auth" => ExtAuth }
