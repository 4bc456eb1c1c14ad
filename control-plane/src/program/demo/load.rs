//! Requests at a steady rate, and what came of them.

use std::collections::{BTreeMap, VecDeque};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use attache_envoy::http1;

/// How many connections there are, each with one request at a time.
const CONNECTIONS: u32 = 8;
const LIMIT: Duration = Duration::from_secs(10);
/// How much of the past is counted as now.
const NOW: Duration = Duration::from_secs(1);
/// The header by which a version of the filter says that it was there.
pub(super) const WORD: &str = "x-greeting";

/// The load, until it is stopped or dropped.
pub(super) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    ended: AtomicBool,
    counts: Mutex<Counts>,
}

/// What has come of all requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Those that were answered with 200 and a word.
    pub(super) answered: u64,
    /// Those that were answered otherwise, or not at all.
    pub(super) lost: u64,
    /// Why the last of these was lost.
    pub(super) last_loss: Option<String>,
    /// When each word was first and last answered.
    pub(super) words: BTreeMap<String, (Instant, Instant)>,
    /// The answers of the last second.
    recent: VecDeque<Sample>,
}

#[derive(Clone, Debug)]
struct Sample {
    at: Instant,
    took: Duration,
    word: String,
}

/// What the last second was like.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    pub(super) words: BTreeMap<String, usize>,
    pub(super) median: Duration,
    pub(super) p99: Duration,
}

impl Load {
    pub(super) fn start(address: SocketAddr, rate: u32) -> Self {
        let shared = Arc::new(Shared {
            ended: AtomicBool::new(false),
            counts: Mutex::default(),
        });
        let connections = CONNECTIONS.min(rate);
        let every = Duration::from_secs(1) * connections / rate;
        let begun = Instant::now();
        let threads = (0..connections).map(|number| {
            let shared = Arc::clone(&shared);
            let first = begun + every * number / connections;
            thread::spawn(move || shared.send(address, first, every))
        });
        Self {
            threads: threads.collect(),
            shared,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.shared.counts().clone()
    }

    pub(super) fn recent(&self) -> Recent {
        let mut counts = self.shared.counts();
        counts.forget(Instant::now());
        counts.recent()
    }

    /// Ends it, when each request that was sent has its answer.
    pub(super) fn stop(mut self) -> Counts {
        self.end();
        self.counts()
    }

    fn end(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, address: SocketAddr, mut next: Instant, every: Duration) {
        let mut kept: Option<TcpStream> = None;
        while !self.ended.load(Ordering::Relaxed) {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            // A machine that cannot keep up has a lower rate, not a burst afterwards.
            next = (next + every).max(Instant::now());
            let begun = Instant::now();
            let outcome = request(address, &mut kept);
            let mut counts = self.counts();
            match outcome {
                Ok(word) => counts.answer(word, begun.elapsed()),
                Err(reason) => {
                    kept = None;
                    counts.lost += 1;
                    counts.last_loss = Some(reason);
                }
            }
        }
    }
}

/// The word of one answer.
fn request(address: SocketAddr, kept: &mut Option<TcpStream>) -> Result<String, String> {
    let told = |error: &dyn std::error::Error| match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    let stream = match kept.take() {
        Some(stream) => stream,
        None => TcpStream::connect(address).map_err(|error| told(&error))?,
    };
    stream.set_nodelay(true).map_err(|error| told(&error))?;
    let again = stream.try_clone().map_err(|error| told(&error))?;
    let bytes = b"GET /orders/1 HTTP/1.1\r\nhost: demo\r\nauthorization: Bearer x\r\n\r\n";
    let answer = http1::exchange_and_keep(stream, &[bytes], LIMIT).map_err(|error| told(&error))?;
    if answer.status != 200 {
        return Err(format!("status {}", answer.status));
    }
    *kept = Some(again);
    let word = answer.header(WORD).next();
    let word = word.ok_or_else(|| "the answer was past the filter".to_owned())?;
    Ok(String::from_utf8_lossy(word).into_owned())
}

impl Counts {
    fn answer(&mut self, word: String, took: Duration) {
        let at = Instant::now();
        self.answered += 1;
        let seen = self.words.entry(word.clone()).or_insert((at, at));
        seen.1 = at;
        self.forget(at);
        self.recent.push_back(Sample { at, took, word });
    }

    fn forget(&mut self, now: Instant) {
        let old = |sample: &Sample| now.saturating_duration_since(sample.at) > NOW;
        while self.recent.front().is_some_and(old) {
            self.recent.pop_front();
        }
    }

    fn recent(&self) -> Recent {
        let mut recent = Recent::default();
        let mut times: Vec<Duration> = Vec::new();
        for sample in &self.recent {
            *recent.words.entry(sample.word.clone()).or_default() += 1;
            times.push(sample.took);
        }
        times.sort_unstable();
        let at = |hundredth: usize| times.get(times.len() * hundredth / 100).copied();
        recent.median = at(50).unwrap_or_default();
        recent.p99 = at(99).unwrap_or_default();
        recent
    }
}
