//! Prints what Envoy's bootstrap needs so that the labels of a configuration are labels in Prometheus.
//!
//! ```text
//! cargo run -p metrics --example stats_tags -- configuration.json
//! ```

use std::error::Error;
use std::io::Write;

fn main() -> Result<(), Box<dyn Error>> {
    let configuration = match std::env::args_os().nth(1) {
        Some(path) => std::fs::read_to_string(path)?,
        None => "{}".to_owned(),
    };
    let snippet = metrics::stats_tags(&serde_json::from_str(&configuration)?)?;
    std::io::stdout().write_all(snippet.as_bytes())?;
    Ok(())
}
