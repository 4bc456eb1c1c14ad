//! Where the instance of a VM is: with it, or in a host call that waits further down the stack.

use std::sync::mpsc::Sender;

use wasmtime::{Caller, Store};

use super::VmState;

/// A wasm instance and what the host knows of it.
pub(crate) enum Instance {
    /// With its VM.
    Own(Store<VmState>),
    /// It makes a host call, which waits for what the machine does meanwhile, and runs the guest for it.
    Lent(Box<VmState>, Sender<Order>),
    /// It is being called. Nobody asks for its state then; one is made up for who does.
    Away(Option<Box<VmState>>),
}

/// What the machine asks of the host call that has lent it the instance.
pub(crate) enum Order {
    /// To run guest code.
    Run(Job),
    /// To go on: the machine is done.
    Over,
}

pub(crate) type Job = Box<dyn FnOnce(&mut Caller<'_, VmState>) + Send>;

impl Instance {
    pub(crate) fn state(&self) -> Option<&VmState> {
        match self {
            Self::Own(store) => Some(store.data()),
            Self::Lent(state, _) => Some(state),
            Self::Away(state) => state.as_deref(),
        }
    }

    pub(crate) fn state_mut(&mut self, blank: impl FnOnce() -> VmState) -> &mut VmState {
        match self {
            Self::Own(store) => store.data_mut(),
            Self::Lent(state, _) => state,
            Self::Away(state) => state.get_or_insert_with(|| Box::new(blank())),
        }
    }
}
