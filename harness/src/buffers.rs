//! `proxy_get_buffer_bytes`, `proxy_get_buffer_status`, `proxy_set_buffer_bytes`.

use crate::abi::{BufferType, Direction, Status};
use crate::body::Body;
use crate::call::{Answer, Call, Stop};
use crate::error::HostError;
use crate::known_difference::KnownDifference;
use crate::lints::LintKind;
use crate::mutation::{Access, Resource, Rule};
use crate::stream::BodyView;
use crate::vm::{Deferred, LastBuffer, Phase, VmState};

pub(crate) fn bytes(
    call: &mut Call<'_>,
    buffer: u32,
    start: u32,
    length: u32,
    data: u32,
    size: u32,
) -> Answer {
    for argument in [buffer, start, length] {
        call.number(argument);
    }
    let Shown {
        content,
        size: size_told,
    } = read(call, buffer)?;
    let start = start as usize;
    let end = start
        .saturating_add(length as usize)
        .min(size_told as usize);
    // Past the end there is nothing, and that is no error.
    let total = u32::try_from(end.saturating_sub(start)).unwrap_or(u32::MAX);
    let part = content[start.min(content.len())..end.min(content.len())].to_vec();
    if start.saturating_add(length as usize) > size_told as usize
        && call.mutated(Rule::ReadPastTheEndIsRefused)
    {
        return Err(Status::BadArgument.into());
    }
    if part.len() == total as usize {
        return call.give(&part, data, size);
    }
    let what = format!(
        "asked for {length} bytes, of which {} are stats",
        part.len()
    );
    call.lint(LintKind::StatsBufferSize, what);
    call.give_padded(&part, total, data, size)
}

pub(crate) fn status(call: &mut Call<'_>, buffer: u32, length: u32, flags: u32) -> Answer {
    call.number(buffer);
    let size = read(call, buffer)?.size;
    let size = size + u32::from(call.mutated(Rule::BufferIsLonger));
    call.write_u32(length, size)?;
    let set = call.mutated(Rule::BufferHasFlags);
    call.write_u32(flags, u32::from(set))
}

pub(crate) fn set_bytes(
    call: &mut Call<'_>,
    buffer: u32,
    start: u32,
    length: u32,
    data: u32,
    size: u32,
) -> Answer {
    for argument in [buffer, start, length] {
        call.number(argument);
    }
    read(call, buffer)?;
    let data = call.bytes(data, size)?;
    let flipped = call.state().flips(Resource::Buffer(buffer), Access::Write);
    let splice = if call.mutated(Rule::WriteKnowsTheMiddle) {
        splice_anywhere
    } else if start == 0 && length == 0 && call.mutated(Rule::PrependReplaces) {
        |body: &mut Body, _, _, data: &[u8]| splice(body, 0, usize::MAX, data)
    } else if call.mutated(Rule::AppendReplaces) {
        |body: &mut Body, _, length, data: &[u8]| splice(body, 0, length, data)
    } else {
        splice
    };
    let state = call.state();
    let body = match BufferType::from_code(buffer).and_then(|buffer| meant(state, buffer)) {
        Some(BufferType::RequestBody) => body(state, Direction::Request),
        Some(BufferType::ResponseBody) => body(state, Direction::Response),
        Some(BufferType::DownstreamData) => connection_data(state, Direction::Request),
        Some(BufferType::UpstreamData) => connection_data(state, Direction::Response),
        // The guest's own copy: the host has read the message.
        Some(BufferType::GrpcMessage) => grpc_message(state),
        _ => None,
    };
    if flipped && body.is_none() {
        return Ok(());
    }
    let body = body.filter(|_| !flipped).ok_or(Status::BadArgument)?;
    let before = body.len();
    splice(body, start as usize, length as usize, &data)?;
    let after = body.len();
    defer_overflow(call.state(), buffer, before, after);
    if is_moved(call.state(), buffer) {
        let what = format!("{} bytes are written to a body that has gone", data.len());
        call.lint(LintKind::MovedBodyWritten, what);
    }
    Ok(())
}

/// The message of a gRPC call, in its callback.
fn grpc_message(state: &mut VmState) -> Option<&mut Body> {
    let root = state.context()?.root;
    state.roots.get_mut(&root)?.call.grpc_message.as_mut()
}

/// Buffer 8 is the one that the context was shown last.
fn meant(state: &VmState, buffer: BufferType) -> Option<BufferType> {
    if buffer != BufferType::CallData {
        return Some(buffer);
    }
    match state.context()?.last_buffer {
        LastBuffer::OfCallback(last, callback) if callback == state.callback => Some(last),
        _ => None,
    }
}

fn direction_of_body(buffer: u32) -> Option<Direction> {
    match BufferType::from_code(buffer)? {
        BufferType::RequestBody => Some(Direction::Request),
        BufferType::ResponseBody => Some(Direction::Response),
        _ => None,
    }
}

