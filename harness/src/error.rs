//! Why a host, or a stream in it, came to no good.

use std::fmt;
use std::sync::Arc;

use attache_module::BuildError;

use crate::budgets::OverBudget;
use crate::exchange::StreamId;
use crate::lints::Lint;
use crate::module::LoadError;
use crate::timeline::{LogLine, Timeline};

/// Why a host could not start, or why it gave up on what a guest did.
///
/// A guest that fails as Envoy lets it fail, by a trap say, is no error of the host: the
/// [`Exchange`](crate::Exchange) shows what Envoy would have done. An error is what Envoy could not
/// survive or this harness cannot play, so that no test passes by luck.
///
/// `Debug` shows the message with its causes and the timeline as lines, because that is what a test
/// prints that returns a `Result`.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// A plugin's module cannot be had.
    #[error("cannot get the module of plugin `{plugin}`")]
    Source {
        /// The plugin's name.
        plugin: String,
        /// Why.
        #[source]
        source: SourceError,
    },
    /// A plugin's module is not one that Envoy, or this harness, can run.
    #[error("cannot load plugin `{plugin}`")]
    Load {
        /// The plugin's name.
        plugin: String,
        /// Why.
        #[source]
        source: LoadError,
    },
    /// An environment variable is both set and taken from the host.
    #[error(
        "cannot set `{key}` for plugin `{plugin}` and take it from the host, too (Envoy: `Key {key} is \
         duplicated in envoy.extensions.wasm.v3.VmConfig.environment_variables for {plugin}. All the \
         keys must be unique.`); drop one of them"
    )]
    EnvironmentKey {
        /// The plugin's name.
        plugin: String,
        /// The variable.
        key: String,
    },
    /// A plugin does not start.
    #[error(
        "cannot start plugin `{plugin}`: Envoy would say `Unable to create Wasm plugin {plugin}`"
    )]
    Start {
        /// The plugin's name.
        plugin: String,
        /// Why.
        #[source]
        source: StartError,
    },
    /// A host was built without a plugin.
    #[error("a host needs at least one plugin; give it one with `HostBuilder::plugin`")]
    NoPlugin,
    /// A chain was named that the host does not have, or has none of that protocol.
    #[error("the host has no {protocol} chain{}", Unknown(chain.as_deref(), known))]
    UnknownChain {
        /// `HTTP` or `TCP`.
        protocol: String,
        /// The chain that was named, if one was.
        chain: Option<String>,
        /// The chains of that protocol.
        known: Vec<String>,
    },
    /// A chain of one protocol was described again with another.
    #[error("the chain `{chain}` cannot be both HTTP and TCP; name each chain once")]
    ChainTwice {
        /// The chain.
        chain: String,
    },
    /// A host was built without a worker.
    #[error("a host needs at least one worker, not 0; leave out `HostBuilder::workers`")]
    NoWorker,
    /// A request was sent to a worker that does not exist.
    #[error("there is no worker {worker}: the host has {workers}, counted from 0")]
    UnknownWorker {
        /// The worker that was named.
        worker: usize,
        /// How many there are.
        workers: usize,
    },
    /// A plugin was named that stands in no filter chain.
    #[error("no filter chain has a plugin `{plugin}`; use a plugin's `name`")]
    UnknownPlugin {
        /// The plugin's name.
        plugin: String,
    },
    /// The host was shut down.
    #[error("the host was shut down; start another")]
    ShutDown,
    /// A stream was named that this host does not know (any more).
    #[error("this host has no stream {id:?}; use an id that its `open` or `send` returned")]
    UnknownStream {
        /// The stream.
        id: StreamId,
    },
    /// The guest did what crashes Envoy.
    #[error("Envoy would crash: `{call}` {why}\n{timeline}")]
    EnvoyWouldCrash {
        /// The call, with what matters of its arguments.
        call: String,
        /// Where or when it may not be made, and what to do instead.
        why: String,
        /// What led to it.
        timeline: Timeline,
    },
    /// The guest did what leaves a peer of Envoy waiting for bytes, or with too many of them.
    #[error("a peer of Envoy would hang or be cut off: {why}\n{timeline}")]
    BodyLength {
        /// The message and both lengths, and what to do.
        why: String,
        /// What led to it.
        timeline: Timeline,
    },
    /// The guest did what Envoy survives, with an effect that nobody can want.
    #[error("`{call}` {why}\n{timeline}")]
    Misuse {
        /// The call.
        call: String,
        /// What Envoy would do, and what to do instead.
        why: String,
        /// What led to it.
        timeline: Timeline,
    },
    /// A surprise, where [`HostBuilder::deny_lints`](crate::HostBuilder::deny_lints) makes it an
    /// error.
    #[error("{lint}\n{timeline}")]
    Lint {
        /// The surprise.
        lint: Box<Lint>,
        /// What led to it.
        timeline: Timeline,
    },
    /// A stream cost more than [`HostBuilder::budget`](crate::HostBuilder::budget) allows.
    #[error("{over}\n{timeline}")]
    OverBudget {
        /// The figures.
        over: OverBudget,
        /// What the stream did.
        timeline: Timeline,
    },
    /// A VM's memory was to grow over
    /// [`HostBuilder::memory_limit`](crate::HostBuilder::memory_limit).
    #[error(
        "the VM of plugin `{plugin}` wants {desired} bytes of memory, over the limit of {limit}: \
         look for a leak, or raise `HostBuilder::memory_limit`\n{timeline}"
    )]
    MemoryLimit {
        /// The plugin whose callback it was.
        plugin: String,
        /// The bytes that it would have had.
        desired: usize,
        /// The limit.
        limit: usize,
        /// What led to it.
        timeline: Timeline,
    },
    /// A callback did not end. In Envoy it would block its worker for ever.
    #[error(
        "`{callback}` of plugin `{plugin}` did not end within {limit} units of fuel; in Envoy, which \
         has no limit, it would block its worker: look for an endless loop, or raise \
         `HostBuilder::fuel_limit`\n{timeline}"
    )]
    OutOfFuel {
        /// The plugin's name.
        plugin: String,
        /// The export.
        callback: &'static str,
        /// The limit.
        limit: u64,
        /// What led to it.
        timeline: Timeline,
    },
    /// A callback did not end in time. In Envoy it would block its worker for as long as it runs.
    #[error(
        "`{callback}` of plugin `{plugin}` did not end within {limit:?}; in Envoy, which has no \
         limit, it would block its worker: look for an endless loop, or raise \
         `HostBuilder::deadline`\n{timeline}"
    )]
    OutOfTime {
        /// The plugin's name.
        plugin: String,
        /// The export.
        callback: &'static str,
        /// The limit.
        limit: std::time::Duration,
        /// What led to it.
        timeline: Timeline,
    },
    /// wasmtime does not run on this machine.
    #[error("wasmtime cannot start on this machine: {reason}")]
    Engine {
        /// What wasmtime, or the system, says.
        reason: String,
    },
    /// The guest asked for what Envoy answers and this harness does not know.
    #[error("{what} is not answered by this harness yet; test this on a real Envoy\n{timeline}")]
    NotAnswered {
        /// What was asked for.
        what: String,
        /// What led to it.
        timeline: Timeline,
    },
    /// A process can have some 500 VMs at once, and each plugin takes one for the main thread and one
    /// for each worker.
    #[error("there is no room for another VM in this process: {reason}; drop hosts that are done")]
    NoRoom {
        /// What wasmtime says.
        reason: String,
    },
    /// A guest made host calls without end.
    #[error(
        "`{call}` was reached after {limit} in one callback: look for an endless loop around host \
         calls; in Envoy it would block its worker\n{timeline}"
    )]
    HostCallLimit {
        /// The host call that was one too many.
        call: &'static str,
        /// What there was too much of: host calls, bytes handed over in them, or work for them.
        limit: &'static str,
        /// What led to it, the first events only.
        timeline: Timeline,
    },
}

