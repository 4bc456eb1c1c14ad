//! What happened, in order.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::abi::{LogLevel, Status};
use crate::lints::Lint;

/// What a timeline keeps: a guest that floods the log must not take all memory.
const EVENTS_KEPT: usize = 250_000;
const BYTES_KEPT: usize = 32 << 20;

/// The events of a stream, or of a host outside of its streams, in the order in which they happened.
///
/// `Display` prints one event a line: a callback, the host calls that the guest made in it (set
/// in) with arguments and answers, and what the host did about it. Bytes that are not printable
/// ASCII are escaped.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    events: Vec<Event>,
    /// The bytes that the events hold.
    weight: usize,
    dropped: u64,
}

impl Timeline {
    /// The events.
    pub fn events(&self) -> impl ExactSizeIterator<Item = &Event> {
        self.events.iter()
    }

    /// The names of the callbacks that were entered, in order, each after the plugin's name and a
    /// colon: `auth-scrub:proxy_on_request_headers`.
    #[must_use]
    pub fn callbacks(&self) -> Vec<String> {
        let callback = |event: &Event| match event {
            Event::Callback { plugin, name, .. } => Some(format!("{plugin}:{name}")),
            _ => None,
        };
        self.events.iter().filter_map(callback).collect()
    }

    /// A timeline of the first events only.
    pub(crate) fn first(&self, count: usize) -> Self {
        let mut first = Self {
            events: self.events.iter().take(count).cloned().collect(),
            ..Self::default()
        };
        if self.events.len() > count {
            first.note(format!("… and {} more events", self.events.len() - count));
        }
        first
    }

    /// How many events were not kept: a timeline holds 250,000 and 32 MiB, and drops what follows.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.weight += event.weight();
        if self.events.len() >= EVENTS_KEPT || self.weight > BYTES_KEPT {
            self.dropped += 1;
        } else {
            self.events.push(event);
        }
    }

    /// Makes room for what happens in a stream that hardly anything happens to.
    pub(crate) fn expect_little(&mut self) {
        // One more, and the allocator has to search.
        self.events.reserve(11);
    }

    /// Notes what ends with a status code, or with a question mark for none.
    pub(crate) fn note_code(&mut self, text: &'static str, code: Option<u32>) {
        self.push(Event::Note(Note(Words::Code(text, code))));
    }

    pub(crate) fn note(&mut self, text: impl Into<Cow<'static, str>>) {
        self.push(Event::Note(Note(Words::Text(text.into()))));
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.events.is_empty() {
            return writeln!(f, "  (nothing happened)");
        }
        self.events
            .iter()
            .try_for_each(|event| writeln!(f, "  {event}"))?;
        if self.dropped > 0 {
            writeln!(
                f,
                "  … and {} more events, which were not kept",
                self.dropped
            )?;
        }
        Ok(())
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The host entered the guest.
    Callback {
        /// The plugin's name.
        plugin: Arc<str>,
        /// The export.
        name: &'static str,
        /// The context id and what follows it.
        arguments: Numbers,
    },
    /// The guest called the host, in the callback before.
    HostCall(HostCall),
    /// A callback came back.
    Returned {
        /// The export.
        name: &'static str,
        /// What it returned.
        result: u32,
    },
    /// A surprise.
    Lint(Lint),
    /// What the host did, in words.
    Note(Note),
}

impl Event {
    /// The bytes that it holds beside itself.
    fn weight(&self) -> usize {
        let call = match self {
            Self::HostCall(call) => call,
            Self::Note(note) => return note.weight(),
            Self::Lint(lint) => return lint.what.len(),
            _ => return 0,
        };
        let weight = |argument: &Argument| match argument {
            Argument::Number(_) => 0,
            Argument::Bytes(bytes) => bytes.len(),
            Argument::Pairs(pairs) => {
                let pair = |(name, value): &(Vec<u8>, Vec<u8>)| 48 + name.len() + value.len();
                pairs.iter().map(pair).sum()
            }
        };
        let arguments: usize = call.arguments.iter().map(weight).sum();
        arguments + call.returned.as_ref().map_or(0, weight)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Callback {
                plugin,
                name,
                arguments,
            } => {
                write!(f, "{plugin}: {name}(")?;
                separated(f, arguments.iter(), |f, argument| write!(f, "{argument}"))?;
                f.write_str(")")
            }
            Self::HostCall(call) => write!(f, "    {call}"),
            Self::Returned { name, result } => write!(f, "  {name} returned {result}"),
            Self::Lint(lint) => write!(f, "{lint}"),
            Self::Note(note) => note.fmt(f),
        }
    }
}

