use std::path::PathBuf;
use std::time::Duration;

use attache_envoy::upstream::Reply;

/// One play: filters, requests, and what the upstream answers.
#[derive(Clone, Debug)]
pub struct Case {
    pub(crate) filters: Vec<Filter>,
    pub(crate) requests: Vec<Request>,
    pub(crate) answer: Reply,
}

/// A filter in the chain, in a VM of its own.
#[derive(Clone, Debug)]
pub struct Filter {
    pub(crate) name: String,
    pub(crate) root_id: String,
    pub(crate) module: PathBuf,
    pub(crate) configuration: Option<String>,
    pub(crate) allow_on_headers_stop_iteration: bool,
}

/// A request, byte for byte.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) target: Vec<u8>,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) trailers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) after: Duration,
    pub(crate) abandoned: bool,
}

impl Case {
    /// A case of one filter, without requests, with an upstream that answers 200 and nothing else.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Self {
            filters: vec![filter],
            requests: Vec::new(),
            answer: Reply::new(200),
        }
    }

    /// Adds a filter after those that are there.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Adds a request. It begins once the one before has come as far as it can: to its end, or to
    /// where a filter holds it. All requests meet the same worker.
    #[must_use]
    pub fn request(mut self, request: Request) -> Self {
        self.requests.push(request);
        self
    }

    /// Sets what the upstream answers.
    #[must_use]
    pub fn answer(mut self, answer: Reply) -> Self {
        self.answer = answer;
        self
    }
}

impl Filter {
    /// A filter from a module, without configuration; its name is also its root id and its vm_id.
    pub fn new(name: impl Into<String>, module: impl Into<PathBuf>) -> Self {
        let name = name.into();
        Self {
            root_id: name.clone(),
            name,
            module: module.into(),
            configuration: None,
            allow_on_headers_stop_iteration: false,
        }
    }

    /// Sets the plugin configuration.
    #[must_use]
    pub fn configured(mut self, configuration: impl Into<String>) -> Self {
        self.configuration = Some(configuration.into());
        self
    }

    /// Sets Envoy's `allow_on_headers_stop_iteration`.
    #[must_use]
    pub fn allow_on_headers_stop_iteration(mut self) -> Self {
        self.allow_on_headers_stop_iteration = true;
        self
    }
}

impl Request {
    /// A request of this method for this target, over HTTP/1.1 to `example.com`.
    pub fn new(method: impl Into<String>, target: impl Into<Vec<u8>>) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            chunks: Vec::new(),
            trailers: Vec::new(),
            after: Duration::ZERO,
            abandoned: false,
        }
    }

    /// Lets time pass before the request begins.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    /// Lets the client go away once the request has come as far as it can.
    #[must_use]
    pub fn abandoned(mut self) -> Self {
        self.abandoned = true;
        self
    }

    /// `GET target`
    pub fn get(target: impl Into<Vec<u8>>) -> Self {
        Self::new("GET", target)
    }

    /// `POST target`
    pub fn post(target: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target)
    }

    /// Adds a header line as it is: any case, any bytes, any repetition.
    #[must_use]
    pub fn header(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a piece to the body, which is sent chunked.
    #[must_use]
    pub fn chunk(mut self, piece: impl Into<Vec<u8>>) -> Self {
        self.chunks.push(piece.into());
        self
    }

    /// Adds a trailer, after the chunks.
    #[must_use]
    pub fn trailer(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.trailers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn is_chunked(&self) -> bool {
        !self.chunks.is_empty() || !self.trailers.is_empty()
    }
}
