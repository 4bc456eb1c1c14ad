//! TCP connections of a host.

use super::Host;
use crate::connection::{Arrival, Connection, TcpReply};
use crate::entries::Protocol;
use crate::error::HostError;
use crate::exchange::StreamId;

impl Host {
    /// Connects to the first TCP chain on the first worker, and lets everything happen that can.
    ///
    /// A connection goes on until a peer, a filter or a failure ends it;
    /// [`connection`](Self::connection) shows how it stands.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`HostError::UnknownChain`].
    pub fn connect(&mut self) -> Result<StreamId, HostError> {
        self.connect_slot(0, None)
    }

    /// Connects to a chain that [`HostBuilder::tcp_chain`](crate::HostBuilder::tcp_chain)
    /// described.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_to(&mut self, chain: &str) -> Result<StreamId, HostError> {
        self.connect_slot(0, Some(chain))
    }

    /// Connects to the first TCP chain on any worker, counted from 0.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and [`HostError::UnknownWorker`].
    pub fn connect_to_worker(&mut self, worker: usize) -> Result<StreamId, HostError> {
        let workers = self.proxy.threads.len() - 1;
        if worker >= workers {
            return Err(HostError::UnknownWorker { worker, workers });
        }
        self.connect_slot(worker, None)
    }

    /// Lets downstream send bytes, which reach the filters in one piece unless Envoy's buffer limit
    /// cuts them. They wait where Envoy does not read. Nothing happens to a connection that has
    /// ended, or whose side downstream has ended. Of HTTP streams, those may send more whose request
    /// asked for an [`upgrade`](crate::HostBuilder::upgrade).
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownStream`], or as [`send`](Self::send).
    pub fn send_data(&mut self, id: StreamId, bytes: impl AsRef<[u8]>) -> Result<(), HostError> {
        if let Some(slot) = self.endless(id) {
            return self.send_behind(slot, bytes.as_ref());
        }
        self.arrive(id, bytes.as_ref(), false)
    }

    /// Lets downstream end its side, with a FIN. It may go on to receive. A client that closes its
    /// socket looks no different to Envoy; one that aborts is
    /// [`disconnect`](Self::disconnect).
    ///
    /// # Errors
    ///
    /// As [`send_data`](Self::send_data).
    pub fn half_close(&mut self, id: StreamId) -> Result<(), HostError> {
        self.arrive(id, &[], true)
    }

    /// How a connection stands.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownStream`] if there is none of this id.
    pub fn connection(&self, id: StreamId) -> Result<Connection, HostError> {
        let slot = self.connection_slot(id)?;
        let stream = &self.proxy.world.streams[slot];
        let peers = stream
            .tcp
            .as_ref()
            .map(|tcp| (tcp.upstream.clone(), tcp.downstream.clone()));
        let (upstream, downstream) = peers.unwrap_or_default();
        Ok(Connection {
            exchange: stream.exchange.clone(),
            upstream,
            downstream,
        })
    }

    /// Takes a connection that has ended out of the host, which forgets it.
    ///
    /// # Errors
    ///
    /// As [`connection`](Self::connection).
    pub fn take_connection(&mut self, id: StreamId) -> Result<Connection, HostError> {
        let connection = self.connection(id)?;
        let slot = self.connection_slot(id)?;
        if self.proxy.world.streams[slot].finished {
            self.proxy.world.close(slot);
        }
        Ok(connection)
    }

    /// Lets the upstream of TCP chains do something else from now on. Unless this is called, it
    /// sends nothing, and ends its side when downstream does.
    ///
    /// ```
    /// # use attache_harness::{Arrival, Host, HostError, Plugin, TcpReply};
    /// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
    /// #   (func (export "proxy_abi_version_0_2_1"))
    /// #   (func (export "malloc") (param i32) (result i32) i32.const 1024))"#).unwrap();
    /// let mut host = Host::builder()
    ///     .tcp_chain("mail", [Plugin::from_bytes("idle", wasm)])
    ///     .start()?;
    /// host.tcp_upstream(|arrival| match arrival {
    ///     Arrival::Connection => TcpReply::none().send("220 ready\r\n"),
    ///     Arrival::Data(_) => TcpReply::none().send_last("221 bye\r\n"),
    ///     _ => TcpReply::none(),
    /// });
    /// let id = host.connect()?;
    /// host.send_data(id, "QUIT\r\n")?;
    /// assert_eq!(host.connection(id)?.downstream().bytes(), b"220 ready\r\n221 bye\r\n");
    /// # Ok::<(), HostError>(())
    /// ```
    pub fn tcp_upstream(&mut self, reply: impl FnMut(Arrival<'_>) -> TcpReply + Send + 'static) {
        self.proxy.tcp_upstream = Box::new(reply);
    }

    /// Adds a cluster that TCP connections go to where a filter names it, as the filter state
    /// `envoy.tcp_proxy.cluster`, which it sets by the foreign function `set_envoy_filter_state`. All others
    /// go to `upstream`, whose answers are those of [`tcp_upstream`](Self::tcp_upstream), whatever is added here by that
    /// name.
    pub fn tcp_cluster(
        &mut self,
        name: impl Into<String>,
        reply: impl FnMut(Arrival<'_>) -> TcpReply + Send + 'static,
    ) {
        self.proxy.tcp_clusters.insert(name.into(), Box::new(reply));
    }

    fn connect_slot(&mut self, worker: usize, chain: Option<&str>) -> Result<StreamId, HostError> {
        self.check_alive()?;
        let chain = self.proxy.entries.find(Protocol::Tcp, chain)?;
        let slot = self.proxy.connect(worker + 1, chain)?;
        self.settle()?;
        Ok(self.proxy.world.streams[slot].exchange.id)
    }

    fn arrive(&mut self, id: StreamId, bytes: &[u8], end: bool) -> Result<(), HostError> {
        let slot = self.connection_slot(id)?;
        if self.proxy.world.streams[slot].finished {
            return Ok(());
        }
        self.proxy.arrive(slot, bytes, end)?;
        self.settle()
    }

    fn connection_slot(&self, id: StreamId) -> Result<usize, HostError> {
        let world = &self.proxy.world;
        let slot = world.find(id);
        slot.filter(|slot| world.streams[*slot].tcp.is_some())
            .ok_or(HostError::UnknownStream { id })
    }
}
