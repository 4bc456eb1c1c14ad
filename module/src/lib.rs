//! Builds a filter's crate into a proxy-wasm module, finishes the module, and reads it.
//!
//! [`Guest`] runs cargo for wasm32 and hands the result to [`finish`], which checks what Envoy
//! would refuse, drops the callbacks that the filter does not need and everything no callback
//! reaches. What `attache build` ships and what tests load therefore are the same bytes.
//!
//! * [`guest`](Guest): cargo, its environment, the missing target, the file that is written
//! * [`finish`]: checks and rewriting
//! * [`Named`]: what a word on a command line names
//! * [`Facts`]: what can be read off a module
//! * [`Inspection`]: what can be told of any module, and what hosts have against it
//! * [`Description`]: what a module says of itself, asked of it once, in an interpreter
//! * [`harmless`]: texts that somebody else wrote, on their way to a terminal
//! * [`Screen`]: how our programs speak
//! * [`Callbacks`]: which callbacks a filter's declaration asks for

#![forbid(unsafe_code)]

mod advice;
mod callbacks;
mod cargo;
mod description;
mod facts;
mod finish;
mod foreign;
mod guest;
mod host_calls;
mod inspection;
mod interpreter;
mod named;
mod reach;
mod references;
mod rewrite;
mod screen;
mod traits;

pub use crate::advice::trap_advice;
pub use crate::callbacks::Callbacks;
pub use crate::description::{DescribeError, Description, FilterDescription, HostOptions};
pub use crate::facts::{Abi, Declaration, Facts, Import, ReadError};
pub use crate::finish::{FinishError, Finished, finish, without_exports};
pub use crate::foreign::{harmless, harmless_line, harmless_lines};
pub use crate::guest::{BuildError, Built, Guest, Notice, Output, Said, sha256, write_whole};
pub use crate::host_calls::is_host_call;
pub use crate::inspection::{
    CrateSize, Finding, FunctionSize, Inspection, Memory, Origin, Sizes, Verdict,
};
pub use crate::interpreter::AskError;
pub use crate::named::{ConfigurationError, NameError, Named, configuration, is_module};
pub use crate::screen::{Screen, Tone, UNREAD, size};
