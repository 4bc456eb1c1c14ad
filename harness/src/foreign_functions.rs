//! `proxy_call_foreign_function`: the functions that Envoy offers by name.
//!
//! The rules are those of `source/extensions/common/wasm/foreign.cc` of Envoy.

mod compression;
mod expressions;
mod properties;
mod signatures;

use crate::abi::Status;
use crate::call::{Answer, Call, Stop};
use crate::envoy_version::VersionDifference;
use crate::mutation::Rule;
use crate::protobuf;

/// What a function hands out; some have nothing to hand out.
type Returned = Result<Option<Vec<u8>>, Stop>;

pub(crate) fn call(
    call: &mut Call<'_>,
    name: u32,
    name_size: u32,
    argument: u32,
    argument_size: u32,
    result: u32,
    result_size: u32,
) -> Answer {
    let name = call.bytes(name, name_size)?;
    let argument = call.bytes(argument, argument_size)?;
    let mutator = call.world().mutator.as_ref();
    if mutator.is_some_and(|mutator| mutator.forgets(&name)) {
        return Err(Status::NotFound.into());
    }
    let returned = match name.as_slice() {
        b"compress" => compression::compress(&argument),
        b"uncompress" => compression::uncompress(call, &argument),
        b"declare_property" => properties::declare(call, &argument),
        b"set_envoy_filter_state" => properties::set_filter_state(call, &argument),
        b"clear_route_cache" => properties::clear_route_cache(call),
        b"verify_signature" => signatures::verify(call, &argument),
        b"sign" if call.world().is_before(VersionDifference::MoreOfSignatures) => {
            return Err(Status::NotFound.into());
        }
        b"sign" => signatures::sign(call, &argument),
        b"expr_create" => expressions::create(call, &argument),
        b"expr_evaluate" => expressions::evaluate(call, &argument),
        b"expr_delete" => expressions::delete(call, &argument),
        _ => return Err(Status::NotFound.into()),
    };
    match returned {
        Ok(Some(_)) if call.mutated(Rule::ForeignFunctionsHandOutNothing) => {
            call.hand_out(None, result, result_size)
        }
        Ok(bytes) => call.hand_out(bytes, result, result_size),
        // Whoever fails hands out null.
        Err(Stop::Status(status)) => {
            call.hand_out(None, result, result_size)?;
            Err(status.into())
        }
        Err(trap) => Err(trap),
    }
}

/// The fields of an argument, which is a message.
fn fields(argument: &[u8]) -> Result<Vec<(u32, protobuf::Wire<'_>)>, Status> {
    protobuf::read(argument).ok_or(Status::BadArgument)
}

/// The last value of a string field, which a message may only have in UTF-8.
fn text_of<'a>(fields: &[(u32, protobuf::Wire<'a>)], field: u32) -> Result<&'a str, Status> {
    str::from_utf8(protobuf::bytes_of(fields, field)).map_err(|_| Status::BadArgument)
}
