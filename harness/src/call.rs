//! One host call: who makes it, what it reads, what it is answered.

use wasmtime::Caller;

use crate::abi::{LogLevel, Status};
use crate::error::HostError;
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::timeline::{Argument, Event, HostCall};
use crate::vm::{Failure, Phase, VmState};
use crate::wasi::{self, Errno};
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
    /// It is WASI's and answers this.
    Errno(Errno),
    /// It does not come back.
    Trap(wasmtime::Error),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<wasmtime::Error> for Stop {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

/// The two sets of functions, which differ in how they answer.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Set {
    Env,
    Wasi,
}

/// A host call being made. Guest memory is read and written in `memory.rs` only.
pub(crate) struct Call<'a> {
    pub(crate) caller: Caller<'a, VmState>,
    pub(crate) record: HostCall,
    /// Surprises in it, reported after it.
    pub(crate) lints: Vec<(LintKind, String)>,
}

impl<'a> Call<'a> {
    /// Answers a host call of module `env` and records it.
    pub(crate) fn run(
        caller: Caller<'a, VmState>,
        name: &'static str,
        answer: impl FnOnce(&mut Self) -> Answer,
    ) -> wasmtime::Result<u32> {
        Self::make(caller, Set::Env, name, answer)
    }

    /// Answers a WASI function and records it.
    pub(crate) fn run_wasi(
        caller: Caller<'a, VmState>,
        name: &'static str,
        answer: impl FnOnce(&mut Self) -> Answer,
    ) -> wasmtime::Result<u32> {
        Self::make(caller, Set::Wasi, name, answer)
    }

    fn make(
        caller: Caller<'a, VmState>,
        set: Set,
        name: &'static str,
        answer: impl FnOnce(&mut Self) -> Answer,
    ) -> wasmtime::Result<u32> {
        let mut call = Self {
            caller,
            record: HostCall::new(name),
            lints: Vec::new(),
        };
        call.count()?;
        let forced = call.world().forced.get(name).copied();
        let answer = match call.admit(set, name) {
            Ok(()) if forced.is_none() => answer(&mut call),
            admitted => admitted,
        };
        let code = match answer {
            Ok(()) => forced.unwrap_or(0),
            Err(Stop::Status(status)) if set == Set::Env => status.code(),
            // The only failure that reading and writing memory has.
            Err(Stop::Status(_)) => Errno::Fault.code(),
            Err(Stop::Errno(errno)) => errno.code(),
            Err(Stop::Trap(error)) => {
                call.file();
                return Err(error);
            }
        };
        let code = match &call.world().mutator {
            Some(mutator) => mutator.status(name, code),
            None => code,
        };
        match set {
            Set::Env => call.record.status = Status::from_code(code),
            Set::Wasi => call.record.errno = Some(code),
        }
        call.file();
        Ok(code)
    }

    /// Whether the call may be made now, and by this plugin.
    fn admit(&mut self, set: Set, name: &str) -> Answer {
        if self.state().phase == Phase::Link && !survives_without_context(set, name) {
            let call = name.to_owned();
            return Err(self.give_up(|timeline| HostError::EnvoyWouldCrash {
                call,
                why: "is called by the wasm start function, when Envoy has no context for it yet; \
                      move the call to `_initialize`"
                    .to_owned(),
                timeline,
            }));
        }
        let state = self.state();
        let allowed = match (set, state.in_allocator, state.phase) {
            (Set::Env, false, Phase::Initialize) => ALLOWED_AT_START.contains(&name),
            (Set::Env, true, _) => name == "proxy_log",
            (Set::Wasi, false, Phase::Initialize) => wasi::allowed_at_start(name),
            (Set::Wasi, true, _) => wasi::allowed_in_allocator(name),
            _ => true,
        };
        if !allowed {
            return Err(Stop::Trap(wasmtime::Error::msg("restricted_callback")));
        }
        let plugin = &state.world.plugins[state.first_plugin];
        if plugin.capabilities.allow(name)
            || UNRESTRICTED.contains(&name)
            || state.world.mutated(Rule::RestrictedCallsAreMade)
        {
            return Ok(());
        }
        let kind = match set {
            Set::Env => "proxy-wasm",
            Set::Wasi => "WASI",
        };
        let slot = state.slot;
        let message = format!("Attempted call to restricted {kind} capability: {name}");
        state.world.log_own(slot, LogLevel::Error, message);
        let mutated = |rule| state.world.mutated(rule);
        Err(match set {
            Set::Env if mutated(Rule::RestrictedCallsAreUnknown) => Status::Unimplemented.into(),
            Set::Env => Status::InternalFailure.into(),
            Set::Wasi if mutated(Rule::RestrictedWasiIsUnknown) => Errno::NoSystemCall.into(),
            Set::Wasi => Errno::NotCapable.into(),
        })
    }

