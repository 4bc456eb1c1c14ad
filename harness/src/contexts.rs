//! `proxy_set_effective_context`, `proxy_done`, `proxy_get_status`.

use crate::abi::Status;
use crate::call::{Answer, Call};
use crate::mutation::Rule;
use crate::vm::{Deferred, RootEnd};

/// Chooses the context that the following calls of this callback act on; 0 goes back to its own.
pub(crate) fn set_effective(call: &mut Call<'_>, id: u32) -> Answer {
    call.number(id);
    let state = call.state();
    if id == 0 && !state.world.mutated(Rule::EffectiveContext0IsNone) {
        state.effective = state.current;
    } else if state.contexts.contains_key(&id) {
        state.effective = id;
    } else {
        return Err(Status::BadArgument.into());
    }
    Ok(())
}

/// Ends a root context that asked for time in `proxy_on_done`.
pub(crate) fn done(call: &mut Call<'_>) -> Answer {
    let state = call.state();
    let id = state.effective;
    match state.roots.get_mut(&id) {
        Some(root) if root.end == RootEnd::Pending => root.end = RootEnd::Done,
        _ => return Err(Status::NotFound.into()),
    }
    state.deferred.push_back(Deferred::EndRoot(id));
    Ok(())
}

/// The status of the root's last call-out that failed, or of its last gRPC call that was closed. The
/// code stays, the message is there in the callback only.
pub(crate) fn status(call: &mut Call<'_>, code: u32, message: u32, size: u32) -> Answer {
    let state = call.state().call_state();
    let (number, text) = state.map_or((0, Vec::new()), |call| (call.status, call.message.clone()));
    let text = match text.is_empty() || !call.mutated(Rule::StatusHasNoMessage) {
        true => text,
        false => Vec::new(),
    };
    call.write_u32(code, number)?;
    call.give(&text, message, size)
}