/// A held body that grows over the buffer limit overflows by a write, too.
fn defer_overflow(state: &mut VmState, buffer: u32, before: usize, after: usize) {
    let Some(direction) = direction_of_body(buffer) else {
        return;
    };
    let Some(place) = state.place() else { return };
    let limit = state.world.buffer_limit_of(place.slot);
    if before > limit || after <= limit {
        return;
    }
    if state.world.mutated(Rule::WritesDoNotOverflow) {
        return;
    }
    let stream = &mut state.world.streams[place.slot];
    let held = stream.side(place.filter, direction).body == BodyView::Buffered;
    if held && !stream.flow(direction).streaming {
        state
            .deferred
            .push_back(Deferred::Overflow(place, direction));
    }
}

/// Whether a body went into the stream's buffer, out of the guest's view.
fn is_moved(state: &mut VmState, buffer: u32) -> bool {
    let (Some(direction), Some(at)) = (direction_of_body(buffer), state.place()) else {
        return false;
    };
    let stream = &mut state.world.streams[at.slot];
    !stream.filters.is_empty() && stream.side(at.filter, direction).body == BodyView::Moved
}

/// Whether a body is looked at that went into the stream's buffer with the end of an HTTP/1.1 message, in
/// another callback than the one that saw it last: its codec may have freed it. So may the stream's buffer be gone,
/// once a filter that held a body in it answered 2 or 3 to it.
fn is_freed(state: &mut VmState, buffer: u32) -> bool {
    let (Some(direction), Some(at)) = (direction_of_body(buffer), state.place()) else {
        return false;
    };
    let stream = &mut state.world.streams[at.slot];
    if stream.filters.get(at.filter).is_none() {
        return false;
    }
    let in_callback = stream.flow(direction).in_callback;
    let side = stream.side(at.filter, direction);
    let gone = match side.body {
        BodyView::Moved => true,
        BodyView::Buffered => !side.buffering && !in_callback,
        _ => false,
    };
    gone && side.end_stream
}

/// Envoy drains and prepends at the start, and appends past the end; it knows no middle.
fn splice(body: &mut Body, start: usize, length: usize, data: &[u8]) -> Result<(), Status> {
    if start == 0 {
        body.replace_start(length, data);
    } else if start >= body.len() {
        body.extend(data);
    } else {
        return Err(Status::BadArgument);
    }
    Ok(())
}

/// As [`splice`], for a host that knows the middle.
fn splice_anywhere(
    body: &mut Body,
    start: usize,
    length: usize,
    data: &[u8],
) -> Result<(), Status> {
    let mut bytes = std::mem::take(body).into_bytes();
    let start = start.min(bytes.len());
    let end = start.saturating_add(length).min(bytes.len());
    bytes.splice(start..end, data.iter().copied());
    *body = bytes.into();
    Ok(())
}

/// What a buffer shows, and how large it says that it is.
#[derive(Default)]
struct Shown<'a> {
    content: &'a [u8],
    size: u32,
}

impl<'a> Shown<'a> {
    fn whole(content: &'a [u8]) -> Self {
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        Self { content, size }
    }
}

/// What a buffer shows to the effective context now, which is what buffer 8 shows after that.
fn read<'a>(call: &'a mut Call<'_>, buffer: u32) -> Result<Shown<'a>, Stop> {
    let number = buffer;
    let buffer = BufferType::from_code(buffer).ok_or(Status::BadArgument)?;
    if buffer == BufferType::CallData {
        return read_again(call);
    }
    let state = call.state();
    if is_freed(state, number) {
        let slot = state.place().map(|place| place.slot);
        state
            .world
            .comes_to(slot, KnownDifference::BodyBehindWatermark);
    }
    let flipped = state.flips(Resource::Buffer(number), Access::Read);
    let exists = match content(state, buffer) {
        Ok(_) if flipped => return Err(Status::NotFound.into()),
        Err(_) if flipped => false,
        content => content?.is_some(),
    };
    let last_buffer = match buffer {
        BufferType::VmConfiguration => LastBuffer::VmConfiguration,
        BufferType::PluginConfiguration => LastBuffer::PluginConfiguration,
        _ if exists => LastBuffer::OfCallback(buffer, state.callback),
        _ => LastBuffer::Empty,
    };
    if let Some(context) = state.contexts.get_mut(&state.effective) {
        context.last_buffer = last_buffer;
    }
    if !exists {
        return Ok(Shown::default());
    }
    Ok(Shown::whole(content(state, buffer)?.unwrap_or_default()))
}

