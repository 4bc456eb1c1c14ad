//! The machine behind a host: VMs, streams, and what moves them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::TypedFunc;

use crate::abi::{Direction, LogLevel};
use crate::bases::Base;
use crate::codec::Codec;
use crate::engine::Ticker;
use crate::entries::{Entries, Threads};
use crate::error::HostError;
use crate::exchange::Outcome;
use crate::limits::Limits;
use crate::module::Module;
use crate::mutation::Rule;
use crate::plugin::FailurePolicy;
use crate::router::Asked;
use crate::tcp_streams::{CloseType, TcpUpstream};
use crate::timeline::Timeline;
use crate::vm::{Arguments, Callbacks, Deferred, Entry, Failure, Phase, Place, Results, Vm};
use crate::world::World;

/// Whether a step of a stream went well for the host.
pub(crate) type Moved = Result<(), HostError>;

pub(crate) struct Proxy {
    /// Boxed, so that lending it to a VM moves a pointer.
    pub(crate) world: Box<World>,
    /// VMs of all threads, also those that are gone: a number is given once.
    pub(crate) vms: Vec<Vm>,
    pub(crate) bases: Vec<Base>,
    /// Envoy's stats: VMs that were made, and those that live.
    pub(crate) vms_created: u64,
    pub(crate) vms_active: u64,
    /// Envoy's stats of reloads after failures, by name.
    pub(crate) reloads: BTreeMap<String, u64>,
    /// Roots that nobody holds any more, each with its VM.
    pub(crate) released: VecDeque<(usize, u32)>,
    /// Contexts that were deleted, of VMs: guests can name them until what Envoy does now is done.
    pub(crate) buried: Vec<(usize, u32)>,
    /// Whether the proxy was shut down.
    pub(crate) ended: bool,
    /// The main thread and then the workers.
    pub(crate) threads: Vec<Thread>,
    pub(crate) plugins: Vec<Loaded>,
    /// Where the plugins stand.
    pub(crate) entries: Entries,
    pub(crate) upstream_codec: Codec,
    pub(crate) tcp_upstream: TcpUpstream,
    /// Other clusters that a filter may lead a TCP connection to, by name.
    pub(crate) tcp_clusters: BTreeMap<String, TcpUpstream>,
    pub(crate) limits: Limits,
    /// What stats sinks were told of the counters of Envoy's Wasm code.
    pub(crate) flushed: BTreeMap<String, u64>,
    /// The environment of Envoy's process.
    pub(crate) environment: BTreeMap<String, String>,
    /// Kept for as long as guest code may run.
    pub(crate) _ticker: Option<Arc<Ticker>>,
}

/// A plugin ready to start.
pub(crate) struct Loaded {
    pub(crate) module: Module,
    pub(crate) policy: FailurePolicy,
    pub(crate) allow_on_headers_stop_iteration: bool,
    pub(crate) discovered: bool,
    pub(crate) threads: Threads,
    /// Plugins of one base share their VMs: all that a VM is made from is the same.
    pub(crate) base: usize,
    /// Plugins of one identity share a root where they share a VM: all but the VM is the same.
    pub(crate) identity: usize,
    /// How long a VM must have been loaded before a failure lets it be loaded again.
    pub(crate) reload_backoff: Duration,
}

/// What a thread has of each plugin; none where the plugin's start failed in it.
#[derive(Default)]
pub(crate) struct Thread {
    pub(crate) handles: Vec<Option<Handle>>,
}

/// A plugin in a thread.
#[derive(Clone, Copy)]
pub(crate) struct Handle {
    pub(crate) vm: usize,
    pub(crate) root: u32,
    pub(crate) loaded: Duration,
}

/// How a callback ended.
pub(crate) enum Called<R> {
    /// The module does not export it.
    Missing,
    Returned(R),
    /// With the words of V8, and the functions on the stack.
    Trapped(String),
}

/// Stands for the wasm start function, and for whatever else an instance may fail of.
pub(crate) const START_FUNCTION: &str = "(start)";

