//! Headers that are more than a name and a value.

use crate::address;
use crate::names::{Fold, Names};

/// What a header is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Special {
    /// Cookies.
    Cookie,
    /// Addresses of the client.
    Address,
    /// A URL, a path or a host, that may repeat the request's own query, or a password.
    Url,
    /// Names of protocols, among which browsers' scripts hide tokens: they can set no other header of a
    /// WebSocket.
    Protocols,
}

/// Headers that carry the path or host before somebody changed it, or the page before this one.
const URLS: [&str; 16] = [
    "referer",
    "hx-current-url",
    "ping-from",
    "ping-to",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-envoy-original-path",
    "x-envoy-original-url",
    "x-forwarded-uri",
    "x-forwarded-path",
    "x-forwarded-host",
    "x-original-host",
    "x-envoy-original-host",
    "x-replaced-path",
    "x-auth-request-redirect",
];

const KINDS: [Special; 4] = [
    Special::Cookie,
    Special::Address,
    Special::Url,
    Special::Protocols,
];

/// These headers by name.
#[derive(Debug)]
pub(crate) struct Specials(Names);

impl Specials {
    pub(crate) fn new(fold: Fold) -> Self {
        let mut names = Names::new(fold);
        let lists = [
            &["cookie"][..],
            &address::HEADERS,
            &URLS,
            &["sec-websocket-protocol"],
        ];
        for (number, list) in lists.into_iter().enumerate() {
            for name in list {
                names.add(name, number);
            }
        }
        Self(names)
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<Special> {
        KINDS.get(self.0.find(name)?).copied()
    }
}