impl fmt::Debug for HostError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(formatter, "\n  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// The chain that is missing, and those that are there.
struct Unknown<'a>(Option<&'a str>, &'a [String]);

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(chain) = self.0 {
            write!(f, " `{chain}`")?;
        }
        match self.1 {
            [] => f.write_str("; describe one when it is built"),
            known => write!(f, "; it has `{}`", known.join("`, `")),
        }
    }
}

/// Why a plugin's bytes cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The package cannot be built.
    #[error("cannot build package `{package}` for wasm32")]
    Build {
        /// The package's name.
        package: String,
        /// Why; shared by all tests that wanted the package.
        #[source]
        source: Arc<BuildError>,
    },
    /// The file cannot be read.
    #[error("cannot read `{path}`; is it built, and is the path relative to the package's folder?")]
    Read {
        /// The path.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Why a plugin does not start. Envoy tries it in a VM of its own, the canary, before it serves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// `proxy_on_vm_start` returned false.
    #[error(
        "`proxy_on_vm_start` returned false (Envoy: `Failed to start base Wasm`){}",
        Logged(log)
    )]
    VmStartRefused {
        /// What the guest logged.
        log: Vec<LogLine>,
    },
    /// `proxy_on_configure` returned false.
    #[error(
        "`proxy_on_configure` returned false: the configuration was refused (Envoy: `Failed to \
         configure base Wasm plugin`){}",
        Logged(log)
    )]
    ConfigurationRefused {
        /// What the guest logged.
        log: Vec<LogLine>,
    },
    /// A thread refused what the canary had taken, and from then on Envoy refuses every plugin that
    /// shares its VM id, VM configuration and module.
    #[error(
        "a plugin with this VM failed to start in a thread before, and Envoy then refuses all \
         others; give it another `vm_id`{}",
        Logged(log)
    )]
    ThreadFailed {
        /// What the guest logged.
        log: Vec<LogLine>,
    },
    /// The wasm start function trapped, a segment lies outside of its memory or table, or there is
    /// more memory than V8 gives.
    #[error("no instance can be made (Envoy: `Failed to create new Wasm instance`): {reason}")]
    NoInstance {
        /// What V8, or wasmtime, would say.
        reason: String,
    },
    /// A canary refused the plugin before, and as long as its VM lives Envoy does not try it again.
    #[error(
        "the plugin was refused before with this VM and configuration, and Envoy does not try it \
         again; change one of them{}",
        Logged(log)
    )]
    RefusedBefore {
        /// What the guest logged, this time.
        log: Vec<LogLine>,
    },
    /// A callback trapped.
    #[error(
        "`{callback}` trapped: {reason} (Envoy: `Function: {callback} failed`){}",
        Logged(log)
    )]
    Trap {
        /// The export.
        callback: &'static str,
        /// What Envoy would say, such as `Uncaught RuntimeError: unreachable`.
        reason: String,
        /// What the guest logged.
        log: Vec<LogLine>,
    },
}

/// The guest's log lines, one a line, or the advice to write some.
struct Logged<'a>(&'a [LogLine]);

impl fmt::Display for Logged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("; the guest logged nothing, let it log why");
        }
        f.write_str("; the guest logged:")?;
        self.0
            .iter()
            .try_for_each(|line| write!(f, "\n  [{}] {}", line.level, line.message))
    }
}