impl Proxy {
    /// Calls an export if there is one. The deferred actions are left to the caller, who has to
    /// look for a failure first: the VM may have failed inside of a host call, and the guest returned
    /// all the same.
    pub(crate) fn call<P: Arguments, R: Results>(
        &mut self,
        vm: usize,
        (phase, context, slot): (Phase, u32, Option<usize>),
        name: &'static str,
        find: fn(&Callbacks) -> &Option<TypedFunc<P, R>>,
        arguments: P,
    ) -> Result<Called<R>, HostError> {
        let entry = Entry {
            phase,
            context,
            slot,
            limit: self.limits.of(name),
        };
        let index = vm;
        let vm = &mut self.vms[index];
        let failed_before = vm.failed;
        let calling = vm.calling(entry, name);
        let result = if vm.runs_inside {
            self.call_along(index, calling, find, arguments)
        } else {
            vm.call(&mut self.world, calling, find, arguments)
        };
        let Some(result) = result else {
            return Ok(Called::Missing);
        };
        let called = self.after(slot, calling.plugin, name, result)?;
        if self.vms[index].failed && !failed_before {
            // An answer comes to the root, and leaves its stream waiting like the others.
            self.lint_hanging(index, slot.filter(|_| phase != Phase::CallOut));
        }
        Ok(called)
    }

    /// Sorts out how guest code ended.
    pub(crate) fn after<R>(
        &mut self,
        slot: Option<usize>,
        plugin: usize,
        name: &'static str,
        result: Result<R, Failure>,
    ) -> Result<Called<R>, HostError> {
        if let Some(fatal) = self.world.fatal.take() {
            return Err(fatal);
        }
        match result {
            Ok(result) => Ok(Called::Returned(result)),
            Err(Failure::OutOfFuel) => Err(HostError::OutOfFuel {
                plugin: self.world.plugins[plugin].name.to_string(),
                callback: name,
                limit: self.limits.of(name).fuel,
                timeline: self.timeline(slot),
            }),
            Err(Failure::OutOfTime) => Err(HostError::OutOfTime {
                plugin: self.world.plugins[plugin].name.to_string(),
                callback: name,
                limit: self.limits.of(name).deadline,
                timeline: self.timeline(slot),
            }),
            Err(Failure::NoRoom(reason)) => Err(HostError::NoRoom { reason }),
            Err(Failure::Trap(trap)) => {
                let (message, note) = if name == START_FUNCTION {
                    let message = "Failed to create new Wasm instance";
                    (message.to_owned(), format!("{message}: {trap}"))
                } else {
                    let function = format!("Function: {name} failed");
                    (
                        format!("{function}: {}", trap.reason),
                        format!("{function}: {trap}"),
                    )
                };
                self.world.timeline(slot).note(note);
                self.world.log_own(slot, LogLevel::Error, message);
                Ok(Called::Trapped(trap.to_string()))
            }
        }
    }

