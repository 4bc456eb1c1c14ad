use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::completed::Completed;
use crate::config::ConfigError;
use crate::error::Error;
use crate::kind::Http;
use crate::mode::{Mode, Streaming};
use crate::next::{Link, Next};
use crate::phases::Phases;
use crate::plugin::Plugin;
use crate::request::Request;
use crate::response::{Answer, Response};
use crate::stream::Handle;

/// An HTTP filter: configured once a plugin and thread, called once a stream.
///
/// `impl HttpFilter for X` takes messages as they come ([`Streaming`]); `impl HttpFilter<Holding> for
/// X` may hold headers until it knows the body ([`Holding`](crate::Holding)). See the [crate's
/// documentation](crate) for an example.
///
/// ```
/// use attache::prelude::*;
///
/// /// Answers to the health checks of a load balancer.
/// struct Health;
///
/// impl HttpFilter for Health {
///     type Config = ();
///
///     const PHASES: Phases = Phases::REQUEST;
///
///     fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
///         Ok(Self)
///     }
///
///     async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
///         if request.path().without_query() == b"/healthz" {
///             return Ok(Response::local(StatusCode::OK, "well\n"));
///         }
///         next.forward(request)
///     }
/// }
/// ```
pub trait HttpFilter<M: Mode = Streaming>: Sized + 'static {
    /// The plugin configuration. Give it `#[serde(deny_unknown_fields)]`: a misspelt option that
    /// is ignored is a filter that does less than its operator thinks.
    ///
    /// It is JSON. Where Envoy has none, it is read from the empty object, so that defaults apply; a text, a list or an
    /// `Option` alone is refused then.
    ///
    /// `#[serde(untagged)]`, `tag` and `flatten` work, but their faults name the enclosing object.
    ///
    /// A field of a number takes text too: where the configuration is a `Struct`, Envoy reads numbers
    /// with a fraction or more than 32 bits from YAML as text.
    ///
    /// `attache build` writes its JSON Schema into the module. What the schema cannot know of a field
    /// that a function checks (`try_from`), `#[schemars(…)]` adds.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// `{"paths": ["/admin"], "reply": {"status": 404}}`
    /// #[derive(Deserialize, JsonSchema)]
    /// #[serde(deny_unknown_fields)]
    /// struct Config {
    ///     /// What is hidden; a comment like this one is in the schema.
    ///     paths: Vec<String>,
    ///     #[serde(default)]
    ///     reply: Reply,
    /// }
    ///
    /// #[derive(Default, Deserialize, JsonSchema)]
    /// #[serde(deny_unknown_fields)]
    /// struct Reply {
    ///     status: Option<u16>,
    /// }
    /// ```
    type Config: DeserializeOwned + JsonSchema;

    /// Which callbacks the filter needs.
    const PHASES: Phases = Phases::ALL;

    /// Makes the filter from its configuration. Envoy runs it several times for one plugin: to
    /// validate, on the main thread, and on each worker.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # struct Hide { paths: Vec<String>, answers: attache::metrics::Counter }
    /// # #[derive(Deserialize, JsonSchema)]
    /// # struct Config { paths: Vec<String> }
    /// # impl HttpFilter for Hide {
    /// #     type Config = Config;
    /// fn configure(config: Config, plugin: &Plugin) -> Result<Self, ConfigError> {
    ///     for (index, path) in config.paths.iter().enumerate() {
    ///         if !path.starts_with('/') {
    ///             return Err(ConfigError::at(format!("/paths/{index}"), "expected a path from `/` on"));
    ///         }
    ///     }
    ///     let answers = plugin.counter("hide_answers_total")?;
    ///     Ok(Self { paths: config.paths, answers })
    /// }
    /// #     async fn call(&self, request: Request, next: Next) -> Result<Response, Error> { next.forward(request) }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for a configuration that is well formed but cannot work. It is logged,
    /// and Envoy refuses the plugin.
    fn configure(config: Self::Config, plugin: &Plugin) -> Result<Self, ConfigError>;

    /// Handles one stream.
    ///
    /// # Errors
    ///
    /// An [`Error`] for a fault of host or configuration, which meets
    /// [`failure_mode`](Self::failure_mode). Whatever a client may send is not an error: answer it
    /// with [`Response::local`].
    fn call(
        &self,
        request: Request<M>,
        next: Next<M>,
    ) -> impl Future<Output = Result<Response<M>, Error>>;

    /// What becomes of a stream whose [`call`](Self::call) failed. Denies unless said otherwise.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// struct Stamp {
    ///     failure_mode: FailureMode,
    /// }
    ///
    /// impl HttpFilter for Stamp {
    ///     # type Config = ();
    ///     # fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
    ///     #     Ok(Self { failure_mode: FailureMode::Allow })
    ///     # }
    ///     # async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
    ///     #     next.forward(request)
    ///     # }
    ///     /// As the operator has said in the configuration.
    ///     fn failure_mode(&self) -> FailureMode {
    ///         self.failure_mode
    ///     }
    /// }
    /// ```
    fn failure_mode(&self) -> FailureMode {
        FailureMode::Deny
    }

    /// Sees each stream at its end, when its access log is written, be its future alive or not, and
    /// also one that never came to [`call`](Self::call). Needs [`Phases::COMPLETE`].
    /// [`Completed::kept`] is what `call` has left for it.
    ///
    /// ```
    /// use attache::metrics::Counter;
    /// use attache::prelude::*;
    ///
    /// struct Watch {
    ///     failures: Counter,
    /// }
    ///
    /// impl HttpFilter for Watch {
    ///     # type Config = ();
    ///     # fn configure((): (), plugin: &Plugin) -> Result<Self, ConfigError> {
    ///     #     Ok(Self { failures: plugin.counter("watch_failures_total")? })
    ///     # }
    ///     const PHASES: Phases = Phases::REQUEST.union(Phases::COMPLETE);
    ///
    ///     async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
    ///         next.forward(request)
    ///     }
    ///
    ///     fn on_complete(&self, stream: &Completed) {
    ///         if stream.status().is_some_and(|status| status >= 500) {
    ///             self.failures.increment();
    ///         }
    ///     }
    /// }
    /// ```
    fn on_complete(&self, _stream: &Completed) {}

    /// Runs beside the streams, once for each plugin and thread, as [`Service::run`](crate::Service::run) does: to fetch
    /// keys from time to time, to send what was collected, to receive from a queue. Nothing unless said otherwise.
    /// Needs [`Phases::BESIDE`].
    ///
    /// It shares the filter with the streams of its thread. The main thread has a copy too, and no streams.
    ///
    /// ```
    /// use std::cell::RefCell;
    /// use std::time::Duration;
    ///
    /// use attache::prelude::*;
    ///
    /// /// Tells the upstream which release it is behind.
    /// struct Release {
    ///     releases: Cluster,
    ///     current: RefCell<Option<HeaderValue>>,
    /// }
    ///
    /// impl HttpFilter for Release {
    ///     type Config = ();
    ///
    ///     const PHASES: Phases = Phases::REQUEST.union(Phases::BESIDE);
    ///
    ///     fn configure((): (), plugin: &Plugin) -> Result<Self, ConfigError> {
    ///         Ok(Self { releases: plugin.cluster("releases"), current: RefCell::default() })
    ///     }
    ///
    ///     async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
    ///         if let Some(release) = &*self.current.borrow() {
    ///             request.headers_mut().insert("x-release", release);
    ///         }
    ///         next.forward(request)
    ///     }
    ///
    ///     async fn run(&self, _plugin: &Plugin) -> Result<(), Error> {
    ///         let mut minutes = attache::interval(Duration::from_secs(60));
    ///         loop {
    ///             minutes.tick().await?;
    ///             let answer = self.releases.get("/current").send().await;
    ///             // An error here would end the run, and with it all that comes later.
    ///             match answer.and_then(|answer| answer.error_for_server_failure()) {
    ///                 Ok(answer) => {
    ///                     self.current.replace(HeaderValue::from_bytes(answer.body()).ok());
    ///                 }
    ///                 Err(error) => log::warn!("the release stays what it was: {error}"),
    ///             }
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] is logged, and ends the run. It does not begin again by itself.
    fn run(&self, plugin: &Plugin) -> impl Future<Output = Result<(), Error>> {
        let _ = plugin;
        std::future::ready(Ok(()))
    }
}

