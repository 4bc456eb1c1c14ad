//! `expr_create`, `expr_evaluate`, `expr_delete`.

use super::Returned;
use crate::abi::Status;
use crate::call::{Call, Stop};
use crate::error::HostError;
use crate::expressions::{Evaluation, Expressions, Fault, Refused, parse};
use crate::mutation::Rule;
use crate::vm::VmState;

/// Reads an expression and hands out its token, which is the root context's.
pub(super) fn create(call: &mut Call<'_>, text: &[u8]) -> Returned {
    let work = &mut call.state().work;
    if work.charge(text.len()).is_err() {
        return Err(too_much(call));
    }
    match parse(text) {
        Ok(term) => {
            let added = kept(call.state())?.add(term, text.len());
            match added {
                Some(token) => {
                    let off = u32::from(call.mutated(Rule::ExpressionTokensBeginAt1));
                    Ok(Some((token + off).to_le_bytes().to_vec()))
                }
                None => Err(Stop::Trap(call.too_much("16 MiB of expressions kept"))),
            }
        }
        Err(Refused::Missing) => {
            kept(call.state())?.skip();
            Err(Status::BadArgument.into())
        }
        Err(Refused::Syntax) => Err(Status::BadArgument.into()),
        Err(Refused::Unknown(what)) => Err(not_answered(call, &what)),
    }
}

/// Hands out the value of an expression for the current context, whatever the effective one is.
pub(super) fn evaluate(call: &mut Call<'_>, argument: &[u8]) -> Returned {
    let token = token(argument)?;
    let state = call.state();
    let effective = state.effective;
    if effective == state.current || !state.world.mutated(Rule::EffectiveContextEvaluates) {
        state.effective = state.current;
    }
    let outcome = value(state, token);
    state.effective = effective;
    match outcome? {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Fault::Error | Fault::Abort) => Err(Status::InternalFailure.into()),
        Err(Fault::Unwritable) => Err(Status::SerializationFailure.into()),
        Err(Fault::Schema) => {
            let what = "expr_evaluate".to_owned();
            Err(crate::properties::crash_over_schema(call, what))
        }
        Err(Fault::Unknown(what)) => Err(not_answered(call, &what)),
        Err(Fault::TooMuch) => Err(too_much(call)),
    }
}

pub(super) fn delete(call: &mut Call<'_>, argument: &[u8]) -> Returned {
    let token = token(argument)?;
    if !call.mutated(Rule::ExpressionsAreNotDeleted) {
        kept(call.state())?.delete(token);
    }
    Ok(None)
}

fn token(argument: &[u8]) -> Result<u32, Status> {
    let bytes = argument.try_into().map_err(|_| Status::BadArgument)?;
    Ok(u32::from_le_bytes(bytes))
}

fn value(state: &mut VmState, token: u32) -> Result<Result<Vec<u8>, Fault>, Status> {
    let root = state.context().ok_or(Status::NotFound)?.root;
    let kept = state.roots.get(&root).map(|root| &root.expressions);
    let term = kept.and_then(|kept| kept.get(token));
    let term = term.ok_or(Status::NotFound)?;
    let (value, left) = Evaluation::new(Some(state), state.work).run(term);
    state.work = left;
    Ok(value)
}

/// The expressions of the current context's root.
fn kept(state: &mut VmState) -> Result<&mut Expressions, Status> {
    let current = state.contexts.get(&state.current);
    let root = current.ok_or(Status::NotFound)?.root;
    let root = state.roots.get_mut(&root).ok_or(Status::NotFound)?;
    Ok(&mut root.expressions)
}

fn too_much(call: &mut Call<'_>) -> Stop {
    Stop::Trap(call.too_much("4,000,000 steps of expressions"))
}

fn not_answered(call: &mut Call<'_>, what: &str) -> Stop {
    call.give_up(|timeline| HostError::NotAnswered {
        what: format!("{what} in an expression"),
        timeline,
    })
}