    /// Puts the call into the timeline, and its lints behind it.
    fn file(self) {
        let Self {
            mut caller,
            record,
            lints,
        } = self;
        let state = caller.data_mut();
        let slot = state.slot;
        state.world.timeline(slot).push(Event::HostCall(record));
        for (kind, what) in lints {
            let plugin = state.plugin();
            state.world.lint(slot, plugin, kind, what);
        }
    }

    /// Fuel bounds what a guest does, not what it makes the host do; this does.
    fn count(&mut self) -> wasmtime::Result<()> {
        let state = self.state();
        state.host_calls += 1;
        if state.host_calls > HOST_CALLS_A_CALLBACK {
            return Err(self.too_much("100,000 host calls"));
        }
        self.count_copied()
    }

    /// The same for bytes.
    pub(crate) fn count_copied(&mut self) -> wasmtime::Result<()> {
        if self.state().copied > BYTES_A_CALLBACK {
            return Err(self.too_much("256 MiB handed over in host calls"));
        }
        Ok(())
    }

    /// Ends the run for what a guest makes the host do.
    pub(crate) fn too_much(&mut self, limit: &'static str) -> wasmtime::Error {
        let name = self.record.name;
        let state = self.state();
        let slot = state.slot;
        let timeline = state.world.timeline(slot).first(EVENTS_SHOWN);
        self.world().fatal = Some(HostError::HostCallLimit {
            call: name,
            limit,
            timeline,
        });
        wasmtime::Error::msg("the harness gave up")
    }

    pub(crate) fn state(&mut self) -> &mut VmState {
        self.caller.data_mut()
    }

    pub(crate) fn world(&mut self) -> &mut World {
        &mut self.caller.data_mut().world
    }

    /// Whether a test of tests has this host break a rule.
    pub(crate) fn mutated(&self, rule: Rule) -> bool {
        self.caller.data().world.mutated(rule)
    }

    /// Records an argument.
    pub(crate) fn number(&mut self, number: impl Into<i64>) {
        self.record.arguments.push(Argument::Number(number.into()));
    }

    /// Guest code that the host entered inside of this call has trapped. That fails the VM, and the
    /// guest that made the call goes on: V8 ends the inner call only.
    pub(crate) fn outlive(&mut self, name: &str, error: wasmtime::Error) -> wasmtime::Result<()> {
        let state = self.state();
        let trap = match Failure::from(&error) {
            Failure::Trap(trap) if state.world.fatal.is_none() => trap,
            _ => return Err(error),
        };
        if state.world.mutated(Rule::InnerTrapsEndTheGuest) {
            return Err(error);
        }
        state.failed_inside = true;
        let slot = state.slot;
        let function = format!("Function: {name} failed");
        let note = format!("{function}: {trap}");
        state.world.timeline(slot).note(note);
        let message = format!("{function}: {}", trap.reason);
        state.world.log_own(slot, LogLevel::Error, message);
        Ok(())
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

/// Whether Envoy can answer without a context.
fn survives_without_context(set: Set, name: &str) -> bool {
    match set {
        Set::Env => matches!(name, "pthread_equal" | "emscripten_notify_memory_growth"),
        Set::Wasi => wasi::survives_without_context(name),
    }
}

/// What of module `env` may be called while the module starts.
const ALLOWED_AT_START: [&str; 2] = ["emscripten_notify_memory_growth", "proxy_log"];

/// What no list of capabilities takes away.
const UNRESTRICTED: [&str; 3] = [
    "emscripten_notify_memory_growth",
    "envoy_resolve_dns",
    "pthread_equal",
];
