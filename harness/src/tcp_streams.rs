//! TCP connections through a chain of network filters with Envoy's TCP proxy as the last.
//!
//! A filter sees everything that is held, not only what is new: data that a filter does not let pass
//! stays where it came from, and comes again with what follows, also to the filters that had let it
//! pass. Observed on Envoy 1.40; the names are those of its `FilterManagerImpl`.

mod callbacks;
mod idle;
mod route;

use std::collections::VecDeque;
use std::time::Duration;

use crate::abi::Direction;
use crate::agenda::Event;
use crate::body::Body;
use crate::connection::{Arrival, End, Peer, Step, TcpReply};
use crate::envoy_version::VersionDifference;
use crate::error::HostError;
use crate::exchange::Outcome;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::response_flags::ResponseFlags;
use crate::stream::Iteration;

/// What an upstream does about what arrives.
pub(crate) type TcpUpstream = Box<dyn FnMut(Arrival<'_>) -> TcpReply + Send>;

/// What a stream is where it is no HTTP exchange.
#[derive(Default)]
pub(crate) struct TcpStream {
    /// Beside the filters of the stream.
    pub(crate) filters: Vec<TcpFilter>,
    /// What Envoy has read from downstream and the chain not passed.
    pub(crate) read: Body,
    read_end: bool,
    /// How many bytes Envoy has read from downstream, whatever became of them.
    pub(crate) received: u64,
    /// What downstream has sent and Envoy not read.
    unread: Vec<u8>,
    unread_end: bool,
    unread_reset: bool,
    /// Whether downstream has reset a connection of which Envoy had read the end: it reads no more then,
    /// and notices when it writes.
    lost: bool,
    /// What Envoy has read from the upstream and the chain not passed.
    pub(crate) write: Body,
    upstream_end_read: bool,
    /// Whether the upstream has reset a connection of which Envoy had read the end: it reads no more then,
    /// and notices when it writes.
    upstream_lost: bool,
    /// What is to come from the upstream; each has its event on the agenda.
    incoming: VecDeque<Step>,
    /// When the last of it is due.
    incoming_until: Duration,
    proxy: TcpProxy,
    /// The cluster that a filter has named, where it is not the listener's.
    cluster: Option<String>,
    /// How long nothing may move, where a filter has said so.
    idle_timeout: Option<Duration>,
    /// Whether Envoy counts it as complete: when the TCP proxy writes its access logs, after the
    /// filters are gone.
    pub(crate) complete: bool,
    pub(crate) upstream: Peer,
    pub(crate) downstream: Peer,
}

/// How far Envoy's TCP proxy, the last filter, has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum TcpProxy {
    /// A filter holds the new connection. Nothing is read from downstream then.
    #[default]
    Waiting,
    Connecting,
    Connected,
}

impl TcpStream {
    /// Whether the TCP proxy has chosen a host, and whether it is connected to it.
    pub(crate) fn upstream_progress(&self) -> (bool, bool) {
        let connected = self.proxy == TcpProxy::Connected;
        (self.proxy != TcpProxy::Waiting, connected)
    }

    /// Whether both ends of the connection to the upstream are known to be over.
    fn is_over_upstream(&self) -> bool {
        self.upstream_end_read && self.upstream.end != End::Open && !self.upstream_lost
    }
}

/// One filter of a connection.
#[derive(Default)]
pub(crate) struct TcpFilter {
    /// Whether it was told of the connection.
    initialized: bool,
    /// Whether buffer 2 and buffer 3 show something: in a data callback, and after it until one
    /// lets data pass.
    pub(crate) sees_downstream: bool,
    pub(crate) sees_upstream: bool,
    /// Whether it continued reading since its last data callback began.
    continued: bool,
}

/// Who ended a connection, as the callbacks number it.
#[derive(Clone, Copy)]
pub(crate) enum CloseType {
    /// Of an upstream, of which a filter downstream knows no more.
    Unknown = 0,
    /// Envoy.
    Local = 1,
    /// Downstream.
    Remote = 2,
}