/// What the host did, in words: `Display` prints them.
#[derive(Clone, Debug)]
pub struct Note(Words);

/// A stream has notes that end with a status code each time, and they are not read each time.
#[derive(Clone, Debug)]
enum Words {
    Text(Cow<'static, str>),
    Code(&'static str, Option<u32>),
}

impl Note {
    fn weight(&self) -> usize {
        match &self.0 {
            Words::Text(text) => text.len(),
            Words::Code(..) => 0,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Words::Text(text) => f.write_str(text),
            Words::Code(text, Some(code)) => write!(f, "{text}{code}"),
            Words::Code(text, None) => write!(f, "{text}?"),
        }
    }
}

/// The numbers that a callback is called with, five at most.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Numbers {
    numbers: [u32; 5],
    count: u32,
}

impl<const N: usize> From<[u32; N]> for Numbers {
    fn from(given: [u32; N]) -> Self {
        const { assert!(N <= 5, "no callback has more") };
        let mut numbers = [0; 5];
        numbers[..N].copy_from_slice(&given);
        #[expect(clippy::cast_possible_truncation, reason = "five at most")]
        let count = N as u32;
        Self { numbers, count }
    }
}

impl Deref for Numbers {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.numbers[..self.count as usize]
    }
}

/// A call of the guest to its host.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HostCall {
    /// The import, such as `proxy_get_header_map_value`.
    pub name: &'static str,
    /// The arguments that carry meaning; pointers and lengths are replaced by what they lead to.
    pub arguments: Vec<Argument>,
    /// What the guest was answered. A call that ended in a trap has none, nor has one of WASI.
    pub status: Option<Status>,
    /// What a WASI function answered, in WASI's numbers; 0 is success.
    pub errno: Option<u32>,
    /// What was handed out through the guest's allocator.
    pub returned: Option<Argument>,
}

impl HostCall {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            arguments: Vec::new(),
            status: None,
            errno: None,
            returned: None,
        }
    }
}

impl fmt::Display for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        separated(f, self.arguments.iter(), |f, argument| {
            write!(f, "{argument}")
        })?;
        f.write_str(") = ")?;
        match (self.status, self.errno) {
            (Some(status), _) => write!(f, "{status}")?,
            (None, Some(errno)) => write!(f, "errno {errno}")?,
            (None, None) => f.write_str("trap")?,
        }
        match &self.returned {
            Some(returned) => write!(f, " {returned}"),
            None => Ok(()),
        }
    }
}

/// An argument or a result of a host call.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Argument {
    /// A number.
    Number(i64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list of names and values.
    Pairs(Vec<(Vec<u8>, Vec<u8>)>),
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Bytes(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Self::Pairs(pairs) => {
                f.write_str("[")?;
                separated(f, pairs.iter(), |f, (name, value)| {
                    write!(f, "\"{}: {}\"", name.escape_ascii(), value.escape_ascii())
                })?;
                f.write_str("]")
            }
        }
    }
}

/// A line that a guest, or Envoy's Wasm code, logged.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogLine {
    /// When it was logged, by the clock of [`Host::now`](crate::Host::now).
    pub time: Duration,
    /// How grave it is.
    pub level: LogLevel,
    /// The message, without what Envoy puts before it. Bytes that are no UTF-8 are replaced.
    pub message: String,
    /// What Envoy puts before the message of a guest: `wasm log name root_id vm_id: `. Empty where
    /// Envoy itself speaks.
    pub prefix: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}{}", self.level, self.prefix, self.message)
    }
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = T>,
    write: impl Fn(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write(f, item)?;
    }
    Ok(())
}
