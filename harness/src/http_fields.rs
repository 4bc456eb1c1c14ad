//! `proxy_get_header_map_value` and kin: headers and trailers.

use crate::abi::{AbiVersion, Direction, MapType, Status};
use crate::call::{Answer, Call};
use crate::headers::{Headers, Kind};
use crate::lints::LintKind;
use crate::pairs;
use crate::stream::{BodyView, Stream};
use crate::timeline::Argument;
use crate::vm::VmState;

pub(crate) fn value(
    call: &mut Call<'_>,
    map: u32,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
) -> Answer {
    call.number(map);
    let map = MapType::from_code(map).ok_or(Status::BadArgument)?;
    let key = call.bytes(key, key_size)?;
    let state = call.state();
    // ABI 0.1.0 does not tell a missing header, nor in the log a missing map, from an empty one.
    let old = state.abi == AbiVersion::V0_1_0;
    let Some(headers) = readable(state, map) else {
        return match is_logging(state) {
            true if old => call.give(b"", value, value_size),
            true => Err(Status::NotFound.into()),
            false => Err(absent(call, map)),
        };
    };
    let values = headers.count(&key);
    let found = match headers.get(&key) {
        Some(found) => found.to_vec(),
        None if old => Vec::new(),
        None => return Err(Status::NotFound.into()),
    };
    if values > 1 {
        let key = key.escape_ascii();
        call.lint(
            LintKind::FirstOfSeveralValues,
            format!("`{key}` has {values} values"),
        );
    }
    call.give(&found, value, value_size)
}

pub(crate) fn add(
    call: &mut Call<'_>,
    map: u32,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
) -> Answer {
    change(call, map, |call| {
        let (key, value) = (call.bytes(key, key_size)?, call.bytes(value, value_size)?);
        let joins = MapType::from_code(map)
            .and_then(|map| writable(call.state(), map))
            .is_some_and(|headers| headers.joins(&key));
        if joins {
            let what = format!("`{}` had a value", key.escape_ascii());
            call.lint(LintKind::AddedToSingleHeader, what);
            // The joined value is written anew each time.
            let known = MapType::from_code(map)
                .and_then(|map| readable(call.state(), map))
                .and_then(|headers| headers.get(&key))
                .map_or(0, <[u8]>::len);
            call.state().copied += known;
        }
        Ok(move |headers: &mut Headers| headers.add(&key, &value))
    })
}

pub(crate) fn replace(
    call: &mut Call<'_>,
    map: u32,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
) -> Answer {
    change(call, map, |call| {
        let (key, value) = (call.bytes(key, key_size)?, call.bytes(value, value_size)?);
        Ok(move |headers: &mut Headers| headers.replace(&key, &value))
    })
}

pub(crate) fn remove(call: &mut Call<'_>, map: u32, key: u32, key_size: u32) -> Answer {
    change(call, map, |call| {
        let key = call.bytes(key, key_size)?;
        Ok(move |headers: &mut Headers| headers.remove(&key))
    })
}

/// An absent map is an empty one here, and an empty one is a null pointer, not a count of 0.
pub(crate) fn pairs(call: &mut Call<'_>, map: u32, pairs: u32, size: u32) -> Answer {
    call.number(map);
    let map = MapType::from_code(map).ok_or(Status::BadArgument)?;
    let bytes = match readable(call.state(), map) {
        Some(headers) if !headers.is_empty() => pairs::serialize(headers.iter()),
        Some(_) => Vec::new(),
        None => {
            if !is_logging(call.state()) {
                absent(call, map);
            }
            Vec::new()
        }
    };
    call.give(&bytes, pairs, size)?;
    call.record.returned = Some(Argument::Pairs(pairs::parse(&bytes)));
    Ok(())
}

pub(crate) fn set_pairs(call: &mut Call<'_>, map: u32, pairs: u32, size: u32) -> Answer {
    change(call, map, |call| {
        let pairs = call.pairs(pairs, size)?;
        Ok(move |headers: &mut Headers| headers.replace_all(&pairs))
    })
}

pub(crate) fn size(call: &mut Call<'_>, map: u32, size: u32) -> Answer {
    call.number(map);
    let map = MapType::from_code(map).ok_or(Status::BadArgument)?;
    // Envoy looks for the map that may be written: there is none in `proxy_on_log`, nor of a call, and
    // trailers that may be made are made.
    let bytes = writable(call.state(), map)
        .ok_or(Status::BadArgument)?
        .byte_size();
    call.write_u32(size, u32::try_from(bytes).unwrap_or(u32::MAX))
}