/// How the upstream's connection came to its last end, and who closes that of downstream if that is over by it.
#[derive(Clone, Copy)]
enum LastEnd {
    /// It was read from the upstream, whose connection is closed at once.
    Read(CloseType),
    /// It is written to the upstream.
    Written(CloseType),
}

impl Proxy {
    /// A connection arrives.
    pub(crate) fn connect(&mut self, thread: usize, chain: usize) -> Result<usize, HostError> {
        let slot = self.world.open();
        let stream = &mut self.world.streams[slot];
        stream.tcp = Some(Box::default());
        stream.started = self.world.clock.now();
        self.open(slot, thread, chain)?;
        let filters = self.world.streams[slot].filters.len();
        self.tcp(slot)
            .filters
            .resize_with(filters, TcpFilter::default);
        self.continue_reading(slot, 0)?;
        Ok(slot)
    }

    /// Downstream sends bytes, or ends its side, after which it has nothing to send.
    pub(crate) fn arrive(&mut self, slot: usize, bytes: &[u8], end: bool) -> Moved {
        let tcp = self.tcp(slot);
        if tcp.unread_end {
            return Ok(());
        }
        tcp.unread.extend_from_slice(bytes);
        tcp.unread_end |= end;
        self.read_socket(slot)
    }

    /// Reads what downstream has sent, as far as the buffer limit lets it.
    fn read_socket(&mut self, slot: usize) -> Moved {
        let limit = self.world.buffer_limit;
        let counted_once = self.world.mutated(Rule::TcpHeldDataIsCountedOnce);
        loop {
            if self.world.streams[slot].finished {
                return Ok(());
            }
            let tcp = self.tcp(slot);
            if tcp.proxy == TcpProxy::Connected && tcp.unread_reset && tcp.unread.is_empty() {
                return self.downstream_reset_read(slot);
            }
            let room = limit.saturating_sub(tcp.read.len()).min(tcp.unread.len());
            let ends =
                tcp.unread_end && !tcp.unread_reset && !tcp.read_end && room == tcp.unread.len();
            if tcp.proxy != TcpProxy::Connected || (room == 0 && !ends) {
                return Ok(());
            }
            tcp.read.extend(&tcp.unread[..room]);
            // Envoy counts what it has by then, and so once more what filters hold.
            tcp.received += match counted_once {
                true => room,
                false => tcp.read.len(),
            } as u64;
            tcp.unread.drain(..room);
            tcp.read_end |= ends;
            let from = self.first_to_see(slot);
            self.continue_reading(slot, from)?;
            self.end_if_both_did(slot, LastEnd::Written(CloseType::Remote))?;
        }
    }

    /// The filter that sees first what was read: that of the chain.
    fn first_to_see(&self, slot: usize) -> usize {
        let filters = &self.world.streams[slot].filters;
        let holder = filters
            .iter()
            .position(|filter| filter.request.iteration == Iteration::StopSingle);
        match holder {
            Some(holder) if self.world.mutated(Rule::TcpHeldDataIsShownToItsHolder) => holder,
            _ => 0,
        }
    }

    /// Envoy's `onContinueReading`: filters from this one on hear of the connection, if they have
    /// not, and of everything that was read.
    fn continue_reading(&mut self, slot: usize, from: usize) -> Moved {
        for filter in from..self.world.streams[slot].filters.len() {
            if self.world.streams[slot].finished {
                return Ok(());
            }
            let tcp = self.tcp(slot);
            if !std::mem::replace(&mut tcp.filters[filter].initialized, true)
                && !self.new_connection(slot, filter)?
            {
                return Ok(());
            }
            let tcp = self.tcp(slot);
            let end = tcp.read_end;
            if (!tcp.read.is_empty() || end) && !self.downstream_data(slot, filter, end)? {
                return Ok(());
            }
        }
        if self.world.streams[slot].finished {
            return Ok(());
        }
        self.tcp_proxy(slot)
    }

