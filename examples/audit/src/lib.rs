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
    streams: RefCell<Vec<Stream>>,
    /// How many streams there was no room for.
    lost: Cell<u64>,
}

/// What the service is told: those streams that have ended since the last time.
#[derive(Clone, PartialEq, prost::Message)]
struct Report {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<Stream>,
}

/// A stream. What a client chooses is bytes: nothing says that it is UTF-8.
#[derive(Clone, PartialEq, prost::Message)]
struct Stream {
    #[prost(uint32, tag = "1")]
    status: u32,
    #[prost(string, tag = "2")]
    details: String,
    #[prost(bytes = "vec", tag = "3")]
    user_agent: Vec<u8>,
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
        let streams = self.streams.take();
        let lost = self.lost.take();
        if streams.is_empty() && lost == 0 {
            return;
        }
        let count = streams.len();
        let call = self.cluster.grpc("audit.Audit", "Tell");
        // The answer is the empty message.
        if let Err(error) = call.unary_message::<()>(&Report { streams }).await {
            warn!("{count} streams were not told of: {error}");
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
            streams: RefCell::default(),
            lost: Cell::default(),
        })
    }

    fn log(&self, stream: &Completed) {
        let mut streams = self.streams.borrow_mut();
        if streams.len() >= self.capacity {
            self.lost.set(self.lost.get().saturating_add(1));
            return;
        }
        streams.push(Stream {
            status: stream.status().unwrap_or(0).into(),
            details: stream.code_details().unwrap_or_default(),
            user_agent: stream.request_headers().all(USER_AGENT).concat(),
        });
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
