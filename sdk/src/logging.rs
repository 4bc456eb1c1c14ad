//! The `log` facade and panics, into the host's log.

use log::{LevelFilter, Log, Metadata, Record};

use crate::host::{self, LogLevel};

struct HostLogger;

impl Log for HostLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            log::Level::Trace => LogLevel::Trace,
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        match record.args().as_str() {
            Some(line) => host::log(level, line),
            None => host::log(level, &record.args().to_string()),
        }
    }

    fn flush(&self) {}
}

/// Sends `log` records and panics to the host; a panic with its place, before the module traps.
pub(crate) fn install() {
    // A second module start in one VM does not happen; a logger that is already set stays.
    let _ = log::set_logger(&HostLogger);
    log::set_max_level(LevelFilter::Info);
    std::panic::set_hook(Box::new(|panic| {
        host::log(LogLevel::Critical, &panic.to_string());
        // What the crate below says of a callback for a stream of another kind.
        if panic.payload_as_str() == Some("invalid context_id") {
            let hint = "is a filter for HTTP streams configured as a TCP filter?";
            host::log(LogLevel::Critical, hint);
        }
    }));
}

/// Follows the host's level, so that a line nobody would see costs no host call. The host refuses
/// this while the module starts, so it runs when a plugin is configured.
pub(crate) fn follow_host_level() {
    let level = match host::log_level() {
        Ok(0) => LevelFilter::Trace,
        Ok(1) => LevelFilter::Debug,
        Ok(2) => LevelFilter::Info,
        Ok(3) => LevelFilter::Warn,
        Ok(4 | 5) => LevelFilter::Error,
        Ok(_) => LevelFilter::Off,
        Err(_) => return,
    };
    log::set_max_level(level);
}
