//! The machine that numbers are from.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::on_envoy;

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) envoy: String,
    pub(crate) date: String,
}

impl Machine {
    /// This one, now. What cannot be read is called unknown.
    pub(crate) fn this() -> anyhow::Result<Self> {
        let unknown = || "unknown".to_owned();
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).ok()?;
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let kib = field("/proc/meminfo", "MemTotal")
            .and_then(|value| value.split(' ').next()?.parse::<u64>().ok());
        let date = Command::new("date").args(["-u", "+%F"]).output()?;
        Ok(Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: kib.unwrap_or(0) >> 20,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| unknown(), |text| text.trim().to_owned()),
            envoy: on_envoy::installation()?.version.to_string(),
            date: String::from_utf8_lossy(&date.stdout).trim().to_owned(),
        })
    }
}