    /// `proxy_continue_stream(2)`: the filters behind this one go on.
    pub(crate) fn continue_behind(&mut self, slot: usize, filter: usize) -> Moved {
        if self.world.streams[slot].finished || self.world.mutated(Rule::TcpContinueIsIgnored) {
            return Ok(());
        }
        self.tcp(slot).filters[filter].continued = true;
        self.hold_or_pass(slot, filter, Direction::Request, true);
        self.continue_reading(slot, filter + 1)?;
        // It may have been downstream's end that was held.
        let upstream_over = self.tcp(slot).is_over_upstream();
        if upstream_over && !self.world.mutated(Rule::TcpHeldEndDoesNotClose) {
            // Not within the callback that lets go of it: once the end is written.
            let stream = self.world.streams[slot].exchange.id;
            let now = self.world.clock.now();
            self.world
                .schedule(now, Event::UpstreamOver { slot, stream });
        }
        Ok(())
    }

    /// The last filter: connects to the upstream, or hands it what was read.
    fn tcp_proxy(&mut self, slot: usize) -> Moved {
        let tcp = self.tcp(slot);
        if tcp.proxy == TcpProxy::Waiting {
            return self.choose_cluster(slot);
        }
        let bytes = std::mem::take(&mut tcp.read).into_bytes();
        self.moves(slot);
        let tcp = self.tcp(slot);
        if tcp.upstream_lost {
            tcp.upstream_lost = bytes.is_empty() && !tcp.read_end;
            return Ok(());
        }
        let end = tcp.read_end && tcp.upstream.end == End::Open;
        if !bytes.is_empty() {
            let reply = self.tell_upstream(slot, Arrival::Data(&bytes));
            let note = format!("the upstream receives {} bytes", bytes.len());
            self.world.timeline(Some(slot)).note(note);
            self.tcp(slot).upstream.push(bytes);
            self.schedule(slot, reply);
        }
        if end {
            let note = "downstream's end reaches the upstream";
            self.world.timeline(Some(slot)).note(note);
            self.tcp(slot).upstream.end = End::Fin;
            let reply = self.tell_upstream(slot, Arrival::End);
            self.schedule(slot, reply);
        }
        Ok(())
    }

    /// Puts what an upstream does on the agenda, behind what it did before.
    fn schedule(&mut self, slot: usize, reply: TcpReply) {
        let now = self.world.clock.now();
        let id = self.world.streams[slot].exchange.id;
        for (wait, step) in reply.steps {
            let tcp = self.tcp(slot);
            let due = tcp.incoming_until.max(now).saturating_add(wait);
            tcp.incoming_until = due;
            tcp.incoming.push_back(step);
            let event = Event::FromUpstream { slot, stream: id };
            self.world.schedule(due, event);
        }
    }

    /// The next step of the upstream arrives. What the buffer limit leaves no room for stays with
    /// the upstream.
    pub(crate) fn arrive_from_upstream(&mut self, slot: usize) -> Moved {
        let limit = self.world.buffer_limit;
        let tcp = self.tcp(slot);
        if tcp.write.len() >= limit {
            return Ok(());
        }
        match tcp.incoming.pop_front() {
            Some(Step::Connect) => self.upstream_connects(slot),
            Some(Step::Send { bytes, end }) if !tcp.upstream_end_read => {
                tcp.write.extend(&bytes);
                tcp.upstream_end_read = end;
                self.moves(slot);
                self.write(slot, end)?;
                self.end_if_both_did(slot, LastEnd::Read(CloseType::Local))
            }
            Some(Step::Reset)
                if tcp.upstream_end_read
                    && !self.world.mutated(Rule::TcpResetsAreNoticedAfterTheEnd) =>
            {
                let tcp = self.tcp(slot);
                tcp.upstream.end = End::Reset;
                tcp.upstream_lost = true;
                let note = "the upstream resets, which is not noticed behind its end";
                self.world.timeline(Some(slot)).note(note);
                Ok(())
            }
            Some(Step::Reset) => {
                self.world.timeline(Some(slot)).note("the upstream resets");
                let passed_on = !self
                    .world
                    .is_before(VersionDifference::UpstreamResetsArePassedOn);
                let tcp = self.tcp(slot);
                tcp.upstream.end = End::Reset;
                if passed_on {
                    tcp.downstream.end = End::Reset;
                    self.flag(slot, ResponseFlags::UPSTREAM_REMOTE_RESET);
                }
                self.close_connection(slot, CloseType::Local, Outcome::Reset)
            }
            Some(Step::Send { .. }) | None => Ok(()),
        }
    }

