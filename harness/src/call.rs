//! One host call: who makes it, what it reads, what it is answered.

use wasmtime::Caller;

use crate::abi::Status;
use crate::error::HostError;
use crate::timeline::{Argument, Event, HostCall};
use crate::vm::{Phase, VmState};
use crate::world::World;

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
        };
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
        } = call;
        record.status = answer.as_ref().ok().copied();
        let state = caller.data_mut();
        let slot = state.slot;
        state
            .world
            .timeline(slot)
            .events
            .push(Event::HostCall(record));
        answer.map(Status::code)
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
        timeline.events.push(Event::HostCall(self.record.clone()));
        self.world().fatal = Some(error(timeline));
        Stop::Trap(wasmtime::Error::msg("the harness gave up"))
    }
}
