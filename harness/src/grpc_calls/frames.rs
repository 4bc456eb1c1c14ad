//! Messages in the body of a gRPC call: a flag, a length of four bytes, the message.

use crate::exchange::UpstreamRequest;

/// A message as it stands in a body.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], message].concat()
}

/// Takes the next whole message off the front.
///
/// # Errors
///
/// If the flag is not 0: Envoy knows no other, and no compression.
pub(crate) fn take(body: &mut Vec<u8>) -> Result<Option<Vec<u8>>, ()> {
    let Some((head, rest)) = body.split_first_chunk::<5>() else {
        return match body.first() {
            None | Some(0 | 1) => Ok(None),
            Some(_) => Err(()),
        };
    };
    let [flag, length @ ..] = *head;
    let length = u32::from_be_bytes(length) as usize;
    if flag > 1 || (flag == 1 && length > 0) {
        return Err(());
    }
    if rest.len() < length {
        return Ok(None);
    }
    let message = rest[..length].to_vec();
    body.drain(..5 + length);
    Ok(Some(message))
}

/// The whole messages of a request.
pub(crate) fn messages(request: &UpstreamRequest) -> Vec<Vec<u8>> {
    let mut body = request.body();
    let mut messages = Vec::new();
    while let Ok(Some(message)) = take(&mut body) {
        messages.push(message);
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_when_they_are_whole() {
        let mut body = [framed(b"one"), framed(b"")].concat();
        let end = body.split_off(6);
        assert_eq!(take(&mut body), Ok(None));
        body.extend(end);
        assert_eq!(take(&mut body), Ok(Some(b"one".to_vec())));
        assert_eq!(take(&mut body), Ok(Some(Vec::new())));
        assert_eq!(take(&mut body), Ok(None));
    }

    #[test]
    fn a_flag_that_envoy_does_not_know_spoils_the_body() {
        assert_eq!(take(&mut b"no".to_vec()), Err(()));
        assert_eq!(take(&mut vec![1, 0, 0, 0, 1, 9]), Err(()));
    }
}