    fn flag(&mut self, slot: usize, flag: ResponseFlags) {
        if !self.world.mutated(Rule::TcpFailuresHaveNoFlags) {
            self.world.streams[slot].exchange.flags.set(flag);
        }
    }

    fn upstream_connects(&mut self, slot: usize) -> Moved {
        let reply = self.tell_upstream(slot, Arrival::Connection);
        let refused = matches!(reply.steps.first(), Some((_, Step::Reset)));
        let note = match refused {
            true => "the upstream refuses the connection",
            false => "the upstream is connected",
        };
        self.world.timeline(Some(slot)).note(note);
        if refused {
            self.flag(slot, ResponseFlags::UPSTREAM_CONNECTION_FAILURE);
            self.flag(slot, ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED);
            return self.close_connection(slot, CloseType::Local, Outcome::Reset);
        }
        let timeout = idle::timeout(&self.world.streams[slot].exchange.filter_state);
        let tcp = self.tcp(slot);
        tcp.proxy = TcpProxy::Connected;
        tcp.idle_timeout = timeout;
        self.moves(slot);
        self.schedule(slot, reply);
        self.read_socket(slot)
    }

    /// Envoy's `onWrite`: what came from the upstream passes the filters in reverse. Where it is
    /// held, nothing but more of it moves it on, and its end is lost.
    fn write(&mut self, slot: usize, end: bool) -> Moved {
        let filters = self.world.streams[slot].filters.len();
        let forward = filters > 1 && self.world.mutated(Rule::TcpUpstreamGoesForward);
        for step in 0..filters {
            let filter = if forward { step } else { filters - 1 - step };
            if !self.upstream_data(slot, filter, end)? {
                return Ok(());
            }
        }
        let tcp = self.tcp(slot);
        let bytes = std::mem::take(&mut tcp.write).into_bytes();
        if tcp.lost && !bytes.is_empty() {
            return self.close_connection(slot, CloseType::Remote, Outcome::Reset);
        }
        let note = format!(
            "downstream receives {} bytes{}",
            bytes.len(),
            if end { " and the end" } else { "" }
        );
        tcp.downstream.push(bytes);
        if end && !tcp.lost {
            tcp.downstream.end = End::Fin;
        }
        self.world.timeline(Some(slot)).note(note);
        Ok(())
    }

    /// The last end that goes to an upstream is written.
    pub(crate) fn upstream_is_over(&mut self, slot: usize) -> Moved {
        self.end_if_both_did(slot, LastEnd::Written(CloseType::Local))
    }

    /// Both peers have ended their sides, towards each other or towards Envoy.
    fn end_if_both_did(&mut self, slot: usize, last: LastEnd) -> Moved {
        if self.world.streams[slot].finished {
            return Ok(());
        }
        let tcp = self.tcp(slot);
        let downstream_over = tcp.read_end && tcp.downstream.end != End::Open;
        let upstream_over = tcp.is_over_upstream();
        let close = match (downstream_over, upstream_over, last) {
            (true, _, LastEnd::Read(close) | LastEnd::Written(close)) => close,
            (false, true, LastEnd::Read(_)) => CloseType::Local,
            (false, true, LastEnd::Written(_)) => {
                // The upstream's connection is closed once its end is written, which comes behind what
                // is posted.
                self.notify_queues()?;
                if self.world.streams[slot].finished {
                    return Ok(());
                }
                CloseType::Local
            }
            (false, false, _) => return Ok(()),
        };
        self.close_connection(slot, close, Outcome::Completed)
    }

