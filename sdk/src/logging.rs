//! The `log` facade and panics, into the host's log.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::hint::black_box;

use log::{LevelFilter, Log, Metadata, Record};

use crate::host::{self, LogLevel};
use crate::tasks;

thread_local! {
    static IDS: Cell<Option<Ids>> = const { Cell::new(None) };
    /// The request ids of streams under way. Envoy shows them in the callback for request headers only.
    static REQUESTS: RefCell<BTreeMap<u32, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

/// What lines need to say whose they are. Functions that the compiler does not know: a module that never asks for ids
/// lacks their code.
#[derive(Clone, Copy)]
struct Ids {
    /// Puts them behind a line.
    put: fn(&mut String),
    /// A stream begins, or ends.
    stream: fn(u32, bool),
}

/// Bytes of a request id that go into a line: clients may choose it.
const LONGEST_ID: usize = 64;

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
        let mut line = fmt::format(*record.args());
        if let Some(ids) = IDS.get() {
            (ids.put)(&mut line);
        }
        host::log(level, &line);
    }

    fn flush(&self) {}
}

/// Sends `log` records and panics to the host; a panic with its place, before the module traps.
pub(crate) fn install() {
    // A second module start in one VM does not happen; a logger that is already set stays.
    let _ = log::set_logger(&HostLogger);
    log::set_max_level(LevelFilter::Info);
    std::panic::set_hook(Box::new(|panic| {
        let mut line = panic.to_string();
        if let Some(ids) = IDS.get() {
            (ids.put)(&mut line);
        }
        host::log(LogLevel::Critical, &line);
        // What the crate below says of a callback for a stream of another kind.
        if panic.payload_as_str() == Some("invalid context_id") {
            let hint = "is a filter for HTTP streams configured as a TCP filter?";
            host::log(LogLevel::Critical, hint);
        }
    }));
}

/// Puts the ids of the stream at work behind each line from now on.
pub(crate) fn tell_ids() {
    IDS.set(Some(Ids {
        put: black_box(put),
        stream: black_box(remember),
    }));
}

/// A stream begins with its request headers, or ends.
#[inline]
pub(crate) fn stream(id: u32, begins: bool) {
    if let Some(ids) = IDS.get() {
        (ids.stream)(id, begins);
    }
}

fn remember(stream: u32, begins: bool) {
    let id = match begins {
        true => host::property(&["request", "id"]).ok().flatten(),
        false => None,
    };
    REQUESTS.with_borrow_mut(|requests| match id {
        Some(mut id) => {
            id.truncate(LONGEST_ID);
            requests.insert(stream, id);
        }
        None => drop(requests.remove(&stream)),
    });
}

fn put(line: &mut String) {
    let id = tasks::effective();
    if id == 0 || id == tasks::current_root() {
        return;
    }
    // Writing to a string cannot fail.
    let _ = write!(line, " stream={id}");
    REQUESTS.with_borrow(|requests| {
        let Some(request) = requests.get(&id) else {
            return;
        };
        line.push_str(" request_id=");
        for &byte in request {
            // What could be taken for the end of the field.
            let _ = match byte {
                b' ' | b'"' | b'=' => write!(line, "\\x{byte:02x}"),
                _ => write!(line, "{}", byte.escape_ascii()),
            };
        }
    });
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
