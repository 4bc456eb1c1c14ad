//! `proxy_get_header_map_value` and kin: headers and trailers.

use crate::abi::{AbiVersion, Direction, MapType, Status};
use crate::call::{Answer, Call};
use crate::headers::{Headers, Kind};
use crate::lints::LintKind;
use crate::mutation::{Access, Resource, Rule};
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
    let Some(headers) = shown(state, map) else {
        return match is_logging(state) {
            true if old => call.give(b"", value, value_size),
            true => Err(Status::NotFound.into()),
            false => Err(absent(call, map)),
        };
    };
    let values = headers.count(&key);
    let found = match found(state, headers, &key, values) {
        Some(found) => found.to_vec(),
        None if old && !state.world.mutated(Rule::OldMissingHeaderIsTold) => Vec::new(),
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

/// Whether a test of tests has it that this header is no single one.
fn parts(call: &mut Call<'_>, map: u32, key: &[u8]) -> bool {
    let kind = match MapType::from_code(map) {
        Some(MapType::RequestHeaders) => Kind::Request,
        Some(MapType::ResponseHeaders) => Kind::Response,
        _ => Kind::Trailers,
    };
    let mutator = &call.world().mutator;
    mutator
        .as_ref()
        .is_some_and(|mutator| mutator.parts(kind, key))
}

/// The first value of a name.
fn found<'a>(state: &VmState, headers: &'a Headers, key: &[u8], values: usize) -> Option<&'a [u8]> {
    let world = &state.world;
    if values > 1 && world.mutated(Rule::LastOfSeveralValues) {
        return headers.get_all(key).last();
    }
    if key.eq_ignore_ascii_case(b"host") && world.mutated(Rule::HostIsNoAuthority) {
        return None;
    }
    if key.iter().any(u8::is_ascii_uppercase) && world.mutated(Rule::NamesHaveCase) {
        return None;
    }
    let value = headers.get(key)?;
    let missing = value.is_empty() && world.mutated(Rule::EmptyHeaderIsMissing);
    (!missing).then_some(value)
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
        let joined = !joins && call.mutated(Rule::AddedValuesAreJoined);
        let apart =
            joins && (call.mutated(Rule::SingleHeadersAreAddedApart) || parts(call, map, &key));
        let replaces = call.mutated(Rule::AddReplaces);
        Ok(move |headers: &mut Headers| match headers.get(&key) {
            Some(first) if joined => {
                let both = [first, &value].join(&b","[..]);
                headers.set(&key, &both);
            }
            _ if apart => headers.add_line(&key, &value),
            _ if replaces => headers.replace(&key, &value),
            _ => headers.add(&key, &value),
        })
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
        let in_place = call.mutated(Rule::ReplaceInPlace);
        let adds = call.mutated(Rule::ReplaceAdds);
        let only_known = call.mutated(Rule::ReplaceOnlyWhatIsThere);
        Ok(move |headers: &mut Headers| {
            if only_known && !headers.contains_key(&key) {
                return;
            }
            if in_place {
                headers.set(&key, &value);
            } else if adds {
                headers.add(&key, &value);
            } else {
                headers.replace(&key, &value);
            }
        })
    })
}

pub(crate) fn remove(call: &mut Call<'_>, map: u32, key: u32, key_size: u32) -> Answer {
    change(call, map, |call| {
        let key = call.bytes(key, key_size)?;
        let first = call.mutated(Rule::RemoveOnlyTheFirst);
        Ok(move |headers: &mut Headers| {
            let rest = first.then(|| headers.get_all(&key).skip(1).map(<[u8]>::to_vec).collect());
            let rest: Vec<Vec<u8>> = rest.unwrap_or_default();
            headers.remove(&key);
            rest.iter().for_each(|value| headers.add(&key, value));
        })
    })
}