/// Reads the arguments, then changes the map if it may be changed.
fn change<F: FnOnce(&mut Headers)>(
    call: &mut Call<'_>,
    map: u32,
    arguments: impl FnOnce(&mut Call<'_>) -> Result<F, crate::call::Stop>,
) -> Answer {
    call.number(map);
    let map = MapType::from_code(map).ok_or(Status::BadArgument)?;
    let change = arguments(call)?;
    let Some(headers) = writable(call.state(), map) else {
        return Err(absent(call, map));
    };
    change(headers);
    if matches!(map, MapType::RequestHeaders | MapType::ResponseHeaders) && sets_encoding(call) {
        let what = format!("in the {}", map.name());
        call.lint(LintKind::TransferEncodingAdded, what);
    }
    Ok(())
}

/// Reports a map that does not exist now. The answer where the call has one for it.
fn absent(call: &mut Call<'_>, map: MapType) -> crate::call::Stop {
    if !matches!(map, MapType::OfCall(_)) {
        let what = format!("the {} do not exist now, or not to be changed", map.name());
        call.lint(LintKind::MapOutsideItsPhase, what);
    }
    Status::BadArgument.into()
}

/// Whether the call writes `transfer-encoding`.
fn sets_encoding(call: &Call<'_>) -> bool {
    let is_encoding = |name: &[u8]| name.eq_ignore_ascii_case(b"transfer-encoding");
    match &call.record.arguments[..] {
        [_, Argument::Bytes(name), Argument::Bytes(_)] => is_encoding(name),
        [_, Argument::Pairs(pairs)] => pairs.iter().any(|(name, _)| is_encoding(name)),
        _ => false,
    }
}

/// Whether the effective context writes an access log, as a filter or as an access logger.
fn is_logging(state: &VmState) -> bool {
    let filter = state
        .place()
        .map(|at| &state.world.streams[at.slot].filters[at.filter]);
    filter.is_some_and(|filter| filter.logging) || logged(state).is_some()
}

/// The stream whose access log the effective context, a root, is writing.
fn logged(state: &VmState) -> Option<&Stream> {
    Some(&state.world.streams[state.context()?.logs?])
}

/// The map that the effective context may read now.
pub(crate) fn readable(state: &VmState, map: MapType) -> Option<&Headers> {
    if let MapType::OfCall(map) = map {
        return state.call_state()?.map(map);
    }
    if let Some(stream) = logged(state) {
        return match map {
            MapType::RequestHeaders => stream.request.headers.as_ref(),
            MapType::ResponseHeaders => stream.response.headers.as_ref(),
            MapType::ResponseTrailers => stream.response.trailers.as_ref(),
            MapType::RequestTrailers | MapType::OfCall(_) => None,
        };
    }
    let at = state.place()?;
    let stream = &state.world.streams[at.slot];
    let filter = &stream.filters[at.filter];
    let (request, response) = (&filter.request, &filter.response);
    let (flow, seen) = match map {
        MapType::RequestHeaders => (
            &stream.request.headers,
            filter.logging || request.headers_visible,
        ),
        MapType::RequestTrailers => (
            &stream.request.trailers,
            request.trailers_visible && !filter.logging,
        ),
        MapType::ResponseHeaders => (
            &stream.response.headers,
            filter.logging || response.headers_visible,
        ),
        MapType::ResponseTrailers => (
            &stream.response.trailers,
            filter.logging || response.trailers_visible,
        ),
        MapType::OfCall(_) => return None,
    };
    flow.as_ref().filter(|_| seen)
}

/// The map that the effective context may change now.
fn writable(state: &mut VmState, map: MapType) -> Option<&mut Headers> {
    let at = state.place()?;
    let stream = &mut state.world.streams[at.slot];
    if stream.filters[at.filter].logging {
        return None;
    }
    match map {
        MapType::RequestHeaders | MapType::ResponseHeaders => {
            let direction = direction(map);
            let visible = stream.side(at.filter, direction).headers_visible;
            stream.flow(direction).headers.as_mut().filter(|_| visible)
        }
        MapType::RequestTrailers | MapType::ResponseTrailers => {
            let direction = direction(map);
            let ended = stream.filters[at.filter].end_of_stream;
            let side = stream.side(at.filter, direction);
            // Once there is no more body to come, a change makes trailers where there are none.
            let last = side.body != BodyView::None && ended;
            side.trailers_visible |= last;
            let visible = side.trailers_visible;
            let trailers = &mut stream.flow(direction).trailers;
            if last {
                trailers.get_or_insert_with(|| Headers::new(Kind::Trailers));
            }
            trailers.as_mut().filter(|_| visible)
        }
        MapType::OfCall(_) => None,
    }
}

fn direction(map: MapType) -> Direction {
    match map {
        MapType::ResponseHeaders | MapType::ResponseTrailers => Direction::Response,
        MapType::RequestHeaders | MapType::RequestTrailers | MapType::OfCall(_) => {
            Direction::Request
        }
    }
}