    /// Downstream resets the connection. Before the upstream is connected nothing is read from
    /// downstream, so that Envoy does not notice until then.
    pub(crate) fn downstream_resets(&mut self, slot: usize) -> Moved {
        let unnoticed = !self.world.mutated(Rule::TcpResetsAreNoticedAfterTheEnd);
        let tcp = self.tcp(slot);
        if tcp.downstream.end == End::Open {
            tcp.downstream.end = End::Reset;
        }
        if tcp.read_end && unnoticed {
            tcp.lost = true;
            let note = "downstream resets, which is not noticed behind its end";
            self.world.timeline(Some(slot)).note(note);
            return Ok(());
        }
        tcp.unread_end = true;
        tcp.unread_reset = true;
        if tcp.proxy != TcpProxy::Connected {
            let note = "downstream resets, which is not read yet";
            self.world.timeline(Some(slot)).note(note);
            return Ok(());
        }
        self.downstream_reset_read(slot)
    }

    fn downstream_reset_read(&mut self, slot: usize) -> Moved {
        let passed_on = !self
            .world
            .is_before(VersionDifference::ClientResetsArePassedOn);
        let tcp = self.tcp(slot);
        if tcp.upstream.end == End::Open && passed_on {
            tcp.upstream.end = End::Reset;
        }
        self.close_connection(slot, CloseType::Remote, Outcome::Reset)
    }

    /// The connection is over: each filter in chain order is told, done, logged and deleted, and
    /// then the access loggers write.
    pub(crate) fn close_connection(
        &mut self,
        slot: usize,
        close: CloseType,
        outcome: Outcome,
    ) -> Moved {
        let stream = &mut self.world.streams[slot];
        if std::mem::replace(&mut stream.finished, true) {
            return Ok(());
        }
        stream.exchange.outcome = outcome;
        let tcp = self.tcp(slot);
        // A socket that is closed with bytes unread answers with a RST.
        let end = match tcp.unread.is_empty() {
            true => End::Fin,
            false => End::Reset,
        };
        if tcp.downstream.end == End::Open {
            tcp.downstream.end = end;
        }
        if tcp.proxy == TcpProxy::Connected && tcp.upstream.end == End::Open {
            tcp.upstream.end = End::Fin;
        }
        let note = match close {
            CloseType::Remote => "downstream's connection is closed, by downstream",
            CloseType::Local | CloseType::Unknown => "downstream's connection is closed, by Envoy",
        };
        self.world.timeline(Some(slot)).note(note);
        let swapped = self.world.mutated(Rule::TcpCloseTypesAreSwapped);
        let close = match close {
            CloseType::Local if swapped => CloseType::Remote,
            CloseType::Remote if swapped => CloseType::Local,
            close => close,
        };
        for filter in 0..self.world.streams[slot].filters.len() {
            self.end_filter(slot, filter, close)?;
        }
        self.release_filters(slot);
        self.tcp(slot).complete = true;
        if self.world.mutated(Rule::TcpLoggersWriteAtOnce) {
            self.log_access(slot)?;
            return self.check_budget(slot);
        }
        let stream = self.world.streams[slot].exchange.id;
        self.world.closed.push_back((slot, stream));
        Ok(())
    }

    /// Lets the access loggers of the next closed connection write: Envoy does that where it deletes what is left of
    /// one, once it has read all that came on the connection that it is at. Whether there was one.
    pub(crate) fn log_closed(&mut self) -> Result<bool, HostError> {
        let Some((slot, stream)) = self.world.closed.pop_front() else {
            return Ok(false);
        };
        if self.world.streams[slot].exchange.id != stream {
            return Ok(true);
        }
        self.log_access(slot)?;
        self.check_budget(slot)?;
        Ok(true)
    }

    /// The TCP part of a stream that has one. The caller knows that it has.
    fn tcp(&mut self, slot: usize) -> &mut TcpStream {
        self.world.streams[slot].tcp.get_or_insert_default()
    }

    /// Remembers for the outcome whether a filter holds a direction.
    fn hold_or_pass(&mut self, slot: usize, filter: usize, direction: Direction, passes: bool) {
        let side = self.world.streams[slot].side(filter, direction);
        side.iteration = if passes {
            Iteration::Continue
        } else {
            Iteration::StopSingle
        };
    }
}