/// An absent map is an empty one here, and an empty one is a null pointer, not a count of 0.
pub(crate) fn pairs(call: &mut Call<'_>, map: u32, pairs: u32, size: u32) -> Answer {
    call.number(map);
    let map = MapType::from_code(map).ok_or(Status::BadArgument)?;
    let state = call.state();
    let bytes = match shown(state, map) {
        Some(headers) if !headers.is_empty() => listed(state, headers),
        _ if state.world.mutated(Rule::EmptyMapIsCounted) => pairs::serialize(std::iter::empty()),
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

/// A map as bytes.
fn listed(state: &VmState, headers: &Headers) -> Vec<u8> {
    if state.world.mutated(Rule::PairsAreListedBackwards) {
        let pairs: Vec<_> = headers.iter().collect();
        return pairs::serialize(pairs.into_iter().rev());
    }
    pairs::serialize(headers.iter())
}

pub(crate) fn set_pairs(call: &mut Call<'_>, map: u32, pairs: u32, size: u32) -> Answer {
    change(call, map, |call| {
        let pairs = call.pairs(pairs, size)?;
        let merges = call.mutated(Rule::SetPairsMerges);
        Ok(move |headers: &mut Headers| {
            if merges {
                pairs
                    .iter()
                    .for_each(|(name, value)| headers.replace(name, value));
            } else {
                headers.replace_all(&pairs);
            }
        })
    })
}

pub(crate) fn size(call: &mut Call<'_>, map: u32, size: u32) -> Answer {
    call.number(map);
    let map = MapType::from_code(map).ok_or(Status::BadArgument)?;
    let state = call.state();
    let flipped = state.flips(Resource::Map(map.code()), Access::Read);
    let separators = state.world.mutated(Rule::SizeCountsSeparators);
    let size_of = |headers: &Headers| match separators {
        true => headers.byte_size() + headers.len(),
        false => headers.byte_size(),
    };
    // Envoy looks for the map that may be written: there is none of a call, and trailers that may be
    // made are made.
    let writable = writable(state, map).map(|headers| size_of(headers));
    let bytes = match (writable, readable(state, map)) {
        (Some(_), _) if flipped => None,
        (None, _) if flipped => Some(0),
        (None, Some(headers)) if state.world.mutated(Rule::SizeOfReadOnlyMaps) => {
            Some(size_of(headers))
        }
        (bytes, _) => bytes,
    };
    let bytes = bytes.ok_or(Status::BadArgument)?;
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
    let resource = Resource::Map(map.code());
    let flipped = call.state().flips(resource, Access::Write);
    let Some(headers) = writable(call.state(), map).filter(|_| !flipped) else {
        return if flipped && writable(call.state(), map).is_none() {
            Ok(())
        } else {
            Err(absent(call, map))
        };
    };
    change(headers);
    if let (MapType::RequestHeaders, Some(at)) = (map, call.state().place()) {
        call.world().write_anew(at.slot);
    }
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

/// The map that the effective context is shown.
fn shown(state: &VmState, map: MapType) -> Option<&Headers> {
    static EMPTY: Headers = Headers::empty();
    let headers = readable(state, map);
    if !state.flips(Resource::Map(map.code()), Access::Read) {
        return headers;
    }
    match headers {
        Some(_) => None,
        None => Some(&EMPTY),
    }
}

/// The map that the effective context may read now.
pub(crate) fn readable(state: &VmState, map: MapType) -> Option<&Headers> {
    if let MapType::OfCall(map) = map {
        return state.call_state()?.map(map);
    }
    if let Some(stream) = logged(state) {
        return match map {
            MapType::RequestHeaders => stream.request.headers.as_ref(),
            MapType::ResponseHeaders => stream
                .response
                .headers
                .as_ref()
                .filter(|_| stream.had_response),
            MapType::ResponseTrailers => stream
                .response
                .seen_trailers()
                .as_ref()
                .filter(|_| stream.had_trailers),
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
        MapType::ResponseHeaders if response.sees_overwritten && !filter.logging => {
            (&stream.response.overwritten, response.headers_visible)
        }
        // Envoy looks once for what the log is shown.
        MapType::ResponseHeaders if filter.logging => {
            (&stream.response.headers, stream.had_response)
        }
        MapType::ResponseHeaders => (&stream.response.headers, response.headers_visible),
        MapType::ResponseTrailers => {
            let seen = match filter.logging {
                true => stream.had_trailers,
                false => response.trailers_visible,
            };
            (stream.response.seen_trailers(), seen)
        }
        MapType::OfCall(_) => return None,
    };
    flow.as_ref().filter(|_| seen)
}

/// The response's headers for a property. Envoy looks first for those that the filter has in view, which a reply of
/// another filter may have taken the place of, in the log as well.
pub(crate) fn response_of_property(state: &VmState) -> Option<&Headers> {
    let own = state.place().and_then(|at| {
        let stream = &state.world.streams[at.slot];
        let side = &stream.filters[at.filter].response;
        let kept = side.headers_visible && side.sees_overwritten;
        stream.response.overwritten.as_ref().filter(|_| kept)
    });
    let own = own.filter(|_| !state.world.mutated(Rule::LogPropertiesAreOfTheReply));
    own.or_else(|| readable(state, MapType::ResponseHeaders))
}

/// The map that the effective context may change now.
fn writable(state: &mut VmState, map: MapType) -> Option<&mut Headers> {
    let at = state.place()?;
    let resumed = !state.world.mutated(Rule::ResumedBodyCanGetTrailers);
    let replaces = !state.world.mutated(Rule::MadeTrailersJoinThoseThatCame);
    let stream = &mut state.world.streams[at.slot];
    match map {
        MapType::RequestHeaders | MapType::ResponseHeaders => {
            let direction = direction(map);
            let side = stream.side(at.filter, direction);
            let (visible, overwritten) = (side.headers_visible, side.sees_overwritten);
            let flow = stream.flow(direction);
            let headers = match overwritten {
                true => &mut flow.overwritten,
                false => &mut flow.headers,
            };
            headers.as_mut().filter(|_| visible)
        }
        MapType::RequestTrailers | MapType::ResponseTrailers => {
            let direction = direction(map);
            let ended = stream.filters[at.filter].end_of_stream;
            let side = stream.side(at.filter, direction);
            let known = side.body != BodyView::None && !(side.body_forgotten && resumed);
            // Once there is no more body to come, a change makes trailers where there are none.
            let last = known && ended;
            let anew = last && !side.trailers_visible && replaces;
            side.trailers_visible |= last;
            let visible = side.trailers_visible;
            let flow = stream.flow(direction);
            let trailers = match flow.overwritten_trailers {
                Some(_) if flow.trailers.is_none() => &mut flow.overwritten_trailers,
                _ => &mut flow.trailers,
            };
            // They take the place of those that this filter does not see any more.
            if anew || (last && trailers.is_none()) {
                *trailers = Some(Headers::new(Kind::Trailers));
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
