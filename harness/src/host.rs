//! The host: what a test talks to.

mod builder;
mod connections;
mod entry_points;

use std::time::Duration;

pub use self::builder::HostBuilder;
use crate::abi::Direction;
use crate::entries::Protocol;
use crate::error::HostError;
use crate::exchange::{Exchange, StreamId};
use crate::lints::Lint;
use crate::plugin::Plugin;
use crate::proxy::Proxy;
use crate::request::Request;
use crate::timeline::{LogLine, Timeline};

/// Envoy with a chain of Wasm filters and one route to one upstream.
///
/// It moves only when it is called: [`send`](Self::send) plays a request to its end, or to where a
/// filter holds it, and [`advance`](Self::advance) moves the clock. Two hosts share nothing.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
/// #   (func (export "proxy_abi_version_0_2_1"))
/// #   (func (export "malloc") (param i32) (result i32) i32.const 1024))"#).unwrap();
/// use attache_harness::{Host, HostError, Plugin, Request};
///
/// let mut host = Host::with(Plugin::from_bytes("idle", wasm))?;
/// let exchange = host.send(Request::get("/orders").header("X-Tag", "a"))?;
/// assert_eq!(exchange.upstream_request().headers().get("x-tag"), Some(&b"a"[..]));
/// assert_eq!(exchange.response().status(), 200);
/// # Ok::<(), HostError>(())
/// ```
pub struct Host {
    pub(crate) proxy: Proxy,
}

impl Host {
    /// Starts a host with one plugin and everything else as it is by default.
    ///
    /// # Errors
    ///
    /// As [`HostBuilder::start`].
    pub fn with(plugin: Plugin) -> Result<Self, HostError> {
        Self::builder().plugin(plugin).start()
    }

    /// Describes a host.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// Sends a request through the chain of the first worker, and lets everything happen that can.
    ///
    /// A filter that still holds the stream makes it [`Outcome::Paused`](crate::Outcome::Paused). The stream then stays: a
    /// later call may set it free, and [`exchange`](Self::exchange) shows it again.
    ///
    /// # Errors
    ///
    /// What a guest does to its stream is no error and shows in the exchange. A [`HostError`] is
    /// what Envoy would not survive or this harness cannot play; the host is of no use afterwards.
    pub fn send(&mut self, request: Request) -> Result<Exchange, HostError> {
        self.send_to_worker(0, request)
    }

    /// Sends a request through a chain that [`HostBuilder::http_chain`] described.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`HostError::UnknownChain`].
    pub fn send_to(&mut self, chain: &str, request: Request) -> Result<Exchange, HostError> {
        let slot = self.open_slot(0, Some(chain), request)?;
        Ok(self.show(slot))
    }

    /// Sends a request through the chain of any worker, counted from 0.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`HostError::UnknownWorker`].
    pub fn send_to_worker(
        &mut self,
        worker: usize,
        request: Request,
    ) -> Result<Exchange, HostError> {
        let slot = self.open_slot(worker, None, request)?;
        Ok(self.show(slot))
    }

