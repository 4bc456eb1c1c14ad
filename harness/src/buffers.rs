//! `proxy_get_buffer_bytes`, `proxy_get_buffer_status`, `proxy_set_buffer_bytes`.

use crate::abi::{BufferType, Direction, Status};
use crate::call::{Answer, Call, Stop};
use crate::error::HostError;
use crate::stream::BodyView;
use crate::vm::{Phase, VmState};

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
    let content = read(call, buffer)?;
    let start = start as usize;
    let end = start.saturating_add(length as usize).min(content.len());
    // Past the end there is nothing, and that is no error.
    let part = content.get(start..end).unwrap_or_default().to_vec();
    call.give(&part, data, size)
}

pub(crate) fn status(call: &mut Call<'_>, buffer: u32, length: u32, flags: u32) -> Answer {
    call.number(buffer);
    let size = read(call, buffer)?.len();
    call.write_u32(length, u32::try_from(size).unwrap_or(u32::MAX))?;
    call.write_u32(flags, 0)
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
    let state = call.state();
    let body = match BufferType::from_code(buffer) {
        Some(BufferType::RequestBody) => body(state, Direction::Request),
        Some(BufferType::ResponseBody) => body(state, Direction::Response),
        Some(BufferType::DownstreamData) => connection_data(state, Direction::Request),
        Some(BufferType::UpstreamData) => connection_data(state, Direction::Response),
        _ => None,
    };
    let body = body.ok_or(Status::BadArgument)?;
    Ok(splice(body, start as usize, length as usize, &data)?)
}

/// Envoy drains and prepends at the start, and appends past the end; it knows no middle.
fn splice(body: &mut Vec<u8>, start: usize, length: usize, data: &[u8]) -> Result<(), Status> {
    if start == 0 {
        body.splice(..length.min(body.len()), data.iter().copied());
    } else if start >= body.len() {
        body.extend_from_slice(data);
    } else {
        return Err(Status::BadArgument);
    }
    Ok(())
}

/// What a buffer shows to the effective context now.
fn read(call: &mut Call<'_>, buffer: u32) -> Result<Vec<u8>, Stop> {
    let buffer = BufferType::from_code(buffer).ok_or(Status::BadArgument)?;
    let state = call.state();
    Ok(match buffer {
        BufferType::RequestBody => body(state, Direction::Request).cloned().unwrap_or_default(),
        BufferType::ResponseBody => body(state, Direction::Response)
            .cloned()
            .unwrap_or_default(),
        BufferType::DownstreamData => connection_data(state, Direction::Request)
            .cloned()
            .unwrap_or_default(),
        BufferType::UpstreamData => connection_data(state, Direction::Response)
            .cloned()
            .unwrap_or_default(),
        BufferType::GrpcMessage => state
            .call_state()
            .and_then(|call| call.grpc_message.clone())
            .unwrap_or_default(),
        BufferType::HttpCallBody => state
            .call_state()
            .and_then(|call| Some(call.http_response.as_ref()?.body.clone()))
            .ok_or(Status::NotFound)?,
        BufferType::VmConfiguration => state.world.plugins[state.first_plugin]
            .vm_configuration
            .clone(),
        BufferType::PluginConfiguration => plugin_configuration(state)?,
        BufferType::CallData => {
            return Err(call.give_up(|timeline| HostError::NotAnswered {
                what: "buffer 8, in which Envoy leaves whatever it handed out last,".to_owned(),
                timeline,
            }));
        }
    })
}

/// The configuration is there while the root is created and configured.
fn plugin_configuration(state: &VmState) -> Result<Vec<u8>, Status> {
    let context = state.context().ok_or(Status::NotFound)?;
    let now = matches!(state.phase, Phase::ContextCreate | Phase::Configure);
    if context.stream.is_some() || state.current != state.effective || !now {
        return Err(Status::NotFound);
    }
    Ok(state.world.plugins[context.plugin].configuration.clone())
}

/// The bytes of a body that the effective context sees, if it sees any.
fn body(state: &mut VmState, direction: Direction) -> Option<&mut Vec<u8>> {
    let at = state.place()?;
    let stream = &mut state.world.streams[at.slot];
    match stream.side(at.filter, direction).body {
        BodyView::None => None,
        BodyView::Chunk => Some(&mut stream.flow(direction).chunk),
        BodyView::Buffered => stream.flow(direction).buffered.as_mut(),
    }
}

/// What a TCP filter sees of its connection: everything that it, or a filter behind it, did not
/// let pass.
fn connection_data(state: &mut VmState, direction: Direction) -> Option<&mut Vec<u8>> {
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
        let mut body = b"body".to_vec();
        splice(&mut body, start, length, data.as_bytes()).ok()?;
        String::from_utf8(body).ok()
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