    /// Does what the guest asked for while it ran. A callback that such an action makes empties the
    /// same queue, as in Envoy.
    pub(crate) fn run_deferred(&mut self, vm: usize) -> Moved {
        while let Some(action) = self.next_deferred(vm) {
            self.refuse_entered(&action)?;
            match action {
                Deferred::Continue(place, _)
                | Deferred::Close(place, _)
                | Deferred::Overflow(place, _)
                    if self.world.streams[place.slot].bare.is_some() => {}
                Deferred::Continue(place, direction) => self.resume(place, direction)?,
                Deferred::Close(place, direction) => self.close_stream(place, direction)?,
                Deferred::LocalReply(place, reply) => {
                    if self.world.streams[place.slot].finished {
                        if self.world.mutated(Rule::EndingTwiceIsSurvived) {
                            continue;
                        }
                        if !self.world.streams[place.slot].is_answered_behind_a_reset() {
                            return Err(self.reply_behind_the_end(place.slot));
                        }
                    }
                    self.send_local_reply(place.slot, reply)?;
                }
                Deferred::Overflow(place, direction) => {
                    if !self.world.streams[place.slot].finished {
                        self.buffer_overflow(place.slot, direction)?;
                    }
                }
                Deferred::ContinueReading(place) => {
                    self.continue_behind(place.slot, place.filter)?;
                }
                Deferred::CloseConnection(place)
                    if !self.world.mutated(Rule::TcpCloseIsIgnored) =>
                {
                    self.close_connection(place.slot, CloseType::Local, Outcome::Reset)?;
                }
                Deferred::CloseConnection(_) => {}
                Deferred::EndRoot(root) => self.delete_root(vm, root)?,
                Deferred::GrpcClose {
                    root,
                    token,
                    status,
                    message,
                } => self.tell_close(vm, (root, token, None), status, message)?,
                Deferred::ForgetToken(token, id) => self.vms[vm].state().forget_token(token, id),
                Deferred::ForgetCall(root) => {
                    let stays = self.world.mutated(Rule::AnswersStayReadable);
                    let fades = self.world.mutated(Rule::StatusIsNotSticky);
                    if let Some(root) = self.vms[vm].state().roots.get_mut(&root) {
                        if !stays {
                            root.call.forget();
                        }
                        if fades {
                            root.call.status = 0;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn next_deferred(&mut self, vm: usize) -> Option<Deferred> {
        let deferred = &mut self.vms[vm].state().deferred;
        if deferred.len() > 1 && self.world.mutated(Rule::LastRequestFirst) {
            return deferred.pop_back();
        }
        deferred.pop_front()
    }

    /// Lets everything happen that can without the clock: what is due, then answers of the
    /// upstream, then what peers have sent.
    pub(crate) fn run_until_idle(&mut self) -> Moved {
        let mut notifications = 0;
        loop {
            self.bury();
            if self.log_closed()? {
                continue;
            }
            // Envoy posts a notification to its own thread: it comes before anything new from a peer.
            let late =
                self.world.shared_queues.wait() && self.world.mutated(Rule::QueuesAreToldLast);
            if !late && self.notify_posted(&mut notifications)? {
                continue;
            }
            if self.run_due()? {
                continue;
            }
            if let Some(asked) = self.world.asked.pop_front() {
                match asked {
                    Asked::Stream(slot) => self.answer(slot)?,
                    Asked::Call {
                        vm,
                        token,
                        id,
                        event,
                    } => {
                        self.count_notification(&mut notifications)?;
                        self.ask_cluster(vm, token, id, &event)?;
                    }
                }
            } else if let Some((slot, direction)) = self.readable() {
                self.read_on(slot, direction)?;
            } else if self.notify_queue()? || self.answer_lookup()? {
                self.count_notification(&mut notifications)?;
            } else if self.let_go()? {
                // The guest may have left something to do.
            } else {
                return Ok(());
            }
        }
    }

    fn readable(&self) -> Option<(usize, Direction)> {
        self.world
            .streams
            .iter()
            .enumerate()
            .find_map(|(slot, stream)| {
                if stream.finished {
                    return None;
                }
                let limit = self.world.buffer_limit_of(slot);
                let request = stream
                    .request
                    .can_read(limit)
                    .then_some((slot, Direction::Request));
                request.or(stream
                    .response
                    .can_read(limit)
                    .then_some((slot, Direction::Response)))
            })
    }

    fn resume(&mut self, place: Place, direction: Direction) -> Moved {
        let stream = &mut self.world.streams[place.slot];
        let unanswered = direction == Direction::Response && stream.response.headers.is_none();
        let open = stream.flow(direction).open_behind_the_end;
        // Envoy looks whether one of its callbacks has ended the response, and does nothing then.
        let ended =
            direction == Direction::Response && stream.response.aborted && !stream.overtaken;
        if ended && stream.finished && !self.world.mutated(Rule::EndedInsideIsResumed) {
            let note = "the response has ended in a callback, and is not resumed";
            self.world.timeline(Some(place.slot)).note(note);
            return Ok(());
        }
        let stream = &mut self.world.streams[place.slot];
        if stream.finished
            && !open
            && direction == Direction::Response
            && stream.holds_what_was_reset(place.filter)
        {
            return Err(HostError::EnvoyWouldCrash {
                call: "proxy_continue_stream(1)".to_owned(),
                why: "may not resume a response behind the end of its stream; forget the stream when it is closed"
                    .to_owned(),
                timeline: self.timeline(Some(place.slot)),
            });
        }
        if stream.finished
            && !open
            && (!unanswered || self.world.mutated(Rule::NoResponseIsResumedInTheEnd))
        {
            return Ok(());
        }
        let stream = &mut self.world.streams[place.slot];
        stream
            .exchange
            .timeline
            .note(format!("the {direction} is resumed"));
        if unanswered {
            if self.world.mutated(Rule::ContinueOfNoResponseIsSurvived) {
                return Ok(());
            }
            return Err(HostError::EnvoyWouldCrash {
                call: "proxy_continue_stream(1)".to_owned(),
                why: "may not be called before there are response headers; resume only what was \
                      paused"
                    .to_owned(),
                timeline: self.timeline(Some(place.slot)),
            });
        }
        let side = stream.side(place.filter, direction);
        // The request's maps were forgotten by the call; those of the response stay in view.
        side.continued_inside |= side.in_callback;
        if self.world.mutated(Rule::ResumeIsIgnored) {
            return Ok(());
        }
        let step = self.world.filter_at(place.slot, direction, place.filter);
        self.common_continue(place.slot, direction, step)
    }

    fn close_stream(&mut self, place: Place, direction: Direction) -> Moved {
        let stream = &mut self.world.streams[place.slot];
        let replied =
            stream.prepared.is_some() && self.world.mutated(Rule::CloseBesideATrapCrashes);
        let stream = &mut self.world.streams[place.slot];
        if stream.finished || replied {
            let survived = stream.finished && stream.survives_a_close();
            stream.abort_callback();
            stream.codec_knows_its_end |= stream.finished;
            if survived && !self.world.mutated(Rule::EveryCloseBehindTheEndCrashes) {
                let note = "`proxy_close_stream` on a stream that is over does nothing";
                self.world.timeline(Some(place.slot)).note(note);
                return Ok(());
            }
            let finished = self.world.streams[place.slot].finished;
            if finished && self.world.mutated(Rule::EndingTwiceIsSurvived) {
                return Ok(());
            }
            return Err(self.ended_twice(place.slot, "proxy_close_stream"));
        }
        let stream = &mut self.world.streams[place.slot];
        stream
            .exchange
            .timeline
            .note(format!("`proxy_close_stream` on the {direction}"));
        let known = stream.exchange.details.is_some();
        if !known && self.world.mutated(Rule::CloseHasNoDetails) {
            // It stays as it is.
        } else if !known || self.world.mutated(Rule::CloseReplacesDetails) {
            let details = Some("wasm_close_stream".into());
            self.world.streams[place.slot].exchange.details = details;
        }
        if self.world.mutated(Rule::CloseIsIgnored) {
            return Ok(());
        }
        let stays = self.world.mutated(Rule::ClosedInsideGoesOn);
        let stream = &mut self.world.streams[place.slot];
        if !stays {
            stream.abort_callback();
        }
        for direction in [Direction::Request, Direction::Response] {
            let side = stream.side(place.filter, direction);
            side.closed_inside = side.in_callback;
            let flow = stream.flow(direction);
            flow.closed |= flow.in_callback;
        }
        self.reset(place.slot)
    }

    /// A callback asked for two ends of a stream. Envoy does the first at once where the response is on
    /// its way or no callback of the stream runs, and does not look before the second: seen on 1.40
    /// for two replies, for two closes, and for a reply and a close, with SIGSEGV. Only a reply after a
    /// close is spared, and then answers a request that was reset.
    pub(crate) fn ended_twice(&mut self, slot: usize, call: &str) -> HostError {
        HostError::EnvoyWouldCrash {
            call: call.to_owned(),
            why: "may not be called after a reply or `proxy_close_stream` in the same callback, which \
                  has ended the stream; return after the first of them"
                .to_owned(),
            timeline: self.timeline(Some(slot)),
        }
    }

    /// A reply to a stream whose end has come. Where an answer was on its way, Envoy crashes. Where there was
    /// none and its contexts are still known, HTTP/2 crashes and HTTP/1 makes response callbacks of contexts that are deleted,
    /// or nothing.
    fn reply_behind_the_end(&mut self, slot: usize) -> HostError {
        let call = "proxy_send_local_response";
        let stream = &self.world.streams[slot];
        if stream.exchange.outcome != Outcome::Reset || stream.headers_sent {
            return self.ended_twice(slot, call);
        }
        HostError::Misuse {
            call: call.to_owned(),
            why: "answers a stream that is closed: Envoy crashes, or makes response callbacks of contexts that \
                  are deleted; forget the stream when it is closed"
                .to_owned(),
            timeline: self.timeline(Some(slot)),
        }
    }

    pub(crate) fn timeline(&mut self, slot: Option<usize>) -> Timeline {
        self.world.timeline(slot).clone()
    }
}