    /// Sends a request as [`send`](Self::send) does, and keeps the stream however it ends, to be
    /// looked at by [`exchange`](Self::exchange). For filters that wait in one stream for another.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn open(&mut self, request: Request) -> Result<StreamId, HostError> {
        let slot = self.open_slot(0, None, request)?;
        Ok(self.proxy.world.streams[slot].exchange.id)
    }

    /// How a stream stands that [`open`](Self::open) began, or that [`send`](Self::send) left
    /// paused.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownStream`] if `send` handed the stream out when it ended.
    pub fn exchange(&self, id: StreamId) -> Result<&Exchange, HostError> {
        let slot = self
            .proxy
            .world
            .find(id)
            .ok_or(HostError::UnknownStream { id })?;
        Ok(&self.proxy.world.streams[slot].exchange)
    }

    /// Lets the client of a stream give up: the stream is reset, logged, done and deleted. Nothing
    /// happens to one that has ended.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownStream`], or as [`send`](Self::send).
    pub fn disconnect(&mut self, id: StreamId) -> Result<(), HostError> {
        let slot = self
            .proxy
            .world
            .find(id)
            .ok_or(HostError::UnknownStream { id })?;
        if !self.proxy.world.streams[slot].finished {
            if self.proxy.world.streams[slot].tcp.is_some() {
                self.proxy.downstream_resets(slot)?;
            } else {
                self.proxy.disconnect(slot)?;
            }
        }
        self.settle()
    }

    /// Moves the clock, and fires on the way the timers of the main thread and of all workers.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn advance(&mut self, time: Duration) -> Result<(), HostError> {
        let until = self.proxy.world.clock.now().saturating_add(time);
        self.proxy.advance_to(until)?;
        self.settle()
    }

    /// Moves the clock until nothing waits for a time any more but ticks, by `limit` at the most:
    /// answers that take their time arrive, timeouts fire.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn advance_until_idle(&mut self, limit: Duration) -> Result<(), HostError> {
        let until = self.proxy.world.clock.now().saturating_add(limit);
        self.proxy.advance_until_idle(until)?;
        self.settle()
    }

    /// Puts a plugin in the place of the filters of a name, as ECDS does, and streams in flight
    /// stay with the old one.
    ///
    /// The plugin is tried in a canary first. Where only its configuration is new, it gets a new
    /// root in the VMs that are there; where the VM configuration, the VM id or the module is new,
    /// it gets VMs of its own. An old root is told to end when its last stream has ended. Shared
    /// data and queues stay as long as a VM has their VM id.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownPlugin`], [`HostError::Source`], [`HostError::Load`], and
    /// [`HostError::Start`] if the plugin is refused: after these the old one serves on, as in
    /// Envoy. Others as [`send`](Self::send).
    pub fn reload(&mut self, name: &str, plugin: Plugin) -> Result<(), HostError> {
        self.check_alive()?;
        self.proxy.replace(name, plugin)?;
        self.settle()
    }

    /// Ends everything as SIGTERM does: streams are reset, and the roots of all threads are told to
    /// end. One that asks for time is not waited for. The host serves no longer.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn shut_down(&mut self) -> Result<(), HostError> {
        self.proxy.shut_down()?;
        self.settle()
    }

    /// From now on, each host call of this name answers `status` and does nothing: as on a host that is
    /// broken, hostile or of the future, which may answer any number. `None` makes it a call again.
    pub fn force_status(&mut self, call: impl Into<String>, status: impl Into<Option<u32>>) {
        match status.into() {
            Some(status) => self.proxy.world.forced.insert(call.into(), status),
            None => self.proxy.world.forced.remove(&call.into()),
        };
    }

    /// Tells the stats sinks of all stats now, as each `stats_flush_interval` does.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn flush_stats(&mut self) -> Result<(), HostError> {
        self.proxy.flush_stats()?;
        self.settle()
    }

    /// A stat of Envoy's own about Wasm, by its name: `wasm.<plugin>.vm_reload_success`, `_backoff`
    /// and `_failure`, `wasm.envoy.wasm.runtime.v8.created` and `active`, `wasm.wasm_vm_count`. None
    /// where there is no such stat.
    #[must_use]
    pub fn stat(&self, name: &str) -> Option<u64> {
        self.proxy.stat(name)
    }

    /// Every line that was logged since the host began to start, by guests and by Envoy's Wasm
    /// code. After 64 MiB a last line says that no more are kept.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        &self.proxy.world.log
    }

    /// The surprises of callbacks outside of streams; those of a stream are in
    /// [`Exchange::lints`].
    #[must_use]
    pub fn lints(&self) -> &[Lint] {
        &self.proxy.world.lints.of_host
    }

    /// What happened outside of streams: starts, timers, ends.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.proxy.world.timeline
    }

    /// The value of the counter `wasmcustom.<name>`, if a guest defined it. The copies of a VM
    /// share it: what a guest adds in configure counts once a thread and once for the canary.
    #[must_use]
    pub fn counter(&self, name: impl AsRef<[u8]>) -> Option<u64> {
        self.proxy.world.metrics.counter(name.as_ref())
    }

    /// The counters that guests defined, in the order in which they did, without `wasmcustom.`.
    pub fn counters(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.proxy.world.metrics.counters()
    }

    /// The value of the gauge `wasmcustom.<name>`, if a guest defined it.
    #[must_use]
    pub fn gauge(&self, name: impl AsRef<[u8]>) -> Option<u64> {
        self.proxy.world.metrics.gauge(name.as_ref())
    }

    /// What was recorded in the histogram `wasmcustom.<name>`, if a guest defined it.
    #[must_use]
    pub fn histogram(&self, name: impl AsRef<[u8]>) -> Option<&[u64]> {
        self.proxy.world.metrics.histogram(name.as_ref())
    }

    /// Hands a stream out that has ended, or a copy of how it stands.
    fn show(&mut self, slot: usize) -> Exchange {
        if self.proxy.world.streams[slot].finished {
            self.proxy.world.close(slot)
        } else {
            self.proxy.world.streams[slot].exchange.clone()
        }
    }

    fn open_slot(
        &mut self,
        worker: usize,
        chain: Option<&str>,
        request: Request,
    ) -> Result<usize, HostError> {
        let workers = self.proxy.threads.len() - 1;
        if worker >= workers {
            return Err(HostError::UnknownWorker { worker, workers });
        }
        self.check_alive()?;
        let chain = self.proxy.entries.find(Protocol::Http, chain)?;
        let slot = self.proxy.accept(request);
        let end = !self.proxy.world.streams[slot].request.reading;
        self.proxy.open(slot, worker + 1, chain)?;
        if self.proxy.refuse_target(slot)? {
            self.settle()?;
            return Ok(slot);
        }
        self.proxy.world.streams[slot].arriving = true;
        self.proxy.headers(slot, Direction::Request, None, end)?;
        // What the client has sent is there before any upstream can answer.
        self.proxy.read_on(slot, Direction::Request)?;
        self.settle()?;
        Ok(slot)
    }

    pub(crate) fn check_alive(&self) -> Result<(), HostError> {
        if self.proxy.ended {
            return Err(HostError::ShutDown);
        }
        Ok(())
    }

    /// Lets everything happen, and says how the streams stand that are left.
    pub(crate) fn settle(&mut self) -> Result<(), HostError> {
        self.proxy.run_until_idle()?;
        for slot in 0..self.proxy.world.streams.len() {
            if self.proxy.world.streams[slot].is_open() {
                self.proxy.lint_waiting(slot);
            }
        }
        if let Some(fatal) = self.proxy.world.fatal.take() {
            return Err(fatal);
        }
        let world = &mut *self.proxy.world;
        let infos = &world.plugins;
        for stream in world.streams.iter_mut().filter(|stream| !stream.finished) {
            stream.exchange.outcome = stream.waiting(|plugin| infos[plugin].name.to_string());
        }
        Ok(())
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("plugins", &self.proxy.world.plugins)
            .finish_non_exhaustive()
    }
}