/// Buffer 8. Envoy keeps a pointer to what it showed last, and looks there again.
fn read_again<'a>(call: &'a mut Call<'_>) -> Result<Shown<'a>, Stop> {
    let state = call.state();
    let now = state.callback;
    let last = state.contexts.get(&state.effective);
    let freed = last.is_some_and(|context| match context.last_buffer {
        // What was read belongs to the connections, which outlive the filter.
        LastBuffer::OfCallback(BufferType::DownstreamData | BufferType::UpstreamData, _) => false,
        LastBuffer::OfCallback(_, callback) => callback != now,
        _ => false,
    });
    if freed {
        return Err(call.give_up(|timeline| HostError::EnvoyWouldCrash {
            call: "proxy_get_buffer_bytes(8)".to_owned(),
            why: "shows what the context was shown last, and that was freed after its callback; \
                  name the buffer that is meant"
                .to_owned(),
            timeline,
        }));
    }
    let state = call.state();
    if let Some(context) = state.contexts.get(&state.effective)
        && let LastBuffer::OfCallback(buffer, callback) = context.last_buffer
    {
        let bytes = if callback == now {
            content(state, buffer)?
        } else {
            held_by_connection(state, buffer)
        };
        return Ok(Shown::whole(bytes.unwrap_or_default()));
    }
    let Some(context) = state.contexts.get(&state.effective) else {
        return Ok(Shown::default());
    };
    let plugins = &state.world.plugins;
    Ok(match &context.last_buffer {
        LastBuffer::VmConfiguration => Shown::whole(&plugins[state.first_plugin].vm_configuration),
        LastBuffer::PluginConfiguration => Shown::whole(&plugins[context.plugin].configuration),
        LastBuffer::HandedOut(buffer) => Shown {
            content: &buffer.content,
            size: buffer.size,
        },
        LastBuffer::Empty | LastBuffer::OfCallback(..) => Shown::default(),
    })
}

fn held_by_connection(state: &VmState, buffer: BufferType) -> Option<&[u8]> {
    let at = state.place()?;
    let tcp = state.world.streams[at.slot].tcp.as_ref()?;
    Some(match buffer {
        BufferType::DownstreamData => &tcp.read,
        _ => &tcp.write,
    })
}

/// The bytes of a buffer; none where the host has the buffer and nothing in it.
fn content(state: &mut VmState, buffer: BufferType) -> Result<Option<&[u8]>, Status> {
    Ok(match buffer {
        BufferType::RequestBody => body(state, Direction::Request).map(|body| &**body),
        BufferType::ResponseBody => body(state, Direction::Response).map(|body| &**body),
        BufferType::DownstreamData => {
            connection_data(state, Direction::Request).map(|data| &**data)
        }
        BufferType::UpstreamData => connection_data(state, Direction::Response).map(|data| &**data),
        BufferType::GrpcMessage => state
            .call_state()
            .and_then(|call| call.grpc_message.as_ref())
            .map(|message| &**message),
        BufferType::HttpCallBody => {
            let response = state
                .call_state()
                .and_then(|call| call.http_response.as_ref());
            Some(&response.ok_or(Status::NotFound)?.body)
        }
        BufferType::CallData => None,
        BufferType::VmConfiguration => {
            Some(&state.world.plugins[state.first_plugin].vm_configuration)
        }
        BufferType::PluginConfiguration => Some(plugin_configuration(state)?),
    })
}

/// The configuration is there while the root is created and configured.
fn plugin_configuration(state: &VmState) -> Result<&[u8], Status> {
    let context = state.context().ok_or(Status::NotFound)?;
    let now = matches!(state.phase, Phase::ContextCreate | Phase::Configure);
    if context.stream.is_some() || state.current != state.effective || !now {
        return Err(Status::NotFound);
    }
    Ok(&state.world.plugins[context.plugin].configuration)
}

/// The bytes of a body that the effective context sees, if it sees any.
fn body(state: &mut VmState, direction: Direction) -> Option<&mut Body> {
    let at = state.place()?;
    let stream = &mut state.world.streams[at.slot];
    match stream.side(at.filter, direction).body {
        BodyView::None => None,
        BodyView::Chunk | BodyView::Moved => Some(&mut stream.flow(direction).chunk),
        BodyView::Buffered => stream.flow(direction).buffered.as_mut(),
    }
}

/// What a TCP filter sees of its connection: everything that it, or a filter behind it, did not
/// let pass.
fn connection_data(state: &mut VmState, direction: Direction) -> Option<&mut Body> {
    let at = state.place()?;
    let tcp = state.world.streams[at.slot].tcp.as_deref_mut()?;
    let filter = tcp.filters.get(at.filter)?;
    match direction {
        Direction::Request => filter.sees_downstream.then_some(&mut tcp.read),
        Direction::Response => filter.sees_upstream.then_some(&mut tcp.write),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spliced(start: usize, length: usize, data: &str) -> Option<String> {
        let mut body = Body::from(b"body".to_vec());
        splice(&mut body, start, length, data.as_bytes()).ok()?;
        String::from_utf8(body.into_bytes()).ok()
    }

    #[test]
    fn a_write_at_the_start_prepends_replaces_or_deletes() {
        assert_eq!(spliced(0, 0, "any"), Some("anybody".to_owned()));
        assert_eq!(spliced(0, 1, "n"), Some("nody".to_owned()));
        assert_eq!(spliced(0, 99, "new"), Some("new".to_owned()));
        assert_eq!(spliced(0, 4, ""), Some(String::new()));
    }

    #[test]
    fn a_write_past_the_end_appends_and_in_the_middle_is_refused() {
        assert_eq!(spliced(4, 0, "!"), Some("body!".to_owned()));
        assert_eq!(spliced(99, 99, "!"), Some("body!".to_owned()));
        assert_eq!(spliced(1, 1, "x"), None);
    }
}
