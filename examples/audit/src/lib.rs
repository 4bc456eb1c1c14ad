//! Tells an audit service of each stream at its end, over gRPC, several at a time.
//!
//! An access logger stands among the access loggers of a connection manager. Its `log` is called at
//! the end of each stream and cannot wait; what it wrote down, `run` sends beside.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};

use attache::log::warn;
use attache::prelude::*;
use attache::{interval, setting};

/// The access logger.
#[derive(Debug)]
pub struct Audit {
    cluster: Cluster,
    period: setting::Duration,
    capacity: usize,
    lines: RefCell<Vec<String>>,
    /// How many streams there was no room for.
    lost: Cell<u64>,
}

/// The plugin configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The cluster of the audit service.
    cluster: String,
    /// How often it is told.
    #[serde(default = "period")]
    period: setting::Duration,
    /// How many streams wait at most, while the service does not answer.
    #[serde(default = "capacity")]
    capacity: usize,
}

fn period() -> setting::Duration {
    setting::Duration::from_secs(1)
}

fn capacity() -> usize {
    10_000
}

impl Audit {
    async fn send(&self) {
        let lines = self.lines.take();
        let lost = self.lost.take();
        if lines.is_empty() && lost == 0 {
            return;
        }
        // A message is bytes, here lines of text; with the feature `prost`, it is of a type.
        let message = lines.concat();
        let call = self.cluster.grpc("audit.Audit", "Tell").unary(message);
        if let Err(error) = call.await {
            warn!("{} streams were not told of: {error}", lines.len());
        }
        if lost > 0 {
            warn!("there was no room for {lost} streams");
        }
    }
}

impl AccessLogger for Audit {
    type Config = Config;

    fn configure(config: Config, plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self {
            cluster: plugin.cluster(&config.cluster),
            period: config.period,
            capacity: config.capacity,
            lines: RefCell::default(),
            lost: Cell::default(),
        })
    }

    fn log(&self, stream: &Completed) {
        let mut lines = self.lines.borrow_mut();
        if lines.len() >= self.capacity {
            self.lost.set(self.lost.get().saturating_add(1));
            return;
        }
        let status = stream.status().unwrap_or(0);
        let details = stream.code_details().unwrap_or_default();
        // What an attacker chooses is escaped, or one stream could write the lines of others.
        let headers = stream.request_headers();
        let agent = headers.all(USER_AGENT).concat();
        lines.push(format!(
            "{status} {} {}\n",
            details.escape_default(),
            agent.escape_ascii()
        ));
    }

    async fn run(&self, _plugin: &Plugin) -> Result<(), Error> {
        let mut times = interval(*self.period);
        loop {
            times.tick().await?;
            self.send().await;
        }
    }
}

attache::filters! { "audit" => Audit }