/// What becomes of a stream when its filter fails.
///
/// ```
/// use attache::prelude::*;
///
/// /// As operators choose it: `{"failure_mode": "allow"}`.
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     #[serde(default)]
///     failure_mode: FailureMode,
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "a third way would change what operators rely on"
)]
pub enum FailureMode {
    /// The client gets 503 from the proxy.
    #[default]
    Deny,
    /// The request, or response, goes on as if the filter were not there. It does not where the host
    /// has taken some of the filter's changes, and refuses both the rest and what would undo them: a
    /// message that is changed in part is denied.
    Allow,
}

/// A filter's future for one stream.
pub(crate) type Task = Pin<Box<dyn Future<Output = Result<Answer, Error>>>>;

/// A configured filter without its type.
pub(crate) trait AnyFilter {
    fn start(self: Rc<Self>, link: Handle) -> Task;
    fn complete(&self, link: &Link);
    fn failure_mode(&self) -> FailureMode;
    fn phases(&self) -> Phases;
    fn root_id(&self) -> &'static str;
}

/// A filter of some kind, and the root id it is registered under.
pub(crate) struct Configured<F, Kind> {
    pub(crate) filter: F,
    pub(crate) root_id: &'static str,
    kind: PhantomData<Kind>,
}

impl<F, Kind> Configured<F, Kind> {
    pub(crate) fn new(filter: F, root_id: &'static str) -> Self {
        Self {
            filter,
            root_id,
            kind: PhantomData,
        }
    }
}

impl<F: HttpFilter<M>, M: Mode> AnyFilter for Configured<F, Http<M>> {
    fn start(self: Rc<Self>, link: Handle) -> Task {
        // Made in here, they are kept once: what a future captures stays beside what it hands on.
        Box::pin(async move {
            let request = Request::new(link.clone());
            let response = self.filter.call(request, Next::new(link)).await;
            response.map(Response::into_answer)
        })
    }

    fn complete(&self, link: &Link) {
        self.filter.on_complete(&Completed::of(link));
    }

    fn failure_mode(&self) -> FailureMode {
        self.filter.failure_mode()
    }

    fn phases(&self) -> Phases {
        Phases::of_http::<F, M>()
    }

    fn root_id(&self) -> &'static str {
        self.root_id
    }
}
