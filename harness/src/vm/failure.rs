//! How guest code ends that does not return.

use std::fmt;

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

/// As many frames as Envoy shows.
const FRAMES: usize = 20;

/// How a call ended that did not return.
pub(crate) enum Failure {
    Trap(Trapped),
    OutOfFuel,
    OutOfTime,
    /// This process has as many VMs as it can have; no fault of the guest's.
    NoRoom(String),
}

/// A trap: V8's words for it, and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Trapped {
    /// Such as `Uncaught RuntimeError: unreachable`.
    pub(crate) reason: String,
    /// The functions on the stack, the innermost first.
    frames: Vec<String>,
}

impl Trapped {
    fn of(error: &wasmtime::Error, text: &str) -> Self {
        let backtrace = error.downcast_ref::<WasmBacktrace>();
        let frames = backtrace.map(WasmBacktrace::frames).unwrap_or_default();
        let name = |frame: &wasmtime::FrameInfo| match frame.func_name() {
            Some(name) => format!("`{name}`"),
            None => format!("function {}", frame.func_index()),
        };
        Self {
            reason: format!("Uncaught {text}"),
            frames: frames.iter().take(FRAMES).map(name).collect(),
        }
    }
}

impl fmt::Display for Trapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if !self.frames.is_empty() {
            write!(f, ", in {}", self.frames.join(", called by "))?;
        }
        Ok(())
    }
}

impl Failure {
    /// Nobody runs the guest any more: the test ends by a panic in a host call of its.
    pub(crate) fn gone() -> Self {
        Self::NoRoom("the host call that runs the guest has ended".to_owned())
    }
}

impl From<&wasmtime::Error> for Failure {
    fn from(error: &wasmtime::Error) -> Self {
        if error.is::<PoolConcurrencyLimitError>() {
            return Self::NoRoom(format!("{error:#}"));
        }
        let Some(trap) = error.downcast_ref::<Trap>() else {
            return Self::Trap(Trapped::of(
                error,
                &format!("Error: {}", error.root_cause()),
            ));
        };
        let text = match trap {
            Trap::OutOfFuel => return Self::OutOfFuel,
            Trap::Interrupt => return Self::OutOfTime,
            Trap::StackOverflow => "RangeError: Maximum call stack size exceeded",
            Trap::UnreachableCodeReached => "RuntimeError: unreachable",
            Trap::MemoryOutOfBounds | Trap::HeapMisaligned => {
                "RuntimeError: memory access out of bounds"
            }
            Trap::TableOutOfBounds => "RuntimeError: table index is out of bounds",
            Trap::IndirectCallToNull | Trap::BadSignature => {
                "RuntimeError: null function or function signature mismatch"
            }
            Trap::IntegerOverflow => "RuntimeError: divide result unrepresentable",
            Trap::IntegerDivisionByZero => "RuntimeError: divide by zero",
            Trap::BadConversionToInteger => "RuntimeError: float unrepresentable in integer range",
            other => return Self::Trap(Trapped::of(error, &format!("RuntimeError: {other}"))),
        };
        Self::Trap(Trapped::of(error, text))
    }
}
