//! The headers that tie a call-out to the request that it is made for.

use std::cell::RefCell;

use crate::headers;
use crate::host::{self, Map};
use crate::pairs;
use crate::status::HostError;
use crate::tasks::{self, Shown};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

thread_local! {
    static SEEN: RefCell<Seen> = const { RefCell::new(Seen::nothing()) };
}

/// What was read of the request of one stream, the last one that anything was read of: filter and
/// call-outs want the same bytes, mostly one right after the other.
struct Seen {
    /// 0 for none.
    stream: u32,
    /// The host's bytes, unless they are used up.
    block: Option<Vec<u8>>,
    /// What call-outs carry of them, once that was looked for.
    forwarded: Option<Pairs>,
}

impl Seen {
    const fn nothing() -> Self {
        Self {
            stream: 0,
            block: None,
            forwarded: None,
        }
    }
}

/// Request id, and the context of a trace in the formats that Envoy's tracers speak: W3C, B3,
/// `OpenTracing`, Datadog, Google, X-Ray, `SkyWalking`.
const NAMES: [&[u8]; 17] = [
    b"x-request-id",
    b"traceparent",
    b"tracestate",
    b"b3",
    b"x-b3-traceid",
    b"x-b3-spanid",
    b"x-b3-parentspanid",
    b"x-b3-sampled",
    b"x-b3-flags",
    b"x-ot-span-context",
    b"x-datadog-trace-id",
    b"x-datadog-parent-id",
    b"x-datadog-sampling-priority",
    b"x-cloud-trace-context",
    b"x-amzn-trace-id",
    b"sw8",
    b"grpc-trace-bin",
];

/// Those that the effective stream's request has; none where there is no stream, or where its request has gone on:
/// Envoy keeps the headers from filters then, and hands out an empty list as the property `request.headers`, too.
pub(crate) fn headers() -> Pairs {
    headers::read_by(read, forget);
    match tasks::request() {
        Shown::Nothing => return Vec::new(),
        // With what Envoy has added since.
        Shown::Logged => return of(&host::header_pairs(Map::RequestHeaders).unwrap_or_default()),
        Shown::Coming => {}
    }
    let stream = tasks::effective();
    SEEN.with_borrow_mut(|seen| {
        if seen.stream != stream {
            *seen = Seen {
                stream,
                ..Seen::nothing()
            };
        }
        if let Some(forwarded) = &seen.forwarded {
            return forwarded.clone();
        }
        // What the filter has read it keeps by itself; what is read here may be what it reads next.
        let (bytes, is_news) = match seen.block.take() {
            Some(block) => (block, false),
            None => (
                host::header_pairs(Map::RequestHeaders).unwrap_or_default(),
                true,
            ),
        };
        let forwarded = of(&bytes);
        seen.forwarded = Some(forwarded.clone());
        seen.block = is_news.then_some(bytes);
        forwarded
    })
}

fn forget() {
    SEEN.set(Seen::nothing());
}

fn of(bytes: &[u8]) -> Pairs {
    let pairs = pairs::ranges(bytes).unwrap_or_default().into_iter();
    pairs
        .filter_map(|pair| Some((bytes.get(pair.name)?, bytes.get(pair.value)?)))
        .filter(|(name, _)| NAMES.contains(name))
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}

/// Reads a map for the filter: what a call-out has read of a request is not read again, nor by one to come.
fn read(map: Map) -> Result<Vec<u8>, HostError> {
    if map != Map::RequestHeaders || tasks::request() != Shown::Coming {
        return host::header_pairs(map);
    }
    let stream = tasks::effective();
    let seen = SEEN.with_borrow_mut(|seen| seen.block.take_if(|_| seen.stream == stream));
    // Nothing at all is a refusal, which the filter is to hear of.
    if let Some(block) = seen.filter(|block| !block.is_empty()) {
        return Ok(block);
    }
    let block = host::header_pairs(map)?;
    SEEN.set(Seen {
        stream,
        block: Some(block.clone()),
        forwarded: None,
    });
    Ok(block)
}
