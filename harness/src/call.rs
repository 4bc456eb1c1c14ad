//! One host call: who makes it, what it reads, what it is answered.

use wasmtime::Caller;

use crate::abi::Status;
use crate::error::HostError;
use crate::lints::LintKind;
use crate::timeline::{Argument, Event, HostCall};
use crate::vm::{Phase, VmState};
use crate::world::World;

const HOST_CALLS_A_CALLBACK: u32 = 100_000;
const BYTES_A_CALLBACK: usize = 256 << 20;
const EVENTS_SHOWN: usize = 50;

/// What a host call answers; `Ok` is status 0.
pub(crate) type Answer = Result<(), Stop>;

/// Why a host call does not answer 0.
pub(crate) enum Stop {
    /// It answers this.
    Status(Status),
    /// It does not come back.
    Trap(wasmtime::Error),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<wasmtime::Error> for Stop {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

/// A host call being made. Guest memory is read and written in `memory.rs` only.
pub(crate) struct Call<'a> {
    pub(crate) caller: Caller<'a, VmState>,
    pub(crate) record: HostCall,
    /// Surprises in it, reported after it.
    pub(crate) lints: Vec<(LintKind, String)>,
}

impl<'a> Call<'a> {
    /// Answers a host call and records it.
    pub(crate) fn run(
        caller: Caller<'a, VmState>,
        name: &'static str,
        answer: impl FnOnce(&mut Self) -> Answer,
    ) -> wasmtime::Result<u32> {
        let mut call = Self {
            caller,
            record: HostCall::new(name),
            lints: Vec::new(),
        };
        call.count(name)?;
        let state = call.state();
        let restricted = state.phase == Phase::Initialize || state.in_allocator;
        let answer = if restricted && name != "proxy_log" {
            Err(Stop::Trap(wasmtime::Error::msg("restricted_callback")))
        } else {
            answer(&mut call)
        };
        let answer = match answer {
            Ok(()) => Ok(Status::Ok),
            Err(Stop::Status(status)) => Ok(status),
            Err(Stop::Trap(error)) => Err(error),
        };
        let Self {
            mut caller,
            mut record,
            lints,
        } = call;
        record.status = answer.as_ref().ok().copied();
        let state = caller.data_mut();
        let slot = state.slot;
        state.world.timeline(slot).push(Event::HostCall(record));
        for (kind, what) in lints {
            let plugin = state.plugin();
            state.world.lint(slot, plugin, kind, what);
        }
        answer.map(Status::code)
    }

    /// Fuel bounds what a guest does, not what it makes the host do; this does.
    fn count(&mut self, name: &'static str) -> wasmtime::Result<()> {
        let state = self.state();
        state.host_calls += 1;
        let limit = if state.host_calls > HOST_CALLS_A_CALLBACK {
            "100,000 host calls"
        } else if state.copied > BYTES_A_CALLBACK {
            "256 MiB handed over in host calls"
        } else {
            return Ok(());
        };
        let slot = state.slot;
        let timeline = state.world.timeline(slot).first(EVENTS_SHOWN);
        self.world().fatal = Some(HostError::HostCallLimit {
            call: name,
            limit,
            timeline,
        });
        Err(wasmtime::Error::msg("the harness gave up"))
    }

    pub(crate) fn state(&mut self) -> &mut VmState {
        self.caller.data_mut()
    }

    pub(crate) fn world(&mut self) -> &mut World {
        &mut self.caller.data_mut().world
    }

    /// Records an argument.
    pub(crate) fn number(&mut self, number: impl Into<i64>) {
        self.record.arguments.push(Argument::Number(number.into()));
    }

    /// Ends the whole run: an answer would be an invention.
    pub(crate) fn not_answered(&mut self, name: &'static str) -> Stop {
        self.give_up(|timeline| HostError::NotAnswered {
            what: format!("`{name}`"),
            timeline,
        })
    }

    /// Ends the whole run: what follows in Envoy cannot be played, or is no life.
    pub(crate) fn give_up(&mut self, error: impl FnOnce(crate::Timeline) -> HostError) -> Stop {
        let state = self.state();
        let slot = state.slot;
        let mut timeline = state.world.timeline(slot).clone();
        timeline.push(Event::HostCall(self.record.clone()));
        self.world().fatal = Some(error(timeline));
        Stop::Trap(wasmtime::Error::msg("the harness gave up"))
    }
}
