//! Heads from the host's maps, and back.

use attache::prelude::*;
use attache::{Error, Headers};

use crate::failure::Failure;
use crate::head::Head;

pub(super) fn of_request(request: &Request<Holding>) -> Head {
    let mut head = Head {
        method: request.method().to_vec(),
        scheme: request.scheme().to_vec(),
        authority: request.authority().to_vec(),
        path: request.path().as_bytes().to_vec(),
        status: None,
        headers: request.headers().iter().collect(),
    };
    // As it is known to everybody; nothing changes it.
    let authority = head.authority.clone();
    head.append("host", &authority);
    head
}

/// None where the response has no status that is one.
pub(super) fn of_response(response: &Response<Holding>) -> Option<Head> {
    Some(Head {
        status: Some(response.status()?.as_u16()),
        headers: response.headers().iter().collect(),
        ..Head::default()
    })
}

/// Writes what differs between the head that came and the one that goes on.
pub(super) fn write(headers: &mut Headers, came: &Head, head: &Head) -> Result<(), Error> {
    for name in came.differing(head) {
        let values = head.headers.iter().filter(|(found, _)| *found == name);
        let values = values.map(|(_, value)| HeaderValue::from_bytes(value));
        let values: Result<Vec<HeaderValue>, _> = values.collect();
        let (Ok(name), Ok(values)) = (HeaderName::from_bytes(name), values) else {
            return Err(Error::filter(Failure::HeaderValue));
        };
        headers.remove(&name);
        for value in values {
            headers.append(&name, value);
        }
    }
    Ok(())
}

/// As [`write`], with the path.
pub(super) fn write_request(
    request: &mut Request<Holding>,
    came: &Head,
    head: &Head,
) -> Result<(), Error> {
    write(request.headers_mut(), came, head)?;
    if came.path != head.path {
        request.set_path(&head.path).map_err(Error::filter)?;
    }
    Ok(())
}
